//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// uploadTimes end what an upload leaves behind within a test.
const uploadTimes = "uploads: {complete: 5s, stray: 5s}\n"

// upload is one multipart upload of a test.
type upload struct {
	c           *harness.Client
	bucket, key string
	id          string
	parts       [][]byte
	etags       []string
}

// partBytes is the size of every part but the last.
const partBytes = 5 << 20

func newUpload(c *harness.Client, bucket, key string, n int) *upload {
	u := &upload{c: c, bucket: bucket, key: key}
	rnd := rand.New(rand.NewPCG(uint64(len(key)), uint64(n))) //nolint:gosec // bytes of a test
	for i := range n {
		size := partBytes
		if i == n-1 {
			size = 1000
		}
		part := make([]byte, size)
		for j := range part {
			part[j] = byte(rnd.Uint32())
		}
		u.parts = append(u.parts, part)
		sum := md5.Sum(part) //nolint:gosec // an ETag
		u.etags = append(u.etags, hex.EncodeToString(sum[:]))
	}
	return u
}

// until does something again as long as it is answered with nothing, or with a 5xx: what
// a client does.
func until(ctx context.Context, what string, do func() (wire.Answer, error)) (wire.Answer, error) {
	var last error
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit) && ctx.Err() == nil; {
		a, err := do()
		if err == nil && a.Status < 500 && !strings.Contains(string(a.Body), "<Error>") {
			return a, nil
		}
		if err == nil && a.Status/100 == 4 {
			return a, fmt.Errorf("%s: %v: %s", what, a, a.Body)
		}
		last = errors.Join(err, fmt.Errorf("%v: %s", a, a.Body))
		pause := time.NewTimer(50 * time.Millisecond)
		<-pause.C
	}
	return wire.Answer{}, fmt.Errorf("%s: %w", what, last)
}

func (u *upload) create(ctx context.Context) error {
	a, err := until(ctx, "create", func() (wire.Answer, error) {
		return u.c.Do(ctx, "POST", u.bucket, u.key, "uploads=", nil, wire.Field{Name: "x-amz-meta-a", Value: "b"})
	})
	if err != nil {
		return err
	}
	var out struct{ UploadId string }
	if err := xml.Unmarshal(a.Body, &out); err != nil || out.UploadId == "" {
		return fmt.Errorf("create: %s: %w", a.Body, err)
	}
	u.id = out.UploadId
	return nil
}

// abortOthers ends the uploads of the key that a client began whose answer was lost.
func (u *upload) abortOthers(ctx context.Context) error {
	a, err := until(ctx, "list uploads", func() (wire.Answer, error) {
		return u.c.Do(ctx, "GET", u.bucket, "", wire.Query("uploads", "", "prefix", u.key), nil)
	})
	if err != nil {
		return err
	}
	var out struct{ Upload []struct{ UploadId string } }
	if err := xml.Unmarshal(a.Body, &out); err != nil {
		return fmt.Errorf("list uploads: %s: %w", a.Body, err)
	}
	for _, other := range out.Upload {
		if other.UploadId == u.id {
			continue
		}
		a, err := until(ctx, "abort", func() (wire.Answer, error) {
			return u.c.Do(ctx, "DELETE", u.bucket, u.key, wire.Query("uploadId", other.UploadId), nil)
		})
		if err != nil || a.Status != 204 {
			return fmt.Errorf("abort: %v: %w", a, err)
		}
	}
	return nil
}

func (u *upload) put(ctx context.Context, number int) error {
	a, err := until(ctx, "part "+strconv.Itoa(number), func() (wire.Answer, error) {
		return u.c.Do(ctx, "PUT", u.bucket, u.key, wire.Query("partNumber", strconv.Itoa(number), "uploadId", u.id), u.parts[number-1])
	})
	if err == nil && strings.Trim(harness.ETagOf(a), `"`) != u.etags[number-1] {
		err = fmt.Errorf("part %d has ETag %s, want %s", number, harness.ETagOf(a), u.etags[number-1])
	}
	return err
}

// putAll sends the parts, several at once, in no order.
func (u *upload) putAll(ctx context.Context, atOnce int) error {
	order := rand.Perm(len(u.parts)) //nolint:gosec // see above
	next := make(chan int)
	errs := make(chan error, atOnce)
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			var first error
			for number := range next {
				if first == nil {
					first = u.put(ctx, number)
				}
			}
			errs <- first
		})
	}
	for _, i := range order {
		next <- i + 1
	}
	close(next)
	wg.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

func (u *upload) document() []byte {
	var b bytes.Buffer
	b.WriteString("<CompleteMultipartUpload>")
	for i, etag := range u.etags {
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>&quot;%s&quot;</ETag></Part>", i+1, etag)
	}
	b.WriteString("</CompleteMultipartUpload>")
	return b.Bytes()
}

