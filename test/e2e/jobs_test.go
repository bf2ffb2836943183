//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// scrub runs `s3mirror scrub` and returns its exit code and the job's document.
func scrub(t *testing.T, g *harness.Gateway, args ...string) (int, admin.Job) {
	t.Helper()
	code, stdout, stderr := g.CLI(t, append([]string{"scrub", "--output", "json"}, args...)...)
	var job admin.Job
	if err := json.Unmarshal([]byte(stdout), &job); err != nil {
		t.Fatalf("scrub: exit %d, %v\n%s\n%s", code, err, stdout, stderr)
	}
	return code, job
}

func findingsOf(job admin.Job) (list []string) {
	for _, f := range job.Findings {
		list = append(list, strings.Join([]string{f.Bucket, f.Key, f.Backend, string(f.What), string(f.Done)}, " "))
	}
	return list
}

// TestScrubAndResync does behind the gateway's back what goes wrong with disks and hands:
// bytes rot in a file, an object is deleted on one backend, one is put there, a bucket is
// emptied, a backend is replaced by an empty one. What finds it, what mends it, and the
// exit codes are those that the manual names.
func TestScrubAndResync(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	g := harness.StartGateway(t, backends, harness.Options{})
	createBucket(t, g.Client, "photos")
	const n = 40
	for i := range n {
		body := []byte(strings.Repeat(fmt.Sprintf("photo %d ", i), 100+i))
		if a, err := g.Client.Put(t.Context(), "photos", fmt.Sprintf("p%02d", i), wire.Literal, body); err != nil || a.Status != 200 {
			t.Fatalf("put: %v, %v", a, err)
		}
	}
	g.Converge(t)
	if code, job := scrub(t, g, "photos", "--deep"); code != 0 || job.Keys != n || job.Differences != 0 || job.Bytes == 0 {
		t.Fatalf("scrub of equal replicas: exit %d, %+v", code, job)
	}

	corrupt(t, backends[1], "photos", "p07")
	if a, err := backends[2].Client.Delete(t.Context(), "photos", "p11"); err != nil || a.Status != 204 {
		t.Fatalf("delete on one backend: %v, %v", a, err)
	}
	if a, err := backends[0].Client.Put(t.Context(), "photos", "stray", wire.Literal, []byte("past the gateway")); err != nil || a.Status != 200 {
		t.Fatalf("put on one backend: %v, %v", a, err)
	}
	code, job := scrub(t, g, "photos")
	if got, want := fmt.Sprint(findingsOf(job)), "[photos p11 b-3 missing healed photos stray b-2 missing healed photos stray b-3 missing healed]"; code != 3 || got != want {
		t.Errorf("scrub: exit %d, found %s, want %s", code, got, want)
	}
	code, job = scrub(t, g, "--deep")
	if got, want := fmt.Sprint(findingsOf(job)), "[photos p07 b-2 bytes healed]"; code != 3 || got != want {
		t.Errorf("deep scrub: exit %d, found %s, want %s", code, got, want)
	}
	g.Converge(t)
	if held := sameBytes(t, g, "photos", backends); len(held) != n+1 {
		t.Errorf("%d objects", len(held))
	}
	if code, job := scrub(t, g, "--deep"); code != 0 {
		t.Errorf("after the mend: exit %d, %+v", code, job)
	}

	for i := range n {
		if a, err := backends[1].Client.Delete(t.Context(), "photos", fmt.Sprintf("p%02d", i)); err != nil || a.Status != 204 {
			t.Fatalf("empty a bucket: %v, %v", a, err)
		}
	}
	if code, job := scrub(t, g); code != 1 || job.State != "failed" || !strings.Contains(job.Problem, "s3mirror resync --backend b-2") {
		t.Errorf("scrub of an emptied bucket: exit %d, %+v", code, job)
	}
	if code, stdout, stderr := g.CLI(t, "resync", "--backend", "b-2"); code != 0 || !strings.Contains(stdout, "resync done") {
		t.Errorf("resync: exit %d\n%s\n%s", code, stdout, stderr)
	}
	sameBytes(t, g, "photos", backends)

	backends[2].Kill()
	empty(t, backends[2].Dir)
	backends[2].Start(t)
	harness.Eventually(t, "a node fills the replaced backend", func() error {
		_, stdout, _ := g.CLI(t, "job", "list")
		if !strings.Contains(stdout, "node") {
			return fmt.Errorf("jobs:\n%s", stdout)
		}
		return nil
	})
	g.Converge(t)
	sameBytes(t, g, "photos", backends)
	if code, job := scrub(t, g, "--deep"); code != 0 || job.Keys != n+1 {
		t.Errorf("at the end: exit %d, %+v", code, job)
	}
}

