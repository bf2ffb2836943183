package sigv4_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// TestCanonicalForm holds what real servers accept: the form on the wire, the
// form that is signed, and the verdict.
func TestCanonicalForm(t *testing.T) {
	const ok, no = "", "SignatureDoesNotMatch"
	for _, tc := range []struct {
		name, uri   string
		path, query string // as signed
		want        string
	}{
		{"reserved characters raw, signed encoded", "/b/a!b*c'd(e)", "/b/a%21b%2Ac%27d%28e%29", "", ok},
		{"reserved characters raw, signed raw", "/b/a!b*c'd(e)", "/b/a!b*c'd(e)", "", no},
		{"lower-case hex", "/b/a%2bb", "/b/a%2Bb", "", ok},
		{"plus in a path is a plus", "/b/a+b", "/b/a%2Bb", "", ok},
		{"plus in a path is no space", "/b/a+b", "/b/a%20b", "", no},
		{"encoded slash is a slash", "/b/a%2Fb", "/b/a/b", "", ok},
		{"encoded slash signed encoded", "/b/a%2Fb", "/b/a%2Fb", "", no},
		{"slashes are kept", "/b//d//e", "/b//d//e", "", ok},
		{"slashes are not cleaned", "/b//d//e", "/b/d/e", "", no},
		{"dots are kept", "/b/a/../b", "/b/a/../b", "", ok},
		{"dots are not cleaned", "/b/a/../b", "/b/b", "", no},
		{"needlessly encoded", "/b/%61", "/b/a", "", ok},
		{"encoded UTF-8", "/b/h%C3%A9", "/b/h%C3%A9", "", ok},
		{"bytes that are no UTF-8", "/b/%ff%fe", "/b/%FF%FE", "", ok},
		{"percent in a key", "/b/100%25", "/b/100%25", "", ok},
		{"root", "/", "/", "", ok},
		{"plus in a query is a space", "/b?prefix=a+b", "/b", "prefix=a%20b", ok},
		{"plus in a query is no plus", "/b?prefix=a+b", "/b", "prefix=a%2Bb", no},
		{"unsorted, without equals sign", "/b?prefix=x&acl", "/b", "acl=&prefix=x", ok},
		{"semicolon is data", "/b?prefix=a;b&x=1", "/b", "prefix=a%3Bb&x=1", ok},
		{"semicolon pair is not lost", "/b?prefix=a;b&x=1", "/b", "x=1", no},
		{"slash in a query is encoded", "/b?delimiter=/", "/b", "delimiter=%2F", ok},
		{"second equals sign is data", "/b?a=b=c", "/b", "a=b%3Dc", ok},
		{"empty pairs vanish", "/b?&a=1&&b=2&", "/b", "a=1&b=2", ok},
		{"repeated name sorts by value", "/b?a=2&a=1", "/b", "a=1&a=2", ok},
		{"names sort, not whole pairs", "/b?a-b=1&a=2", "/b", "a=2&a-b=1", ok},
		{"second question mark is data", "/b?a=x?y", "/b", "a=x%3Fy", ok},
		{"empty query", "/b?", "/b", "", ok},
		{"x-id is signed", "/b/k?x-id=GetObject", "/b/k", "x-id=GetObject", ok},
		{"parameter added on the way", "/b/k?versionId=1", "/b/k", "", no},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := simple(tc.uri).handSigned(tc.path, tc.query, simpleSigned, simpleValues(), emptyHash)
			q, err := sigv4.Parse(w.parse(t), testTime)
			if err == nil {
				err = q.Verify(testSecret)
			}
			if code(err) != tc.want {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestCanonicalHeaders(t *testing.T) {
	for _, tc := range []struct {
		name    string
		headers []string // sent beside the usual ones
		signed  map[string]string
		want    string
	}{
		{"blanks are trimmed and collapsed", []string{"X-Amz-Meta-A:   x    y  "}, map[string]string{"x-amz-meta-a": "x y"}, ""},
		{"blanks signed as sent", []string{"X-Amz-Meta-A: x    y"}, map[string]string{"x-amz-meta-a": "x    y"}, "SignatureDoesNotMatch"},
		{"repeated header", []string{"X-Amz-Meta-A: 1", "X-Amz-Meta-A: 2"}, map[string]string{"x-amz-meta-a": "1,2"}, ""},
		{"repeated header, order matters", []string{"X-Amz-Meta-A: 1", "X-Amz-Meta-A: 2"}, map[string]string{"x-amz-meta-a": "2,1"}, "SignatureDoesNotMatch"},
		{"raw UTF-8 value", []string{"X-Amz-Meta-A: hé"}, map[string]string{"x-amz-meta-a": "hé"}, ""},
		{"content type not signed", []string{"Content-Type: text/plain"}, nil, ""},
		{"range and agent not signed", []string{"Range: bytes=0-1", "User-Agent: x", "If-Match: *"}, nil, ""},
		{"user agent signed", []string{"User-Agent: java"}, map[string]string{"user-agent": "java"}, ""},
		{"expect signed", []string{"Expect: 100-continue"}, map[string]string{"expect": "100-continue"}, ""},
		{"content length signed", []string{"Content-Length: 3"}, map[string]string{"content-length": "3"}, ""},
		{"absent content length signed as nought", nil, map[string]string{"content-length": "0"}, ""},
		{"transfer encoding signed", []string{"Transfer-Encoding: chunked"}, map[string]string{"transfer-encoding": "chunked"}, ""},
		{"absent header signed as empty", nil, map[string]string{"x-amz-acl": ""}, ""},
		{"signed header removed", nil, map[string]string{"x-amz-acl": "private"}, "SignatureDoesNotMatch"},
		{"signed header changed", []string{"X-Amz-Acl: public-read"}, map[string]string{"x-amz-acl": "private"}, "SignatureDoesNotMatch"},
		{"forwarded host is nothing to us", []string{"X-Forwarded-Host: other"}, nil, ""},
		{"header of ours not signed", []string{"X-Amz-Copy-Source: /b/secret"}, nil, "AccessDenied"},
		{"header of ours, odd spelling, not signed", []string{"x-AMZ-tagging: a=b"}, nil, "AccessDenied"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, signed, values := simple("/b/k"), simpleSigned, simpleValues()
			w.headers = append(w.headers, tc.headers...)
			for name, v := range tc.signed {
				signed = append(append([]string{}, signed...), name)
				values[name] = v
			}
			w = w.handSigned("/b/k", "", sorted(signed), values, emptyHash)
			q, err := sigv4.Parse(w.parse(t), testTime)
			if err == nil {
				err = q.Verify(testSecret)
			}
			if code(err) != tc.want {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestUnsignedHeadersAreNamed(t *testing.T) {
	w := simple("/b/k").with("X-Amz-Tagging: a=b").with("X-Amz-Copy-Source: x/y")
	w = w.handSigned("/b/k", "", simpleSigned, simpleValues(), emptyHash)
	_, err := sigv4.Parse(w.parse(t), testTime)
	var e *sigv4.Error
	if !errors.As(err, &e) || e.Fields["HeadersNotSigned"] != "x-amz-copy-source, x-amz-tagging" {
		t.Errorf("got %+v", err)
	}
	w = simple("/b/k").handSigned("/b/k", "", simpleSigned[1:], simpleValues(), emptyHash)
	_, err = sigv4.Parse(w.parse(t), testTime)
	if !errors.As(err, &e) || e.Code != "AccessDenied" || e.Fields["HeadersNotSigned"] != "host" {
		t.Errorf("host unsigned: got %+v", err)
	}
}

func TestHostIsTheOneDialled(t *testing.T) {
	w := simple("/b/k").handSigned("/b/k", "", simpleSigned, simpleValues(), emptyHash)
	w.host = "evil.test:9000"
	if err := verifyErr(t, w, testTime); code(err) != "SignatureDoesNotMatch" {
		t.Errorf("other host: %v", err)
	}
	w.host, w.method = "s3.test:9000", "HEAD"
	if err := verifyErr(t, w, testTime); code(err) != "SignatureDoesNotMatch" {
		t.Errorf("other method: %v", err)
	}
}

func TestAuthorizationGrammar(t *testing.T) {
	const scope = "AK/20260304/eu-central-1/s3/aws4_request"
	const prefix = "AWS4-HMAC-SHA256 Credential="
	const rest = ", SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=00"
	for _, tc := range []struct{ name, value, code, text string }{
		{"no space", "invalid_header", "InvalidArgument", "one and only one ' ' (space) required"},
		{"other scheme", "AWS2-HMAC-SHA1 x=y", "InvalidArgument", "Unsupported Authorization Type"},
		{"bearer", "Bearer abc", "InvalidArgument", "Unsupported Authorization Type"},
		{"version 2", "AWS key:signature", "InvalidRequest", "Please use AWS4-HMAC-SHA256"},
		{"version 4A", "AWS4-ECDSA-P256-SHA256 Credential=x", "NotImplemented", "ECDSA"},
		{"two components", prefix + scope + ",Signature=00", "AuthorizationHeaderMalformed", "requires three components"},
		{"four components", prefix + scope + rest + ", Signature=01", "AuthorizationHeaderMalformed", "requires three components"},
		{"component without equals sign", prefix + scope + ",SignedHeaders-host,Signature=00", "AuthorizationHeaderMalformed", `the authorization component "SignedHeaders-host" is malformed.`},
		{"no credential", "AWS4-HMAC-SHA256 Cred=" + scope + rest, "AuthorizationHeaderMalformed", "missing Credential."},
		{"no signed headers", prefix + scope + ",Signed=host,Signature=00", "AuthorizationHeaderMalformed", "missing SignedHeaders."},
		{"no signature", prefix + scope + ",SignedHeaders=host,Sig=00", "AuthorizationHeaderMalformed", "missing Signature."},
		{"empty signature", prefix + scope + ",SignedHeaders=host,Signature=", "AuthorizationHeaderMalformed", "missing Signature."},
		{"four parts", prefix + "20260304/eu-central-1/s3/aws4_request" + rest, "AuthorizationHeaderMalformed", "the Credential is mal-formed"},
		{"six parts, none ours", prefix + "access/32234/us-east-1/s3/extra/things" + rest, "AuthorizationHeaderMalformed", "the Credential is mal-formed"},
		{"empty access key", prefix + "/20260304/eu-central-1/s3/aws4_request" + rest, "AuthorizationHeaderMalformed", "the Credential is mal-formed"},
		{"empty region", prefix + "AK/20260304//s3/aws4_request" + rest, "AuthorizationHeaderMalformed", "the Credential is mal-formed"},
		{"other terminal", prefix + "AK/20260304/eu-central-1/s3/aws_request" + rest, "AuthorizationHeaderMalformed", `incorrect terminal "aws_request"`},
		{"other service", prefix + "AK/20260304/eu-central-1/ec2/aws4_request" + rest, "AuthorizationHeaderMalformed", `incorrect service "ec2"`},
		{"long date", prefix + "AK/3223423234/eu-central-1/s3/aws4_request" + rest, "AuthorizationHeaderMalformed", `incorrect date format "3223423234"`},
		{"no date", prefix + "AK/20261304/eu-central-1/s3/aws4_request" + rest, "AuthorizationHeaderMalformed", "incorrect date format"},
		{"other day", prefix + "AK/20260303/eu-central-1/s3/aws4_request" + rest, "AuthorizationHeaderMalformed", "Date is not the same as X-Amz-Date."},
		{"repeated signed header", prefix + scope + ",SignedHeaders=host;host,Signature=00", "AuthorizationHeaderMalformed", "repeated name"},
		{"empty signed header", prefix + scope + ",SignedHeaders=host;;x-amz-date,Signature=00", "AuthorizationHeaderMalformed", "empty or repeated"},
		{"well formed", prefix + scope + rest, "SignatureDoesNotMatch", "does not match"},
		{"none", "", "AccessDenied", "Access Denied."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := verifyErr(t, simple("/b/k").replace("Authorization", tc.value), testTime)
			if code(err) != tc.code || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v, want %s: %s", err, tc.code, tc.text)
			}
		})
	}
}

func TestAuthorizationSpellings(t *testing.T) {
	w := simple("/b/k").handSigned("/b/k", "", simpleSigned, simpleValues(), emptyHash)
	value := w.parse(t).Header.Get("Authorization")
	for name, v := range map[string]string{
		"as SDKs write it":       value,
		"s3cmd: no blanks":       strings.ReplaceAll(value, ", ", ","),
		"more blanks":            strings.ReplaceAll(strings.ReplaceAll(value, ", ", " ,  "), "256 Cred", "256   Cred"),
		"names unsorted":         strings.Replace(value, "host;x-amz-content-sha256;x-amz-date", "x-amz-date;host;x-amz-content-sha256", 1),
		"names in capitals":      strings.Replace(value, "host;x-amz-content-sha256;x-amz-date", "Host;X-Amz-Content-SHA256;X-Amz-Date", 1),
		"access key with slash":  strings.Replace(value, testKey+"/", "AK/with/slash/", 1),
		"access key with equals": strings.Replace(value, testKey+"/", "AK==/", 1),
	} {
		q, err := sigv4.Parse(w.replace("Authorization", v).parse(t), testTime)
		if err == nil {
			err = q.Verify(testSecret) // the access key itself is not part of what is signed
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(name, "slash") && q.AccessKeyID != "AK/with/slash" {
			t.Errorf("%s: access key %q", name, q.AccessKeyID)
		}
	}
}

func TestMixedCredentials(t *testing.T) {
	const v4 = "X-Amz-Signature=0"
	const v2 = "AWSAccessKeyId=a&Signature=b&Expires=1"
	for _, tc := range []struct {
		name, uri string
		headers   []string
		want      string
	}{
		{"presigned", "/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=c&" + v4, nil, "AuthorizationQueryParametersError"},
		{"presigned, one parameter, odd spelling", "/b/k?x-amz%2DSIGNATURE=0", nil, "AuthorizationQueryParametersError"},
		{"presigned version 2", "/b/k?" + v2, nil, "InvalidRequest"},
		{"presigned twice", "/b/k?" + v4 + "&" + v2, nil, "InvalidRequest"},
		{"header and presigned", "/b/k?" + v4, []string{"Authorization: AWS4-HMAC-SHA256 x"}, "InvalidRequest"},
		{"header and version 2", "/b/k?" + v2, []string{"Authorization: AWS4-HMAC-SHA256 x"}, "InvalidRequest"},
		{"bearer and presigned", "/b/k?" + v4, []string{"Authorization: Bearer x"}, "InvalidRequest"},
		{"two headers", "/b/k", []string{"Authorization: AWS4-HMAC-SHA256 x", "Authorization: AWS4-HMAC-SHA256 x"}, "InvalidRequest"},
		{"neither", "/b/k?uploads", nil, "AccessDenied"},
	} {
		w := simple(tc.uri)
		w.headers = append(w.headers, tc.headers...)
		if err := verifyErr(t, w, testTime); code(err) != tc.want {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
	}
}

func TestTimes(t *testing.T) {
	signed := simple("/b/k").handSigned("/b/k", "", simpleSigned, simpleValues(), emptyHash)
	for _, tc := range []struct {
		name   string
		offset time.Duration
		want   string
	}{
		{"now", 0, ""},
		{"14 minutes old", 14 * time.Minute, ""},
		{"15 minutes old", 15 * time.Minute, ""},
		{"16 minutes old", 16 * time.Minute, "RequestTimeTooSkewed"},
		{"14 minutes ahead", -14 * time.Minute, ""},
		{"16 minutes ahead", -16 * time.Minute, "RequestTimeTooSkewed"},
	} {
		if err := verifyErr(t, signed, testTime.Add(tc.offset)); code(err) != tc.want {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
	for _, value := range []string{"", "03032006", "20260304T050607.5Z", "Wed, 04 Mar 2026 05:06:07 GMT", "20260304T050607Z, 20260304T050607Z"} {
		w := signed.replace("X-Amz-Date", value)
		if value == "" {
			w = w.with("X-Amz-Date:")
		}
		if err := verifyErr(t, w, testTime); code(err) != "AccessDenied" {
			t.Errorf("x-amz-date %q: got %v, want AccessDenied", value, err)
		}
	}
}

func TestSkewTellsTheTimes(t *testing.T) {
	signed := simple("/b/k").handSigned("/b/k", "", simpleSigned, simpleValues(), emptyHash)
	var e *sigv4.Error
	err := verifyErr(t, signed, testTime.Add(time.Hour))
	if !errors.As(err, &e) || e.Fields["RequestTime"] != "20260304T050607Z" || e.Fields["ServerTime"] != "2026-03-04T06:06:07Z" ||
		e.Fields["MaxAllowedSkewMilliseconds"] != "900000" {
		t.Errorf("got %+v", err)
	}
}

func TestDateHeaderInstead(t *testing.T) {
	for _, date := range []string{"Wed, 04 Mar 2026 05:06:07 GMT", "20260304T050607Z"} {
		values := simpleValues()
		values["date"] = date
		w := simple("/b/k").replace("X-Amz-Date", "").with("Date: " + date)
		w = w.handSigned("/b/k", "", []string{"date", "host", "x-amz-content-sha256"}, values, emptyHash)
		if err := verifyErr(t, w, testTime); err != nil {
			t.Errorf("%s: %v", date, err)
		}
	}
	if err := verifyErr(t, simple("/b/k").replace("X-Amz-Date", "").with("Date: yesterday").
		with("Authorization: AWS4-HMAC-SHA256 Credential=a/20260304/r/s3/aws4_request,SignedHeaders=host,Signature=0"), testTime); code(err) != "AccessDenied" {
		t.Errorf("got %v", err)
	}
}

func TestPayloadHeader(t *testing.T) {
	for _, tc := range []struct{ value, want string }{
		{"", "InvalidRequest"},
		{"garbage", "InvalidArgument"},
		{emptyHash[1:], "InvalidArgument"},
		{emptyHash[1:] + "g", "InvalidArgument"},
		{"unsigned-payload", "InvalidArgument"},
		{"STREAMING-UNSIGNED-PAYLOAD", "InvalidArgument"},
		{"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "NotImplemented"},
		{"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER", "NotImplemented"},
		{"UNSIGNED-PAYLOAD", ""},
		{strings.ToUpper(emptyHash), ""},
	} {
		w, values, signed := simple("/b/k").replace("X-Amz-Content-Sha256", tc.value), simpleValues(), simpleSigned
		values["x-amz-content-sha256"] = tc.value
		w = w.handSigned("/b/k", "", signed, values, tc.value)
		if err := verifyErr(t, w, testTime); code(err) != tc.want {
			t.Errorf("%q: got %v, want %q", tc.value, err, tc.want)
		}
	}
	w := simple("/b/k").with("X-Amz-Content-Sha256: UNSIGNED-PAYLOAD").
		handSigned("/b/k", "", simpleSigned, simpleValues(), emptyHash)
	if err := verifyErr(t, w, testTime); code(err) != "InvalidArgument" {
		t.Errorf("two payload headers: %v", err)
	}
}

func TestTargets(t *testing.T) {
	for _, uri := range []string{"http://other.test/b/k", "*", ""} {
		r := simple("/b/k").handSigned("/b/k", "", simpleSigned, simpleValues(), emptyHash).parse(t)
		r.RequestURI = uri
		if _, err := sigv4.Parse(r, testTime); code(err) != "InvalidURI" {
			t.Errorf("target %q: got %v", uri, err)
		}
	}
	for _, uri := range []string{"/b/k?a=%zz", "/b/k?a=%", "/b/k?%4=1", "/b/%k", "/b/k%f"} {
		r := simple("/b/k").handSigned("/b/k", "", simpleSigned, simpleValues(), emptyHash).parse(t)
		r.RequestURI = uri // net/http itself refuses some of these
		if _, err := sigv4.Parse(r, testTime); code(err) != "InvalidURI" {
			t.Errorf("target %q: got %v", uri, err)
		}
	}
}

func TestRequestFields(t *testing.T) {
	values := simpleValues()
	values["x-amz-security-token"] = "tok"
	w := simple("/b/k").with("X-Amz-Security-Token: tok").
		handSigned("/b/k", "", append(append([]string{}, simpleSigned...), "x-amz-security-token"), values, emptyHash)
	q := verified(t, w.parse(t), testTime, testSecret)
	if q.AccessKeyID != testKey || !q.Time.Equal(testTime) || q.Region != testRegion || q.Mode != sigv4.Literal ||
		q.PayloadHash != emptyHash || q.PayloadSum[0] != 0xe3 || q.SessionToken != "tok" || len(q.SignedHeaders) != 4 || len(q.Signature) != 64 {
		t.Errorf("got %+v", q)
	}
}

// TestMutationsNeverPass changes every byte of a signed request, one at a time.
func TestMutationsNeverPass(t *testing.T) {
	w := simple("/bucket/key?prefix=a&x=1").with("X-Amz-Meta-Name: value").with("Range: bytes=0-9")
	values := simpleValues()
	values["x-amz-meta-name"], values["range"] = "value", "bytes=0-9"
	signed := []string{"host", "range", "x-amz-content-sha256", "x-amz-date", "x-amz-meta-name"}
	w = w.handSigned("/bucket/key", "prefix=a&x=1", signed, values, emptyHash)
	if err := verifyErr(t, w, testTime); err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	r := w.parse(t)
	r.RequestURI, r.URL.Host, r.URL.Scheme = "", w.host, "http"
	if err := r.Write(&raw); err != nil { // net/http's spelling of the same
		t.Fatal(err)
	}
	if !passes(readRequest(raw.Bytes())) {
		t.Fatalf("does not pass unchanged:\n%s", raw.Bytes())
	}
	for i := range raw.Len() {
		for _, flip := range []byte{1, 2, 0x10} {
			b := bytes.Clone(raw.Bytes())
			b[i] ^= flip
			if r := readRequest(b); r != nil && passes(r) && !harmless(raw.Bytes(), i) {
				t.Fatalf("byte %d changed from %q to %q passes:\n%s", i, raw.Bytes()[i], b[i], b)
			}
		}
	}
}

// harmless tells the bytes that no signature covers: the protocol version, the
// access key (which chooses the secret), and a User-Agent that nobody signed.
func harmless(raw []byte, i int) bool {
	line := raw[bytes.LastIndexByte(raw[:i], '\n')+1:]
	line = line[:bytes.IndexByte(line, '\n')]
	at := i - bytes.Index(raw, line)
	switch {
	case bytes.HasPrefix(line, []byte("GET ")):
		return at > bytes.LastIndexByte(line, ' ')
	case bytes.HasPrefix(line, []byte("Authorization")):
		key := bytes.Index(line, []byte(testKey))
		return at >= key && at < key+len(testKey)
	}
	return bytes.HasPrefix(line, []byte("User-Agent"))
}

func passes(r *http.Request) bool {
	q, err := sigv4.Parse(r, testTime)
	return err == nil && q.Verify(testSecret) == nil
}

func verifyErr(t testing.TB, w wire, now time.Time) error {
	t.Helper()
	q, err := sigv4.Parse(w.parse(t), now)
	if err == nil {
		err = q.Verify(testSecret)
	}
	return err
}

func TestMismatchExplainsItself(t *testing.T) {
	w := simple("/b/k").handSigned("/b/k", "", simpleSigned, simpleValues(), emptyHash)
	q, err := sigv4.Parse(w.parse(t), testTime)
	if err != nil {
		t.Fatal(err)
	}
	var e *sigv4.Error
	if err := q.Verify("wrong"); !errors.As(err, &e) {
		t.Fatal(err)
	}
	if e.Fields["AWSAccessKeyId"] != testKey || e.Fields["SignatureProvided"] != q.Signature ||
		!strings.HasPrefix(e.Fields["StringToSign"], "AWS4-HMAC-SHA256\n20260304T050607Z\n20260304/eu-central-1/s3/aws4_request\n") ||
		!strings.HasPrefix(e.Fields["CanonicalRequest"], "GET\n/b/k\n\nhost:s3.test:9000\n") ||
		!strings.HasPrefix(e.Fields["CanonicalRequestBytes"], "47 45 54 0a 2f ") {
		t.Errorf("got %+v", e.Fields)
	}
	if strings.Contains(e.Error(), "s3.test") {
		t.Errorf("the log line %q echoes the request", e.Error())
	}
}

// TestOverTheWire verifies inside of a real server, where net/http has taken
// some headers away.
func TestOverTheWire(t *testing.T) {
	signer := sigv4.NewSigner(testKey, testSecret, testRegion)
	verdict := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		q, err := sigv4.Parse(r, testTime)
		if err == nil {
			err = q.Verify(testSecret)
		}
		verdict <- err
	}))
	defer server.Close()
	const path, query = "/b/a%20b+c%2F%C3%A9!//..", "list-type=2&prefix=a%3Bb&x"
	r, err := http.NewRequest("PUT", server.URL, strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Opaque, r.URL.RawQuery = path, query
	r.Header["x-amz-meta-lower"] = []string{" a  b "}
	r.Header.Set("Content-Type", "text/plain")
	r.Header.Set("Expect", "100-continue")
	r.Header.Set("Accept-Encoding", "gzip")
	signer.Sign(r, path, query, sigv4.Unsigned.String(), testTime)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := <-verdict; err != nil {
		t.Error(err)
	}
}
