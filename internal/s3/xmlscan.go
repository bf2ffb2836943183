package s3

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// token returns the next start, end or text: for a start its local name, for a
// text its characters. io.EOF is the end of a whole document, whatever was open.
func (x *xmlReader) token() (kind xmlKind, value []byte, err error) {
	if x.selfClosed {
		x.selfClosed = false
		x.open = x.open[:len(x.open)-1]
		return xmlEnd, nil, nil
	}
	for {
		rest := x.b[x.pos:]
		switch {
		case len(rest) == 0:
			return 0, nil, x.atEnd()
		case rest[0] != '<':
			n := bytes.IndexByte(rest, '<')
			if n < 0 {
				n = len(rest)
			}
			x.pos += n
			value, err = decodeText(rest[:n])
			return xmlText, value, err
		case bytes.HasPrefix(rest, []byte("<!--")):
			_, err = x.until("<!--", "-->")
		case bytes.HasPrefix(rest, []byte("<?")):
			var pi []byte
			if pi, err = x.until("<?", "?>"); err == nil {
				err = checkDeclaration(pi)
			}
		case bytes.HasPrefix(rest, []byte("<![CDATA[")):
			if value, err = x.until("<![CDATA[", "]]>"); err == nil && !utf8.Valid(value) {
				err = errXMLEncoding
			}
			return xmlText, value, err
		case bytes.HasPrefix(rest, []byte("<!")):
			return 0, nil, errXMLDoctype
		case bytes.HasPrefix(rest, []byte("</")):
			return xmlEnd, nil, x.endTag()
		default:
			value, err = x.startTag()
			return xmlStart, value, err
		}
		if err != nil {
			return 0, nil, err
		}
	}
}

// leaf reads a child that is nothing but `<name>text</name>`, its name of letters of
// ASCII alone, whole. ok is false, and nothing was read, where anything else stands,
// were it the same in other words. The text is as it was sent, with its references.
func (x *xmlReader) leaf() (name, text []byte, ok bool) {
	if !x.utf8 || x.selfClosed || len(x.open) == maxXMLDepth {
		return nil, nil, false
	}
	rest := x.b[x.pos:]
	n := 1
	for n < len(rest) && isLetter(rest[n]) {
		n++
	}
	if n >= len(rest) || n == 1 || rest[0] != '<' || rest[n] != '>' {
		return nil, nil, false
	}
	name, rest = rest[1:n], rest[n+1:]
	size := bytes.IndexByte(rest, '<')
	if size < 0 {
		return nil, nil, false
	}
	tag := rest[size:]
	if len(tag) < len(name)+3 || tag[1] != '/' || tag[len(name)+2] != '>' || !bytes.Equal(tag[2:len(name)+2], name) {
		return nil, nil, false
	}
	x.pos += n + 1 + size + len(name) + 3
	return name, rest[:size], true
}

// skipped reads over the words if they stand here.
func (x *xmlReader) skipped(words string) bool {
	end := x.pos + len(words)
	if end > len(x.b) || string(x.b[x.pos:end]) != words {
		return false
	}
	x.pos = end
	return true
}

