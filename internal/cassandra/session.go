package cassandra

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// Errors of Open and Migrate.
var (
	// ErrUnreachable: no node of the cluster takes us in.
	ErrUnreachable = errors.New("cluster of Cassandra cannot be reached")
	// ErrRefused wraps ErrUnreachable: a node answers, and does not let us in, or we not it.
	ErrRefused = fmt.Errorf("%w: it refuses", ErrUnreachable)
	// ErrUnsuitable: the cluster, or the keyspace, cannot keep the log's promises.
	ErrUnsuitable = errors.New("cluster of Cassandra is not fit to hold the log")
	// ErrSchema: the schema is not the one of this version of the program.
	ErrSchema = errors.New("schema in Cassandra is not the one of this version")
)

// Options say where the cluster is. Hosts, Datacenter, Keyspace and
// ReplicationFactor are required.
type Options struct {
	Hosts             []string // names or addresses of some nodes; the others are found through them
	Port              int      // of every node, whatever nodes say of each other's. 9042
	Datacenter        string   // the one whose nodes are asked
	Keyspace          string   // lower case letters, digits and _
	Username          string   // empty: none is given
	Password          string
	ReplicationFactor int // copies of the log in the datacenter
	Logger            *slog.Logger

	// Datacenters are the copies in other datacenters, by their names.
	Datacenters map[string]int
	// LocalSerial has the datacenter's nodes alone vote. It is safe while every
	// gateway asks the same datacenter.
	LocalSerial bool
	// TLS to every node; nil: none. Its ServerName, if it has one, is what the
	// certificate of every node must name; else each must name the node's address.
	TLS *tls.Config

	// Now is the clock by which marks and history have their slots of time. nil: the
	// wall clock. It is for tests of what takes hours.
	Now func() time.Time
}

// Time limits. The driver's own lies above what the server takes at most, so that
// the server's answer comes first; suitable sees to it.
const (
	statementTimeout = 6 * time.Second
	connectTimeout   = 5 * time.Second
	serverMargin     = time.Second // by which statementTimeout is above the server's limits
)

// Open connects to the log. The caller closes it. ErrUnreachable, ErrUnsuitable,
// ErrSchema.
func Open(ctx context.Context, o Options) (*Log, error) {
	o.Logger = cmp.Or(o.Logger, slog.Default())
	session, err := connect(o, statementTimeout)
	if err != nil {
		return nil, err
	}
	c := newCQL(session, o)
	if err := c.check(ctx, o); err != nil {
		session.Close()
		return nil, err
	}
	return newLog(c, o.Logger, o.Now), nil
}

func newCQL(session *gocql.Session, o Options) *cql {
	return &cql{session: session, levels: levelsOf(o), keyspace: o.Keyspace, timeout: statementTimeout}
}

// Report is what Inspect found.
type Report struct {
	Faults   []string // for which the cluster cannot hold the log
	Warnings []string // what an operator should know
}

// Inspect looks at the cluster as Open does, and at the clocks of its nodes.
// Whether the schema is there is no question of its. ErrUnreachable; ErrUnsuitable
// when it cannot even be looked at.
func Inspect(ctx context.Context, o Options) (Report, error) {
	o.Logger = cmp.Or(o.Logger, slog.Default())
	session, err := connect(o, statementTimeout)
	if err != nil {
		return Report{}, err
	}
	c := newCQL(session, o)
	defer c.close()
	seen, err := c.look(ctx)
	if err != nil {
		return Report{}, err
	}
	c.lookAtClocks(ctx, &seen)
	return Report{Faults: append(seen.faults(o), seen.judgeClocks()...), Warnings: seen.warnings(o)}, nil
}

// check looks whether cluster, keyspace and schema are right.
func (c *cql) check(ctx context.Context, o Options) error {
	seen, err := c.look(ctx)
	if err != nil {
		return err
	}
	if err := seen.judge(o); err != nil {
		return err
	}
	c.lookAtClocks(ctx, &seen)
	// A node whose clock is wrong makes rounds slow, and loses nothing.
	for _, w := range append(seen.warnings(o), seen.judgeClocks()...) {
		o.Logger.WarnContext(ctx, "cluster of Cassandra has a weakness", "todo", w)
	}
	return c.checkSchema(ctx, seen)
}

