package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/s3mirror/s3mirror/internal/cassandra"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// The names of the ways.
const (
	embeddedPut     = "PUT, embedded log"
	embeddedGet     = "GET, embedded log"
	embeddedLongPut = "1 GiB PUT, embedded log"
	embeddedLongGet = "1 GiB GET, embedded log"
	sharedLongPut   = "1 GiB PUT, Cassandra"
	sharedLongGet   = "1 GiB GET, Cassandra"
	roundRead       = "reads of rows"
	roundChange     = "changes of rows"
	roundReadAlone  = "reads of rows, one after the other"
	roundSwapAlone  = "changes of rows, one after the other"
)

func sharedPut(gateways int) string { return fmt.Sprintf("PUT, Cassandra, %d gateways", gateways) }
func sharedGet(gateways int) string { return fmt.Sprintf("GET, Cassandra, %d gateways", gateways) }

// Cassandra's compilers have seen so many small writes and reads before the first round.
const warmWrites = 1500

// shared compares a log in a Cassandra of so many nodes with the embedded one: the same
// work by the same client, over sinks of the same kind. puts and gets are the operations
// of a turn, fewer than those of the embedded log, which takes thousands a second.
func shared(nodes, puts, gets int) experiment {
	of := fmt.Sprintf("Cassandra of %d nodes", nodes)
	if nodes == 1 {
		of = "Cassandra of one node"
	}
	id := func(what string) string { return fmt.Sprintf("cassandra.%s-%d", what, nodes) }
	e := experiment{
		name: id("log"), rounds: 3, apart: true,
		about: fmt.Sprintf("%s with as many copies, batch commit log, both compilers warmed up by %d writes; 4 KiB, 16 clients, the hash of the body signed, sinks without a line that keep connections; three gateways run, of which clients use one or all", of, warmWrites),
		rows: []row{
			{id: id("put-embedded"), figure: "4 KiB PUT with the embedded log, a second", show: number, value: opsOf(embeddedPut)},
			{id: id("put-ops"), figure: "the same with " + of + ", one gateway", show: number, value: opsOf(sharedPut(1))},
			{id: id("put-one"), figure: "4 KiB PUT, ops with " + of + ", one gateway / with the embedded log", show: fine, value: rate(sharedPut(1), embeddedPut)},
			{id: id("put-three"), figure: "the same with three gateways", show: fine, value: rate(sharedPut(3), embeddedPut)},
			{id: id("put-cpu"), figure: "the gateway's CPU time for one PUT, the driver's within", show: millis, value: cpuPer(sharedPut(1))},
			{id: id("get-embedded"), figure: "4 KiB GET with the embedded log, a second", show: number, value: opsOf(embeddedGet)},
			{id: id("get-ops"), figure: "the same with " + of + ", one gateway", show: number, value: opsOf(sharedGet(1))},
			{id: id("get-one"), figure: "4 KiB GET, ops with " + of + ", one gateway / with the embedded log", show: fine, value: rate(sharedGet(1), embeddedGet)},
			{id: id("get-three"), figure: "the same with three gateways", show: fine, value: rate(sharedGet(3), embeddedGet)},
			{id: id("get-cpu"), figure: "the gateway's CPU time for one GET, the driver's within", show: millis, value: cpuPer(sharedGet(1))},
			{id: id("read-cpu"), figure: "CPU time of all nodes for one round that reads, 16 at a time", show: millis, value: cpuPer(roundRead)},
			{id: id("change-cpu"), figure: "CPU time of all nodes for one round that changes, 16 at a time", show: millis, value: cpuPer(roundChange)},
			{id: id("read-p50"), figure: "one round that reads, alone, p50", show: millis, value: p50Of(roundReadAlone)},
			{id: id("change-p50"), figure: "one round that changes, alone, p50", show: millis, value: p50Of(roundSwapAlone)},
		},
	}
	if nodes > 1 {
		e.rows = append(e.rows,
			row{id: id("put-long"), figure: "1 GiB PUT with " + of + " / with the embedded log", target: "≤ 1.10", limit: 1.10, show: times, value: ratio(sharedLongPut, embeddedLongPut)},
			row{id: id("get-long"), figure: "1 GiB GET with " + of + " / with the embedded log", target: "≤ 1.10", limit: 1.10, show: times, value: ratio(sharedLongGet, embeddedLongGet)})
	}
	for i := range e.rows {
		e.rows[i].kind = "cassandra"
	}
	e.setup = func(ctx context.Context, b *bench) ([]way, error) { return b.sharedWays(ctx, nodes, puts, gets) }
	return e
}

// number shows what is counted.
func number(v float64) string { return fmt.Sprintf("%.0f", v) }

func opsOf(way string) func(map[string]measure) float64 {
	return func(t map[string]measure) float64 { return t[way].perSecond() }
}

// p50Of is in milliseconds.
func p50Of(way string) func(map[string]measure) float64 {
	return func(t map[string]measure) float64 { return ms(t[way].p50) }
}

