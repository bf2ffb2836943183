package oplog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
)

// MaxPart is the highest number of a part.
const MaxPart = 10000

// PartLife is how long a part's record is kept at least; an implementation may
// forget it then. Every upload is over sooner.
const PartLife = 60 * 24 * time.Hour

// Part is one attempt at one part of a multipart upload, as it was acknowledged.
// Whoever sends a part again makes another attempt of the same number.
type Part struct {
	Upload  object.ID
	Number  int               // 1 to MaxPart
	Attempt object.ID         // fresh and not zero
	Added   time.Time         // wall clock of the node that added it: the order of attempts, within A4
	Size    int64             // bytes
	ETag    string            // what the client was told, without quotes
	Sums    object.Headers    // its checksums, by the lower-case names of their headers
	ETags   map[string]string // the replicas that hold it, each with the ETag that it gave
}

// PartName is the place of a record among those of its upload.
type PartName struct {
	Number  int
	Attempt object.ID
}

// Name is the record's place.
func (p *Part) Name() PartName { return PartName{p.Number, p.Attempt} }

// Parts are the records of the parts of multipart uploads. They are only ever
// inserted, each under a name of its own, so that ten thousand parts do not
// contend for one record (RELIABILITY 4.6); an upload's are dropped together.
type Parts interface {
	// AddPart inserts a record, durably. There is no condition: the same record
	// again is no change, and two of one Name are never different.
	// ErrUnknown, ErrNotApplied (ErrNoSpace, as early as for a change that opens
	// an intent).
	AddPart(ctx context.Context, part Part) error

	// Parts returns the records of an upload in order of number and attempt, at
	// most limit after the place (zero: from the beginning). Every record that was
	// known added before the call, and none of another upload, is in it. A page
	// that is shorter than limit is the last.
	Parts(ctx context.Context, upload object.ID, after PartName, limit int) ([]Part, error)

	// DropParts drops the records of an upload, durably and again without harm.
	// One whose AddPart is not over by then may stay or come later; nobody asks for
	// the parts of an upload that is over, and its id never comes back.
	// ErrUnknown, ErrNotApplied.
	DropParts(ctx context.Context, upload object.ID) error
}

// CheckPart refuses a record that is none. ErrNotApplied.
func CheckPart(p *Part) error {
	switch {
	case p.Number < 1 || p.Number > MaxPart:
		return NotApplied(fmt.Errorf("part number %d: want 1 to %d", p.Number, MaxPart))
	case p.Upload.IsZero() || p.Attempt.IsZero():
		return NotApplied(errors.New("a part without upload or attempt"))
	}
	return nil
}

// UploadName is the name of the document of one upload: the names of a bucket's
// uploads lie together, in order of the key and then of the id.
func UploadName(key object.Key, id object.ID) string {
	return UploadsOf(key.Bucket, key.Name) + "\x00" + id.String()
}

// UploadsOf is what the names of the documents of a bucket's uploads begin with,
// for keys that begin with prefix.
func UploadsOf(bucket, prefix string) string { return bucket + "\x00" + prefix }

// ParseUploadName splits a document's name; ok false: it is none.
func ParseUploadName(name string) (key object.Key, id object.ID, ok bool) {
	bucket, rest, ok := strings.Cut(name, "\x00")
	at := len(rest) - 2*len(id)
	if !ok || at < 1 || rest[at-1] != 0 {
		return key, id, false
	}
	id, err := object.ParseID(rest[at:])
	return object.Key{Bucket: bucket, Name: rest[:at-1]}, id, err == nil
}

// Numbers of the fields of a part, for ever. Upload and name are the store's key
// and not in it.
const (
	partAdded = iota + 1
	partSize
	partETag
	partSum
	partHolder
)

// EncodePart returns the stored form of a part's record, without its upload and
// name, which are the store's key.
func EncodePart(p *Part) []byte {
	e := encoder{buf: append(make([]byte, 0, 192), format)}
	e.time(partAdded, p.Added)
	e.int(partSize, p.Size)
	e.str(partETag, p.ETag)
	encodeMap(&e, partSum, p.Sums)
	encodeMap(&e, partHolder, p.ETags)
	return e.buf
}

// DecodePart reads what EncodePart wrote; it keeps nothing of data. ErrBadRecord.
func DecodePart(upload object.ID, name PartName, data []byte) (Part, error) {
	p := Part{Upload: upload, Number: name.Number, Attempt: name.Attempt}
	if len(data) == 0 || data[0] != format {
		return Part{}, fmt.Errorf("part %d: %w", name.Number, ErrBadRecord)
	}
	d := decoder{rest: string(data[1:])}
	for d.next() {
		switch d.field {
		case partAdded:
			p.Added = d.time()
		case partSize:
			p.Size = d.int()
		case partETag:
			p.ETag = d.str()
		case partSum:
			p.Sums = decodeEntryOf(&d, p.Sums)
		case partHolder:
			p.ETags = decodeEntryOf(&d, p.ETags)
		}
	}
	if d.bad {
		return Part{}, fmt.Errorf("part %d: %w", name.Number, ErrBadRecord)
	}
	return p, nil
}
