package sigv4

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// unreserved holds the bytes that AWS leaves as they are: RFC 3986's
// unreserved set and nothing else. net/url's encoders leave more.
var unreserved = func() (t [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~" {
		t[c] = true
	}
	return t
}()

// EscapePath encodes a decoded path as AWS does: every byte but the unreserved
// ones and '/' becomes %XX, upper case. Nothing is cleaned: "//" and "/../"
// stay.
func EscapePath(raw string) string { return escape(raw, true) }

// EscapeQuery encodes a decoded query name or value as AWS does; '/' and the
// space are encoded too (%2F, %20).
func EscapeQuery(raw string) string { return escape(raw, false) }

func escape(raw string, keepSlash bool) string {
	const digits = "0123456789ABCDEF"
	n := 0
	for i := range len(raw) {
		if !unreserved[raw[i]] && (raw[i] != '/' || !keepSlash) {
			n++
		}
	}
	if n == 0 {
		return raw
	}
	b := make([]byte, 0, len(raw)+2*n)
	for i := range len(raw) {
		if c := raw[i]; unreserved[c] || c == '/' && keepSlash {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(b)
}

// DecodePath undoes percent-encoding in the raw path of a request. A plus is a
// plus. The bytes are returned as they are, valid UTF-8 or not. A percent sign
// without two hex digits is an error (*Error, InvalidURI).
func DecodePath(rawPath string) (string, error) {
	s, ok := unescape(rawPath, false)
	if !ok {
		return "", &Error{Code: codeInvalidURI, Message: "Couldn't parse the specified URI.",
			Err: fmt.Errorf("percent sign without two hex digits in %q", rawPath)}
	}
	return s, nil
}

// unescape decodes %XX, and '+' to a space in forms. Broken escapes are copied
// as they stand and reported by ok = false.
func unescape(s string, form bool) (out string, ok bool) {
	if !strings.ContainsAny(s, "%+") {
		return s, true
	}
	ok = true
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+' && form:
			b = append(b, ' ')
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b = append(b, hexValue(s[i+1])<<4|hexValue(s[i+2]))
			i += 2
		case c == '%':
			ok = false
			fallthrough
		default:
			b = append(b, c)
		}
	}
	return string(b), ok
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func hexValue(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// CanonicalQuery brings a raw query into the form that is signed: split on '&'
// only (a semicolon is data), each pair split at its first '=', form-decoded
// ('+' is a space), AWS-encoded, sorted by encoded name, then value. A pair
// without '=' gets one. Empty pairs vanish. A percent sign without two hex
// digits stands for itself. The parameters named in drop (decoded) are left
// out.
func CanonicalQuery(rawQuery string, drop ...string) string {
	if rawQuery == "" {
		return ""
	}
	type pair struct{ name, value string }
	pairs := make([]pair, 0, 1+strings.Count(rawQuery, "&"))
	for p := range strings.SplitSeq(rawQuery, "&") {
		if p == "" {
			continue
		}
		name, value, _ := strings.Cut(p, "=")
		name, _ = unescape(name, true)
		if slices.Contains(drop, name) {
			continue
		}
		value, _ = unescape(value, true)
		pairs = append(pairs, pair{EscapeQuery(name), EscapeQuery(value)})
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
	})
	var b strings.Builder
	b.Grow(len(rawQuery) + 16)
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name)
		b.WriteByte('=')
		b.WriteString(p.value)
	}
	return b.String()
}
