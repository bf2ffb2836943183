//go:build mutation

package explore

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/commit"
)

var (
	updateMutations = flag.Bool("explore.hunt", false, "search anew for what breaks without each clause, and write the table")
	onlyClause      = flag.String("explore.clause", "", "hunt for this clause only")
	onlyWhere       = flag.String("explore.where", "", "hunt in this scenario only")
	mostStates      = flag.Int("explore.states", enough, "bound of the hunt in one scenario")
)

// hunted are the scenarios in which a clause may be missed.
func hunted() []*Scenario {
	writers := slices.Concat(oneWriter, conditional, twoWriters)
	var turned []string
	for _, t := range turns[1:] {
		turned = append(turned, t.name)
	}
	return slices.Concat(
		catalogue(writers, oneFault, plain),
		catalogue([]string{"put, get", "create, create", "put, put", "put, delete", "create, delete", "stream, put"}, []string{"no fault", "cut", "late", "crash", "cut, refuse"}, turned),
		catalogue(writers, []string{"crash, cut", "crash, late"}, plain),
		catalogue(withReader, []string{"no fault", "cut"}, plain),
		catalogue(twoWriters, []string{"cut, refuse"}, plain),
		catalogue([]string{"create, create", "put, put", "put, delete"}, []string{"crash, unknown", "cut, mute", "hurry thrice"}, plain),
		catalogue(withReader[:2], []string{"cut, mute", "crash"}, plain),
		catalogue([]string{"stream, put", "stream, delete"}, []string{"crash, cut", "cut, refuse"}, []string{"start-ordered"}),
	)
}

// TestMutations switches clauses of the protocol off and lets the search find what
// breaks; -v prints the way there.
func TestMutations(t *testing.T) {
	if *updateMutations {
		hunt(t)
		return
	}
	table := readMutations(t)
	if len(table) != len(commit.Clauses) {
		t.Errorf("the table has %d clauses, the protocol %d: -explore.hunt", len(table), len(commit.Clauses))
	}
	found := 0
	for i, m := range table {
		if i < len(commit.Clauses) && m.clause != commit.Clauses[i] {
			t.Fatalf("line %d of the table is %q: -explore.hunt", i+1, m.clause)
		}
		if m.scenario == "" {
			continue
		}
		found++
		t.Logf("without %q, %s:", m.clause, m.scenario)
		r := without(m.clause, m.scenario, Options{MaxMoves: m.moves}, func(line string) { t.Log("    " + line) })
		if r.Err == nil {
			t.Errorf("%s: nothing breaks any more in %q", m.clause, m.scenario)
			continue
		}
		if kind := kindOf(r.Err); kind != m.breaks {
			t.Errorf("%s: %s breaks, not %s", m.clause, kind, m.breaks)
		}
		if r := Search(byName(m.scenario), Options{MaxMoves: m.moves}); r.Err != nil {
			t.Errorf("with all rules in force: %s: %v", m.scenario, r.Err)
		}
	}
	t.Logf("%d of %d clauses are missed in the small world", found, len(table))
}

func byName(name string) *Scenario {
	list := hunted()
	return list[slices.IndexFunc(list, func(sc *Scenario) bool { return sc.Name == name })]
}

// without searches while a clause is off, and tells the way to what breaks: it
// leads there only as long as the clause is off.
func without(c commit.Clause, scenario string, o Options, line func(string)) Result {
	commit.Off(c)
	defer commit.Off("")
	r := Search(byName(scenario), o)
	if r.Err != nil && !errors.Is(r.Err, ErrTooMany) && line != nil {
		r.Trace(line)
	}
	return r
}

// hunt makes the table: the first scenario that breaks, and a short way there.
func hunt(t *testing.T) {
	had := map[commit.Clause]mutation{}
	for _, m := range readMutations(t) {
		had[m.clause] = m
	}
	var text strings.Builder
	for _, c := range commit.Clauses {
		m := mutation{clause: c}
		if *onlyClause != "" && string(c) != *onlyClause {
			m = had[c]
			fmt.Fprintf(&text, "%s\t%s\t%d\t%s\n", c, m.scenario, m.moves, m.breaks)
			continue
		}
		if h := had[c]; h.scenario != "" && *onlyWhere == "" { // it may be missed there again, however far that was
			if r := without(c, h.scenario, Options{MaxMoves: h.moves}, nil); r.Err != nil {
				h.breaks = kindOf(r.Err)
				t.Logf("%s: %s again, %d moves, %s", c, h.scenario, h.moves, h.breaks)
				fmt.Fprintf(&text, "%s\t%s\t%d\t%s\n", c, h.scenario, h.moves, h.breaks)
				continue
			}
		}
		for _, sc := range hunted() {
			if *onlyWhere != "" && sc.Name != *onlyWhere {
				continue
			}
			r := without(c, sc.Name, Options{MaxStates: *mostStates}, nil)
			if r.Err == nil || errors.Is(r.Err, ErrTooMany) {
				continue
			}
			m.scenario, m.moves, m.breaks = sc.Name, r.Moves(), kindOf(r.Err)
			for bound := 8; bound < m.moves; bound += 2 {
				if s := without(c, sc.Name, Options{MaxMoves: bound, MaxStates: 10 * *mostStates}, nil); s.Err != nil {
					if !errors.Is(s.Err, ErrTooMany) {
						m.moves, m.breaks = bound, kindOf(s.Err)
					}
					break
				}
			}
			break
		}
		t.Logf("%s: %s, %d moves, %s", c, m.scenario, m.moves, m.breaks)
		fmt.Fprintf(&text, "%s\t%s\t%d\t%s\n", m.clause, m.scenario, m.moves, m.breaks)
	}
	if err := os.WriteFile(mutationsPath, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

var promise = regexp.MustCompile(`\bI\d+\b|not linearizable|half of a body`)

// kindOf says in a word what broke.
func kindOf(err error) string {
	if m := promise.FindString(err.Error()); m != "" {
		return m
	}
	return err.Error()
}
