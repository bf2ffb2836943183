//go:build e2e

package differential

import (
	"encoding/xml"
	"flag"
	"strings"
	"sync"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

var minIO = flag.Bool("differential.minio", false, "over a MinIO too, which has to be built")

// etagOfA is the ETag of the ten bytes of the object a.
const etagOfA = `"781e5e245d69b566979b86e28d23f2c7"`

// swept are the objects that every request of the sweep finds.
var swept = []struct {
	key, body string
	header    []wire.Field
}{
	{key: "a", body: "0123456789", header: []wire.Field{{Name: "Content-Type", Value: "text/plain"}}},
	{key: "empty"}, {key: "dir/x", body: "x"}, {key: "dir/y", body: "y"}, {key: "dir--z", body: "z"}, {key: "sp ace+p&é", body: "e"},
	{key: "meta", body: "m", header: []wire.Field{{Name: "x-amz-meta-u", Value: "hé"}, {Name: "x-amz-meta-Two", Value: "a  b"}, {Name: "Cache-Control", Value: "no-cache"}}},
}

const sweptBucket = "trap"

// TestSweep: some 600 odd requests, each answered as the server answers itself, save for
// what the table of its make names. A line of a table that nothing needs is a mistake too.
func TestSweep(t *testing.T) {
	t.Run("versitygw", func(t *testing.T) {
		sweep(t, harness.StartBackend(t, "alone", true), harness.StartBackend(t, "behind", true), "testdata/sweep-versitygw.txt")
	})
	if *minIO {
		t.Run("minio", func(t *testing.T) {
			sweep(t, harness.StartMinIO(t, "alone"), harness.StartMinIO(t, "behind"), "testdata/sweep-minio.txt")
		})
	}
}

func sweep(t *testing.T, alone, behind *harness.Backend, table string) {
	g := harness.StartGateway(t, []*harness.Backend{behind}, harness.Options{Ack: "all", S3: "domains: [" + harness.Domain + "]"})
	both := []*side{{name: "directly", client: alone.Client, ids: map[string]string{}}, {name: "through s3mirror", client: g.Client, ids: map[string]string{}}}
	for _, s := range both {
		s.sweptBucket(t)
	}
	k := readKnown(t, table)
	requests := readSweep(t)
	changed := odd{}
	for _, o := range requests {
		if changed.method != "" && !o.follows {
			eachSide(both, func(s *side) wire.Answer { s.restore(t, changed); return wire.Answer{} })
			changed = odd{}
		}
		answers := eachSide(both, func(s *side) wire.Answer { return o.send(t, s) })
		a, b := seen{outcome: answers[0].String()}, seen{outcome: answers[1].String()}
		different := differing(factsOf(o, answers[0]), factsOf(o, answers[1]))
		if a.outcome != b.outcome || different != "" {
			if a.outcome != b.outcome {
				different = ""
			}
			if !k.has(o.name, a, b) {
				t.Errorf("%s\n  directly:         %s\n  through s3mirror: %s\n    %s", o.name, a.outcome, b.outcome, different)
			}
		}
		if o.method != "GET" && o.method != "HEAD" && o.method != "OPTIONS" && !o.follows {
			changed = o
		}
	}
	t.Logf("%d requests, %d of them with a difference that is known", len(requests), k.met)
	for _, line := range k.idle() {
		t.Errorf("%s: nothing needs %q", table, line)
	}
}

// eachSide asks all at once.
func eachSide[T any](sides []*side, ask func(*side) T) []T {
	answers := make([]T, len(sides))
	var wg sync.WaitGroup
	for i, s := range sides {
		wg.Go(func() { answers[i] = ask(s) })
	}
	wg.Wait()
	return answers
}

// sweptBucket makes what the requests find.
func (s *side) sweptBucket(t *testing.T) {
	t.Helper()
	s.want(t, odd{name: "bucket", method: "PUT", target: "/" + sweptBucket}, 200)
	for i := range swept {
		s.sweptObject(t, i)
	}
	a := s.want(t, odd{name: "upload", method: "POST", target: "/" + sweptBucket + "/mp?uploads="}, 200)
	var created struct{ UploadId string } //nolint:revive // S3's name
	if err := xml.Unmarshal(a.Body, &created); err != nil || created.UploadId == "" {
		t.Fatalf("%s: %v in %s", s.name, err, a.Body)
	}
	s.ids["sweep"] = created.UploadId
}

func (s *side) sweptObject(t *testing.T, i int) {
	t.Helper()
	o := swept[i]
	s.want(t, odd{name: o.key, method: "PUT", target: wire.Path(sweptBucket, o.key), header: o.header, body: o.body}, 200)
}

// want sends a request that has to have one of these answers.
func (s *side) want(t *testing.T, o odd, statuses ...int) wire.Answer {
	t.Helper()
	a := o.send(t, s)
	for _, status := range statuses {
		if a.Status == status {
			return a
		}
	}
	t.Errorf("%s: %s %s: %v: %s", s.name, o.method, o.target, a, a.Body)
	return a
}

// restore undoes what a request may have done, whether it was meant to or not.
func (s *side) restore(t *testing.T, o odd) {
	t.Helper()
	path, _, _ := strings.Cut(o.target, "?")
	bucket, key, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if o.host != "" {
		bucket, key = sweptBucket, bucket+"/"+key
	}
	if key = strings.TrimSuffix(key, "/"); bucket != sweptBucket {
		if bucket == "trapnew" {
			s.want(t, odd{name: "restore", method: "DELETE", target: "/" + bucket}, 204, 404)
		}
		return
	}
	for i, o := range swept {
		if key == "" && o.key == "a" || key == wire.Escape(o.key, "/") {
			s.sweptObject(t, i)
			return
		}
	}
	if key != "" && !strings.Contains(key, "{{") && !strings.Contains(key, "%ff") {
		s.want(t, odd{name: "restore", method: "DELETE", target: "/" + bucket + "/" + key}, 204)
	}
}
