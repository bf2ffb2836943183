package explore

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
)

const docPath = "../../docs/explore.md"

const mutationsPath = "testdata/mutations.tsv"

// mutation is a line of the table: a clause, and where it is missed.
type mutation struct {
	clause   commit.Clause
	scenario string // empty: nowhere in this small world
	moves    int    // a violation is at most so many moves away
	breaks   string
}

func readMutations(t *testing.T) []mutation {
	t.Helper()
	text, err := os.ReadFile(mutationsPath)
	if err != nil {
		t.Fatal(err)
	}
	var out []mutation
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 4 {
			t.Fatalf("%s: line %q", mutationsPath, line)
		}
		moves, err := strconv.Atoi(f[2])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, mutation{commit.Clause(f[0]), f[1], moves, f[3]})
	}
	return out
}

// TestTheDocument: docs/explore.md is what the two tables say.
func TestTheDocument(t *testing.T) {
	want := document(readTable(t), readMutations(t))
	if *update {
		if err := os.WriteFile(docPath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(docPath); err != nil || string(have) != want {
		t.Errorf("%s is not what the tables say (%v): -run TestTheDocument -explore.update", docPath, err)
	}
}

func document(table map[string]record, mutations []mutation) string {
	var lines, not strings.Builder
	var sum record
	n := 0
	for _, sc := range all() {
		r, known := table[sc.Name]
		switch {
		case !known:
			fmt.Fprintf(&not, "- %s\n", sc.Name)
		case r.bound:
			fmt.Fprintf(&not, "- %s: %d states without a violation, and given up there\n", sc.Name, r.states)
		default:
			n++
			sum.add(r)
			fmt.Fprintf(&lines, "| %s | %d | %d | %d | %d | %.1f |\n", r.name, r.states, r.transitions, r.ends, r.depth, r.took.Seconds())
		}
	}
	if not.Len() == 0 {
		not.WriteString("None.\n")
	}
	found := 0
	var missed strings.Builder
	for _, m := range mutations {
		moves := "-"
		if m.scenario != "" {
			found++
			moves = strconv.Itoa(m.moves)
		}
		fmt.Fprintf(&missed, "| %s | %s | %s | %s |\n", m.clause, cmp.Or(m.scenario, "-"), moves, cmp.Or(m.breaks, "-"))
	}
	return fmt.Sprintf(`# The small world

One key, two replicas, one or two writers, a reader, gateways that heal, and a fault or two: every order in which
they can come is tried, by a depth-first search over the machines of package commit themselves, with states told
apart by a hash of their canonical form. What is checked, what bounds the world, and which orders need not be tried,
is in [the package](../internal/explore/doc.go).

**%d scenarios of %d searched to their ends: %d states, %d transitions, %d ends, paths of up to %d moves.
No violation is left** ([decision 0024](decisions/0024-the-small-world-by-its-symmetries.md) tells of the one that was
found). The searches used %v of one CPU. %s runs them all; %s runs those of a minute together, and
fails when one has fewer states than here.

Not searched to its end, of those that are named:

%s
A name is 128 bits of a hash: among %d states two have the same with a chance of about %.0e, and then one of them
is not followed. What the reductions take for one state, and which orders they leave out, is held against a search
without any: by the tests of the package for a few scenarios of every kind, by make explore for all that are small enough.

A scenario is who comes, what strikes, and how the world differs from the plain one. *create* is a PUT with
If-None-Match, *replace* and *delete if* have If-Match, *stream* is a PUT whose body goes out before its intent.
*late*: a request lands up to %v after its release; *cut*: the same, and its answer is lost; *unknown*: a
compare-and-set's outcome is not known and it may still be applied; *hurry*: time passes though messages are under way.
Every reader may ask a second replica when the first one is slow (decision 0017).
Faults strike at most as often as a scenario says, and a reader may come when all is over: what happens in *put, put /
crash* happens in *put, put, get / crash, late* as well.

| scenario | states | transitions | ends | longest path | CPU s |
|---|---|---|---|---|---|
%s
## What it misses when a clause is off

As in [mutations.md](mutations.md), each clause is switched off in turn, and the search looks for what breaks: for %d
of %d it finds something, so many moves from the beginning.
%s prints the ways there. A clause without a scenario
is not missed in a world this small, within %d states of each scenario; mutations.md says what misses it.

| clause | scenario | moves | breaks |
|---|---|---|---|
%s`, n, len(all()), sum.states, sum.transitions, sum.ends, sum.depth, sum.took.Round(time.Second), "`make explore`", "`make test`",
		not.String(), sum.states, float64(sum.states)*float64(sum.states)/0x1p129, lateMax, lines.String(),
		found, len(commit.Clauses), "`go test -tags mutation ./internal/explore -run TestMutations -v`", enough, missed.String())
}

// enough bounds a hunt in one scenario: most of what breaks does so early.
const enough = 5_000
