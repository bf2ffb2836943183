//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// HAProxy and nginx on the files in deploy/, before one gateway and, for HAProxy, two
// places where nobody answers.
func TestBalancers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		s3     string // the gateway's section
		health bool   // it asks /readyz
	}{
		"haproxy": {"proxy_protocol: true, trusted_proxies: [127.0.0.1/32]", true},
		"nginx":   {"trusted_proxies: [127.0.0.1/32]", false},
	} {
		t.Run(name, func(t *testing.T) {
			backends := harness.StartBackends(t, 2)
			g := harness.StartGateway(t, backends, harness.Options{S3: c.s3, Extra: "shutdown_delay: 4s\n"})
			way := newTap(t, g.S3Addr)
			place := harness.Place{S3: way.addr, Admin: g.AdminAddr}
			places := []harness.Place{place}
			if !c.health { // it would find out by requests that fail, again and again
				places = append(places, place, place)
			}
			b := harness.StartBalancer(t, name, places...)
			client := harness.NewClient(b.S3Addr, g.Keys)
			harness.Eventually(t, "the gateway is reached", func() error {
				a, err := client.Do(t.Context(), "PUT", "balanced", "", "", nil)
				if err == nil && a.Status != 200 && a.Code != "BucketAlreadyOwnedByYou" {
					err = errors.New(a.String())
				}
				return err
			})
			p := &passage{gateway: g, balancer: b, client: client, tap: way}
			t.Run("forms", p.forms)
			t.Run("upload streams", p.upload)
			t.Run("download streams", p.download)
			t.Run("presigned", p.presigned)
			t.Run("client address", p.address)
			t.Run("admin", p.admin)
			if c.health {
				t.Run("drain", p.drain)
			} else {
				t.Run("reads go on", func(t *testing.T) { p.readsGoOn(t, harness.StartBalancer(t, name, place)) })
			}
		})
	}
}

// tap is a way to the gateway that counts the bytes, and can hold those back that
// come from it.
type tap struct {
	addr     string
	up, down atomic.Int64
	hold     atomic.Int64 // pass on no more than this of what comes down; 0: everything
	open     chan struct{}
}

func newTap(t *testing.T, to string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &tap{addr: l.Addr().String()}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go p.relay(conn, to)
		}
	}()
	return p
}

func (p *tap) relay(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, countReader{client, &p.up}) // its end is the other copy's
		_ = server.(*net.TCPConn).CloseWrite()
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := server.Read(buf)
		if n > 0 {
			if limit := p.hold.Load(); limit > 0 && p.down.Load() > limit {
				<-p.open
			}
			p.down.Add(int64(n))
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

type countReader struct {
	io.Reader
	n *atomic.Int64
}

func (c countReader) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// passage is a client before a balancer before a gateway.
type passage struct {
	gateway  *harness.Gateway
	balancer *harness.Balancer
	client   *harness.Client
	tap      *tap
}

// slack is what balancer and kernels may hold of a body on its way.
const slack = 12 << 20

// forms: every way of protecting a body, and names that a proxy may be tempted to
// mend, arrive as they were signed.
func (p *passage) forms(t *testing.T) {
	for i, key := range []string{"plain", "%2F+ &=ü", "a;b?c#d", "-_.~!*'()"} {
		for _, mode := range wire.Modes {
			body := harness.Body(fmt.Sprint(key, mode), 200<<10+i)
			meta := wire.Field{Name: "x-amz-meta-under_score.dot", Value: "two  spaces"}
			a, err := p.client.Put(t.Context(), "balanced", key, mode, body, meta)
			if err != nil || a.Status != 200 {
				t.Fatalf("PUT %q %s: %v, %v", key, mode, a, err)
			}
			got, err := p.client.Get(t.Context(), "balanced", key)
			if err != nil || got.Status != 200 || !bytes.Equal(got.Body, body) || got.Header.Get(meta.Name) == "" {
				t.Fatalf("GET %q: %v, %v, meta %q", key, got, err, got.Header.Get(meta.Name))
			}
		}
	}
	if keys, err := p.client.List(t.Context(), "balanced", "", 2); err != nil || len(keys) < 3 {
		t.Errorf("LIST: %q, %v", keys, err)
	}
}

// upload: what the client has sent arrives before it has sent the rest.
func (p *passage) upload(t *testing.T) {
	body := harness.Body("large", 64<<20)
	for _, mode := range []wire.Mode{wire.Unsigned, wire.SignedChunks, wire.UnsignedTrailer} {
		put := wire.Put{Keys: p.gateway.Keys, Host: p.balancer.S3Addr, Bucket: "balanced", Key: "large", Mode: mode, Body: body, Now: time.Now()}
		m := put.Message()
		conn := dial(t, p.balancer.S3Addr, "")
		before, half := p.tap.up.Load(), len(m.Body)/2
		send(t, conn, m.Head, m.Body[:half])
		harness.Eventually(t, "half a body arrives while the other half is held back", func() error {
			if n := p.tap.up.Load() - before; n < int64(half-slack) {
				return fmt.Errorf("%d bytes of %d", n, half)
			}
			return nil
		})
		send(t, conn, m.Body[half:])
		if resp, _ := answer(t, conn, "PUT"); resp.StatusCode != 200 {
			t.Errorf("%s: %s", mode, resp.Status)
		}
	}
}

// download: the client reads while the gateway's way is held shut in the midst.
func (p *passage) download(t *testing.T) {
	const held = 32 << 20
	p.tap.open = make(chan struct{})
	p.tap.hold.Store(p.tap.down.Load() + held)
	r := wire.Request{Method: "GET", Host: p.balancer.S3Addr, Path: wire.Path("balanced", "large")}
	p.gateway.Keys.Sign(&r, wire.Hash(nil), time.Now())
	conn := dial(t, p.balancer.S3Addr, "")
	send(t, conn, r.Head())
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: "GET"})
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v, %v", resp, err)
	}
	var got bytes.Buffer
	if _, err := io.CopyN(&got, resp.Body, held-slack); err != nil {
		t.Errorf("it read %d bytes while the rest was held back: %v", got.Len(), err)
	}
	p.tap.hold.Store(0)
	close(p.tap.open)
	if _, err := io.Copy(&got, resp.Body); err != nil || !bytes.Equal(got.Bytes(), harness.Body("large", 64<<20)) {
		t.Errorf("%d bytes, %v", got.Len(), err)
	}
}

