package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// continued is the body of a read that survives its replica: it goes on with
// another one, at the same byte, of the same version, or fails. It is for one
// goroutine, save that Close may be called while Read runs.
type continued struct {
	ctx    context.Context
	cancel context.CancelFunc
	set    *Set
	b      *bucket
	key    string
	cur    object.Info
	etags  map[string]string // replica -> its own ETag, where the form differs
	part   s3.Range

	pos    int64 // bytes given
	body   io.ReadCloser
	by     string        // whose body it is
	copied io.ReadCloser // a body that cannot be spliced
	all    []string      // replicas that hold the version
	left   []string      // of all: still to be tried since byte from
	from   int64
	err    error // how it ended
}

func newContinued(ctx context.Context, s *Set, found *read, part s3.Range) *continued {
	c := &continued{set: s, b: found.b, key: found.key.Name, cur: found.served.Info, part: part, by: found.served.Replica}
	c.ctx, c.cancel = context.WithCancel(ctx)
	if row := found.served.Row; row != nil {
		c.etags = row.ETags
		c.all = slices.DeleteFunc(s.order(c.b), func(r string) bool { return !row.Good.Has(r) })
	} else {
		c.all = s.order(c.b)
	}
	c.rewind()
	return c
}

// rewind lets every replica be tried again; the one that was read from last,
// since its connection may be all that died.
func (c *continued) rewind() {
	c.left = append(slices.DeleteFunc(slices.Clone(c.all), func(r string) bool { return r == c.by }), c.by)
	c.from = c.pos
}

