package pebble

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// First bytes of the families of keys.
const (
	familyMeta   = 'm'
	familyRow    = 'r'
	familyShard  = 's'
	familyDoc    = 'd'
	familyPart   = 'p'
	familyEvent  = 'h'
	familyByName = 'k'
)

func schemaKey() []byte { return append([]byte{familyMeta}, "schema"...) }

// counted appends a string with its length before it.
func counted(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// uncount splits off what counted appended.
func uncount(b []byte) (s, rest []byte, ok bool) {
	n, width := binary.Uvarint(b)
	if width <= 0 || n > uint64(len(b)-width) {
		return nil, nil, false
	}
	return b[width : width+int(n)], b[width+int(n):], true
}

func rowKey(b []byte, key object.Key) []byte {
	return append(counted(append(b, familyRow), key.Bucket), key.Name...)
}

// shardKey is the place of a row, named by its own key, in the index.
func shardKey(b []byte, shard int, row []byte) []byte {
	return append(append(b, familyShard, byte(shard)), row[1:]...)
}

// rowOfShardKey is the row's key that a place in the index names.
func rowOfShardKey(b, place []byte) []byte {
	return append(append(b, familyRow), place[2:]...)
}

func parseRowKey(b []byte) (object.Key, bool) {
	if len(b) == 0 {
		return object.Key{}, false
	}
	bucket, name, ok := uncount(b[1:])
	return object.Key{Bucket: string(bucket), Name: string(name)}, ok
}

func docKey(b []byte, kind oplog.DocKind, name string) []byte {
	return append(counted(append(b, familyDoc), string(kind)), name...)
}

// partsKey begins the keys of the parts of an upload.
func partsKey(b []byte, upload object.ID) []byte {
	return append(append(b, familyPart), upload[:]...)
}

func partKey(b []byte, upload object.ID, name oplog.PartName) []byte {
	b = binary.BigEndian.AppendUint16(partsKey(b, upload), uint16(name.Number)) //nolint:gosec // at most oplog.MaxPart
	return append(b, name.Attempt[:]...)
}

// parsePartName reads what stands in a part's key after its upload.
func parsePartName(b []byte) (name oplog.PartName, ok bool) {
	if len(b) != 2+len(name.Attempt) {
		return name, false
	}
	return oplog.PartName{Number: int(binary.BigEndian.Uint16(b)), Attempt: object.ID(b[2:])}, true
}

// hourKey begins the keys of one hour in a family of history.
func hourKey(b []byte, family byte, hour int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, family), ordered(hour))
}

// place is where in history an event lies, beside its hour and bucket.
type place struct {
	sec  int64
	nsec uint32
	seq  uint64
}

const placeBytes = 8 + 4 + 8

func placeOf(t time.Time, seq uint64) place {
	return place{sec: t.Unix(), nsec: uint32(t.Nanosecond()), seq: seq}
}

func (p place) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, ordered(p.sec))
	b = binary.BigEndian.AppendUint32(b, p.nsec)
	return binary.BigEndian.AppendUint64(b, p.seq)
}

func parsePlace(b []byte) (place, bool) {
	if len(b) != placeBytes {
		return place{}, false
	}
	return place{
		sec:  int64(binary.BigEndian.Uint64(b) ^ signBit),
		nsec: binary.BigEndian.Uint32(b[8:]),
		seq:  binary.BigEndian.Uint64(b[12:]),
	}, true
}

func (p place) before(o place) bool {
	switch {
	case p.sec != o.sec:
		return p.sec < o.sec
	case p.nsec != o.nsec:
		return p.nsec < o.nsec
	}
	return p.seq < o.seq
}

const signBit = 1 << 63

// ordered maps numbers to bytes that sort as they do, those before 1970 too.
func ordered(v int64) uint64 { return uint64(v) ^ signBit }

// hourOf counts whole hours since 1970, rounding down.
func hourOf(sec int64) int64 {
	hour := sec / 3600
	if sec%3600 < 0 {
		hour--
	}
	return hour
}

// end is the first key after all those that begin with prefix. The families'
// first bytes are below 0xff, so there is always one.
func end(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < math.MaxUint8 {
			e := append([]byte(nil), prefix[:i+1]...)
			e[i]++
			return e
		}
	}
	return nil
}