// TestAdoptAndDrain puts a bucket with objects under management while the gateway serves,
// and takes a backend out of use.
func TestAdoptAndDrain(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	for i, b := range backends {
		createBucket(t, b.Client, "found")
		for k := range 10 {
			if k%3 == i || i == 0 {
				if a, err := b.Client.Put(t.Context(), "found", fmt.Sprintf("k%d", k), wire.Literal, []byte(fmt.Sprint("of ", k))); err != nil || a.Status != 200 {
					t.Fatalf("put: %v, %v", a, err)
				}
			}
		}
	}
	if a, err := backends[1].Client.Put(t.Context(), "found", "only on b-2", wire.Literal, []byte("kept")); err != nil || a.Status != 200 {
		t.Fatalf("put: %v, %v", a, err)
	}
	g := harness.StartGateway(t, backends, harness.Options{})
	if a, err := g.Client.Get(t.Context(), "found", "k1"); err != nil || a.Status == 200 {
		t.Fatalf("a bucket that nobody vouches for: %v, %v", a, err)
	}
	if code, stdout, stderr := g.CLI(t, "adopt", "found", "--source", "b-1"); code != 0 || !strings.Contains(stdout, "adopt done") {
		t.Fatalf("adopt: exit %d\n%s\n%s", code, stdout, stderr)
	}
	g.Converge(t)
	if held := sameBytes(t, g, "found", backends); len(held) != 11 {
		t.Errorf("%d objects", len(held))
	}
	if code, job := scrub(t, g, "found", "--deep"); code != 0 {
		t.Errorf("scrub: exit %d, %+v", code, job)
	}
	if code, stdout, stderr := g.CLI(t, "backend", "drain", "b-3"); code != 0 || !strings.Contains(stdout, "drain done") {
		t.Errorf("drain: exit %d\n%s\n%s", code, stdout, stderr)
	}
	if s := g.Status(t).Backend("b-3"); s.State != "paused" {
		t.Errorf("a drained backend is %s", s.State)
	}
	if code, _, stderr := g.CLI(t, "backend", "resume", "b-3"); code != 0 {
		t.Errorf("resume: %s", stderr)
	}
	if code, _, stderr := g.CLI(t, "heal"); code != 0 {
		t.Errorf("heal: %s", stderr)
	}
	if code, _, _ := g.CLI(t, "adopt", "nowhere"); code != 1 {
		t.Errorf("adoption of nothing: exit %d", code)
	}
}

// sameBytes fails the test unless every backend and the gateway give the same bytes under
// the same keys; of objects that were put past the gateway too, which have no stamp.
func sameBytes(t *testing.T, g *harness.Gateway, bucket string, backends []*harness.Backend) map[string]harness.Object {
	t.Helper()
	first, err := harness.Snapshot(t.Context(), g.Client, bucket)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range backends {
		held, err := harness.Snapshot(t.Context(), b.Client, bucket)
		if err != nil {
			t.Fatal(err)
		}
		for key := range held {
			if strings.HasPrefix(key, ".s3mirror/") {
				delete(held, key)
			}
		}
		if len(held) != len(first) {
			t.Errorf("%s holds %d objects, the gateway %d", b.Name, len(held), len(first))
		}
		for key, want := range first {
			if got := held[key]; got.Size != want.Size || got.Sum != want.Sum || got.ETag != want.ETag {
				t.Errorf("%q on %s is another one", key, b.Name)
			}
		}
	}
	return first
}

// corrupt changes a byte in the file of an object, and nothing that its server says of it.
func corrupt(t *testing.T, b *harness.Backend, bucket, key string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(b.Dir, bucket, key), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var one [1]byte
	if _, err := f.ReadAt(one[:], 50); err != nil {
		t.Fatal(err)
	}
	one[0] ^= 1
	if _, err := f.WriteAt(one[:], 50); err != nil {
		t.Fatal(err)
	}
}

// empty takes everything out of a folder.
func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}