// begin takes the answer that is open already, if it is the right part; else it
// asks for it.
func (c *continued) begin(first *backend.Object) error {
	if first != nil {
		if first.Offset == c.part.Offset && first.Length == c.part.Length {
			c.body = first.Body
			return nil
		}
		first.Body.Close()
	}
	if c.part.Length == 0 {
		c.body = io.NopCloser(eof{})
		return nil
	}
	c.left = append([]string{c.by}, c.left...)
	if err := c.next(errors.New("the part is asked for anew")); err != nil {
		c.cancel()
		return err
	}
	return nil
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// same is the one rule by which a body may be continued on another replica
// (R21, H21): what it shows there is the version that was begun, by identity,
// ETag and size, whose own form of the ETag the row knows. The endpoint is asked
// with If-Match as well, so that it refuses rather than sends another content.
func same(cur object.Info, own string, seen object.Seen) bool {
	if own != "" {
		cur.ETag = own
	}
	return seen.Shows(cur)
}

// next goes on with the next replica that holds the version. cause is why.
func (c *continued) next(cause error) error {
	for len(c.left) > 0 {
		if err := context.Cause(c.ctx); err != nil {
			return err
		}
		replica := c.left[0]
		c.left = c.left[1:]
		obj, err := c.ask(replica)
		if err != nil {
			cause = err
			continue
		}
		c.body, c.by = obj.Body, replica
		return nil
	}
	return fmt.Errorf("no replica can go on with the body at byte %d: %w", c.part.Offset+c.pos, cause)
}

func (c *continued) ask(replica string) (*backend.Object, error) {
	at, err := c.set.at(c.ctx, c.b, replica, clients)
	if err != nil {
		return nil, err
	}
	own := c.etags[replica]
	match := own
	if match == "" {
		match = c.cur.ETag
	}
	want := backend.GetOptions{Offset: c.part.Offset + c.pos, Length: c.part.Length - c.pos, IfMatch: match}
	obj, err := at.get(c.ctx, c.key, want)
	if err != nil {
		return nil, err
	}
	if !same(c.cur, own, obj.Seen) || obj.Offset != want.Offset || obj.Length != want.Length {
		obj.Body.Close()
		return nil, fmt.Errorf("backend %s holds another version", replica)
	}
	return obj, nil
}

// Read implements io.Reader.
func (c *continued) Read(p []byte) (int, error) {
	for {
		switch {
		case c.err != nil:
			return 0, c.err
		case c.pos == c.part.Length:
			return 0, io.EOF
		}
		n, err := c.body.Read(p[:min(int64(len(p)), c.part.Length-c.pos)])
		c.pos += int64(n)
		if err != nil && c.pos < c.part.Length {
			c.fail(err)
		}
		if n > 0 || len(p) == 0 {
			return n, nil
		}
	}
}

// fail looks for another replica. After progress all may be tried again.
func (c *continued) fail(cause error) {
	if c.pos > c.from {
		c.rewind()
	}
	if cause == io.EOF {
		cause = io.ErrUnexpectedEOF
	}
	c.body.Close()
	c.set.o.Logger.DebugContext(c.ctx, "body of a replica broke off", "bucket", c.b.name, "backend", c.by, "at", c.pos, "error", cause)
	c.err = c.next(cause)
	if c.err == nil {
		c.set.metrics.failovers.Inc()
	}
}

// WriteTo implements io.WriterTo, with a buffer from the memory of all bodies
// when there is room, else with a small one. A w that implements io.ReaderFrom is
// given what Splicer can move past us.
func (c *continued) WriteTo(w io.Writer) (int64, error) {
	sink, _ := w.(io.ReaderFrom)
	var total int64
	for {
		// The first bytes are always copied: some came with the head of the answer.
		n, err := c.copy(w, sink != nil)
		total += n
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err = c.splice(sink)
		total += n
		if err != nil {
			return total, err
		}
	}
}

// copy moves bytes through a buffer: once, if what follows can be spliced, else
// to the end, which is io.EOF.
func (c *continued) copy(w io.Writer, once bool) (total int64, err error) {
	buf, free := c.buffer()
	defer free()
	for {
		n, err := c.Read(buf)
		if n > 0 {
			m, werr := w.Write(buf[:n])
			total += int64(m)
			if werr != nil {
				return total, werr
			}
		}
		if err != nil || once && c.spliceable() {
			return total, err
		}
	}
}

// buffer is what a body is copied through, and how to give it back.
func (c *continued) buffer() (buf []byte, free func()) {
	if !c.set.memory.tryReserve(1) {
		return make([]byte, 4<<10), func() {}
	}
	s := c.set.memory.take()
	return s[:], func() { c.set.memory.give(s); c.set.memory.free(1) }
}

// spliceMin is the least that is worth a pipe, in bytes.
const spliceMin = 64 << 10

// splice moves what comes next from the replica's socket to the client's, as long
// as both go along. The error is the client's; what is wrong with a replica is
// met by Read.
func (c *continued) splice(sink io.ReaderFrom) (int64, error) {
	l := &leg{c: c}
	n, err := sink.ReadFrom(l)
	c.set.metrics.spliced.Add(float64(l.spliced))
	if l.spliced == 0 {
		c.copied = c.body
	}
	if l.err != nil && err == nil && c.pos < c.part.Length {
		c.fail(l.err)
	}
	return n, err
}

// spliceable tells whether it is worth to splice what comes next.
func (c *continued) spliceable() bool {
	_, ok := c.body.(backend.Splicer)
	return ok && c.body != c.copied && c.part.Length-c.pos >= spliceMin
}

// leg is what one replica gives of a body: the source of one splice. It ends
// with io.EOF when the replica does, or when the kernel can not help.
type leg struct {
	c       *continued
	spliced int64
	err     error // what the replica failed with
}

// Read implements io.Reader, for a sink that turns out to have no use for
// SpliceTo.
func (l *leg) Read(p []byte) (int, error) {
	c := l.c
	if l.err != nil || c.pos == c.part.Length {
		return 0, io.EOF
	}
	n, err := c.body.Read(p[:min(int64(len(p)), c.part.Length-c.pos)])
	c.pos += int64(n)
	if l.err = err; err != nil {
		err = io.EOF
	}
	return n, err
}

// SpliceTo moves what comes next to dst, at most max bytes; nothing without an
// error is the end. The error is dst's.
func (l *leg) SpliceTo(dst *net.TCPConn, max int64) (int64, error) {
	c := l.c
	if l.err != nil || c.pos == c.part.Length {
		return 0, nil
	}
	n, err := c.body.(backend.Splicer).SpliceTo(dst, min(max, c.part.Length-c.pos))
	c.pos += n
	l.spliced += n
	var sink *backend.SinkError
	switch {
	case errors.As(err, &sink):
		return n, err
	case errors.Is(err, errors.ErrUnsupported):
		return 0, nil
	}
	l.err = err
	return n, nil
}

// Close implements io.Closer.
func (c *continued) Close() error {
	c.cancel()
	if c.body != nil {
		return c.body.Close()
	}
	return nil
}
