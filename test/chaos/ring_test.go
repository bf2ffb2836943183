//go:build chaos

package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/test/cassandra/ring"
	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// testCheckConfig: what is wrong with a cluster, or with our way to it, is told in
// words by check-config, and migrate refuses it too.
func testCheckConfig(t *testing.T, r *ring.Ring) {
	stranger, fit := ring.Stranger(t), r.Section("words")
	for name, c := range map[string]struct {
		spoil [2]string // of the section: what is replaced, by what
		want  string
		code  int
	}{
		"fit":               {[2]string{}, "ok, ", 0},
		"no TLS":            {[2]string{", tls: {", ", x: {"}, "NOT LOOKED AT", 0},
		"another authority": {[2]string{"ca_file: " + r.Files.CA, "ca_file: " + stranger.CA}, "check the tls section", 2},
		"another name":      {[2]string{"tls: {", "tls: {server_name: elsewhere, "}, "check the tls section", 2},
		"no certificate":    {[2]string{fmt.Sprintf(", cert: %s, key: %s", r.Files.Cert, r.Files.Key), ""}, "log.cassandra: ", 2},
		"wrong password":    {[2]string{"password: " + ring.Password, "password: wrong"}, "check username and password", 2},
		"datacenter":        {[2]string{"replication_factor: 3", "replication_factor: 3, datacenter: dc9"}, `no datacenter "dc9"`, 2},
		"too many copies":   {[2]string{"replication_factor: 3", "replication_factor: 4"}, "has 3 nodes", 2},
		"other datacenter":  {[2]string{"replication_factor: 3", "replication_factor: 3, datacenters: {dc2: 1}"}, `no datacenter "dc2"`, 2},
		"two copies":        {[2]string{"replication_factor: 3", "replication_factor: 2"}, "warning: log.cassandra: replication_factor is 2", 0},
	} {
		section := strings.Replace(fit, c.spoil[0], c.spoil[1], 1)
		if name == "no TLS" {
			section = fit[:strings.Index(fit, ", tls: {")] + "}"
		}
		g := harness.NewGateway(t, harness.StartMemories(t, 1), harness.Options{Log: section})
		code, stdout, stderr := g.CLI(t, "check-config", "--config", g.Config)
		if code != c.code || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("%s: exit %d, want %d and %q\n%s%s", name, code, c.code, c.want, stdout, stderr)
		}
		if code, _, stderr := g.CLI(t, "check-config", "--offline", "--config", g.Config); code != 0 {
			t.Errorf("%s, offline: exit %d\n%s", name, code, stderr)
		}
		if c.code != 0 {
			if code, stdout, _ := g.CLI(t, "migrate", "--config", g.Config); code != 1 || strings.Contains(stdout, "001_log") {
				t.Errorf("%s: migrate: exit %d\n%s", name, code, stdout)
			}
		}
	}
}

