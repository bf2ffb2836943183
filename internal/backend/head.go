package backend

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// Bounds of an answer's head. S3 allows 8 KiB of headers.
const (
	maxHead    = 64 << 10 // bytes
	maxFields  = 256
	maxInterim = 5 // heads of 1xx before the real one
)

var (
	errLongHead = fmt.Errorf("%w: its head is too long", ErrAnswer)
	errBareLF   = fmt.Errorf("%w: a line of its head does not end in CR LF", ErrAnswer)
	errBadLine  = fmt.Errorf("%w: its first line is not HTTP's", ErrAnswer)
	errBadField = fmt.Errorf("%w: a line of its head is no header", ErrAnswer)
	errFraming  = fmt.Errorf("%w: its head does not say how long it is", ErrAnswer)
	errNoAnswer = errors.New("connection was closed without an answer")
)

// head is the head of an answer, of which every server in between must have
// thought the same: it is stricter than RFC 9112 lets a client be, since what
// follows may be the answer to somebody else's request.
type head struct {
	status  int
	header  http.Header
	length  int64 // as declared; -1: not
	chunked bool
	last    bool // the connection ends with this answer
}

// headEnd tells how long the head at the beginning of b is; 0: its end has not
// come yet. Bytes before seen were looked at in an earlier call.
func headEnd(b []byte, seen int) (int, error) {
	for at := seen; ; at++ {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			break
		}
		at += i
		if at == 0 || b[at-1] != '\r' {
			return 0, errBareLF
		}
		if at >= 3 && b[at-2] == '\n' {
			return at + 1, nil
		}
	}
	if len(b) >= maxHead {
		return 0, errLongHead
	}
	return 0, nil
}

// parseHead reads a head, with the empty line that ends it.
func parseHead(text string) (head, error) {
	line, rest, _ := strings.Cut(text, "\r\n")
	lines := min(strings.Count(rest, "\n"), maxFields)
	h := head{header: make(http.Header, lines), length: -1}
	old, err := h.statusLine(line)
	if err != nil {
		return head{}, err
	}
	values := make([]string, 0, lines) // one array for the values of all
	for fields := 0; ; fields++ {
		line, rest, _ = strings.Cut(rest, "\r\n")
		if line == "" {
			break
		}
		if fields == maxFields {
			return head{}, errLongHead
		}
		name, value, err := field(line)
		if err != nil {
			return head{}, err
		}
		if h.header[name] == nil && len(values) < cap(values) {
			values = append(values, value)
			h.header[name] = values[len(values)-1 : len(values) : len(values)]
		} else {
			h.header[name] = append(h.header[name], value)
		}
	}
	if err := h.framing(old); err != nil {
		return head{}, err
	}
	return h, nil
}

// statusLine reads the first line. old tells that it is of HTTP/1.0.
func (h *head) statusLine(line string) (old bool, err error) {
	version, rest, _ := strings.Cut(line, " ")
	code, reason, _ := strings.Cut(rest, " ")
	if version != "HTTP/1.1" && version != "HTTP/1.0" || len(code) != 3 || !printable(reason) {
		return false, errBadLine
	}
	for i := range len(code) {
		if code[i] < '0' || code[i] > '9' {
			return false, errBadLine
		}
	}
	h.status = int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0')
	if h.status < 100 || h.status > 599 {
		return false, errBadLine
	}
	return version == "HTTP/1.0", nil
}

// field reads one header. Its name is in Go's spelling.
func field(line string) (name, value string, err error) {
	name, value, ok := strings.Cut(line, ":")
	if !ok || !token(name) {
		return "", "", errBadField // folded lines among them: no token begins with a blank
	}
	value = strings.Trim(value, " \t")
	if !printable(value) {
		return "", "", errBadField
	}
	return textproto.CanonicalMIMEHeaderKey(name), value, nil
}

// token tells whether s is a name as RFC 9110 has it.
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c > ' ' && strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// printable tells whether s has no control characters but tabs.
func printable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// framing finds out how long the body is.
func (h *head) framing(old bool) error {
	lengths, codings := h.header["Content-Length"], h.header["Transfer-Encoding"]
	switch {
	case len(lengths) > 1, len(codings) > 1, len(lengths) > 0 && len(codings) > 0, len(codings) > 0 && old:
		return errFraming
	case len(lengths) == 1:
		n, err := strconv.ParseUint(lengths[0], 10, 63)
		if err != nil {
			return errFraming
		}
		h.length = int64(n)
	case len(codings) == 1:
		if !strings.EqualFold(codings[0], "chunked") {
			return errFraming
		}
		h.chunked = true
	}
	h.last = old
	for _, v := range h.header["Connection"] {
		for option := range strings.SplitSeq(v, ",") {
			h.last = h.last || strings.EqualFold(strings.Trim(option, " \t"), "close")
		}
	}
	return nil
}

// bodiless tells whether no body follows, whatever the head declares.
func (h *head) bodiless(method string) bool {
	return method == http.MethodHead || h.status == http.StatusNoContent || h.status == http.StatusNotModified
}

// readHead reads the head of an answer from r into buf, a part of which may be
// filled already, past interim ones, of which it tells through interim. It
// returns what was read behind the head, a part of buf or of a larger one.
func readHead(r io.Reader, buf []byte, interim func(status int)) (h head, rest []byte, err error) {
	seen := 0
	for interims := 0; ; {
		end, err := headEnd(buf, seen)
		if err != nil {
			return head{}, buf, err
		}
		if end > 0 {
			h, err := parseHead(string(buf[:end]))
			if err == nil && (h.status == http.StatusSwitchingProtocols || h.status < 200 && interims == maxInterim) {
				err = fmt.Errorf("%w: status %d", ErrAnswer, h.status)
			}
			if err != nil {
				return head{}, buf, err
			}
			buf = buf[end:]
			if h.status >= 200 {
				return h, buf, nil
			}
			interims++
			seen = 0
			interim(h.status)
			continue
		}
		seen = len(buf)
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, min(max(2*len(buf), 8<<10), maxHead)), buf...)
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if n == 0 && err != nil {
			if err == io.EOF {
				err = errNoAnswer
			}
			return head{}, buf, err
		}
	}
}
