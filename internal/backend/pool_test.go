package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipePool is a pool over net.Pipe, on which synctest can advance time. far are
// the other ends, in the order of dialling.
func pipePool(max int) (p *pool, far *[]net.Conn) {
	far = new([]net.Conn)
	p = newPool(Options{Endpoint: &url.URL{Scheme: "http", Host: "h"}, MaxConns: max,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			a, b := net.Pipe()
			*far = append(*far, b)
			return a, nil
		}})
	return p, far
}

func taken(t *testing.T, p *pool, fresh bool) (*conn, bool) {
	t.Helper()
	c, kept, err := p.take(t.Context(), "h:80", "h", fresh)
	if err != nil {
		t.Fatal(err)
	}
	return c, kept
}

func TestTheConnectionUsedLastIsUsedNext(t *testing.T) {
	p, _ := pipePool(0)
	a, _ := taken(t, p, false)
	b, kept := taken(t, p, false)
	if a == b || kept {
		t.Fatal("one connection for two")
	}
	p.give(a)
	p.give(b)
	if c, kept := taken(t, p, false); c != b || !kept {
		t.Error("not the one that was used last")
	}
	if c, kept := taken(t, p, true); c == a || kept {
		t.Error("a kept one, though a fresh one was wanted")
	}
	if c, _, err := p.take(t.Context(), "other:80", "other", false); err != nil || c == a {
		t.Errorf("a connection to another address: %v", err)
	}
	p.close()
}

func TestIdleConnectionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, far := pipePool(0)
		old, _ := taken(t, p, false)
		p.give(old)
		time.Sleep(idleTimeout / 2)
		young, _ := taken(t, p, true)
		p.give(young)
		time.Sleep(idleTimeout/2 + time.Second)
		if _, err := (*far)[0].Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the old one is open: %v", err)
		}
		if c, kept := taken(t, p, false); c != young || !kept {
			t.Error("the young one is gone")
		} else {
			p.give(c)
		}
		time.Sleep(2 * idleTimeout)
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.places) != 0 {
			t.Errorf("left: %v", p.places)
		}
	})
}

func TestNoMoreConnectionsThanAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, far := pipePool(1)
		first, _ := taken(t, p, false)
		got := make(chan *conn)
		for range 2 {
			go func() {
				c, _, _ := p.take(t.Context(), "h:80", "h", false)
				got <- c
			}()
			synctest.Wait() // they queue up in this order
		}
		gone, cancel := context.WithCancel(t.Context())
		refused := make(chan error)
		go func() { _, _, err := p.take(gone, "h:80", "h", false); refused <- err }()
		synctest.Wait()
		cancel()
		if err := <-refused; !errors.Is(err, context.Canceled) {
			t.Errorf("who stopped waiting: %v", err)
		}
		p.give(first)
		if c := <-got; c != first {
			t.Error("the first in the queue did not get what was given back")
		}
		p.drop(first)
		second := <-got
		if second == nil || second == first {
			t.Error("the second in the queue did not get the place of what was dropped")
		}
		p.give(second)
		// A fresh one takes the place of an idle one.
		third, kept := taken(t, p, true)
		if kept || third == second || len(*far) != 3 {
			t.Errorf("fresh: kept %v, %d dialled", kept, len(*far))
		}
		waiter := make(chan *conn)
		go func() {
			c, _, _ := p.take(t.Context(), "h:80", "h", true)
			waiter <- c
		}()
		synctest.Wait()
		p.give(third)
		if c := <-waiter; c == third || c == nil {
			t.Error("who waits for a fresh one got one that was kept")
		}
		if n := p.places["h:80"].open; n != 1 {
			t.Errorf("%d open", n)
		}
	})
}