// complete repeats the Complete until it is answered, as clients do.
func (u *upload) complete(ctx context.Context) error {
	a, err := until(ctx, "complete", func() (wire.Answer, error) {
		return u.c.Do(ctx, "POST", u.bucket, u.key, wire.Query("uploadId", u.id), u.document())
	})
	if err == nil && !strings.Contains(string(a.Body), u.etag()) {
		err = fmt.Errorf("complete: %s, want ETag %s", a.Body, u.etag())
	}
	return err
}

func (u *upload) etag() string {
	h := md5.New() //nolint:gosec // an ETag
	for _, e := range u.etags {
		raw, err := hex.DecodeString(e)
		if err != nil {
			panic(err)
		}
		h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(u.etags))
}

// whole checks the object where it is read.
func (u *upload) whole(t *testing.T, where string, o harness.Object, err error) {
	t.Helper()
	want := bytes.Join(u.parts, nil)
	if err != nil || o.Size != len(want) || o.Sum != sha256.Sum256(want) || strings.Trim(o.ETag, `"`) != u.etag() {
		t.Errorf("%s of %s: %v; %d bytes with ETag %s, want %d with %s", u.key, where, err, o.Size, o.ETag, len(want), u.etag())
	}
}

// leftovers are the uploads that a backend lists.
func leftovers(ctx context.Context, b *harness.Backend, bucket string) error {
	a, err := b.Client.Do(ctx, "GET", bucket, "", "uploads=", nil)
	if err != nil {
		return err
	}
	if n := strings.Count(string(a.Body), "<UploadId>"); a.Status != 200 || n > 0 {
		return fmt.Errorf("%s: %d uploads are left: %v", b.Name, n, a)
	}
	return nil
}

// settled waits until the backends hold the same and no upload is left on any.
func settled(t *testing.T, g *harness.Gateway, bucket string, backends []*harness.Backend, uploads ...*upload) {
	t.Helper()
	g.Converge(t)
	harness.RequireEqual(t, g, bucket, backends...)
	for _, u := range uploads {
		o, err := g.Client.Object(t.Context(), bucket, u.key)
		u.whole(t, "the gateway", o, err)
		for _, b := range backends {
			o, err := b.Object(t.Context(), bucket, u.key)
			u.whole(t, b.Name, o, err)
		}
	}
	for _, b := range backends {
		harness.Eventually(t, "no upload is left on "+b.Name, func() error { return leftovers(t.Context(), b, bucket) })
	}
}

// TestMultipartCounts: an upload of n parts costs n parts on each backend and no more,
// one creation and one completion, and leaves nothing.
func TestMultipartCounts(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	counts, seen := countAll(t, backends)
	g := harness.StartGateway(t, seen, harness.Options{Extra: uploadTimes})
	createBucket(t, g.Client, "proof")
	u := newUpload(g.Client, "proof", "large/object", 20)
	for _, c := range counts {
		c.reset()
	}
	ctx := t.Context()
	if err := errors.Join(u.create(ctx), u.putAll(ctx, 4), u.complete(ctx)); err != nil {
		t.Fatal(err)
	}
	for i, c := range counts {
		parts, posts := c.of("PUT", "/proof/large/object"), c.of("POST", "/proof/large/object")
		if parts != 20 || posts != 2 {
			t.Errorf("backend %d: %d parts and %d creations and completions, want 20 and 2", i+1, parts, posts)
		}
	}
	if err := u.complete(ctx); err != nil { // a client that lost the answer
		t.Errorf("repeated: %v", err)
	}
	for i, c := range counts {
		if posts := c.of("POST", "/proof/large/object"); posts != 2 {
			t.Errorf("backend %d: a repeated Complete cost %d requests", i+1, posts-2)
		}
	}
	settled(t, g, "proof", seen, u)
}

// phase is a moment of an upload of twenty parts at which something dies.
type phase struct {
	name string
	hit  func(u *upload, ctx context.Context, strike func()) error
}

// phases are while it is begun, before, among and behind the parts, while it is completed, and after.
func phases() []phase {
	parts := func(u *upload, ctx context.Context, from, to int) error {
		var errs []error
		for n := from; n < to; n++ {
			errs = append(errs, u.put(ctx, n+1))
		}
		return errors.Join(errs...)
	}
	whole := func(u *upload) int { return len(u.parts) }
	return []phase{
		{"while it is begun", func(u *upload, ctx context.Context, strike func()) error {
			struck := make(chan struct{})
			go func() { defer close(struck); strike() }()
			err := u.create(ctx)
			<-struck
			return errors.Join(err, u.abortOthers(ctx), u.putAll(ctx, 4), u.complete(ctx))
		}},
		{"before the parts", func(u *upload, ctx context.Context, strike func()) error {
			err := u.create(ctx)
			strike()
			return errors.Join(err, u.putAll(ctx, 4), u.complete(ctx))
		}},
		{"among the parts", func(u *upload, ctx context.Context, strike func()) error {
			err := errors.Join(u.create(ctx), parts(u, ctx, 0, whole(u)/2))
			struck := make(chan struct{})
			go func() { defer close(struck); strike() }()
			err = errors.Join(err, parts(u, ctx, whole(u)/2, whole(u)))
			<-struck
			return errors.Join(err, u.complete(ctx))
		}},
		{"behind the parts", func(u *upload, ctx context.Context, strike func()) error {
			err := errors.Join(u.create(ctx), u.putAll(ctx, 4))
			strike()
			return errors.Join(err, u.complete(ctx))
		}},
		{"while it is completed", func(u *upload, ctx context.Context, strike func()) error {
			err := errors.Join(u.create(ctx), u.putAll(ctx, 4))
			struck := make(chan struct{})
			go func() { defer close(struck); strike() }()
			err = errors.Join(err, u.complete(ctx))
			<-struck
			return err
		}},
		{"behind the answer", func(u *upload, ctx context.Context, strike func()) error {
			err := errors.Join(u.create(ctx), u.putAll(ctx, 4), u.complete(ctx))
			strike()
			return errors.Join(err, u.complete(ctx)) // its answer was lost on the way
		}},
	}
}

