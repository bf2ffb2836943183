package archive

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// ErrDamaged: the file is not what an export wrote, or not all of it.
var ErrDamaged = errors.New("archive is damaged")

const (
	magic    = "s3mirror log archive 1\n"
	maxFrame = 64 << 20 // bytes; the longest record is far shorter
)

// Kinds of frames.
const (
	frameHeader   = 'H'
	frameDocument = 'd'
	frameRow      = 'r'
	framePart     = 'p'
	frameEvent    = 'h'
	frameEnd      = 'E'
)

// Header says where an archive comes from.
type Header struct {
	Created time.Time `json:"created"`
	Version string    `json:"version"` // of the program
	Engine  string    `json:"engine"`
	// Moved: nobody served on the log when this was made, nor may since. Rows of any
	// other archive are of the past.
	Moved bool `json:"moved"`
}

// Counts are the records of an archive by their kinds.
type Counts struct {
	Documents int64 `json:"documents"`
	Rows      int64 `json:"rows"`
	Parts     int64 `json:"parts"`
	Events    int64 `json:"events"`
}

func (c Counts) String() string {
	return fmt.Sprintf("%d rows, %d documents, %d parts, %d events", c.Rows, c.Documents, c.Parts, c.Events)
}

// writer writes frames.
type writer struct {
	out    *bufio.Writer
	sum    hash.Hash32 // of all that was written
	body   []byte      // of the frame at work
	counts Counts
}

func newWriter(w io.Writer, h Header) (*writer, error) {
	out := &writer{out: bufio.NewWriterSize(w, 64<<10), sum: newSum()}
	if err := out.write([]byte(magic)); err != nil {
		return nil, err
	}
	return out, out.json(frameHeader, h)
}

func newSum() hash.Hash32 { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }

func (w *writer) write(b []byte) error {
	_, _ = w.sum.Write(b) // never fails
	_, err := w.out.Write(b)
	return err
}

func (w *writer) json(kind byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.body = append(append(w.body[:0], kind), text...)
	return w.frame()
}

// frame writes the body and the sum of all that was written so far.
func (w *writer) frame() error {
	if len(w.body) > maxFrame {
		return fmt.Errorf("record of %d bytes: at most %d are written", len(w.body), maxFrame)
	}
	err := w.write(binary.AppendUvarint(nil, uint64(len(w.body))))
	if err == nil {
		err = w.write(w.body)
	}
	if err == nil {
		err = w.write(binary.BigEndian.AppendUint32(nil, w.sum.Sum32()))
	}
	return err
}

// begin begins a body.
func (w *writer) begin(kind byte) { w.body = append(w.body[:0], kind) }

func (w *writer) text(s string) {
	w.body = append(binary.AppendUvarint(w.body, uint64(len(s))), s...)
}

func (w *writer) document(d oplog.Doc) error {
	w.begin(frameDocument)
	w.text(string(d.Kind))
	w.text(d.Name)
	w.body = append(w.body, oplog.EncodeDoc(d)...)
	w.counts.Documents++
	return w.frame()
}

func (w *writer) row(kr *oplog.KeyRow) error {
	w.begin(frameRow)
	w.text(kr.Key.Bucket)
	w.text(kr.Key.Name)
	w.body = oplog.AppendRow(w.body, &kr.Row)
	w.counts.Rows++
	return w.frame()
}

func (w *writer) part(p *oplog.Part) error {
	w.begin(framePart)
	w.body = append(w.body, p.Upload[:]...)
	w.body = binary.AppendUvarint(w.body, uint64(p.Number)) //nolint:gosec // 1 to oplog.MaxPart
	w.body = append(w.body, p.Attempt[:]...)
	w.body = append(w.body, oplog.EncodePart(p)...)
	w.counts.Parts++
	return w.frame()
}

func (w *writer) event(ev *oplog.Event) error {
	w.begin(frameEvent)
	w.body = append(w.body, oplog.EncodeEvent(ev)...)
	w.counts.Events++
	return w.frame()
}

func (w *writer) end() error {
	if err := w.json(frameEnd, w.counts); err != nil {
		return err
	}
	return w.out.Flush()
}

// records takes what an archive holds, in its order. Methods that are nil are
// skipped.
type records struct {
	document func(oplog.Doc) error
	row      func(oplog.KeyRow) error
	part     func(oplog.Part) error
	event    func(oplog.Event) error
}

// read reads an archive to its end and hands its records over. ErrDamaged, what
// a record's taker returns, and what the reader does.
func read(r io.Reader, take records) (h Header, counts Counts, err error) {
	in := &reader{in: bufio.NewReaderSize(r, 64<<10), sum: newSum()}
	head := make([]byte, len(magic))
	if err := in.full(head); err != nil || string(head) != magic {
		return h, counts, fmt.Errorf("%w: it is no archive of this version's", ErrDamaged)
	}
	body, err := in.frame()
	if err != nil {
		return h, counts, err
	}
	if body[0] != frameHeader || json.Unmarshal(body[1:], &h) != nil {
		return h, counts, fmt.Errorf("%w: it has no header", ErrDamaged)
	}
	for {
		body, err := in.frame()
		if err != nil {
			return h, counts, fmt.Errorf("after %s: %w", counts, err)
		}
		if body[0] == frameEnd {
			return h, counts, in.end(body, counts)
		}
		if err := in.record(body, take, &counts); err != nil {
			return h, counts, fmt.Errorf("after %s: %w", counts, err)
		}
	}
}

