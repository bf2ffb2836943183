package backend

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync/atomic"
)

// answer is the answer to one exchange while its body is read. It is owned by
// the goroutine that reads, but for whole.
type answer struct {
	conn  *conn
	buf   *[headSize]byte // rest may be in it; nil once it is not
	rest  []byte          // read behind the head, and not yet given
	left  int64           // bytes of the body that are still to come; of a body whose length is known
	last  bool            // the connection ends with this answer
	whole atomic.Bool     // the body was read to its end, and nothing behind it
}

// response is the answer in net/http's terms. Its Body belongs to a; closing it
// does nothing.
func (a *answer) response(h head, method string) *http.Response {
	resp := &http.Response{
		StatusCode: h.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h.header, ContentLength: h.length, Close: h.last,
	}
	a.last = h.last
	a.recycle()
	switch {
	case h.bodiless(method):
		a.end()
		resp.Body = http.NoBody
	case h.chunked:
		resp.Body = io.NopCloser(newChunkedBody(a))
	case h.length >= 0:
		if a.left = h.length; a.left == 0 {
			a.end()
		}
		resp.Body = &sizedBody{a}
	default:
		a.last = true
		resp.Body = io.NopCloser(readerOnly{a})
	}
	return resp
}

// end notes the end of the body. What the server sent beyond it belongs to no
// request of ours.
func (a *answer) end() { a.whole.Store(len(a.rest) == 0) }

// recycle gives the buffer back when nothing is left in it.
func (a *answer) recycle() {
	if len(a.rest) == 0 && a.buf != nil {
		answerBuffers.Put(a.buf)
		a.buf = nil
	}
}

// Read reads what follows the head.
func (a *answer) Read(p []byte) (int, error) {
	if len(a.rest) > 0 {
		n := copy(p, a.rest)
		a.rest = a.rest[n:]
		a.recycle()
		return n, nil
	}
	return a.conn.Read(p)
}

// Only the method that others must see.
type readerOnly struct{ io.Reader }

// sizedBody is a body of Content-Length bytes.
type sizedBody struct{ a *answer }

func (b *sizedBody) Read(p []byte) (int, error) {
	if b.a.left == 0 {
		return 0, io.EOF
	}
	n, err := b.a.Read(p[:min(int64(len(p)), b.a.left)])
	b.took(int64(n))
	if err == io.EOF && b.a.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// took notes that so many bytes more have been read.
func (b *sizedBody) took(n int64) {
	if n == 0 {
		return
	}
	if b.a.left -= n; b.a.left == 0 {
		b.a.end()
	}
}

func (b *sizedBody) Close() error { return nil }

// maxTrailer bounds what may follow the last chunk, in bytes.
const maxTrailer = 4 << 10

// chunkedBody is a body in chunks.
type chunkedBody struct {
	a   *answer
	buf *bufio.Reader
	r   io.Reader
	err error
}

func newChunkedBody(a *answer) *chunkedBody {
	buf := bufio.NewReaderSize(a, maxTrailer)
	return &chunkedBody{a: a, buf: buf, r: httputil.NewChunkedReader(buf)}
}

func (b *chunkedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p)
	if errors.Is(err, io.EOF) {
		if err = b.trailer(); err == nil {
			err = io.EOF
		}
	}
	b.err = err
	return n, err
}

// trailer passes over what follows the last chunk. What it says is not asked.
func (b *chunkedBody) trailer() error {
	for bytes := 0; ; {
		line, err := b.buf.ReadSlice('\n')
		text, ended := strings.CutSuffix(string(line), "\r\n")
		if bytes += len(line); err != nil || !ended || bytes > maxTrailer {
			return errTrailer
		}
		if text == "" {
			b.a.whole.Store(b.buf.Buffered() == 0 && len(b.a.rest) == 0)
			return nil
		}
		if _, _, err := field(text); err != nil {
			return errTrailer
		}
	}
}

var errTrailer = fmt.Errorf("%w: its chunks have no proper end", ErrAnswer)