// testMove moves a node with an embedded log, keys that lag on a backend that is
// away, a user and an upload under way, into the cluster; there it goes on, heals
// what lagged, and knows the user. Then back.
func testMove(t *testing.T, r *ring.Ring) {
	ctx := t.Context()
	backends := harness.StartMemories(t, 2)
	old := harness.StartGateway(t, backends, harness.Options{})
	must := func(a wire.Answer, err error) wire.Answer {
		t.Helper()
		if err != nil || a.Status >= 300 {
			t.Fatalf("%v, %v", a, err)
		}
		return a
	}
	cli := func(g *harness.Gateway, want int, args ...string) string {
		t.Helper()
		code, stdout, stderr := g.CLI(t, args...)
		if code != want {
			t.Fatalf("%s: exit %d, want %d\n%s%s", strings.Join(args, " "), code, want, stdout, stderr)
		}
		return stdout + stderr
	}
	must(old.Client.Do(ctx, "PUT", bucket, "", "", nil))
	var keys []*harness.Key
	rnd := rand.New(rand.NewPCG(1, 2))
	put := func(g *harness.Gateway, name string) {
		t.Helper()
		w := harness.NewWrite(name, 5000, rnd)
		a := must(g.Client.Put(ctx, bucket, name, wire.Modes[0], w.Body, w.Fields...))
		w.ETag = harness.ETagOf(a)
		k := &harness.Key{Name: name}
		k.Wrote(w.Version, harness.Acked)
		keys = append(keys, k)
	}
	put(old, "whole")
	put(old, "gone")
	backends[1].Kill()
	for i := range 20 {
		put(old, fmt.Sprintf("lags/%02d", i))
	}
	must(old.Client.Delete(ctx, bucket, "gone"))
	keys[1].Wrote(harness.Version{Op: "delete"}, harness.Acked)
	cli(old, 0, "user", "create", "anna", "--scopes", "read")
	secret := cli(old, 0, "key", "create", "anna", "--output", "json")
	file := filepath.Join(t.TempDir(), "log.archive")
	if out := cli(old, 1, "log", "export", file, "--config", old.Config); !strings.Contains(out, "stop the node first") {
		t.Error(out)
	}
	const whole = `"whole"`
	told := func(g *harness.Gateway) string {
		return cli(g, 0, "history", "--bucket", bucket, "--prefix", "whole", "--output", "json")
	}
	harness.Eventually(t, "the history is written", func() error { // it is a moment behind
		if out := told(old); !strings.Contains(out, whole) {
			return errors.New(out)
		}
		return nil
	})
	put(old, "last") // and on the disk with the next write that is synced
	old.Kill()       // what it had under way moves as well

	cli(old, 0, "log", "export", file, "--config", old.Config)
	if out := cli(old, 1, "serve", "--config", old.Config); !strings.Contains(out, "moved elsewhere") {
		t.Error(out)
	}
	next := harness.NewGateway(t, backends, harness.Options{Log: r.Section("moved"), Sibling: old, DataDir: t.TempDir()})
	cli(next, 0, "migrate", "--config", next.Config)
	cli(next, 0, "log", "import", file, "--config", next.Config)
	if out := cli(next, 1, "log", "import", file, "--config", next.Config); !strings.Contains(out, "not empty") {
		t.Error(out)
	}
	next.Start(t)
	if out := cli(next, 0, "user", "list"); !strings.Contains(out, "anna") {
		t.Error(out)
	}
	if s := next.Status(t); s.Lagging.Keys < 21 {
		t.Errorf("%d keys lag after the move, want 21", s.Lagging.Keys)
	}
	if out := told(next); !strings.Contains(out, whole) {
		t.Errorf("history did not move:\n%s", out)
	}
	put(next, "later")
	backends[1].Start(t)
	next.Converge(t)
	harness.RequireModel(t, "the backends", harness.RequireEqual(t, next, bucket, backends...), keys)
	anna := harness.NewClient(next.S3Addr, keysOf(t, secret))
	if a, err := anna.Get(ctx, bucket, "later"); err != nil || a.Status != 200 {
		t.Errorf("a user's key after the move: %v, %v", a, err)
	}
	if a, err := anna.Put(ctx, bucket, "x", wire.Modes[0], nil); err != nil || a.Status != 403 {
		t.Errorf("a user who may read: PUT %v, %v", a, err)
	}

	// And back into an embedded log.
	if out := cli(next, 1, "log", "export", file+".2", "--config", next.Config); !strings.Contains(out, "in use") {
		t.Error(out)
	}
	next.Kill() // its lease stands in the log
	cli(next, 0, "log", "export", file+".2", "--config", next.Config)
	back := harness.NewGateway(t, backends, harness.Options{Sibling: old, DataDir: t.TempDir()})
	cli(back, 0, "log", "import", file+".2", "--config", back.Config)
	back.Start(t)
	back.Converge(t)
	held := harness.RequireEqual(t, back, bucket, backends...)
	harness.RequireModel(t, "the backends", held, keys)
}

// keysOf reads what `key create` printed.
func keysOf(t *testing.T, document string) wire.Keys {
	t.Helper()
	var key struct {
		Access string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
	}
	if err := json.Unmarshal([]byte(document), &key); err != nil || key.Secret == "" {
		t.Fatalf("key: %v\n%s", err, document)
	}
	return wire.Keys{Access: key.Access, Secret: key.Secret, Region: "us-east-1"}
}
