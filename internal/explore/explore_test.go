package explore

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	whole   = flag.Bool("explore.all", false, "search every scenario of the catalogue, which takes an hour or more")
	update  = flag.Bool("explore.update", false, "write what was searched into the table and docs/explore.md")
	only    = flag.String("explore.scenario", "", "search only the scenarios whose name this pattern matches")
	fresh   = flag.Bool("explore.fresh", false, "search only what the table does not have yet: a search that was interrupted goes on")
	workers = flag.Int("explore.workers", runtime.GOMAXPROCS(0), "search so many scenarios at a time")
	most    = flag.Int("explore.most", 0, "give a search up beyond so many states of 16 bytes; 0: never")
)

// Who comes, in the scenarios of different size.
var (
	oneWriter   = []string{"put, get", "delete, get", "create, get", "stream, get", "stream, head"}
	conditional = []string{"create, create", "replace, delete if"}
	twoWriters  = []string{"put, put", "put, delete", "create, delete", "stream, put", "stream, delete", "stream, stream"}
	withReader  = []string{"put, put, get", "put, delete, get", "create, create, get", "replace, delete if, get", "stream, put, get", "stream, delete, get"}

	twoFaults = []string{"crash, late", "crash, cut"}
	oneFault  = []string{"no fault", "late", "cut", "refuse", "unknown", "mute", "halve", "hurry", "crash"}
	plain     = []string{""}
)

// quick is what every run of the tests searches: at most a minute of CPU.
func quick() []*Scenario {
	return slices.Concat(
		catalogue(oneWriter, slices.Concat(oneFault, twoFaults), plain),
		catalogue(conditional, slices.Concat(oneFault, twoFaults), plain),
		catalogue(twoWriters, []string{"no fault", "late", "cut", "refuse", "mute", "halve"}, plain),
		catalogue(withReader, []string{"no fault"}, plain),
		catalogue([]string{"put, put"}, []string{"cut"}, []string{"ack 2", "start-ordered", "one replica each"}),
		catalogue([]string{"put, get", "create, create"}, []string{"crash"}, []string{"one process, restarted"}),
		catalogue([]string{"put, put"}, []string{"unknown", "hurry", "crash"}, plain),
		catalogue([]string{"create, create, get"}, []string{"crash", "crash, late"}, plain),
	)
}

// all is the catalogue that make explore searches, the smaller ones first; the last
// ones are the world of the plan: two writers, a reader, a crash, a late request.
func all() []*Scenario {
	list := slices.Concat(
		quick(),
		catalogue(twoWriters, oneFault, plain),
		catalogue(slices.Concat(conditional, twoWriters), twoFaults, plain),
		catalogue(slices.Concat(conditional, twoWriters), []string{"cut", "crash"}, []string{
			"ack 2", "start-ordered", "start-ordered B, stream heals", "one replica each", "slow clock", "one process", "one process, restarted",
		}),
		catalogue(slices.Concat(oneWriter, conditional, twoWriters[:2]), []string{"no fault", "cut"}, []string{"watched"}),
		catalogue(withReader, []string{"late", "cut", "crash"}, plain),
		catalogue(withReader, twoFaults, plain),
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
	took                      time.Duration // of CPU
	bound                     bool          // it ended there, and not with the last state
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
		if len(f) != 7 {
			t.Fatalf("%s: line %q", tablePath, line)
		}
		r := record{name: f[0], bound: f[6] == "bound"}
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
			end := "end"
			if r.bound {
				end = "bound"
			}
			fmt.Fprintf(&b, "%s\t%d\t%d\t%d\t%d\t%v\t%s\n", r.name, r.states, r.transitions, r.ends, r.depth, r.took, end)
		}
	}
	if err := os.WriteFile(tablePath, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// explore searches scenarios, in their order and as many at a time as the machine has
// processors, and holds each against what the table says that it had: a search that
// shrinks has gone blind.
func explore(t *testing.T, list []*Scenario) {
	var mu sync.Mutex // guards table and sum
	table := readTable(t)
	had := maps.Clone(table)
	var sum record
	one := func(t *testing.T, sc *Scenario) {
		begun := cpuTime()
		r := Search(sc, Options{MaxStates: *most})
		is := record{sc.Name, r.States, r.Transitions, r.Ends, r.Depth, (cpuTime() - begun).Round(100 * time.Millisecond), errors.Is(r.Err, ErrTooMany)}
		mu.Lock()
		defer mu.Unlock()
		sum.add(is)
		was, known := table[sc.Name]
		hold(t, r, is, was, known)
		if table[sc.Name] = is; *update && !t.Failed() {
			writeTable(t, table) // after each: a search of hours is not lost
		}
	}
	next := make(chan *Scenario)
	var searchers sync.WaitGroup
	for range *workers {
		searchers.Go(func() {
			for sc := range next {
				t.Run(sc.Name, func(t *testing.T) { one(t, sc) })
			}
		})
	}
	for _, sc := range list {
		if _, known := had[sc.Name]; !known || !*fresh {
			next <- sc
		}
	}
	close(next)
	searchers.Wait()
	t.Logf("%d scenarios: %d states, %d transitions, %d ends, %v of CPU", len(list), sum.states, sum.transitions, sum.ends, sum.took)
}

func (sum *record) add(r record) {
	sum.states, sum.transitions, sum.ends = sum.states+r.states, sum.transitions+r.transitions, sum.ends+r.ends
	sum.depth, sum.took = max(sum.depth, r.depth), sum.took+r.took
}

func hold(t *testing.T, r Result, is, was record, known bool) {
	t.Logf("%9d states %9d transitions %3d ends, depth %3d, %v", is.states, is.transitions, is.ends, is.depth, is.took)
	switch {
	case is.bound && *update:
		t.Logf("not to its end")
	case r.Err != nil:
		r.Trace(func(line string) { t.Log(line) })
		t.Error(r.Err)
	case *update:
	case !known || was.bound:
		t.Errorf("it is not in %s: -explore.update", tablePath)
	case is.states < was.states || is.transitions < was.transitions || is.ends < was.ends:
		t.Errorf("there were %d states, %d transitions and %d ends: if fewer are meant, -explore.update", was.states, was.transitions, was.ends)
	}
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

// TestScenario searches some of the catalogue: -explore.scenario="^put, put / cut$".
func TestScenario(t *testing.T) {
	if *only == "" {
		return
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		t.Fatal(err)
	}
	list := slices.DeleteFunc(all(), func(sc *Scenario) bool { return !pattern.MatchString(sc.Name) })
	if len(list) == 0 {
		t.Fatalf("no scenario %q", *only)
	}
	explore(t, list)
}
