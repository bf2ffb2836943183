package backend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// errGivenUp is what becomes of an upload that has been given up.
var errGivenUp = errors.New("upload was given up")

// maxBatch is about how many bytes of an upload are sent at once: as many as
// make a call of the kernel cheap, and few enough that the memory behind a body
// is soon free again.
const maxBatch = 256 << 10

// upload frames what a Body gives, in batches, for one exchange. Its end is
// settled in one place: either the last data byte is handed over, or quit comes
// first and it never is. What was handed over is released once the connection
// took it.
//
// It is owned by the goroutine that sends; anybody may call quit.
type upload struct {
	body    Body
	many    Gatherer // body, if it is one; else nil
	framing Framing
	total   int64
	signer  *sigv4.ChunkSigner // of signed modes; set before the first batch

	ctx    context.Context // ends when the upload is given up
	cancel context.CancelCauseFunc

	left    int64  // data bytes not yet taken from body
	chunk   int64  // data bytes left in the open chunk
	ended   bool   // the end of the framing was given
	frame   []byte // framing bytes of the batch
	framed  int64  // bytes of all batches
	edge    int64  // framed, right behind the last data byte
	sent    int64  // how many of the framed bytes left
	failure error  // what body, or the framing, failed with

	mu      sync.Mutex // guards the three below
	touched bool       // a byte was asked of body
	handed  bool       // the last data byte was
	givenUp bool
}

func newUpload(ctx context.Context, r PutRequest) *upload {
	u := &upload{body: r.Body, framing: r.Framing, total: r.Size, left: r.Size}
	u.many, _ = r.Body.(Gatherer)
	u.ctx, u.cancel = context.WithCancelCause(ctx)
	return u
}

// given tells whether all batches were.
func (u *upload) given() bool { return u.ended }

// batch appends what is to be sent next to pieces: some bytes at least if wait is
// set, else only what is there. The pieces are valid until the next batch. An
// error stays.
func (u *upload) batch(pieces net.Buffers, wait bool) (net.Buffers, error) {
	u.frame = u.frame[:0]
	if u.failure == nil && u.left > 0 {
		pieces, u.failure = u.run(pieces, wait) // one: the next would be at the expense of its memory
	}
	if u.failure == nil && u.left == 0 && !u.ended {
		u.edge = u.framed
		pieces, u.failure = u.end(pieces)
	}
	return pieces, u.failure
}

// run appends a run of data with what frames it.
func (u *upload) run(pieces net.Buffers, wait bool) (net.Buffers, error) {
	mode := u.framing.Mode
	switch {
	case u.chunk == 0 && mode.ChunksSigned():
		return u.openSigned(pieces, wait)
	case u.chunk == 0 && mode.Chunked():
		return u.open(pieces, wait)
	case u.chunk == 0:
		u.chunk = u.left
	}
	return u.data(pieces, wait)
}

// open begins a chunk with data that is there: a header alone is not worth
// sending.
func (u *upload) open(pieces net.Buffers, wait bool) (net.Buffers, error) {
	at, first := len(pieces), u.left == u.total
	u.chunk = min(u.left, int64(u.framing.chunk()))
	size := int(u.chunk)
	pieces, err := u.data(append(pieces, nil), wait)
	if err != nil || len(pieces) == at+1 {
		u.chunk = 0
		return pieces[:at], err
	}
	start := u.after(first)
	u.frame = sigv4.ChunkHeader(u.frame, size)
	pieces[at] = u.cutFrame(start)
	return pieces, nil
}

// openSigned begins a chunk, whose hash may have to be waited for.
func (u *upload) openSigned(pieces net.Buffers, wait bool) (net.Buffers, error) {
	if !wait {
		return pieces, nil
	}
	if err := u.touch(); err != nil {
		return pieces, err
	}
	size := int(min(u.left, int64(u.framing.chunk())))
	sum, err := u.body.Sum(u.ctx, size)
	if err != nil {
		return pieces, u.blame(err)
	}
	start := u.after(u.left == u.total)
	u.frame = u.signer.ChunkHeader(u.frame, size, sum)
	u.chunk = int64(size)
	return u.data(append(pieces, u.cutFrame(start)), true)
}

