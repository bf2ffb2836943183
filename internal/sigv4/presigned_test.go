package sigv4_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	miniosigner "github.com/minio/minio-go/v7/pkg/signer"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// presign is a request for the target with a URL that is good for an hour, and
// the headers "Name: value" signed.
func presign(t testing.TB, method, path, query string, headers ...string) wire {
	t.Helper()
	r := &http.Request{Method: method, Host: "s3.test:9000", Header: http.Header{}}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	signed := sigv4.NewSigner(testKey, testSecret, testRegion).Presign(r, path, query, time.Hour, testTime)
	return wire{method, path + "?" + signed, "s3.test:9000", headers}
}

// swap changes one parameter of the URL, or takes it away when value is empty.
func (w wire) swap(name, value string) wire {
	path, query, _ := strings.Cut(w.uri, "?")
	var kept []string
	for _, p := range strings.Split(query, "&") {
		switch n, _, _ := strings.Cut(p, "="); {
		case n != name:
			kept = append(kept, p)
		case value != "":
			kept = append(kept, name+"="+sigv4.EscapeQuery(value))
		}
	}
	w.uri = path + "?" + strings.Join(kept, "&")
	return w
}

// TestDocumentedPresignedURL is the example of AWS's documentation.
func TestDocumentedPresignedURL(t *testing.T) {
	const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	at := time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
	r := &http.Request{Method: "GET", Host: "examplebucket.s3.amazonaws.com", Header: http.Header{}}
	got := sigv4.NewSigner("AKIAIOSFODNN7EXAMPLE", secret, "us-east-1").Presign(r, "/test.txt", "", 24*time.Hour, at)
	const want = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
		"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
		"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	verified(t, wire{"GET", "/test.txt?" + want, r.Host, nil}.parse(t), at.Add(24*time.Hour), secret)
}

func TestPresignedRoundTrip(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "POST"} {
		w := presign(t, method, "/b/a%20b+c", "uploads&prefix=x+y&response-content-type=a%2Fb", "X-Amz-Meta-A: one   two", "Content-MD5: x")
		q := verified(t, w.parse(t), testTime, testSecret)
		if !q.Presigned || q.Mode != sigv4.Unsigned || q.PayloadHash != "UNSIGNED-PAYLOAD" || q.AccessKeyID != testKey || q.SessionToken != "" {
			t.Errorf("%s: %+v", method, q)
		}
	}
	if q := verified(t, simple("/b/k").handSigned("/b/k", "", simpleSigned, simpleValues(), emptyHash).parse(t), testTime, testSecret); q.Presigned {
		t.Error("a signed header counts as presigned")
	}
}

// TestVerifiesWhatTheSDKPresigns: the SDK moves x-amz-* headers into the query.
func TestVerifiesWhatTheSDKPresigns(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	creds := aws.Credentials{AccessKeyID: testKey, SecretAccessKey: string(testSecret)}
	for range 500 {
		r := randomRequest(t, rng)
		r.Header.Del("X-Amz-Content-Sha256")
		r.URL.RawQuery += "&X-Amz-Expires=" + fmt.Sprint(1+rng.IntN(604800))
		uri, signed, err := signer.PresignHTTP(context.Background(), creds, r, "UNSIGNED-PAYLOAD", "s3", testRegion, testTime)
		if err != nil {
			t.Fatal(err)
		}
		used, err := http.NewRequest(r.Method, uri, nil)
		if err != nil {
			t.Fatal(err)
		}
		used.Header = signed
		verified(t, received(t, used), testTime.Add(time.Second), testSecret)
	}
}

// TestPresignsAsTheSDK makes the same URL twice.
func TestPresignsAsTheSDK(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	theirs := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping, o.DisableHeaderHoisting = true, true })
	ours := sigv4.NewSigner(testKey, testSecret, testRegion)
	creds := aws.Credentials{AccessKeyID: testKey, SecretAccessKey: string(testSecret)}
	for range 500 {
		r := randomRequest(t, rng)
		query := ours.Presign(r, r.URL.EscapedPath(), r.URL.RawQuery, 90*time.Second, testTime)
		r.URL.RawQuery += "&X-Amz-Expires=90"
		uri, _, err := theirs.PresignHTTP(context.Background(), creds, r, "UNSIGNED-PAYLOAD", "s3", testRegion, testTime)
		if err != nil {
			t.Fatal(err)
		}
		_, theirQuery, _ := strings.Cut(uri, "?")
		if got, want := sigv4.CanonicalQuery(query), sigv4.CanonicalQuery(theirQuery); got != want {
			t.Fatalf("%s\ngot  %s\nwant %s", r.URL.EscapedPath(), got, want)
		}
	}
}