func (p *passage) presigned(t *testing.T) {
	body := []byte("by a link")
	for _, method := range []string{"PUT", "GET"} {
		r := wire.Request{Method: method, Host: p.balancer.S3Addr, Path: wire.Path("balanced", "link ü")}
		presign(&r, p.gateway.Keys, time.Now())
		sent := []byte(nil)
		if method == "PUT" {
			sent = body
			r.Header = append(r.Header, wire.Field{Name: "Content-Length", Value: fmt.Sprint(len(body))})
		}
		conn := dial(t, p.balancer.S3Addr, "")
		send(t, conn, r.Head(), sent)
		resp, got := answer(t, conn, method)
		if resp.StatusCode != 200 || method == "GET" && !bytes.Equal(got, body) {
			t.Errorf("%s: %s %s", method, resp.Status, got)
		}
	}
}

// address: the gateway knows who the client is, whatever the client says.
func (p *passage) address(t *testing.T) {
	r := wire.Request{Method: "GET", Host: p.balancer.S3Addr, Path: wire.Path("balanced", "whoami"), Header: []wire.Field{{Name: "X-Forwarded-For", Value: "203.0.113.66"}}}
	p.gateway.Keys.Sign(&r, wire.Hash(nil), time.Now())
	conn := dial(t, p.balancer.S3Addr, "127.0.0.77")
	send(t, conn, r.Head())
	answer(t, conn, "GET")
	harness.Eventually(t, "the access log has the line", func() error {
		for line := range strings.Lines(p.gateway.Process().Output()) {
			if strings.Contains(line, "whoami") {
				if !strings.Contains(line, "127.0.0.77") || strings.Contains(line, "203.0.113.66") {
					t.Fatalf("the client's address is not in it: %s", line)
				}
				return nil
			}
		}
		return errors.New("not yet")
	})
}

func (p *passage) admin(t *testing.T) {
	harness.Eventually(t, "the admin API answers through the balancer", func() error {
		resp, err := http.Get("http://" + p.balancer.AdminAddr + "/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != 200 {
			return errors.New(resp.Status)
		}
		return nil
	})
}

// readsGoOn: of three nodes two are away, and no read fails.
func (p *passage) readsGoOn(t *testing.T, b *harness.Balancer) {
	client := harness.NewClient(b.S3Addr, p.gateway.Keys)
	for range 30 {
		if a, err := client.Get(t.Context(), "balanced", "plain"); err != nil || a.Status != 200 {
			t.Fatalf("%v, %v", a, err)
		}
	}
}

// drain: a gateway that is told to end takes nothing new from the balancer, and ends
// what is under way.
func (p *passage) drain(t *testing.T) {
	body := harness.Body("last", 8<<20)
	put := wire.Put{Keys: p.gateway.Keys, Host: p.balancer.S3Addr, Bucket: "balanced", Key: "last", Mode: wire.Unsigned, Body: body, Now: time.Now()}
	m := put.Message()
	conn := dial(t, p.balancer.S3Addr, "")
	before := p.tap.up.Load()
	send(t, conn, m.Head, m.Body[:len(m.Body)-1])
	harness.Eventually(t, "the upload is under way", func() error {
		if n := p.tap.up.Load() - before; n < int64(len(m.Body)-slack) || n == 0 {
			return fmt.Errorf("%d bytes", n)
		}
		return nil
	})
	p.gateway.Process().Signal(syscall.SIGTERM)
	harness.Eventually(t, "the balancer sends nothing new", func() error {
		a, err := p.client.Do(t.Context(), "GET", "balanced", "plain", "", nil)
		if err != nil {
			t.Fatalf("a request was cut off during the drain: %v", err)
		}
		if a.Status == 200 {
			return errors.New("it still does")
		}
		return nil
	})
	if !p.gateway.Process().Running() {
		t.Fatal("it ended while an upload was under way")
	}
	send(t, conn, m.Body[len(m.Body)-1:])
	if resp, text := answer(t, conn, "PUT"); resp.StatusCode != 200 {
		t.Errorf("the upload under way: %s %s", resp.Status, text)
	}
	if code, err := p.gateway.Process().Wait(harness.Patience); err != nil || code != 0 {
		t.Errorf("exit %d, %v", code, err)
	}
	p.gateway.Start(t)
	harness.Eventually(t, "it is back behind the balancer", func() error {
		a, err := p.client.Get(t.Context(), "balanced", "last")
		if err == nil && (a.Status != 200 || !bytes.Equal(a.Body, body)) {
			err = errors.New(a.String())
		}
		return err
	})
}

// dial connects from an address of the client's, if it is given.
func dial(t *testing.T, addr, from string) net.Conn {
	t.Helper()
	d := net.Dialer{}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(harness.Patience))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func send(t *testing.T, conn net.Conn, parts ...[]byte) {
	t.Helper()
	for _, p := range parts {
		if _, err := conn.Write(p); err != nil {
			t.Fatal(err)
		}
	}
}

func answer(t *testing.T, conn net.Conn, method string) (*http.Response, []byte) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}
