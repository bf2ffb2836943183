package backendtest

import (
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
	CutUpload  Kind = "cut upload"  // the body breaks off after After bytes on the wire
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

// Faults breaks exchanges. It is the Wire of a backend.Remote. Safe for
// concurrent use.
type Faults struct {
	next http.RoundTripper

	mu   sync.Mutex // guards what follows
	plan func(*http.Request) Fault
	hits map[Kind]int
}

// Wire puts the faults around a transport.
func (f *Faults) Wire(next http.RoundTripper) http.RoundTripper {
	f.next = next
	return f
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
func (f *Faults) RoundTrip(r *http.Request) (*http.Response, error) {
	fault := f.draw(r)
	switch fault.Kind {
	case Refuse:
		closeBody(r)
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case Hang:
		<-r.Context().Done()
		closeBody(r)
		return nil, context.Cause(r.Context())
	case Delay:
		select {
		case <-time.After(fault.For):
		case <-r.Context().Done():
			closeBody(r)
			return nil, context.Cause(r.Context())
		}
	case CutUpload:
		cut := *r
		cut.Body = &cutBody{r.Body, fault.After}
		r = &cut
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

func closeBody(r *http.Request) {
	if r.Body != nil {
		r.Body.Close()
	}
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
