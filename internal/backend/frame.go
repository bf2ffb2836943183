package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// errGivenUp is what a transport reads from an upload that has been given up.
// It never reads io.EOF there: an upload must not end cleanly by accident.
var errGivenUp = errors.New("upload was given up")

// upload is the request body of one attempt: it frames what a Body gives. The
// transport reads it from a goroutine of its own, perhaps longer than RoundTrip
// takes, so the end of an upload is settled in one place: either Read hands the
// last data byte over (released), or giveUp comes first and it never does.
// Never both, never neither.
type upload struct {
	body    Body
	framing Framing
	total   int64

	// Set before the first Read.
	signer *sigv4.ChunkSigner // of signed modes
	cut    func()             // resets the connection

	ctx    context.Context // ends when the upload is given up
	cancel context.CancelCauseFunc

	// reading is held by Read; giveUp takes it to wait for a Read that is in
	// the middle of Body.
	reading sync.Mutex
	left    int64     // data bytes not yet taken from body
	chunk   int64     // data bytes left in the open chunk
	pending []byte    // framing bytes to be sent next
	frame   [256]byte // where pending usually lives
	ended   bool      // the end of the framing is in pending
	failure error     // what body, or the framing, failed with

	settle   sync.Mutex // guards the three below
	touched  bool       // a byte was asked of body
	released bool
	givenUp  bool
}

func newUpload(ctx context.Context, r PutRequest) *upload {
	u := &upload{body: r.Body, framing: r.Framing, total: r.Size, left: r.Size, cut: func() {}}
	u.ctx, u.cancel = context.WithCancelCause(ctx)
	return u
}

// Read implements io.Reader for the transport.
func (u *upload) Read(p []byte) (int, error) {
	u.reading.Lock()
	defer u.reading.Unlock()
	if u.failure != nil {
		return 0, u.failure
	}
	n, err := u.read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // a body's error may wrap it, and is none
		u.failure = err
		u.cut() // before the transport closes it in good order
	}
	return n, err
}

func (u *upload) read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(u.pending) == 0 && u.chunk == 0 && !u.ended {
		if err := u.open(); err != nil {
			return 0, err
		}
	}
	if len(u.pending) == 0 && u.chunk == 0 {
		return 0, io.EOF
	}
	n := copy(p, u.pending)
	u.pending = u.pending[n:]
	if n == len(p) || u.chunk == 0 {
		return n, nil
	}
	data, err := u.next(min(int64(len(p)-n), u.chunk))
	if err != nil {
		return n, err
	}
	return n + copy(p[n:], data), nil
}

// open begins the next chunk, or the end of the body.
func (u *upload) open() error {
	mode := u.framing.Mode
	if !mode.Chunked() {
		u.chunk, u.ended = u.left, u.left == 0
		return nil
	}
	u.pending = u.frame[:0]
	if u.left < u.total {
		u.pending = append(u.pending, sigv4.CRLF...)
	}
	u.chunk = min(u.left, int64(u.framing.chunk()))
	if err := u.header(int(u.chunk)); err != nil {
		return err
	}
	if u.chunk > 0 {
		return nil
	}
	u.ended = true
	return u.end()
}

// header frames a chunk of n bytes.
func (u *upload) header(n int) error {
	if !u.framing.Mode.ChunksSigned() {
		u.pending = sigv4.ChunkHeader(u.pending, n)
		return nil
	}
	var sum [32]byte
	if n > 0 {
		if err := u.touch(); err != nil {
			return err
		}
		var err error
		if sum, err = u.body.Sum(u.ctx, n); err != nil {
			return u.blame(err)
		}
	}
	u.pending = u.signer.ChunkHeader(u.pending, n, sum)
	return nil
}

// end frames what follows the empty chunk.
func (u *upload) end() error {
	name := u.framing.trailer()
	if name == "" {
		u.pending = append(u.pending, sigv4.CRLF...)
		return nil
	}
	value, err := u.body.Trailer()
	if err != nil {
		return u.blame(err)
	}
	if len(value) != trailerLengths[u.framing.Algorithm] {
		return fmt.Errorf("%w: trailer %q is no %s", ErrBody, value, u.framing.Algorithm)
	}
	if u.framing.Mode.ChunksSigned() {
		u.pending = u.signer.Trailer(u.pending, name, value)
	} else {
		u.pending = sigv4.Trailer(u.pending, name, value)
	}
	return nil
}

// next takes data from the body, and settles the upload with its last byte.
func (u *upload) next(limit int64) ([]byte, error) {
	if err := u.touch(); err != nil {
		return nil, err
	}
	data, err := u.body.Next(u.ctx, int(limit))
	if err != nil {
		return nil, u.blame(err)
	}
	if len(data) == 0 || int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: %d bytes when 1 to %d were asked for", ErrBody, len(data), limit)
	}
	n := int64(len(data))
	u.left -= n
	u.chunk -= n
	if u.left == 0 && !u.release() {
		return nil, errGivenUp
	}
	return data, nil
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
	u.settle.Lock()
	defer u.settle.Unlock()
	if u.givenUp {
		return errGivenUp
	}
	u.touched = true
	return nil
}

// release settles the upload as handed over, unless it was given up.
func (u *upload) release() bool {
	u.settle.Lock()
	defer u.settle.Unlock()
	u.released = !u.givenUp
	return u.released
}

// quit ends the upload without waiting: its last data byte will not be handed
// over any more, unless it has been. It returns whether it has.
func (u *upload) quit(cause error) (released bool) {
	u.settle.Lock()
	u.givenUp = true
	released = u.released
	u.settle.Unlock()
	u.cancel(cause)
	return released
}

// giveUp quits, and does not return before a Read that is under way. From then
// on body is not called any more.
func (u *upload) giveUp(cause error) (released bool) {
	released = u.quit(cause)
	u.reading.Lock()
	defer u.reading.Unlock()
	if u.failure == nil {
		u.failure = errGivenUp
	}
	return released
}

// fault returns what the body failed with, once the upload is given up.
func (u *upload) fault() error {
	u.reading.Lock()
	defer u.reading.Unlock()
	if errors.Is(u.failure, ErrBody) {
		return u.failure
	}
	return nil
}

// fresh tells whether nothing was ever asked of the body.
func (u *upload) fresh() bool {
	u.settle.Lock()
	defer u.settle.Unlock()
	return !u.touched
}

// Close is called by the transport when it needs no more.
func (u *upload) Close() error { return nil }
