package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

var errBroken = errors.New("source broke")

// brokenBody gives the first good bytes and then an error.
func brokenBody(t *testing.T, data []byte, good int, f backend.Framing) backend.Body {
	t.Helper()
	r := io.MultiReader(bytes.NewReader(data[:good]), errReader{})
	body, err := backend.NewBody(r, f)
	must(t, err)
	return body
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errBroken }

// testCutBodies expects that an upload which ends early, wherever, is a
// definitive no and leaves the old object.
func testCutBodies(t *testing.T, g Target) {
	old := random(1000)
	for name, framing := range g.framings() {
		t.Run(name, func(t *testing.T) {
			g.put(t, "cut", old, literal(old))
			for _, size := range []int{1, 10_000, 300_000, 2_000_000} {
				data := random(size)
				for _, good := range []int{0, size / 2, size - 1} {
					f := framing(data)
					_, err := g.tryPut(t.Context(), "cut", data, f, func(r *backend.PutRequest) {
						r.Body = brokenBody(t, data, good, f)
					})
					e := wants(t, err, backend.NotSent)
					if !errors.Is(err, errBroken) || !errors.Is(err, backend.ErrBody) || e.Released {
						t.Errorf("%d of %d bytes: %v", good, size, err)
					}
				}
			}
			g.stands(t, "cut", old)
		})
	}
}

// lyingBody has a wrong trailer.
type lyingBody struct{ backend.Body }

func (lyingBody) Trailer() (string, error) { return "AAAAAA==", nil }

func testWrongBodies(t *testing.T, g Target) {
	old, data := random(1000), random(300_000)
	g.put(t, "wrong", old, literal(old))
	refused := func(what string, f backend.Framing, change func(*backend.PutRequest)) {
		t.Helper()
		_, err := g.tryPut(t.Context(), "wrong", data, f, change)
		if wants(t, err, backend.Refused).Misconfigured {
			t.Errorf("%s: %v", what, err)
		}
		g.stands(t, "wrong", old)
	}
	refused("literal hash of another body", literal(old), func(*backend.PutRequest) {})
	refused("Content-MD5 of another body", literal(data), func(r *backend.PutRequest) { r.ContentMD5 = "1B2M2Y8AsgTpgAmY7PhCfg==" })
	if g.Framings == nil {
		for _, mode := range []sigv4.Mode{sigv4.UnsignedTrailer, sigv4.SignedTrailer} {
			refused(mode.String(), backend.Framing{Mode: mode, Algorithm: "crc32c"}, func(r *backend.PutRequest) {
				r.Body = lyingBody{r.Body}
			})
		}
	}
}

func testNeverSent(t *testing.T, g Target) {
	data := []byte("data")
	for what, change := range map[string]func(*backend.PutRequest){
		"no key":            func(r *backend.PutRequest) { r.Key = "" },
		"no body":           func(r *backend.PutRequest) { r.Body = nil },
		"negative size":     func(r *backend.PutRequest) { r.Size = -1 },
		"control character": func(r *backend.PutRequest) { r.Headers = object.Headers{"x-amz-meta-a": "b\nc"} },
		"plain framing":     func(r *backend.PutRequest) { r.Framing = backend.Framing{Mode: sigv4.Unsigned} },
		"no hash":           func(r *backend.PutRequest) { r.Framing = backend.Framing{} },
		"tiny chunks":       func(r *backend.PutRequest) { r.Framing = backend.Framing{Mode: sigv4.Signed, ChunkSize: 100} },
		"unknown trailer": func(r *backend.PutRequest) {
			r.Framing = backend.Framing{Mode: sigv4.UnsignedTrailer, Algorithm: "md4"}
		},
		"two checksums": func(r *backend.PutRequest) {
			r.Headers = object.Headers{"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-crc32c": "AAAAAA=="}
		},
		"checksum + trailer": func(r *backend.PutRequest) {
			r.Headers = object.Headers{"x-amz-checksum-sha1": "x"}
			r.Framing = backend.Framing{Mode: sigv4.UnsignedTrailer, Algorithm: "crc32"}
		},
	} {
		_, err := g.tryPut(t.Context(), "never", data, literal(data), change)
		if wants(t, err, backend.NotSent); !errors.Is(err, backend.ErrRequest) {
			t.Errorf("%s: %v", what, err)
		}
	}
	seen, err := g.Endpoint.Head(t.Context(), g.Bucket, "never")
	must(t, err)
	if seen.Kind != object.Tombstone {
		t.Error("something was stored")
	}
}

// heldBody gives all but the last byte, says so, and waits.
type heldBody struct {
	backend.Body
	left int
	held chan struct{}
}

func (h *heldBody) Next(ctx context.Context, limit int) ([]byte, error) {
	if h.left == 0 {
		close(h.held)
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	data, err := h.Body.Next(ctx, min(limit, h.left))
	h.left -= len(data)
	return data, err
}

// testCancelled expects that a held upload can be given up.
func testCancelled(t *testing.T, g Target) {
	old := random(1000)
	why := errors.New("given up")
	for name, framing := range g.framings() {
		t.Run(name, func(t *testing.T) {
			g.put(t, "held", old, literal(old))
			data := random(300_000)
			ctx, cancel := context.WithCancelCause(t.Context())
			held := make(chan struct{})
			go func() {
				<-held
				cancel(why)
			}()
			_, err := g.tryPut(ctx, "held", data, framing(data), func(r *backend.PutRequest) {
				r.Body = &heldBody{r.Body, len(data) - 1, held}
			})
			if wants(t, err, backend.NotSent); !errors.Is(err, why) {
				t.Error(err)
			}
			g.stands(t, "held", old)

			_, err = g.tryPut(ctx, "held", data, framing(data))
			wants(t, err, backend.NotSent)
			wants(t, g.Endpoint.Delete(ctx, g.Bucket, "held"), backend.NotSent)
			g.stands(t, "held", old)
		})
	}
}

// testAtomic expects that a reader sees one whole version while others write.
func testAtomic(t *testing.T, g Target) {
	const writers, rounds = 4, 15
	version := func(w int) []byte { return bytes.Repeat([]byte{byte('a' + w)}, 50_000+w*10_000) }
	g.put(t, "race", version(0), literal(version(0)))
	var wg sync.WaitGroup
	errs := make(chan error, writers*rounds+rounds)
	for w := range writers {
		wg.Go(func() {
			for range rounds {
				if _, err := g.tryPut(t.Context(), "race", version(w), literal(version(w))); err != nil {
					errs <- err
				}
			}
		})
	}
	wg.Go(func() {
		for range rounds {
			if err := g.readWhole(t.Context(), "race"); err != nil {
				errs <- err
			}
		}
	})
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}

func (g Target) readWhole(ctx context.Context, key string) error {
	obj, err := g.Endpoint.Get(ctx, g.Bucket, key, backend.GetOptions{})
	if err != nil {
		return err
	}
	defer obj.Body.Close()
	data, err := io.ReadAll(obj.Body)
	if err != nil {
		return err
	}
	if len(data) != 50_000+int(data[0]-'a')*10_000 || !bytes.Equal(data, bytes.Repeat(data[:1], len(data))) {
		return fmt.Errorf("read a mixture of versions: %d bytes of %q", len(data), data[0])
	}
	return nil
}