type reader struct {
	in   *bufio.Reader
	sum  hash.Hash32
	body []byte
}

// full fills b and adds it to the sum.
func (r *reader) full(b []byte) error {
	if _, err := io.ReadFull(r.in, b); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: it ends too early", ErrDamaged)
		}
		return err
	}
	_, _ = r.sum.Write(b) // never fails
	return nil
}

// ReadByte is for binary.ReadUvarint.
func (r *reader) ReadByte() (byte, error) {
	var b [1]byte
	err := r.full(b[:])
	return b[0], err
}

// frame reads one; its body has at least one byte.
func (r *reader) frame() ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	switch {
	case err != nil && !errors.Is(err, ErrDamaged):
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err) // a length that is none
	case err != nil:
		return nil, err
	case n == 0 || n > maxFrame:
		return nil, fmt.Errorf("%w: a record of %d bytes", ErrDamaged, n)
	}
	r.body = r.body[:0]
	for left := int(n); left > 0; { //nolint:gosec // at most maxFrame
		// In steps: a damaged length must not take memory for bytes that never come.
		at, step := len(r.body), min(left, 64<<10)
		r.body = slices.Grow(r.body, step)[:at+step]
		if err := r.full(r.body[at:]); err != nil {
			return nil, err
		}
		left -= step
	}
	want := r.sum.Sum32()
	var sum [4]byte
	if err := r.full(sum[:]); err != nil {
		return nil, err
	}
	if binary.BigEndian.Uint32(sum[:]) != want {
		return nil, fmt.Errorf("%w: a record's checksum is wrong", ErrDamaged)
	}
	return r.body, nil
}

// end wants the counts, and nothing after them.
func (r *reader) end(body []byte, counts Counts) error {
	var said Counts
	if err := json.Unmarshal(body[1:], &said); err != nil || said != counts {
		return fmt.Errorf("%w: it holds %s, and says that it holds %s", ErrDamaged, counts, said)
	}
	if _, err := r.in.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: there is something after its end", ErrDamaged)
	}
	return nil
}

// record hands one over.
func (r *reader) record(body []byte, take records, counts *Counts) error {
	kind, rest := body[0], body[1:]
	switch kind {
	case frameDocument:
		docKind, rest, ok1 := uncount(rest)
		name, rest, ok2 := uncount(rest)
		if !ok1 || !ok2 {
			return damaged(oplog.ErrBadRecord)
		}
		d, err := oplog.DecodeDoc(oplog.DocKind(docKind), name, rest)
		return give(d, err, take.document, &counts.Documents)
	case frameRow:
		bucket, rest, ok1 := uncount(rest)
		key, rest, ok2 := uncount(rest)
		if !ok1 || !ok2 {
			return damaged(oplog.ErrBadRecord)
		}
		row, err := oplog.DecodeRow(rest)
		return give(oplog.KeyRow{Key: object.Key{Bucket: bucket, Name: key}, Row: row}, err, take.row, &counts.Rows)
	case framePart:
		p, err := decodePart(rest)
		return give(p, err, take.part, &counts.Parts)
	case frameEvent:
		ev, err := oplog.DecodeEvent(rest)
		return give(ev, err, take.event, &counts.Events)
	}
	return fmt.Errorf("%w: a record of kind %q", ErrDamaged, kind)
}

func decodePart(b []byte) (p oplog.Part, err error) {
	var upload, attempt object.ID
	if len(b) < len(upload) {
		return p, oplog.ErrBadRecord
	}
	number, width := binary.Uvarint(b[len(upload):])
	if width <= 0 || number > oplog.MaxPart || len(b) < len(upload)+width+len(attempt) {
		return p, oplog.ErrBadRecord
	}
	copy(upload[:], b)
	b = b[len(upload)+width:]
	copy(attempt[:], b)
	return oplog.DecodePart(upload, oplog.PartName{Number: int(number), Attempt: attempt}, b[len(attempt):]) //nolint:gosec // at most MaxPart
}

func give[T any](v T, err error, take func(T) error, count *int64) error {
	if err != nil {
		return damaged(err)
	}
	*count++
	if take == nil {
		return nil
	}
	return take(v)
}

func damaged(err error) error { return fmt.Errorf("%w: %w", ErrDamaged, err) }

func uncount(b []byte) (s string, rest []byte, ok bool) {
	n, width := binary.Uvarint(b)
	if width <= 0 || n > uint64(len(b)-width) {
		return "", nil, false
	}
	return string(b[width : width+int(n)]), b[width+int(n):], true //nolint:gosec // within b
}