func (b *bench) sharedWays(ctx context.Context, nodes, puts, gets int) ([]way, error) {
	const embeddedOps = 4000
	ring, err := b.cassandra(ctx, nodes)
	if err != nil {
		return nil, err
	}
	own, err := b.sinks(line{})
	if err != nil {
		return nil, err
	}
	g, err := b.gateway(ctx, own, config{})
	if err != nil {
		return nil, err
	}
	kept, err := keepSmall(g, embeddedOps)
	if err != nil {
		return nil, err
	}
	backends, err := b.sinks(line{})
	if err != nil {
		return nil, err
	}
	all, err := b.gateways(ctx, ring, backends, 3)
	if err != nil {
		return nil, err
	}
	var three ideal
	for _, s := range all {
		three = append(three, s.endpoint())
	}
	sharedKept, err := warm(three)
	if err != nil {
		return nil, err
	}
	sharedKept = sharedKept[:min(gets, len(sharedKept))]
	ways := []way{
		b.smallPuts(embeddedPut, g.proc, ideal{g.endpoint()}, bucket, embeddedOps, own),
		b.spreadPuts(sharedPut(1), all[0].proc, three[:1], puts, backends),
		b.spreadPuts(sharedPut(3), nil, three, puts, backends),
		smallGets(embeddedGet, g.proc, ideal{g.endpoint()}, kept),
		smallGets(sharedGet(1), all[0].proc, three[:1], sharedKept),
		smallGets(sharedGet(3), nil, three, sharedKept),
	}
	rounds, err := b.roundWays(ctx, ring, puts)
	if err != nil {
		return nil, err
	}
	ways = append(ways, rounds...)
	if nodes == 1 {
		return ways, nil
	}
	if err := errors.Join(keepLong(g, gib), keepLong(all[0], gib)); err != nil {
		return nil, err
	}
	return append(ways,
		b.longPut(embeddedLongPut, g.proc, ideal{g.endpoint()}, bucket, gib, own),
		b.longPut(sharedLongPut, all[0].proc, three[:1], bucket, gib, backends),
		longGet(embeddedLongGet, g.proc, g.endpoint(), keptLong, gib),
		longGet(sharedLongGet, all[0].proc, all[0].endpoint(), keptLong, gib),
	), nil
}

// spreadPuts writes n small objects, each through one of the gateways.
func (b *bench) spreadPuts(name string, watched *process, to ideal, n int, backends []server) way {
	return way{name: name, watched: watched,
		prepare: func(context.Context) (func() (measure, error), error) {
			fresh := b.freshKeys(n)
			return func() (measure, error) { return putEach(to, fresh) }, nil
		},
		after: func(ctx context.Context) error { return forget(ctx, backends) },
	}
}

func putEach(to ideal, keys []string) (measure, error) {
	return each(clients, len(keys), func(i int) error {
		return ideal{to[i%len(to)]}.putSmall(bucket, keys[i], newContent(smallSize, i).small())
	})
}

// warm writes and reads until the JVM has compiled what it is going to need, and returns
// what it wrote.
func warm(to ideal) ([]string, error) {
	keys := make([]string, warmWrites)
	for i := range keys {
		keys[i] = fmt.Sprintf("%ssmall-%05d", keptPrefix, i)
	}
	_, err := putEach(to, keys)
	if err != nil {
		return nil, err
	}
	_, err = each(clients, len(keys), func(i int) error { return to[i%len(to)].get(bucket, keys[i], smallSize) })
	return keys, err
}

// gateways runs n on one log.
func (b *bench) gateways(ctx context.Context, r *cassandraRing, backends []server, n int) (all []*gateway, err error) {
	if err := r.migrate(ctx, "gateways"); err != nil {
		return nil, err
	}
	c := config{more: r.section("gateways"), secretFile: filepath.Join(r.dir, "secret.key")}
	if err := os.WriteFile(c.secretFile, []byte(fmt.Sprintf("%064x", 8)), 0o600); err != nil {
		return nil, err
	}
	for range n {
		g, err := b.gateway(ctx, backends, c)
		if err != nil {
			return nil, err
		}
		all = append(all, g)
		c.joins = true
	}
	return all, nil
}

// roundWays ask the log itself, past every gateway.
func (b *bench) roundWays(ctx context.Context, r *cassandraRing, n int) ([]way, error) {
	if err := r.migrate(ctx, "rounds"); err != nil {
		return nil, err
	}
	log, err := cassandra.Open(ctx, r.options("rounds"))
	if err != nil {
		return nil, err
	}
	b.atEnd(log.Close)
	rows := make([]oplog.Row, n)
	key := func(i int) object.Key { return object.Key{Bucket: bucket, Name: fmt.Sprintf("row-%05d", i)} }
	change := func(i int) error {
		next := oplog.Row{Epoch: oplog.NewEpoch(), Changed: time.Now()}
		err := log.Swap(ctx, key(i), rows[i].Epoch, &next)
		rows[i] = next
		return err
	}
	if _, err := each(clients, n, change); err != nil { // makes them
		return nil, err
	}
	read := func(i int) error { _, err := log.Row(ctx, key(i)); return err }
	rounds := func(name string, clients, n int, do func(int) error) way {
		return way{name: name, all: r.nodes, prepare: run(func(context.Context) (measure, error) { return each(clients, n, do) })}
	}
	return []way{
		rounds(roundRead, clients, n, read), rounds(roundChange, clients, n, change),
		rounds(roundReadAlone, 1, n/3, read), rounds(roundSwapAlone, 1, n/3, change),
	}, nil
}

