//go:build e2e

package e2e

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// sumOf is a checksum in base64.
func sumOf(algorithm string, data []byte) string {
	h := s3.NewChecksum(algorithm)
	h.Write(data)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// summedObject is an object with a checksum that its client gave.
type summedObject struct {
	key       string
	algorithm string
	want      string // in base64
	kind      string // COMPOSITE or FULL_OBJECT
	size      int
}

// summer writes objects with checksums and reads them again.
type summer struct {
	t       *testing.T
	c       *harness.Client
	rnd     *rand.Rand
	objects []summedObject
}

func (s *summer) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.rnd.Uint32())
	}
	return b
}

// send stores a body whose checksum comes before or after it.
func (s *summer) send(p wire.Put, algorithm string, trailer bool) wire.Answer {
	s.t.Helper()
	sum := wire.Field{Name: "x-amz-checksum-" + algorithm, Value: sumOf(algorithm, p.Body)}
	p.Bucket, p.Mode, p.Sum = "sums", wire.UnsignedTrailer, sum
	if !trailer {
		p.Mode, p.Header = wire.Literal, append(p.Header, sum)
	}
	a, err := s.c.Send(s.t.Context(), p)
	if err != nil || a.Status != 200 || a.Header.Get(sum.Name) != sum.Value {
		s.t.Fatalf("PUT %s?%s: %v, %v: %s", p.Key, p.Query, a, err, a.Body)
	}
	return a
}

func (s *summer) put(set, algorithm string, trailer bool) {
	s.t.Helper()
	o := summedObject{key: fmt.Sprintf("%s/put-%s-trailer-%v", set, algorithm, trailer), algorithm: algorithm, kind: "FULL_OBJECT", size: 1000}
	body := s.bytes(o.size)
	s.send(wire.Put{Key: o.key, Body: body}, algorithm, trailer)
	o.want = sumOf(algorithm, body)
	s.objects = append(s.objects, o)
}

