//go:build mutation

package sim

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
)

var (
	updateMutations = flag.Bool("mutation.update", false, "search the schedules anew and write the tables")
	onlyMutations   = flag.String("mutation.only", "", "search those of the clauses that match, and keep the other lines")
)

// budget is how many random schedules a run of the simulator in CI plays; a
// clause counts as found by chance when one of them breaks without it.
const budget = 3000

// sample is how many schedules the frequency in the table is taken from.
const sample = 600

// mutation is a line of the table: a clause, and what breaks without it.
type mutation struct {
	clause   commit.Clause
	seed     uint64 // the first random schedule that breaks; 0: none within the budget
	hits     int    // schedules of the sample that break
	directed string // the directed test of package commit that breaks; empty: none
	breaks   string // what the schedule, or else the test, broke
}

// ofUploads are the rules that only schedules with uploads, copies and batches can
// miss; the others are looked for in schedules without them.
var ofUploads = regexp.MustCompile(`^(U\d+|R11 copy|R11 match|R13 spoilt)\b`)

// ofRepeats are those of them that only schedules with repeated uploads find soon.
var ofRepeats = regexp.MustCompile(`^U(4|5|6|7|11|12)\b`)

// ofNodes are the rules that only schedules with leases can miss.
var ofNodes = regexp.MustCompile(`^N\d+\b`)

// ofScrubs are the rules that only schedules with scrubs can miss.
var ofScrubs = regexp.MustCompile(`^(S\d+|R28 serving)\b`)

// ofJoins are the rules that only schedules with joins can miss.
var ofJoins = regexp.MustCompile(`^J\d+\b`)

// ofBehind are those of replicas that were left behind.
var ofBehind = regexp.MustCompile(`^R28 (behind|anew|visit)$`)

// schedule is the one that a seed means for a clause.
func schedule(c commit.Clause, seed uint64) Options {
	return Options{
		Seed: seed, Uploads: ofUploads.MatchString(string(c)), Repeats: ofRepeats.MatchString(string(c)), Tags: strings.HasPrefix(string(c), "T") || c == commit.JTags, Nodes: ofNodes.MatchString(string(c)),
		Scrubs: ofScrubs.MatchString(string(c)), Sums: strings.HasPrefix(string(c), "C"),
		Joins: ofJoins.MatchString(string(c)), Behind: ofBehind.MatchString(string(c)),
	}
}

const (
	tablePath = "testdata/mutations.tsv"
	docPath   = "../../docs/mutations.md"
)

func readTable(t *testing.T) []mutation {
	t.Helper()
	text, err := os.ReadFile(tablePath)
	if err != nil {
		t.Fatal(err)
	}
	var out []mutation
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 5 {
			t.Fatalf("%s: line %q", tablePath, line)
		}
		seed, err1 := strconv.ParseUint(f[1], 10, 64)
		hits, err2 := strconv.Atoi(f[2])
		if err := cmp.Or(err1, err2); err != nil {
			t.Fatal(err)
		}
		out = append(out, mutation{commit.Clause(f[0]), seed, hits, f[3], f[4]})
	}
	return out
}