func TestVerifiesWhatMinioPresigns(t *testing.T) {
	for _, query := range []string{"", "prefix=a%2Fb&uploads=", "response-content-type=text%2Fplain"} {
		r := outgoing(t, "GET", "/b/a%20b%2Bc", query, nil)
		r.Header.Set("X-Amz-Meta-A", "b")
		r = miniosigner.PreSignV4(*r, testKey, string(testSecret), "", testRegion, 60)
		q := verified(t, received(t, r), time.Now(), testSecret)
		if !q.Presigned {
			t.Error("not presigned")
		}
	}
}

func TestPresignedRefusals(t *testing.T) {
	good := presign(t, "PUT", "/b/k", "", "X-Amz-Meta-A: b")
	const query, denied, mismatch = "AuthorizationQueryParametersError", "AccessDenied", "SignatureDoesNotMatch"
	scope := "/20260304/" + testRegion + "/s3/aws4_request"
	add := func(s string) wire { w := good; w.uri += s; return w }
	other := func(change func(w *wire)) wire { w := good; change(&w); return w }
	for _, tc := range []struct {
		name string
		w    wire
		want string
		text string // in the message
	}{
		{"as signed", good, "", ""},
		{"no algorithm", good.swap("X-Amz-Algorithm", ""), query, "requires the"},
		{"no credential", good.swap("X-Amz-Credential", ""), query, "requires the"},
		{"no date", good.swap("X-Amz-Date", ""), query, "requires the"},
		{"no expires", good.swap("X-Amz-Expires", ""), query, "requires the"},
		{"no signed headers", good.swap("X-Amz-SignedHeaders", ""), query, "requires the"},
		{"no signature", good.swap("X-Amz-Signature", ""), query, "requires the"},
		{"other spelling", other(func(w *wire) { w.uri = strings.Replace(w.uri, "X-Amz-Expires", "x-amz-expires", 1) }), query, "requires the"},
		{"repeated", add("&X-Amz-Expires=3600"), query, "X-Amz-Expires parameter must not be repeated"},
		{"repeated in another spelling", add("&x-amz-SIGNATURE=0"), query, "X-Amz-Signature parameter"},
		{"repeated in hiding", add("&X-Amz-Dat%65=20260304T050607Z"), query, "X-Amz-Date parameter"},
		{"algorithm", good.swap("X-Amz-Algorithm", "AWS4-HMAC-MD5"), query, "only supports \"AWS4-HMAC-SHA256 and AWS4-ECDSA"},
		{"SigV4A", good.swap("X-Amz-Algorithm", "AWS4-ECDSA-P256-SHA256"), query, "only supports \"AWS4-HMAC-SHA256\""},
		{"short credential", good.swap("X-Amz-Credential", testKey), query, "mal-formed"},
		{"service", good.swap("X-Amz-Credential", testKey+"/20260304/r/sns/aws4_request"), query, `incorrect service "sns"`},
		{"terminal", good.swap("X-Amz-Credential", testKey+"/20260304/r/s3/aws5_request"), query, `incorrect terminal "aws5_request"`},
		{"scope date", good.swap("X-Amz-Credential", testKey+"/32234Z34/r/s3/aws4_request"), query, "incorrect date format"},
		{"other scope date", good.swap("X-Amz-Credential", testKey+"/20060102/r/s3/aws4_request"), query, `Invalid credential date "20060102"`},
		{"date", good.swap("X-Amz-Date", "Wed, 04 Mar 2026 05:06:07 GMT"), query, "ISO8601"},
		{"expires word", good.swap("X-Amz-Expires", "soon"), query, "should be a number"},
		{"expires fraction", good.swap("X-Amz-Expires", "1.5"), query, "should be a number"},
		{"expires huge", good.swap("X-Amz-Expires", "99999999999999999999"), query, "should be a number"},
		{"expires negative", good.swap("X-Amz-Expires", "-1"), query, "non-negative"},
		{"more than a week", good.swap("X-Amz-Expires", "604801"), query, "less than a week"},
		{"signed headers repeated", good.swap("X-Amz-SignedHeaders", "host;host;x-amz-meta-a"), query, "repeated name"},
		{"payload word", add("&X-Amz-Content-Sha256=nonsense"), "InvalidArgument", ""},
		{"longer than signed", good.swap("X-Amz-Expires", "604800"), mismatch, ""},
		{"other key", good.swap("X-Amz-Credential", testKey+"X"+scope), mismatch, ""},
		{"region", good.swap("X-Amz-Credential", testKey+"/20260304/other/s3/aws4_request"), mismatch, ""},
		{"signature in capitals", other(func(w *wire) {
			head, sig, _ := strings.Cut(w.uri, "X-Amz-Signature=")
			w.uri = head + "X-Amz-Signature=" + strings.ToUpper(sig)
		}), mismatch, ""},
		{"parameter added", add("&versionId=x"), mismatch, ""},
		{"parameter added before", other(func(w *wire) { w.uri = strings.Replace(w.uri, "?", "?acl&", 1) }), mismatch, ""},
		{"payload hash added", add("&X-Amz-Content-Sha256=" + emptyHash), mismatch, ""},
		{"other method", other(func(w *wire) { w.method = "DELETE" }), mismatch, ""},
		{"other object", other(func(w *wire) { w.uri = strings.Replace(w.uri, "/b/k?", "/b/k2?", 1) }), mismatch, ""},
		{"other bucket", other(func(w *wire) { w.uri = strings.Replace(w.uri, "/b/k?", "/c/k?", 1) }), mismatch, ""},
		{"other host", other(func(w *wire) { w.host = "s3.test" }), mismatch, ""},
		{"other metadata", good.replace("X-Amz-Meta-A", "c"), mismatch, ""},
		{"metadata left out", good.replace("X-Amz-Meta-A", ""), mismatch, ""},
		{"copy source added", good.with("X-Amz-Copy-Source: /b/secret"), denied, "not signed"},
		{"tagging added", good.with("X-Amz-Tagging: a=b"), denied, "not signed"},
		{"payload mode added", good.with("X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER"), denied, "not signed"},
		{"token added", good.with("X-Amz-Security-Token: t"), denied, "not signed"},
		{"digest added", good.with("Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg=="), denied, "not signed"},
		{"type added", good.with("Content-Type: text/plain"), "", ""},
		{"range added", good.with("Range: bytes=0-1"), "", ""},
		{"header too", good.with("Authorization: AWS4-HMAC-SHA256 x"), "InvalidRequest", "Only one auth"},
		{"version 2 too", add("&AWSAccessKeyId=a"), "InvalidRequest", "Only one auth"},
	} {
		err := verifyErr(t, tc.w, testTime)
		if code(err) != tc.want || err != nil && !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: got %v, want %q with %q", tc.name, err, tc.want, tc.text)
		}
	}
}