// cassandraRing is a Cassandra of our own on loopback; node I is on 127.0.0.I.
type cassandraRing struct {
	nodes []*process
	port  int
	dir   string
}

// cassandraStart is how long the nodes may take until they take us in.
const cassandraStart = 4 * time.Minute

// cassandra runs a fresh one. Without a JDK 17 and Maven it fails, and says so.
func (b *bench) cassandra(ctx context.Context, nodes int) (*cassandraRing, error) {
	if _, err := os.Stat(b.cassandraJars); err != nil {
		return nil, fmt.Errorf("no Apache Cassandra here: %s install wants a JDK 17 and Maven: %w", b.cassandraProgram, err)
	}
	dir, err := os.MkdirTemp(b.diskDir, "cassandra-")
	if err != nil {
		return nil, err
	}
	b.atEnd(func() error { return os.RemoveAll(dir) })
	r := &cassandraRing{dir: dir}
	var ports [2]int
	for i := range ports {
		if ports[i], err = b.freePort(); err != nil {
			return nil, err
		}
	}
	r.port = ports[0]
	for i := range nodes {
		cmd := exec.CommandContext(ctx, b.cassandraProgram, "run", filepath.Join(dir, strconv.Itoa(i+1)), strconv.Itoa(i+1), strconv.Itoa(nodes))
		cmd.Env = append(os.Environ(), fmt.Sprintf("CASS_PORT=%d", ports[0]), fmt.Sprintf("CASS_STORAGE_PORT=%d", ports[1]), "CASS_HEAP=512m", "CASS_COMPILERS=all")
		p, err := b.start("cassandra", cmd)
		if err != nil {
			return nil, err
		}
		b.atEnd(func() error { p.kill(); return nil })
		r.nodes = append(r.nodes, p)
	}
	ctx, cancel := context.WithTimeout(ctx, cassandraStart)
	defer cancel()
	var last error // the cluster's own words, not that time is up
	for {
		err := r.whole(ctx)
		if err == nil {
			err = r.migrate(ctx, "first")
		}
		if err == nil {
			return r, nil
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		for _, p := range r.nodes {
			if !p.running() {
				return nil, fmt.Errorf("%s ended: %w\n%s", p.name, errors.Join(p.err, last), p.tail())
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("cassandra is not ready: %w\n%s", last, r.nodes[0].tail())
		case <-time.After(time.Second):
		}
	}
}

// whole tells whether each node answers and knows the others. A schema that is made
// sooner is half made, and its lock has to run out.
func (r *cassandraRing) whole(ctx context.Context) error {
	for _, host := range r.hosts() {
		o := r.options("first")
		o.Hosts = []string{host}
		report, err := cassandra.Inspect(ctx, o)
		if err != nil {
			return fmt.Errorf("node %s: %w", host, err)
		}
		if len(report.Faults) > 0 {
			return fmt.Errorf("node %s: %s", host, report.Faults[0])
		}
	}
	return nil
}

func (b *bench) freePort() (int, error) {
	addr, err := b.freeAddr()
	if err != nil {
		return 0, err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}

func (r *cassandraRing) hosts() (all []string) {
	for i := range r.nodes {
		all = append(all, fmt.Sprintf("127.0.0.%d", i+1))
	}
	return all
}

// options are those of a log of which every node has a copy: the schema is refused
// while fewer nodes are known.
func (r *cassandraRing) options(keyspace string) cassandra.Options {
	return cassandra.Options{
		Hosts: r.hosts(), Port: r.port, Datacenter: "datacenter1", Keyspace: keyspace, ReplicationFactor: len(r.nodes),
		Username: "cassandra", Password: "cassandra", Logger: slog.New(slog.DiscardHandler),
	}
}

func (r *cassandraRing) migrate(ctx context.Context, keyspace string) error {
	return cassandra.Migrate(ctx, r.options(keyspace), func(string) {})
}

// section is the log's section of a gateway's configuration.
func (r *cassandraRing) section(keyspace string) string {
	hosts := ""
	for _, h := range r.hosts() {
		hosts += h + ", "
	}
	return fmt.Sprintf("log: {engine: cassandra, cassandra: {hosts: [%s], port: %d, keyspace: %s, username: cassandra, password: cassandra, replication_factor: %d}}\n",
		hosts, r.port, keyspace, len(r.nodes))
}