// connect opens a session whose statements may take as long as limit. It is bounded
// by connectTimeout for each host.
func connect(o Options, limit time.Duration) (*gocql.Session, error) {
	cluster := gocql.NewCluster(o.Hosts...)
	cluster.Port = cmp.Or(o.Port, 9042)
	// Nodes name each other's ports. Ours may be other ones: of a forwarder before each.
	cluster.AddressTranslator = gocql.AddressTranslatorFunc(func(addr net.IP, _ int) (net.IP, int) { return addr, cluster.Port })
	cluster.ProtoVersion = 5
	cluster.Timeout, cluster.ConnectTimeout = limit, connectTimeout
	levels := levelsOf(o)
	cluster.Consistency, cluster.SerialConsistency = levels.quorum, levels.serial
	cluster.RetryPolicy, cluster.DefaultIdempotence = nil, false // see conditional and plain
	cluster.NumConns = 2
	// A node that is down is looked for every second; the default of a minute would be
	// an outage of a minute for nothing.
	cluster.ReconnectInterval = time.Second
	cluster.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 1, Interval: time.Second}
	cluster.MaxWaitSchemaAgreement = schemaTimeout
	cluster.Metadata.CacheMode = gocql.KeyspaceOnly
	// All compare-and-sets of a row go to the same replica first: two coordinators
	// would contend.
	cluster.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(gocql.DCAwareRoundRobinPolicy(o.Datacenter), gocql.DoNotShuffleReplicas())
	cluster.Logger = driverLog{o.Logger}
	if o.Username != "" {
		cluster.Authenticator = gocql.PasswordAuthenticator{Username: o.Username, Password: o.Password}
	}
	if o.TLS != nil {
		cluster.SslOpts = &gocql.SslOptions{Config: o.TLS}
	}
	session, err := cluster.CreateSession()
	if err != nil {
		todo, kind := advice(err)
		return nil, fmt.Errorf("%w at %s, port %d: %s: %w", kind, strings.Join(o.Hosts, ", "), cluster.Port, todo, err)
	}
	return session, nil
}

// advice says what a person has to do about an error of the first contact. The
// driver gives most of them as text only.
func advice(err error) (todo string, kind error) {
	text := err.Error()
	switch {
	case strings.Contains(text, "tls: ") || strings.Contains(text, "x509: "):
		return "check the tls section: authority, certificate and server_name", ErrRefused
	case strings.Contains(text, "username") || strings.Contains(text, "authenticat"):
		return "check username and password", ErrRefused
	case strings.Contains(text, "protocol version"):
		return "it wants to be Apache Cassandra 4.1.6 or later", ErrRefused
	}
	return "is it running, and are hosts and port right?", ErrUnreachable
}

// driverLog hands the driver's own messages to slog, all but its errors at debug:
// a node that is away is told once a second, and what it means for us our callers
// say.
type driverLog struct{ logger *slog.Logger }

func (l driverLog) log(level slog.Level, msg string, fields []gocql.LogField) {
	if !l.logger.Enabled(context.Background(), level) {
		return
	}
	attrs := []any{"says", msg}
	for _, f := range fields {
		attrs = append(attrs, f.Name, f.Value.String())
	}
	l.logger.Log(context.Background(), level, "driver of Cassandra", attrs...)
}

func (l driverLog) Error(msg string, f ...gocql.LogField)   { l.log(slog.LevelWarn, msg, f) }
func (l driverLog) Warning(msg string, f ...gocql.LogField) { l.log(slog.LevelDebug, msg, f) }
func (l driverLog) Info(msg string, f ...gocql.LogField)    { l.log(slog.LevelDebug, msg, f) }
func (l driverLog) Debug(msg string, f ...gocql.LogField)   { l.log(slog.LevelDebug, msg, f) }