func TestHostMustBeSigned(t *testing.T) {
	w := presign(t, "GET", "/b/k", "").swap("X-Amz-SignedHeaders", "range")
	var e *sigv4.Error
	if err := verifyErr(t, w, testTime); !errors.As(err, &e) || e.Code != "AccessDenied" || e.Fields["HeadersNotSigned"] != "host" {
		t.Errorf("got %v", err)
	}
}

func TestLifeOfAPresignedURL(t *testing.T) {
	w := presign(t, "GET", "/b/k", "")
	for _, tc := range []struct {
		after time.Duration
		want  string
	}{
		{-16 * time.Minute, "AccessDenied: Request is not valid yet."},
		{-15 * time.Minute, ""},
		{0, ""},
		{20 * time.Minute, ""}, // older than any skew
		{time.Hour, ""},
		{time.Hour + time.Second, "AccessDenied: Request has expired."},
	} {
		got := ""
		err := verifyErr(t, w, testTime.Add(tc.after))
		if err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("after %v: %q, want %q", tc.after, got, tc.want)
		}
	}
	var e *sigv4.Error
	if err := verifyErr(t, w, testTime.Add(2*time.Hour)); !errors.As(err, &e) || e.Fields["X-Amz-Expires"] != "3600" ||
		e.Fields["Expires"] != "2026-03-04T06:06:07Z" || e.Fields["ServerTime"] != "2026-03-04T07:06:07Z" {
		t.Errorf("got %+v", e)
	}
}

