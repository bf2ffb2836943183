package explore

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	whole  = flag.Bool("explore.all", false, "search every scenario of the catalogue, which takes an hour or more")
	update = flag.Bool("explore.update", false, "write what was searched into the table and docs/explore.md")
	only   = flag.String("explore.scenario", "", "search only this scenario, by its name")
)

// Who comes, in the scenarios of different size.
var (
	oneWriter   = []string{"put, get", "delete, get", "create, get", "stream, get", "stream, head"}
	conditional = []string{"create, create", "replace, delete if"}
	twoWriters  = []string{"put, put", "put, delete", "create, delete", "stream, put", "stream, delete", "stream, stream"}
	withReader  = []string{"put, put, get", "put, delete, get", "create, create, get", "replace, delete if, get", "stream, put, get", "stream, delete, get"}

	oneFault = []string{"no fault", "late", "cut", "refuse", "unknown", "mute", "halve", "hurry", "crash"}
	plain    = []string{""}
)

// quick is what every run of the tests searches: at most a minute of CPU.
func quick() []*Scenario {
	return slices.Concat(
		catalogue(oneWriter, oneFault, plain),
		catalogue(conditional, oneFault, plain),
		catalogue(twoWriters, []string{"no fault"}, plain),
		catalogue([]string{"put, put"}, []string{"cut", "refuse", "mute", "halve"}, plain),
		catalogue([]string{"put, delete", "stream, put"}, []string{"cut"}, plain),
		catalogue([]string{"put, put"}, []string{"cut"}, []string{"ack 2", "start-ordered", "one replica each"}),
		catalogue([]string{"put, get", "create, create"}, []string{"crash"}, []string{"one process, restarted"}),
	)
}

// all is the catalogue that make explore searches, smallest first.
func all() []*Scenario {
	list := slices.Concat(
		quick(),
		catalogue(twoWriters, oneFault, plain),
		catalogue(conditional, []string{"crash, late", "crash, cut"}, plain),
		catalogue(slices.Concat(conditional, twoWriters), []string{"cut", "crash"}, []string{
			"ack 2", "start-ordered", "start-ordered B, stream heals", "one replica each", "slow clock", "one process", "one process, restarted",
		}),
		catalogue(slices.Concat(oneWriter, conditional, twoWriters[:2]), []string{"no fault", "cut"}, []string{"watched"}),
		catalogue(withReader, []string{"no fault", "cut"}, plain),
		catalogue(withReader[:4], []string{"crash", "crash, late"}, plain),
	)
	var out []*Scenario
	have := map[string]bool{}
	for _, sc := range list {
		if !have[sc.Name] {
			have[sc.Name] = true
			out = append(out, sc)
		}
	}
	return out
}

// record is what a search found: a line of the table.
type record struct {
	name                      string
	states, transitions, ends int
	depth                     int
	took                      time.Duration
}

const tablePath = "testdata/explored.tsv"

func readTable(t *testing.T) map[string]record {
	t.Helper()
	text, err := os.ReadFile(tablePath)
	if err != nil && !*update {
		t.Fatal(err)
	}
	table := map[string]record{}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 6 {
			t.Fatalf("%s: line %q", tablePath, line)
		}
		r := record{name: f[0]}
		var errs [5]error
		for i, n := range []*int{&r.states, &r.transitions, &r.ends, &r.depth} {
			*n, errs[i] = strconv.Atoi(f[i+1])
		}
		r.took, errs[4] = time.ParseDuration(f[5])
		if err := cmp.Or(errs[:]...); err != nil {
			t.Fatal(err)
		}
		table[r.name] = r
	}
	return table
}

func writeTable(t *testing.T, table map[string]record) {
	t.Helper()
	var b strings.Builder
	for _, sc := range all() {
		if r, ok := table[sc.Name]; ok {
			fmt.Fprintf(&b, "%s\t%d\t%d\t%d\t%d\t%v\n", r.name, r.states, r.transitions, r.ends, r.depth, r.took)
		}
	}
	if err := os.WriteFile(tablePath, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// explore searches scenarios and holds each against what the table says that it
// had: a search that shrinks has gone blind.
func explore(t *testing.T, list []*Scenario) {
	table := readTable(t)
	var sum record
	for _, sc := range list {
		was, known := table[sc.Name]
		begun := time.Now()
		r := Search(sc, Options{})
		took := time.Since(begun).Round(100 * time.Millisecond)
		t.Logf("%-40s %9d states %9d transitions %3d ends, depth %3d, %v", sc.Name, r.States, r.Transitions, r.Ends, r.Depth, took)
		sum.states, sum.transitions, sum.ends = sum.states+r.States, sum.transitions+r.Transitions, sum.ends+r.Ends
		switch {
		case r.Err != nil:
			r.Trace(func(line string) { t.Log(line) })
			t.Errorf("%s: %v", sc.Name, r.Err)
			continue
		case *update:
		case !known:
			t.Errorf("%s is not in %s: -explore.update", sc.Name, tablePath)
		case r.States < was.states || r.Transitions < was.transitions || r.Ends < was.ends:
			t.Errorf("%s: %d states, %d transitions, %d ends; there were %d, %d and %d: if that is meant, -explore.update",
				sc.Name, r.States, r.Transitions, r.Ends, was.states, was.transitions, was.ends)
		}
		table[sc.Name] = record{sc.Name, r.States, r.Transitions, r.Ends, r.Depth, took}
		if *update {
			writeTable(t, table) // after each: a search of hours is not lost
		}
	}
	t.Logf("%d scenarios: %d states, %d transitions, %d ends", len(list), sum.states, sum.transitions, sum.ends)
}

// TestSmallWorld searches the part of the catalogue that takes less than a minute
// of CPU; in short mode only what takes seconds.
func TestSmallWorld(t *testing.T) {
	list := quick()
	if testing.Short() {
		list = catalogue(oneWriter, []string{"no fault", "cut"}, plain)
	}
	explore(t, list)
}

// TestWholeWorld is make explore.
func TestWholeWorld(t *testing.T) {
	if !*whole {
		return
	}
	explore(t, all())
}

// TestScenario searches one scenario: -explore.scenario="put, put / cut".
func TestScenario(t *testing.T) {
	if *only == "" {
		return
	}
	i := slices.IndexFunc(all(), func(sc *Scenario) bool { return sc.Name == *only })
	if i < 0 {
		t.Fatalf("no scenario %q", *only)
	}
	explore(t, all()[i:i+1])
}
