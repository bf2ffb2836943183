package wire

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// TestCapture runs the real clients and writes down what they send: only with
// -update, and before TestReplay, which writes the goldens.
func TestCapture(t *testing.T) {
	if !*update {
		return
	}
	versions := map[string]string{}
	for _, scheme := range []string{"http", "https"} {
		for _, c := range clients {
			t.Run(scheme+"/"+c.name, func(t *testing.T) {
				s := site{scheme: scheme}
				rec := &recorder{heard: map[string]*bytes.Buffer{}}
				inner, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				s.addr = inner.Addr().String()
				if scheme == "https" {
					cert, key := harness.Certificate(t)
					pair, err := tls.LoadX509KeyPair(cert, key)
					if err != nil {
						t.Fatal(err)
					}
					inner = tls.NewListener(inner, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}})
					s.ca = cert
				}
				newStation(t).serve(t, recording{inner, rec}, rec.follow)
				versions[c.name] = c.run(t, s)
				rec.write(t, filepath.Join("testdata", c.name, scheme))
			})
		}
	}
	var b strings.Builder
	for _, c := range clients {
		fmt.Fprintf(&b, "%s: %s\n", c.name, versions[c.name])
	}
	if err := os.WriteFile("testdata/versions.txt", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// recorder keeps what came in on each connection, and which requests the server
// saw in it.
type recorder struct {
	mu       sync.Mutex               // guards the rest
	heard    map[string]*bytes.Buffer // by remote address
	requests []*seen                  // in the order in which they began
}

type seen struct {
	addr   string // of the client's end
	status int
}

// follow has every request noted, and how it was answered.
func (rec *recorder) follow(server *http.Server) {
	next := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one := &seen{addr: r.RemoteAddr}
		rec.mu.Lock()
		rec.requests = append(rec.requests, one)
		rec.mu.Unlock()
		sw := &statusWriter{ResponseWriter: w}
		next.ServeHTTP(sw, r)
		rec.mu.Lock()
		one.status = sw.status
		rec.mu.Unlock()
	})
}

// take returns the bytes of the next request on a connection.
func take(t *testing.T, heard *bytes.Buffer) (raw []byte, r *http.Request) {
	t.Helper()
	all := bytes.NewReader(heard.Bytes())
	br := bufio.NewReader(all)
	r, err := http.ReadRequest(br)
	if err != nil {
		t.Fatalf("%v in %.200q", err, heard.Bytes())
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		t.Fatal(err)
	}
	return heard.Next(heard.Len() - all.Len() - br.Buffered()), r
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// write makes the files. What the gateway does not do yet is left out.
func (rec *recorder) write(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	n := 0
	for _, one := range rec.requests {
		raw, r := take(t, rec.heard[one.addr])
		op, err := s3.Parse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if one.status == http.StatusNotImplemented {
			t.Logf("left out: %s", op.Name)
			continue
		}
		n++
		name := filepath.Join(dir, fmt.Sprintf("%02d-%s.http", n, op.Name))
		if err := os.WriteFile(name, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// recording is a listener that shows the recorder what comes in.
type recording struct {
	net.Listener
	rec *recorder
}

func (l recording) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	heard := &bytes.Buffer{}
	l.rec.mu.Lock()
	l.rec.heard[c.RemoteAddr().String()] = heard
	l.rec.mu.Unlock()
	return &heardConn{c, l.rec, heard}, nil
}

type heardConn struct {
	net.Conn
	rec   *recorder
	heard *bytes.Buffer // guarded by rec.mu
}

func (c *heardConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.rec.mu.Lock()
	c.heard.Write(p[:n])
	c.rec.mu.Unlock()
	return n, err
}
