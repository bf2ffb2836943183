package replica_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// sumless runs a test with three backends, of which b keeps no checksums.
func sumless(t *testing.T, do func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Second) }) // servers look after connections that were cut
		r := newRigOf(t, memory.NewLog(), map[string]memory.Personality{"b": {DropsChecksums: true}}, "a", "b", "c")
		r.open(func(o *replica.Options) {
			o.Qualify = func(_ context.Context, backend, _ string) (replica.Quality, error) {
				return replica.Quality{NoSums: backend == "b", Sums: []string{"crc64nvme"}}, nil
			}
		})
		r.makeBucket()
		do(t, r)
	})
}

// putSummed writes an object whose client gives a checksum.
func (r *rig) putSummed(name, algorithm string, data []byte) object.Info {
	r.t.Helper()
	body := newUpload(data)
	body.promised = s3.Checksum{Algorithm: algorithm}
	body.ComputeChecksum(algorithm)
	info, err := r.set.Put(r.ctx, replica.PutRequest{Key: key(name), Body: body})
	if err != nil {
		r.t.Fatal(err)
	}
	return info
}

// sumsOf are the checksums that a read shows, by HEAD and by GET.
func (r *rig) sumsOf(name string) string {
	r.t.Helper()
	v, err := r.set.Head(r.ctx, key(name))
	if err != nil {
		r.t.Fatal(err)
	}
	obj, err := r.set.Get(r.ctx, replica.GetRequest{Key: key(name)})
	if err != nil {
		r.t.Fatal(err)
	}
	obj.Body.Close()
	if got, want := sumText(obj.Info.Headers), sumText(v.Info.Headers); got != want {
		r.t.Errorf("%s: GET shows %q, HEAD %q", name, got, want)
	}
	return sumText(v.Info.Headers)
}

func sumText(h object.Headers) string {
	for name, value := range h {
		if algorithm, ok := strings.CutPrefix(name, object.ChecksumPrefix); ok && algorithm != "type" {
			return algorithm + " " + value
		}
	}
	return ""
}

// only plugs the wires of all but one backend out, or all in, and waits until that is known.
func (r *rig) only(name string) {
	for _, other := range r.names {
		r.wires[other].plug(name != "" && other != name)
	}
	time.Sleep(20 * time.Second)
}

func TestChecksumsThatABackendLoses(t *testing.T) {
	sumless(t, func(t *testing.T, r *rig) {
		want := sumText(r.putSummed("k", "sha256", content(600<<10, 1)).Headers)
		copied := r.mustCopy("k", "copy")
		if want == "" || sumText(copied.Headers) != want {
			t.Fatalf("checksum %q, of the copy %q", want, sumText(copied.Headers))
		}
		r.only("b") // which takes it alone
		r.putSummed("from-b", "sha256", content(600<<10, 1))
		r.only("")
		time.Sleep(time.Hour)
		for _, name := range []string{"k", "copy", "from-b"} {
			row, err := r.log.Row(r.ctx, key(name))
			if err != nil || !row.IsMap() || !row.Sumless.Equal(object.NewReplicas("b")) || !row.Quiet(object.NewReplicas(r.names...)) {
				t.Fatalf("%s: %+v, %v", name, row, err)
			}
			for range 2 {
				for _, alone := range r.names {
					r.only(alone)
					if got := r.sumsOf(name); got != want {
						t.Errorf("%s from %s: %q, want %q", name, alone, got, want)
					}
				}
				r.only("")
			}
			for _, backend := range r.names { // the heals copied it too
				if got := sumText(r.stored(backend)[name].Headers); got != want && backend != "b" || got != "" && backend == "b" {
					t.Errorf("%s on %s: %q", name, backend, got)
				}
			}
		}
		for _, name := range []string{"k", "copy", "from-b"} {
			r.mustPut(name, content(10, 1)) // nobody asks for a checksum now
		}
		r.converge()
	})
}

