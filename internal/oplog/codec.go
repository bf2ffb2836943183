package oplog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
)

// The stored form of rows, documents and events, shared by every log that
// stores bytes: a format byte, and for what is changed by compare-and-set the
// epoch, both at a fixed place; then tagged fields (wire.go). Strings are raw
// bytes; times are UTC to the nanosecond; equal values have equal forms.
//
// A field may be added under a new number without a new format: readers step
// over numbers they do not know. A number is never used again for another
// meaning. The format byte changes only when an old reader must refuse.
//
// That of rows goes by steps, because nodes of two versions of the program share a
// log while one replaces the other: every node reads OldestFormat to NewestFormat,
// and writes the newest that all nodes read (Formatter).
const (
	format   = 1 // of documents, parts and events
	envelope = 1 + len(Epoch{})
)

// Formatter is a log that several versions of the program may share. It writes rows in
// OldestFormat until it is told otherwise.
type Formatter interface {
	// WriteFormat has rows written in a format from now on.
	WriteFormat(format int)
}

// ErrBadRecord is returned for bytes that are not a record of this format:
// damaged, or written by a later version that this one must not read.
var ErrBadRecord = errors.New("stored record cannot be read")

// Numbers of the fields, for ever.
const (
	rowCfg = iota + 1
	rowCur
	rowOpen
	rowGood
	rowIntent
	rowUnsettled
	rowRefused
	rowETag
	rowChanged
	rowDone
	rowRefusedWords
	rowTagged
	rowTagging
	rowMistagged
	rowBare
	rowRotten
	rowSumless
)

const (
	infoID = iota + 1
	infoVer
	infoKind
	infoETag
	infoSize
	infoModTime
	infoHeader
	infoPart
	infoTag
)

const (
	opOp = iota + 1
	opID
	opVer
	opKind
	opType
	intentOwner
	intentNonce
	intentRep
	intentInfo
	entryReplica
	entryAdded
	entrySize
	entryETag
	opSlow
	entryTag
)

// EncodeRow returns the stored form of a row, in the newest format.
func EncodeRow(r *Row) []byte { return EncodeRowAs(r, NewestFormat) }

// EncodeRowAs is EncodeRow in a format that this version reads.
func EncodeRowAs(r *Row, as int) []byte { return appendRow(make([]byte, 0, 256), r, as) }

// AppendRow appends the stored form of a row to dst.
func AppendRow(dst []byte, r *Row) []byte { return appendRow(dst, r, NewestFormat) }

func appendRow(dst []byte, r *Row, as int) []byte {
	if as < OldestFormat || as > NewestFormat {
		panic(fmt.Sprintf("oplog: this version has no format %d of rows", as))
	}
	e := encoder{buf: append(append(dst, byte(as)), r.Epoch[:]...)}
	e.uint(rowCfg, r.Cfg)
	at := e.begin(rowCur)
	encodeInfo(&e, &r.Cur)
	e.end(at)
	e.bool(rowOpen, r.Open)
	for _, name := range r.Good {
		e.item(rowGood, name)
	}
	if r.Intent != nil {
		at := e.begin(rowIntent)
		encodeIntent(&e, r.Intent)
		e.end(at)
	}
	for i := range r.Unsettled {
		at := e.begin(rowUnsettled)
		encodeEntry(&e, &r.Unsettled[i])
		e.end(at)
	}
	for _, f := range r.Refused {
		e.pair(rowRefused, f.Replica, f.Code)
	}
	encodeMap(&e, rowETag, r.ETags)
	e.time(rowChanged, r.Changed)
	for i := range r.Done {
		at := e.begin(rowDone)
		encodeDone(&e, &r.Done[i])
		e.end(at)
	}
	for _, f := range r.Refused {
		e.item(rowRefusedWords, f.Words) // in the order of the refusals
	}
	e.bool(rowTagged, r.Tagged)
	for i := range r.Tagging {
		at := e.begin(rowTagging)
		encodeEntry(&e, &r.Tagging[i])
		e.end(at)
	}
	for _, name := range r.Mistagged {
		e.item(rowMistagged, name)
	}
	for _, name := range r.Bare {
		e.item(rowBare, name)
	}
	for _, name := range r.Rotten {
		e.item(rowRotten, name)
	}
	for _, name := range r.Sumless {
		e.item(rowSumless, name)
	}
	return e.buf
}

