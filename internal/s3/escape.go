package s3

import (
	"errors"
	"strings"
)

// errBadEscape is a `%` that two hex digits do not follow.
var errBadEscape = errors.New("invalid percent escape")

const upperHex = "0123456789ABCDEF"

// EscapeKey encodes a key for a path, for the canonical URI of a signature and
// for encoding-type=url: every byte but A-Z a-z 0-9 - . _ ~ and the slash
// becomes %XX. Blanks become %20 and plus signs %2B, since some readers take a
// raw plus for a blank and others do not.
func EscapeKey(key string) string { return escape(key, '/') }

// EscapeQuery encodes a name or value of a query: as EscapeKey, and the slash
// too.
func EscapeQuery(s string) string { return escape(s, 'A') }

// escape leaves the unreserved characters and one more byte as they are.
func escape(s string, keep byte) string {
	n := 0
	for i := range len(s) {
		if c := s[i]; !unreserved(c) && c != keep {
			n++
		}
	}
	if n == 0 {
		return s
	}
	b := make([]byte, 0, len(s)+2*n)
	for i := range len(s) {
		c := s[i]
		if unreserved(c) || c == keep {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(b)
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

// DecodePath decodes percent escapes, upper or lower case, and nothing else: a
// plus is a plus.
func DecodePath(s string) (string, error) { return unescape(s, false) }

// DecodeQuery decodes percent escapes and takes a plus for a blank. It reads
// the answers to encoding-type=url too: AWS writes a blank as a plus there.
func DecodeQuery(s string) (string, error) { return unescape(s, true) }

func unescape(s string, form bool) (string, error) {
	if strings.IndexByte(s, '%') < 0 && (!form || strings.IndexByte(s, '+') < 0) {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%':
			if i+2 >= len(s) {
				return "", errBadEscape
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi > 15 || lo > 15 {
				return "", errBadEscape
			}
			b = append(b, hi<<4|lo)
			i += 2
		case c == '+' && form:
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return string(b), nil
}

// unhex returns 16 for what is no hex digit.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}
