package gateway

import (
	"bytes"
	"errors"
	"strconv"
)

// framing follows where requests begin and end in what a client sends, and
// refuses every request of which a server in front of us could think otherwise:
// who finds two such servers can smuggle requests past the first, or have the
// second append a stranger's request to a body of his own.
//
// net/http is lenient where RFC 9112 lets it be. It takes a Content-Length
// beside a Transfer-Encoding and shows the handler no trace of it, joins folded
// headers, ends lines at a bare LF, drops a repeated Content-Length. No S3 client
// does any of this. Whatever net/http refuses itself needs no care here: after
// that there is no next request.
//
// The zero value stands before the first request of a connection.
type framing struct {
	expect  expectation
	left    uint64 // bytes of the body, or of the chunk, still to come
	part    []byte // of a line whose end has not come yet
	old     bool   // the request is not of HTTP/1.1, and so knows no chunks
	length  bool   // it has a Content-Length
	chunked bool   // it has a Transfer-Encoding
}

// expectation is what comes next.
type expectation uint8

const (
	requestLine expectation = iota
	headerLine
	bodyBytes
	chunkSize
	chunkBytes
	chunkEnd
	trailerLine
)

// Bounds in bytes. net/http answers 431 long before maxLine.
const (
	maxLine  = 128 << 10
	keepLine = 4 << 10 // of the memory for a line, between lines
)

var (
	errTwoFramings = errors.New("request has a Content-Length beside a Transfer-Encoding, or two of either")
	errBadLength   = errors.New("request has a malformed Content-Length")
	errOldChunked  = errors.New("request of another version than HTTP/1.1 has a Transfer-Encoding")
	errFolded      = errors.New("request has a folded header")
	errBareLF      = errors.New("request has a line that does not end in CR LF")
	errLongLine    = errors.New("request has a line that is too long")
	errBadChunk    = errors.New("request has a malformed chunk")
)

// scan follows what was received. The bytes up to clean are in order; with an
// error the rest is not, and no more may be scanned.
func (f *framing) scan(p []byte) (clean int, err error) {
	for rest := p; len(rest) > 0; {
		clean = len(p) - len(rest)
		if f.expect == bodyBytes || f.expect == chunkBytes {
			rest = f.skip(rest)
			continue
		}
		line, after, whole, err := f.line(rest)
		if err == nil && whole {
			err = f.take(line)
		}
		if err != nil {
			return clean, err
		}
		if whole {
			f.forget()
		}
		rest = after
	}
	return len(p), nil
}

// forget drops a line that was read, and the memory of a long one.
func (f *framing) forget() {
	if f.part = f.part[:0]; cap(f.part) > keepLine {
		f.part = nil
	}
}

func (f *framing) skip(p []byte) (rest []byte) {
	n := min(f.left, uint64(len(p)))
	if f.left -= n; f.left == 0 {
		if f.expect == bodyBytes {
			f.expect = requestLine
		} else {
			f.expect = chunkEnd
		}
	}
	return p[n:]
}

// line returns the next line without its end, and what follows it. whole is
// false when its end has not come yet.
func (f *framing) line(p []byte) (line, rest []byte, whole bool, err error) {
	line, rest, whole = bytes.Cut(p, []byte{'\n'})
	if len(f.part)+len(line) > maxLine {
		return nil, nil, false, errLongLine
	}
	if !whole || len(f.part) > 0 {
		f.part = append(f.part, line...)
		line = f.part
	}
	if !whole {
		return nil, nil, false, nil
	}
	line, ok := bytes.CutSuffix(line, []byte{'\r'})
	if !ok {
		return nil, nil, false, errBareLF
	}
	return line, rest, true, nil
}

// take reads one whole line.
func (f *framing) take(line []byte) error {
	switch f.expect {
	case requestLine:
		if len(line) > 0 { // old clients send an empty line after a body
			*f = framing{expect: headerLine, part: f.part, old: !bytes.HasSuffix(line, []byte("HTTP/1.1"))}
		}
	case headerLine:
		return f.header(line)
	case chunkSize:
		return f.size(line)
	case chunkEnd:
		if len(line) > 0 {
			return errBadChunk
		}
		f.expect = chunkSize
	case trailerLine:
		if len(line) == 0 {
			f.expect = requestLine
		}
	case bodyBytes, chunkBytes: // skip
	}
	return nil
}

func (f *framing) header(line []byte) error {
	if len(line) == 0 {
		return f.body()
	}
	if line[0] == ' ' || line[0] == '\t' {
		return errFolded
	}
	name, value, _ := bytes.Cut(line, []byte{':'})
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		if f.length {
			return errTwoFramings
		}
		f.length = true
		var err error
		if f.left, err = strconv.ParseUint(string(bytes.Trim(value, " \t")), 10, 63); err != nil {
			return errBadLength
		}
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		if f.chunked {
			return errTwoFramings
		}
		f.chunked = true
	}
	return nil
}

// body is called at the end of a head.
func (f *framing) body() error {
	switch {
	case f.chunked && f.length:
		return errTwoFramings
	case f.chunked && f.old:
		return errOldChunked
	case f.chunked:
		f.expect = chunkSize
	case f.left > 0:
		f.expect = bodyBytes
	default:
		f.expect = requestLine
	}
	return nil
}

func (f *framing) size(line []byte) error {
	digits, _, _ := bytes.Cut(line, []byte{';'})
	n, err := strconv.ParseUint(string(bytes.TrimRight(digits, " \t")), 16, 63)
	switch {
	case err != nil:
		return errBadChunk
	case n == 0:
		f.expect = trailerLine
	default:
		f.left, f.expect = n, chunkBytes
	}
	return nil
}
