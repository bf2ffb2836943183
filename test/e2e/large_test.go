//go:build e2e

package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

var largeBytes = flag.Int64("large.bytes", 0, "size of the objects of TestLargeUploads, which then takes aws and mc too (5 GiB and more: make large)")

// briefBytes is the size without the flag: many parts all the same.
const briefBytes = 160<<20 + 1

// noise is a reader of so many bytes that never repeat, and hashes them as they pass.
type noise struct {
	dice *rand.ChaCha8
	left int64
	sum  hash.Hash
}

func newNoise(name string, size int64) *noise {
	return &noise{dice: rand.NewChaCha8(sha256.Sum256([]byte(name))), left: size, sum: sha256.New()}
}

func (n *noise) Read(p []byte) (int, error) {
	if n.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), n.left)]
	_, _ = n.dice.Read(p) // never fails
	n.sum.Write(p)
	n.left -= int64(len(p))
	return len(p), nil
}

func (n *noise) hash() string { return hex.EncodeToString(n.sum.Sum(nil)) }

// large is the stage of TestLargeUploads.
type large struct {
	site
	size int64
}

// TestLargeUploads: clients upload by many parts, several at once, and read the same bytes
// back; every backend has one object with one ETag, and no upload is left. With
// -large.bytes a file of that size goes through aws s3 cp, mc and minio-go.
func TestLargeUploads(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	size, times := int64(briefBytes), uploadTimes
	if *largeBytes > 0 {
		size, times = *largeBytes, "uploads: {stray: 5s}\n" // a backend may work on so much as long as it always may
	}
	g := harness.StartGateway(t, backends, harness.Options{Extra: times})
	createBucket(t, g.Client, "proof")
	l := large{site{scheme: "http", addr: g.S3Addr, keys: g.Keys}, size}
	ways := map[string]func(*testing.T, string) string{"minio-go": l.minioGo}
	if *largeBytes > 0 {
		ways["aws s3 cp"], ways["mc pipe"] = l.awsCP, l.mcPipe
	}
	for name, upload := range ways {
		t.Run(name, func(t *testing.T) {
			key := "large/" + strings.ReplaceAll(name, " ", "-")
			want := upload(t, key)
			l.same(t, g, backends, key, want)
			if a, err := g.Client.Delete(t.Context(), "proof", key); err != nil || a.Status != 204 { // the next one needs the room
				t.Errorf("delete: %v, %v", a, err)
			}
			g.Converge(t)
		})
	}
	for _, b := range backends {
		harness.Eventually(t, "no upload is left on "+b.Name, func() error { return leftovers(t.Context(), b, "proof") })
	}
}

// same reads the object through the gateway and compares what the backends say of it.
func (l large) same(t *testing.T, g *harness.Gateway, backends []*harness.Backend, key, want string) {
	t.Helper()
	got, err := l.minio(t).GetObject(t.Context(), "proof", key, minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	sum := sha256.New()
	if n, err := io.Copy(sum, got); err != nil || n != l.size || hex.EncodeToString(sum.Sum(nil)) != want {
		t.Errorf("%d bytes came back that are not the %d that were sent: %v", n, l.size, err)
	}
	g.Converge(t)
	first := ""
	for _, b := range backends {
		a, err := b.Client.Do(t.Context(), "HEAD", "proof", key, "", nil)
		if err != nil || a.Status != 200 || a.Header.Get("Content-Length") != fmt.Sprint(l.size) || !strings.Contains(a.Header.Get("ETag"), "-") {
			t.Errorf("%s has %v with ETag %s: %v", b.Name, a, a.Header.Get("ETag"), err)
		}
		if first == "" {
			first = a.Header.Get("ETag")
		}
		if etag := a.Header.Get("ETag"); etag != first {
			t.Errorf("%s has ETag %s, another one %s", b.Name, etag, first)
		}
	}
}

func (l large) minio(t *testing.T) *minio.Client {
	t.Helper()
	c, err := minio.New(l.addr, &minio.Options{
		Creds: credentials.NewStaticV4(l.keys.Access, l.keys.Secret, ""), Transport: l.transport(t), MaxRetries: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// minioGo sends parts of 5 MiB, eight at a time.
func (l large) minioGo(t *testing.T, key string) string {
	t.Helper()
	from := newNoise(key, l.size)
	_, err := l.minio(t).PutObject(t.Context(), "proof", key, from, l.size, minio.PutObjectOptions{PartSize: 5 << 20, NumThreads: 8, ConcurrentStreamParts: true})
	if err != nil {
		t.Fatal(err)
	}
	return from.hash()
}

// pipe runs a program that reads the object.
func (l large) pipe(t *testing.T, key string, env []string, args ...string) string {
	t.Helper()
	from := newNoise(key, l.size)
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	var out bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, from, &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return from.hash()
}

// awsCP copies a file, as whoever has one does: a pipe has other parts.
func (l large) awsCP(t *testing.T, key string) string {
	t.Helper()
	aws := harness.Tool(t, "py-aws/bin/aws", "python3 with venv; then scripts/tools.sh")
	path := filepath.Join(t.TempDir(), "large")
	from := newNoise(key, l.size)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, from); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	env := append(l.env(t), "AWS_MAX_ATTEMPTS=5") // on a busy machine a part is answered 503 now and then, and sent again
	run(t, env, "", aws, "--endpoint-url", l.url(), "s3", "cp", "--only-show-errors", path, "s3://proof/"+key)
	return from.hash()
}

func (l large) mcPipe(t *testing.T, key string) string {
	t.Helper()
	bin := harness.Tool(t, "bin/mc", "scripts/tools.sh clients")
	env := append(harness.CleanEnv(t), fmt.Sprintf("MC_HOST_gw=http://%s:%s@%s", l.keys.Access, l.keys.Secret, l.addr))
	return l.pipe(t, key, env, bin, "--config-dir", t.TempDir(), "--disable-pager", "--no-color", "pipe", "gw/proof/"+key)
}
