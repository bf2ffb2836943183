// Package ring runs a real Apache Cassandra for tests: one node or several on
// loopback, which it starts itself (cassandra.sh). Node I listens on 127.0.0.I.
package ring

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/s3mirror/s3mirror/internal/cassandra"
	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// User and Password may do everything.
const (
	User     = "s3mirror"
	Password = "correct horse"
)

// Options of a ring.
type Options struct {
	Nodes int  // 1 to 9; node I is on 127.0.0.I
	TLS   bool // clients speak TLS and show a certificate
	Heap  string
	JMX   bool // Nodetool may be called
}

// Ring is a cluster. Its processes end with the test that started it.
type Ring struct {
	Port  int
	Nodes int
	Files *Files // of TLS; nil: none

	t           testing.TB
	storagePort int
	jmxPort     int // of node 0; 0: none
	dir, heap   string
	processes   []*harness.Process
}

// Start runs a fresh cluster and returns when every node answers and sees the
// others. It skips the test, loudly, where there is no Java or Maven.
func Start(t testing.TB, o Options) *Ring {
	t.Helper()
	if _, err := os.Stat(filepath.Join(harness.Root(), ".tools/cassandra/.stamp")); err != nil {
		harness.Lacking(t, "a real Cassandra", "test/cassandra/cassandra.sh install, which wants a JDK 17 and Maven")
	}
	r := &Ring{
		t: t, Nodes: o.Nodes, Port: freePort(t), storagePort: freePort(t), dir: t.TempDir(), heap: o.Heap,
		processes: make([]*harness.Process, o.Nodes),
	}
	if o.TLS {
		r.Files = newFiles(t, o.Nodes)
	}
	if o.JMX {
		r.jmxPort = freePort(t)
	}
	for i := range o.Nodes {
		r.Launch(i)
	}
	r.Await(t)
	r.prepare(t)
	return r
}

