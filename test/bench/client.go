package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// keys are the credentials of an endpoint.
type keys struct {
	access string
	secret sigv4.Secret
}

const region = "us-east-1"

// endpoint is an S3 server, reached over raw sockets that are pooled: as fast as
// a client can be. It is used by those who stand for the ideal and by those who
// go through the gateway, so that only the way differs.
type endpoint struct {
	addr   string
	keys   keys
	signer *sigv4.Signer
	dial   func(addr string) (net.Conn, error)

	mu     sync.Mutex // guards what follows
	idle   []*conn
	opened int64
}

func newEndpoint(addr string, k keys) *endpoint {
	return &endpoint{
		addr: addr, keys: k, signer: sigv4.NewSigner(k.access, k.secret, region),
		dial: func(addr string) (net.Conn, error) { return net.DialTimeout("tcp", addr, 10*time.Second) },
	}
}

// over returns the same endpoint behind another dialer.
func (e *endpoint) over(dial func(addr string) (net.Conn, error)) *endpoint {
	o := newEndpoint(e.addr, e.keys)
	o.dial = dial
	return o
}

// conn is a connection to an endpoint.
type conn struct {
	net.Conn
	r    *bufio.Reader
	used bool // has carried a request already
}

// conn takes a pooled connection, or a new one.
func (e *endpoint) conn() (*conn, error) {
	e.mu.Lock()
	if n := len(e.idle); n > 0 {
		c := e.idle[n-1]
		e.idle = e.idle[:n-1]
		e.mu.Unlock()
		c.used = true
		return c, nil
	}
	e.opened++
	e.mu.Unlock()
	c, err := e.dial(e.addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, r: bufio.NewReaderSize(c, 4*kib)}, nil
}

// back gives a connection back after an answer.
func (e *endpoint) back(c *conn, a answer, err error) {
	if err != nil || a.close {
		c.Close()
		return
	}
	e.mu.Lock()
	e.idle = append(e.idle, c)
	e.mu.Unlock()
}

// request is a signed head, and for small bodies all of it.
type request struct {
	head   []byte
	signer *sigv4.ChunkSigner
}

// head signs a request of no body, or of one of which length bytes follow. The bucket may
// have a query behind a question mark, in canonical form.
func (e *endpoint) head(method, bucket, key, payload string, length int64, more ...string) request {
	bucket, query, asked := strings.Cut(bucket, "?")
	path := "/" + bucket
	if key != "" {
		path += "/" + key
	}
	h := http.Header{}
	for i := 0; i < len(more); i += 2 {
		h[more[i]] = []string{more[i+1]}
	}
	r := &http.Request{Method: method, Host: e.addr, Header: h}
	s := e.signer.Sign(r, path, query, payload, time.Now())
	if asked {
		path += "?" + query
	}
	b := make([]byte, 0, 1024+length%maxSmall)
	b = append(b, method+" "+path+" HTTP/1.1\r\nHost: "+e.addr+"\r\n"...)
	for name, values := range h {
		b = append(b, name+": "+values[0]+"\r\n"...)
	}
	if method == http.MethodPut {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, length, 10)
		b = append(b, "\r\n"...)
	}
	return request{append(b, "\r\n"...), s}
}

// maxSmall is the size of a body that goes out in one piece with its head.
const maxSmall = 64 * kib

// smallPut is a whole PUT of a small body, whose hash is signed.
func (e *endpoint) smallPut(bucket, key string, body []byte) []byte {
	sum := sha256.Sum256(body)
	return e.smallPutHashed(bucket, key, body, hex.EncodeToString(sum[:]))
}

func (e *endpoint) smallPutHashed(bucket, key string, body []byte, hash string) []byte {
	r := e.head(http.MethodPut, bucket, key, hash, int64(len(body)))
	return append(r.head, body...)
}

// The framings of long bodies, as the gateway uses them.
const (
	trailerChunk = 256 * kib
	signedChunk  = mib
	trailerName  = "x-amz-checksum-crc32c"

	batchSize = mib // what is written at once, in bytes
)

// framing is how a long body travels: sigv4.UnsignedTrailer or sigv4.Signed.
type framing = sigv4.Mode

func chunkOf(f framing) int {
	if f == sigv4.Signed {
		return signedChunk
	}
	return trailerChunk
}

func digestOf(f framing) *digest {
	if f == sigv4.Signed {
		return newDigest(signedChunk)
	}
	return newDigest(0)
}

