package sigv4_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

const (
	v2Key    = "AKID:with/colons"
	v2Secret = "a secret of version 2"
)

// v2Time is when everything is signed: Signature Version 2 of minio-go takes the
// clock's time, so that the tests do too.
func v2Time() time.Time { return time.Now() }

// received is the request as a server has it.
func receivedV2(r *http.Request) *http.Request {
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	in.Host = r.URL.Host
	in.URL = nil
	return in
}

func verifyV2(r *http.Request, bucket string, now time.Time) error {
	if !sigv4.IsV2(r) {
		return errors.New("not version 2")
	}
	q, err := sigv4.ParseV2(r, bucket, now)
	if err != nil {
		return err
	}
	if q.AccessKeyID != v2Key || q.Mode != sigv4.Unsigned {
		return fmt.Errorf("parsed %+v", q)
	}
	if err := sigv4.NewKeyring("decoy").Verify(q, "another secret"); err == nil {
		return errors.New("another secret will do")
	}
	return sigv4.NewKeyring("decoy").Verify(q, v2Secret)
}

// v2Requests are what minio-go signs; its signer is another one than ours.
func v2Requests(t testing.TB) map[string]*http.Request {
	all := map[string]*http.Request{}
	for name, c := range map[string]struct {
		method, target string
		header         map[string]string
	}{
		"get":           {"GET", "http://localhost:9000/photos/a.txt", nil},
		"escaped":       {"GET", "http://localhost:9000/photos/a%20b%2Bc", nil},
		"list":          {"GET", "http://localhost:9000/photos/?prefix=a%2Fb&delimiter=%2F", nil},
		"sub-resource":  {"GET", "http://localhost:9000/photos/?location=", nil},
		"two of them":   {"PUT", "http://localhost:9000/photos/k?uploadId=u&partNumber=2", nil},
		"override":      {"GET", "http://localhost:9000/photos/k?response-content-type=text%2Fplain", nil},
		"put":           {"PUT", "http://localhost:9000/photos/k", map[string]string{"Content-Type": "text/plain", "X-Amz-Meta-A": "b", "X-Amz-Acl": "private"}},
		"with checksum": {"PUT", "http://localhost:9000/photos/k", map[string]string{"Content-Md5": "1B2M2Y8AsgTpgAmY7PhCfg=="}},
	} {
		r, err := http.NewRequest(c.method, c.target, nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range c.header {
			r.Header.Set(k, v)
		}
		all["header of "+name] = receivedV2(signer.SignV2(*r.Clone(t.Context()), v2Key, v2Secret, false))
		all["URL of "+name] = receivedV2(signer.PreSignV2(*r.Clone(t.Context()), v2Key, v2Secret, 600, false))
	}
	return all
}

func TestV2OfMinioGo(t *testing.T) {
	for name, r := range v2Requests(t) {
		if err := verifyV2(r, "", v2Time()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, _ := http.NewRequest("GET", "http://photos.s3.test/k", nil)
	signed := receivedV2(signer.PreSignV2(*r, v2Key, v2Secret, 600, true))
	if err := verifyV2(signed, "photos", v2Time()); err != nil {
		t.Errorf("virtual host: %v", err)
	}
	if err := verifyV2(signed, "other", v2Time()); err == nil {
		t.Error("the URL is good for another bucket")
	}
}

// TestV2OfABucket: botocore sends /photos and signs /photos/.
func TestV2OfABucket(t *testing.T) {
	for target, code := range map[string]string{"/photos?prefix=a": "", "/photos?location": "", "/photos/k": "SignatureDoesNotMatch", "/photo": "SignatureDoesNotMatch"} {
		sub := ""
		if strings.HasSuffix(target, "location") {
			sub = "?location"
		}
		text := "GET\n\n\n99999999999\n/photos/" + sub
		sep := "?"
		if strings.Contains(target, "?") {
			sep = "&"
		}
		query := "AWSAccessKeyId=" + url.QueryEscape(v2Key) + "&Expires=99999999999&Signature=" + url.QueryEscape(sigv4.SignTextV2(v2Secret, text))
		err := verifyV2(&http.Request{Method: "GET", RequestURI: target + sep + query, Header: http.Header{}}, "", v2Time())
		var refusal *sigv4.Error
		if code == "" && err != nil || code != "" && (!errors.As(err, &refusal) || refusal.Code != code) {
			t.Errorf("%s: %v", target, err)
		}
	}
}

// TestV2HeaderSentAsSigned: botocore writes the x-amz headers of a URL into its query, and who uses
// the URL sends them once more, or not.
func TestV2HeaderSentAsSigned(t *testing.T) {
	text := "PUT\n\n\n99999999999\nx-amz-meta-a:1\n/photos/k"
	target := "/photos/k?x-amz-meta-a=1&AWSAccessKeyId=" + url.QueryEscape(v2Key) + "&Expires=99999999999&Signature=" + url.QueryEscape(sigv4.SignTextV2(v2Secret, text))
	for value, good := range map[string]bool{"": true, "1": true, "2": false} {
		r := &http.Request{Method: "PUT", RequestURI: target, Header: http.Header{}}
		if value != "" {
			r.Header.Set("X-Amz-Meta-A", value)
		}
		if err := verifyV2(r, "", v2Time()); (err == nil) != good {
			t.Errorf("%q: %v", value, err)
		}
	}
}

// TestV2CoversWhatMatters: whatever is changed afterwards is noticed.
func TestV2CoversWhatMatters(t *testing.T) {
	changes := map[string]func(r *http.Request){
		"method":      func(r *http.Request) { r.Method = "DELETE" },
		"path":        func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "/photos/", "/private/", 1) },
		"type":        func(r *http.Request) { r.Header.Set("Content-Type", "text/x-forged") },
		"MD5":         func(r *http.Request) { r.Header.Set("Content-Md5", "AAAAAAAAAAAAAAAAAAAAAA==") },
		"header":      func(r *http.Request) { r.Header.Set("X-Amz-Copy-Source", "/a/b") },
		"another tag": func(r *http.Request) { r.Header.Add("X-Amz-Meta-A", "c") },
	}
	for _, sub := range []string{"acl", "retention", "attributes", "versionId", "tagging", "append", "uploads", "response-content-type", "x-amz-acl"} {
		changes["sub-resource "+sub] = func(r *http.Request) {
			sep := "?"
			if strings.Contains(r.RequestURI, "?") {
				sep = "&"
			}
			r.RequestURI += sep + sub + "=1"
		}
	}
	for name, r := range v2Requests(t) {
		for change, do := range changes {
			forged := r.Clone(t.Context())
			forged.URL = nil
			do(forged)
			if change == "sub-resource x-amz-acl" && !strings.Contains(r.RequestURI, "AWSAccessKeyId") {
				continue // not a header then, and the dialect does not take it
			}
			var refusal *sigv4.Error
			if err := verifyV2(forged, "", v2Time()); !errors.As(err, &refusal) || refusal.Code != "SignatureDoesNotMatch" {
				t.Errorf("%s, other %s: %v", name, change, err)
			}
		}
	}
}

func TestV2InTime(t *testing.T) {
	want := func(name string, err error, code string) {
		t.Helper()
		var refusal *sigv4.Error
		if !errors.As(err, &refusal) || refusal.Code != code {
			t.Errorf("%s: %v, want %s", name, err, code)
		}
	}
	all := v2Requests(t)
	want("an old URL", verifyV2(all["URL of get"], "", v2Time().Add(601*time.Second)), "AccessDenied")
	want("an old header", verifyV2(all["header of get"], "", v2Time().Add(16*time.Minute)), "RequestTimeTooSkewed")
	want("a header of the future", verifyV2(all["header of get"], "", v2Time().Add(-16*time.Minute)), "RequestTimeTooSkewed")
	for name, uri := range map[string]string{
		"no signature": "/k?AWSAccessKeyId=a&Expires=99999999999", "no end": "/k?AWSAccessKeyId=a&Signature=b",
		"an end that is none": "/k?AWSAccessKeyId=a&Signature=b&Expires=soon", "no key": "/k?AWSAccessKeyId=&Signature=b&Expires=99999999999",
	} {
		_, err := sigv4.ParseV2(&http.Request{Method: "GET", RequestURI: uri, Header: http.Header{"Date": {v2Time().UTC().Format(http.TimeFormat)}}}, "", v2Time())
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for value, code := range map[string]string{"AWS key": "InvalidArgument", "AWS :sig": "InvalidArgument", "AWS key:sig": "AccessDenied"} {
		_, err := sigv4.ParseV2(&http.Request{Method: "GET", RequestURI: "/k", Header: http.Header{"Authorization": {value}}}, "", v2Time())
		want(value, err, code)
	}
	chunked := &http.Request{Method: "PUT", RequestURI: "/k", Header: http.Header{"Authorization": {"AWS key:sig"},
		"Date": {v2Time().UTC().Format(http.TimeFormat)}, "X-Amz-Content-Sha256": {"STREAMING-UNSIGNED-PAYLOAD-TRAILER"}}}
	_, err := sigv4.ParseV2(chunked, "", v2Time())
	want("chunks", err, "InvalidRequest")
	twice := &http.Request{Method: "GET", RequestURI: "/k?AWSAccessKeyId=a&AWSAccessKeyId=b&Signature=b&Expires=99999999999", Header: http.Header{}}
	_, err = sigv4.ParseV2(twice, "", v2Time())
	want("two keys", err, "InvalidRequest")
}

// FuzzV2: whatever comes, it is refused or parsed, and no text that is parsed is
// verified by another secret.
func FuzzV2(f *testing.F) {
	f.Add("GET", "/b/k?AWSAccessKeyId=a&Signature=YQ==&Expires=99999999999&acl", "", "text/plain", "photos")
	f.Add("PUT", "/b/k", "AWS a:YQ==", "", "")
	f.Add("GET", "/?%41WSAccessKeyId=x&&=&x-amz-date=1", "AWS ", "\x00", "é")
	f.Fuzz(func(t *testing.T, method, uri, authorization, kind, bucket string) {
		r := &http.Request{Method: method, RequestURI: uri, Header: http.Header{"Date": {v2Time().UTC().Format(http.TimeFormat)}}}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		if kind != "" {
			r.Header.Set("Content-Type", kind)
		}
		if !sigv4.IsV2(r) {
			return
		}
		q, err := sigv4.ParseV2(r, bucket, v2Time())
		var refusal *sigv4.Error
		if err != nil {
			if !errors.As(err, &refusal) {
				t.Fatalf("%v", err)
			}
			return
		}
		if q.AccessKeyID == "" || q.Verify("nobody's secret") == nil {
			t.Fatalf("%q %q is verified", uri, authorization)
		}
	})
}

func TestForm(t *testing.T) {
	now := time.Date(2026, 11, 28, 1, 0, 0, 0, time.UTC)
	good := map[string]string{"policy": "e30=", "x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-credential": "AK/20261128/eu/s3/aws4_request",
		"x-amz-date": "20261128T000000Z", "x-amz-signature": ""}
	good["x-amz-signature"] = sigv4.SignText("secret", "20261128", "eu", "e30=")
	old := map[string]string{"policy": "e30=", "awsaccesskeyid": "AK", "signature": sigv4.SignTextV2("secret", "e30=")}
	with := func(fields map[string]string, name, value string) map[string]string {
		all := map[string]string{}
		for k, v := range fields {
			all[k] = v
		}
		if all[name] = value; value == "" {
			delete(all, name)
		}
		return all
	}
	for name, c := range map[string]struct {
		fields map[string]string
		v2     bool
		code   string // of ParseForm; empty: Verify follows
		wrong  bool
	}{
		"good":                      {good, false, "", false},
		"good beside version 2":     {good, true, "", false},
		"another policy":            {with(good, "policy", "e31="), false, "", true},
		"another signature":         {with(good, "x-amz-signature", "00"), false, "", true},
		"nothing":                   {map[string]string{"key": "k"}, true, "AccessDenied", false},
		"no policy":                 {with(good, "policy", ""), false, "InvalidArgument", false},
		"no date":                   {with(good, "x-amz-date", ""), false, "InvalidArgument", false},
		"no signature":              {with(good, "x-amz-signature", ""), false, "InvalidArgument", false},
		"another algorithm":         {with(good, "x-amz-algorithm", "AWS4-ECDSA-P256-SHA256"), false, "InvalidArgument", false},
		"a date that is none":       {with(good, "x-amz-date", "today"), false, "InvalidArgument", false},
		"a scope that is none":      {with(good, "x-amz-credential", "AK/eu"), false, "InvalidArgument", false},
		"another service":           {with(good, "x-amz-credential", "AK/20261128/eu/ec2/aws4_request"), false, "InvalidArgument", false},
		"a week old":                {with(good, "x-amz-date", "20261121T005959Z"), false, "AccessDenied", false},
		"version 2":                 {old, true, "", false},
		"version 2, other policy":   {with(old, "policy", "e31="), true, "", true},
		"version 2, not taken":      {old, false, "InvalidRequest", false},
		"version 2, no signature":   {with(old, "signature", ""), true, "InvalidArgument", false},
		"version 2, no base64":      {with(old, "signature", "?"), true, "", true},
		"version 2, other's secret": {with(old, "signature", sigv4.SignTextV2("other", "e30=")), true, "", true},
	} {
		q, err := sigv4.ParseForm(c.fields, c.v2, now)
		var refusal *sigv4.Error
		if c.code != "" {
			if !errors.As(err, &refusal) || refusal.Code != c.code {
				t.Errorf("%s: %v, want %s", name, err, c.code)
			}
			continue
		}
		if err != nil || q.AccessKeyID != "AK" || q.Mode != sigv4.Unsigned {
			t.Errorf("%s: %+v, %v", name, q, err)
			continue
		}
		if err := sigv4.NewKeyring("decoy").Verify(q, "secret"); (err != nil) != c.wrong {
			t.Errorf("%s: %v", name, err)
		}
	}
}