// upload makes an object of parts of these sizes, whose checksums come before and after
// them in turn.
func (s *summer) upload(set, algorithm, kind string, sizes ...int) {
	s.t.Helper()
	o := summedObject{key: fmt.Sprintf("%s/upload-%s-%s", set, algorithm, kind), algorithm: algorithm, kind: kind}
	begun, err := s.c.Do(s.t.Context(), "POST", "sums", o.key, "uploads=", nil,
		wire.Field{Name: "x-amz-checksum-algorithm", Value: strings.ToUpper(algorithm)}, wire.Field{Name: "x-amz-checksum-type", Value: kind})
	id := between(string(begun.Body), "<UploadId>", "</UploadId>")
	if err != nil || id == "" {
		s.t.Fatalf("create %s: %v, %v: %s", o.key, begun, err, begun.Body)
	}
	var whole, digests []byte
	var list strings.Builder
	for i, size := range sizes {
		part := s.bytes(size)
		whole, o.size = append(whole, part...), o.size+size
		sum := sumOf(algorithm, part)
		raw, _ := base64.StdEncoding.DecodeString(sum) // it was just encoded
		digests = append(digests, raw...)
		a := s.send(wire.Put{Key: o.key, Query: wire.Query("partNumber", strconv.Itoa(i+1), "uploadId", id), Body: part}, algorithm, i%2 == 1)
		name := "Checksum" + strings.ToUpper(algorithm)
		fmt.Fprintf(&list, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><%s>%s</%s></Part>", i+1, a.Header.Get("ETag"), name, sum, name)
	}
	o.want = sumOf(algorithm, whole)
	if kind == "COMPOSITE" {
		o.want = fmt.Sprintf("%s-%d", sumOf(algorithm, digests), len(sizes))
	}
	done, err := s.c.Do(s.t.Context(), "POST", "sums", o.key, wire.Query("uploadId", id), []byte("<CompleteMultipartUpload>"+list.String()+"</CompleteMultipartUpload>"))
	if err != nil || done.Status != 200 || !strings.Contains(string(done.Body), ">"+o.want+"<") {
		s.t.Fatalf("complete %s: %v, %v: %s, want %s", o.key, done, err, done.Body, o.want)
	}
	s.objects = append(s.objects, o)
}

// write makes objects of every kind.
func (s *summer) write(set string) {
	s.t.Helper()
	for _, algorithm := range []string{"crc32", "crc32c", "crc64nvme", "sha1", "sha256"} {
		for _, trailer := range []bool{false, true} {
			s.put(set, algorithm, trailer)
		}
	}
	s.upload(set, "crc32", "COMPOSITE", partBytes, 1000)
	s.upload(set, "crc32", "FULL_OBJECT", 1000)
	s.upload(set, "crc32c", "COMPOSITE", 1000)
	s.upload(set, "crc32c", "FULL_OBJECT", partBytes, 1000)
	s.upload(set, "crc64nvme", "FULL_OBJECT", 1000)
	s.upload(set, "sha1", "COMPOSITE", 1000)
	s.upload(set, "sha256", "COMPOSITE", 1000)
}

var checksumMode = wire.Field{Name: "x-amz-checksum-mode", Value: "ENABLED"}

// check looks at every object by each verb that tells checksums.
func (s *summer) check(when string) {
	s.t.Helper()
	for _, o := range s.objects {
		for _, method := range []string{"GET", "HEAD"} {
			a, err := s.c.Do(s.t.Context(), method, "sums", o.key, "", nil, checksumMode)
			if err != nil || a.Status != 200 || a.Header.Get("x-amz-checksum-"+o.algorithm) != o.want || a.Header.Get("x-amz-checksum-type") != o.kind {
				s.t.Errorf("%s: %s %s: %v, %v: %v, want %s %s", when, method, o.key, a, err, a.Header, o.want, o.kind)
			}
			if method == "GET" && len(a.Body) != o.size {
				s.t.Errorf("%s: %s has %d bytes, want %d", when, o.key, len(a.Body), o.size)
			}
		}
		a, err := s.c.Do(s.t.Context(), "GET", "sums", o.key, "attributes=", nil, wire.Field{Name: "x-amz-object-attributes", Value: "Checksum"})
		bare, _, _ := strings.Cut(o.want, "-") // as AWS tells it there
		if err != nil || a.Status != 200 || !strings.Contains(string(a.Body), bare) {
			s.t.Errorf("%s: attributes of %s: %v, %v: %s, want %s", when, o.key, a, err, a.Body, o.want)
		}
	}
}

// TestChecksumsWhereABackendDropsThem: one of three backends verifies checksums and keeps
// none. Every kind of checksum that a client gave is given back as long as the object
// stands, whichever backend answers: also when the backend that drops them alone took the
// object and the others were healed from it. Such keys keep their rows, and no others.
func TestChecksumsWhereABackendDropsThem(t *testing.T) {
	t.Parallel()
	backends := []*harness.Backend{
		harness.StartMemory(t, "eu-1"), harness.StartMemoryOf(t, "eu-2", memory.Personality{DropsChecksums: true}), harness.StartMemory(t, "eu-3"),
	}
	g := harness.StartGateway(t, backends, harness.Options{
		Extra:  uploadTimes,
		Settle: time.Second, Lease: time.Second, Retention: 7 * time.Second,
	})
	createBucket(t, g.Client, "sums")
	s := &summer{t: t, c: g.Client, rnd: rand.New(rand.NewPCG(1, 2))} //nolint:gosec // bytes of a test

	// What stood there before: without a row nobody answers with more than all can.
	for _, b := range backends {
		if a, err := b.Client.Do(t.Context(), "PUT", "sums", "foreign", "", []byte("abc"), wire.Field{Name: "x-amz-checksum-crc32", Value: sumOf("crc32", []byte("abc"))}); err != nil || a.Status != 200 {
			t.Fatalf("%s: %v, %v", b.Name, a, err)
		}
	}
	// Nobody asked for a checksum: there is none, and no row for its sake.
	if a, err := g.Client.Put(t.Context(), "sums", "plain", wire.Unsigned, []byte("abc")); err != nil || a.Status != 200 {
		t.Fatalf("%v, %v", a, err)
	}
	none := func(when string) {
		t.Helper()
		for _, key := range []string{"foreign", "plain"} {
			if o, err := g.Client.Object(t.Context(), "sums", key); err != nil || hasChecksum(o) {
				t.Errorf("%s: %s: %v, %v", when, key, o.Header, err)
			}
		}
	}
	s.write("all")
	alone := func(b *harness.Backend, do func()) {
		t.Helper()
		for _, other := range backends {
			if other != b {
				other.Kill()
			}
		}
		harness.Eventually(t, b.Name+" serves alone", func() error { // once its bucket is looked at, which was away before
			a, err := g.Client.Get(t.Context(), "sums", "foreign")
			if err == nil && a.Status != 200 {
				err = fmt.Errorf("%v", a)
			}
			return err
		})
		do()
		for _, other := range backends {
			if other != b {
				other.Start(t)
			}
		}
		g.Converge(t)
	}
	alone(backends[1], func() { s.write("lossy"); s.check("before the heal") })
	alone(backends[2], func() { s.write("keeper") })
	inTurn := func(when string) {
		t.Helper()
		for _, b := range backends {
			alone(b, func() { s.check(when + ", from " + b.Name); none(when + ", from " + b.Name) })
		}
	}
	inTurn("after the heal")
	if o, err := backends[1].Object(t.Context(), "sums", s.objects[0].key); err != nil || hasChecksum(o) {
		t.Errorf("the backend that drops checksums has some: %v, %v", o.Header, err)
	}
	t.Log("every other row is dropped")
	harness.Eventually(t, "the rows of these objects are left", func() error {
		if n := metric(t, g, "s3mirror_log_rows"); int(n) != len(s.objects) {
			return fmt.Errorf("%v rows, want %d", n, len(s.objects))
		}
		return nil
	})
	inTurn("after the retention")
	g.Kill()
	g.Start(t) // what was found of the backends is recalled
	alone(backends[0], func() { s.check("after a restart"); none("after a restart") })

	for _, o := range s.objects {
		if a, err := g.Client.Delete(t.Context(), "sums", o.key); err != nil || a.Status != 204 {
			t.Errorf("%s: %v, %v", o.key, a, err)
		}
	}
	harness.Eventually(t, "no row is left", func() error {
		if n := metric(t, g, "s3mirror_log_rows"); n != 0 {
			return fmt.Errorf("%v rows", n)
		}
		return nil
	})
	floor(t, "objects with checksums", int64(len(s.objects)), 51)
}

// hasChecksum tells whether an object is shown with any.
func hasChecksum(o harness.Object) bool {
	for name := range o.Header {
		if strings.HasPrefix(name, "x-amz-checksum-") {
			return true
		}
	}
	return false
}
