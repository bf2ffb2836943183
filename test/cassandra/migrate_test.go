//go:build cassandra

package cassandra

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/s3mirror/s3mirror/internal/cassandra"
)

// testMigrate wants a schema that is missing, older or later to be told, and one
// that is right to be left alone.
func testMigrate(t *testing.T, n *node) {
	ctx, session := context.Background(), n.session(t)
	wantNone := func(t *testing.T, o cassandra.Options, want error, text string) {
		t.Helper()
		log, err := cassandra.Open(ctx, o)
		if err == nil {
			_ = log.Close()
		}
		if !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want %v that says %q", err, want, text)
		}
	}
	exec := func(t *testing.T, stmt string) {
		t.Helper()
		if err := session.Query(stmt).Exec(); err != nil {
			t.Fatalf("%s: %v", stmt, err)
		}
	}

	t.Run("a missing schema is refused, and made", func(t *testing.T) {
		o := n.options("missing")
		wantNone(t, o, cassandra.ErrSchema, "s3mirror migrate")
		exec(t, "CREATE KEYSPACE missing WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}")
		wantNone(t, o, cassandra.ErrSchema, "s3mirror migrate")
		for range 2 {
			n.migrate(t, "missing")
			if err := n.open(t, "missing").Close(); err != nil {
				t.Fatal(err)
			}
		}
		exec(t, "DELETE FROM missing.migration WHERE kind = 'schema' AND name = 'steps'")
		wantNone(t, o, cassandra.ErrSchema, "s3mirror migrate")
		n.migrate(t, "missing") // every statement can be repeated
		exec(t, "UPDATE missing.migration SET body = textAsBlob('{\"steps\":[{\"name\":\"999_later.cql\"}]}') WHERE kind = 'schema' AND name = 'steps'")
		wantNone(t, o, cassandra.ErrSchema, "different versions")
		if err := cassandra.Migrate(ctx, o, func(string) {}); !errors.Is(err, cassandra.ErrSchema) {
			t.Errorf("migrate over another version: %v, want ErrSchema", err)
		}
	})

	t.Run("several at once", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if err := cassandra.Migrate(ctx, n.options("atonce"), func(string) {}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if err := n.open(t, "atonce").Close(); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("what does not fit is refused in words", func(t *testing.T) {
		three := n.options("fit")
		three.ReplicationFactor = 3 // Cassandra itself would take it, on one node
		if err := cassandra.Migrate(ctx, three, func(string) {}); !errors.Is(err, cassandra.ErrUnsuitable) || !strings.Contains(err.Error(), "has 1 nodes") {
			t.Errorf("three copies on one node: %v", err)
		}
		elsewhere := n.options("fit")
		elsewhere.Datacenter = "elsewhere"
		wantNone(t, elsewhere, cassandra.ErrUnsuitable, `there is ["datacenter1"]`)
		exec(t, "CREATE KEYSPACE simple WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
		wantNone(t, n.options("simple"), cassandra.ErrUnsuitable, "NetworkTopologyStrategy")
		wrong := n.options("fit")
		wrong.Password = "wrong"
		wantNone(t, wrong, cassandra.ErrUnreachable, "check username and password")
	})
}