// after begins a piece of framing, with the end of the chunk before it.
func (u *upload) after(first bool) (start int) {
	start = len(u.frame)
	if !first {
		u.frame = append(u.frame, sigv4.CRLF...)
	}
	return start
}

// cutFrame is the piece of framing that began at start.
func (u *upload) cutFrame(start int) []byte {
	piece := u.frame[start:]
	u.framed += int64(len(piece))
	return piece
}

// end frames what follows the data.
func (u *upload) end(pieces net.Buffers) (net.Buffers, error) {
	u.ended = true
	if !u.framing.Mode.Chunked() {
		return pieces, nil
	}
	name, value := u.framing.trailer(), ""
	if name != "" {
		var err error
		if value, err = u.body.Trailer(); err != nil {
			return pieces, u.blame(err)
		}
		if len(value) != s3.ChecksumLength(u.framing.Algorithm) {
			return pieces, fmt.Errorf("%w: trailer %q is no %s", ErrBody, value, u.framing.Algorithm)
		}
	}
	start := u.after(false)
	signed := u.framing.Mode.ChunksSigned()
	if signed {
		u.frame = u.signer.ChunkHeader(u.frame, 0, [32]byte{})
	} else {
		u.frame = sigv4.ChunkHeader(u.frame, 0)
	}
	switch {
	case name == "":
		u.frame = append(u.frame, sigv4.CRLF...)
	case signed:
		u.frame = u.signer.Trailer(u.frame, name, value)
	default:
		u.frame = sigv4.Trailer(u.frame, name, value)
	}
	return append(pieces, u.cutFrame(start)), nil
}

// data appends what the body gives of the open chunk, and hands the last byte
// over, unless the upload was given up.
func (u *upload) data(pieces net.Buffers, wait bool) (net.Buffers, error) {
	if wait {
		if err := u.touch(); err != nil {
			return pieces, err
		}
	}
	at, limit := len(pieces), int(min(u.chunk, maxBatch))
	pieces, err := u.ask(pieces, limit, wait)
	if err != nil {
		return pieces, u.blame(err)
	}
	n := 0
	for _, p := range pieces[at:] {
		n += len(p)
	}
	if n == 0 && !wait && len(pieces) == at {
		return pieces, nil
	}
	if n < 1 || n > limit {
		return pieces, fmt.Errorf("%w: %d bytes when 1 to %d were asked for", ErrBody, n, limit)
	}
	u.left -= int64(n)
	u.chunk -= int64(n)
	u.framed += int64(n)
	if err := u.touch(); err != nil {
		return pieces, err
	}
	if u.left == 0 && !u.hand() {
		return pieces, errGivenUp
	}
	return pieces, nil
}

// ask asks the body.
func (u *upload) ask(pieces net.Buffers, limit int, wait bool) (net.Buffers, error) {
	switch {
	case u.many != nil:
		return u.many.Gather(u.ctx, limit, wait, pieces)
	case !wait:
		return pieces, nil
	}
	data, err := u.body.Next(u.ctx, limit)
	return append(pieces, data), err
}

// blame tells a body that failed from one that stopped because it was told to.
func (u *upload) blame(err error) error {
	if u.ctx.Err() != nil {
		return context.Cause(u.ctx)
	}
	return fmt.Errorf("%w: %w", ErrBody, err)
}

// touch notes that the body is no longer fresh.
func (u *upload) touch() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.givenUp {
		return errGivenUp
	}
	u.touched = true
	return nil
}

// hand settles the upload as handed over, unless it was given up.
func (u *upload) hand() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.handed = !u.givenUp
	return u.handed
}

// quit gives the upload up: its last data byte will not be handed over any more,
// unless it has been.
func (u *upload) quit(cause error) {
	u.mu.Lock()
	u.givenUp = true
	u.mu.Unlock()
	u.cancel(cause)
}

// took notes that n more of the framed bytes left.
func (u *upload) took(n int64) { u.sent += n }

// released tells whether the last data byte left.
func (u *upload) released() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.handed && u.sent >= u.edge
}

// fault returns what the body failed with.
func (u *upload) fault() error {
	if errors.Is(u.failure, ErrBody) {
		return u.failure
	}
	return nil
}

// fresh tells whether nothing was ever asked of the body.
func (u *upload) fresh() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.touched
}
