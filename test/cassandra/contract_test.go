//go:build cassandra

package cassandra

import (
	"log/slog"
	"testing"

	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/oplog/oplogtest"
)

var quiet = slog.New(slog.DiscardHandler)

// tables hold the log's data.
var tables = []string{"key_row", "document", "mark", "mark_space", "mark_shard", "part", "history", "history_bucket", "history_hour"}

func TestCassandra(t *testing.T) {
	n := startNode(t)
	t.Run("Contract", func(t *testing.T) { testContract(t, n) })
}

// testContract runs the suite; each promise gets the same tables, emptied.
func testContract(t *testing.T, n *node) {
	n.migrate(t, "contract")
	session, err := n.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	oplogtest.Run(t, oplogtest.Tolerance{Repeats: true}, func(t *testing.T) oplogtest.Harness {
		for _, table := range tables {
			var any int64
			name := "contract." + table
			if err := session.Query("SELECT COUNT(*) FROM " + name + " LIMIT 1").Scan(&any); err != nil {
				t.Fatal(err)
			}
			if any > 0 {
				if err := session.Query("TRUNCATE " + name).Exec(); err != nil {
					t.Fatal(err)
				}
			}
		}
		return oplogtest.Harness{
			Log:    n.open(t, "contract"),
			Reopen: func(t *testing.T) oplog.Log { return n.open(t, "contract") },
		}
	})
}
