package auth

import (
	"hash"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// algorithmMD5 is Content-MD5's, and the ETag's.
const algorithmMD5 = "md5"

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
	*s = append(*s, &sum{algorithm: algorithm, hash: s3.NewChecksum(algorithm)})
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
