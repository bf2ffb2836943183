package backendtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// Kind is a way in which one exchange fails. The set is closed.
type Kind string

const (
	None       Kind = ""
	Refuse     Kind = "refuse"      // before any effect: no connection
	CutUpload  Kind = "cut upload"  // the connection breaks off After bytes behind the head of the request
	DropAnswer Kind = "drop answer" // after the effect: the answer is lost
	CutAnswer  Kind = "cut answer"  // the answer's body breaks off after After bytes
	Delay      Kind = "delay"       // the request is sent For later
	Hang       Kind = "hang"        // nothing is sent, nothing comes, until the context ends
)

// Kinds are all kinds of failure.
var Kinds = []Kind{Refuse, CutUpload, DropAnswer, CutAnswer, Delay, Hang}

// Fault is one failure.
type Fault struct {
	Kind  Kind
	After int64 // bytes
	For   time.Duration
}

// ErrLost is what a client sees of an exchange that a Fault broke off.
var ErrLost = errors.New("connection lost (injected)")

// Faults breaks exchanges. Its Wire and its Dial are those of a backend.Remote.
// Safe for concurrent use, but that a CutUpload befalls whichever request is
// written next.
type Faults struct {
	mu   sync.Mutex // guards what follows
	plan func(*http.Request) Fault
	hits map[Kind]int
	cut  *Fault // armed, for the next request that is written
}

// Wire puts the faults around an exchange.
func (f *Faults) Wire(next http.RoundTripper) http.RoundTripper { return faulty{f, next} }

type faulty struct {
	*Faults
	next http.RoundTripper
}

// Dial opens connections that CutUpload can break.
func (f *Faults) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &cutConn{Conn: c, faults: f}, nil
}

// cutConn breaks off in the middle of a request.
type cutConn struct {
	net.Conn
	faults *Faults
	broken bool  // it is about to
	left   int64 // bytes until then, once the head of the request is out
}

func (c *cutConn) Write(p []byte) (int, error) {
	head := 0
	if fault := c.faults.take(); fault != nil {
		c.broken, c.left = true, fault.After
		head = bytes.Index(p, []byte("\r\n\r\n")) + 4
	}
	if !c.broken {
		return c.Conn.Write(p)
	}
	n, err := c.Conn.Write(p[:min(int64(len(p)), int64(head)+c.left)])
	if c.left -= int64(n - head); c.left > 0 {
		return n, err
	}
	c.Close()
	if err == nil && n < len(p) {
		err = ErrLost
	}
	return n, err
}

// take disarms a CutUpload.
func (f *Faults) take() *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	fault := f.cut
	f.cut = nil
	return fault
}

// Plan decides what happens to each exchange from now on; nil: nothing.
func (f *Faults) Plan(plan func(*http.Request) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan = plan
}

// Once makes one exchange with this method fail.
func (f *Faults) Once(method string, fault Fault) {
	done := false
	f.Plan(func(r *http.Request) Fault {
		if done || r.Method != method {
			return Fault{}
		}
		done = true
		return fault
	})
}

// Hits counts how often a kind of failure happened.
func (f *Faults) Hits(k Kind) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hits[k]
}

func (f *Faults) draw(r *http.Request) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.plan == nil {
		return Fault{}
	}
	fault := f.plan(r)
	if fault.Kind != None {
		if f.hits == nil {
			f.hits = map[Kind]int{}
		}
		f.hits[fault.Kind]++
	}
	return fault
}

// RoundTrip implements http.RoundTripper.
func (f faulty) RoundTrip(r *http.Request) (*http.Response, error) {
	fault := f.draw(r)
	switch fault.Kind {
	case Refuse:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case Hang:
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	case Delay:
		select {
		case <-time.After(fault.For):
		case <-r.Context().Done():
			return nil, context.Cause(r.Context())
		}
	case CutUpload:
		f.mu.Lock()
		f.cut = &fault
		f.mu.Unlock()
	default:
	}
	resp, err := f.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if fault.Kind == DropAnswer {
		resp.Body.Close()
		return nil, ErrLost
	}
	if fault.Kind == CutAnswer {
		resp.Body = &cutBody{resp.Body, fault.After}
	}
	return resp, nil
}

// cutBody fails after left bytes.
type cutBody struct {
	io.ReadCloser
	left int64
}

func (c *cutBody) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, ErrLost
	}
	n, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}
