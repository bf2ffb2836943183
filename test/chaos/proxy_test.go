//go:build chaos

package chaos

import (
	"bytes"
	"io"
	"math/rand/v2"
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
	late              // mutations are held back, their connection is reset, and the backend gets them later
	faults            // how many there are
)

// proxy stands between the gateway and one backend.
type proxy struct {
	addr   string
	target string
	fault  atomic.Int32
	after  atomic.Int64         // bytes of a request until cutAfter strikes
	hold   atomic.Int64         // longest time for which late holds a request back, ns
	struck [faults]atomic.Int64 // requests that each fault hit; of late, those that were applied

	mu    sync.Mutex // guards conns
	conns map[*link]bool
}

// link is one connection through the proxy.
type link struct {
	client, server net.Conn
	pending        atomic.Bool // the last bytes went to the server: a request is under way
	hit            atomic.Bool // a fault struck this request
	sent           atomic.Int64
	ended          chan struct{}
	once           sync.Once

	back []byte      // of a request that is held back; owned by the request's pump, then by serve
	kept atomic.Bool // the server's side outlives the client's
}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	return startProxyAt(t, harness.Addr(t), target)
}

func startProxyAt(t *testing.T, addr, target string) *proxy {
	t.Helper()
	p := &proxy{addr: addr, target: target, conns: map[*link]bool{}}
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
	if l.kept.Load() {
		p.deliver(l)
	}
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
		if !l.pending.Swap(true) { // requests are never pipelined
			l.hit.Store(false)
			l.back = nil
			if fault(p.fault.Load()) == late && mutation(b) && rand.IntN(3) > 0 {
				l.back = []byte{}
				time.AfterFunc(letGo, l.leave)
			}
		}
		if l.back != nil {
			l.back = append(l.back, b...)
			return true
		}
	}
	for fault(p.fault.Load()) == blackhole {
		p.strikes(l, blackhole)
		select {
		case <-l.ended:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	switch fault(p.fault.Load()) {
	case slow:
		p.strikes(l, slow)
		return p.trickle(l, to, b)
	case dropAnswers:
		if !request {
			p.strikes(l, dropAnswers)
			return true // and stays under way
		}
	case cutAfter:
		if request && l.sent.Add(int64(len(b))) > p.after.Load() {
			p.strikes(l, cutAfter)
			return false
		}
	}
	_, err := to.Write(b)
	if !request {
		l.pending.Store(false)
	}
	return err == nil
}

// strikes counts the requests that a fault hit.
func (p *proxy) strikes(l *link, f fault) {
	if l.pending.Load() && !l.hit.Swap(true) {
		p.struck[f].Add(1)
	}
}

// mutation tells it from the first bytes of a request.
func mutation(b []byte) bool {
	return bytes.HasPrefix(b, []byte("PUT ")) || bytes.HasPrefix(b, []byte("DELETE "))
}

// letGo is how long the gateway may go on sending what is held back: long enough
// for an intent and the release of a held tail.
const letGo = 700 * time.Millisecond

// leave resets the client's side of a request that is held back.
func (l *link) leave() {
	l.kept.Store(true)
	_ = l.server.SetReadDeadline(time.Unix(1, 0)) // its pump ends
	reset(l.client)
}

// deliver gives the server what was held back, as if the network had kept it.
func (p *proxy) deliver(l *link) {
	defer reset(l.server)
	time.Sleep(time.Duration(rand.Int64N(max(p.hold.Load(), 1))))
	_ = l.server.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := l.server.Write(l.back); err != nil {
		return
	}
	answer := make([]byte, 12)
	if _, err := io.ReadFull(l.server, answer); err == nil && string(answer[8:10]) == " 2" {
		p.struck[late].Add(1)
	}
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

// set lets a fault strike.
func (p *proxy) set(f fault) {
	p.mu.Lock()
	for l := range p.conns {
		l.sent.Store(0)
	}
	p.mu.Unlock()
	p.fault.Store(int32(f))
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

// end resets both sides, but for a server that still gets a request.
func (l *link) end() {
	l.once.Do(func() {
		close(l.ended)
		reset(l.client)
		if !l.kept.Load() {
			reset(l.server)
		}
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
	ask := func(text []byte, limit time.Duration) (int, error) {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(limit))
		if _, err := c.Write(text); err != nil {
			return 0, err
		}
		return io.ReadFull(c, make([]byte, len(text)))
	}
	some := bytes.Repeat([]byte("x"), 1000)
	struck := func(f fault) {
		t.Helper()
		if p.struck[f].Load() != 1 {
			t.Errorf("fault %d struck %d requests, want 1", f, p.struck[f].Load())
		}
	}
	if n, err := ask(some, 5*time.Second); err != nil || n != 1000 {
		t.Errorf("without a fault: %d bytes, %v", n, err)
	}
	before := received.Load()
	p.set(blackhole)
	if n, err := ask(some, 300*time.Millisecond); err == nil || received.Load() != before {
		t.Errorf("blackhole: %d bytes came back, %d arrived", n, received.Load()-before)
	}
	struck(blackhole)
	p.cut()
	p.set(dropAnswers)
	if n, err := ask(some, 300*time.Millisecond); err == nil || n != 0 || received.Load()-before < 1000 {
		t.Errorf("dropped answers: %d bytes came back, %d arrived, %v", n, received.Load()-before, err)
	}
	struck(dropAnswers)
	p.after.Store(500)
	p.set(cutAfter)
	if _, err := ask(some, 5*time.Second); err == nil {
		t.Error("a cut connection answered")
	}
	struck(cutAfter)
	p.set(slow)
	if n, _ := ask(some, 300*time.Millisecond); n >= 1000 {
		t.Errorf("slow: %d bytes in 300 ms", n)
	}
	struck(slow)
	p.cut()
	p.set(none)
	if n, err := ask(some, 5*time.Second); err != nil || n != 1000 {
		t.Errorf("afterwards: %d bytes, %v", n, err)
	}
}

// TestProxyDeliversLate: who sent a mutation is cut off, and it is applied
// afterwards, once.
func TestProxyDeliversLate(t *testing.T) {
	got := make(chan string, 10)
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	const whole = "PUT /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
	go func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, len(whole))
				if _, err := io.ReadFull(c, b); err == nil {
					got <- string(b)
					io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
				}
			}()
		}
	}()
	p := startProxy(t, server.Addr().String())
	p.hold.Store(int64(time.Millisecond))
	p.set(late)
	sent := 0
	for p.struck[late].Load() == 0 { // two in three are held back
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, whole[:10])
		io.WriteString(c, whole[10:])
		sent++
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := c.Read(make([]byte, 100))
		if a := <-got; a != whole {
			t.Errorf("the server got %q", a)
		}
		if n > 0 && err == nil {
			c.Close()
			continue // it passed
		}
		for end := time.Now().Add(10 * time.Second); p.struck[late].Load() == 0 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if p.struck[late].Load() != 1 {
			t.Fatal("its sender was cut off, and it was not counted")
		}
		c.Close()
	}
	if len(got) > 0 {
		t.Errorf("%d requests were sent, and one was applied again", sent)
	}
}