// TestMultipartWhileABackendDies kills one of three backends at each phase of an upload
// of twenty parts. No client sees it, and in the end all three hold the same object.
func TestMultipartWhileABackendDies(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	g := harness.StartGateway(t, backends, harness.Options{Extra: uploadTimes})
	createBucket(t, g.Client, "proof")
	var all []*upload
	for i, p := range phases() {
		b := backends[i%3]
		u := newUpload(g.Client, "proof", fmt.Sprintf("phase/%d", i), 20)
		all = append(all, u)
		if err := p.hit(u, t.Context(), b.Kill); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		b.Start(t)
		g.Converge(t)
	}
	settled(t, g, "proof", backends, all...)
}

// TestMultipartWhileTheGatewayDies kills the gateway at each phase, and starts it anew: the
// client goes on with the upload that it began.
func TestMultipartWhileTheGatewayDies(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	g := harness.StartGateway(t, backends, harness.Options{Extra: uploadTimes})
	createBucket(t, g.Client, "proof")
	var all []*upload
	for i, p := range phases() {
		u := newUpload(g.Client, "proof", fmt.Sprintf("phase/%d", i), 20)
		all = append(all, u)
		if err := p.hit(u, t.Context(), func() { g.Kill(); g.Start(t) }); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
	}
	settled(t, g, "proof", backends, all...)
}

// TestMultipartByClients: files above the thresholds of real clients, there and back, and
// nothing to do for whoever looks again.
func TestMultipartByClients(t *testing.T) {
	t.Parallel()
	aws := harness.Tool(t, "py-aws/bin/aws", "python3 with venv; then scripts/tools.sh")
	rclone := harness.Tool(t, "py-rclone/bin/rclone", "python3 with venv; then scripts/tools.sh")
	backends := harness.StartBackends(t, 3)
	g := harness.StartGateway(t, backends, harness.Options{Extra: uploadTimes})
	createBucket(t, g.Client, "proof")
	s := site{scheme: "http", addr: g.S3Addr, keys: g.Keys}
	large, body := file(t, "large", 110<<20)
	back := filepath.Join(t.TempDir(), "back")
	cli := func(args ...string) string {
		t.Helper()
		return run(t, s.env(t), "", append([]string{aws, "--endpoint-url", s.url()}, args...)...)
	}
	cli("s3", "cp", large, "s3://proof/aws/large")
	cli("s3", "cp", "s3://proof/aws/large", back)
	sameFile(t, back, body)
	if out := cli("s3", "sync", filepath.Dir(large), "s3://proof/aws"); strings.Contains(out, "upload:") {
		t.Errorf("there is something to synchronise:\n%s", out)
	}
	env := append(harness.CleanEnv(t), "RCLONE_CONFIG_R_TYPE=s3", "RCLONE_CONFIG_R_PROVIDER=Other",
		"RCLONE_CONFIG_R_ACCESS_KEY_ID="+s.keys.Access, "RCLONE_CONFIG_R_SECRET_ACCESS_KEY="+s.keys.Secret,
		"RCLONE_CONFIG_R_ENDPOINT="+s.url(), "RCLONE_CONFIG_R_REGION="+s.keys.Region, "RCLONE_CONFIG_R_FORCE_PATH_STYLE=true",
		"RCLONE_S3_UPLOAD_CUTOFF=5M", "RCLONE_S3_CHUNK_SIZE=5M", "RCLONE_S3_UPLOAD_CONCURRENCY=8", "RCLONE_CONFIG="+filepath.Join(t.TempDir(), "none"))
	run(t, env, "", rclone, "copy", filepath.Dir(large), "r:proof/rclone")
	run(t, env, "", rclone, "check", "--download", filepath.Dir(large), "r:proof/rclone")
	if code, out := tryRun(t, env, "", rclone, "copy", "--error-on-no-transfer", filepath.Dir(large), "r:proof/rclone"); code != 9 {
		t.Errorf("there is something to copy: code %d\n%s", code, out)
	}
	g.Converge(t)
	harness.RequireEqual(t, g, "proof", backends...)
	for _, b := range backends {
		harness.Eventually(t, "no upload is left on "+b.Name, func() error { return leftovers(t.Context(), b, "proof") })
	}
}
