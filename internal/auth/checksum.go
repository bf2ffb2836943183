package auth

import (
	"crypto/md5"
	"crypto/sha1" //nolint:gosec // one of S3's checksums
	"crypto/sha256"
	"hash"
	"hash/crc32"

	"github.com/minio/crc64nvme"
)

// algorithmMD5 is Content-MD5's; as x-amz-checksum-* it does not occur.
const algorithmMD5 = "md5"

// NewChecksum returns the hash of a checksum algorithm of S3 by its name in
// lower case ("crc32", "crc32c", "crc64nvme", "sha1", "sha256"), nil when there
// is no such algorithm. The checksum is the base64 of its Sum.
func NewChecksum(algorithm string) hash.Hash {
	switch algorithm {
	case "crc32":
		return crc32.NewIEEE()
	case "crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "crc64nvme":
		return crc64nvme.New()
	case "sha1":
		return sha1.New()
	case "sha256":
		return sha256.New()
	}
	return nil
}

// sum is one hash over the whole body.
type sum struct {
	algorithm string
	hash      hash.Hash
	digest    []byte // once the body has ended
}

// sums are the hashes of a body, each algorithm once however many promises it
// serves.
type sums []*sum

func (s *sums) add(algorithm string) {
	if s.find(algorithm) != nil {
		return
	}
	h := NewChecksum(algorithm)
	if algorithm == algorithmMD5 {
		h = md5.New()
	}
	*s = append(*s, &sum{algorithm: algorithm, hash: h})
}

func (s sums) find(algorithm string) *sum {
	for _, one := range s {
		if one.algorithm == algorithm {
			return one
		}
	}
	return nil
}

func (s sums) write(p []byte) {
	for _, one := range s {
		one.hash.Write(p)
	}
}

func (s sums) finish() {
	for _, one := range s {
		one.digest = one.hash.Sum(nil)
	}
}

// digest is nil for an algorithm that was not asked for, and before the end.
func (s sums) digest(algorithm string) []byte {
	if one := s.find(algorithm); one != nil {
		return one.digest
	}
	return nil
}
