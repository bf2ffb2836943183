package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/cassandra"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/pebble"
)

func testLease(log oplog.Documents, name string) *lease {
	return newLease(log, name, 10*time.Second, slog.New(slog.DiscardHandler))
}

func nodesOf(t *testing.T, log oplog.Documents) string {
	t.Helper()
	docs, err := log.Docs(context.Background(), oplog.DocNode, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range docs {
		names = append(names, d.Name)
	}
	return strings.Join(names, " ")
}

// live runs a lease until the test ends it.
func live(l *lease) (stop context.CancelFunc, done chan error) {
	ctx, cancel := context.WithCancel(context.Background())
	done = make(chan error, 1)
	go func() { done <- l.run(ctx) }()
	return cancel, done
}

func TestTheFirstNodeWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, began := memory.NewLog(), time.Now()
		a := testLease(log, "a")
		if err := a.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		if time.Since(began) != 0 {
			t.Errorf("it waited %v", time.Since(began))
		}
		a.release(t.Context())
		if left := nodesOf(t, log); left != "" {
			t.Errorf("after the release there is %q", left)
		}
	})
}

func TestASecondNodeDoesNotServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memory.NewLog()
		a, b := testLease(log, "a"), testLease(log, "b")
		if err := a.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		stop, done := live(a)
		if err := b.take(t.Context()); !errors.Is(err, errOtherNode) || !strings.Contains(err.Error(), "(a)") {
			t.Errorf("got %v, want errOtherNode that names a", err)
		}
		b.release(t.Context())
		stop()
		if err := <-done; err != nil {
			t.Errorf("the first node ended: %v", err)
		}
		if left := nodesOf(t, log); left != "a" {
			t.Errorf("nodes %q, want a", left)
		}
	})
}

func TestTwoThatBeginAtOnceDoNotBothServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memory.NewLog()
		errs := make(chan error, 2)
		for _, name := range []string{"a", "b"} {
			go func() {
				l := testLease(log, name)
				err := l.take(t.Context())
				if err != nil {
					l.release(t.Context())
				} else {
					stop, _ := live(l)
					defer stop()
					time.Sleep(time.Minute) // of the bubble's clock
				}
				errs <- err
			}()
		}
		if first, second := <-errs, <-errs; first == nil && second == nil {
			t.Error("both serve")
		}
	})
}

func TestADeadNodeIsWaitedForAndRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memory.NewLog()
		a, b := testLease(log, "a"), testLease(log, "b")
		if err := a.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := b.take(t.Context()); err != nil { // a never renews
			t.Fatal(err)
		}
		if waited := time.Since(began); waited < 10*time.Second {
			t.Errorf("a was taken for dead after %v", waited)
		}
		if left := nodesOf(t, log); left != "b" {
			t.Errorf("nodes %q, want b", left)
		}
		_, done := live(a) // it was only asleep
		if err := <-done; !errors.Is(err, errTakenOver) {
			t.Errorf("the sleeper: got %v, want errTakenOver", err)
		}
		a.release(t.Context())
		if left := nodesOf(t, log); left != "b" {
			t.Errorf("the sleeper took %q away", left)
		}
	})
}

// The process before this one left its document: the folder's lock says that it
// is over.
func TestARestartWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, began := memory.NewLog(), time.Now()
		for range 3 {
			if err := testLease(log, "a").take(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if time.Since(began) != 0 {
			t.Errorf("it waited %v", time.Since(began))
		}
	})
}

// A log whose answers are lost, or that is away for a while, does not end a node.
func TestALeaseOutlivesFailuresOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var state atomic.Int32 // 0: well, 1: changes lose their answer, 2: away
		log := memory.NewLog()
		docs := &brittleDocs{Documents: log, state: &state}
		a := testLease(docs, "a")
		if err := a.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		stop, done := live(a)
		for _, s := range []int32{1, 2, 1, 0, 2, 0} {
			state.Store(s)
			time.Sleep(30 * time.Second) // of the bubble's clock
		}
		before := docEpoch(t, log, "a")
		time.Sleep(10 * time.Second)
		if docEpoch(t, log, "a") == before {
			t.Error("it is not renewed any more")
		}
		stop()
		if err := <-done; err != nil {
			t.Errorf("ended: %v", err)
		}
	})
}

func TestANodeThatCannotBeRegisteredDoesNotServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for s := int32(1); s <= 2; s++ {
			var state atomic.Int32
			state.Store(s)
			err := testLease(&brittleDocs{Documents: memory.NewLog(), state: &state, early: true}, "a").take(t.Context())
			if err == nil {
				t.Errorf("state %d: no error", s)
			}
		}
	})
}

func docEpoch(t *testing.T, log oplog.Documents, name string) oplog.Epoch {
	t.Helper()
	doc, err := log.Doc(context.Background(), oplog.DocNode, name)
	if err != nil {
		t.Fatal(err)
	}
	return doc.Epoch
}