// longPut is the head of a PUT of a long body.
func (e *endpoint) longPut(bucket, key string, size int64, f framing) request {
	more := []string{"X-Amz-Decoded-Content-Length", strconv.FormatInt(size, 10)}
	if f == sigv4.UnsignedTrailer {
		more = append(more, "X-Amz-Trailer", trailerName, "X-Amz-Sdk-Checksum-Algorithm", "CRC32C")
	}
	return e.head(http.MethodPut, bucket, key, f.String(), sigv4.EncodedLength(f, size, chunkOf(f), trailerName, 8), more...)
}

// put sends a long body, framed as it goes.
func (e *endpoint) put(bucket, key string, c content, f framing, d *digest) error {
	return e.do(func(w *conn) error {
		r := e.longPut(bucket, key, c.size, f)
		if _, err := w.Write(r.head); err != nil {
			return err
		}
		size := chunkOf(f)
		headers := make([]byte, 0, kib) // of one batch
		var pieces net.Buffers
		for at := int64(0); at < c.size; at += int64(size) {
			data := c.at(at, size)
			start := len(headers)
			if f == sigv4.Signed {
				headers = r.signer.ChunkHeader(headers, len(data), d.sum(int(at/int64(size))))
			} else {
				headers = sigv4.ChunkHeader(headers, len(data))
			}
			pieces = append(pieces, headers[start:], data, []byte(sigv4.CRLF))
			if len(pieces) < 3*(batchSize/size) && at+int64(size) < c.size {
				continue
			}
			out := pieces // consumed
			if _, err := out.WriteTo(w.Conn); err != nil {
				return err
			}
			pieces, headers = pieces[:0], headers[:0]
		}
		_, err := w.Write(end(f, r.signer, d))
		return err
	}, nil)
}

// end is what follows the last chunk.
func end(f framing, s *sigv4.ChunkSigner, d *digest) []byte {
	if f == sigv4.Signed {
		return append(s.ChunkHeader(nil, 0, [32]byte{}), sigv4.CRLF...)
	}
	return sigv4.Trailer(sigv4.ChunkHeader(nil, 0), trailerName, d.crc32c())
}

// send sends a request that is all there.
func (e *endpoint) send(message []byte) error {
	return e.do(func(w *conn) error {
		_, err := w.Write(message)
		return err
	}, nil)
}

// get reads an object and throws its bytes away.
func (e *endpoint) get(bucket, key string, size int64) error {
	var a answer
	err := e.do(func(w *conn) error {
		_, err := w.Write(e.head(http.MethodGet, bucket, key, sigv4.EmptySHA256, 0).head)
		return err
	}, &a)
	if err == nil && a.length != size {
		err = fmt.Errorf("GET of %d bytes gave %d", size, a.length)
	}
	return err
}

// request does a request without a body.
func (e *endpoint) request(method, bucket, key string) error {
	return e.send(e.head(method, bucket, key, sigv4.EmptySHA256, 0).head)
}

// do sends a request and reads its answer, on a fresh connection when a pooled
// one turns out to be dead.
func (e *endpoint) do(send func(*conn) error, to *answer) error {
	for {
		c, err := e.conn()
		if err != nil {
			return err
		}
		err = send(c)
		a, answerErr := c.answer()
		if a.status == 0 && c.used && stale(errors.Join(err, answerErr)) {
			c.Close()
			continue
		}
		if answerErr != nil {
			err = errors.Join(err, answerErr)
		} else if a.status/100 != 2 {
			err = fmt.Errorf("status %d: %s", a.status, a.text)
		}
		e.back(c, a, err)
		if to != nil {
			*to = a
		}
		return err
	}
}

// stale tells the errors of a connection that the other side had closed.
func stale(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.As(err, &op) && !op.Timeout()
}

// answer is what a server said. Its body was read, and only that of an error is
// kept.
type answer struct {
	status int
	length int64
	close  bool // the connection ends with it
	text   string
}

// scratch are buffers for bodies that nobody wants.
var scratch = sync.Pool{New: func() any { return new([256 * kib]byte) }}

// answer reads one, body and all.
func (c *conn) answer() (answer, error) {
	a := answer{length: -1}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return a, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return a, fmt.Errorf("answer begins with %q", line)
	}
	a.close = line[7] == '0'
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return a, fmt.Errorf("answer begins with %q", line)
	}
	chunked := false
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return a, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if a.length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return a, err
			}
		case bytes.EqualFold(name, []byte("Connection")):
			a.close = a.close || bytes.EqualFold(value, []byte("close"))
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
	switch {
	case a.status == 100:
		return c.answer()
	case a.status == 204 || a.status == 304:
		a.length = 0
		return a, nil
	case chunked:
		return a, c.chunked(&a)
	case a.length < 0:
		return a, errors.New("answer without a length")
	case a.status/100 != 2:
		text, err := io.ReadAll(io.LimitReader(c.r, min(a.length, 4*kib)))
		a.text, a.close = string(text), true
		return a, err
	}
	return a, c.discard(a.length)
}

