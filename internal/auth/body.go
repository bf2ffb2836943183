package auth

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// Body is the decoded body of an upload, verified while it is read.
//
// io.EOF from Read means that the body is whole and that everything the client
// promised about it holds: the payload hash, the chunk signatures, Content-MD5,
// the x-amz-checksum-* header or trailer, and the length; and that the outer
// body has been read to its end. Whatever does not hold is returned instead of
// io.EOF, as *s3.Error, and stays. Until then the data proves nothing: hold its
// end back. A body that is cut is IncompleteBody with the cause, one that stalls
// past the connection's read deadline RequestTimeout.
//
// Read returns data and errors apart: never both at once. A Body is not safe
// for concurrent use.
type Body struct {
	src      io.Reader
	size     int64 // unknownSize for documents without Content-Length
	read     int64
	mode     sigv4.Mode
	literal  [32]byte // of a literal mode
	claimed  string   // the same as the client wrote it
	md5      []byte   // promised by Content-MD5; nil when it was not sent
	promised s3.Checksum
	chosen   string // algorithm that the caller asked for first
	chunks   *sigv4.ChunkReader
	sums     sums
	started  bool
	err      error
}

const unknownSize = -1 // as in http.Request.ContentLength

// Body returns the verifying body of an object upload. It reads nothing yet,
// and so sends no "100 Continue"; what is wrong with the headers is told here:
// MissingContentLength when the decoded length is not known up front,
// InvalidDigest for a malformed Content-MD5, InvalidRequest for checksum headers
// that contradict each other or name an unknown algorithm. Whether a chunked
// Mode is allowed for the operation is the caller's question.
func (v *Verified) Body(r *http.Request) (*Body, error) {
	size, err := v.size(r)
	if err != nil {
		return nil, err
	}
	return v.body(r, size)
}

// Document reads a whole small body, such as the XML of a request, verified.
// Chunked modes are InvalidRequest; more than maxBytes is
// MaxMessageLengthExceeded. A body without Content-Length is fine, none at all
// is an empty document.
func (v *Verified) Document(r *http.Request, maxBytes int64) ([]byte, error) {
	if v.Mode.Chunked() {
		return nil, s3.Errorf(s3.InvalidRequest, "The value of x-amz-content-sha256 header is invalid.")
	}
	if r.ContentLength > maxBytes {
		return nil, s3.Err(s3.MaxMessageLengthExceeded).With("MaxMessageLengthBytes", strconv.FormatInt(maxBytes, 10))
	}
	b, err := v.body(r, r.ContentLength)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(b, maxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) > maxBytes:
		return nil, s3.Err(s3.MaxMessageLengthExceeded).With("MaxMessageLengthBytes", strconv.FormatInt(maxBytes, 10))
	}
	return data, nil
}

// size is the decoded length that the client announced. S3 wants it even of an
// empty upload: a PUT without any length may be one that lost its body.
func (v *Verified) size(r *http.Request) (int64, error) {
	if !v.Mode.Chunked() {
		if r.ContentLength < 0 || r.ContentLength == 0 && r.Header.Get("Content-Length") == "" {
			return 0, s3.Err(s3.MissingContentLength)
		}
		return r.ContentLength, nil
	}
	values := r.Header.Values("X-Amz-Decoded-Content-Length")
	if len(values) != 1 {
		return 0, s3.Err(s3.MissingContentLength)
	}
	size, err := strconv.ParseUint(values[0], 10, 63)
	if err != nil {
		return 0, s3.Err(s3.MissingContentLength).Because(err)
	}
	return int64(size), nil
}

func (v *Verified) body(r *http.Request, size int64) (*Body, error) {
	b := &Body{src: r.Body, size: size, mode: v.Mode, literal: v.request.PayloadSum, claimed: v.request.PayloadHash}
	if r.Body == nil {
		b.src = http.NoBody
	}
	if err := b.promises(r.Header); err != nil {
		return nil, err
	}
	if v.Mode.Chunked() {
		var trailers []string
		if b.trailing() {
			trailers = []string{b.promised.Header()}
		}
		b.chunks = v.request.Chunks(b.src, size, trailers)
		b.src = b.chunks
	}
	return b, nil
}

// promises reads what the headers promise about the body.
func (b *Body) promises(h http.Header) (err error) {
	if b.md5, err = s3.ParseContentMD5(h); err != nil {
		return err
	}
	if b.promised, err = s3.ParseChecksum(h); err != nil {
		return err
	}
	if !b.mode.Trailing() && len(h.Values("X-Amz-Trailer")) > 0 {
		return s3.Errorf(s3.InvalidRequest, "The x-amz-trailer header needs a payload mode with a trailer.")
	}
	if b.mode == sigv4.Literal {
		b.sums.add("sha256")
	}
	if b.md5 != nil {
		b.sums.add(algorithmMD5)
	}
	if b.promised.Algorithm != "" {
		b.sums.add(b.promised.Algorithm)
	}
	return nil
}

// trailing tells whether the promised checksum comes in the trailer.
func (b *Body) trailing() bool { return b.promised.Algorithm != "" && b.promised.Value == nil }

// Size is the length of the decoded body in bytes. It is what the client
// announced, and what it sent once Read has returned io.EOF.
func (b *Body) Size() int64 { return b.size }

