package memory

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// front is the network side of a server, which can be switched off.
type front struct {
	mu      sync.Mutex   // guards what follows
	addr    string       // where Serve listens; empty when it does not
	running *http.Server // nil when off
	conns   map[net.Conn]struct{}
	failed  chan error // of running
	serving sync.WaitGroup
}

// ErrNotServing says that only a server that runs Serve can be switched.
var ErrNotServing = errors.New("server is not being served")

// Serve answers on l until ctx is done, then closes it, resets what is still
// open and returns nil. It may be called once at a time.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	f := &s.front
	f.mu.Lock()
	f.addr = l.Addr().String()
	f.failed = make(chan error, 1)
	s.start(l)
	f.mu.Unlock()

	var err error
	select {
	case <-ctx.Done():
	case err = <-f.failed:
	}
	f.mu.Lock()
	f.addr = "" // first: cut lets go of the lock for a moment, and On must not come between
	s.cut()
	f.mu.Unlock()
	f.serving.Wait()
	s.faults.stop()
	return err
}

// Off switches the server off as a power cut does: connections are refused,
// open ones are reset, nothing that was under way is answered. What is stored
// stays. It does nothing when the server is off.
func (s *Server) Off() {
	s.front.mu.Lock()
	defer s.front.mu.Unlock()
	s.cut()
}

// On switches the server on again, at the address where it was. It returns when
// connections are taken. ErrNotServing, or why the address can not be had.
func (s *Server) On() error {
	f := &s.front
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.addr == "" {
		return ErrNotServing
	}
	if f.running != nil {
		return nil
	}
	l, err := relisten(f.addr)
	if err != nil {
		return err
	}
	s.start(l)
	return nil
}

// Running tells whether the server takes connections.
func (s *Server) Running() bool {
	s.front.mu.Lock()
	defer s.front.mu.Unlock()
	return s.front.running != nil
}

// relisten takes an address again. Somebody's outgoing connection may have the
// port for a moment.
func relisten(addr string) (net.Listener, error) {
	var l net.Listener
	var err error
	for range 50 {
		if l, err = new(net.ListenConfig).Listen(context.Background(), "tcp", addr); !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return l, err
}

// start is called with front.mu held.
func (s *Server) start(l net.Listener) {
	f := &s.front
	conns := map[net.Conn]struct{}{}
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0), // faults make noise
		ConnState: func(c net.Conn, state http.ConnState) {
			f.mu.Lock()
			defer f.mu.Unlock()
			switch state {
			case http.StateNew:
				conns[c] = struct{}{}
			case http.StateClosed, http.StateHijacked:
				delete(conns, c)
			default:
			}
		},
	}
	f.running, f.conns = srv, conns
	f.serving.Add(1)
	go func(failed chan error) {
		defer f.serving.Done()
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}(f.failed)
}

// cut is called with front.mu held.
func (s *Server) cut() {
	f := &s.front
	if f.running == nil {
		return
	}
	for c := range f.conns {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // reset, not an orderly end
		}
	}
	srv := f.running
	f.running, f.conns = nil, nil
	s.faults.powerCut()
	// Close reports states of connections, which takes front.mu.
	f.mu.Unlock()
	_ = srv.Close() // of the listener, which may be closed already
	f.mu.Lock()
}
