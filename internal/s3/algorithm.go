package s3

import (
	"crypto/md5"  //nolint:gosec // one of S3's checksums
	"crypto/sha1" //nolint:gosec // likewise
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"maps"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/minio/crc64nvme"
	"github.com/zeebo/xxh3"
)

// algorithm is one checksum of S3.
type algorithm struct {
	size int // of the digest, in bytes
	hash func() hash.Hash
	crc  *crc // how digests of pieces join; nil when they cannot be joined
}

// algorithms are those that the gateway verifies, by the names that headers
// spell in lower case.
var algorithms = map[string]algorithm{
	"crc32":     {4, func() hash.Hash { return crc32.NewIEEE() }, &crc{crc32.IEEE, 1 << 31}},
	"crc32c":    {4, func() hash.Hash { return crc32.New(castagnoli) }, &crc{crc32.Castagnoli, 1 << 31}},
	"crc64nvme": {8, func() hash.Hash { return crc64nvme.New() }, &crc{0x9a6c9329ac4bc9b5, 1 << 63}},
	"sha1":      {20, sha1.New, nil},
	"sha256":    {32, sha256.New, nil},

	"md5":       {16, md5.New, nil},
	"sha512":    {64, sha512.New, nil},
	"xxhash64":  {8, func() hash.Hash { return xxhash.New() }, nil},
	"xxhash3":   {8, func() hash.Hash { return xxh3.New() }, nil},
	"xxhash128": {16, func() hash.Hash { return xxh3.New128() }, nil},
}

const checksumList = "[CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256, SHA512, XXHASH128, XXHASH3, XXHASH64]"

// DefaultChecksum is the algorithm of the checksum that S3 computes by itself where a
// client gave none.
const DefaultChecksum = "crc64nvme"

// oldest are the algorithms that every server with checksums knows.
var oldest = []string{"crc32", "crc32c", "sha1", "sha256"}

// Recent tells of an algorithm that there is whether servers may lack it which keep the
// others: ask them (package probe) before sending it.
func Recent(algorithm string) bool {
	_, known := algorithms[algorithm]
	return known && !slices.Contains(oldest, algorithm)
}

// ChecksumAlgorithms are the names of all algorithms, in order.
func ChecksumAlgorithms() []string { return slices.Sorted(maps.Keys(algorithms)) }

// ChecksumLength is the length in bytes of a checksum in base64; zero for an algorithm
// that there is not.
func ChecksumLength(algorithm string) int {
	a, known := algorithms[algorithm]
	if !known {
		return 0
	}
	return base64.StdEncoding.EncodedLen(a.size)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// NewChecksum returns the hash of a checksum algorithm by its name in lower
// case ("crc32", "sha256", "xxhash3", ...), nil when there is no such algorithm. The checksum is the base64 of its Sum.
func NewChecksum(name string) hash.Hash {
	if a, ok := algorithms[name]; ok {
		return a.hash()
	}
	return nil
}

// checksumOf returns the checksum of data, by an algorithm that there is.
func checksumOf(name string, data []byte) string {
	h := NewChecksum(name)
	h.Write(data)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// decodeChecksum returns the digest that a checksum stands for; ok is false
// unless it is one of the algorithm, whole and in its only spelling.
func decodeChecksum(name, value string) (digest []byte, ok bool) {
	a, known := algorithms[name]
	if !known {
		return nil, false
	}
	digest, err := base64.StdEncoding.Strict().DecodeString(value)
	return digest, err == nil && len(digest) == a.size && !strings.ContainsAny(value, "\r\n")
}
