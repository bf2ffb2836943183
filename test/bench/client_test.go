package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// strictServers are n servers that verify signatures, hashes and trailers, with
// both buckets. They share credentials, and count their connections.
func strictServers(t *testing.T, n int) (ideal, *atomic.Int64) {
	t.Helper()
	var all ideal
	opened := new(atomic.Int64)
	for range n {
		s := httptest.NewUnstartedServer(memory.New(memory.Options{AccessKeyID: "access", SecretAccessKey: "secret", MaxBytes: gib}))
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				opened.Add(1)
			}
		}
		s.Start()
		t.Cleanup(s.Close)
		e := newEndpoint(s.Listener.Addr().String(), keys{"access", "secret"})
		for _, b := range []string{bucket, direct} {
			if err := e.request(http.MethodPut, b, ""); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, e)
	}
	return all, opened
}

// stored reads an object past the client under test.
func stored(t *testing.T, e *endpoint, bucket, key string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+e.addr+"/"+bucket+"/"+key, nil)
	if err != nil {
		t.Fatal(err)
	}
	e.signer.Sign(req, req.URL.Path, "", sigv4.EmptySHA256, now())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: status %d, %v: %.300s", key, resp.StatusCode, err, data)
	}
	return data
}

func whole(c content) []byte {
	data, err := io.ReadAll(&reader{content: c})
	if err != nil {
		panic(err)
	}
	return data
}

func TestPutIsVerifiedByStrictServers(t *testing.T) {
	all, opened := strictServers(t, 3)
	c := newContent(3*mib+12345, 63) // wraps around the noise
	small := newContent(smallSize, 5)
	for name, put := range map[string]func(key string) error{
		"trailer": func(key string) error { return all.put(direct, key, c, sigv4.UnsignedTrailer) },
		"signed":  func(key string) error { return all.put(direct, key, c, sigv4.Signed) },
		"sdk":     func(key string) error { return sdkPut(t.Context(), sdks(all), direct, key, c) },
	} {
		if err := put(name); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, e := range all {
			if !bytes.Equal(stored(t, e, direct, name), whole(c)) {
				t.Errorf("%s: server %d has other bytes", name, i)
			}
		}
	}
	for i := range 20 {
		key := fmt.Sprint("small", i)
		if err := all.putSmall(direct, key, small.small()); err != nil {
			t.Fatal(err)
		}
		if got := stored(t, all[i%3], direct, key); !bytes.Equal(got, small.small()) {
			t.Errorf("%s holds %d other bytes", key, len(got))
		}
	}
	if n := opened.Load(); n > 40 {
		t.Errorf("%d connections: the pool does not work", n)
	}
}

func TestRawPut(t *testing.T) {
	all, _ := strictServers(t, 1)
	if err := all.rawPut(direct, "raw", noiseSize)(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(stored(t, all[0], direct, "raw"), whole(content{size: noiseSize})) {
		t.Error("the server has other bytes")
	}
}

func TestGet(t *testing.T) {
	all, _ := strictServers(t, 1)
	c := newContent(mib, 7)
	if err := all.put(bucket, "key", c, sigv4.UnsignedTrailer); err != nil {
		t.Fatal(err)
	}
	if err := all[0].get(bucket, "key", mib); err != nil {
		t.Error(err)
	}
	if err := all[0].get(bucket, "key", mib+1); err == nil {
		t.Error("a body of another size is taken")
	}
	if err := all[0].get(bucket, "absent", mib); err == nil || !strings.Contains(err.Error(), "NoSuchKey") {
		t.Errorf("an absent key: %v", err)
	}
}

// TestClosedConnections: a pooled connection that the server has closed costs a
// new one, not the operation.
func TestClosedConnections(t *testing.T) {
	all, opened := strictServers(t, 2)
	small := newContent(smallSize, 5).small()
	for i := range 3 {
		before := opened.Load()
		if err := all.putSmall(direct, fmt.Sprint("key", i), small); err != nil {
			t.Fatal(err)
		}
		if i > 0 && opened.Load() != before+2 {
			t.Errorf("%d connections were opened", opened.Load()-before)
		}
		for _, e := range all {
			for _, c := range e.idle {
				c.Conn.(*net.TCPConn).CloseWrite() // as a server that has hung up: reading gives the end
				io.Copy(io.Discard, c.Conn)
			}
		}
	}
}

func TestAnswer(t *testing.T) {
	for text, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc":                               `200 3 open "" <nil>`,
		"HTTP/1.1 200 OK\r\ncontent-length:3\r\nconnection: close\r\n\r\nabc":           `200 3 close "" <nil>`,
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n":                                  `200 0 close "" <nil>`,
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":     `200 0 open "" <nil>`,
		"HTTP/1.1 204 No Content\r\n\r\n":                                               `204 0 open "" <nil>`,
		"HTTP/1.1 503 Slow\r\nContent-Length: 4\r\n\r\nwhy?":                            `503 4 close "why?" <nil>`,
		"HTTP/1.1 503 Slow\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwhy?\r\n0\r\n\r\n": `503 4 close "why?" <nil>`,
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc":                               `200 4 open "" answer is 1 bytes short: EOF`,
		"HTTP/1.1 200 OK\r\n\r\n":                                                       `200 -1 open "" answer without a length`,
		"":                                                                              `0 -1 open "" EOF`,
		"SSH-2.0-something\r\n":                                                         `0 -1 open "" answer begins with "SSH-2.0-something\r\n"`,
		"HTTP/1.1 2x0 what?\r\n":                                                        `0 -1 open "" answer begins with "HTTP/1.1 2x0 what?\r\n"`,
	} {
		c := &conn{r: bufio.NewReader(strings.NewReader(text))}
		a, err := c.answer()
		end := "open"
		if a.close {
			end = "close"
		}
		if got := fmt.Sprintf("%d %d %s %q %v", a.status, a.length, end, a.text, err); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

func TestEachStopsAtAnError(t *testing.T) {
	var done atomic.Int64
	boom := errors.New("boom")
	_, err := each(4, 1000, func(int) error {
		if done.Add(1) == 5 {
			return boom
		}
		return nil
	})
	if !errors.Is(err, boom) || done.Load() > 12 {
		t.Errorf("%d operations, %v", done.Load(), err)
	}
}

func TestPacedCountsFailures(t *testing.T) {
	m := paced(4, 100, 1e6, func(i int) error {
		if i%10 == 0 {
			return errors.New("boom")
		}
		return nil
	})
	if m.ops != 100 || m.failed != 10 || m.p99 == 0 {
		t.Errorf("%+v", m)
	}
}
