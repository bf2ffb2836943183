package replica_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/heal"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

var _ replica.Body = (*auth.Body)(nil)

// wire is the network of one endpoint, in memory, so that a test can run on
// virtual time. It can be switched off like a power plug.
type wire struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	off   bool
	conns []net.Conn
}

func newWire() *wire { return &wire{accept: make(chan net.Conn), closed: make(chan struct{})} }

func (w *wire) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	w.mu.Lock()
	if w.off {
		w.mu.Unlock()
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	client, server := net.Pipe()
	w.conns = append(w.conns, client, server)
	w.mu.Unlock()
	select {
	case w.accept <- server:
		return client, nil
	case <-w.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.accept:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

func (w *wire) Close() error   { w.plug(true); w.once.Do(func() { close(w.closed) }); return nil }
func (w *wire) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (w *wire) plug(off bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.off = off
	if off {
		for _, c := range w.conns {
			c.Close()
		}
		w.conns = nil
	}
}

// counter counts what reaches an endpoint, by method and key.
type counter struct {
	http.Handler
	mu   sync.Mutex // guards seen
	seen map[string]int
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.seen[r.Method+" "+strings.TrimPrefix(r.URL.Path, "/"+testBucket+"/")]++
	c.mu.Unlock()
	c.Handler.ServeHTTP(w, r)
}

// reset begins to count anew.
func (c *counter) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.seen)
}

// of is how often a key was asked for by a method; of "PUT" and "DELETE"
// together when the method is empty.
func (c *counter) of(method, key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if method == "" {
		return c.seen["PUT "+key] + c.seen["DELETE "+key]
	}
	return c.seen[method+" "+key]
}

// times are the tests' scale.
var times = commit.Times{
	Lease: 8 * time.Second, Margin: 4 * time.Second, Settle: 20 * time.Second, Gap: 2 * time.Second,
	Retention: 60 * time.Second, Keep: 12 * time.Second, LockWait: 10 * time.Second,
	Grace: 2 * time.Second, HelpWait: 50 * time.Millisecond,
}

// rig is a Set over memory servers.
type rig struct {
	t       *testing.T
	log     oplog.Log
	wires   map[string]*wire
	servers map[string]*memory.Server
	counts  map[string]*counter
	names   []string
	started time.Time

	set    *replica.Set
	healer *heal.Healer
	jobs   *heal.Jobs
	stop   func()
	stacks []*backend.Stack
	ctx    context.Context
}

const testBucket = "photos"

// inBubble runs a test on virtual time with a rig of three backends and a bucket.
func inBubble(t *testing.T, do func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory.NewLog(), "a", "b", "c")
		r.open(nil)
		r.makeBucket()
		do(t, r)
	})
}

func newRig(t *testing.T, log oplog.Log, names ...string) *rig {
	return newRigOf(t, log, nil, names...)
}

