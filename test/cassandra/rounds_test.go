//go:build cassandra

package cassandra

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// testRounds counts the rounds of Paxos that requests cost: what a node does by itself
// in the same time is taken off.
func testRounds(t *testing.T, n *node) {
	backends := harness.StartMemories(t, 3)
	g := harness.NewGateway(t, backends, harness.Options{Log: n.section("rounds"), Lease: time.Minute, Retention: time.Hour})
	if code, stdout, stderr := g.CLI(t, "migrate", "--config", g.Config); code != 0 {
		t.Fatalf("migrate: exit %d\n%s%s", code, stdout, stderr)
	}
	g.Start(t)
	ctx := t.Context()
	if a, err := g.Client.Do(ctx, "PUT", bucket, "", "", nil); err != nil || a.Status != 200 {
		t.Fatalf("create bucket: %v, %v", a, err)
	}
	const idle = 5 * time.Second
	before := rounds(t, g)
	time.Sleep(idle) // what is measured is what happens meanwhile
	byItself := (rounds(t, g) - before) / idle.Seconds()

	const many = 150
	for _, c := range []struct {
		what string
		most float64
		do   func(i int) (wire.Answer, error)
	}{
		{"PUT of a new key", 4, func(i int) (wire.Answer, error) {
			return g.Client.Put(ctx, bucket, fmt.Sprintf("rounds/%d", i), wire.Literal, []byte("x"))
		}},
		{"PUT over it", 4, func(i int) (wire.Answer, error) {
			return g.Client.Put(ctx, bucket, fmt.Sprintf("rounds/%d", i), wire.Literal, []byte("y"))
		}},
		{"GET", 1, func(i int) (wire.Answer, error) { return g.Client.Get(ctx, bucket, fmt.Sprintf("rounds/%d", i)) }},
		{"DELETE", 4, func(i int) (wire.Answer, error) {
			return g.Client.Delete(ctx, bucket, fmt.Sprintf("rounds/%d", i))
		}},
	} {
		began, before := time.Now(), rounds(t, g)
		for i := range many {
			if a, err := c.do(i); err != nil || a.Status >= 300 {
				t.Fatalf("%s: %v, %v", c.what, a, err)
			}
		}
		each := (rounds(t, g) - before - byItself*time.Since(began).Seconds()) / many
		t.Logf("%-16s %.2f rounds of Paxos (at most %g); a node by itself: %.1f a second", c.what, each, c.most, byItself)
		if each > c.most+0.2 || each < 0.5 {
			t.Errorf("%s costs %.2f rounds of Paxos, want at most %g", c.what, each, c.most)
		}
	}
}

// rounds is how many this gateway asked for so far.
func rounds(t *testing.T, g *harness.Gateway) (sum float64) {
	t.Helper()
	resp, err := http.Get("http://" + g.AdminAddr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines, found := bufio.NewScanner(resp.Body), 0
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "s3mirror_log_paxos_rounds_total{"); ok {
			_, value, _ := strings.Cut(rest, "} ")
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			sum, found = sum+n, found+1
		}
	}
	if lines.Err() != nil || found != 2 {
		t.Fatalf("%d kinds of rounds, %v", found, lines.Err())
	}
	return sum
}
