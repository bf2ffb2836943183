//go:build e2e

package e2e

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// TestHTTP2IsOff: S3's clients are tuned for connections of HTTP/1.1, so a client that
// offers both gets that one, and one that begins with HTTP/2 outright gets none.
func TestHTTP2IsOff(t *testing.T) {
	t.Parallel()
	cert, key := harness.Certificate(t)
	g := harness.StartGateway(t, harness.StartBackends(t, 1), harness.Options{S3: "tls: {cert: " + cert + ", key: " + key + "}"})
	conn, err := tls.Dial("tcp", g.S3Addr, &tls.Config{NextProtos: []string{"h2", "http/1.1"}, InsecureSkipVerify: true}) //nolint:gosec // what is spoken is the question
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().NegotiatedProtocol; got != "http/1.1" && got != "" {
		t.Errorf("agreed on %q", got)
	}
	plain := harness.StartGateway(t, harness.StartBackends(t, 1), harness.Options{})
	l := dialLine(t, plain)
	l.write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	if resp, body := l.answer("GET"); resp.ProtoMajor != 1 || resp.StatusCode/100 == 2 || resp.StatusCode/100 == 3 {
		t.Errorf("%s %s %s", resp.Proto, resp.Status, body)
	}
}

// TestTargetsAreTakenAsTheyStand: no path is cleaned and redirected, and nothing of a query
// is lost: a semicolon is a character of a value.
func TestTargetsAreTakenAsTheyStand(t *testing.T) {
	t.Parallel()
	g := harness.StartGateway(t, harness.StartBackends(t, 1), harness.Options{})
	createBucket(t, g.Client, "proof")
	for _, key := range []string{"k", "a;b/in", "a/out"} {
		if a, err := g.Client.Put(t.Context(), "proof", key, wire.Literal, []byte(key)); err != nil || a.Status != 200 {
			t.Fatalf("%v, %v", a, err)
		}
	}
	l := dialLine(t, g)
	for _, c := range []struct {
		path, query string
		status      int
		has, lacks  string
	}{
		{"/proof//k", "", 404, "NoSuchKey", ">k<"},
		{"/proof/./k", "", 404, "NoSuchKey", ">k<"},
		{"/proof/x/../k", "", 404, "NoSuchKey", ">k<"},
		{"/proof/k", "", 200, "k", "<"},
		{"/proof", "prefix=a;b", 200, "<Key>a;b/in</Key>", "out"},
		{"/proof", "prefix=a%3Bb", 200, "<Key>a;b/in</Key>", "out"},
		{"/proof", "delimiter=;", 200, "<Prefix>a;</Prefix>", "in</Key>"},
	} {
		head := l.head("GET", c.path, strings.ReplaceAll(c.query, ";", "%3B"), -1) // as it is signed
		l.write(bytes.ReplaceAll(head, []byte("?"+strings.ReplaceAll(c.query, ";", "%3B")), []byte("?"+c.query)))
		resp, body := l.answer("GET")
		if resp.StatusCode != c.status || !strings.Contains(body, c.has) || strings.Contains(body, c.lacks) || resp.Header.Get("Location") != "" {
			t.Errorf("%s?%s: %s %s", c.path, c.query, resp.Status, body)
		}
		if resp.Close {
			l = dialLine(t, g)
		}
	}
}

// TestRedirectsOfABackend: a backend that sends everybody elsewhere is followed by nobody:
// not by the gateway, whose signature would go there, and not by clients, who are told
// nothing of it.
func TestRedirectsOfABackend(t *testing.T) {
	t.Parallel()
	var followed atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	defer elsewhere.Close()
	var asked atomic.Int64
	stray := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // a test's
		asked.Add(1)
		w.Header().Set("Location", elsewhere.URL+r.URL.Path)
		w.Header().Set("x-amz-bucket-region", "elsewhere-1")
		w.WriteHeader([]int{301, 302, 307, 308}[asked.Load()%4])
	})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go stray.Serve(listener) //nolint:errcheck // it ends with the test
	defer stray.Close()
	backends := append(harness.StartBackends(t, 1), &harness.Backend{
		Name: "stray", Addr: listener.Addr().String(), Keys: wire.Keys{Access: "a", Secret: "s", Region: "us-east-1"},
	})
	g := harness.StartGateway(t, backends, harness.Options{})
	createBucket(t, g.Client, "proof")
	for _, c := range []struct {
		method, bucket, key, query string
		status                     int
	}{
		{"PUT", "proof", "k", "", 200}, {"GET", "proof", "k", "", 200}, {"HEAD", "proof", "k", "", 200}, {"HEAD", "proof", "", "", 200},
		{"GET", "proof", "", "list-type=2", 200}, {"GET", "proof", "", "location=", 200}, {"GET", "proof", "none", "", 404},
		{"DELETE", "proof", "k", "", 204}, {"POST", "proof", "parts", "uploads=", 200},
	} {
		a, err := g.Client.Do(t.Context(), c.method, c.bucket, c.key, c.query, nil)
		var head strings.Builder
		_ = a.Header.Write(&head) // into memory
		if err != nil || a.Status != c.status || strings.Contains(head.String()+string(a.Body), "elsewhere") || a.Header.Get("Location") != "" {
			t.Errorf("%s /%s/%s?%s: %v, %v\n%s%s", c.method, c.bucket, c.key, c.query, a, err, &head, a.Body)
		}
	}
	floor(t, "redirects sent", asked.Load(), 1)
	if n := followed.Load(); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}
