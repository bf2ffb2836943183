package sigv4_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// FuzzPresigned changes a good URL, its method, host and signed header. What
// passes must say the same as what was signed.
func FuzzPresigned(f *testing.F) {
	const meta = "one two"
	w := presign(f, "PUT", "/b/a%20b+c", "uploads&prefix=x+y", "X-Amz-Meta-A: "+meta)
	f.Add("PUT", w.host, w.uri, meta)
	f.Add("PUT", w.host, strings.Replace(w.uri, "%20", " ", 1), "  one   two ")
	f.Add("GET", w.host, w.uri, meta)
	f.Add("PUT", w.host, w.uri+"&acl", meta)
	f.Add("PUT", w.host, w.uri+"&X-Amz-Expires=604800", meta)
	f.Add("PUT", w.host, strings.Replace(w.uri, "X-Amz-Signature=", "x-amz-signature=", 1), meta)
	f.Add("PUT", "other", w.uri, meta)
	f.Add("PUT", w.host, "/b/a%20b+c?X-Amz-Signature=&&=&X-Amz-Expires=-1", "")
	f.Fuzz(func(t *testing.T, method, host, uri, value string) {
		r := &http.Request{Method: method, Host: host, RequestURI: uri, Header: http.Header{"X-Amz-Meta-A": {value}}}
		q, err := sigv4.Parse(r, testTime)
		if err != nil {
			if code(err) == err.Error() {
				t.Fatalf("no *sigv4.Error: %v", err)
			}
			return
		}
		if q.Verify(testSecret) != nil {
			return
		}
		if method != w.method || strings.Trim(host, " \t") != w.host || !sameTarget(uri, w.uri) {
			t.Fatalf("%s %s on %q passes", method, uri, host)
		}
		// Runs of blanks are one blank; everything else is as it was signed.
		words := strings.FieldsFunc(value, func(r rune) bool { return r == ' ' })
		if got := strings.Trim(strings.Join(words, " "), " \t"); got != meta {
			t.Fatalf("header %q passes", value)
		}
	})
}

// FuzzSignatures signs anything with the Go SDK, in the header and in the
// query. We must verify it, must sign the same ourselves, and must refuse it
// with any byte of the signature changed.
func FuzzSignatures(f *testing.F) {
	f.Add("GET", "/b/k", "prefix", "a b", "v", uint8(0))
	f.Add("PUT", "/b/a%2Fb//..//\x00\xff", "=&+;", "%zz", "  two  words ", uint8(63))
	f.Add("DELETE", "/b/é!*'()$,:@", "é", "", "", uint8(7))
	theirs := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	ours := sigv4.NewSigner(testKey, testSecret, testRegion)
	creds := aws.Credentials{AccessKeyID: testKey, SecretAccessKey: string(testSecret)}
	f.Fuzz(func(t *testing.T, method, path, name, value, meta string, at uint8) {
		if !slices.Contains([]string{"GET", "HEAD", "PUT", "POST", "DELETE"}, method) || !strings.HasPrefix(path, "/") || !utf8.ValidString(name+value) {
			return // the SDK's query encoder wants UTF-8
		}
		if strings.EqualFold(name, "x-amz-content-sha256") || strings.HasPrefix(strings.ToLower(name), "x-amz-") || strings.EqualFold(name, "awsaccesskeyid") {
			return // these are the signature's own
		}
		query := sigv4.CanonicalQuery(sigv4.EscapeQuery(name) + "=" + sigv4.EscapeQuery(value))
		build := func() *http.Request {
			r := &http.Request{Method: method, Host: "s3.test:9000", Header: http.Header{}}
			r = r.WithContext(context.Background())
			u := *outgoing(t, "GET", sigv4.EscapePath(path), query, nil).URL
			r.URL = &u
			r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
			r.Header.Set("X-Amz-Meta-A", strings.Map(printable, meta))
			return r
		}
		r := build()
		if err := theirs.SignHTTP(t.Context(), creds, r, "UNSIGNED-PAYLOAD", "s3", testRegion, testTime); err != nil {
			t.Fatal(err)
		}
		mine := build()
		ours.Sign(mine, sigv4.EscapePath(path), query, "UNSIGNED-PAYLOAD", testTime)
		if a, b := mine.Header.Get("Authorization"), r.Header.Get("Authorization"); a != b {
			t.Fatalf("we sign\n%s, the SDK\n%s", a, b)
		}
		target := sigv4.EscapePath(path)
		if query != "" {
			target += "?" + query
		}
		received := &http.Request{Method: method, Host: r.Host, RequestURI: target, Header: r.Header}
		verified(t, received, testTime, testSecret)
		spoiled := received.Clone(t.Context())
		spoiled.RequestURI = target
		spoiled.Header.Set("Authorization", spoil(r.Header.Get("Authorization"), at))
		if passes(spoiled) {
			t.Fatal("a spoiled signature passes")
		}

		r = build()
		r.Header.Del("X-Amz-Content-Sha256")
		signed := ours.Presign(r, sigv4.EscapePath(path), query, time.Minute, testTime)
		received = &http.Request{Method: method, Host: r.Host, RequestURI: sigv4.EscapePath(path) + "?" + signed, Header: r.Header}
		verified(t, received, testTime, testSecret)
		received.RequestURI = spoil(received.RequestURI, at)
		if passes(received) {
			t.Fatal("a spoiled URL passes")
		}
	})
}

// spoil changes one of the last 64 bytes, which are the signature.
func spoil(s string, at uint8) string {
	b := []byte(s)
	i := len(b) - 1 - int(at%64)
	if b[i] == '0' {
		b[i] = '1'
	} else {
		b[i] = '0'
	}
	return string(b)
}
