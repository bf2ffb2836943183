package s3

import "encoding/binary"

// crc joins the CRCs of pieces into that of the whole without the bytes. It
// treats a CRC as the polynomial over GF(2) that it is, in reflected order: the
// highest bit is the coefficient of x^0.
type crc struct {
	poly uint64 // the modulus, without its highest power
	one  uint64 // the polynomial 1, which tells the width too
}

// times is the product of two polynomials, modulo the CRC's.
func (c *crc) times(a, b uint64) uint64 {
	var product uint64
	for power := c.one; a != 0; power >>= 1 {
		if a&power != 0 {
			product ^= b
			a &^= power
		}
		carry := b & 1
		b >>= 1
		if carry != 0 {
			b ^= c.poly
		}
	}
	return product
}

// shift is x to the power of 8n: what n more bytes multiply a CRC by.
func (c *crc) shift(n int64) uint64 {
	out := c.one
	for square := c.one >> 8; n > 0; n >>= 1 {
		if n&1 != 0 {
			out = c.times(out, square)
		}
		square = c.times(square, square)
	}
	return out
}

// join returns the CRC of the pieces in their order. The CRCs of S3 begin and
// end inverted, and the two inversions of a join cancel out, so their values add
// up as they are.
func (c *crc) join(pieces []piece) []byte {
	var sum, factor uint64
	last := int64(-1)
	for _, p := range pieces {
		if p.size != last { // all parts but the last usually have one size
			factor, last = c.shift(p.size), p.size
		}
		sum = c.times(factor, sum) ^ p.value()
	}
	if c.one>>32 == 0 {
		return binary.BigEndian.AppendUint32(nil, uint32(sum)) //nolint:gosec // 32 bits wide
	}
	return binary.BigEndian.AppendUint64(nil, sum)
}

// piece is a part of a whole: its size in bytes and its digest.
type piece struct {
	size   int64
	digest []byte
}

func (p piece) value() uint64 {
	var wide [8]byte
	copy(wide[8-len(p.digest):], p.digest)
	return binary.BigEndian.Uint64(wide[:])
}