// brittleDocs are documents of a log that fails as state says.
type brittleDocs struct {
	oplog.Documents
	state *atomic.Int32
	early bool // a change fails before it is made, not after
}

func (b *brittleDocs) Doc(ctx context.Context, kind oplog.DocKind, name string) (oplog.Doc, error) {
	if b.state.Load() == 2 {
		return oplog.Doc{}, errors.New("nobody is there")
	}
	return b.Documents.Doc(ctx, kind, name)
}

func (b *brittleDocs) SwapDoc(ctx context.Context, old oplog.Epoch, doc oplog.Doc) error {
	switch b.state.Load() {
	case 2:
		return oplog.NotApplied(errors.New("nobody is there"))
	case 1:
		if !b.early {
			if err := b.Documents.SwapDoc(ctx, old, doc); err != nil {
				return err
			}
		}
		return oplog.Unknown(errors.New("no answer"))
	}
	return b.Documents.SwapDoc(ctx, old, doc)
}

func TestNodeFile(t *testing.T) {
	dir := t.TempDir()
	first, err := nodeFile(dir)
	if err != nil || !strings.HasPrefix(first, "node-") {
		t.Fatalf("%q, %v", first, err)
	}
	if again, err := nodeFile(dir); err != nil || again != first {
		t.Errorf("%q, %v; want %q", again, err, first)
	}
	if err := os.WriteFile(filepath.Join(dir, "node"), []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if name, err := nodeFile(dir); err == nil {
		t.Errorf("an empty file is %q", name)
	}
	if _, err := nodeFile(filepath.Join(dir, "none")); err == nil {
		t.Error("a name was made where nothing can be kept")
	}
}

// The data folder belongs to one process, whatever the engine of its log.
func TestOwnFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	lock, err := ownFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ownFolder(dir); !errors.Is(err, pebble.ErrLocked) {
		t.Errorf("a second time: %v, want ErrLocked", err)
	}
	if _, err := pebble.Open(dir, pebble.Options{Logger: slog.New(slog.DiscardHandler)}); !errors.Is(err, pebble.ErrLocked) {
		t.Errorf("an embedded log in it: %v, want ErrLocked", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if lock, err = ownFolder(dir); err != nil {
		t.Fatal(err)
	}
	lock.Close()
	if _, err := ownFolder(filepath.Join(dir, "LOCK", "below")); err == nil {
		t.Error("a file is a folder")
	}
}

// cassandraFile is a configuration whose Cassandra is not there.
func cassandraFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "s3mirror.yaml")
	text := "data_dir: " + t.TempDir() + "\nlog: {engine: cassandra, cassandra: {hosts: [127.0.0.1], port: 1}}\n" +
		"backends:\n  - {name: eu-1, endpoint: \"http://127.0.0.1:1\", access_key_id: a, secret_access_key: s}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCommandsWithoutTheirCassandra(t *testing.T) {
	file := cassandraFile(t)
	for _, args := range [][]string{{"migrate"}, {"serve"}, {"serve", "--migrate"}} {
		var out, errs bytes.Buffer
		err := run(t.Context(), append(args, "--config", file), streams{out: &out, err: &errs}, environment())
		if !errors.Is(err, cassandra.ErrUnreachable) || exitCode(err) != exitFailed {
			t.Errorf("%v: %v, exit %d", args, err, exitCode(err))
		}
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"check-config", "--config", file}, streams{out: &out, err: &out}, environment()); err != nil {
		t.Errorf("check-config is not offline: %v", err)
	}
}

func TestMigrateHasNothingToDoForTheEmbeddedLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s3mirror.yaml")
	text := "backends:\n  - {name: eu-1, endpoint: \"http://h\", access_key_id: a, secret_access_key: s}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err := run(t.Context(), []string{"migrate", "--config", file}, streams{out: &out, err: &out}, environment())
	if err != nil || !strings.Contains(out.String(), "nothing to migrate") {
		t.Errorf("%v: %s", err, out.String())
	}
	if err := run(t.Context(), []string{"migrate"}, streams{out: &out, err: &out}, environment()); exitCode(err) != exitUsage {
		t.Errorf("without a configuration: %v", err)
	}
}

func TestCassandraPasswordFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	src := "log: {engine: cassandra, cassandra: {hosts: [h], username: u, password_file: \"" + file + "\", replication_factor: 5}}\n" +
		"backends:\n  - {name: eu-1, endpoint: \"http://h\", access_key_id: a, secret_access_key: s}\n"
	cfg, err := parseConfig("c.yaml", []byte(src), environment())
	if err != nil {
		t.Fatal(err)
	}
	o := cassandraOptions(cfg.Log.Cassandra, nil)
	if o.Password != "from file" || o.Username != "u" || o.Port != 9042 || o.Datacenter != "datacenter1" || o.Keyspace != "s3mirror" || o.ReplicationFactor != 5 {
		t.Errorf("options %+v", o)
	}
	if replicaOptions(parts{cfg: cfg, backends: &backends{}}).Exclusive {
		t.Error("a log that many can use is taken for one of one process")
	}
}