// DecodeRow reads the stored form of a row; it keeps nothing of data.
// ErrBadRecord.
func DecodeRow(data []byte) (Row, error) {
	epoch, err := StoredEpoch(data)
	if err != nil {
		return Row{}, err
	}
	r := Row{Epoch: epoch}
	d := decoder{rest: string(data[envelope:])}
	words := 0 // how many refusals have theirs
	for d.next() {
		switch d.field {
		case rowCfg:
			r.Cfg = d.uint()
		case rowCur:
			r.Cur = decodeInfo(&d)
		case rowOpen:
			r.Open = d.uint() != 0
		case rowGood:
			r.Good = appendName(r.Good, d.str())
		case rowIntent:
			r.Intent = decodeIntent(&d)
		case rowUnsettled:
			r.Unsettled = append(r.Unsettled, decodeEntry(&d))
		case rowRefused:
			replica, code := d.pair()
			r.Refused = append(r.Refused, Refusal{Replica: replica, Code: code})
		case rowRefusedWords:
			if text := d.str(); words < len(r.Refused) {
				r.Refused[words].Words = text
				words++
			}
		case rowETag:
			r.ETags = decodeEntryOf(&d, r.ETags)
		case rowChanged:
			r.Changed = d.time()
		case rowDone:
			r.Done = append(r.Done, decodeDone(&d))
		case rowTagged:
			r.Tagged = d.uint() != 0
		case rowTagging:
			r.Tagging = append(r.Tagging, decodeEntry(&d))
		case rowMistagged:
			r.Mistagged = appendName(r.Mistagged, d.str())
		case rowBare:
			r.Bare = appendName(r.Bare, d.str())
		case rowRotten:
			r.Rotten = appendName(r.Rotten, d.str())
		case rowSumless:
			r.Sumless = appendName(r.Sumless, d.str())
		}
	}
	if d.bad {
		return Row{}, fmt.Errorf("row: %w", ErrBadRecord)
	}
	return r, nil
}

// StoredEpoch reads only the epoch of a stored row or document: all that a
// compare-and-set needs. ErrBadRecord.
func StoredEpoch(data []byte) (Epoch, error) {
	if len(data) < envelope || data[0] < OldestFormat || data[0] > NewestFormat {
		return Epoch{}, ErrBadRecord
	}
	return Epoch(data[1:envelope]), nil
}

// EncodeDoc returns the stored form of a document; kind and name are the
// store's key and not in it.
func EncodeDoc(d Doc) []byte {
	buf := make([]byte, 0, envelope+len(d.Body))
	return append(append(append(buf, format), d.Epoch[:]...), d.Body...)
}

// DecodeDoc reads the stored form of a document. ErrBadRecord.
func DecodeDoc(kind DocKind, name string, data []byte) (Doc, error) {
	epoch, err := StoredEpoch(data)
	if err != nil {
		return Doc{}, fmt.Errorf("document %s %q: %w", kind, name, err)
	}
	body := append([]byte{}, data[envelope:]...) // a stored document has a body, if an empty one
	return Doc{Kind: kind, Name: name, Epoch: epoch, Body: body}, nil
}

// EncodeInfo returns the stored form of what a version is.
func EncodeInfo(in object.Info) []byte {
	e := encoder{buf: append(make([]byte, 0, 128), format)}
	encodeInfo(&e, &in)
	return e.buf
}

// DecodeInfo reads what EncodeInfo wrote. ErrBadRecord.
func DecodeInfo(data []byte) (object.Info, error) {
	if len(data) == 0 || data[0] != format {
		return object.Info{}, fmt.Errorf("version info: %w", ErrBadRecord)
	}
	d := decoder{kind: kindBytes, text: string(data[1:])}
	in := decodeInfo(&d)
	if d.bad {
		return object.Info{}, fmt.Errorf("version info: %w", ErrBadRecord)
	}
	return in, nil
}

func encodeInfo(e *encoder, in *object.Info) {
	e.id(infoID, in.ID)
	e.uint(infoVer, uint64(in.Ver))
	e.uint(infoKind, uint64(in.Kind))
	e.str(infoETag, in.ETag)
	e.int(infoSize, in.Size)
	e.time(infoModTime, in.ModTime)
	encodeMap(e, infoHeader, in.Headers)
	for _, size := range in.Parts {
		e.tag(infoPart, kindVarint) // an empty part is a part
		e.buf = binary.AppendVarint(e.buf, size)
	}
	encodeMap(e, infoTag, in.Tags)
}