// SHA256 returns the hash of the body that the client signed; ok is false in
// modes that sign none. It is known before the first Read.
func (b *Body) SHA256() (sum [32]byte, ok bool) { return b.literal, b.mode == sigv4.Literal }

// ContentMD5 returns the 16 bytes that the client promised in Content-MD5, nil
// when it promised none. It is known before the first Read.
func (b *Body) ContentMD5() []byte { return b.md5 }

// Promised returns the checksum that the client promised. Its Value is nil
// while it is still to come in the trailer.
func (b *Body) Promised() s3.Checksum { return b.promised }

// ComputeMD5 asks for the MD5 of the body, which is expensive and only
// computed when the client sent Content-MD5 or someone asks. It panics after the
// first Read.
func (b *Body) ComputeMD5() { b.compute(algorithmMD5) }

// ComputeChecksum asks for a checksum that the client perhaps did not give.
// What is computed anyway is not computed twice. It panics after the first Read,
// and for an unknown algorithm.
func (b *Body) ComputeChecksum(algorithm string) {
	if s3.NewChecksum(algorithm) == nil {
		panic("auth: unknown checksum algorithm " + algorithm)
	}
	b.compute(algorithm)
	if b.chosen == "" {
		b.chosen = algorithm
	}
}

func (b *Body) compute(algorithm string) {
	if b.started {
		panic("auth: hash asked for after the first Read")
	}
	b.sums.add(algorithm)
}

// Checksum returns the checksum that goes with the object, as algorithm name
// and base64: the client's own, else the first that ComputeChecksum asked for,
// else "". The value is empty before io.EOF, unless the client sent it in a
// header.
func (b *Body) Checksum() (algorithm, value string) {
	switch {
	case b.promised.Value != nil:
		return b.promised.Algorithm, base64.StdEncoding.EncodeToString(b.promised.Value)
	case b.promised.Algorithm != "":
		return b.promised.Algorithm, b.Sum(b.promised.Algorithm)
	}
	return b.chosen, b.Sum(b.chosen)
}

// Sum returns the base64 of any checksum that was computed; empty before
// io.EOF and for an algorithm that nobody asked for.
func (b *Body) Sum(algorithm string) string {
	return base64.StdEncoding.EncodeToString(b.sums.digest(algorithm))
}

// MD5 returns the MD5 of the body after io.EOF; nil before, and when it was
// not computed.
func (b *Body) MD5() []byte { return b.sums.digest(algorithmMD5) }

// Read hands out decoded data.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	b.started = true
	n, err := b.src.Read(p)
	if left := b.left(); int64(n) > left {
		n, err = int(left), errExcess
	}
	b.read += int64(n)
	b.sums.write(p[:n])
	if err != nil {
		b.err = b.verdict(err)
	}
	if n > 0 {
		return n, nil
	}
	return 0, b.err
}

// left is how many bytes the announced length still has room for.
func (b *Body) left() int64 {
	if b.size == unknownSize {
		return math.MaxInt64
	}
	return b.size - b.read
}

var errExcess = errors.New("body is longer than announced")

// verdict turns the end of the source into io.EOF or into what is wrong.
func (b *Body) verdict(err error) error {
	var refusal *sigv4.Error
	var told *s3.Error
	switch {
	case errors.As(err, &told): // who brings the body has more to say of it than we
		return told
	case errors.Is(err, io.EOF) && (b.size == unknownSize || b.read == b.size):
		b.sums.finish()
		return b.compare()
	case errors.Is(err, io.EOF):
		return s3.Err(s3.IncompleteBody).Because(io.ErrUnexpectedEOF)
	case errors.As(err, &refusal):
		return asS3(err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return s3.Err(s3.RequestTimeout).Because(err)
	}
	return s3.Err(s3.IncompleteBody).Because(err) // the client is gone, one way or another
}

// compare holds the hashes against the promises.
func (b *Body) compare() error {
	if got := b.sums.digest("sha256"); b.mode == sigv4.Literal && !bytes.Equal(got, b.literal[:]) {
		return s3.Err(s3.XAmzContentSHA256Mismatch).
			With("ClientComputedContentSHA256", cmp.Or(b.claimed, hex.EncodeToString(b.literal[:]))).
			With("S3ComputedContentSHA256", hex.EncodeToString(got))
	}
	if got := b.MD5(); b.md5 != nil && !bytes.Equal(got, b.md5) {
		return s3.Err(s3.BadDigest).
			With("ExpectedDigest", hex.EncodeToString(b.md5)).
			With("CalculatedDigest", base64.StdEncoding.EncodeToString(got))
	}
	if b.trailing() {
		if err := b.takeTrailer(); err != nil {
			return err
		}
	}
	if got := b.sums.digest(b.promised.Algorithm); !bytes.Equal(got, b.promised.Value) {
		return s3.Errorf(s3.BadDigest, "The %s you specified did not match the calculated checksum.",
			strings.ToUpper(b.promised.Algorithm))
	}
	return io.EOF
}

// takeTrailer reads the promised value out of the trailer, whose presence the
// ChunkReader has proved.
func (b *Body) takeTrailer() error {
	name := b.promised.Header()
	value, err := base64.StdEncoding.Strict().DecodeString(b.chunks.Trailer()[name][0])
	if err != nil || len(value) != b.sums.find(b.promised.Algorithm).hash.Size() {
		return s3.Errorf(s3.InvalidRequest, "Value for %s trailing header is invalid.", name)
	}
	b.promised.Value = value
	return nil
}
