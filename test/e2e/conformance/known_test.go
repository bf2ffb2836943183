//go:build e2e

package conformance

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// knownFile names every test that passes directly and not through s3mirror.
const knownFile = "testdata/versitygw.txt"

// minioGoFile is the same for minio-go's tests.
const minioGoFile = "testdata/minio-go.txt"

// known are the differences that there may be: of a test the word for its reason, and of
// that word the reason.
type known struct {
	file           string
	tests, reasons map[string]string
	head           []string // comments of the file
}

func readKnown(t *testing.T, file string) known {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	k := known{file, map[string]string{}, map[string]string{}, nil}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		name, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "":
		case strings.HasPrefix(line, "#"):
			k.head = append(k.head, line)
		case strings.HasSuffix(name, ":"):
			k.reasons[strings.TrimSuffix(name, ":")] = strings.TrimSpace(rest)
		default:
			k.tests[name] = strings.TrimSpace(rest)
		}
	}
	for name, word := range k.tests {
		if k.reasons[word] == "" {
			t.Errorf("%s: %s: no reason stands behind the word %q", file, name, word)
		}
	}
	return k
}

// write rewrites the file: the tests that are lost, each with the reason that it had.
func (k known) write(lost []string) error {
	var b strings.Builder
	for _, line := range k.head {
		fmt.Fprintln(&b, line)
	}
	fmt.Fprintln(&b)
	for _, word := range slices.Sorted(maps.Keys(k.reasons)) {
		fmt.Fprintf(&b, "%s: %s\n", word, k.reasons[word])
	}
	fmt.Fprintln(&b)
	for _, name := range slices.Sorted(slices.Values(lost)) {
		word := k.tests[name]
		if word == "" {
			word = "?"
		}
		fmt.Fprintf(&b, "%s %s\n", name, word)
	}
	return os.WriteFile(k.file, []byte(b.String()), 0o644) //nolint:gosec // part of the source
}
