package main

import (
	"bytes"
	"context"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/probe"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

func now() time.Time { return time.Now() }

func aSink(t *testing.T, s line) *sink {
	t.Helper()
	b, err := startSink("test", s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.stop(); err != nil {
			t.Error(err)
		}
	})
	if err := newEndpoint(b.addr, b.keys).request("PUT", bucket, ""); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSinkPassesTheProbes: a gateway must take it for what it plays.
func TestSinkPassesTheProbes(t *testing.T) {
	b := aSink(t, line{})
	report, err := probe.Run(t.Context(), backend.Options{
		Name: "sink", Endpoint: &url.URL{Scheme: "http", Host: b.addr}, Region: region,
		AccessKeyID: b.keys.access, SecretAccessKey: b.keys.secret,
	}, bucket, probe.Brief())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Probes {
		if p.Result == probe.Unsafe || p.Result == probe.Unknown {
			t.Errorf("%s: %v %s", p.Name, p.Result, p.Detail)
		}
	}
}

// TestSinkKeepsWhatItIsTold: what a gateway writes it reads again, headers and
// size; and a body that is cut is not stored.
func TestSinkKeepsWhatItIsTold(t *testing.T) {
	b := aSink(t, line{})
	e := newEndpoint(b.addr, b.keys)
	for _, f := range []framing{sigv4.UnsignedTrailer, sigv4.Signed} {
		if err := (ideal{e}).put(bucket, freshPrefix+"long", newContent(3*mib+7, 1), f); err != nil {
			t.Fatal(err)
		}
		if err := e.get(bucket, freshPrefix+"long", 3*mib+7); err != nil {
			t.Error(err)
		}
	}
	if err := (ideal{e}).putSmall(bucket, keptPrefix+"small", newContent(smallSize, 1).small()); err != nil {
		t.Fatal(err)
	}
	r := e.longPut(bucket, freshPrefix+"cut", mib, sigv4.UnsignedTrailer)
	c, err := e.conn()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(append(r.head, "40000\r\nabc"...)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := e.get(bucket, freshPrefix+"cut", mib); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a body that was cut: %v", err)
	}
	if err := b.forget(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := e.get(bucket, freshPrefix+"long", 3*mib+7); err == nil {
		t.Error("a forgotten object is still there")
	}
	if err := e.get(bucket, keptPrefix+"small", smallSize); err != nil {
		t.Errorf("a kept object is gone: %v", err)
	}
}

// TestFanout: every server gets the client's request byte for byte, which is why
// servers that verify signatures take it.
func TestFanout(t *testing.T) {
	all, _ := strictServers(t, 3)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- serveFanout(l, []string{all[0].addr, all[1].addr, all[2].addr}) }()
	through := newEndpoint(l.Addr().String(), all[0].keys)
	for i, size := range []int64{mib, 5*mib + 3, 2 * mib} {
		c := newContent(size, i)
		if err := (ideal{through}).put(direct, "key", c, sigv4.UnsignedTrailer); err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			if !bytes.Equal(stored(t, e, direct, "key"), whole(c)) {
				t.Errorf("%d bytes are others on %s", size, e.addr)
			}
		}
	}
	l.Close()
	<-served
}

func TestLinkKeepsItsRate(t *testing.T) {
	l := &link{rate: 1000}
	start := time.Now()
	if got := l.reserve(start, 100).Sub(start); got != 100*time.Millisecond-slack {
		t.Errorf("the first bytes pass after %v", got)
	}
	if got := l.reserve(start.Add(50*time.Millisecond), 100).Sub(start); got != 200*time.Millisecond-slack {
		t.Errorf("bytes that queue pass after %v", got)
	}
	// Who comes late has lost the time, but for the slack.
	if got := l.reserve(start.Add(time.Second), 100).Sub(start); got != 1100*time.Millisecond-slack {
		t.Errorf("bytes of an idle line pass after %v", got)
	}
	(*link)(nil).pass(1 << 40) // no limit
}

func TestTurns(t *testing.T) {
	c := &lineConn{delay: 10}
	var got []time.Duration
	for _, kind := range "rrwwrw" {
		got = append(got, c.turn(byte(kind)))
	}
	want := []time.Duration{30, 0, 10, 0, 10, 10}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("delays %v, want %v", got, want)
		}
	}
}

// TestLine: bytes pass whole through both ends of a line.
func TestLine(t *testing.T) {
	b := aSink(t, line{rate: 1e9, delay: time.Microsecond})
	e := newEndpoint(b.addr, b.keys).over(uplink(1e9))
	if err := (ideal{e}).put(bucket, freshPrefix+"long", newContent(3*mib, 1), sigv4.UnsignedTrailer); err != nil {
		t.Fatal(err)
	}
	if err := e.get(bucket, freshPrefix+"long", 3*mib); err != nil {
		t.Fatal(err)
	}
}

func TestDocument(t *testing.T) {
	for _, template := range []string{page, cassandraPage} {
		testDocument(t, template)
	}
}

func testDocument(t *testing.T, template string) {
	text, err := document(template, machine{CPU: "a CPU", Cores: 2, Kernel: "6.1"}, []finding{
		{ID: "a.met", Kind: "pace", Figure: "one", Target: "≤ 1", About: "how", Value: "0.9", Low: "0.8", High: "1.1", Verdict: "met", Rounds: 3},
		{ID: "a.missed", Kind: "pace", Figure: "two", Target: "≤ 1", About: "how", Value: "1.2", Low: "1.1", High: "1.3", Verdict: "missed", Rounds: 3, Dirty: true, Foreign: 0.3},
		{ID: "b.failed", Kind: "cost", Figure: "three", Target: "≤ 1", About: "how else", Failure: "it broke"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| pace | one | ≤ 1 | 0.9 | 0.8 to 1.1 | met | `a.met` |",
		"| pace | two | ≤ 1 | 1.2 | 1.1 to 1.3 | **missed** (void: others used 30 %) | `a.missed` |",
		"| cost | three | ≤ 1 | not measured | | | `b.failed` |",
		"a CPU, 2 cores", "`a.met`, `a.missed`: how. 3 rounds", "`b.failed`: it broke",
		"`a.missed`: two is 1.2, the target ≤ 1.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the document lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "`a.met`: one") {
		t.Error("what is met is among what is missed")
	}
}
