package s3

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// ChecksumType says what the checksum of a multipart object is of.
type ChecksumType string

const (
	// Composite is the digest of the parts' digests; its value ends in a hyphen
	// and the number of parts.
	Composite ChecksumType = "COMPOSITE"
	// FullObject is the digest of all bytes, as that of a single PUT.
	FullObject ChecksumType = "FULL_OBJECT"
)

// UploadChecksum is what a CreateMultipartUpload fixes about the checksums of
// its parts and of the object. The zero value promises none.
type UploadChecksum struct {
	Algorithm string // lower case, as of Checksum; empty: none
	Type      ChecksumType
}

// ParseUploadChecksum reads x-amz-checksum-algorithm and x-amz-checksum-type
// of a CreateMultipartUpload. Without a type it is COMPOSITE, of CRC64NVME
// FULL_OBJECT. InvalidRequest for an unknown algorithm or type, a type alone, a
// hash over the full object (nothing but CRCs can be joined from parts) and
// a composite CRC64NVME, which S3 does not have.
func ParseUploadChecksum(h http.Header) (UploadChecksum, error) {
	c := UploadChecksum{
		Algorithm: strings.ToLower(h.Get("x-amz-checksum-algorithm")),
		Type:      ChecksumType(strings.ToUpper(h.Get(checksumTypeHeader))),
	}
	a, known := algorithms[c.Algorithm]
	switch {
	case c.Algorithm != "" && !known:
		return UploadChecksum{}, errUnknownAlgorithm()
	case c.Type != "" && c.Type != Composite && c.Type != FullObject:
		return UploadChecksum{}, errChecksumHeader(checksumTypeHeader)
	case c.Algorithm == "" && c.Type != "":
		return UploadChecksum{}, Errorf(InvalidRequest, "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
	case c.Type == FullObject && a.crc == nil, c.Type == Composite && c.Algorithm == onlyFull:
		return UploadChecksum{}, Errorf(InvalidRequest, "The %s checksum type cannot be used with the %s checksum algorithm.", c.Type, c.Algorithm)
	case c.Algorithm == onlyFull:
		c.Type = FullObject
	case c.Algorithm != "" && c.Type == "":
		c.Type = Composite
	}
	return c, nil
}

// onlyFull is the algorithm that S3 knows over the full object alone.
const onlyFull = "crc64nvme"

// Header is the header, or the trailer, that carries the values.
func (c UploadChecksum) Header() string { return checksumPrefix + c.Algorithm }

// SetHeaders announces the choice: in the request that makes it and in its
// answer.
func (c UploadChecksum) SetHeaders(h http.Header) {
	if c.Algorithm == "" {
		return
	}
	h.Set("x-amz-checksum-algorithm", strings.ToUpper(c.Algorithm))
	h.Set(checksumTypeHeader, string(c.Type))
}

// CheckPart judges the checksum that came with a part: it must be of the
// upload's algorithm. An upload without one takes any: SDKs give each part a
// checksum though they began the upload without. One whose type is FULL_OBJECT
// lets us compute what the client left out. InvalidRequest.
func (c UploadChecksum) CheckPart(algorithm string) error {
	if c.Algorithm == "" || algorithm == c.Algorithm || algorithm == "" && c.Type == FullObject {
		return nil
	}
	return c.mismatch(algorithm)
}

func (c UploadChecksum) mismatch(algorithm string) error {
	return Errorf(InvalidRequest, "Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
		cmp.Or(strings.ToUpper(c.Algorithm), "null"), cmp.Or(strings.ToUpper(algorithm), "null"))
}

// PartSum is the checksum of one part: base64, and the part's size in bytes.
type PartSum struct {
	Value string
	Size  int64
}

var errPartSum = errors.New("checksum of a part is missing or of another algorithm")

// Join returns the checksum of the object that the parts make, in the form of
// its header: of COMPOSITE with the number of parts behind a hyphen. It is empty
// for an upload without checksums. An error says that a part has none.
func (c UploadChecksum) Join(parts []PartSum) (string, error) {
	if c.Algorithm == "" {
		return "", nil
	}
	pieces := make([]piece, len(parts))
	for i, p := range parts {
		digest, ok := decodeChecksum(c.Algorithm, p.Value)
		if !ok {
			return "", fmt.Errorf("part at place %d: %w", i+1, errPartSum)
		}
		pieces[i] = piece{p.Size, digest}
	}
	if c.Type == FullObject {
		return base64.StdEncoding.EncodeToString(algorithms[c.Algorithm].crc.join(pieces)), nil
	}
	h := NewChecksum(c.Algorithm)
	for _, p := range pieces {
		h.Write(p.digest)
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts)), nil
}

// splitComposite takes the number of parts off a checksum; zero when it has
// none.
func splitComposite(value string) (sum string, parts int, ok bool) {
	sum, count, found := strings.Cut(value, "-")
	if !found {
		return sum, 0, true
	}
	n, err := strconv.ParseUint(count, 10, 16)
	return sum, int(n), err == nil && n > 0 && n <= MaxParts && count[0] != '0' //nolint:gosec // bounded
}