// TestPresignedPayload: what the signer said of the body counts, wherever.
func TestPresignedPayload(t *testing.T) {
	hash := hexSum([]byte("body"))
	for name, w := range map[string]wire{
		"header": presign(t, "PUT", "/b/k", "", "X-Amz-Content-Sha256: "+hash),
		"both":   presign(t, "PUT", "/b/k", "X-Amz-Content-Sha256=UNSIGNED-PAYLOAD", "X-Amz-Content-Sha256: "+hash),
	} {
		if q := verified(t, w.parse(t), testTime, testSecret); q.Mode != sigv4.Literal || q.PayloadHash != hash {
			t.Errorf("%s: %v, %s", name, q.Mode, q.PayloadHash)
		}
	}
	theirs := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	r := outgoing(t, "PUT", "/b/k", "X-Amz-Expires=60&X-Amz-Content-Sha256="+hash, nil) // as the SDK for JavaScript has it
	uri, _, err := theirs.PresignHTTP(context.Background(), aws.Credentials{AccessKeyID: testKey, SecretAccessKey: string(testSecret)}, r, hash, "s3", testRegion, testTime)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	if q := verified(t, wire{"PUT", u.RequestURI(), u.Host, nil}.parse(t), testTime, testSecret); q.Mode != sigv4.Literal || q.PayloadHash != hash {
		t.Errorf("parameter: %v, %s", q.Mode, q.PayloadHash)
	}
}

func TestPresignedToken(t *testing.T) {
	for name, w := range map[string]wire{
		"parameter": presign(t, "GET", "/b/k", "X-Amz-Security-Token=tok"),
		"header":    presign(t, "GET", "/b/k", "", "X-Amz-Security-Token: tok"),
	} {
		if q := verified(t, w.parse(t), testTime, testSecret); q.SessionToken != "tok" {
			t.Errorf("%s: %q", name, q.SessionToken)
		}
	}
}

// TestPresignedMutationsNeverPass changes every byte of the URL.
func TestPresignedMutationsNeverPass(t *testing.T) {
	w := presign(t, "GET", "/bucket/key", "prefix=a&x=1", "X-Amz-Meta-A: b")
	for i := range len(w.uri) {
		for _, flip := range []byte{1, 0x20, 0x80} {
			m := w
			m.uri = w.uri[:i] + string(w.uri[i]^flip) + w.uri[i+1:]
			r := &http.Request{Method: m.method, Host: m.host, RequestURI: m.uri, Header: http.Header{"X-Amz-Meta-A": {"b"}}}
			if q, err := sigv4.Parse(r, testTime); err == nil && q.Verify(testSecret) == nil && !sameTarget(w.uri, m.uri) {
				t.Errorf("passes: %q", m.uri)
			}
		}
	}
}

// sameTarget tells whether two targets say the same in other words: hex digits
// of an escape in the other case.
func sameTarget(a, b string) bool {
	pathA, queryA, _ := strings.Cut(a, "?")
	pathB, queryB, _ := strings.Cut(b, "?")
	pa, errA := sigv4.DecodePath(pathA)
	pb, errB := sigv4.DecodePath(pathB)
	return errA == nil && errB == nil && pa == pb && sigv4.CanonicalQuery(queryA) == sigv4.CanonicalQuery(queryB)
}

func TestPresignPanics(t *testing.T) {
	for _, d := range []time.Duration{0, -time.Second, time.Millisecond, sigv4.MaxExpires + time.Second} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%v is taken", d)
				}
			}()
			sigv4.NewSigner(testKey, testSecret, testRegion).Presign(&http.Request{Host: "h", Header: http.Header{}}, "/", "", d, testTime)
		}()
	}
}
