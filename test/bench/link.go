package main

import (
	"net"
	"sync"
	"time"
)

// link is one direction of a line of limited rate, shared by its connections.
// The nil link has no limit.
type link struct {
	rate float64 // bytes a second

	mu   sync.Mutex
	free time.Time // when what was sent so far has passed
}

// slack is how far behind a sleeper may wake up without the line losing its
// rate: the time for which it may be full without having been used.
const slack = 10 * time.Millisecond

// pass returns when n bytes have passed.
func (l *link) pass(n int) {
	if l == nil || n == 0 {
		return
	}
	time.Sleep(time.Until(l.reserve(time.Now(), n)))
}

func (l *link) reserve(now time.Time, n int) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if earliest := now.Add(-slack); l.free.Before(earliest) {
		l.free = earliest
	}
	l.free = l.free.Add(time.Duration(float64(n) / l.rate * float64(time.Second)))
	return l.free
}

// piece is the most that goes over a limited line at once: a millisecond or so.
const piece = 128 * kib

// lineConn is a connection over a line. What is read passes in, what is written
// out, each at its rate. Turning from one to the other costs the delay, and so
// does whatever comes first: the handshake is a round trip. While bytes stream
// in one direction the delay is hidden, as it is by the windows of TCP.
type lineConn struct {
	net.Conn
	in, out *link
	delay   time.Duration // one way

	mu   sync.Mutex // guards last: a server may wait in Read while it writes
	last byte       // what ended last: 0 nothing, 'r' Read, 'w' Write
}

// turn tells how long an act of the kind is delayed.
func (c *lineConn) turn(kind byte) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.last
	c.last = kind
	switch last {
	case kind:
		return 0
	case 0:
		return 3 * c.delay // there, back, and there again with the first bytes
	}
	return c.delay
}

func (c *lineConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(len(p), piece)])
	if n > 0 {
		time.Sleep(c.turn('r'))
		c.in.pass(n)
	}
	return n, err
}

func (c *lineConn) Write(p []byte) (int, error) {
	time.Sleep(c.turn('w'))
	for n := 0; ; {
		part := p[n:min(len(p), n+piece)]
		c.out.pass(len(part))
		m, err := c.Conn.Write(part)
		if n += m; err != nil || n == len(p) {
			return n, err
		}
	}
}

// line says how a server is reached. The zero value is no line at all.
type line struct {
	rate  float64       // bytes a second each way; 0: not limited
	delay time.Duration // one way
}

// lineListener puts all connections of a server on one line.
type lineListener struct {
	net.Listener
	in, out *link
	delay   time.Duration
}

// listener returns l behind the line.
func (s line) listener(l net.Listener) net.Listener {
	if s == (line{}) {
		return l
	}
	ll := lineListener{Listener: l, delay: s.delay}
	if s.rate > 0 {
		ll.in, ll.out = &link{rate: s.rate}, &link{rate: s.rate}
	}
	return ll
}

func (l lineListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &lineConn{Conn: c, in: l.in, out: l.out, delay: l.delay}, nil
}

// uplink returns a dialer of a client whose own line limits what it sends.
func uplink(rate float64) func(addr string) (net.Conn, error) {
	out := &link{rate: rate}
	return func(addr string) (net.Conn, error) {
		c, err := net.DialTimeout("tcp", addr, 10*time.Second)
		if err != nil {
			return nil, err
		}
		return &lineConn{Conn: c, out: out}, nil
	}
}
