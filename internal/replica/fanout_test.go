package replica

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
)

func ring(t *testing.T, size, held, slabs int64) *fanout {
	t.Helper()
	m := newMemory(slabs * slabSize)
	if err := m.reserve(t.Context(), slabs); err != nil {
		t.Fatal(err)
	}
	return newFanout(m, size, held, slabs)
}

func bytesOf(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}

// drain takes all that a cursor gives, in odd pieces.
func drain(ctx context.Context, c *cursor, n int64) ([]byte, error) {
	var out []byte
	for piece := 1; int64(len(out)) < n; piece = piece*3%70001 + 1 {
		data, err := c.Next(ctx, min(piece, int(n)-len(out)))
		if err != nil {
			return out, err
		}
		out = append(out, data...)
	}
	return out, nil
}

func TestEveryCursorGivesTheBodyAndItsEndOnlyAfterTheRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, held = 1<<20 + 12345, 256 << 10
		data := bytesOf(size)
		f := ring(t, size, held, 8)
		defer f.free()
		var wg sync.WaitGroup
		var cursors []*cursor
		for _, name := range []string{"a", "b", "c"} {
			c := f.attach(name, false)
			cursors = append(cursors, c)
			wg.Go(func() {
				if got, err := drain(t.Context(), c, size); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%s: %d bytes, %v", name, len(got), err)
				}
				if sum, err := c.Trailer(); err != nil || sum != "sum" {
					t.Errorf("%s: trailer %q, %v", name, sum, err)
				}
				c.detach()
			})
		}
		if err := f.fill(bytes.NewReader(data), time.Hour, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, c := range cursors {
			if c.given != size-held {
				t.Errorf("%s was given %d bytes before its release, want %d", c.replica, c.given, size-held)
			}
		}
		f.finish("sum")
		for _, c := range cursors {
			c.release()
		}
		wg.Wait()
	})
}

func TestASlowReplicaIsToldOfAndOneThatLeavesFreesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 2 << 20
		f := ring(t, size, 64<<10, 4)
		defer f.free()
		quick, hung := f.attach("quick", false), f.attach("hung", false)
		go drain(t.Context(), quick, size-64<<10)
		told := 0
		err := f.fill(bytes.NewReader(bytesOf(size)), 2*time.Second, func(replica string, d time.Duration) {
			if told++; replica != "hung" || d < 2*time.Second {
				t.Errorf("told of %s after %v", replica, d)
			}
			if told == 3 {
				if !f.stuck("hung", 2*time.Second) || f.stuck("quick", 2*time.Second) {
					t.Error("the wrong one is stuck")
				}
				hung.detach()
			}
		})
		if err != nil || told != 3 {
			t.Errorf("fill: %v, told %d times", err, told)
		}
		f.finish("")
		synctest.Wait()
	})
}

func TestAFailedBodyEndsEveryCursorAndTheReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ring(t, 1<<20, 64<<10, 4)
		defer f.free()
		c := f.attach("a", false)
		errs := make(chan error, 2)
		go func() { _, err := drain(t.Context(), c, 1<<20); errs <- err }()
		broken := io.MultiReader(bytes.NewReader(bytesOf(1000)), errReader{})
		go func() { errs <- f.fill(broken, time.Hour, nil) }()
		if err := <-errs; !errors.Is(err, errTest) {
			t.Errorf("fill: %v", err)
		}
		f.fail(errLeft)
		if err := <-errs; !errors.Is(err, errLeft) {
			t.Errorf("cursor: %v", err)
		}
		if err := f.fill(bytes.NewReader(nil), time.Hour, nil); !errors.Is(err, errLeft) {
			t.Errorf("fill of a failed body: %v", err)
		}
		if _, err := c.Trailer(); err == nil {
			t.Error("a failed body has a trailer")
		}
		<-f.over()
		f.finish("")
		f.fail(errTest) // too late
		if _, err := c.wait(t.Context(), 1, true); !errors.Is(err, errLeft) {
			t.Errorf("cursor: %v", err)
		}
	})
}

