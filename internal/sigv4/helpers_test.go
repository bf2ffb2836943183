package sigv4_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

const (
	testKey    = "AKIDEXAMPLE"
	testSecret = sigv4.Secret("a/secret+of=ours")
	testRegion = "eu-central-1"
)

var testTime = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// code is S3's code word of an error, or "" for nil.
func code(err error) string {
	if err == nil {
		return ""
	}
	var e *sigv4.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	return e.Code
}

// verified parses and verifies, or fails the test.
func verified(t testing.TB, r *http.Request, now time.Time, secret sigv4.Secret) *sigv4.Request {
	t.Helper()
	q, err := sigv4.Parse(r, now)
	if err == nil {
		err = q.Verify(secret)
	}
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// wire is a request as a server receives it.
type wire struct {
	method, uri, host string
	headers           []string // "Name: value", as sent
}

func (w wire) parse(t testing.TB) *http.Request {
	t.Helper()
	raw := w.method + " " + w.uri + " HTTP/1.1\r\nHost: " + w.host + "\r\n" + strings.Join(w.headers, "\r\n") + "\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatalf("%v in %q", err, raw)
	}
	return r
}

// handSigned adds an Authorization header made from canonical parts that the
// test wrote by hand. It shares nothing with the package: it is the oracle.
func (w wire) handSigned(path, query string, signed []string, canonicalValues map[string]string, payload string) wire {
	var lines strings.Builder
	for _, name := range signed {
		lines.WriteString(name + ":" + canonicalValues[name] + "\n")
	}
	date := testTime.Format("20060102T150405Z")
	scope := date[:8] + "/" + testRegion + "/s3/aws4_request"
	canonical := strings.Join([]string{w.method, path, query, lines.String(), strings.Join(signed, ";"), payload}, "\n")
	sum := sha256.Sum256([]byte(canonical))
	text := "AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + hex.EncodeToString(sum[:])
	key := []byte("AWS4" + string(testSecret))
	for _, s := range []string{date[:8], testRegion, "s3", "aws4_request", text} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(s))
		key = h.Sum(nil)
	}
	w.headers = append(append([]string{}, w.headers...), "Authorization: AWS4-HMAC-SHA256 Credential="+testKey+"/"+scope+
		", SignedHeaders="+strings.Join(signed, ";")+", Signature="+hex.EncodeToString(key))
	return w
}

// simple is a GET with the usual three signed headers.
func simple(uri string) wire {
	return wire{"GET", uri, "s3.test:9000", []string{
		"X-Amz-Date: " + testTime.Format("20060102T150405Z"),
		"X-Amz-Content-Sha256: " + emptyHash,
	}}
}

var simpleSigned = []string{"host", "x-amz-content-sha256", "x-amz-date"}

func simpleValues() map[string]string {
	return map[string]string{
		"host":                 "s3.test:9000",
		"x-amz-content-sha256": emptyHash,
		"x-amz-date":           testTime.Format("20060102T150405Z"),
	}
}

// replace swaps the Authorization header, or removes it when value is empty.
func (w wire) replace(name, value string) wire {
	out := wire{w.method, w.uri, w.host, nil}
	for _, h := range w.headers {
		if !strings.HasPrefix(h, name+":") {
			out.headers = append(out.headers, h)
		}
	}
	if value != "" {
		out.headers = append(out.headers, name+": "+value)
	}
	return out
}

func (w wire) with(header string) wire {
	w.headers = append(append([]string{}, w.headers...), header)
	return w
}

func readRequest(raw []byte) *http.Request {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return nil
	}
	return r
}

func sorted(names []string) []string {
	return slices.Sorted(slices.Values(names))
}
