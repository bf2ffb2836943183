package backend

import (
	"fmt"
	"testing"
)

// FuzzContentRange: what is taken is what it says, byte for byte.
func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-0/1", "bytes 2-4/9", "bytes 5-4/9", "bytes 0-9/9", "bytes */9", "bytes 0-1/*", "",
		"bytes -1-2/3", "bytes 0-18446744073709551615/18446744073709551616", "bytes 00-01/02", "bytes 0-9223372036854775806/9223372036854775807"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, ok := parseContentRange(s)
		if !ok {
			return
		}
		if e.offset < 0 || e.length < 1 || e.size < 1 || e.offset > e.size-e.length {
			t.Fatalf("%q: %+v", s, e)
		}
		again := fmt.Sprintf("bytes %d-%d/%d", e.offset, e.offset+e.length-1, e.size)
		if e2, ok := parseContentRange(again); !ok || e2 != e {
			t.Fatalf("%q: %+v, then %q: %+v", s, e, again, e2)
		}
	})
}
