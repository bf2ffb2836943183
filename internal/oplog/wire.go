package oplog

import (
	"encoding/binary"
	"time"
)

// The wire form of a record is a list of fields, each a tag and a value. The
// tag is field<<1 | kind; the value is a varint or counted bytes. So a reader
// can step over a field it does not know, which is what lets version N-1 of the
// program read what version N wrote. Zero values are left out.
const (
	kindVarint = 0
	kindBytes  = 1
)

// encoder appends fields to buf.
type encoder struct{ buf []byte }

func (e *encoder) tag(field, kind uint64) {
	e.buf = binary.AppendUvarint(e.buf, field<<1|kind)
}

func (e *encoder) uint(field, v uint64) {
	if v == 0 {
		return
	}
	e.tag(field, kindVarint)
	e.buf = binary.AppendUvarint(e.buf, v)
}

func (e *encoder) int(field uint64, v int64) { e.uint(field, zigzag(v)) }

func (e *encoder) bool(field uint64, v bool) {
	if v {
		e.uint(field, 1)
	}
}

func (e *encoder) str(field uint64, v string) {
	if v != "" {
		e.item(field, v)
	}
}

// item appends a string even when it is empty: an element of a list.
func (e *encoder) item(field uint64, v string) {
	e.tag(field, kindBytes)
	e.buf = binary.AppendUvarint(e.buf, uint64(len(v)))
	e.buf = append(e.buf, v...)
}

func (e *encoder) id(field uint64, v [16]byte) {
	if v == ([16]byte{}) {
		return
	}
	e.tag(field, kindBytes)
	e.buf = append(e.buf, byte(len(v)))
	e.buf = append(e.buf, v[:]...)
}

// time keeps seconds and nanoseconds apart, so that every time.Time survives,
// whatever a backend's clock said.
func (e *encoder) time(field uint64, t time.Time) {
	if t.IsZero() {
		return
	}
	at := e.begin(field)
	e.buf = binary.AppendVarint(e.buf, t.Unix())
	e.buf = binary.AppendUvarint(e.buf, uint64(t.Nanosecond()))
	e.end(at)
}

// pair appends one entry of a map of strings.
func (e *encoder) pair(field uint64, name, value string) {
	at := e.begin(field)
	e.buf = binary.AppendUvarint(e.buf, uint64(len(name)))
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, value...)
	e.end(at)
}

// begin opens a field whose length is not known yet; end closes it.
func (e *encoder) begin(field uint64) int {
	e.tag(field, kindBytes)
	e.buf = append(e.buf, 0) // nearly every message is shorter than 128 bytes
	return len(e.buf)
}

func (e *encoder) end(at int) {
	n := len(e.buf) - at
	if n < 0x80 {
		e.buf[at-1] = byte(n)
		return
	}
	var size [binary.MaxVarintLen64]byte
	width := binary.PutUvarint(size[:], uint64(n))
	e.buf = append(e.buf, size[1:width]...) // grow, then move the message up
	copy(e.buf[at-1+width:], e.buf[at:at+n])
	copy(e.buf[at-1:], size[:width])
}

// decoder steps through the fields of a record. It holds a string, not bytes,
// so that every string of a record is a part of one allocation. bad is set for
// whatever is malformed and ends the walk.
type decoder struct {
	rest  string
	field uint64
	kind  uint64
	num   uint64
	text  string
	bad   bool
}

// next steps to the next field; false at the end or when bad.
func (d *decoder) next() bool {
	if d.bad || d.rest == "" {
		return false
	}
	tag := d.uvarint()
	d.field, d.kind = tag>>1, tag&1
	d.num, d.text = d.uvarint(), ""
	if d.bad {
		return false
	}
	if d.kind == kindBytes {
		if d.num > uint64(len(d.rest)) {
			d.bad = true
			return false
		}
		d.text, d.rest = d.rest[:d.num], d.rest[d.num:]
	}
	return true
}

// uvarint takes one varint off the rest. binary.Uvarint wants a slice.
func (d *decoder) uvarint() uint64 {
	var v uint64
	for i := 0; i < len(d.rest) && i < binary.MaxVarintLen64; i++ {
		b := d.rest[i]
		if b < 0x80 {
			if i == binary.MaxVarintLen64-1 && b > 1 {
				break
			}
			d.rest = d.rest[i+1:]
			return v | uint64(b)<<(7*i)
		}
		v |= uint64(b&0x7f) << (7 * i)
	}
	d.bad = true
	return 0
}

func (d *decoder) uint() uint64 {
	d.bad = d.bad || d.kind != kindVarint
	return d.num
}

func (d *decoder) int() int64 { return unzigzag(d.uint()) }

// small is a number of at most one byte: a kind.
func (d *decoder) small() uint8 {
	v := d.uint()
	d.bad = d.bad || v > 0xff
	return uint8(v)
}

func (d *decoder) str() string {
	d.bad = d.bad || d.kind != kindBytes
	return d.text
}

func (d *decoder) id() (v [16]byte) {
	s := d.str()
	d.bad = d.bad || len(s) != len(v)
	copy(v[:], s)
	return v
}

func (d *decoder) time() time.Time {
	in := decoder{rest: d.str()}
	sec, nsec := unzigzag(in.uvarint()), in.uvarint()
	if in.bad || in.rest != "" || nsec >= uint64(time.Second) {
		d.bad = true
		return time.Time{}
	}
	return time.Unix(sec, int64(nsec)).UTC()
}

func (d *decoder) pair() (name, value string) {
	in := decoder{rest: d.str()}
	n := in.uvarint()
	if in.bad || n > uint64(len(in.rest)) {
		d.bad = true
		return "", ""
	}
	return in.rest[:n], in.rest[n:]
}

// zigzag is the form in which encoding/binary writes signed varints.
func zigzag(v int64) uint64 { return uint64(v)<<1 ^ uint64(v>>63) }

func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }
