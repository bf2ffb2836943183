//go:build e2e

package e2e

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// mappedNames is what buckets are called on each backend where that differs. Every such name
// has "hidden" in it, which no answer to a client may have.
var mappedNames = map[string]map[string]string{
	"photos": {"b-2": "hidden-photos-two", "b-3": "hidden-photos-three"},
	"attic":  {"b-1": "hidden-attic-one"},
}

// named is a client whose every answer is looked through for the name of a bucket on a
// backend.
type named struct {
	t     *testing.T
	c     *harness.Client
	asked int
}

func (n *named) do(method, bucket, key, query, body string, status int, header ...wire.Field) wire.Answer {
	n.t.Helper()
	a, err := n.c.Do(n.t.Context(), method, bucket, key, query, []byte(body), header...)
	if err != nil {
		n.t.Fatalf("%s /%s/%s?%s: %v", method, bucket, key, query, err)
	}
	n.asked++
	var text strings.Builder
	_ = a.Header.Write(&text) // into memory
	text.Write(a.Body)
	if strings.Contains(text.String(), "hidden") {
		n.t.Errorf("%s /%s/%s?%s shows a name of a backend: %s", method, bucket, key, query, &text)
	}
	if a.Status != status {
		n.t.Errorf("%s /%s/%s?%s: %v, want %d: %s", method, bucket, key, query, a, status, a.Body)
	}
	return a
}

func source(value string) wire.Field { return wire.Field{Name: "x-amz-copy-source", Value: value} }

// TestNamesPerBackend: buckets have other names on some backends. Every operation works by
// the clients' names alone, also while a backend is away, and no answer shows another one.
// A bucket that somebody removes on one backend is missed, reported, and made again.
func TestNamesPerBackend(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	var extra strings.Builder
	extra.WriteString("buckets:\n")
	for bucket, names := range mappedNames {
		fmt.Fprintf(&extra, "  %s:\n    names:\n", bucket)
		for backend, name := range names {
			fmt.Fprintf(&extra, "      %s: %s\n", backend, name)
		}
	}
	g := harness.StartGateway(t, backends, harness.Options{
		Extra:  extra.String(),
		Settle: time.Second, Lease: time.Second, Retention: 7 * time.Second, // what is lost is missed when its rows are to go
	})
	n := &named{t: t, c: g.Client}

	n.do("HEAD", "photos", "", "", "", 404)
	n.do("PUT", "photos", "", "", "", 200)
	n.do("PUT", "photos", "", "", "", 409)
	n.do("PUT", "attic", "", "", "", 200)
	n.do("PUT", "plain", "", "", "", 200)
	n.objects()
	n.uploads()
	n.configuration()

	t.Log("a name that a backend knows is none to clients")
	for _, name := range []string{"hidden-photos-two", "hidden-photos-three", "hidden-attic-one"} {
		for method, status := range map[string]int{"HEAD": 404, "GET": 404, "PUT": 409, "DELETE": 404} {
			if a, err := g.Client.Do(t.Context(), method, name, "", "", nil); err != nil || a.Status != status {
				t.Errorf("%s /%s: %v, %v, want %d", method, name, a, err, status)
			}
		}
	}

	t.Log("a backend is away")
	backends[1].Kill()
	n.do("PUT", "photos", "away", "", "while one is away", 200)
	n.do("GET", "photos", "away", "", "", 200)
	n.do("PUT", "attic", "away-copy", "", "", 200, source("/photos/away"))
	n.do("DELETE", "photos", "copy", "", "", 204)
	n.do("GET", "photos", "", "list-type=2", "", 200)
	n.do("DELETE", "photos", "", "", "", 409)
	backends[1].Start(t)
	g.Converge(t)
	heldUnder(t, g, backends)

	n.losesBucket(g, backends)
	heldUnder(t, g, backends)

	t.Log("everything goes")
	for bucket := range mappedNames {
		keys, err := g.Client.List(t.Context(), bucket, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			n.do("DELETE", bucket, key, "", "", 204)
		}
	}
	g.Converge(t)
	for _, bucket := range []string{"photos", "attic", "plain"} {
		n.do("DELETE", bucket, "", "", "", 204)
	}
	for _, b := range backends {
		left, err := b.Client.Do(t.Context(), "GET", "", "", "", nil)
		if err != nil || strings.Contains(string(left.Body), "<Bucket>") {
			t.Errorf("buckets are left on %s: %s, %v", b.Name, left.Body, err)
		}
	}
	floor(t, "answers looked through", int64(n.asked), 60)
}