// newRigOf is newRig with backends of different make.
func newRigOf(t *testing.T, log oplog.Log, make map[string]memory.Personality, names ...string) *rig {
	r := &rig{t: t, log: log, names: names, wires: map[string]*wire{}, servers: map[string]*memory.Server{}, counts: map[string]*counter{}, started: time.Now(), ctx: context.Background()}
	var serving sync.WaitGroup
	for i, name := range names {
		srv := memory.New(memory.Options{AccessKeyID: "k", SecretAccessKey: "s", Seed: uint64(i), Personality: make[name]})
		w := newWire()
		count := &counter{Handler: srv, seen: map[string]int{}}
		hs := &http.Server{Handler: count, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
		serving.Go(func() { hs.Serve(w) })
		r.wires[name], r.servers[name], r.counts[name] = w, srv, count
		t.Cleanup(func() { srv.SetFaults(memory.Faults{}); w.Close(); hs.Close() })
	}
	t.Cleanup(func() {
		if r.stop != nil {
			r.close()
		}
	})
	return r
}

func (r *rig) makeBucket() {
	r.t.Helper()
	if err := r.set.CreateBucket(r.ctx, testBucket, "tester", "1"); err != nil {
		r.t.Fatalf("create bucket: %v", err)
	}
}

// open starts a Set with everything around it.
func (r *rig) open(edit func(*replica.Options)) {
	r.t.Helper()
	run, err := r.tryOpen(edit)
	if err != nil {
		r.t.Fatalf("open: %v", err)
	}
	run()
}

// tryOpen opens a Set; run starts it.
func (r *rig) tryOpen(edit func(*replica.Options)) (run func(), err error) {
	r.t.Helper()
	var stacks []*backend.Stack
	var remotes []*backend.Remote
	logger := slog.New(slog.DiscardHandler)
	if testing.Verbose() && os.Getenv("REPLICA_LOG") != "" {
		logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	stamps := object.NewStampKey(make([]byte, 32))
	for _, name := range r.names {
		remote, err := backend.NewRemote(backend.Options{
			Name: name, Endpoint: &url.URL{Scheme: "http", Host: name + ".test"}, Region: "us-east-1",
			AccessKeyID: "k", SecretAccessKey: "s", StampKey: stamps, Dial: r.wires[name].dial,
		})
		if err != nil {
			r.t.Fatal(err)
		}
		remotes = append(remotes, remote)
		stacks = append(stacks, backend.Wrap(remote, backend.WrapOptions{Breaker: backend.BreakerOptions{Log: logger}}))
	}
	all := object.NewReplicas(r.names...)
	o := replica.Options{
		Node: "node", Exclusive: true, Log: r.log, Stacks: stacks, Times: times, Logger: logger,
		Defaults: replica.Policy{Replicas: all, Ack: commit.Rule{Need: 1}},
		Boot:     func() time.Duration { return time.Since(r.started) },
	}
	if edit != nil {
		edit(&o)
	}
	set, err := replica.Open(r.ctx, o)
	if err != nil {
		for _, remote := range remotes {
			remote.Close()
		}
		return nil, err
	}
	var shares heal.Shares
	if o.Member != nil {
		shares = set
	}
	return func() { r.run(set, shares, stacks, remotes, logger) }, nil
}

// run starts a Set that was opened.
func (r *rig) run(set *replica.Set, shares heal.Shares, stacks []*backend.Stack, remotes []*backend.Remote, logger *slog.Logger) {
	healer := heal.New(heal.Options{Set: set, Shares: shares, Log: r.log, Interval: time.Second, Retention: times.Retention, Logger: logger})
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	for _, s := range stacks {
		loops.Go(func() { s.Breaker.Run(ctx) })
	}
	loops.Go(func() { set.Run(ctx) })
	loops.Go(func() { healer.Run(ctx) })
	jobs := heal.NewJobs(heal.JobsOptions{Set: set, Log: r.log, Node: "node", Keep: 24 * time.Hour, Logger: logger})
	loops.Go(func() { jobs.Run(ctx) })
	r.set, r.healer, r.jobs, r.stacks = set, healer, jobs, stacks
	r.stop = func() {
		cancel()
		loops.Wait()
		for _, remote := range remotes {
			remote.Close()
		}
	}
}

// close ends the Set in order.
func (r *rig) close() {
	r.t.Helper()
	if err := r.set.Close(); err != nil {
		r.t.Errorf("close: %v", err)
	}
	r.stop()
	r.stop = nil
}

// crash ends the Set as kill -9 would: nothing under way is finished.
func (r *rig) crash() {
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	r.set.Drain(gone)
	r.stop()
	r.stop = nil
}

// converge waits, on virtual time, until every row is gone.
func (r *rig) converge() {
	r.t.Helper()
	deadline := time.Now().Add(30 * time.Minute)
	for {
		st, err := r.log.Stats(r.ctx)
		if err != nil {
			r.t.Fatal(err)
		}
		if st.Rows == 0 {
			return
		}
		if time.Now().After(deadline) {
			rows, _ := r.log.Range(r.ctx, testBucket, "", "", 10)
			r.t.Fatalf("not converged: %+v, rows %+v", r.healer.Stats(), rows)
		}
		time.Sleep(time.Second)
	}
}

// stored is what one server holds, by key, internal objects left out.
func (r *rig) stored(name string) map[string]object.Seen {
	r.t.Helper()
	remote, err := backend.NewRemote(backend.Options{
		Name: name, Endpoint: &url.URL{Scheme: "http", Host: name + ".test"}, Region: "us-east-1",
		AccessKeyID: "k", SecretAccessKey: "s", StampKey: object.NewStampKey(make([]byte, 32)), Dial: r.wires[name].dial,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	defer remote.Close()
	out := map[string]object.Seen{}
	for after := ""; ; {
		page, err := remote.List(r.ctx, testBucket, backend.ListRequest{After: after})
		if err != nil {
			r.t.Fatal(err)
		}
		for _, e := range page.Entries {
			if object.Key.Reserved(object.Key{Name: e.Key}) {
				continue
			}
			seen, err := remote.Head(r.ctx, testBucket, e.Key)
			if err != nil {
				r.t.Fatal(err)
			}
			seen.ModTime = time.Time{}
			out[e.Key] = seen
		}
		if after = page.Next; after == "" {
			return out
		}
	}
}

// equal fails the test unless all servers hold the same, stamps included.
func (r *rig) equal() map[string]object.Seen {
	r.t.Helper()
	first := r.stored(r.names[0])
	for _, name := range r.names[1:] {
		other := r.stored(name)
		if len(first) != len(other) {
			r.t.Fatalf("%s has %d objects, %s has %d", r.names[0], len(first), name, len(other))
		}
		for key, want := range first {
			if got := other[key]; fmt.Sprint(got) != fmt.Sprint(want) {
				r.t.Fatalf("key %q: %s has %+v, %s has %+v", key, r.names[0], want, name, got)
			}
		}
	}
	return first
}

// upload is a verifying body as the gateway hands it in.
type upload struct {
	r        io.Reader
	size     int64
	literal  *[32]byte
	md5sum   []byte
	promised s3.Checksum
	sums     map[string]hash.Hash
	done     bool
	fault    error // instead of the verified end
}

func newUpload(data []byte) *upload {
	return &upload{r: bytes.NewReader(data), size: int64(len(data)), sums: map[string]hash.Hash{}}
}

func (u *upload) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	for _, h := range u.sums {
		h.Write(p[:n])
	}
	if n == 0 && err == io.EOF {
		if u.fault != nil {
			return 0, u.fault
		}
		u.done = true
	}
	if n > 0 {
		err = nil
	}
	return n, err
}

func (u *upload) Size() int64 { return u.size }
func (u *upload) SHA256() (sum [32]byte, ok bool) {
	if u.literal == nil {
		return sum, false
	}
	return *u.literal, true
}
func (u *upload) ContentMD5() []byte    { return u.md5sum }
func (u *upload) Promised() s3.Checksum { return u.promised }
func (u *upload) ComputeMD5()           { u.sums["md5"] = md5.New() }
func (u *upload) ComputeChecksum(a string) {
	h, err := backend.NewChecksum(a)
	if err != nil {
		panic(err)
	}
	u.sums[a] = h
}
func (u *upload) Checksum() (string, string) {
	return u.promised.Algorithm, u.Sum(u.promised.Algorithm)
}
func (u *upload) MD5() []byte {
	if h := u.sums["md5"]; h != nil && u.done {
		return h.Sum(nil)
	}
	return nil
}
func (u *upload) Sum(a string) string {
	if h := u.sums[a]; h != nil && u.done {
		return base64.StdEncoding.EncodeToString(h.Sum(nil))
	}
	return ""
}

// content is reproducible data.
func content(size int, seed uint64) []byte {
	data := make([]byte, size)
	rng := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(size)})
	rng.Read(data)
	return data
}

func key(name string) object.Key { return object.Key{Bucket: testBucket, Name: name} }

func (r *rig) put(name string, data []byte) (object.Info, error) {
	return r.set.Put(r.ctx, replica.PutRequest{Key: key(name), Headers: object.Headers{"content-type": "text/plain", "x-amz-meta-who": name}, Body: newUpload(data), Actor: "tester"})
}

func (r *rig) mustPut(name string, data []byte) object.Info {
	r.t.Helper()
	info, err := r.put(name, data)
	if err != nil {
		r.t.Fatalf("put %q: %v", name, err)
	}
	return info
}

func (r *rig) get(name string) ([]byte, error) {
	obj, err := r.set.Get(r.ctx, replica.GetRequest{Key: key(name)})
	if err != nil {
		return nil, err
	}
	defer obj.Body.Close()
	return io.ReadAll(obj.Body)
}

func (r *rig) mustGet(name string, want []byte) {
	r.t.Helper()
	got, err := r.get(name)
	if err != nil {
		r.t.Fatalf("get %q: %v", name, err)
	}
	if !bytes.Equal(got, want) {
		r.t.Fatalf("get %q: %d bytes that differ from the %d written", name, len(got), len(want))
	}
}

func (r *rig) mustMiss(name string) {
	r.t.Helper()
	if _, err := r.get(name); !errors.Is(err, s3.NoSuchKey) {
		r.t.Fatalf("get %q: %v, want NoSuchKey", name, err)
	}
}

func (r *rig) mustDelete(name string) {
	r.t.Helper()
	if err := r.set.Delete(r.ctx, replica.DeleteRequest{Key: key(name)}); err != nil {
		r.t.Fatalf("delete %q: %v", name, err)
	}
}
