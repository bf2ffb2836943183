//go:build e2e

package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// addBackend runs `s3mirror backend add` for an endpoint.
func addBackend(t *testing.T, g *harness.Gateway, b *harness.Backend, secret string) (int, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := g.CLI(t, "backend", "add", b.Name, "http://"+b.Addr, "--region", b.Keys.Region, "--access-key-id", b.Keys.Access, "--secret-access-key-file", file)
	return code, stdout + stderr
}

// must runs the CLI and wants exit code 0.
func must(t *testing.T, g *harness.Gateway, args ...string) string {
	t.Helper()
	code, stdout, stderr := g.CLI(t, args...)
	if code != 0 {
		t.Fatalf("s3mirror %s: exit %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// TestBackendsAtRunTime: a backend is added to a running service and holds a bucket; it
// is still there after kill -9 and after a change of the secret key; it is removed once
// nothing is on it. Its secret is found nowhere on the disk.
func TestBackendsAtRunTime(t *testing.T) {
	t.Parallel()
	backends := harness.StartMemories(t, 4)
	g := harness.StartGateway(t, backends[:2], harness.Options{})
	third, fourth := backends[2], backends[3]

	if code, said := addBackend(t, g, third, "not the secret"); code != 1 || !strings.Contains(said, "credentials are wrong") {
		t.Errorf("with a wrong secret: exit %d, %s", code, said)
	}
	if code, said := addBackend(t, g, third, third.Keys.Secret); code != 0 || !strings.Contains(said, third.Name+" is added") {
		t.Fatalf("add: exit %d, %s", code, said)
	}
	if code, said := addBackend(t, g, third, third.Keys.Secret); code != 1 || !strings.Contains(said, "already") {
		t.Errorf("again: exit %d, %s", code, said)
	}
	if list := must(t, g, "backend", "list"); !strings.Contains(list, third.Name) {
		t.Errorf("list:\n%s", list)
	}
	must(t, g, "bucket", "create", "photos", "--replica-set", backends[0].Name+","+third.Name, "--name", third.Name+"=photos-there")
	bodies := map[string][]byte{}
	put := func(n int) {
		t.Helper()
		for i := range n {
			name := fmt.Sprintf("k%d-%d", len(bodies), i)
			bodies[name] = bytes.Repeat([]byte(name), 100+i*997)
			if a, err := g.Client.Put(t.Context(), "photos", name, wire.Literal, bodies[name]); err != nil || a.Status != 200 {
				t.Fatalf("put: %v, %v", a, err)
			}
		}
	}
	put(10)
	g.Kill()
	g.Start(t)
	put(10)
	must(t, g, "secret-key", "rotate")
	g.Kill()
	g.Start(t)
	put(10)
	g.Converge(t)
	for where, held := range map[string]func(name string) (harness.Object, error){
		"first": func(name string) (harness.Object, error) { return backends[0].Object(t.Context(), "photos", name) },
		"third": func(name string) (harness.Object, error) { return third.Object(t.Context(), "photos-there", name) },
	} {
		for name, want := range bodies {
			if o, err := held(name); err != nil || o.Sum != sha256.Sum256(want) {
				t.Errorf("%s on %s: %d bytes, %v", name, where, o.Size, err)
			}
		}
	}
	err := filepath.WalkDir(g.DataDir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte(third.Keys.Secret)) {
			t.Errorf("%s holds the secret of a backend", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	// Its address may change, its store may not.
	if code, _, stderr := g.CLI(t, "backend", "set", third.Name, "--endpoint", "http://"+fourth.Addr, "--access-key-id", fourth.Keys.Access, "--secret-access-key", fourth.Keys.Secret); code != 1 || !strings.Contains(stderr, "another store") {
		t.Errorf("to another store: exit %d, %s", code, stderr)
	}
	must(t, g, "backend", "set", third.Name, "--endpoint", "http://"+strings.Replace(third.Addr, "127.0.0.1", "localhost", 1))
	put(3)
	if code, _, stderr := g.CLI(t, "backend", "remove", third.Name); code != 1 || !strings.Contains(stderr, "photos") {
		t.Errorf("removal while a bucket is on it: exit %d, %s", code, stderr)
	}
	if code, _, stderr := g.CLI(t, "backend", "remove", backends[0].Name); code != 1 || !strings.Contains(stderr, "configuration") {
		t.Errorf("removal of a configured one: exit %d, %s", code, stderr)
	}
	for name := range bodies {
		if a, err := g.Client.Delete(t.Context(), "photos", name); err != nil || a.Status != 204 {
			t.Fatalf("delete: %v, %v", a, err)
		}
	}
	harness.Eventually(t, "the bucket is deleted", func() error {
		if code, _, stderr := g.CLI(t, "bucket", "delete", "photos"); code != 0 {
			return fmt.Errorf("exit %d, %s", code, stderr)
		}
		return nil
	})
	must(t, g, "backend", "remove", third.Name)
	if list := must(t, g, "backend", "list"); strings.Contains(list, third.Name) {
		t.Errorf("list:\n%s", list)
	}
	g.Kill()
	g.Start(t)
	if list := must(t, g, "backend", "list"); strings.Contains(list, third.Name) {
		t.Errorf("list after a restart:\n%s", list)
	}
}

// TestABackendJoinsABucket: a bucket on two backends is given a third one while clients
// write, delete and read. The gateway dies in the middle. In the end all three hold the
// same, what was acknowledged is there, and what was deleted is not.
func TestABackendJoinsABucket(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	g := harness.StartGateway(t, backends[:2], harness.Options{Ack: "all"})
	createBucket(t, g.Client, "photos")
	for i := range 400 { // that nobody writes to again: they have no rows when the third one comes
		name := fmt.Sprintf("still/%03d", i)
		if a, err := g.Client.Put(t.Context(), "photos", name, wire.Literal, []byte(name)); err != nil || a.Status != 200 {
			t.Fatalf("put: %v, %v", a, err)
		}
	}
	g.Converge(t)
	if code, said := addBackend(t, g, backends[2], backends[2].Keys.Secret); code != 0 {
		t.Fatalf("add: exit %d, %s", code, said)
	}
	if code, _, stderr := g.CLI(t, "bucket", "set", "photos", "--replica-set", backends[0].Name+","+backends[2].Name); code != 1 || !strings.Contains(stderr, "leaves out "+backends[1].Name) {
		t.Errorf("without the second: exit %d, %s", code, stderr)
	}
	l := newLoad(g.Client, "photos", 120, 77)
	end := make(chan struct{})
	crashed := make(chan struct{})
	wait := l.run(8, func(w *worker) { w.until(t, crashed) })
	l.reach(t, 300)
	all := backends[0].Name + "," + backends[1].Name + "," + backends[2].Name
	must(t, g, "bucket", "set", "photos", "--replica-set", all, "--name", backends[2].Name+"=photos")
	l.reach(t, l.ops.Load()+100)
	close(crashed) // nobody begins anything new; what is under way meets the crash
	g.Kill()
	wait()
	g.Start(t)
	wait = l.run(8, func(w *worker) { w.until(t, end) })
	harness.Eventually(t, "the third backend serves", func() error {
		if shown := must(t, g, "bucket", "show", "photos"); strings.Contains(shown, "filling") || strings.Count(shown, "present") != 3 {
			return fmt.Errorf("%s", shown)
		}
		return nil
	})
	l.reach(t, l.ops.Load()+200)
	close(end)
	wait()
	l.verdict(t)
	l.explain(t, g)
	floor(t, "writes acknowledged", l.acked.Load(), 300)
	g.Converge(t)
	held := harness.RequireEqual(t, g, "photos", backends...)
	still := 0
	for name, o := range held {
		if strings.HasPrefix(name, "still/") {
			still++
			if o.Sum != sha256.Sum256([]byte(name)) {
				t.Errorf("%s holds other bytes", name)
			}
			delete(held, name)
		}
	}
	if still != 400 {
		t.Errorf("%d of the 400 keys that nobody wrote to are there", still)
	}
	harness.RequireModel(t, "the replicas", held, l.keys)
	// It holds what clients are shown, by itself.
	backends[0].Kill()
	backends[1].Kill()
	for _, name := range []string{"still/000", "still/399"} {
		if a, err := g.Client.Do(t.Context(), "GET", "photos", name, "", nil); err != nil || a.Status != 200 || string(a.Body) != name {
			t.Errorf("from the third alone: %v, %v", a, err)
		}
	}
}
