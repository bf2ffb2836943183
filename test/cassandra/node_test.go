//go:build cassandra

package cassandra

import (
	"context"
	"os"
	"testing"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/s3mirror/s3mirror/internal/cassandra"
	"github.com/s3mirror/s3mirror/test/cassandra/ring"
	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// node is a Cassandra of one node on ports of its own.
type node struct {
	*ring.Ring
	port    int
	process *harness.Process
}

// startNode runs a fresh node and returns when it answers.
func startNode(t *testing.T) *node {
	t.Helper()
	r := ring.Start(t, ring.Options{Nodes: 1})
	return &node{Ring: r, port: r.Port, process: r.Process(0)}
}

// start runs the process again after it was killed, and waits for nothing.
func (n *node) start() {
	n.Launch(0)
	n.process = n.Process(0)
}

func (n *node) await(t *testing.T) { n.Await(t) }

// session is a session that ends with the test.
func (n *node) session(t *testing.T) *gocql.Session { return n.Session(t, 0) }

// options are those of a log in a keyspace of its own.
func (n *node) options(keyspace string) cassandra.Options {
	return cassandra.Options{
		Hosts: []string{"127.0.0.1"}, Port: n.port, Datacenter: "datacenter1", Keyspace: keyspace,
		Username: "cassandra", Password: "cassandra", ReplicationFactor: 1, Logger: quiet,
	}
}

func (n *node) migrate(t *testing.T, keyspace string) {
	t.Helper()
	if err := cassandra.Migrate(context.Background(), n.options(keyspace), func(s string) { t.Log(s) }); err != nil {
		t.Fatalf("migrate: %v", err)
	}
}

func (n *node) open(t *testing.T, keyspace string) *cassandra.Log {
	t.Helper()
	log, err := cassandra.Open(context.Background(), n.options(keyspace))
	if err != nil {
		t.Fatal(err)
	}
	return log
}