// objects has every operation of one object done, and copies between buckets.
func (n *named) objects() {
	n.t.Helper()
	n.do("PUT", "photos", "k", "", "hello", 200, wire.Field{Name: "x-amz-tagging", Value: "a=b"})
	if a := n.do("GET", "photos", "k", "", "", 200); string(a.Body) != "hello" {
		n.t.Errorf("%q", a.Body)
	}
	n.do("HEAD", "photos", "k", "", "", 200)
	n.do("GET", "photos", "k", "", "", 206, wire.Field{Name: "Range", Value: "bytes=1-2"})
	n.do("GET", "photos", "k", "", "", 416, wire.Field{Name: "Range", Value: "bytes=100-200"})
	n.do("GET", "photos", "k", "", "", 412, wire.Field{Name: "If-Match", Value: `"0"`})
	n.do("GET", "photos", "k", "attributes=", "", 200, wire.Field{Name: "x-amz-object-attributes", Value: "ETag,ObjectSize"})
	n.do("GET", "photos", "k", "tagging=", "", 200)
	n.do("GET", "photos", "k", "acl=", "", 200)
	n.do("GET", "photos", "none", "", "", 404)
	n.do("PUT", "attic", "copy", "", "", 200, source("/photos/k"))
	n.do("PUT", "photos", "copy", "", "", 200, source("/attic/copy"))
	n.do("PUT", "plain", "copy", "", "", 200, source("photos/copy"))
	n.do("PUT", "photos", "copy", "", "", 404, source("/attic/none"))
	n.do("PUT", "photos", "copy", "", "", 404, source("/nowhere/k"))
	if a := n.do("GET", "plain", "copy", "", "", 200); string(a.Body) != "hello" {
		n.t.Errorf("the copy of a copy: %q", a.Body)
	}
	for _, query := range []string{"", "list-type=2", "versions=", "list-type=2&delimiter=%2F&prefix=k", "uploads="} {
		n.do("GET", "photos", "", query, "", 200)
	}
	delete := `<Delete><Object><Key>gone</Key></Object><Object><Key>none</Key></Object></Delete>`
	n.do("PUT", "photos", "gone", "", "x", 200)
	sum := md5.Sum([]byte(delete)) //nolint:gosec // as S3 wants it
	n.do("POST", "photos", "", "delete=", delete, 200, wire.Field{Name: "Content-MD5", Value: base64.StdEncoding.EncodeToString(sum[:])})
	n.do("DELETE", "plain", "copy", "", "", 204)
}

// uploads makes objects of parts, one of them copied.
func (n *named) uploads() {
	n.t.Helper()
	begun := n.do("POST", "photos", "parts", "uploads=", "", 200)
	id := between(string(begun.Body), "<UploadId>", "</UploadId>")
	part := n.do("PUT", "photos", "parts", wire.Query("partNumber", "1", "uploadId", id), strings.Repeat("p", 5<<20), 200)
	copied := n.do("PUT", "photos", "parts", wire.Query("partNumber", "2", "uploadId", id), "", 200, source("/attic/copy"))
	etag := strings.Trim(strings.ReplaceAll(between(string(copied.Body), "<ETag>", "</ETag>"), "&quot;", `"`), `"`)
	n.do("GET", "photos", "parts", wire.Query("uploadId", id), "", 200)
	n.do("GET", "photos", "", "uploads=", "", 200)
	n.do("POST", "photos", "parts", wire.Query("uploadId", id), fmt.Sprintf(
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part><Part><PartNumber>2</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>",
		part.Header.Get("ETag"), etag), 200)
	if a := n.do("GET", "photos", "parts", "", "", 200); len(a.Body) != 5<<20+5 || !strings.HasSuffix(string(a.Body), "phello") {
		n.t.Errorf("%d bytes of the parts", len(a.Body))
	}
	begun = n.do("POST", "attic", "cut", "uploads=", "", 200)
	id = between(string(begun.Body), "<UploadId>", "</UploadId>")
	n.do("DELETE", "attic", "cut", wire.Query("uploadId", id), "", 204)
	n.do("DELETE", "attic", "cut", wire.Query("uploadId", "none"), "", 404)
}

