package backend

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
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

// TestFramesDecode: whatever the sizes of body, chunks, runs and reads, what
// leaves has the length announced and decodes to the body.
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
		u := newUpload(context.Background(), PutRequest{Size: int64(len(data)), Framing: f,
			Body: stepBody{body, rapid.IntRange(1, 10_000).Draw(t, "step")}})
		now := time.Now()
		req, verify := signed(f, int64(len(data)), now)
		u.signer = req
		read := rapid.IntRange(1, 70_000).Draw(t, "read")
		wire, err := io.ReadAll(io.MultiReader(&smallReads{u, read}))
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(wire)) != f.wireLength(int64(len(data))) {
			t.Fatalf("%d bytes, announced %d", len(wire), f.wireLength(int64(len(data))))
		}
		if got := verify(t, wire); !bytes.Equal(got, data) {
			t.Fatalf("decoded %d bytes of %d", len(got), len(data))
		}
		if !u.giveUp(errEnded) {
			t.Fatal("not released")
		}
	})
}

type smallReads struct {
	r io.Reader
	n int
}

func (s *smallReads) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), s.n)]) }

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

// TestReleasedOrGivenUp: a Read of the last byte races with giveUp. Exactly one
// of them wins, and both know which.
func TestReleasedOrGivenUp(t *testing.T) {
	won := map[bool]int{}
	for i := 0; i < 1000 || len(won) < 2; i++ {
		body, f := FromBytes([]byte("x"))
		u := newUpload(context.Background(), PutRequest{Size: 1, Framing: f, Body: body})
		var got int
		var wg sync.WaitGroup
		wg.Go(func() { got, _ = u.Read(make([]byte, 10)) })
		for range i % 3 {
			runtime.Gosched()
		}
		released := u.giveUp(errEnded)
		wg.Wait()
		if released != (got == 1) {
			t.Fatalf("released %v, but Read gave %d bytes", released, got)
		}
		won[released]++
	}
	t.Logf("released %d times, given up %d times", won[true], won[false])
}

// TestGivenUpForGood: after giveUp neither the body is asked nor a byte given.
func TestGivenUpForGood(t *testing.T) {
	u := newUpload(context.Background(), PutRequest{Size: 10, Body: untouchable{t}, Framing: Framing{Mode: sigv4.Literal}})
	if u.giveUp(errEnded) || !u.fresh() {
		t.Error("released, or touched")
	}
	for range 3 {
		if n, err := u.Read(make([]byte, 10)); n != 0 || !errors.Is(err, errGivenUp) {
			t.Errorf("read %d bytes, %v", n, err)
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

// TestGiveUpWaitsForRead: Put must not return while the body is in use.
func TestGiveUpWaitsForRead(t *testing.T) {
	inside, left := make(chan struct{}), false
	u := newUpload(context.Background(), PutRequest{Size: 2, Framing: Framing{Mode: sigv4.Literal}, Body: nextFunc(
		func(ctx context.Context, _ int) ([]byte, error) {
			close(inside)
			<-ctx.Done()
			left = true
			return nil, context.Cause(ctx)
		})})
	done := make(chan error)
	go func() {
		_, err := u.Read(make([]byte, 10))
		done <- err
	}()
	<-inside
	why := errors.New("why")
	if u.giveUp(why) {
		t.Error("released")
	}
	if !left {
		t.Error("giveUp returned with the body in use")
	}
	if err := <-done; !errors.Is(err, why) || errors.Is(err, ErrBody) {
		t.Errorf("read: %v", err)
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
			_, err := io.ReadAll(u)
			if !errors.Is(err, ErrBody) {
				t.Errorf("%v", err)
			}
			if _, again := u.Read(make([]byte, 1)); again == nil || errors.Is(again, io.EOF) != errors.Is(err, io.EOF) {
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
