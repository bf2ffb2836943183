//go:build chaos

package chaos

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// fault is what a proxy does to the bytes that pass.
type fault int32

const (
	none        fault = iota
	blackhole         // nothing passes, in either direction, and nobody is told
	slow              // 1 KiB/s
	dropAnswers       // requests pass and are applied, answers are swallowed
	cutAfter          // the connection is reset after some bytes of a request
)

// proxy stands between the gateway and one backend.
type proxy struct {
	addr   string
	target string
	fault  atomic.Int32
	after  atomic.Int64 // bytes of a request until cutAfter strikes

	mu    sync.Mutex // guards conns
	conns map[*link]bool
}

// link is one connection through the proxy.
type link struct {
	client, server net.Conn
	pending        atomic.Bool // the last bytes went to the server: a request is under way
	sent           atomic.Int64
	ended          chan struct{}
	once           sync.Once
}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	p := &proxy{addr: harness.Addr(t), target: target, conns: map[*link]bool{}}
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); p.cut() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *proxy) serve(c net.Conn) {
	s, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	if err != nil {
		reset(c)
		return
	}
	l := &link{client: c, server: s, ended: make(chan struct{})}
	p.mu.Lock()
	p.conns[l] = true
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pump(l, s, c, true) })
	both.Go(func() { p.pump(l, c, s, false) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, l)
	p.mu.Unlock()
}

// pump moves bytes in one direction until a side ends.
func (p *proxy) pump(l *link, to, from net.Conn, request bool) {
	defer l.end()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !p.pass(l, to, buf[:n], request) {
			return
		}
		if err != nil {
			return
		}
	}
}

// pass sends a piece on, as the fault of the moment wants it.
func (p *proxy) pass(l *link, to net.Conn, b []byte, request bool) bool {
	if request {
		l.pending.Store(true)
	}
	for fault(p.fault.Load()) == blackhole {
		select {
		case <-l.ended:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	switch fault(p.fault.Load()) {
	case slow:
		return p.trickle(l, to, b)
	case dropAnswers:
		if !request {
			return true // and stays under way
		}
	case cutAfter:
		if request && l.sent.Add(int64(len(b))) > p.after.Load() {
			return false
		}
	}
	_, err := to.Write(b)
	if !request {
		l.pending.Store(false)
	}
	return err == nil
}

// trickle sends 64 bytes every sixteenth of a second, as long as that is asked.
func (p *proxy) trickle(l *link, to net.Conn, b []byte) bool {
	for len(b) > 0 {
		n := min(64, len(b))
		if fault(p.fault.Load()) != slow {
			n = len(b)
		}
		if _, err := to.Write(b[:n]); err != nil {
			return false
		}
		b = b[n:]
		select {
		case <-l.ended:
			return false
		case <-time.After(time.Second / 16):
		}
	}
	return true
}

// set lets a fault strike, and tells how many requests were under way.
func (p *proxy) set(f fault) int {
	n := p.underWay()
	p.mu.Lock()
	for l := range p.conns {
		l.sent.Store(0)
	}
	p.mu.Unlock()
	p.fault.Store(int32(f))
	return n
}

// underWay counts the requests that have no answer yet.
func (p *proxy) underWay() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for l := range p.conns {
		if l.pending.Load() {
			n++
		}
	}
	return n
}

// cut resets every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.conns {
		l.end()
	}
}

// end resets both sides.
func (l *link) end() {
	l.once.Do(func() {
		close(l.ended)
		reset(l.client)
		reset(l.server)
	})
}

func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	c.Close()
}

// TestProxyFaults: each fault does what it says, or a run proves nothing.
func TestProxyFaults(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	var received atomic.Int64
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 1024)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					received.Add(int64(n))
					c.Write(buf[:n])
				}
			}()
		}
	}()
	p := startProxy(t, echo.Addr().String())
	ask := func(size int, limit time.Duration) (int, error) {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(limit))
		if _, err := c.Write(make([]byte, size)); err != nil {
			return 0, err
		}
		return io.ReadFull(c, make([]byte, size))
	}
	if n, err := ask(1000, 5*time.Second); err != nil || n != 1000 {
		t.Errorf("without a fault: %d bytes, %v", n, err)
	}
	before := received.Load()
	p.set(blackhole)
	if n, err := ask(1000, 300*time.Millisecond); err == nil || received.Load() != before {
		t.Errorf("blackhole: %d bytes came back, %d arrived", n, received.Load()-before)
	}
	p.cut()
	p.set(dropAnswers)
	if n, err := ask(1000, 300*time.Millisecond); err == nil || n != 0 || received.Load()-before < 1000 {
		t.Errorf("dropped answers: %d bytes came back, %d arrived, %v", n, received.Load()-before, err)
	}
	p.after.Store(500)
	p.set(cutAfter)
	if _, err := ask(1000, 5*time.Second); err == nil {
		t.Error("a cut connection answered")
	}
	p.set(slow)
	if n, _ := ask(1000, 300*time.Millisecond); n >= 1000 {
		t.Errorf("slow: %d bytes in 300 ms", n)
	}
	p.set(none)
	if n, err := ask(1000, 5*time.Second); err != nil || n != 1000 {
		t.Errorf("afterwards: %d bytes, %v", n, err)
	}
}
