package main

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/cassandra"
	"github.com/s3mirror/s3mirror/internal/pebble"
)

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
