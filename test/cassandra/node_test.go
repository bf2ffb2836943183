//go:build cassandra

package cassandra

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/s3mirror/s3mirror/internal/cassandra"
	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// node is a Cassandra of one node on ports of its own.
type node struct {
	t                 *testing.T // whose end is the process's
	port, storagePort int
	dir               string
	process           *harness.Process
}

// startNode runs a fresh node and returns when it answers.
func startNode(t *testing.T) *node {
	t.Helper()
	if _, err := os.Stat(filepath.Join(harness.Root(), ".tools/cassandra/.stamp")); err != nil {
		harness.Lacking(t, "a real Cassandra", "test/cassandra/cassandra.sh install, which wants a JDK 17 and Maven")
	}
	n := &node{t: t, port: freePort(t), storagePort: freePort(t), dir: t.TempDir()}
	n.start()
	n.await(t)
	return n
}

func freePort(t *testing.T) int {
	t.Helper()
	_, port, err := net.SplitHostPort(harness.Addr(t))
	if err != nil {
		t.Fatal(err)
	}
	p, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// start runs the process, again after it was killed, and waits for nothing.
func (n *node) start() {
	n.t.Helper()
	cmd := exec.Command(filepath.Join(harness.Root(), "test/cassandra/cassandra.sh"), "run", n.dir, "1", "1")
	cmd.Env = append(os.Environ(), fmt.Sprintf("CASS_PORT=%d", n.port), fmt.Sprintf("CASS_STORAGE_PORT=%d", n.storagePort))
	n.process = harness.Start(n.t, "Cassandra", cmd)
}

// await waits until the node takes us in.
func (n *node) await(t *testing.T) {
	t.Helper()
	harness.Eventually(t, "Cassandra answers", func() error {
		if !n.process.Running() {
			t.Fatalf("Cassandra ended:\n%s", n.process.Output())
		}
		session, err := n.connect()
		if err == nil {
			session.Close()
		}
		return err
	})
}

// connect opens a session of the tests' own.
func (n *node) connect() (*gocql.Session, error) {
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port)))
	if err != nil {
		return nil, err
	}
	conn.Close()
	cluster := gocql.NewCluster("127.0.0.1")
	cluster.Port, cluster.ProtoVersion = n.port, 5
	cluster.Authenticator = gocql.PasswordAuthenticator{Username: "cassandra", Password: "cassandra"}
	return cluster.CreateSession()
}

// session is a session that ends with the test.
func (n *node) session(t *testing.T) *gocql.Session {
	t.Helper()
	session, err := n.connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	return session
}

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
