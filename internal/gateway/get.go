package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// getObject serves the current version, or a part of it. The verdict on the
// conditions falls on the version that is served, whatever was seen before.
func (h *Handler) getObject(w http.ResponseWriter, r *request) error {
	read := newRead(r)
	judge := func(cur object.Info) error { return read.judge(w.Header(), cur) }
	if r.op.Query.Has("partNumber") {
		return h.getPart(w, r, read)
	}
	if read.lookFirst {
		seen, err := h.Replicas.Peek(r.Context(), r.op.ObjectKey())
		if err != nil {
			return toldStale(w, err)
		}
		if err := judge(seen.Info); err != nil {
			return err
		}
	}
	obj, err := h.Replicas.Get(r.Context(), replica.GetRequest{
		Key: r.op.ObjectKey(), Range: read.span, Check: judge, RangeApplies: read.RangeApplies, MayBeStale: true,
	})
	if err != nil {
		return toldStale(w, err)
	}
	defer obj.Body.Close()
	return send(w, connOf(r.Request), obj, func() { w.WriteHeader(h.describe(w.Header(), r, obj.Version, obj.Range)) })
}

// read is what a GetObject or HeadObject asks for beside the key.
type read struct {
	s3.ReadConditions
	span string // the raw Range; empty: the whole object

	// lookFirst asks for the version before a body is opened, because the answer
	// may well be 304. If-Match, which every part of a download carries and which
	// nearly always holds, is worth no request of its own.
	lookFirst bool
}

func newRead(r *request) *read {
	read := &read{
		ReadConditions: s3.ParseReadConditions(r.Header),
		lookFirst:      r.Header["If-None-Match"] != nil || r.Header["If-Modified-Since"] != nil,
	}
	if spans := r.Header["Range"]; len(spans) == 1 { // several are several ranges: all of it
		read.span = spans[0]
	}
	return read
}

// judge asks the conditions about a version. A 304 says which one it is about.
func (r *read) judge(header http.Header, cur object.Info) error {
	err := r.Check(cur)
	if errors.Is(err, s3.NotModified) {
		s3.ResponseHeaders(header, cur, s3.ResponseOptions{})
	}
	return err
}

// describe sets the headers of a version, or of a part of it, and returns the
// status that goes with them. Checksums are of the whole object: a part goes
// without.
func (h *Handler) describe(header http.Header, r *request, v replica.Version, part s3.Range) int {
	r.replica = v.Replica
	s3.ResponseHeaders(header, v.Info, s3.ResponseOptions{
		Overrides: r.op.Overrides,
		Checksums: s3.WantsChecksums(r.Header) && !part.Partial,
	})
	if v.ClassTold && header.Get("x-amz-storage-class") == "" {
		header.Set("x-amz-storage-class", "STANDARD")
	}
	if v.TagCount > 0 {
		header.Set("x-amz-tagging-count", strconv.Itoa(v.TagCount))
	}
	if v.Stale {
		header.Set(staleHeader, "true")
	}
	if v.Status != "" {
		header.Set("x-amz-replication-status", v.Status)
	}
	if h.DebugHeaders && v.Replica != "" {
		header.Set("x-s3mirror-replica", v.Replica)
	}
	return part.SetHeaders(header)
}

// staleHeader is on every answer that was given without the log, while it is away: what
// a replica shows, which may be older than what was acknowledged.
const staleHeader = "x-s3mirror-stale"

// toldStale says so of an error, too: of a 404.
func toldStale(w http.ResponseWriter, err error) error {
	if errors.Is(err, replica.ErrStale) {
		w.Header().Set(staleHeader, "true")
	}
	return err
}

// send copies the body to the client. head, which sends status and headers,
// is called with the first piece of the body: until then a failure has an answer
// of its own. Afterwards it can only be told by cutting the connection, which is
// what the chain does with an error that comes too late.
// The body may be moved by the kernel where the connection lets it; a small one leaves
// together with the head. conn may be nil.
func send(w http.ResponseWriter, conn *strictConn, obj *replica.Object, head func()) error {
	a, ok := w.(*answer)
	if !ok || conn == nil || obj.Range.Length >= smallBody {
		return sendTo(w, conn.canSplice(), obj, head)
	}
	conn.hold()
	err := sendTo(w, false, obj, head)
	if err == nil {
		err = a.conn.Flush()
	}
	return errors.Join(err, conn.release(err != nil))
}

func sendTo(w io.Writer, splice bool, obj *replica.Object, head func()) error {
	first := &headWriter{w, head}
	sink := io.Writer(first)
	if to, ok := w.(io.ReaderFrom); ok && splice {
		sink = spliceWriter{first, to}
	}
	n, err := copyBody(sink, obj.Body, obj.Range.Length)
	if err == nil && n != obj.Range.Length {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("send object, %d bytes of %d, from replica %s: %w", n, obj.Range.Length, obj.Replica, err)
	}
	first.begin()
	return nil
}

// smallBody is where a body stops to be small, in bytes.
const smallBody = 32 << 10

// copySize is how much of a large body is read and written at once, in bytes:
// measured, two thirds of the CPU time that 32 KiB cost.
const copySize = 256 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copySize]byte) }}

// copyBody copies size bytes, if they come. Small bodies take what they need.
func copyBody(w io.Writer, r io.Reader, size int64) (int64, error) {
	if to, ok := r.(io.WriterTo); ok {
		return to.WriteTo(w)
	}
	if size < smallBody {
		return io.CopyBuffer(w, r, make([]byte, max(size, 1)))
	}
	buf := copyBuffers.Get().(*[copySize]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(w, r, buf[:])
}

// headWriter calls head before the first byte.
type headWriter struct {
	io.Writer
	head func() // nil once it was called
}

func (w *headWriter) begin() {
	if w.head != nil {
		w.head()
		w.head = nil
	}
}

func (w *headWriter) Write(p []byte) (int, error) {
	w.begin()
	return w.Writer.Write(p)
}

// spliceWriter is a headWriter into which the kernel can move what is behind the
// first bytes.
type spliceWriter struct {
	*headWriter
	to io.ReaderFrom
}

func (w spliceWriter) ReadFrom(r io.Reader) (int64, error) {
	if _, ok := r.(splicer); !ok {
		return copyBody(struct{ io.Writer }{w.headWriter}, r, copySize)
	}
	w.begin()
	return w.to.ReadFrom(r)
}
