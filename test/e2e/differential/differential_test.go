//go:build e2e

package differential

import (
	"crypto/sha256"
	"encoding/xml"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

var (
	seeds    = flag.Int("differential.seeds", 4, "how many seeds are tried, from the first on")
	first    = flag.Uint64("differential.first", 1, "the first seed")
	requests = flag.Int("differential.requests", 200, "how many requests a seed makes")
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// side is one of the two that are compared.
type side struct {
	name   string
	client *harness.Client
	ids    map[string]string // of uploads, by our names for them
}

// send sends a request and reads what is compared of the answer.
func (s *side) send(t *testing.T, r request) seen {
	t.Helper()
	req, body := r.signed(s.client.Keys, s.client.Addr, s.ids)
	a, err := wire.Exchange(s.client.Addr, req.Method, wire.Message{Head: req.Head(), Body: body}, wire.Wait, harness.Patience)
	if err != nil {
		t.Fatalf("%s: %v: %v", s.name, r, err)
	}
	if r.label == "create-upload" && a.Status == 200 {
		var created struct{ UploadId string } //nolint:revive // S3's name
		if err := xml.Unmarshal(a.Body, &created); err != nil || created.UploadId == "" {
			t.Fatalf("%s: %v: %v in %s", s.name, r, err, a.Body)
		}
		s.ids[r.upload] = created.UploadId
	}
	return look(r, a)
}

// seen is what of an answer has to be the same.
type seen struct {
	outcome string            // status and code
	facts   map[string]string // of a success
}

// compared are the headers of a read that say what is read.
var compared = []string{
	"ETag", "Content-Type", "Content-Length", "Content-Range", "Cache-Control", "x-amz-meta-a", "x-amz-meta-b", "Accept-Ranges",
	"x-amz-mp-parts-count", "x-amz-checksum-crc32", "Content-Encoding", "Content-Language", "Content-Disposition", "Expires",
	"x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme", "x-amz-checksum-sha1", "x-amz-checksum-sha256", "x-amz-checksum-type", "x-amz-website-redirect-location", "x-amz-storage-class", "x-amz-tagging-count", "x-amz-version-id",
}

func look(r request, a wire.Answer) seen {
	s := seen{outcome: a.String(), facts: map[string]string{}}
	if a.Status/100 != 2 {
		return s
	}
	kind, rest, _ := strings.Cut(r.label, "/")
	switch kind {
	case "get", "head":
		for _, name := range compared {
			s.facts[name] = strings.TrimPrefix(a.Header.Get(name), "aws-chunked") // framing, which versitygw keeps
		}
		s.facts["body"] = fmt.Sprintf("%x", sha256.Sum256(a.Body))
	case "attributes":
		var d struct {
			ETag, StorageClass, ObjectSize string
			Checksum                       struct{ ChecksumCRC32, ChecksumType string }
		}
		if err := xml.Unmarshal(a.Body, &d); err != nil {
			s.facts["document"] = err.Error()
		}
		s.facts["attributes"] = fmt.Sprintf("%+v", d)
	case "tags", "settings":
		s.facts["document"] = plain(a.Body)
	case "versions":
		if r.method == "GET" && r.key == "" {
			s.facts["page"] = page(a.Body)
		}
	case "put", "form":
		s.facts["ETag"] = a.Header.Get("ETag")
	case "part":
		if s.facts["ETag"] = a.Header.Get("ETag"); strings.HasPrefix(rest, "copy") {
			s.facts["ETag"] = document(a.Body)
		}
	case "list", "list-v2":
		s.facts["page"] = page(a.Body)
	case "copy", "complete", "delete-many", "list-parts":
		s.facts["document"] = document(a.Body)
	}
	return s
}

// plain is a document without its declaration, its name space and blanks between elements.
func plain(body []byte) string {
	text := string(body)
	if _, rest, ok := strings.Cut(text, "?>"); ok && strings.HasPrefix(text, "<?xml") {
		text = rest
	}
	text = strings.ReplaceAll(text, ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`, "")
	return strings.TrimSpace(text)
}

// page is what a list tells, without times, owners and tokens.
func page(body []byte) string {
	var l struct {
		IsTruncated, Delimiter string
		Contents               []struct {
			Key, ETag string
			Size      int64
		}
		CommonPrefixes []struct{ Prefix string }
	}
	if err := xml.Unmarshal(body, &l); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%+v", l)
}

// document is what other answers tell of objects.
func document(body []byte) string {
	var d struct {
		ETag, PartNumberMarker, IsTruncated string
		Deleted                             []struct{ Key string }
		Error                               []struct{ Key, Code string }
		Part                                []struct {
			PartNumber int
			ETag       string
			Size       int64
		}
	}
	if err := xml.Unmarshal(body, &d); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%+v", d)
}

// TestDifferential: the same status, code and facts, request by request, and the same
// objects afterwards.
func TestDifferential(t *testing.T) {
	t.Run("versitygw", func(t *testing.T) {
		differential(t, harness.StartBackend(t, "alone", true), harness.StartBackend(t, "behind", true), "testdata/known.txt", "")
	})
	if *minIO {
		t.Run("minio", func(t *testing.T) {
			differential(t, harness.StartMinIO(t, "alone"), harness.StartMinIO(t, "behind"), "testdata/known-minio.txt",
				"settings/ownershipControls/delete") // which deletes the bucket, there
		})
	}
}

func differential(t *testing.T, alone, behind *harness.Backend, table, spare string) {
	g := harness.StartGateway(t, []*harness.Backend{behind}, harness.Options{Ack: "all"})
	k := readKnown(t, table)
	both := []*side{{name: "directly", client: alone.Client}, {name: "through s3mirror", client: g.Client}}
	sent := 0
	gen := func(random *rand.Rand) *generator {
		return &generator{Rand: random, spare: spare, etags: map[string]string{}, uploads: map[string]string{}, parts: map[string][]string{}}
	}
	for seed := *first; seed < *first+uint64(*seeds); seed++ { //nolint:gosec // few
		random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // repeatable
		for left := *requests; left > 0; {
			for _, s := range both {
				s.ids = map[string]string{"": "never"}
				renew(t, s.client)
			}
			n, parted := trySeed(t, seed, gen(random), left, both, k)
			if left, sent = left-n, sent+n; !parted {
				same(t, seed, both)
			}
		}
	}
	t.Logf("%d requests, %d of them with a difference that is known", sent, k.met)
}

// trySeed sends requests of one seed, as many as are left, and fails for a difference that
// nobody knows. It ends when one side did something and the other did not.
func trySeed(t *testing.T, seed uint64, gen *generator, left int, both []*side, k *known) (sent int, parted bool) {
	for i := range left {
		r := gen.next()
		answers := eachSide(both, func(s *side) seen { return s.send(t, r) })
		a, b := answers[0], answers[1]
		sent++
		if a.outcome == b.outcome && maps.Equal(a.facts, b.facts) {
			gen.learn(r, b)
			continue
		}
		if !k.has(r.label, a, b) {
			t.Errorf("seed %d, request %d of those left: %v\n%s: %s %v\n%s: %s %v", seed, i, r, both[0].name, a.outcome, a.facts, both[1].name, b.outcome, b.facts)
		}
		if (a.outcome[0] != b.outcome[0] || a.facts["document"] != b.facts["document"]) && mutates(r) {
			return sent, true // one did it and the other did not: their states differ from here on
		}
	}
	return sent, false
}

func mutates(r request) bool { return r.method != "GET" && r.method != "HEAD" }

// learn keeps what later requests name.
func (g *generator) learn(r request, s seen) {
	kind, _, _ := strings.Cut(r.label, "/")
	switch {
	case !strings.HasPrefix(s.outcome, "200"):
	case kind == "put":
		g.etags[r.key] = s.facts["ETag"]
	case kind == "part" && r.header == nil:
		var n int
		if _, err := fmt.Sscanf(r.query, "partNumber=%d&", &n); err == nil && n > 0 && n < 10 {
			for len(g.parts[r.upload]) < n {
				g.parts[r.upload] = append(g.parts[r.upload], "")
			}
			g.parts[r.upload][n-1] = s.facts["ETag"]
		}
	}
}

// same compares what both hold.
func same(t *testing.T, seed uint64, both []*side) {
	t.Helper()
	var held []map[string]harness.Object
	for _, s := range both {
		objects, err := harness.Snapshot(t.Context(), s.client, bucket)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		for key, o := range objects { // versitygw leaves it in the key of a form, AWS and MinIO put the file's name there
			if named := strings.ReplaceAll(key, "${filename}", "f.txt"); named != key {
				delete(objects, key)
				objects[named] = o
			}
		}
		held = append(held, objects)
	}
	for _, key := range slices.Sorted(maps.Keys(held[0])) {
		a, b := held[0][key], held[1][key]
		if a.Sum != b.Sum || a.ETag != b.ETag {
			t.Errorf("seed %d: %q is %v directly, %v through s3mirror", seed, key, a, b)
		}
	}
	if len(held[0]) != len(held[1]) {
		t.Errorf("seed %d: %d objects directly, %d through s3mirror", seed, len(held[0]), len(held[1]))
	}
}

// renew makes the bucket anew.
func renew(t *testing.T, c *harness.Client) {
	t.Helper()
	harness.Eventually(t, "the bucket is empty and anew", func() error {
		names, err := c.List(t.Context(), bucket, "", 1000)
		if err != nil && !strings.Contains(err.Error(), "NoSuchBucket") {
			return err
		}
		for _, key := range names {
			if _, err := c.Delete(t.Context(), bucket, key); err != nil {
				return err
			}
		}
		if a, err := c.Do(t.Context(), "DELETE", bucket, "", "", nil); err != nil || a.Status != http.StatusNoContent && a.Status != http.StatusNotFound {
			return fmt.Errorf("%v, %v", a, err)
		}
		a, err := c.Do(t.Context(), "PUT", bucket, "", "", nil)
		if err == nil && a.Status != http.StatusOK {
			err = fmt.Errorf("%v", a)
		}
		return err
	})
}
