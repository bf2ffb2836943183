package memory_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// eventually polls, for what happens in the server's own time.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func size(t *testing.T, r *backend.Remote, key string) int64 {
	t.Helper()
	seen, err := r.Head(bg, "bucket", key)
	must(t, err)
	if seen.Kind == object.Tombstone {
		return -1
	}
	return seen.Size
}

func TestErrorsBeforeTheEffect(t *testing.T) {
	srv, endpoint := serve(t, memory.Options{})
	r := connect(t, endpoint)
	for _, f := range []memory.Faults{
		{ErrorRate: 1},
		{ErrorRate: 1, ErrorCode: s3.SlowDown},
		{ErrorRate: 1, ErrorStatus: 502},
		{ErrorRate: 1, Ops: []s3.OperationName{s3.PutObject, s3.DeleteObject}},
	} {
		srv.SetFaults(f)
		if got := srv.Faults(); got.ErrorRate != 1 || got.ErrorCode != f.ErrorCode {
			t.Errorf("%+v", got)
		}
		err := put(r, "key", "data")
		var e *backend.Error
		if !errors.As(err, &e) || e.Outcome != backend.Ambiguous || f.ErrorCode != "" && !errors.Is(err, f.ErrorCode) || f.ErrorStatus != 0 && e.Status != f.ErrorStatus {
			t.Errorf("%+v: %v", f, err)
		}
		if f.Ops != nil && size(t, r, "key") != -1 {
			t.Error("stored")
		}
	}
	srv.SetFaults(memory.Faults{})
	if got := size(t, r, "key"); got != -1 {
		t.Errorf("%d bytes stand", got)
	}
}

// TestRates: dice are thrown per request, and the same seed throws the same.
func TestRates(t *testing.T) {
	run := func() (failed string) {
		srv, endpoint := serve(t, memory.Options{Seed: 7})
		r := connect(t, endpoint)
		srv.SetFaults(memory.Faults{ErrorRate: 0.3})
		for range 100 {
			failed += map[bool]string{true: "x", false: "."}[put(r, "key", "data") != nil]
		}
		return failed
	}
	first := run()
	if n := strings.Count(first, "x"); n < 15 || n > 45 {
		t.Errorf("%d of 100 failed", n)
	}
	if second := run(); second != first {
		t.Errorf("%s\n%s", first, second)
	}
}

func TestDroppedAnswers(t *testing.T) {
	srv, endpoint := serve(t, memory.Options{})
	r := connect(t, endpoint)
	srv.SetFaults(memory.Faults{DropRate: 1})
	if err := put(r, "key", "data"); backend.OutcomeOf(err) != backend.Ambiguous || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v", err)
	}
	srv.SetFaults(memory.Faults{})
	if size(t, r, "key") != 4 {
		t.Error("not applied")
	}
	srv.SetFaults(memory.Faults{DropRate: 1})
	if err := r.Delete(bg, "bucket", "key"); backend.OutcomeOf(err) != backend.Ambiguous {
		t.Errorf("%v", err)
	}
	srv.SetFaults(memory.Faults{})
	if size(t, r, "key") != -1 {
		t.Error("not deleted")
	}
}

// TestLateEffects: a write whose connection is long gone lands on a newer one.
func TestLateEffects(t *testing.T) {
	srv, endpoint := serve(t, memory.Options{})
	r := connect(t, endpoint)
	srv.SetFaults(memory.Faults{LateRate: 1, LateBy: 200 * time.Millisecond})
	if err := put(r, "key", "late"); backend.OutcomeOf(err) != backend.Ambiguous {
		t.Errorf("%v", err)
	}
	srv.SetFaults(memory.Faults{})
	if srv.Pending() == 1 { // unless this machine was that slow
		must(t, put(r, "key", "newer, and longer"))
	}
	eventually(t, "the late one is applied", func() bool { return srv.Pending() == 0 })
	if got := size(t, r, "key"); got != 4 {
		t.Errorf("%d bytes stand", got)
	}
	srv.SetFaults(memory.Faults{LateRate: 1, LateBy: time.Millisecond, Ops: []s3.OperationName{s3.DeleteObject}})
	if err := r.Delete(bg, "bucket", "key"); backend.OutcomeOf(err) != backend.Ambiguous {
		t.Errorf("%v", err)
	}
	eventually(t, "it is deleted", func() bool { return size(t, r, "key") == -1 })
}

// TestLateEffectsEndWithTheServer: what has not landed when the process ends
// never does.
func TestLateEffectsEndWithTheServer(t *testing.T) {
	srv := memory.New(options(memory.Options{}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, stop := context.WithCancel(bg)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, l) }()
	r := connect(t, "http://"+l.Addr().String())
	srv.SetFaults(memory.Faults{LateRate: 1, LateBy: time.Hour})
	if err := put(r, "key", "late"); backend.OutcomeOf(err) != backend.Ambiguous || srv.Pending() != 1 {
		t.Errorf("%v, %d pending", err, srv.Pending())
	}
	stop()
	must(t, <-done)
	if srv.Pending() != 0 || srv.Stats().Objects != 0 {
		t.Errorf("%d pending, %+v", srv.Pending(), srv.Stats())
	}
}

