package object

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// KeyRules is a set of kinds of keys that not every server can hold: those that store
// objects as files refuse some and take others for another key (S3.md 2.3, 7.4). Which
// ones a server has trouble with is found out by probes.
type KeyRules uint32

// The kinds. A key may be of several.
const (
	FileAndFolder    KeyRules = 1 << iota // a key beside one that goes on behind it with a slash: no key is one by itself
	EmptySegment                          // "a//b", "/a"
	DotSegment                            // "a/./b"
	DotDotSegment                         // "a/../b"
	FolderWithData                        // "a/" that is not empty
	FolderObject                          // "a/" that is empty
	TrailingDot                           // "a./b"
	UpperCase                             // where "Key" and "key" are one, only lower case is safe
	CombiningMark                         // where forms of Unicode are one, only composed characters are safe
	Backslash                             // "a\b"
	PercentEscape                         // "a%2Fb", unescaped
	Plus                                  // "a+b"
	LongSegment                           // more than MaxSegment bytes between two slashes
	LongKey                               // more than MaxPath bytes
	Wildcard                              // any of * ? < > : " |
	BackslashDots                         // "a\..\b": a segment of dots for whom a backslash is a slash
	ControlCharacter                      // what XML 1.0 cannot carry: below U+0020 but for tab, LF and CR; no UTF-8
	endOfKeyRules
)

// What file systems hold at the least.
const (
	MaxSegment = 255 // bytes
	MaxPath    = 800 // bytes; what is tried has a little more
)

// keyRules are their names and what a client is told of them.
var keyRules = map[KeyRules]struct{ name, words string }{
	FileAndFolder:    {"file-and-folder", "a key beside one that continues it after a slash"},
	EmptySegment:     {"empty-segment", "an empty segment, as in a//b or /a"},
	DotSegment:       {"dot-segment", "the segment \".\""},
	DotDotSegment:    {"dot-dot-segment", "the segment \"..\""},
	FolderWithData:   {"trailing-slash", "a slash at its end and data in the object"},
	FolderObject:     {"folder-object", "a slash at its end"},
	TrailingDot:      {"trailing-dot", "a segment that ends in a dot"},
	UpperCase:        {"case", "upper-case letters"},
	CombiningMark:    {"unicode-form", "characters that Unicode has in several forms"},
	Backslash:        {"backslash", "a backslash"},
	PercentEscape:    {"percent", "a percent sign before two hexadecimal digits"},
	Plus:             {"plus", "a plus sign"},
	LongSegment:      {"long-segment", "a segment of more than 255 bytes"},
	LongKey:          {"long-key", "more than 800 bytes"},
	Wildcard:         {"star-and-question", "one of the characters * ? < > : \" |"},
	BackslashDots:    {"backslash-dots", "the segment \".\" or \"..\" beside a backslash"},
	ControlCharacter: {"control-character", "a character that lists cannot carry"},
}

// AllKeyRules lists every kind, in order.
func AllKeyRules() []KeyRules {
	var all []KeyRules
	for r := FileAndFolder; r < endOfKeyRules; r <<= 1 {
		all = append(all, r)
	}
	return all
}

// String is the name of the first kind in the set; of a probe, too.
func (r KeyRules) String() string { return keyRules[r&-r].name }

// Words say what a key of the first kind in the set has in it.
func (r KeyRules) Words() string { return keyRules[r&-r].words }

// KeyRulesOf tells of which kinds a key is by itself, for an object of so many bytes;
// negative when the size is not known yet. (Never FileAndFolder.)
func KeyRulesOf(key string, size int64) (found KeyRules) {
	if len(key) > MaxPath {
		found |= LongKey
	}
	if strings.HasSuffix(key, "/") && !strings.HasSuffix(key, "//") && key != "/" {
		if size == 0 {
			found |= FolderObject
		} else {
			found |= FolderWithData
		}
	}
	start := 0
	for i := 0; i <= len(key); i++ {
		if i < len(key) && key[i] != '/' {
			found |= byteRules(key, i)
			continue
		}
		if i < len(key) || start < len(key) {
			found |= segmentRules(key[start:i])
		}
		start = i + 1
	}
	if found&Backslash != 0 && dotted(key) {
		found |= BackslashDots
	}
	if found&nonASCII != 0 {
		found = found&^nonASCII | runeRules(key)
	}
	return found
}

// dotted tells whether the key has a segment of dots, where backslashes are slashes too.
func dotted(key string) bool {
	for s := range strings.FieldsFuncSeq(key, func(c rune) bool { return c == '/' || c == '\\' }) {
		if s == "." || s == ".." {
			return true
		}
	}
	return false
}

// nonASCII says that bytes alone do not tell: it is no kind.
const nonASCII KeyRules = 1 << 31

// kinds are those that one byte makes a key be of.
var kinds = func() (t [256]KeyRules) {
	for c := range t {
		switch {
		case c >= utf8.RuneSelf:
			t[c] = nonASCII
		case c >= 'A' && c <= 'Z':
			t[c] = UpperCase
		case c < ' ' && c != '\t' && c != '\n' && c != '\r':
			t[c] = ControlCharacter
		}
	}
	for _, c := range []byte(`*?<>:"|`) {
		t[c] = Wildcard
	}
	t['\\'], t['+'] = Backslash, Plus
	return t
}()

func byteRules(key string, i int) KeyRules {
	if key[i] == '%' && i+2 < len(key) && isHex(key[i+1]) && isHex(key[i+2]) {
		return PercentEscape
	}
	return kinds[key[i]]
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func segmentRules(s string) KeyRules {
	switch {
	case s == "":
		return EmptySegment
	case s == ".":
		return DotSegment
	case s == "..":
		return DotDotSegment
	}
	var found KeyRules
	if s[len(s)-1] == '.' {
		found |= TrailingDot
	}
	if len(s) > MaxSegment {
		found |= LongSegment
	}
	return found
}

// runeRules are the kinds that depend on characters beyond ASCII. A character that has
// another form by itself (a singleton, a compatibility ideograph) counts as one that is
// made of several.
func runeRules(key string) (found KeyRules) {
	for i, c := range key {
		switch {
		case c < utf8.RuneSelf:
		case c == 0xfffe, c == 0xffff, c == utf8.RuneError && !strings.HasPrefix(key[i:], string(utf8.RuneError)):
			found |= ControlCharacter
		case unicode.ToLower(c) != c:
			found |= UpperCase
		case unicode.In(c, unicode.Mn, unicode.Mc), c >= 0x1100 && c <= 0x11ff, c >= 0xf900 && c <= 0xfaff,
			c >= 0x2000 && c <= 0x2001, c == 0x2126, c == 0x212a, c == 0x212b, c == 0x2329, c == 0x232a:
			found |= CombiningMark
		}
	}
	return found
}
