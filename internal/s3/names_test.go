package s3

import (
	"strings"
	"testing"
)

func TestBucketNames(t *testing.T) {
	good := []string{"abc", "a.b", "1a2", "my-bucket.example.org", "a--b", "1.2.3", strings.Repeat("a", 63), "10.0.0.1.example"}
	bad := []string{"", "ab", "..", ".", "...", "abc.", ".abc", "a..b", "-abc", "abc-", "a.-b", "a-.b", "Abc", "a_b", "a b", "a/b",
		"h\u00e9llo", "192.168.0.1", "a\x00b", strings.Repeat("a", 64), "xn--abc", "sthree-abc", "abc-s3alias", "abc--ol-s3",
		"abc.mrap", "abc--x-s3", "abc--table-s3"}
	for _, name := range good {
		if err := CheckBucketName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range bad {
		if err := CheckBucketName(name); codeOf(err) != InvalidBucketName {
			t.Errorf("%q: %v", name, err)
		}
	}
}