// TestMutations switches each clause of the protocol off and plays what must
// break then (RELIABILITY 6.1). A clause without such a schedule fails, and so
// does a rule of the protocol without a clause.
func TestMutations(t *testing.T) {
	if *updateMutations {
		search(t)
	}
	table := readTable(t)
	byChance := map[string]bool{}
	for i, m := range table {
		if i >= len(commit.Clauses) || m.clause != commit.Clauses[i] {
			t.Fatalf("line %d of the table is %q: go test -tags mutation ./internal/sim -run TestMutations -mutation.update", i+1, m.clause)
		}
		switch {
		case m.seed == 0 && m.directed == "":
			t.Errorf("%s: nothing breaks without it", m.clause)
		case m.seed > budget:
			t.Errorf("%s: schedule %d is beyond the budget", m.clause, m.seed)
		}
		if m.seed > 0 {
			byChance[number(m.clause)] = true
			commit.Off(m.clause)
			if r := Run(schedule(m.clause, m.seed)); r.Err == nil || errors.Is(r.Err, errUndetermined) {
				t.Errorf("%s: schedule %d does not break any more", m.clause, m.seed)
			}
			commit.Off("")
			if r := Run(schedule(m.clause, m.seed)); r.Err != nil {
				t.Errorf("with all rules in force: %v", r.Err)
			}
		}
	}
	if len(table) != len(commit.Clauses) {
		t.Errorf("the table has %d clauses, the protocol %d", len(table), len(commit.Clauses))
	}
	if len(byChance) < 8 {
		t.Errorf("random schedules find %d rules", len(byChance))
	}
	directed(t, table)
	everyRule(t)
	doc, err := os.ReadFile(docPath)
	if err != nil || string(doc) != document(table) {
		t.Errorf("%s is not what the table says (%v)", docPath, err)
	}
}

// elsewhere are rules whose code lies outside the machines, with the tests that
// break without them.
var elsewhere = map[string]string{
	"R30": "cassandra: TestIndexNeedsItsNonces",
}

// everyRule: R1 to R30 have a clause each, or a test elsewhere.
func everyRule(t *testing.T) {
	t.Helper()
	have := map[string]bool{}
	for _, c := range commit.Clauses {
		have[number(c)] = true
	}
	for i := 1; i <= 30; i++ {
		if n := "R" + strconv.Itoa(i); !have[n] && elsewhere[n] == "" {
			t.Errorf("rule %s has no clause", n)
		}
	}
}

// number is the rule that a clause belongs to.
func number(c commit.Clause) string {
	n, _, _ := strings.Cut(string(c), " ")
	return n
}

var failedTest = regexp.MustCompile(`(?m)^--- FAIL: (\w+)`)

// suite is the directed tests of package commit, built once.
type suite struct{ binary string }

func buildSuite(t *testing.T) suite {
	t.Helper()
	s := suite{filepath.Join(t.TempDir(), "commit.test")}
	if out, err := exec.Command("go", "test", "-c", "-tags", "mutation", "-o", s.binary, "../commit").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return s
}

// broken are the tests that fail without a clause, of those that match.
func (s suite) broken(c commit.Clause, pattern string) []string {
	cmd := exec.Command(s.binary, "-test.run", pattern, "-test.timeout", "60s")
	cmd.Env = append(os.Environ(), "COMMIT_CLAUSE_OFF="+string(c))
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	var names []string
	for _, m := range failedTest.FindAllStringSubmatch(string(out), -1) {
		names = append(names, m[1])
	}
	if names == nil {
		names = []string{"does not end: " + err.Error()}
	}
	slices.Sort(names)
	return names
}

// directed plays the directed tests that the table names.
func directed(t *testing.T, table []mutation) {
	t.Helper()
	s := buildSuite(t)
	if names := s.broken("", "."); names != nil {
		t.Errorf("with all rules in force: %v", names)
	}
	for _, m := range table {
		if m.directed == "" {
			continue
		}
		if names := s.broken(m.clause, "^"+m.directed+"$"); !slices.Equal(names, []string{m.directed}) {
			t.Errorf("%s: test %s does not break any more: %v", m.clause, m.directed, names)
		}
	}
}

// search makes the table.
func search(t *testing.T) {
	t.Helper()
	s := buildSuite(t)
	var text strings.Builder
	var table []mutation
	only := regexp.MustCompile(*onlyMutations)
	kept := map[commit.Clause]mutation{}
	if *onlyMutations != "" {
		for _, m := range readTable(t) {
			kept[m.clause] = m
		}
	}
	for _, c := range commit.Clauses {
		m, known := kept[c]
		if known && !only.MatchString(string(c)) {
			table = append(table, m)
			writeLine(&text, m)
			continue
		}
		m = mutation{clause: c}
		if names := s.broken(c, "."); names != nil {
			m.directed = names[0]
		}
		commit.Off(c)
		m.seed, m.hits, m.breaks = hunt(c)
		commit.Off("")
		t.Logf("%s: seed %d, %d hits, %s, %s", c, m.seed, m.hits, m.directed, m.breaks)
		table = append(table, m)
		writeLine(&text, m)
	}
	for path, content := range map[string]string{tablePath: text.String(), docPath: document(table)} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil { //nolint:gosec // as in the tree
			t.Fatal(err)
		}
	}
}

