//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// TestWritesByBoto3 asks of the gateway what TestUploadsByBoto3 asks of single
// servers.
func TestWritesByBoto3(t *testing.T) {
	t.Parallel()
	python := harness.Tool(t, "py-aws/bin/python", "python3 with venv; then scripts/tools.sh")
	backends := harness.StartBackends(t, 3)
	g := harness.StartGateway(t, backends, harness.Options{})
	env := append(site{scheme: "http", keys: g.Keys}.env(t), "ENDPOINT=http://"+g.S3Addr, "BUCKET=writes")
	out := run(t, env, "", python, filepath.Join(harness.Root(), "test", "clients", "boto3_uploads.py"))
	m := passed.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("boto3 says nothing of its checks:\n%s", out)
	}
	n, _ := strconv.ParseInt(m[1], 10, 64) // digits, by the pattern
	floor(t, "checks with boto3", n, 38)
	g.Converge(t)
	harness.RequireEqual(t, g, "writes", backends...)
}

// many does something n times, some at once.
func many(n int, do func(i int)) {
	var all sync.WaitGroup
	for worker := range 32 {
		all.Go(func() {
			for i := worker; i < n; i += 32 {
				do(i)
			}
		})
	}
	all.Wait()
}

// TestAThousandDeletes are one request to each backend, or a few: on a busy machine the
// first intents do not wait for the last. What they cost, beside a thousand requests of
// one key each, is logged.
func TestAThousandDeletes(t *testing.T) {
	t.Parallel()
	const n = 1000
	backends := harness.StartBackends(t, 3)
	counts, seen := countAll(t, backends)
	g := harness.StartGateway(t, seen, harness.Options{})
	createBucket(t, g.Client, "many")
	key := func(i int) string { return fmt.Sprintf("dir%d/key %d", i%7, i) }
	fill := func() {
		many(n, func(i int) {
			if a, err := g.Client.Put(t.Context(), "many", key(i), wire.Literal, []byte(key(i))); err != nil || a.Status != 200 {
				t.Errorf("put: %v, %v", a, err)
			}
		})
	}
	fill()
	g.Converge(t)
	var doc strings.Builder
	doc.WriteString("<Delete><Quiet>true</Quiet>")
	for i := range n {
		fmt.Fprintf(&doc, "<Object><Key>%s</Key></Object>", key(i))
	}
	doc.WriteString("</Delete>")
	sum := md5.Sum([]byte(doc.String()))
	digest := wire.Field{Name: "Content-MD5", Value: base64.StdEncoding.EncodeToString(sum[:])}
	for _, c := range counts {
		c.reset()
	}
	began := time.Now()
	a, err := g.Client.Do(t.Context(), "POST", "many", "", "delete=", []byte(doc.String()), digest)
	batch := time.Since(began)
	if err != nil || a.Status != 200 || strings.Contains(string(a.Body), "<Error>") {
		t.Fatalf("%v, %v: %.500s", a, err, a.Body)
	}
	if keys, err := g.Client.List(t.Context(), "many", "", 1000); err != nil || len(keys) != 0 {
		t.Errorf("%d keys are listed, %v", len(keys), err)
	}
	g.Converge(t)
	for i, c := range counts {
		if posts, single := c.of("POST", "/many"), c.of("DELETE", "/many/"); posts < 1 || posts > 5 || single != 0 {
			t.Errorf("backend %d got %d batches and %d deletes", i, posts, single)
		}
	}
	if held := harness.RequireEqual(t, g, "many", backends...); len(held) != 0 {
		t.Errorf("%d keys are left", len(held))
	}

	fill()
	began = time.Now()
	for i := range n {
		if a, err := g.Client.Delete(t.Context(), "many", key(i)); err != nil || a.Status != 204 {
			t.Fatalf("delete: %v, %v", a, err)
		}
	}
	single := time.Since(began)
	fill()
	slowest := time.Duration(0)
	for _, b := range backends {
		began = time.Now()
		if a, err := b.Client.Do(t.Context(), "POST", "many", "", "delete=", []byte(doc.String()), digest); err != nil || a.Status != 200 {
			t.Fatalf("delete on a backend: %v, %v", a, err)
		}
		slowest = max(slowest, time.Since(began))
	}
	t.Logf("%d deletes: one request %v, one by one %v, a batch on the slowest backend alone %v", n, batch, single, slowest)
}

// TestCopies of a large object: in the bucket and to another, with all backends, with one
// that lags, and without it. Afterwards every backend holds the same bytes.
func TestCopies(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	counts, seen := countAll(t, backends)
	g := harness.StartGateway(t, seen, harness.Options{})
	createBucket(t, g.Client, "source")
	createBucket(t, g.Client, "target")
	body := harness.Body("copies", 64<<20)
	if a, err := g.Client.Put(t.Context(), "source", "source é", wire.UnsignedTrailer, body); err != nil || a.Status != 200 {
		t.Fatalf("put: %v, %v", a, err)
	}
	g.Converge(t)
	for _, c := range counts {
		c.reset()
	}
	copied := func(c *harness.Client, bucket, key string) time.Duration {
		t.Helper()
		began := time.Now()
		a, err := c.Do(t.Context(), "PUT", bucket, key, "", nil, wire.Field{Name: "x-amz-copy-source", Value: "/source/source%20%C3%A9"})
		if err != nil || a.Status != 200 || !strings.Contains(string(a.Body), "<CopyObjectResult") {
			t.Fatalf("copy: %v, %v: %s", a, err, a.Body)
		}
		return time.Since(began)
	}
	through := copied(g.Client, "source", "copy")
	copied(g.Client, "target", "copy")
	read := int64(0)
	for _, c := range counts {
		read += c.of("GET", "/source/source")
	}
	backends[2].Kill()
	copied(g.Client, "target", "while one is away")
	if a, err := g.Client.Put(t.Context(), "source", "source é", wire.UnsignedTrailer, body[1:]); err != nil || a.Status != 200 {
		t.Fatalf("put: %v, %v", a, err)
	}
	copied(g.Client, "target", "of what one lacks")
	backends[2].Start(t)
	copied(g.Client, "target", "of what one may lag behind")
	g.Converge(t)
	for bucket, n := range map[string]int{"source": 2, "target": 4} {
		if held := harness.RequireEqual(t, g, bucket, backends...); len(held) != n {
			t.Errorf("%s: %d objects, want %d", bucket, len(held), n)
		}
	}
	slowest := time.Duration(0)
	for _, b := range backends {
		slowest = max(slowest, copied(b.Client, "target", "alone"))
	}
	t.Logf("64 MiB: a copy %v, the slowest backend alone %v; the first two read the source %d times", through, slowest, read)
}

