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
	clocks      []nodeClock       // of the nodes that answered; empty: nobody looked
}

// nodeClock is how far a node's clock is ahead of ours, at least: what the way of the
// question and of the answer may account for is taken off.
type nodeClock struct {
	node  string
	ahead time.Duration
}

// maxSkew is how far clocks may be apart (A4).
const maxSkew = time.Second

// lookAtClocks asks the nodes that are up for their time. One that does not answer
// is left out: that it is away others tell.
func (c *cql) lookAtClocks(ctx context.Context, s *sight) {
	for _, host := range c.session.GetHosts() {
		if !host.IsUp() {
			continue
		}
		began := time.Now()
		var there time.Time
		ask, cancel := c.bound(ctx)
		q := c.session.Query("SELECT toTimestamp(now()) FROM system.local").SetHostID(host.HostID())
		err := c.levels.plain(q).Consistency(gocql.One).ScanContext(ask, &there)
		cancel()
		if err == nil {
			s.clocks = append(s.clocks, nodeClock{host.ConnectAddress().String(), apart(began, there, time.Now())})
		}
	}
}

// apart is how far a clock that showed a time at some moment from began to ended is
// surely ahead of ours, negative: behind. It shows milliseconds.
func apart(began, there, ended time.Time) time.Duration {
	switch {
	case there.After(ended):
		return there.Sub(ended)
	case there.Add(time.Millisecond).Before(began):
		return there.Add(time.Millisecond).Sub(began)
	}
	return 0
}

// judgeClocks tells of clocks that are wrong.
func (s sight) judgeClocks() (faults []string) {
	for _, c := range s.clocks {
		if c.ahead.Abs() >= maxSkew {
			way := "ahead of"
			if c.ahead < 0 {
				way = "behind"
			}
			faults = append(faults, fmt.Sprintf("the clock of node %s is %s %s ours: keep all clocks together by NTP, less than %s apart", c.node, c.ahead.Abs().Round(time.Millisecond), way, maxSkew))
		}
	}
	return faults
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
	rows := c.levels.plain(c.session.Query(stmt, values...)).Consistency(gocql.One).IterContext(ctx).Scanner()
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
	if faults := s.faults(o); faults != nil {
		return fmt.Errorf("%w: %s", ErrUnsuitable, strings.Join(faults, "; "))
	}
	return nil
}

func (s sight) faults(o Options) (faults []string) {
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
	return faults
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

// copies are the copies of the log in each datacenter.
func (o Options) copies() map[string]int {
	all := maps.Clone(o.Datacenters)
	if all == nil {
		all = map[string]int{}
	}
	all[o.Datacenter] = o.ReplicationFactor
	return all
}

func (s sight) judgeReplicas(o Options, fault func(string, ...any)) {
	copies := o.copies()
	for _, dc := range slices.Sorted(maps.Keys(copies)) {
		name := "replication_factor"
		if dc != o.Datacenter {
			name = "datacenters." + dc
		}
		switch n := s.nodes[dc]; {
		case n == 0:
			fault("there is no datacenter %q: there is %q", dc, slices.Sorted(maps.Keys(s.nodes)))
		case n < copies[dc]:
			fault("%s is %d, and datacenter %s has %d nodes", name, copies[dc], dc, n)
		}
	}
	if s.replication == nil {
		return
	}
	if class := s.replication["class"]; !strings.HasSuffix(class, "NetworkTopologyStrategy") {
		fault("keyspace %s is replicated by %s: want NetworkTopologyStrategy", o.Keyspace, class)
	}
	for _, dc := range slices.Sorted(maps.Keys(copies)) {
		if have := s.replication[dc]; have != strconv.Itoa(copies[dc]) {
			fault("keyspace %s has %q copies in datacenter %s, and the configuration says %d: alter the keyspace and repair it, or change the configuration", o.Keyspace, have, dc, copies[dc])
		}
	}
	for _, dc := range slices.Sorted(maps.Keys(s.replication)) {
		if _, named := copies[dc]; !named && dc != "class" {
			fault("keyspace %s has copies in datacenter %s, which the configuration does not name: their votes count", o.Keyspace, dc)
		}
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
	if len(o.copies()) > 1 && o.LocalSerial {
		list = append(list, "consistency is local_serial with copies in several datacenters: every gateway must use datacenter "+o.Datacenter+", and what was acknowledged last may not have reached the others when it is lost")
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
