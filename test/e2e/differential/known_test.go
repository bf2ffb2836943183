//go:build e2e

package differential

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// known are the differences that there may be, one a line of a file: the kind of the request,
// the outcome directly and through s3mirror, all as patterns, and the reason. Where both
// outcomes are the same, what the answers tell may differ.
type known struct {
	rules []rule
	met   int
}

type rule struct {
	line string
	of   [3]*regexp.Regexp
	met  int
}

func readKnown(t *testing.T, file string) *known {
	t.Helper()
	data, err := os.ReadFile(file)
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
			t.Fatalf("%s: %q is no kind, two outcomes and a reason", file, line)
		}
		r := rule{line: line}
		for i := range r.of {
			r.of[i] = regexp.MustCompile("^(" + fields[i] + ")$")
		}
		k.rules = append(k.rules, r)
	}
	return k
}

// has tells whether a difference is known, and counts it.
func (k *known) has(label string, a, b seen) bool {
	for i := range k.rules {
		r := &k.rules[i]
		if r.of[0].MatchString(label) && r.of[1].MatchString(a.outcome) && r.of[2].MatchString(b.outcome) {
			r.met++
			k.met++
			return true
		}
	}
	return false
}

// idle are the lines that no difference needed.
func (k *known) idle() (lines []string) {
	for _, r := range k.rules {
		if r.met == 0 {
			lines = append(lines, r.line)
		}
	}
	return lines
}
