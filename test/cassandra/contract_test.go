//go:build cassandra

package cassandra

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/auth/authtest"
	"github.com/s3mirror/s3mirror/internal/document"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/oplog/oplogtest"
)

var quiet = slog.New(slog.DiscardHandler)

// All tests share one node; those that kill it come last.
func TestCassandra(t *testing.T) {
	n := startNode(t)
	t.Run("Migrate", func(t *testing.T) { testMigrate(t, n) })
	t.Run("Contract", func(t *testing.T) { testContract(t, n) })
	t.Run("Users", func(t *testing.T) { testUsers(t, n) })
	t.Run("OpenOutcome", func(t *testing.T) { testOpenOutcome(t, n) })
	t.Run("Gateways", func(t *testing.T) { testGateways(t, n) })
	t.Run("Rounds", func(t *testing.T) { testRounds(t, n) })
	t.Run("Gateway", func(t *testing.T) { testGateway(t, n) })
}

// kinds are all that any test makes documents of.
var kinds = []oplog.DocKind{
	oplog.DocBucket, oplog.DocGeneration, oplog.DocNode, oplog.DocUser, oplog.DocAccessKey, oplog.DocSession, oplog.DocSigners,
	oplog.DocBackend, oplog.DocShare, oplog.DocUpload,
}

// empty drops everything through the log itself: many times faster than TRUNCATE,
// and what it leaves behind the next check would stumble over. Parts stay: no
// upload's id comes back.
func empty(t *testing.T, log oplog.Log) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(8)
	for shard := range oplog.Shards {
		group.Go(func() error {
			for at := oplog.Cursor(""); ; {
				page, next, err := log.Due(ctx, shard, at, 100)
				if err != nil {
					return err
				}
				for _, kr := range page {
					if err := log.Swap(ctx, kr.Key, kr.Row.Epoch, nil); err != nil {
						return err
					}
				}
				if at = next; at == "" {
					return nil
				}
			}
		})
	}
	for _, kind := range kinds {
		group.Go(func() error {
			docs, err := log.Docs(ctx, kind, "", 1000)
			if first, readErr := log.Doc(ctx, kind, ""); readErr == nil { // no page begins before it
				docs = append(docs, first)
			}
			for _, doc := range docs {
				err = errors.Join(err, log.SwapDoc(ctx, doc.Epoch, oplog.Doc{Kind: kind, Name: doc.Name}))
			}
			return err
		})
	}
	group.Go(func() error { return log.Expire(ctx, time.Now().AddDate(100, 0, 0)) })
	if err := group.Wait(); err != nil {
		t.Fatalf("empty the log: %v", err)
	}
}

// testContract runs the suite; each promise gets the same tables, emptied.
func testContract(t *testing.T, n *node) {
	n.migrate(t, "contract")
	cleaner := n.open(t, "contract")
	defer cleaner.Close()
	oplogtest.Run(t, oplogtest.Tolerance{Repeats: true}, func(t *testing.T) oplogtest.Harness {
		empty(t, cleaner)
		return oplogtest.Harness{
			Log:    n.open(t, "contract"),
			Reopen: func(t *testing.T) oplog.Log { return n.open(t, "contract") },
		}
	})
	empty(t, cleaner)
	for _, table := range []string{"key_row", "document", "mark", "history"} {
		if left := n.count(t, "SELECT COUNT(*) FROM contract."+table); left != 0 && table != "mark" || left > 50 {
			t.Errorf("%d records are left in %s after everything was dropped", left, table)
		}
	}
}

// testUsers runs the suite of those who keep users.
func testUsers(t *testing.T, n *node) {
	n.migrate(t, "users")
	cleaner := n.open(t, "users")
	defer cleaner.Close()
	authtest.Run(t, func(t *testing.T) authtest.Harness {
		empty(t, cleaner)
		open := func() auth.Store {
			log := n.open(t, "users")
			t.Cleanup(func() { _ = log.Close() })
			return document.NewStore(log)
		}
		return authtest.Harness{Store: open(), Reopen: func(*testing.T) auth.Store { return open() }}
	})
}
