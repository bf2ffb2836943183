package cassandra

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// sight is what a node tells of the cluster and of our keyspace.
type sight struct {
	versions    []string          // of all nodes that it knows, each once
	nodes       map[string]int    // by datacenter, down ones included
	settings    map[string]string // its own
	replication map[string]string // of the keyspace; nil: there is none
}

// look asks a node.
func (c *cql) look(ctx context.Context) (sight, error) {
	s := sight{nodes: map[string]int{}}
	for _, table := range []string{"system.local", "system.peers_v2"} {
		err := c.ask(ctx, "SELECT data_center, release_version FROM "+table, func(row gocql.Scanner) error {
			var dc, version string
			err := row.Scan(&dc, &version)
			s.nodes[dc]++
			if !slices.Contains(s.versions, version) {
				s.versions = append(s.versions, version)
			}
			return err
		})
		if err != nil {
			return s, fmt.Errorf("%w: it does not tell of its nodes; it wants to be Apache Cassandra 4.1.6 or later: %w", ErrUnsuitable, err)
		}
	}
	s.settings = map[string]string{}
	err := c.ask(ctx, "SELECT name, value FROM system_views.settings", func(row gocql.Scanner) error {
		var name string
		var value *string
		err := row.Scan(&name, &value)
		if value != nil {
			s.settings[name] = *value
		}
		return err
	})
	if err != nil {
		return s, fmt.Errorf("%w: it does not tell its settings (system_views.settings); it wants to be Apache Cassandra 4.1.6 or later, and our user to read them: %w", ErrUnsuitable, err)
	}
	err = c.ask(ctx, "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?", func(row gocql.Scanner) error {
		return row.Scan(&s.replication)
	}, c.keyspace)
	if err != nil {
		return s, fmt.Errorf("%w: keyspace %s cannot be looked at: %w", ErrUnsuitable, c.keyspace, err)
	}
	return s, nil
}

// ask runs a question about the cluster, which any node answers from its own
// tables.
func (c *cql) ask(ctx context.Context, stmt string, each func(gocql.Scanner) error, values ...any) error {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	rows := plain(c.session.Query(stmt, values...)).Consistency(gocql.One).IterContext(ctx).Scanner()
	for rows.Next() {
		if err := each(rows); err != nil {
			return errors.Join(err, rows.Err())
		}
	}
	return rows.Err()
}

// judge tells everything for which the cluster, or the keyspace if there is one,
// cannot hold the log. ErrUnsuitable.
func (s sight) judge(o Options) error {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }

	for _, v := range s.versions {
		if !supported(v) {
			fault("a node is version %s: want 4.1.6 or later, for earlier ones lose conditional writes when the ring changes", v)
		}
	}
	if variant := s.settings["paxos_variant"]; variant != "v2" {
		fault("paxos_variant is %q: set it to v2 on every node", variant)
	}
	if s.settings["commitlog_sync"] == "periodic" && o.ReplicationFactor < 3 {
		fault("commitlog_sync is periodic and replication_factor is %d: what was acknowledged is lost with the power of one node; set commitlog_sync to batch or group, or use three copies", o.ReplicationFactor)
	}
	s.judgeTimeouts(fault)
	s.judgeReplicas(o, fault)
	if faults == nil {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrUnsuitable, strings.Join(faults, "; "))
}

// judgeTimeouts wants every limit of the server below the driver's.
func (s sight) judgeTimeouts(fault func(string, ...any)) {
	limit := func(name string) time.Duration {
		d, err := parseDuration(s.settings[name])
		if err != nil {
			fault("%s is %q, which is no time", name, s.settings[name])
		}
		return d
	}
	most := statementTimeout - serverMargin
	if cas, write := limit("cas_contention_timeout"), limit("write_request_timeout"); cas+write > most {
		fault("cas_contention_timeout (%s) and write_request_timeout (%s) are together more than %s: lower them", cas, write, most)
	}
	if read := limit("read_request_timeout"); read > most {
		fault("read_request_timeout (%s) is more than %s: lower it", read, most)
	}
}

func (s sight) judgeReplicas(o Options, fault func(string, ...any)) {
	switch n := s.nodes[o.Datacenter]; {
	case n == 0:
		fault("there is no datacenter %q: there is %q", o.Datacenter, slices.Sorted(maps.Keys(s.nodes)))
	case n < o.ReplicationFactor:
		fault("replication_factor is %d, and datacenter %s has %d nodes", o.ReplicationFactor, o.Datacenter, n)
	}
	if s.replication == nil {
		return
	}
	if class := s.replication["class"]; !strings.HasSuffix(class, "NetworkTopologyStrategy") {
		fault("keyspace %s is replicated by %s: want NetworkTopologyStrategy", o.Keyspace, class)
	}
	if have := s.replication[o.Datacenter]; have != strconv.Itoa(o.ReplicationFactor) {
		fault("keyspace %s has %q copies in datacenter %s, and replication_factor is %d: alter the keyspace and repair it, or change the configuration", o.Keyspace, have, o.Datacenter, o.ReplicationFactor)
	}
}

// warnings tells what an operator should know.
func (s sight) warnings(o Options) []string {
	var list []string
	if s.settings["commitlog_sync"] == "periodic" {
		list = append(list, "commitlog_sync is periodic: a node that loses power forgets the last seconds; use batch or group unless no two nodes can lose power together")
	}
	if o.ReplicationFactor < 3 {
		list = append(list, fmt.Sprintf("replication_factor is %d: the log stands still while one node is away; use 3 for anything that matters", o.ReplicationFactor))
	}
	return list
}

// supported tells whether a release keeps conditional writes across every change
// of the ring (CEP-14), without reviving deleted ones (CASSANDRA-19617).
func supported(version string) bool {
	version, _, _ = strings.Cut(version, "-")
	var n [3]int
	for i, part := range strings.SplitN(version, ".", 3) {
		n[i], _ = strconv.Atoi(part)
	}
	return slices.Compare(n[:], []int{4, 1, 6}) >= 0
}

// parseDuration reads a time as Cassandra's settings show it: 2s, 1800ms, 5m, 1h, 1d,
// or milliseconds without a unit.
func parseDuration(s string) (time.Duration, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Duration(n) * time.Millisecond, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 32)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(s)
}
