package backend

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// stepBody gives data in runs of at most step bytes.
type stepBody struct {
	Body
	step int
}

func (s stepBody) Next(ctx context.Context, limit int) ([]byte, error) {
	return s.Body.Next(ctx, min(limit, s.step))
}

// gathering gives several runs at once, and only what ready says without
// waiting.
type gathering struct {
	stepBody
	ready func() bool
	given *[][]byte // by the last call
}

// poison spoils what was given before: it is valid no more.
func (g gathering) poison() {
	for _, p := range *g.given {
		for i := range p {
			p[i] = 0xee
		}
	}
	*g.given = nil
}

func (g gathering) Sum(ctx context.Context, n int) ([32]byte, error) {
	g.poison()
	return g.stepBody.Sum(ctx, n)
}

func (g gathering) Gather(ctx context.Context, limit int, wait bool, dst [][]byte) ([][]byte, error) {
	g.poison()
	for range 3 {
		if limit == 0 || !wait && !g.ready() {
			break
		}
		data, err := g.Next(ctx, limit)
		if err != nil {
			return dst, err
		}
		data = bytes.Clone(data)
		*g.given = append(*g.given, data)
		dst, limit, wait = append(dst, data), limit-len(data), false
	}
	return dst, nil
}

// send is what an exchange does with an upload, into memory.
func send(u *upload, wait func() bool) (wire []byte, err error) {
	var pieces net.Buffers
	for !u.given() {
		if pieces, err = u.batch(pieces[:0], wait()); err != nil {
			return wire, err
		}
		for _, p := range pieces {
			wire = append(wire, p...)
			u.took(int64(len(p)))
		}
	}
	return wire, nil
}

func always() bool { return true }

// TestFramesDecode: whatever the sizes of body, chunks, runs and batches, what
// leaves has the length announced and decodes to the body, and the upload is
// released with its last data byte, not with the one before.
func TestFramesDecode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 1, 40_000).Draw(t, "data")
		f := Framing{
			Mode:      rapid.SampledFrom([]sigv4.Mode{sigv4.Literal, sigv4.UnsignedTrailer, sigv4.Signed, sigv4.SignedTrailer}).Draw(t, "mode"),
			SHA256:    sha256.Sum256(data),
			Algorithm: rapid.SampledFrom([]string{"crc32", "crc32c", "crc64nvme", "sha1", "sha256"}).Draw(t, "algorithm"),
			ChunkSize: rapid.IntRange(minChunk, 20_000).Draw(t, "chunk"),
		}
		if err := f.check(int64(len(data))); err != nil {
			t.Fatal(err)
		}
		body, err := NewBody(bytes.NewReader(data), f)
		if err != nil {
			t.Fatal(err)
		}
		steps := stepBody{body, rapid.IntRange(1, 10_000).Draw(t, "step")}
		body = steps
		if rapid.Bool().Draw(t, "gather") {
			body = gathering{steps, func() bool { return rapid.Bool().Draw(t, "ready") }, new([][]byte)}
		}
		u := newUpload(context.Background(), PutRequest{Size: int64(len(data)), Framing: f, Body: body})
		now := time.Now()
		req, verify := signed(f, int64(len(data)), now)
		u.signer = req
		waits := 0
		wire, err := send(u, func() bool { waits++; return waits%4 == 0 || rapid.Bool().Draw(t, "wait") })
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(wire)) != f.wireLength(int64(len(data))) {
			t.Fatalf("%d bytes, announced %d", len(wire), f.wireLength(int64(len(data))))
		}
		if got := verify(t, wire); !bytes.Equal(got, data) {
			t.Fatalf("decoded %d bytes of %d", len(got), len(data))
		}
		if !u.released() {
			t.Fatal("not released")
		}
		u.sent = u.edge - 1
		if u.released() {
			t.Fatal("released without its last data byte")
		}
		if tail := wire[u.edge-1]; tail != data[len(data)-1] {
			t.Fatalf("the edge is behind %q", tail)
		}
	})
}

// signed signs a PUT of the framing, and returns what decodes and verifies it.
func signed(f Framing, size int64, now time.Time) (*sigv4.ChunkSigner, func(t *rapid.T, wire []byte) []byte) {
	r := &http.Request{Method: "PUT", URL: &url.URL{Host: "h"}, Host: "h", Header: http.Header{}, RequestURI: "/b/k"}
	signer := sigv4.NewSigner("key", "secret", "r").Sign(r, "/b/k", "", f.payload(size), now)
	return signer, func(t *rapid.T, wire []byte) []byte {
		q, err := sigv4.Parse(r, now)
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Verify("secret"); err != nil {
			t.Fatal(err)
		}
		if !q.Mode.Chunked() {
			return wire
		}
		var names []string
		if name := f.trailer(); name != "" {
			names = []string{name}
		}
		c := q.Chunks(bytes.NewReader(wire), size, names)
		got, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		if name := f.trailer(); name != "" {
			want, _ := checksumOf(f.Algorithm, got)
			for k, v := range c.Trailer() {
				if !strings.EqualFold(k, name) || len(v) != 1 || v[0] != want {
					t.Fatalf("trailer %s: %q, want %q", k, v, want)
				}
			}
			if len(c.Trailer()) != 1 {
				t.Fatalf("trailers %q", c.Trailer())
			}
		}
		return got
	}
}