// TestAWaiterThatLeavesAsItsTurnComes: the turn is not lost.
func TestAWaiterThatLeavesAsItsTurnComes(t *testing.T) {
	for _, given := range []bool{true, false} {
		p, _ := pipePool(1)
		c, _ := taken(t, p, false)
		_, turn, err := p.pick("h:80", false)
		if turn == nil || err != nil {
			t.Fatal("no turn")
		}
		if given {
			p.give(c)
		} else {
			p.drop(c)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		// Either may be seen first; both are right.
		got, err := p.await(gone, "h:80", turn)
		if err == nil && given {
			p.give(got)
		} else if err == nil {
			p.free("h:80")
		}
		if again, _ := taken(t, p, false); given != (again == c) {
			t.Error("the place was lost")
		}
	}
}

func TestAClosedPoolKeepsNothing(t *testing.T) {
	p, far := pipePool(0)
	c, _ := taken(t, p, false)
	d, _ := taken(t, p, false)
	p.give(c)
	p.close()
	p.give(d)
	for _, f := range *far {
		if _, err := f.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("open: %v", err)
		}
	}
	if _, _, err := p.take(t.Context(), "h:80", "h", false); !errors.Is(err, errPoolClosed) {
		t.Errorf("take: %v", err)
	}
	if len(p.places) != 0 {
		t.Errorf("left: %v", p.places)
	}
}

func TestAnAddressThatCannotBeReachedHoldsNoPlace(t *testing.T) {
	p, _ := pipePool(1)
	p.dial = func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrNoProgress }
	for range 3 {
		if _, _, err := p.take(t.Context(), "h:80", "h", false); !errors.Is(err, io.ErrNoProgress) {
			t.Fatal(err)
		}
	}
	p.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	p.dial = func(context.Context, string, string) (net.Conn, error) {
		a, b := net.Pipe()
		b.Close()
		return a, nil
	}
	for range 3 {
		if _, _, err := p.take(t.Context(), "h:80", "h", false); err == nil {
			t.Fatal("a handshake with nobody")
		}
	}
}

// TestDeadConnectionsAreSeenBeforeTheyAreUsed: one that the server closed while
// it was idle, and one on which it said something that nobody asked for.
func TestDeadConnectionsAreSeenBeforeTheyAreUsed(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can tell")
	}
	for name, end := range map[string]func(net.Conn){
		"closed": func(c net.Conn) { c.Close() },
		"reset":  func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() },
		"spoken": func(c net.Conn) { io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			p := newPool(Options{Endpoint: &url.URL{Scheme: "http", Host: l.Addr().String()}})
			defer p.close()
			addr := l.Addr().String()
			c, _, err := p.take(t.Context(), addr, "", false)
			if err != nil {
				t.Fatal(err)
			}
			far, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer far.Close()
			if !c.alive() {
				t.Fatal("dead before anybody ended it")
			}
			end(far)
			for c.alive() { // the loopback is quick, and not immediate
				runtime.Gosched()
			}
			p.give(c)
			if again, kept, err := p.take(t.Context(), addr, "", false); err != nil || again == c || kept {
				t.Errorf("kept %v, %v", kept, err)
			} else {
				p.drop(again)
			}
		})
	}
}

// TestPiecesLeaveInOrder: with and without a kernel that takes many at once.
func TestPiecesLeaveInOrder(t *testing.T) {
	sizes := []int{0, 1, 100, gathered - 101, 1, gathered, gathered + 1, 3 * gathered, 5}
	var want []byte
	var pieces net.Buffers
	for i, n := range sizes {
		p := make([]byte, n)
		for j := range p {
			p[j] = byte(i + j)
		}
		pieces, want = append(pieces, p), append(want, p...)
	}
	a, b := net.Pipe()
	var got []byte
	var wg sync.WaitGroup
	wg.Go(func() { got, _ = io.ReadAll(b) })
	c := &conn{Conn: a, raw: a}
	n, err := c.writeAll(&pieces)
	a.Close()
	wg.Wait()
	if err != nil || n != int64(len(want)) || string(got) != string(want) || len(pieces) != 0 {
		t.Errorf("%d bytes of %d left, %d came, %v", n, len(want), len(got), err)
	}
	pieces = net.Buffers{make([]byte, 10), make([]byte, 2*gathered), make([]byte, 1)}
	if n, err := c.writeAll(&pieces); n != 0 || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("to a closed connection: %d, %v", n, err)
	}
}
