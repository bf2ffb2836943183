package object

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

// ReservedPrefix begins the keys that belong to s3mirror itself (identity,
// generation, tombstones). They are hidden from lists and refused for every verb.
const ReservedPrefix = ".s3mirror/"

// Key names one object: the logical bucket and the raw bytes of the key,
// exactly as the client meant them (decoded once, never cleaned).
type Key struct {
	Bucket string
	Name   string
}

// String is for people; it quotes whatever could forge a log line.
func (k Key) String() string { return fmt.Sprintf("%s/%q", k.Bucket, k.Name) }

// LogValue makes a key safe to log whatever bytes it holds.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Reserved tells whether the key belongs to s3mirror itself.
func (k Key) Reserved() bool { return strings.HasPrefix(k.Name, ReservedPrefix) }

// ID says which write made a version. It is fixed when the write's body
// starts, is random, and is carried by the stamp of every stored copy. The zero
// ID belongs to objects that s3mirror did not write ("foreign").
type ID [16]byte

// NewID draws a fresh identity from the operating system's random source.
func NewID() ID {
	var id ID
	rand.Read(id[:]) // never fails since Go 1.24; the process would crash
	return id
}

// ParseID reads the form that String writes.
func ParseID(s string) (ID, error) {
	var id ID
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return ID{}, fmt.Errorf("object id %q: want %d hex digits", s, 2*len(id))
	}
	copy(id[:], b)
	return id, nil
}

// String is 32 lower-case hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// IsZero tells a foreign object's identity from a write of ours.
func (id ID) IsZero() bool { return id == ID{} }

// Version is the place of a write in the order of its key: a hybrid logical
// clock of 48 bits of Unix milliseconds and 16 bits of counter. It is chosen
// inside the intent's compare-and-set (RELIABILITY R7), so order is commit
// order. Zero is the place of whatever stood there before the log knew the key.
type Version uint64

// Tick returns a version later than max, and not before the wall clock.
func Tick(wall time.Time, max Version) Version {
	v := Version(uint64(wall.UnixMilli()) << 16)
	if v <= max {
		v = max + 1
	}
	return v
}

// Time is the wall-clock part of the version.
func (v Version) Time() time.Time { return time.UnixMilli(int64(v >> 16)).UTC() }

// Kind tells an object from the durable memory of its absence.
type Kind uint8

const (
	Tombstone Kind = iota // no object stands under the key
	Present               // an object stands under the key
)

func (k Kind) String() string {
	if k == Tombstone {
		return "tombstone"
	}
	return "object"
}

// Headers are the content headers, user metadata and checksums of a version:
// lower-case names to the raw bytes of the value. Only names that Stored
// accepts occur in it. A nil map is an empty one.
type Headers map[string]string

// storedHeaders are the fixed names that belong to a version.
var storedHeaders = []string{
	"cache-control", "content-disposition", "content-encoding", "content-language",
	"content-type", "expires", "x-amz-website-redirect-location", "x-amz-storage-class",
}

// Prefixes of the header families that belong to a version.
const (
	MetaPrefix     = "x-amz-meta-"
	InternalPrefix = "x-amz-meta-s3mirror-" // the stamp: never shown, never taken from clients
	ChecksumPrefix = "x-amz-checksum-"      // values only: x-amz-checksum-type too, -algorithm and -mode not
)

// Stored tells whether a header of this lower-case name is part of a version.
func Stored(name string) bool {
	switch {
	case strings.HasPrefix(name, InternalPrefix):
		return false
	case strings.HasPrefix(name, MetaPrefix):
		return true
	case strings.HasPrefix(name, ChecksumPrefix):
		return name != "x-amz-checksum-mode" && name != "x-amz-checksum-algorithm"
	}
	return slices.Contains(storedHeaders, name)
}

// Equal compares values byte by byte.
func (h Headers) Equal(o Headers) bool { return maps.Equal(h, o) }

// Clone returns a copy that shares nothing.
func (h Headers) Clone() Headers { return maps.Clone(h) }

// Info is what one version of a key is, whichever replica shows it.
type Info struct {
	ID      ID
	Ver     Version
	Kind    Kind
	ETag    string    // without quotes; empty for a tombstone
	Size    int64     // bytes
	ModTime time.Time // UTC; what Last-Modified says
	Headers Headers
	Parts   []int64 // sizes in bytes of a multipart object's parts; nil for a single PUT
	Tags    Tags    // as far as known: no HEAD shows them, a row may (oplog.Row.Tagged)
}

// Seen is what one replica showed of a key when it was asked. It is evidence,
// not truth: only the row says which version is current.
type Seen struct {
	Info               // Kind Tombstone: the replica answered 404 NoSuchKey
	Flag     Flag      // how the stored copy was written; FlagNone when it carries no valid stamp
	Uploaded time.Time // the stamp's upload time
	TagCount int       // how many tags it has, as far as the answer tells; 0 for none
}

// Shows tells whether what was seen is the version cur: the same identity,
// ETag and size (RELIABILITY R21). A foreign object's identity is its ETag.
// An empty cur.ETag (not yet known) matches any.
func (s Seen) Shows(cur Info) bool {
	if s.Kind != cur.Kind {
		return false
	}
	if s.Kind == Tombstone {
		return true
	}
	return s.ID == cur.ID && s.Size == cur.Size && (cur.ETag == "" || s.ETag == cur.ETag)
}

// ErrBadStamp is returned for a stamp that is malformed or whose MAC is wrong;
// such an object counts as foreign.
var ErrBadStamp = errors.New("stamp is malformed or was not written by this deployment")