// TestReleasedOrGivenUp: the batch of the last byte races with quit. Exactly one
// of them wins, and what was given up is never released.
func TestReleasedOrGivenUp(t *testing.T) {
	won := map[bool]int{}
	for i := 0; i < 1000 || len(won) < 2; i++ {
		body, f := FromBytes([]byte("x"))
		u := newUpload(context.Background(), PutRequest{Size: 1, Framing: f, Body: body})
		var got net.Buffers
		var err error
		var wg sync.WaitGroup
		wg.Go(func() {
			if got, err = u.batch(nil, true); err == nil {
				u.took(1)
			}
		})
		for range i % 3 {
			runtime.Gosched()
		}
		u.quit(errEnded)
		wg.Wait()
		if released := u.released(); released != (err == nil) || released && len(got) != 1 {
			t.Fatalf("released %v, but the batch is %q, %v", released, got, err)
		}
		won[u.released()]++
	}
	t.Logf("released %d times, given up %d times", won[true], won[false])
}

// TestGivenUpForGood: after quit neither the body is asked nor a byte given.
func TestGivenUpForGood(t *testing.T) {
	u := newUpload(context.Background(), PutRequest{Size: 10, Body: untouchable{t}, Framing: Framing{Mode: sigv4.Literal}})
	u.quit(errEnded)
	if u.released() || !u.fresh() {
		t.Error("released, or touched")
	}
	for range 3 {
		if pieces, err := u.batch(nil, true); len(pieces) != 0 || !errors.Is(err, errGivenUp) {
			t.Errorf("batch %q, %v", pieces, err)
		}
	}
}

type untouchable struct{ t *testing.T }

func (u untouchable) Next(context.Context, int) ([]byte, error) {
	u.t.Error("Next of a body that was given up")
	return nil, nil
}
func (u untouchable) Sum(context.Context, int) (s [32]byte, err error) {
	u.t.Error("Sum of a body that was given up")
	return s, nil
}
func (u untouchable) Trailer() (string, error) {
	u.t.Error("Trailer of a body that was given up")
	return "", nil
}

// TestQuitEndsAWait: a body that has nothing to give is told the reason.
func TestQuitEndsAWait(t *testing.T) {
	inside := make(chan struct{})
	u := newUpload(context.Background(), PutRequest{Size: 2, Framing: Framing{Mode: sigv4.Literal}, Body: nextFunc(
		func(ctx context.Context, _ int) ([]byte, error) {
			close(inside)
			<-ctx.Done()
			return nil, context.Cause(ctx)
		})})
	why := errors.New("why")
	go func() { <-inside; u.quit(why) }()
	if _, err := u.batch(nil, true); !errors.Is(err, why) || errors.Is(err, ErrBody) {
		t.Errorf("batch: %v", err)
	}
	if u.released() || u.fault() != nil {
		t.Error("released, or the body's fault")
	}
}

type nextFunc func(context.Context, int) ([]byte, error)

func (f nextFunc) Next(ctx context.Context, limit int) ([]byte, error) { return f(ctx, limit) }
func (f nextFunc) Sum(context.Context, int) (s [32]byte, err error)    { return s, errors.New("no sum") }
func (f nextFunc) Trailer() (string, error)                            { return "", errors.New("no trailer") }

// TestBrokenBodies: a body that breaks its contract cuts the upload, for good.
func TestBrokenBodies(t *testing.T) {
	one := func(context.Context, int) ([]byte, error) { return make([]byte, 1), nil }
	trailing := Framing{Mode: sigv4.UnsignedTrailer, Algorithm: "crc32"}
	for name, test := range map[string]struct {
		body Body
		f    Framing
	}{
		"nothing":       {nextFunc(func(context.Context, int) ([]byte, error) { return nil, nil }), Framing{Mode: sigv4.Literal}},
		"too much":      {nextFunc(func(_ context.Context, limit int) ([]byte, error) { return make([]byte, limit+1), nil }), Framing{Mode: sigv4.Literal}},
		"an early end":  {nextFunc(func(context.Context, int) ([]byte, error) { return nil, io.EOF }), Framing{Mode: sigv4.Literal}},
		"no sum":        {nextFunc(one), Framing{Mode: sigv4.Signed}},
		"no trailer":    {nextFunc(one), trailing},
		"wrong trailer": {shortTrailer{nextFunc(one)}, trailing},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpload(context.Background(), PutRequest{Size: 3, Body: test.body, Framing: test.f})
			u.signer, _ = signed(test.f, 3, time.Now())
			_, err := send(u, always)
			if !errors.Is(err, ErrBody) || u.fault() == nil || u.released() {
				t.Errorf("%v", err)
			}
			if _, again := u.batch(nil, true); !errors.Is(again, err) {
				t.Errorf("then %v", again)
			}
		})
	}
}

type shortTrailer struct{ Body }

func (shortTrailer) Trailer() (string, error) { return "AAA=", nil }

func TestReaderBodyEndsEarly(t *testing.T) {
	f := Framing{Mode: sigv4.Signed}
	body, _ := NewBody(bytes.NewReader([]byte("abc")), f)
	if _, err := body.Sum(context.Background(), 4); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("sum: %v", err)
	}
	body, _ = NewBody(bytes.NewReader(nil), f)
	if _, err := body.Next(context.Background(), 4); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("next: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := body.Next(ctx, 4); !errors.Is(err, context.Canceled) {
		t.Errorf("next: %v", err)
	}
	if _, err := NewBody(nil, Framing{Mode: sigv4.UnsignedTrailer, Algorithm: "md4"}); err == nil {
		t.Error("an algorithm that nobody knows")
	}
}
