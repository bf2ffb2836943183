package cassandra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

func TestVersions(t *testing.T) {
	for v, want := range map[string]bool{
		"4.1.6": true, "4.1.10": true, "5.0.0": true, "5.0-beta1": true, "5.0.9-SNAPSHOT": true, "6.0": true,
		"4.1.5": false, "4.0.17": false, "3.11.19": false, "4.1-alpha1": false, "": false, "scylla": false,
	} {
		if supported(v) != want {
			t.Errorf("version %q is supported: %v", v, !want)
		}
	}
}

func TestDurationsOfTheServer(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"2s": 2 * time.Second, "1800ms": 1800 * time.Millisecond, "5000": 5 * time.Second, "1d": 24 * time.Hour, "2m": 2 * time.Minute,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "soon", "d", "xd"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// fit is a cluster that can hold a log of three copies.
func fit() (sight, Options) {
	return sight{
		versions: []string{"5.0.9"}, nodes: map[string]int{"dc1": 3},
		settings: map[string]string{
			"paxos_variant": "v2", "commitlog_sync": "batch", "cas_contention_timeout": "1800ms", "write_request_timeout": "2s", "read_request_timeout": "5s",
		},
		replication: map[string]string{"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", "dc1": "3"},
	}, Options{Datacenter: "dc1", Keyspace: "s3mirror", ReplicationFactor: 3}
}

func TestUnfitClustersAreNamedInWords(t *testing.T) {
	if s, o := fit(); s.judge(o) != nil || len(s.warnings(o)) != 0 {
		t.Errorf("a fit cluster: %v, %v", s.judge(o), s.warnings(o))
	}
	for _, c := range []struct {
		spoil func(*sight, *Options)
		want  string
	}{
		{func(s *sight, _ *Options) { s.versions = append(s.versions, "4.1.5") }, "a node is version 4.1.5"},
		{func(s *sight, _ *Options) { s.settings["paxos_variant"] = "v1" }, `paxos_variant is "v1"`},
		{func(s *sight, _ *Options) { s.settings["paxos_variant"] = "v2_without_linearizable_reads" }, "paxos_variant"},
		{func(s *sight, _ *Options) { delete(s.settings, "paxos_variant") }, "paxos_variant"},
		{func(s *sight, o *Options) {
			s.settings["commitlog_sync"], o.ReplicationFactor, s.replication["dc1"] = "periodic", 2, "2"
		}, "commitlog_sync is periodic"},
		{func(s *sight, _ *Options) { s.settings["cas_contention_timeout"] = "4s" }, "together more than 5s"},
		{func(s *sight, _ *Options) { s.settings["read_request_timeout"] = "10s" }, "read_request_timeout (10s)"},
		{func(s *sight, _ *Options) { s.settings["write_request_timeout"] = "soon" }, "no time"},
		{func(_ *sight, o *Options) { o.Datacenter = "dc2" }, `no datacenter "dc2": there is ["dc1"]`},
		{func(s *sight, _ *Options) { s.nodes["dc1"] = 2 }, "has 2 nodes"},
		{func(s *sight, _ *Options) { s.replication["class"] = "SimpleStrategy" }, "want NetworkTopologyStrategy"},
		{func(s *sight, _ *Options) { s.replication["dc1"] = "1" }, `has "1" copies`},
		{func(_ *sight, o *Options) { o.Datacenters = map[string]int{"dc2": 3} }, `no datacenter "dc2"`},
		{func(s *sight, o *Options) { o.Datacenters, s.nodes["dc2"] = map[string]int{"dc2": 3}, 2 }, "datacenters.dc2 is 3, and datacenter dc2 has 2 nodes"},
		{func(s *sight, o *Options) { o.Datacenters, s.nodes["dc2"] = map[string]int{"dc2": 3}, 3 }, `has "" copies in datacenter dc2`},
		{func(s *sight, _ *Options) { s.replication["dc3"] = "1" }, "copies in datacenter dc3, which the configuration does not name"},
	} {
		s, o := fit()
		c.spoil(&s, &o)
		err := s.judge(o)
		if !errors.Is(err, ErrUnsuitable) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	s, o := fit()
	s.replication = nil // before the first migration
	if err := s.judge(o); err != nil {
		t.Errorf("without a keyspace: %v", err)
	}
	s.settings["commitlog_sync"] = "periodic"
	if w := s.warnings(o); len(w) != 1 || !strings.Contains(w[0], "periodic") {
		t.Errorf("warnings: %q", w)
	}
	s, o = fit()
	o.Datacenters, o.LocalSerial = map[string]int{"dc2": 3}, true
	if w := s.warnings(o); len(w) != 1 || !strings.Contains(w[0], "local_serial") {
		t.Errorf("warnings: %q", w)
	}
}

func TestOutcomes(t *testing.T) {
	for err, want := range map[error]error{
		gocql.ErrNoConnections:                  oplog.ErrNotApplied,
		gocql.ErrNoStreams:                      oplog.ErrNotApplied,
		&gocql.RequestErrUnavailable{}:          oplog.ErrNotApplied,
		gocql.ErrTimeoutNoResponse:              oplog.ErrUnknown,
		gocql.ErrConnectionClosed:               oplog.ErrUnknown,
		gocql.ErrSessionClosed:                  oplog.ErrUnknown,
		&gocql.RequestErrWriteTimeout{}:         oplog.ErrUnknown,
		&gocql.RequestErrCASWriteUnknown{}:      oplog.ErrUnknown,
		&gocql.RequestErrReadTimeout{}:          oplog.ErrUnknown,
		&gocql.RequestErrOverloaded{}:           oplog.ErrUnknown,
		&gocql.RequestErrInvalid{}:              oplog.ErrUnknown,
		context.DeadlineExceeded:                oplog.ErrUnknown,
		errors.New("read: connection reset"):    oplog.ErrUnknown,
		fmt.Errorf("x: %w", gocql.ErrNoStreams): oplog.ErrNotApplied,
	} {
		got := outcome(err)
		if !errors.Is(got, want) || !errors.Is(got, err) || errors.Is(got, oplog.ErrUnknown) && errors.Is(got, oplog.ErrNotApplied) {
			t.Errorf("%v is told as %v, want %v", err, got, want)
		}
	}
	if outcome(nil) != nil {
		t.Error("success is told as an error")
	}
}

// The driver sends a conditional statement once: R29.
func TestConditionalStatementsAreSentOnce(t *testing.T) {
	session, l := &gocql.Session{}, levelsOf(Options{})
	if l.conditional(session.Query("UPDATE x").Idempotent(true)).IsIdempotent() {
		t.Error("a conditional statement is marked idempotent: the driver may repeat it")
	}
	if level, ok := l.conditional(session.Query("UPDATE x")).GetSerialConsistency(); !ok || level != gocql.Serial {
		t.Errorf("its serial level is %v", level)
	}
	if q := l.plain(session.Query("SELECT x")); !q.IsIdempotent() || q.GetConsistency() != gocql.Quorum {
		t.Error("a plain statement is not one")
	}
}

// Of one datacenter alone every statement asks that one: levels are never mixed.
func TestLocalLevels(t *testing.T) {
	session, l := &gocql.Session{}, levelsOf(Options{LocalSerial: true})
	if q := l.conditional(session.Query("UPDATE x")); q.GetConsistency() != gocql.LocalQuorum {
		t.Errorf("commit at %v", q.GetConsistency())
	}
	if level, ok := l.conditional(session.Query("UPDATE x")).GetSerialConsistency(); !ok || level != gocql.LocalSerial {
		t.Errorf("serial level %v", level)
	}
	if q := l.plain(session.Query("SELECT x")); q.GetConsistency() != gocql.LocalQuorum || l.serial != gocql.LocalSerial {
		t.Errorf("plain at %v, reads of rows at %v", q.GetConsistency(), l.serial)
	}
}

func TestKeyspaces(t *testing.T) {
	o := Options{Keyspace: "s3mirror", Datacenter: "dc'2", ReplicationFactor: 3, Datacenters: map[string]int{"dc1": 2}}
	want := "CREATE KEYSPACE IF NOT EXISTS s3mirror WITH replication = {'class': 'NetworkTopologyStrategy', 'dc''2': 3, 'dc1': 2}"
	if got := createKeyspace(o); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestClocks(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(s * float64(time.Second))) }
	for _, c := range []struct {
		began, there, ended float64
		want                time.Duration
	}{
		{0, 0.5, 1, 0}, {0, 1, 1, 0}, {0, -0.001, 1, 0}, {0, 3, 1, 2 * time.Second}, {0, -2.001, 1, -2 * time.Second},
		{0, 9, 10, 0}, // a slow answer tells little
	} {
		if got := apart(at(c.began), at(c.there), at(c.ended)); got != c.want {
			t.Errorf("%v: %v, want %v", c, got, c.want)
		}
	}
	s := sight{clocks: []nodeClock{{"10.0.0.1", 999 * time.Millisecond}, {"10.0.0.2", -time.Second}, {"10.0.0.3", 2 * time.Second}}}
	got := strings.Join(s.judgeClocks(), "\n")
	if strings.Contains(got, "10.0.0.1") || !strings.Contains(got, "10.0.0.2 is 1s behind") || !strings.Contains(got, "10.0.0.3 is 2s ahead of") {
		t.Error(got)
	}
}

func TestNobodyAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	o := Options{Hosts: []string{"127.0.0.1"}, Port: port, Datacenter: "dc1", Keyspace: "s3mirror", ReplicationFactor: 3, Logger: slog.New(slog.DiscardHandler)}
	if _, err := Open(bg, o); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "is it running") {
		t.Errorf("open: %v", err)
	}
	if err := Migrate(bg, o, func(string) {}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("migrate: %v", err)
	}
}