func TestCutAnswers(t *testing.T) {
	srv, endpoint := serve(t, memory.Options{})
	r := connect(t, endpoint)
	must(t, put(r, "key", strings.Repeat("0123456789", 100_000)))
	for _, after := range []int64{0, 1, 5000, 999_999} {
		srv.SetFaults(memory.Faults{CutRate: 1, CutAfter: after})
		obj, err := r.Get(bg, "bucket", "key", backend.GetOptions{})
		must(t, err)
		n, err := io.Copy(io.Discard, obj.Body)
		if n != after || err == nil {
			t.Errorf("%d bytes of %d, %v", n, after, err)
		}
		obj.Body.Close()
	}
}

func TestTruncation(t *testing.T) {
	srv, endpoint := serve(t, memory.Options{})
	r := connect(t, endpoint)
	for _, n := range []int{0, 1, 1001, 600_000} {
		srv.SetFaults(memory.Faults{TruncateRate: 1})
		must(t, put(r, "key", strings.Repeat("x", n)))
		srv.SetFaults(memory.Faults{})
		obj, err := r.Get(bg, "bucket", "key", backend.GetOptions{})
		must(t, err)
		data, err := io.ReadAll(obj.Body)
		obj.Body.Close()
		if err != nil || len(data) != n/2 {
			t.Errorf("%d bytes of %d stand, %v", len(data), n, err)
		}
		if st := srv.Stats(); st.Bytes != int64(n/2) {
			t.Errorf("%+v", st)
		}
	}
}

// TestStartOrder: the write that began first and ended last is acknowledged and
// not to be seen; a delete counts as a write.
func TestStartOrder(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		for _, overtake := range []string{"put", "delete"} {
			t.Run(fmt.Sprintf("%v %s", ordered, overtake), func(t *testing.T) {
				srv, endpoint := serve(t, memory.Options{})
				r := connect(t, endpoint)
				srv.SetFaults(memory.Faults{StartOrdered: ordered})
				begun, release := make(chan struct{}), make(chan struct{})
				done := make(chan error, 1)
				go func() {
					_, err := r.Put(bg, backend.PutRequest{Bucket: "bucket", Key: "key", Size: 300_000,
						Framing: backend.Framing{Mode: sigv4.UnsignedTrailer, Algorithm: "crc32"},
						Body:    &heldBody{left: 300_000, begun: begun, release: release}})
					done <- err
				}()
				<-begun
				eventually(t, "the server has the beginning", func() bool { return srv.Stats().Bytes == 300_000 })
				if overtake == "put" {
					must(t, put(r, "key", "second"))
				} else {
					must(t, r.Delete(bg, "bucket", "key"))
				}
				close(release)
				must(t, <-done)
				want := int64(300_000)
				if ordered {
					want = map[string]int64{"put": 6, "delete": -1}[overtake]
				}
				if got := size(t, r, "key"); got != want {
					t.Errorf("%d bytes stand, want %d", got, want)
				}
			})
		}
	}
}

// heldBody gives zeros, the last one after its release.
type heldBody struct {
	left           int
	begun, release chan struct{}
}

func (h *heldBody) Next(_ context.Context, max int) ([]byte, error) {
	if h.left == 1 {
		close(h.begun)
		<-h.release
	}
	n := min(max, h.left-1)
	if h.left == 1 {
		n = 1
	}
	h.left -= n
	return make([]byte, n), nil
}
func (*heldBody) Sum(context.Context, int) (s [32]byte, err error) { return s, nil }
func (*heldBody) Trailer() (string, error)                         { return crc(make([]byte, 300_000)), nil }