// configuration asks the buckets for what they are asked.
func (n *named) configuration() {
	n.t.Helper()
	if a := n.do("GET", "", "", "", "", 200); strings.Count(string(a.Body), "<Bucket>") != 3 {
		n.t.Errorf("%s", a.Body)
	}
	for query, status := range map[string]int{
		"location=": 200, "versioning=": 200, "acl=": 200, "tagging=": 404, "policy=": 404, "cors=": 404, "lifecycle=": 404,
		"encryption=": 404, "object-lock=": 404, "website=": 404, "ownershipControls=": 200, "replication=": 404,
	} {
		n.do("GET", "photos", "", query, "", status)
	}
	n.do("HEAD", "photos", "", "", "", 200)
	n.do("PUT", "photos", "", "versioning=", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", 501)
	n.do("DELETE", "photos", "", "", "", 409)
}

// losesBucket removes a bucket on one backend behind the gateway's back, and asks for
// nothing: it is missed all the same.
func (n *named) losesBucket(g *harness.Gateway, backends []*harness.Backend) {
	n.t.Helper()
	n.t.Log("a bucket is lost on a backend that answers all the while")
	lost := filepath.Join(backends[1].Dir, mappedNames["photos"]["b-2"])
	if err := os.RemoveAll(lost); err != nil {
		n.t.Fatal(err)
	}
	n.do("PUT", "photos", "after", "", "after the loss", 200) // which the lost one refuses
	harness.Eventually(n.t, "the bucket is made again and filled", func() error {
		if _, err := os.Stat(filepath.Join(lost, "k")); err != nil {
			return err
		}
		if code, out, errs := g.CLI(n.t, "bucket", "show", "photos"); code != 0 || strings.Count(out, "present") != 3 || !strings.Contains(out, "hidden-photos-two") {
			return fmt.Errorf("exit %d: %s%s", code, out, errs)
		}
		return nil
	})
	g.Converge(n.t)
	resp, err := http.Get("http://" + g.AdminAddr + "/metrics")
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	for _, want := range []string{
		`s3mirror_backend_buckets{backend="b-2",state="present"} 3`, `s3mirror_backend_buckets{backend="b-2",state="filling"} 0`,
	} {
		if err != nil || !strings.Contains(string(text), want+"\n") {
			n.t.Errorf("%v: the metrics do not have %s", err, want)
		}
	}
}

// heldUnder compares what stands under a bucket's names on the backends.
func heldUnder(t *testing.T, g *harness.Gateway, backends []*harness.Backend) {
	t.Helper()
	for bucket, names := range mappedNames {
		var copies []harness.Snapped
		for _, b := range backends {
			name := bucket
			if mapped, ok := names[b.Name]; ok {
				name = mapped
				if a, err := b.Client.Do(t.Context(), "HEAD", bucket, "", "", nil); err != nil || a.Status != 404 {
					t.Errorf("on %s there is a bucket %s too: %v, %v", b.Name, bucket, a, err)
				}
			}
			objects, err := harness.Snapshot(t.Context(), b.Client, name)
			if err != nil {
				t.Fatal(err)
			}
			copies = append(copies, harness.Snapped{Backend: b.Name, Bucket: name, Objects: objects})
		}
		if diffs := harness.Differences(copies, g.StampKey(), bucket); len(diffs) > 0 {
			t.Errorf("the replicas of %s differ: %s", bucket, harness.Abridged(diffs, 20))
		}
		floor(t, "objects of "+bucket, int64(len(copies[0].Objects)), 2)
	}
}

func between(text, before, after string) string {
	_, text, _ = strings.Cut(text, before)
	text, _, _ = strings.Cut(text, after)
	return text
}
