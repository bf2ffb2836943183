package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	// idleTimeout is how long a connection is kept that nobody uses: less than
	// the minute after which servers and load balancers close it.
	idleTimeout = 55 * time.Second
	// maxIdle bounds how many are kept for one address.
	maxIdle = 256
)

// errPoolClosed: an endpoint that was closed opens no more connections.
var errPoolClosed = errors.New("endpoint is closed")

// pool keeps the connections of one endpoint. The one that was used last is
// used next, so that those that are not needed grow old. Safe for concurrent
// use.
type pool struct {
	dial DialFunc
	tls  *tls.Config // nil: plain; its ServerName is set per address
	max  int         // open connections of one address; 0: not bounded

	mu     sync.Mutex // guards what follows
	places map[string]*shelf
	reaper *time.Timer // nil while nothing is idle
	pipes  []*pipe     // empty, for those who splice
	closed bool
}

// shelf has the connections of one address.
type shelf struct {
	idle    []*conn // oldest first
	open    int     // idle or not
	waiting []chan *conn
}

func newPool(o Options) *pool {
	p := &pool{dial: o.Dial, max: o.MaxConns, places: map[string]*shelf{}}
	if o.Endpoint.Scheme == "https" {
		p.tls = &tls.Config{
			RootCAs:            o.RootCAs,
			MinVersion:         tls.VersionTLS12,
			ClientSessionCache: tls.NewLRUClientSessionCache(64),
		}
	}
	return p
}

// take returns a connection to an address: one that was kept, unless fresh is
// set, else a new one. Who waits for one does so within ctx, in the order of
// coming. It must be given back or dropped.
func (p *pool) take(ctx context.Context, addr, serverName string, fresh bool) (c *conn, kept bool, err error) {
	for {
		c, turn, err := p.pick(addr, fresh)
		switch {
		case err != nil:
			return nil, false, err
		case turn != nil:
			if c, err = p.await(ctx, addr, turn); err != nil {
				return nil, false, err
			}
			if c != nil && fresh {
				c.cut() // its place is what was wanted
				c = nil
			}
		}
		if c == nil {
			c, err := p.open(ctx, addr, serverName)
			return c, false, err
		}
		if c.alive() {
			return c, true, nil
		}
		p.drop(c)
	}
}

// pick returns an idle connection; or nothing, which is leave to open one; or a
// channel on which one of both will come.
func (p *pool) pick(addr string, fresh bool) (*conn, chan *conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, errPoolClosed
	}
	s := p.places[addr]
	if s == nil {
		s = &shelf{}
		p.places[addr] = s
	}
	if n := len(s.idle); n > 0 && (!fresh || s.open == p.max) {
		c := s.idle[n-1]
		s.idle[n-1] = nil
		s.idle = s.idle[:n-1]
		if !fresh {
			return c, nil, nil
		}
		c.cut() // its place is wanted
		return nil, nil, nil
	}
	if p.max > 0 && s.open >= p.max {
		turn := make(chan *conn, 1)
		s.waiting = append(s.waiting, turn)
		return nil, turn, nil
	}
	s.open++
	return nil, nil, nil
}

// await waits for a turn; nil without an error is leave to open a connection.
func (p *pool) await(ctx context.Context, addr string, turn chan *conn) (*conn, error) {
	select {
	case c := <-turn:
		return c, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	s := p.places[addr]
	for i, w := range s.waiting {
		if w == turn {
			s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
			p.mu.Unlock()
			return nil, context.Cause(ctx)
		}
	}
	p.mu.Unlock()
	// It came at the same time, and is for somebody else now.
	if c := <-turn; c != nil {
		p.give(c)
	} else {
		p.free(addr)
	}
	return nil, context.Cause(ctx)
}

// open opens a connection; leave for it was given.
func (p *pool) open(ctx context.Context, addr, serverName string) (*conn, error) {
	config := p.tls
	if config != nil {
		config = config.Clone()
		config.ServerName = serverName
	}
	c, err := dial(ctx, p.dial, addr, config)
	if err != nil {
		p.free(addr)
		return nil, err
	}
	return c, nil
}

// give takes a connection back that is good for another exchange.
func (p *pool) give(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.places[c.place]
	switch {
	case len(s.waiting) > 0:
		s.next() <- c
	case p.closed || len(s.idle) >= maxIdle:
		c.cut()
		p.shrink(c.place, s, 1)
	default:
		c.since = time.Now()
		s.idle = append(s.idle, c)
		if p.reaper == nil {
			p.reaper = time.AfterFunc(idleTimeout, p.reap)
		}
	}
}

// next is the one who has waited longest.
func (s *shelf) next() chan *conn {
	turn := s.waiting[0]
	s.waiting = s.waiting[1:]
	return turn
}

// drop ends a connection that was taken.
func (p *pool) drop(c *conn) {
	c.cut()
	p.free(c.place)
}

// free gives the place of a connection to who waits for it.
func (p *pool) free(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.places[addr]
	if len(s.waiting) > 0 {
		s.next() <- nil
		return
	}
	p.shrink(addr, s, 1)
}

// shrink counts connections that are gone; called with mu held.
func (p *pool) shrink(addr string, s *shelf, n int) {
	if s.open -= n; s.open == 0 {
		delete(p.places, addr)
	}
}

// reap ends what has been idle for too long, and comes again when the next one
// will have been.
func (p *pool) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reaper = nil
	if left, any := p.prune(time.Now(), idleTimeout); any && !p.closed {
		p.reaper = time.AfterFunc(left, p.reap)
	}
}

// prune ends what has been idle for so long, and tells how long it takes until
// the next one will have been. Called with mu held.
func (p *pool) prune(now time.Time, age time.Duration) (left time.Duration, any bool) {
	left = age
	for addr, s := range p.places {
		old := 0
		for old < len(s.idle) && now.Sub(s.idle[old].since) >= age {
			s.idle[old].cut()
			old++
		}
		s.idle = slices.Delete(s.idle, 0, old)
		if len(s.idle) > 0 {
			left, any = min(left, age-now.Sub(s.idle[0].since)), true
		}
		p.shrink(addr, s, old)
	}
	return left, any
}

// close ends what is idle, and what will be.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.reaper != nil {
		p.reaper.Stop()
	}
	p.prune(time.Now(), 0)
	for _, pipe := range p.pipes {
		pipe.close()
	}
	p.pipes = nil
}

// maxPipes bounds how many pipes are kept.
const maxPipes = 16

// pipe returns an empty pipe, which must be put back.
func (p *pool) pipe() (*pipe, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.pipes); n > 0 {
		pipe := p.pipes[n-1]
		p.pipes = p.pipes[:n-1]
		return pipe, nil
	}
	return newPipe()
}

// putPipe takes a pipe back. One in which something was left is of no use.
func (p *pool) putPipe(pipe *pipe) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if pipe.full > 0 || p.closed || len(p.pipes) >= maxPipes {
		pipe.close()
		return
	}
	p.pipes = append(p.pipes, pipe)
}
