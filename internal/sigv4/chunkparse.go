package sigv4

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// What a ChunkReader reads between the data: chunk headers, trailer, end.

const (
	maxLine    = 1024 // bytes of a chunk header or a trailer line
	readBuffer = 4096 // bytes of the bufio.Reader; holds any line
)

// next reads what stands between two chunks; after the empty chunk it reads
// the rest and returns io.EOF.
func (c *ChunkReader) next() error {
	if c.number > 0 {
		if err := c.emptyLine("chunk is longer than its header says"); err != nil {
			return err
		}
	}
	line, err := c.line()
	if err != nil {
		return err
	}
	n, err := c.parseHeader(line)
	if err != nil {
		return err
	}
	if n > 0 {
		return c.begin(n)
	}
	return c.finish()
}

// begin starts a data chunk of n bytes.
func (c *ChunkReader) begin(n int64) error {
	if c.number > 0 && c.chunk < MinChunk {
		return &Error{
			Code:    codeInvalidChunkSize,
			Message: "Only the last chunk is allowed to have a size less than 8192 bytes",
			Fields: map[string]string{
				"Chunk":        strconv.Itoa(c.number),
				"BadChunkSize": strconv.FormatInt(c.chunk, 10),
			},
		}
	}
	if c.signed != nil && n > c.size-c.total {
		return lengthMismatch() // unsigned chunks: see excess
	}
	c.number++
	c.chunk, c.left = n, n
	return nil
}

// parseHeader reads "hex" or "hex;chunk-signature=<64 hex>".
func (c *ChunkReader) parseHeader(line []byte) (int64, error) {
	size, rest := line, []byte(nil)
	if c.signed != nil {
		i := bytes.IndexByte(line, ';')
		if i < 0 {
			return 0, broken("chunk header without signature")
		}
		size, rest = line[:i], line[i:]
		if !bytes.HasPrefix(rest, []byte(chunkSignature)) || !c.declared.parse(rest[len(chunkSignature):]) {
			return 0, broken("chunk header without a well-formed signature")
		}
	}
	for _, b := range size {
		if !isHex(b) { // ParseInt would take a sign
			return 0, broken("chunk size is no hexadecimal number")
		}
	}
	n, err := strconv.ParseInt(string(size), 16, 64)
	if err != nil {
		return 0, broken("chunk size is no hexadecimal number")
	}
	return n, nil
}

func (s *signature) parse(text []byte) bool {
	if len(text) != len(s) {
		return false
	}
	copy(s[:], text)
	_, err := hex.DecodeString(string(text))
	return err == nil
}

// finish reads everything after the header of the empty chunk.
func (c *ChunkReader) finish() error {
	if c.signed != nil {
		if err := c.verifyChunk(sha256.Sum256(nil)); err != nil {
			return err
		}
	}
	if c.total != c.size {
		return lengthMismatch()
	}
	trailer, err := c.readTrailer()
	if err != nil {
		return err
	}
	if err := c.readEnd(); err != nil {
		return err
	}
	c.trailer = trailer
	return io.EOF
}

// readTrailer reads the named trailers and, in SignedTrailer mode, their
// signature.
func (c *ChunkReader) readTrailer() (http.Header, error) {
	got := http.Header{}
	var block []byte // what the trailer's signature covers
	for range c.names {
		line, err := c.trailerLine()
		if err != nil {
			return nil, err
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(name), strings.TrimSpace(value)
		if !ok || !slices.Contains(c.names, name) || got[name] != nil {
			return nil, malformedTrailer()
		}
		got[name] = []string{value}
		block = append(block, name+":"+value+"\n"...)
	}
	if c.request.Mode != SignedTrailer {
		return got, nil
	}
	line, err := c.trailerLine()
	if err != nil {
		return nil, err
	}
	declared, ok := strings.CutPrefix(line, trailerSignature+":")
	var sig signature
	switch {
	case !ok && len(c.names) == 0:
		return nil, malformedTrailer() // one that x-amz-trailer does not name
	case !ok || !sig.parse([]byte(declared)):
		return nil, broken("trailer without a well-formed signature")
	}
	c.signed.trailer(block)
	return got, c.verifySignature(sig[:])
}

// readEnd reads the last CRLF and the end of the outer body.
func (c *ChunkReader) readEnd() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	if len(line) > 0 {
		return malformedTrailer()
	}
	switch _, err := c.src.ReadByte(); err {
	case io.EOF:
		return nil
	case nil:
		return broken("data after the end of the chunks")
	default:
		return bodyError(err)
	}
}

// line reads one line that ends in CRLF, without it. The result is valid until
// the next read.
func (c *ChunkReader) line() ([]byte, error) {
	line, err := c.src.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, bodyError(err)
	}
	if len(line) > maxLine || !bytes.HasSuffix(line, []byte(CRLF)) {
		return nil, broken("line is too long or ends without CRLF")
	}
	return line[:len(line)-len(CRLF)], nil
}

// trailerLine reads one line of the trailer. minio-go, following an example in
// AWS's documentation, ends the trailer with "\n\r\n".
func (c *ChunkReader) trailerLine() (string, error) {
	raw, err := c.src.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return "", bodyError(err)
	}
	text, lf := bytes.CutSuffix(raw, []byte("\n"))
	text, crlf := bytes.CutSuffix(text, []byte("\r"))
	line := string(text)
	if !lf || len(line) > maxLine || strings.Contains(line, "\r") {
		return "", broken("trailer line is too long or broken")
	}
	if crlf {
		return line, nil
	}
	return line, c.emptyLine("trailer line ends without CRLF")
}

// emptyLine reads a CRLF; anything else is broken framing for the reason why.
func (c *ChunkReader) emptyLine(why string) error {
	line, err := c.line()
	if err == nil && len(line) > 0 {
		err = broken(why)
	}
	return err
}

func lengthMismatch() *Error {
	return &Error{Code: codeIncompleteBody, Message: textLengthDiffer}
}

// broken is a breach of the framing, explained for the log.
func broken(why string) *Error {
	return &Error{Code: codeIncompleteBody, Message: textBodyCut, Err: errors.New(why)}
}

func malformedTrailer() *Error {
	return &Error{Code: codeMalformedTrailer, Message: textTrailer}
}

// bodyError turns the early end of the outer body into S3's word for it.
func bodyError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &Error{Code: codeIncompleteBody, Message: textBodyCut, Err: io.ErrUnexpectedEOF}
	}
	return err
}
