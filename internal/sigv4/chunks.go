package sigv4

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"hash"
	"io"
	"net/http"
	"strings"
)

const (
	// VerifiedFirst is the size in bytes up to which a signed chunk is verified
	// before any byte of it is handed out. It covers the chunks that clients
	// send by default (minio-go 64 KiB, Java 128 KiB) and bounds what a declared
	// chunk size can make a ChunkReader allocate.
	VerifiedFirst = 128 << 10

	// MinChunk is the size in bytes that every data chunk but the last must
	// have at least.
	MinChunk = 8192
)

// ChunkReader decodes and verifies an aws-chunked body. It reads as the
// decoded data; io.EOF means that each chunk signature, the trailer's presence
// and its signature, and the decoded length are verified, and that the outer
// body has ended too (so a connection can be used again). Any breach is
// returned instead of io.EOF, as *Error, and stays: IncompleteBody,
// InvalidChunkSizeError, MalformedTrailerError or SignatureDoesNotMatch. Errors
// of the outer reader other than its end are returned as they are.
//
// Signed chunks of up to VerifiedFirst bytes are handed out only once their
// signature is verified. Longer ones are handed out as they arrive, except for
// their last piece; unsigned data is proved by nothing before the trailer,
// which the caller compares. So a caller must hold back the end of the data
// until it has seen io.EOF.
//
// A ChunkReader holds at most VerifiedFirst + 4 KiB bytes, and less when Read is
// called with buffers that hold a chunk. It is not safe for concurrent use.
type ChunkReader struct {
	request *Request
	src     *bufio.Reader
	names   []string // of the trailers that must come; lower case
	size    int64    // decoded length, as announced
	signed  *chain   // nil when chunks are unsigned

	number   int   // of the current data chunk, from 1
	chunk    int64 // declared size of the current chunk
	left     int64 // bytes of it that are still to be read
	total    int64 // decoded bytes read
	declared signature
	running  hash.Hash // of a chunk too long to verify first
	buffer   []byte    // of a chunk that Read's buffer cannot hold
	held     []byte    // verified, to be handed out
	trailer  http.Header
	err      error
}

// Chunks decodes the body of a request in one of the chunked modes, whose
// signature has been verified. decodedLength is the value
// of x-amz-decoded-content-length. Exactly the trailers that trailerNames (the
// value of x-amz-trailer) lists must come, each once.
//
// It panics when the request is not verified: a chain that starts from an
// unproved signature proves nothing. One of Plain has no chain.
func (q *Request) Chunks(body io.Reader, decodedLength int64, trailerNames []string) *ChunkReader {
	if !q.verified || !q.Mode.Chunked() {
		panic("sigv4: Chunks of a request that is not verified or not chunked")
	}
	c := &ChunkReader{
		request: q,
		src:     bufio.NewReaderSize(body, readBuffer),
		size:    decodedLength,
		trailer: http.Header{},
	}
	for _, name := range trailerNames {
		c.names = append(c.names, strings.ToLower(name))
	}
	if q.Mode.ChunksSigned() {
		c.signed = &chain{key: q.key, amzDate: q.amzDate, scope: q.scope()}
		copy(c.signed.prev[:], q.Signature)
	}
	return c
}

// Trailer returns the trailers after io.EOF, and nothing before. Its keys are
// the lower-case names that x-amz-trailer lists: index it, for http.Header's
// methods expect another spelling.
func (c *ChunkReader) Trailer() http.Header { return c.trailer }

// Read hands out decoded data.
func (c *ChunkReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		switch {
		case len(c.held) > 0:
			n := copy(p, c.held)
			c.held = c.held[n:]
			return n, nil
		case c.err != nil:
			return 0, c.err
		case c.left == 0:
			c.err = c.next()
		case c.signed != nil && c.chunk <= VerifiedFirst:
			n, err := c.wholeChunk(p)
			if c.err = err; n > 0 {
				return n, nil
			}
		default:
			n, err := c.piece(p)
			c.err = err
			return n, err
		}
	}
}

// wholeChunk reads and verifies a signed chunk: into p when it fits, so that
// nothing is copied, else into the held buffer. It returns how much of p is
// filled.
func (c *ChunkReader) wholeChunk(p []byte) (int, error) {
	data := p
	direct := int64(len(p)) >= c.chunk
	if !direct {
		if int64(cap(c.buffer)) < c.chunk {
			c.buffer = make([]byte, c.chunk)
		}
		data = c.buffer[:cap(c.buffer)]
	}
	data = data[:c.chunk]
	if _, err := io.ReadFull(c.src, data); err != nil {
		return 0, bodyError(err)
	}
	c.left = 0
	c.total += c.chunk
	if err := c.verifyChunk(sha256.Sum256(data)); err != nil {
		return 0, err
	}
	if direct {
		return len(data), nil
	}
	c.held = data
	return 0, nil
}

// piece reads as much of the current chunk as is there. The last piece of a
// signed chunk is returned only if the chunk's signature holds.
func (c *ChunkReader) piece(p []byte) (int, error) {
	room := min(c.left, c.size-c.total, int64(len(p)))
	if room == 0 {
		return 0, c.excess()
	}
	n, err := c.src.Read(p[:room])
	if err != nil {
		return 0, bodyError(err)
	}
	c.left -= int64(n)
	c.total += int64(n)
	if c.signed == nil {
		return n, nil
	}
	if c.running == nil {
		c.running = sha256.New()
	}
	c.running.Write(p[:n])
	if c.left > 0 {
		return n, nil
	}
	var sum [sha256.Size]byte
	c.running.Sum(sum[:0])
	c.running.Reset()
	if err := c.verifyChunk(sum); err != nil {
		return 0, err
	}
	return n, nil
}

// excess says what is wrong with a chunk that declares more than the announced
// length has room for: it ends before its size, or there is really more data.
func (c *ChunkReader) excess() error {
	next, err := c.src.Peek(len(CRLF))
	switch {
	case err != nil:
		return bodyError(err)
	case string(next) == CRLF:
		return broken("chunk is shorter than its header says")
	}
	return lengthMismatch()
}

// verifyChunk advances the chain and compares it with the declared signature.
func (c *ChunkReader) verifyChunk(sum [sha256.Size]byte) error {
	c.signed.chunk(sum)
	return c.verifySignature(c.declared[:])
}

func (c *ChunkReader) verifySignature(declared []byte) error {
	if subtle.ConstantTimeCompare(c.signed.prev[:], declared) == 1 {
		return nil
	}
	return mismatch(c.request, string(c.signed.text), string(declared))
}