// A checksum that nobody asked for is not worth a row for ever: where some replica loses
// it the version has none, whoever answers.
func TestChecksumsThatNobodyAskedFor(t *testing.T) {
	sumless(t, func(t *testing.T, r *rig) {
		r.mustPut("k", content(600<<10, 1))
		r.mustCopy("k", "copy")
		literal := newUpload(content(10, 1))
		hash := sha256.Sum256(content(10, 1))
		literal.literal = &hash
		if info, err := r.set.Put(r.ctx, replica.PutRequest{Key: key("literal"), Body: literal}); err != nil || sumText(info.Headers) != "" {
			t.Errorf("a PUT is answered with %v, %v", info.Headers, err)
		}
		time.Sleep(time.Second) // until all have it
		look := func() {
			t.Helper()
			for _, alone := range r.names {
				r.only(alone)
				for _, name := range []string{"k", "copy"} {
					if got := r.sumsOf(name); got != "" {
						t.Errorf("%s from %s: %q", name, alone, got)
					}
				}
			}
			r.only("")
		}
		look()
		r.converge()
		look()
		if sumText(r.stored("a")["k"].Headers) == "" {
			t.Error("a was sent no checksum to verify the body by")
		}
	})
}

// Where all replicas keep checksums a heal makes its target show what its source shows: of a
// signed body that nobody gave a checksum for, what the servers compute, here nothing.
func TestAHealAddsNoChecksum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Second) }) // servers look after connections that were cut
		r := newRig(t, memory.NewLog(), "a", "b")
		r.open(func(o *replica.Options) {
			o.Qualify = func(context.Context, string, string) (replica.Quality, error) {
				return replica.Quality{Sums: []string{"crc64nvme"}}, nil
			}
		})
		r.makeBucket()
		r.only("a")
		body := newUpload(content(10, 1))
		hash := sha256.Sum256(content(10, 1))
		body.literal = &hash
		if _, err := r.set.Put(r.ctx, replica.PutRequest{Key: key("k"), Body: body}); err != nil {
			t.Fatal(err)
		}
		r.only("")
		r.converge()
		if a, b := sumText(r.stored("a")["k"].Headers), sumText(r.stored("b")["k"].Headers); a != b {
			t.Errorf("a shows %q, and b, which was healed, %q", a, b)
		}
	})
}

// The row's checksum is what a heal holds the bytes of its source against, though the
// source itself keeps none.
func TestARottenSourceWithoutAChecksumIsNotCopied(t *testing.T) {
	sumless(t, func(t *testing.T, r *rig) {
		r.only("b")
		// A backend that is away is tried now and then: a request to it would end, with the right
		// bytes, once the wire is plugged in.
		alone := func() bool {
			row, err := r.log.Row(r.ctx, key("k"))
			return err == nil && row.Intent == nil && len(row.Unsettled) == 0 && row.Good.Equal(object.NewReplicas("b"))
		}
		for try := 0; !alone(); try++ {
			if try == 20 {
				t.Fatal("b never takes it alone")
			}
			time.Sleep(time.Second)
			r.putSummed("k", "crc32", content(600<<10, 1))
			synctest.Wait()
		}
		if err := r.servers["b"].Rot(testBucket, "k"); err != nil {
			t.Fatal(err)
		}
		r.only("")
		time.Sleep(time.Minute)
		row, err := r.log.Row(r.ctx, key("k"))
		if err != nil || !row.Good.Equal(object.NewReplicas("b")) {
			t.Fatalf("%+v, %v", row, err)
		}
		if _, ok := r.stored("a")["k"]; ok {
			t.Error("rotten bytes were copied")
		}
	})
}

// What was found before the start counts until a backend was probed anew.
func TestLostChecksumsAreRecalled(t *testing.T) {
	sumless(t, func(t *testing.T, r *rig) {
		r.mustPut("k", content(600<<10, 1))
		r.converge()
		r.close()
		r.open(func(o *replica.Options) {
			o.Recall = func(backend string) (replica.Quality, bool) { return replica.Quality{NoSums: true}, backend == "b" }
		})
		time.Sleep(time.Second)
		r.only("a")
		if got := r.sumsOf("k"); got != "" {
			t.Errorf("from a: %q", got)
		}
		r.only("")
		if row, err := r.log.Row(r.ctx, key("k")); !errors.Is(err, oplog.ErrNoRow) {
			t.Errorf("%+v, %v", row, err)
		}
	})
}
