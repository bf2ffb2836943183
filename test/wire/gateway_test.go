package wire

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/gateway"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// The keys that every capture is signed with.
const (
	accessKey = "AKIDWIREGOLDENS"
	secretKey = "wire/goldens+secret"
	region    = "us-east-1"
)

// station is a gateway over three servers in memory.
type station struct {
	handler *gateway.Handler
	remotes []*backend.Remote
	clock   atomic.Int64 // Unix seconds that the verifier sees; 0: the system's
}

func (s *station) now() time.Time {
	if at := s.clock.Load(); at != 0 {
		return time.Unix(at, 0)
	}
	return time.Now()
}

func newStation(t *testing.T) *station {
	t.Helper()
	s := &station{}
	ctx, stop := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	names := []string{"b-1", "b-2", "b-3"}
	log := slog.New(slog.DiscardHandler)
	o := replica.Options{
		Node: "node", Exclusive: true, Log: memory.NewLog(), Logger: log,
		Times: commit.Times{
			Lease: 10 * time.Second, Margin: 4 * time.Second, Settle: 20 * time.Second, Gap: 2 * time.Second,
			Retention: 90 * time.Second, Keep: 12 * time.Second, LockWait: 10 * time.Second,
			Grace: 5 * time.Second, HelpWait: 50 * time.Millisecond,
		},
		Defaults: replica.Policy{Replicas: object.NewReplicas(names...), Ack: commit.Rule{Need: len(names)}},
	}
	for _, name := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := memory.New(memory.Options{AccessKeyID: "k", SecretAccessKey: "s"})
		loops.Go(func() { server.Serve(ctx, l) })
		remote, err := backend.NewRemote(backend.Options{
			Name: name, Endpoint: &url.URL{Scheme: "http", Host: l.Addr().String()}, Region: region,
			AccessKeyID: "k", SecretAccessKey: "s", StampKey: object.NewStampKey(make([]byte, 32)),
		})
		if err != nil {
			t.Fatal(err)
		}
		stack := backend.Wrap(remote, backend.WrapOptions{Breaker: backend.BreakerOptions{Log: log}})
		loops.Go(func() { stack.Breaker.Run(ctx) })
		o.Stacks = append(o.Stacks, stack)
		s.remotes = append(s.remotes, remote)
	}
	set, err := replica.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	loops.Go(func() { set.Run(ctx) })
	s.handler = gateway.New(gateway.Options{
		Replicas: set, Verifier: auth.NewVerifier(auth.Root(accessKey, sigv4.Secret(secretKey)), s.now),
		Tokens: s3.NewTokenKey([]byte("the token key of the goldens")), Log: log, Metrics: prometheus.NewRegistry(),
	})
	t.Cleanup(func() {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
		stop()
		loops.Wait()
		for _, remote := range s.remotes {
			remote.Close()
		}
	})
	return s
}

// serve serves the gateway behind its strict framing until the test ends.
func (s *station) serve(t *testing.T, l net.Listener, change func(*http.Server)) {
	t.Helper()
	server := gateway.NewServer(s.handler)
	if change != nil {
		change(server)
	}
	done := make(chan struct{})
	go func() { server.Serve(gateway.Listen(l, nil)); close(done) }()
	t.Cleanup(func() { server.Close(); <-done })
}