// plain reads what stands between two tags if the first one stands here, and nothing but
// text between it and the second.
func (x *xmlReader) plain(from, to string) (text []byte, ok bool) {
	start := x.pos
	if !x.skipped(from) {
		return nil, false
	}
	if n := bytes.IndexByte(x.b[x.pos:], '<'); n >= 0 {
		text = x.b[x.pos : x.pos+n]
		x.pos += n
		if x.skipped(to) {
			return text, true
		}
	}
	x.pos = start
	return nil, false
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func (x *xmlReader) atEnd() error {
	if x.fail != nil {
		return x.fail
	}
	return io.EOF
}

// cut is the error of a document that ends inside something.
func (x *xmlReader) cut() error {
	if x.fail != nil {
		return x.fail
	}
	return io.ErrUnexpectedEOF
}

// until returns what stands between the two marks, the first of which is here.
func (x *xmlReader) until(from, to string) ([]byte, error) {
	rest := x.b[x.pos+len(from):]
	n := bytes.Index(rest, []byte(to))
	if n < 0 {
		return nil, x.cut()
	}
	x.pos += len(from) + n + len(to)
	return rest[:n], nil
}

// checkDeclaration refuses a document that says it is not UTF-8.
func checkDeclaration(pi []byte) error {
	if !bytes.HasPrefix(pi, []byte("xml ")) {
		return nil
	}
	_, rest, ok := strings.Cut(string(pi), "encoding")
	rest = strings.TrimLeft(rest, " \t\r\n=")
	if !ok || len(rest) == 0 {
		return nil
	}
	encoding, _, _ := strings.Cut(rest[1:], rest[:1])
	if !strings.EqualFold(encoding, "utf-8") && !strings.EqualFold(encoding, "us-ascii") {
		return errXMLEncoding
	}
	return nil
}

func (x *xmlReader) endTag() error {
	raw, err := x.until("</", ">")
	if err != nil {
		return err
	}
	if len(x.open) == 0 || !bytes.Equal(bytes.TrimRight(raw, " \t\r\n"), x.open[len(x.open)-1]) {
		return errXMLSyntax
	}
	x.open = x.open[:len(x.open)-1]
	return nil
}

// startTag reads a start tag with its attributes and returns the local name.
func (x *xmlReader) startTag() ([]byte, error) {
	x.pos++
	name := x.name()
	if len(name) == 0 {
		if x.pos == len(x.b) {
			return nil, x.cut()
		}
		return nil, errXMLSyntax
	}
	for {
		spaced := x.blanks()
		rest := x.b[x.pos:]
		switch {
		case len(rest) == 0 || len(rest) == 1 && rest[0] == '/':
			return nil, x.cut()
		case rest[0] == '>':
			x.pos++
		case rest[0] == '/' && rest[1] == '>':
			x.pos += 2
			x.selfClosed = true
		case !spaced:
			return nil, errXMLSyntax
		default:
			if err := x.attribute(); err != nil {
				return nil, err
			}
			continue
		}
		break
	}
	if len(x.open) == maxXMLDepth {
		return nil, errXMLTooDeep
	}
	x.open = append(x.open, name)
	return name[bytes.LastIndexByte(name, ':')+1:], nil
}

// attribute reads over name="value".
func (x *xmlReader) attribute() error {
	name := x.name()
	x.blanks()
	switch {
	case x.pos == len(x.b):
		return x.cut()
	case len(name) == 0 || x.b[x.pos] != '=':
		return errXMLSyntax
	}
	x.pos++
	x.blanks()
	if x.pos == len(x.b) {
		return x.cut()
	}
	quote := x.b[x.pos]
	if quote != '"' && quote != '\'' {
		return errXMLSyntax
	}
	value, err := x.until(string(quote), string(quote))
	if err == nil && bytes.IndexByte(value, '<') >= 0 {
		err = errXMLSyntax
	}
	return err
}

// name reads the characters that can stand in a name. Letters beyond ASCII are
// not told apart from other characters there.
func (x *xmlReader) name() []byte {
	start := x.pos
	for x.pos < len(x.b) {
		c := x.b[x.pos]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == ':' || c >= 0x80
		inner := '0' <= c && c <= '9' || c == '-' || c == '.'
		if !letter && (x.pos == start || !inner) {
			break
		}
		x.pos++
	}
	return x.b[start:x.pos]
}

func (x *xmlReader) blanks() bool {
	start := x.pos
	for x.pos < len(x.b) && isBlank(x.b[x.pos]) {
		x.pos++
	}
	return x.pos > start
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// decodeText resolves the references of a text.
func decodeText(raw []byte) ([]byte, error) {
	if !utf8.Valid(raw) {
		return nil, errXMLEncoding
	}
	i := bytes.IndexByte(raw, '&')
	if i < 0 {
		return raw, nil
	}
	out := make([]byte, 0, len(raw))
	for ; i >= 0; i = bytes.IndexByte(raw, '&') {
		out = append(out, raw[:i]...)
		end := bytes.IndexByte(raw[i:], ';')
		if end < 0 {
			return nil, errXMLSyntax
		}
		r, ok := reference(string(raw[i+1 : i+end]))
		if !ok {
			return nil, errXMLSyntax
		}
		out = utf8.AppendRune(out, r)
		raw = raw[i+end+1:]
	}
	return append(out, raw...), nil
}

// reference returns what stands for `&name;`: one of the five of XML, or a
// number of any character but NUL, which no key holds.
func reference(name string) (rune, bool) {
	switch name {
	case "amp":
		return '&', true
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return 0, false
	}
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil || n == 0 || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
		return 0, false
	}
	return rune(n), true
}