func writeLine(b *strings.Builder, m mutation) {
	fmt.Fprintf(b, "%s\t%d\t%d\t%s\t%s\n", m.clause, m.seed, m.hits, m.directed, m.breaks)
}

// hunt plays the sample, and on to the budget until one schedule breaks.
func hunt(c commit.Clause) (first uint64, hits int, breaks string) {
	var mu sync.Mutex // guards the results
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := next.Add(1); seed <= budget; seed = next.Add(1) {
				mu.Lock()
				enough := first > 0 && seed > sample
				mu.Unlock()
				if enough {
					return
				}
				o := schedule(c, seed)
				o.Patience = time.Second
				r := Run(o)
				if r.Err == nil || errors.Is(r.Err, errUndetermined) {
					continue
				}
				mu.Lock()
				if seed <= sample {
					hits++
				}
				if first == 0 || seed < first {
					first, breaks = seed, kindOf(r.Err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return first, hits, breaks
}

var invariant = regexp.MustCompile(`\b[IUTSC]\d+\b|H17|leaked|not linearizable|not converge\w*|definitely failed|undetermined`)

// kindOf says in a word what a schedule broke.
func kindOf(err error) string {
	if m := invariant.FindString(err.Error()); m != "" {
		return m
	}
	_, rest, _ := strings.Cut(err.Error(), ": ")
	return strings.Join(strings.Fields(rest), " ")[:min(60, len(strings.Join(strings.Fields(rest), " ")))]
}

// document is docs/mutations.md.
func document(table []mutation) string {
	var b strings.Builder
	chance := 0
	for _, m := range table {
		if m.seed > 0 {
			chance++
		}
	}
	fmt.Fprintf(&b, `# What each rule is good for

Made by `+"`make mutation-update`"+`; `+"`make mutation`"+` plays it again. Every clause of the [protocol](reliability.md) can be
switched off in builds with the tag `+"`mutation`"+` (no other build has the switches). Without it, the schedule named here breaks: a random
one of the simulator (%d of %d clauses; the first of the seeds 1 to %d that breaks, how many of the first %d do, and what broke first), or
a directed test of package commit, or both. A clause that nothing misses fails the build. The rules of uploads and copies (U, R11 copy,
R11 match, R13 spoilt) are looked for in schedules with uploads (U4 to U7, U11 and U12 in those with repeated uploads), those of tags (T) in schedules with tags, those of nodes (N) in
schedules with leases, those of scrubs (S, R28 serving) in schedules with scrubs, those of checksums (C) in schedules with checksums, those of joins (J) in schedules in
which a replica joins, the others in schedules without.

| clause | first schedule | of %d | breaks | directed test |
|---|---|---|---|---|
`, chance, len(table), budget, sample, sample)
	for _, m := range table {
		seed, hits := "-", "-"
		if m.seed > 0 {
			seed, hits = strconv.FormatUint(m.seed, 10), strconv.Itoa(m.hits)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", m.clause, seed, hits, cmp.Or(m.breaks, "-"), cmp.Or(m.directed, "-"))
	}
	b.WriteString("\nRules whose code lies outside the machines:\n\n")
	for i := 1; i <= 30; i++ {
		if test := elsewhere["R"+strconv.Itoa(i)]; test != "" {
			fmt.Fprintf(&b, "- R%d: %s\n", i, test)
		}
	}
	return b.String()
}
