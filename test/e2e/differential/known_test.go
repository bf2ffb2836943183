//go:build e2e

package differential

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// knownFile names the differences that there may be, one a line: the kind of the request,
// the outcome directly and through s3mirror, all as patterns, and the reason. Where both
// outcomes are the same, what the answers tell may differ.
const knownFile = "testdata/known.txt"

type known struct {
	rules [][3]*regexp.Regexp
	met   int
}

func readKnown(t *testing.T) *known {
	t.Helper()
	data, err := os.ReadFile(knownFile)
	if err != nil {
		t.Fatal(err)
	}
	k := &known{}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Split(line, " | ")
		if len(fields) != 4 || fields[3] == "" {
			t.Fatalf("%s: %q is no kind, two outcomes and a reason", knownFile, line)
		}
		var rule [3]*regexp.Regexp
		for i := range rule {
			rule[i] = regexp.MustCompile("^(" + fields[i] + ")$")
		}
		k.rules = append(k.rules, rule)
	}
	return k
}

func (k *known) has(label string, a, b seen) bool {
	for _, rule := range k.rules {
		if rule[0].MatchString(label) && rule[1].MatchString(a.outcome) && rule[2].MatchString(b.outcome) {
			return true
		}
	}
	return false
}