func freePort(t testing.TB) int {
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

// Address is where node i, from 0, listens.
func (r *Ring) Address(i int) string { return fmt.Sprintf("127.0.0.%d", i+1) }

// Hosts are the addresses of all nodes.
func (r *Ring) Hosts() (all []string) {
	for i := range r.Nodes {
		all = append(all, r.Address(i))
	}
	return all
}

// Process is node i's.
func (r *Ring) Process(i int) *harness.Process { return r.processes[i] }

// SeenDown is how often the other nodes have noticed that node i was gone.
func (r *Ring) SeenDown(i int) (n int) {
	for j, p := range r.processes {
		for line := range strings.Lines(p.Output()) {
			if j != i && strings.Contains(line, "/"+r.Address(i)+":") && strings.Contains(line, "is now DOWN") {
				n++
			}
		}
	}
	return n
}

// Dir is where node i keeps its files.
func (r *Ring) Dir(i int) string { return filepath.Join(r.dir, strconv.Itoa(i+1)) }

// Nodetool runs Cassandra's own command for node i of a ring with Options.JMX, and returns
// what it says.
func (r *Ring) Nodetool(t testing.TB, i int, args ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(harness.Root(), "test/cassandra/cassandra.sh"), append([]string{"nodetool", r.Dir(i)}, args...)...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("CASS_JMX_PORT=%d", r.jmxPort+i))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("nodetool %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// Launch runs node i, again after it was killed, and waits for nothing.
func (r *Ring) Launch(i int) {
	r.t.Helper()
	cmd := exec.Command(filepath.Join(harness.Root(), "test/cassandra/cassandra.sh"), "run",
		r.Dir(i), strconv.Itoa(i+1), strconv.Itoa(r.Nodes))
	cmd.Env = append(os.Environ(), fmt.Sprintf("CASS_PORT=%d", r.Port), fmt.Sprintf("CASS_STORAGE_PORT=%d", r.storagePort))
	if r.jmxPort != 0 {
		cmd.Env = append(cmd.Env, fmt.Sprintf("CASS_JMX_PORT=%d", r.jmxPort+i))
	}
	if r.heap != "" {
		cmd.Env = append(cmd.Env, "CASS_HEAP="+r.heap)
	}
	if r.Files != nil {
		cmd.Env = append(cmd.Env, "CASS_KEYSTORE="+r.Files.nodes[i], "CASS_TRUSTSTORE="+r.Files.CA)
	}
	r.processes[i] = harness.Start(r.t, fmt.Sprintf("Cassandra %d", i+1), cmd)
}

// Await waits until every node that runs takes us in and sees all others that do.
func (r *Ring) Await(t testing.TB) {
	t.Helper()
	for i, p := range r.processes {
		harness.Eventually(t, p.Name+" answers", func() error {
			if !p.Running() {
				t.Fatalf("%s ended:\n%s", p.Name, p.Output())
			}
			if err := r.seesAll(i); err != nil {
				return err
			}
			session, err := r.connect(i, "cassandra", "cassandra")
			if err != nil && r.Nodes > 1 {
				session, err = r.connect(i, User, Password)
			}
			if err == nil {
				session.Close()
			}
			return err
		})
	}
}

// seesAll tells whether node i last said of each other node that it is up.
func (r *Ring) seesAll(i int) error {
	said := r.processes[i].Output()
	for k := range r.Nodes {
		if k == i {
			continue
		}
		all := regexp.MustCompile(fmt.Sprintf(`/127\.0\.0\.%d:%d (?:is now|has restarted, now) (UP|DOWN)`, k+1, r.storagePort)).FindAllStringSubmatch(said, -1)
		if len(all) == 0 || all[len(all)-1][1] != "UP" {
			return fmt.Errorf("node %d does not see node %d", i+1, k+1)
		}
	}
	return nil
}

// prepare makes a user whose record every node has: who has one node's alone cannot
// log in when that one is away.
func (r *Ring) prepare(t testing.TB) {
	t.Helper()
	harness.Eventually(t, "a user is made", func() error {
		session, err := r.connect(0, "cassandra", "cassandra")
		if err != nil {
			return err
		}
		defer session.Close()
		for _, stmt := range []string{
			fmt.Sprintf("ALTER KEYSPACE system_auth WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': %d}", r.Nodes),
			fmt.Sprintf("CREATE ROLE IF NOT EXISTS %s WITH SUPERUSER = true AND LOGIN = true AND PASSWORD = '%s'", User, Password),
		} {
			err = errors.Join(err, session.Query(stmt).Exec())
		}
		return errors.Join(err, session.AwaitSchemaAgreement(context.Background()))
	})
}

// connect opens a session by way of node i.
func (r *Ring) connect(i int, user, password string) (*gocql.Session, error) {
	conn, err := net.Dial("tcp", net.JoinHostPort(r.Address(i), strconv.Itoa(r.Port)))
	if err != nil {
		return nil, err
	}
	conn.Close()
	cluster := gocql.NewCluster(r.Address(i))
	cluster.Port, cluster.ProtoVersion = r.Port, 5
	cluster.HostFilter = gocql.WhiteListHostFilter(r.Address(i))
	cluster.Authenticator = gocql.PasswordAuthenticator{Username: user, Password: password}
	if r.Files != nil {
		cluster.SslOpts = &gocql.SslOptions{CaPath: r.Files.CA, CertPath: r.Files.Cert, KeyPath: r.Files.Key, EnableHostVerification: true}
	}
	return cluster.CreateSession()
}

// Session is one by way of node i that ends with the test.
func (r *Ring) Session(t testing.TB, i int) *gocql.Session {
	t.Helper()
	session, err := r.connect(i, User, Password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	return session
}

// Log opens the log in a keyspace, past every gateway. The caller closes it.
func (r *Ring) Log(ctx context.Context, keyspace string) (*cassandra.Log, error) {
	o := cassandra.Options{
		Hosts: r.Hosts(), Port: r.Port, Datacenter: "datacenter1", Keyspace: keyspace,
		Username: User, Password: Password, ReplicationFactor: min(3, r.Nodes), Logger: slog.New(slog.DiscardHandler),
	}
	if r.Files != nil {
		own, err := tls.LoadX509KeyPair(r.Files.Cert, r.Files.Key)
		if err != nil {
			return nil, err
		}
		ca, err := os.ReadFile(r.Files.CA)
		if err != nil {
			return nil, err
		}
		o.TLS = &tls.Config{Certificates: []tls.Certificate{own}, RootCAs: x509.NewCertPool()}
		o.TLS.RootCAs.AppendCertsFromPEM(ca)
	}
	return cassandra.Open(ctx, o)
}

// Section is the log's section of a gateway's configuration, with as many copies
// as there are nodes, at most three.
func (r *Ring) Section(keyspace string) string { return r.SectionAt(keyspace, r.Port) }

// SectionAt is Section for a gateway that reaches every node at another port.
func (r *Ring) SectionAt(keyspace string, port int) string {
	hosts := ""
	for _, h := range r.Hosts() {
		hosts += h + ", "
	}
	secure := ""
	if r.Files != nil {
		secure = fmt.Sprintf(", tls: {ca_file: %s, cert: %s, key: %s}", r.Files.CA, r.Files.Cert, r.Files.Key)
	}
	return fmt.Sprintf("engine: cassandra, cassandra: {hosts: [%s], port: %d, keyspace: %s, username: %s, password: %s, replication_factor: %d%s}",
		hosts, port, keyspace, User, Password, min(3, r.Nodes), secure)
}