// chunked reads a body in chunks, which is a document and thus short.
func (c *conn) chunked(a *answer) error {
	body, err := io.ReadAll(io.LimitReader(newChunked(c.r), mib))
	a.length, a.close = int64(len(body)), true
	if a.status/100 != 2 {
		a.text = strings.TrimSpace(string(body[:min(len(body), 4*kib)]))
	}
	return err
}

func newChunked(r *bufio.Reader) io.Reader {
	resp, err := http.ReadResponse(bufio.NewReader(io.MultiReader(
		strings.NewReader("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), r)), nil)
	if err != nil {
		return strings.NewReader("")
	}
	return resp.Body
}

func (c *conn) discard(n int64) error {
	if n == 0 {
		return nil
	}
	b := scratch.Get().(*[256 * kib]byte)
	defer scratch.Put(b)
	for n > 0 {
		k, err := c.r.Read(b[:min(n, int64(len(b)))])
		n -= int64(k)
		if err != nil && n > 0 {
			return fmt.Errorf("answer is %d bytes short: %w", n, err)
		}
	}
	return nil
}

// ideal is a client that writes the same bytes to several servers itself, at
// the same time, hashing them once.
type ideal []*endpoint

// put writes a long body to all.
func (all ideal) put(bucket, key string, c content, f framing) error {
	d := digestOf(f)
	var wg sync.WaitGroup
	errs := make([]error, len(all))
	wg.Go(func() { d.run(c) })
	for i, e := range all {
		wg.Go(func() { errs[i] = e.put(bucket, key, c, f, d) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// putSmall writes a small body to all: everything is sent before anything is
// waited for, which takes no goroutines.
func (all ideal) putSmall(bucket, key string, body []byte) error {
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	return all.sendAll(func(i int) []byte { return all[i].smallPutHashed(bucket, key, body, hash) })
}

// sendAll sends every server its message.
func (all ideal) sendAll(message func(i int) []byte) error {
	var sent [8]*conn
	for i, e := range all {
		c, err := e.conn()
		if err != nil {
			return err
		}
		if _, err := c.Write(message(i)); err != nil && !c.used {
			return err
		}
		sent[i] = c
	}
	for i, e := range all {
		a, err := sent[i].answer()
		if err != nil && sent[i].used && a.status == 0 {
			sent[i].Close()
			if err := e.send(message(i)); err != nil {
				return err
			}
			continue
		}
		if err == nil && a.status/100 != 2 {
			err = fmt.Errorf("status %d: %s", a.status, a.text)
		}
		e.back(sent[i], a, err)
		if err != nil {
			return err
		}
	}
	return nil
}

// framed is all the noise in unsigned chunks, one behind the other: what the raw
// client sends again and again.
var framed = sync.OnceValue(func() []byte {
	b := make([]byte, 0, noiseSize+noiseSize/trailerChunk*16)
	for piece := range slices.Chunk(noise(), trailerChunk) {
		b = sigv4.ChunkHeader(b, len(piece))
		b = append(b, piece...)
		b = append(b, sigv4.CRLF...)
	}
	return b
})

// rawPut writes a long body that was framed and hashed beforehand to all: no
// client can be faster, and the ideal one is measured by it. The size must be a
// multiple of the noise's. It prepares, and returns what is to be timed.
func (all ideal) rawPut(bucket, key string, size int64) func() error {
	c := content{size: size}
	d := newDigest(0)
	d.run(c)
	bytes, tail := framed(), end(sigv4.UnsignedTrailer, nil, d)
	heads := make([][]byte, len(all))
	for i, e := range all {
		heads[i] = e.longPut(bucket, key, size, sigv4.UnsignedTrailer).head
	}
	return func() error {
		var wg sync.WaitGroup
		errs := make([]error, len(all))
		for i, e := range all {
			wg.Go(func() {
				errs[i] = e.do(func(w *conn) error {
					if _, err := w.Write(heads[i]); err != nil {
						return err
					}
					for range size / noiseSize {
						for piece := range slices.Chunk(bytes, mib) {
							if _, err := w.Write(piece); err != nil {
								return err
							}
						}
					}
					_, err := w.Write(tail)
					return err
				}, nil)
			})
		}
		wg.Wait()
		return errors.Join(errs...)
	}
}