var errTest = errors.New("test")

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errTest }

func TestABodyOfTheWrongLengthIsRefused(t *testing.T) {
	for size, want := range map[int64]error{999: errExcess, 1001: io.ErrUnexpectedEOF, 1000: nil} {
		f := ring(t, size, size, 1)
		if err := f.fill(bytes.NewReader(bytesOf(1000)), time.Hour, nil); !errors.Is(err, want) {
			t.Errorf("body of 1000 bytes that said %d: %v", size, err)
		}
		f.free()
	}
}

func TestAChunkIsHashedOnceForAll(t *testing.T) {
	const size = 512 << 10
	data := bytesOf(size)
	f := ring(t, size, 64<<10, 8)
	defer f.free()
	a, b := f.attach("a", true), f.attach("b", true)
	if err := f.fill(bytes.NewReader(data), time.Hour, nil); err != nil {
		t.Fatal(err)
	}
	for at := 0; at < size; at += f.chunk {
		n := min(f.chunk, size-at)
		for _, c := range []*cursor{a, b} {
			sum, err := c.Sum(t.Context(), n)
			if err != nil || sum != sha256.Sum256(data[at:at+n]) {
				t.Fatalf("%s at %d: %x, %v", c.replica, at, sum, err)
			}
			if len(f.sums) > 2 {
				t.Errorf("%d hashes are kept", len(f.sums))
			}
			if _, err := drain(t.Context(), c, int64(n)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAContextEndsACursorsWait(t *testing.T) {
	f := ring(t, 1000, 1000, 1)
	defer f.free()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTest)
	if _, err := f.attach("a", false).Next(ctx, 10); !errors.Is(err, errTest) {
		t.Errorf("next: %v", err)
	}
}

func TestKeysAreLockedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l locks
		k := object.Key{Bucket: "b", Name: "k"}
		unlock, err := l.lock(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := l.tryLock(k); ok {
			t.Error("a locked key was taken")
		}
		var order []int
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				if i == 2 {
					ctx, cancel = context.WithTimeout(t.Context(), time.Second)
				}
				defer cancel()
				unlock, err := l.lock(ctx, k)
				if (i == 2) != (err != nil) {
					t.Errorf("%d: %v", i, err)
				}
				if err == nil {
					order = append(order, i)
					unlock()
					unlock() // harmless
				}
			})
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		unlock()
		wg.Wait()
		if len(order) != 4 || order[0] != 0 || order[1] != 1 || order[2] != 3 || order[3] != 4 {
			t.Errorf("turns were taken in the order %v", order)
		}
		if unlock, ok := l.tryLock(k); !ok {
			t.Error("the key stays locked")
		} else {
			unlock()
		}
		if len(l.keys) != 0 {
			t.Errorf("%d keys are kept", len(l.keys))
		}
	})
}

func TestARangeThatCanBeAskedBeforeTheSizeIsKnown(t *testing.T) {
	for header, want := range map[string]struct {
		offset, length int64
		known          bool
	}{
		"":                            {0, 0, true},
		"bytes=0-":                    {0, 0, true},
		"bytes=0-0":                   {0, 1, true},
		"bytes=7-":                    {7, 0, true},
		"bytes=7-9":                   {7, 3, true},
		"bytes=-9":                    {0, 0, false},
		"bytes=-0":                    {0, 0, false},
		"bytes=0-1,3-4":               {0, 0, true},
		"bytes=9-7":                   {0, 0, true},
		"bytes=0-99999999999999":      {0, 100000000000000, true},
		"bytes=99999999999999999999-": {0, 0, false},
	} {
		o, known := wanted(header)
		if known != want.known || known && (o.Offset != want.offset || o.Length != want.length) {
			t.Errorf("range %q: %+v, %v", header, o, known)
		}
	}
}
