package object_test

import (
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/object"
)

func TestKeyRulesOf(t *testing.T) {
	for _, c := range []struct {
		key  string
		size int64
		want object.KeyRules
	}{
		{"a", 1, 0}, {"a/b.txt", 1, 0}, {"photos/2026/ü-ß 1_2(3)!'$&@=,;~", 1, 0}, {".hidden", 1, 0}, {"a/..b/...c", 1, 0},
		{"a//b", 1, object.EmptySegment}, {"/a", 1, object.EmptySegment}, {"a//", 1, object.EmptySegment}, {"/", 0, object.EmptySegment},
		{"a/./b", 1, object.DotSegment}, {"./a", 1, object.DotSegment}, {"o/x/.", 1, object.DotSegment}, {".", 1, object.DotSegment},
		{"a/../b", 1, object.DotDotSegment}, {"..", 1, object.DotDotSegment}, {"../x", 1, object.DotDotSegment},
		{"a/", 1, object.FolderWithData}, {"a/", -1, object.FolderWithData}, {"a/", 0, object.FolderObject}, {"a/./", 0, object.DotSegment | object.FolderObject},
		{"a.", 1, object.TrailingDot}, {"a./b", 1, object.TrailingDot}, {"a...", 1, object.TrailingDot},
		{"aB", 1, object.UpperCase}, {"Ü", 1, object.UpperCase},
		{"e\u0301", 1, object.CombiningMark}, {"\u212b", 1, object.UpperCase}, {"\u2126", 1, object.UpperCase}, {"\u1100", 1, object.CombiningMark},
		{`a\b`, 1, object.Backslash}, {"a%2Fb", 1, object.PercentEscape | object.UpperCase}, {"100%", 1, 0}, {"5%2", 1, 0}, {"%aa", 1, object.PercentEscape},
		{`a\..\b`, 1, object.Backslash | object.BackslashDots}, {`..\x`, 1, object.Backslash | object.BackslashDots}, {`x/.\y`, 1, object.Backslash | object.BackslashDots},
		{`a\...\b`, 1, object.Backslash}, {`a\b..c/..\`, 1, object.Backslash | object.BackslashDots},
		{"a+b", 1, object.Plus}, {"a*b", 1, object.Wildcard}, {"a?b", 1, object.Wildcard}, {"c:d", 1, object.Wildcard},
		{"a\x01b", 1, object.ControlCharacter}, {"a\x00", 1, object.ControlCharacter}, {"a\tb\nc\rd\x7f", 1, 0}, {"\uffff", 1, object.ControlCharacter}, {"\ufffd", 1, 0},
		{strings.Repeat("s", 255), 1, 0}, {strings.Repeat("s", 256), 1, object.LongSegment}, {"a/" + strings.Repeat("s", 256) + "/b", 1, object.LongSegment},
		{strings.Repeat("s/", 400) + "s", 1, object.LongKey}, {strings.Repeat("s/", 399) + "ss", 1, 0},
		{"\xff\xfe", 1, object.ControlCharacter}, {"a\xc3", 1, object.ControlCharacter},
	} {
		if got := object.KeyRulesOf(c.key, c.size); got != c.want {
			t.Errorf("%q of %d bytes: %b (%v), want %b (%v)", c.key, c.size, got, got, c.want, c.want)
		}
	}
}

func TestEveryKeyRuleHasANameAndWords(t *testing.T) {
	names := map[string]bool{"": true}
	for _, r := range object.AllKeyRules() {
		if names[r.String()] || r.Words() == "" {
			t.Errorf("rule %b: %q, %q", r, r, r.Words())
		}
		names[r.String()] = true
	}
	if len(object.AllKeyRules()) != 17 || object.KeyRules(0).String() != "" {
		t.Errorf("%v", object.AllKeyRules())
	}
}

func BenchmarkKeyRulesOf(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		object.KeyRulesOf("photos/2026/11/28/IMG_20261128_101112.jpg", 4096)
	}
}
