//go:build e2e

package conformance

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

var (
	whole  = flag.Bool("conformance.whole", false, "run every group of the suite, over one server and over three")
	only   = flag.String("conformance.only", "", "run the tests that match, of all groups")
	update = flag.Bool("conformance.update", false, "with -conformance.whole: rewrite the table of differences and the document")
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// own are the groups that s3mirror answers by itself, whatever is behind it.
var own = []string{
	"TestAuthentication", "TestPresignedAuthentication", "TestPostObject", "TestRouter", "TestServer",
	"TestUnsignedStreaminPayloadTrailer", "TestSignedStreaminPayload", "TestSignedStreaminPayloadTrailer",
	"TestPutBucketPolicy", "TestGetBucketPolicy", "TestDeleteBucketPolicy",
	"TestPreflightOPTIONSEndpoint", "TestPutBucketCors", "TestGetBucketCors", "TestDeleteBucketCors", "TestNotImplementedActions",
}

// verdicts are the results of the suite, by target and test.
type verdicts struct {
	mu     sync.Mutex // guards passed and said
	passed map[string]map[string]bool
	said   map[string]map[string]string
}

func (v *verdicts) note(g target, test suiteTest, ok bool, said string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.passed[g.name] == nil {
		v.passed[g.name], v.said[g.name] = map[string]bool{}, map[string]string{}
	}
	v.passed[g.name][test.name], v.said[g.name][test.name] = ok, said
}

// TestVersitygwSuite: what passes directly passes through s3mirror as well, but for what
// the table names.
func TestVersitygwSuite(t *testing.T) {
	t.Parallel()
	tests := readSuite(t)
	switch {
	case *only != "":
		match := regexp.MustCompile(*only)
		tests = slices.DeleteFunc(tests, func(s suiteTest) bool { return !match.MatchString(s.group + " " + s.name) })
	case !*whole:
		tests = slices.DeleteFunc(tests, func(s suiteTest) bool { return !slices.Contains(own, s.group) })
	}
	targets := []target{direct(t), behind(t, 3)}
	if *whole {
		targets = append(targets, behind(t, 1), behindTwoMakes(t))
	}
	v := runAll(t, tests, targets)
	if t.Failed() {
		return
	}
	k := readKnown(t, knownFile)
	lost := v.judge(t, tests, targets, k)
	if *whole && *update {
		if err := k.write(lost); err != nil {
			t.Fatal(err)
		}
		v.document(t, tests, targets, k, lost)
	}
}

// runAll runs the tests against all targets, beside each other.
func runAll(t *testing.T, tests []suiteTest, targets []target) *verdicts {
	t.Helper()
	v := &verdicts{passed: map[string]map[string]bool{}, said: map[string]map[string]string{}}
	var all sync.WaitGroup
	for _, g := range targets {
		all.Go(func() {
			for _, test := range tests {
				ok, said, err := g.passes(t, test)
				if err != nil {
					t.Errorf("%s: after %s: %v", g.name, test.name, err)
					return
				}
				v.note(g, test, ok, said)
			}
		})
	}
	all.Wait()
	return v
}

// judge returns the tests that pass directly and not through s3mirror, and fails for
// those that the table does not name, and for none that ran at all.
func (v *verdicts) judge(t *testing.T, tests []suiteTest, targets []target, k known) (lost []string) {
	t.Helper()
	passed := v.passed[targets[0].name]
	for _, test := range tests {
		missed := false
		for _, g := range targets[1:] {
			if !passed[test.name] || v.passed[g.name][test.name] {
				continue
			}
			missed = true
			if k.tests[test.name] == "" && !*update {
				t.Errorf("%s passes directly, and not %s: %s", test.name, g.name, v.said[g.name][test.name])
			}
		}
		switch {
		case missed && !slices.Contains(lost, test.name):
			lost = append(lost, test.name)
		case !missed && passed[test.name] && k.tests[test.name] != "":
			t.Logf("%s is in the table of differences, and is none any more", test.name)
		}
	}
	for _, g := range targets {
		n := 0
		for _, ok := range v.passed[g.name] {
			if ok {
				n++
			}
		}
		t.Logf("%-16s %d of %d pass", g.name, n, len(tests))
		if n < len(tests)/3 {
			t.Errorf("only %d of %d tests pass %s: the suite proves nothing", n, len(tests), g.name)
		}
	}
	return lost
}