func decodeInfo(up *decoder) (in object.Info) {
	d := decoder{rest: up.str()}
	for d.next() {
		switch d.field {
		case infoID:
			in.ID = d.id()
		case infoVer:
			in.Ver = object.Version(d.uint())
		case infoKind:
			in.Kind = object.Kind(d.small())
		case infoETag:
			in.ETag = d.str()
		case infoSize:
			in.Size = d.int()
		case infoModTime:
			in.ModTime = d.time()
		case infoHeader:
			in.Headers = decodeEntryOf(&d, in.Headers)
		case infoPart:
			in.Parts = append(in.Parts, d.int())
		case infoTag:
			in.Tags = decodeEntryOf(&d, in.Tags)
		}
	}
	up.bad = up.bad || d.bad
	return in
}

func encodeIntent(e *encoder, in *Intent) {
	e.id(opOp, in.Op)
	e.id(opID, in.ID)
	e.uint(opVer, uint64(in.Ver))
	e.uint(opKind, uint64(in.Kind))
	e.uint(opType, uint64(in.Type))
	e.str(intentOwner, in.Owner)
	e.id(intentNonce, in.Nonce)
	for _, name := range in.Reps {
		e.item(intentRep, name)
	}
	at := e.begin(intentInfo)
	encodeInfo(e, &in.Info)
	e.end(at)
	e.int(opSlow, int64(in.Slow))
}

func decodeIntent(up *decoder) *Intent {
	var in Intent
	d := decoder{rest: up.str()}
	for d.next() {
		switch d.field {
		case opOp:
			in.Op = d.id()
		case opID:
			in.ID = d.id()
		case opVer:
			in.Ver = object.Version(d.uint())
		case opKind:
			in.Kind = object.Kind(d.small())
		case opType:
			in.Type = OpKind(d.small())
		case intentOwner:
			in.Owner = d.str()
		case intentNonce:
			in.Nonce = d.id()
		case intentRep:
			in.Reps = appendName(in.Reps, d.str())
		case intentInfo:
			in.Info = decodeInfo(&d)
		case opSlow:
			in.Slow = time.Duration(d.int())
		}
	}
	up.bad = up.bad || d.bad
	return &in
}

func encodeEntry(e *encoder, in *Entry) {
	e.id(opOp, in.Op)
	e.id(opID, in.ID)
	e.uint(opVer, uint64(in.Ver))
	e.uint(opKind, uint64(in.Kind))
	e.uint(opType, uint64(in.Type))
	e.str(entryReplica, in.Replica)
	e.time(entryAdded, in.Added)
	e.int(entrySize, in.Size)
	e.str(entryETag, in.ETag)
	e.int(opSlow, int64(in.Slow))
	encodeMap(e, entryTag, in.Tags)
}

func decodeEntry(up *decoder) (in Entry) {
	d := decoder{rest: up.str()}
	for d.next() {
		switch d.field {
		case opOp:
			in.Op = d.id()
		case opID:
			in.ID = d.id()
		case opVer:
			in.Ver = object.Version(d.uint())
		case opKind:
			in.Kind = object.Kind(d.small())
		case opType:
			in.Type = OpKind(d.small())
		case entryReplica:
			in.Replica = d.str()
		case entryAdded:
			in.Added = d.time()
		case entrySize:
			in.Size = d.int()
		case entryETag:
			in.ETag = d.str()
		case opSlow:
			in.Slow = time.Duration(d.int())
		case entryTag:
			in.Tags = decodeEntryOf(&d, in.Tags)
		}
	}
	up.bad = up.bad || d.bad
	return in
}

func encodeDone(e *encoder, in *Done) {
	e.id(opID, in.ID)
	e.uint(opVer, uint64(in.Ver))
	e.str(entryETag, in.ETag)
}

func decodeDone(up *decoder) (in Done) {
	d := decoder{rest: up.str()}
	for d.next() {
		switch d.field {
		case opID:
			in.ID = d.id()
		case opVer:
			in.Ver = object.Version(d.uint())
		case entryETag:
			in.ETag = d.str()
		}
	}
	up.bad = up.bad || d.bad
	return in
}

// encodeMap writes the entries in order of their names: equal maps, equal bytes.
func encodeMap(e *encoder, field uint64, m map[string]string) {
	var few [12]string // keeps the names of most maps off the heap
	names := few[:0]
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		e.pair(field, name, m[name])
	}
}

// appendName makes room for the usual number of replicas at once.
func appendName(names object.Replicas, name string) object.Replicas {
	if names == nil {
		names = make(object.Replicas, 0, 4)
	}
	return append(names, name)
}

func decodeEntryOf[M ~map[string]string](d *decoder, m M) M {
	if m == nil {
		m = make(M, 4)
	}
	name, value := d.pair()
	m[name] = value
	return m
}