func TestDelay(t *testing.T) {
	srv, endpoint := serve(t, memory.Options{})
	r := connect(t, endpoint)
	srv.SetFaults(memory.Faults{Delay: 50 * time.Millisecond})
	start := time.Now()
	must(t, put(r, "key", "data"))
	if time.Since(start) < 50*time.Millisecond { // the one thing that a clock can not do is run fast
		t.Error("not delayed")
	}
	srv.SetFaults(memory.Faults{Delay: time.Hour})
	ctx, cancel := context.WithCancel(bg)
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := r.Delete(ctx, "bucket", "key"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	srv.SetFaults(memory.Faults{})
	if size(t, r, "key") != 4 {
		t.Error("deleted for a client that went away")
	}
}

// TestHang: nothing is answered until it is over, or the power is cut.
func TestHang(t *testing.T) {
	srv, endpoint := serve(t, memory.Options{})
	r := connect(t, endpoint)
	for name, end := range map[string]func(){
		"it is over": func() { srv.SetFaults(memory.Faults{}) },
		"power cut":  srv.Off,
	} {
		t.Run(name, func(t *testing.T) {
			must(t, put(r, "key", "data"))
			srv.SetFaults(memory.Faults{Hang: true})
			errs := make(chan error, 3)
			go func() { errs <- put(r, "other", "data") }()
			go func() { errs <- r.Delete(bg, "bucket", "nothing") }()
			go func() {
				_, err := r.Head(bg, "bucket", "key")
				errs <- err
			}()
			ctx, cancel := context.WithTimeout(bg, 50*time.Millisecond)
			defer cancel()
			if err := r.Delete(ctx, "bucket", "key"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
			select {
			case err := <-errs:
				t.Errorf("answered: %v", err)
			default:
			}
			end()
			for range 3 {
				if err := <-errs; (err == nil) != (name == "it is over") {
					t.Errorf("%v", err)
				}
			}
			must(t, srv.On())
			srv.SetFaults(memory.Faults{})
			// A server that goes on may not have noticed that a client left.
			if got := size(t, r, "key"); got != 4 && (got != -1 || name == "power cut") {
				t.Errorf("%d bytes stand", got)
			}
		})
	}
}

// TestSwitch: off is refused and reset, on is as before, at the same address.
func TestSwitch(t *testing.T) {
	srv, endpoint := serve(t, memory.Options{})
	r := connect(t, endpoint)
	must(t, put(r, "key", strings.Repeat("x", 8<<20)))
	obj, err := r.Get(bg, "bucket", "key", backend.GetOptions{})
	must(t, err)
	defer obj.Body.Close()
	_, err = io.ReadFull(obj.Body, make([]byte, 1000))
	must(t, err)
	if !srv.Running() {
		t.Error("not running")
	}
	srv.Off()
	srv.Off()
	if _, err := io.Copy(io.Discard, obj.Body); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("an open connection ended in %v", err)
	}
	for range 5 {
		if err := put(r, "key", "data"); backend.OutcomeOf(err) != backend.NotSent || srv.Running() {
			t.Errorf("%v", err)
		}
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "http://")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v", err)
	}
	must(t, srv.On())
	must(t, srv.On())
	if size(t, r, "key") != 8<<20 {
		t.Error("something was lost")
	}
}

func TestOnlyTheServedCanBeSwitched(t *testing.T) {
	srv := memory.New(options(memory.Options{}))
	srv.Off()
	if err := srv.On(); !errors.Is(err, memory.ErrNotServing) {
		t.Errorf("%v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	l.Close()
	if err := srv.Serve(bg, l); err == nil {
		t.Error("served on a closed listener")
	}
}

// TestOffAndOnUnderLoad: whatever was acknowledged is there, whatever the
// switch did meanwhile.
func TestOffAndOnUnderLoad(t *testing.T) {
	srv, endpoint := serve(t, memory.Options{})
	r := connect(t, endpoint)
	stop := make(chan struct{})
	var mu sync.Mutex
	acked := map[string]int64{}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				key, n := fmt.Sprintf("%d/%d", w, i), 1000*(i%50)
				if put(r, key, strings.Repeat("x", n)) == nil {
					mu.Lock()
					acked[key] = int64(n)
					mu.Unlock()
				}
			}
		})
	}
	for range 20 {
		srv.Off()
		must(t, srv.On())
		eventually(t, "a write succeeds", func() bool { return put(r, "probe", "x") == nil })
	}
	close(stop)
	wg.Wait()
	for key, n := range acked {
		if got := size(t, r, key); got != n {
			t.Errorf("%s: %d bytes, acknowledged %d", key, got, n)
		}
	}
	if len(acked) == 0 {
		t.Error("nothing was acknowledged")
	}
}

// TestUnsupportedIsSaid: what is no S3 here answers as S3.
func TestUnsupportedIsSaid(t *testing.T) {
	_, endpoint := serve(t, memory.Options{})
	for _, target := range []string{"/bucket/key?retention", "/bucket?versioning", "/bucket/key?restore"} {
		u := endpoint + target
		r, err := http.NewRequest("POST", u, nil)
		must(t, err)
		path, query, _ := strings.Cut(target, "?")
		sigv4.NewSigner(accessKey, secretKey, region).Sign(r, path, query, "UNSIGNED-PAYLOAD", time.Now())
		resp, err := http.DefaultClient.Do(r)
		must(t, err)
		code := s3.DecodeError(resp.StatusCode, resp.Body).Code
		resp.Body.Close()
		if resp.StatusCode != 501 || code != s3.NotImplemented || resp.Header.Get("X-Amz-Request-Id") == "" {
			t.Errorf("%s: %d %s", target, resp.StatusCode, code)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
