package s3

import (
	"encoding/base64"
	"net/http"
	"strings"
)

const checksumTypeHeader = checksumPrefix + "type"

// Checksum is what a client promises about the body, beside Content-MD5 and
// the payload hash of the signature.
type Checksum struct {
	Algorithm string // in lower case, as of NewChecksum; empty: no promise
	Value     []byte // the digest; nil when it comes in the trailer
}

// Header is the header, or the trailer, that carries the value.
func (c Checksum) Header() string { return checksumPrefix + c.Algorithm }

// ParseChecksum reads x-amz-checksum-*, x-amz-trailer and
// x-amz-sdk-checksum-algorithm. More than one checksum, an unknown algorithm, a
// value of the wrong form and an announcement that nothing follows are
// InvalidRequest.
func ParseChecksum(h http.Header) (Checksum, error) {
	sum, err := headerChecksum(h)
	if err != nil {
		return Checksum{}, err
	}
	if trailer := h.Get("x-amz-trailer"); trailer != "" {
		if sum.Algorithm != "" {
			return Checksum{}, errManyChecksums()
		}
		if sum, err = trailerChecksum(trailer); err != nil {
			return Checksum{}, err
		}
	}
	return sum, checkAnnounced(h, sum)
}

func headerChecksum(h http.Header) (Checksum, error) {
	var sum Checksum
	text := ""
	for field, values := range h {
		name := lowerField(field)
		if !sumHeader(name) {
			continue
		}
		algorithm := strings.TrimPrefix(name, checksumPrefix)
		if _, ok := algorithms[algorithm]; !ok {
			return Checksum{}, Errorf(InvalidRequest, "The algorithm type you specified in x-amz-checksum- header is invalid.")
		}
		if sum.Algorithm != "" || len(values) != 1 {
			return Checksum{}, errManyChecksums()
		}
		sum.Algorithm, text = algorithm, values[0]
	}
	if sum.Algorithm == "" {
		return sum, nil
	}
	var ok bool
	if sum.Value, ok = decodeChecksum(sum.Algorithm, text); !ok {
		return Checksum{}, errChecksumHeader(sum.Header())
	}
	return sum, nil
}

func trailerChecksum(trailer string) (Checksum, error) {
	algorithm, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(trailer)), checksumPrefix)
	if _, known := algorithms[algorithm]; !ok || !known {
		return Checksum{}, Errorf(InvalidRequest, "The value specified in the x-amz-trailer header is not supported")
	}
	return Checksum{Algorithm: algorithm}, nil
}

// checkAnnounced holds the algorithm that the SDK announced against what it
// sent.
func checkAnnounced(h http.Header, sum Checksum) error {
	for _, name := range [...]string{"X-Amz-Sdk-Checksum-Algorithm", "X-Amz-Checksum-Algorithm"} {
		announced := strings.ToLower(h.Get(name))
		if announced == "" {
			continue
		}
		if _, known := algorithms[announced]; !known {
			return errUnknownAlgorithm()
		}
		if sum.Algorithm == "" && name == "X-Amz-Sdk-Checksum-Algorithm" {
			return Errorf(InvalidRequest, "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
		}
		if sum.Algorithm != "" && announced != sum.Algorithm {
			return errChecksumHeader(lowerField(name))
		}
	}
	return nil
}

func errUnknownAlgorithm() *Error {
	return Errorf(InvalidRequest, "Checksum algorithm provided is unsupported. Please try again with any of the valid types: %s", checksumList)
}

func errChecksumHeader(name string) *Error {
	return Errorf(InvalidRequest, "Value for %s header is invalid.", name)
}

func errManyChecksums() *Error {
	return Errorf(InvalidRequest, "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
}

// ParseContentMD5 returns the 16 bytes of Content-MD5, nil when there is none.
// InvalidDigest.
func ParseContentMD5(h http.Header) ([]byte, error) {
	values := h.Values("Content-MD5")
	if len(values) == 0 {
		return nil, nil
	}
	sum, err := base64.StdEncoding.DecodeString(values[0])
	if err != nil || len(sum) != 16 || len(values) > 1 {
		return nil, Err(InvalidDigest).With("Content-MD5", values[0])
	}
	return sum, nil
}