// uploadIf uploads in one part, and aborts what is refused.
func uploadIf(ctx context.Context, c *harness.Client, bucket, key string, body []byte, condition wire.Field) (wire.Answer, error) {
	sum := md5.Sum(body) //nolint:gosec // an ETag
	u := &upload{c: c, bucket: bucket, key: key, parts: [][]byte{body}, etags: []string{hex.EncodeToString(sum[:])}}
	if err := errors.Join(u.create(ctx), u.put(ctx, 1)); err != nil {
		return wire.Answer{}, err
	}
	a, err := c.Do(ctx, "POST", bucket, key, wire.Query("uploadId", u.id), u.document(), condition)
	if err == nil && a.Status != 200 {
		_, err = c.Do(ctx, "DELETE", bucket, key, wire.Query("uploadId", u.id), nil)
	}
	return a, err
}

// TestRacers: of 64 that create one key at once, by PUT, by copy and by upload, exactly one is told
// that he did, and his bytes stand on every backend. The keys are registers of a
// compare-and-set then: whoever changes the value that he read knows whether he did.
func TestRacers(t *testing.T) {
	t.Parallel()
	const racers = 64
	backends := harness.StartBackends(t, 3)
	g := harness.StartGateway(t, backends, harness.Options{})
	createBucket(t, g.Client, "race")
	absent := wire.Field{Name: "If-None-Match", Value: "*"}
	sources := map[int][]byte{}
	for i := range racers {
		sources[i] = harness.Body(fmt.Sprint("source ", i), 100+i)
		if a, err := g.Client.Put(t.Context(), "race", fmt.Sprint("source/", i), wire.Literal, sources[i]); err != nil || a.Status != 200 {
			t.Fatalf("put: %v, %v", a, err)
		}
	}
	ways := map[string]func(key string, i int, condition wire.Field) (wire.Answer, error){
		"put": func(key string, i int, condition wire.Field) (wire.Answer, error) {
			return g.Client.Put(t.Context(), "race", key, wire.Modes[i%len(wire.Modes)], sources[i], condition)
		},
		"copy": func(key string, i int, condition wire.Field) (wire.Answer, error) {
			return g.Client.Do(t.Context(), "PUT", "race", key, "", nil, condition, wire.Field{Name: "x-amz-copy-source", Value: fmt.Sprint("/race/source/", i)})
		},
	}
	ways["upload"] = func(key string, i int, condition wire.Field) (wire.Answer, error) {
		return uploadIf(t.Context(), g.Client, "race", key, sources[i], condition)
	}
	ways["all"] = func(key string, i int, condition wire.Field) (wire.Answer, error) {
		return ways[[]string{"put", "copy", "upload"}[i%3]](key, i, condition)
	}
	stands := func(key string) (etag string, body []byte) {
		t.Helper()
		a, err := g.Client.Get(t.Context(), "race", key)
		if err != nil || a.Status != 200 {
			t.Fatalf("get: %v, %v", a, err)
		}
		return a.Header.Get("ETag"), a.Body
	}
	for name, way := range ways {
		for round := range 4 {
			key := fmt.Sprint(name, "/", round)
			race := func(what string, condition wire.Field, not int) (winner int) {
				t.Helper()
				answers := make([]wire.Answer, racers)
				var all sync.WaitGroup
				for i := range racers {
					if i == not { // his would change nothing
						answers[i].Status = 412
						continue
					}
					all.Go(func() {
						var err error
						if answers[i], err = way(key, i, condition); err != nil {
							t.Errorf("%s: %v", key, err)
						}
					})
				}
				all.Wait()
				winner = -1
				for i, a := range answers {
					switch {
					case a.Status == 200 && winner < 0:
						winner = i
					case a.Status != 412 && a.Status != 409:
						t.Errorf("%s, %s: racer %d is answered %v, and %d has won", key, what, i, a, winner)
					}
				}
				if _, body := stands(key); winner < 0 || !bytes.Equal(body, sources[winner]) {
					t.Errorf("%s, %s: %d has won, and other bytes stand", key, what, winner)
				}
				return winner
			}
			first := race("nothing stands", absent, -1)
			etag, _ := stands(key)
			race("who changes it", wire.Field{Name: "If-Match", Value: etag}, first)
			a, err := way(key, 0, wire.Field{Name: "If-Match", Value: etag})
			if err != nil || a.Status != 412 {
				t.Errorf("%s: what was read is gone, and a change of it is answered %v, %v", key, a, err)
			}
		}
	}
	g.Converge(t)
	harness.RequireEqual(t, g, "race", backends...)
	for _, b := range backends {
		harness.Eventually(t, "no upload is left on "+b.Name, func() error { return leftovers(t.Context(), b, "race") })
	}
}
