package pebble

import (
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/oplog/oplogtest"
)

// quiet is options for tests: nothing is logged, and a fatal error fails the test.
func quiet(t testing.TB) Options {
	return Options{
		Logger:  slog.New(slog.DiscardHandler),
		OnFatal: func(err error) { t.Errorf("log died: %v", err) },
	}
}

func mustOpen(t testing.TB, dir string, o Options) *Log {
	t.Helper()
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestContract runs on the disk; in short mode on one in memory, because two
// thousand syncs take their time on a busy disk.
func TestContract(t *testing.T) {
	oplogtest.Run(t, oplogtest.Tolerance{}, func(t *testing.T) oplogtest.Harness {
		dir, o := t.TempDir(), quiet(t)
		if testing.Short() {
			dir, o.FS = "data", vfs.NewMem()
		}
		return oplogtest.Harness{
			Log:    mustOpen(t, dir, o),
			Reopen: func(t *testing.T) oplog.Log { return mustOpen(t, dir, o) },
		}
	})
}

// A tiny memtable makes every check meet flushes, compactions and new log files.
func TestContractWithTinyMemTable(t *testing.T) {
	oplogtest.Run(t, oplogtest.Tolerance{}, func(t *testing.T) oplogtest.Harness {
		o := quiet(t)
		o.FS, o.MemTableBytes = vfs.NewMem(), 16<<10
		return oplogtest.Harness{
			Log:    mustOpen(t, "data", o),
			Reopen: func(t *testing.T) oplog.Log { return mustOpen(t, "data", o) },
		}
	})
}
