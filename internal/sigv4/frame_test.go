package sigv4_test

import (
	"crypto/sha256"
	"net/http"
	"testing"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// encode frames data in chunks of size chunk by the package's encoders.
func encode(s *sigv4.ChunkSigner, mode sigv4.Mode, data []byte, chunk int, trailer, value string) []byte {
	var sizes []int
	for left := len(data); left > 0; left -= chunk {
		sizes = append(sizes, min(left, chunk))
	}
	return encodeChunks(s, mode, data, sizes, trailer, value)
}

func encodeChunks(s *sigv4.ChunkSigner, mode sigv4.Mode, data []byte, sizes []int, trailer, value string) []byte {
	var b []byte
	header := func(n int, data []byte) {
		if mode.ChunksSigned() {
			b = s.ChunkHeader(b, n, sha256.Sum256(data))
		} else {
			b = sigv4.ChunkHeader(b, n)
		}
	}
	for _, n := range sizes {
		header(n, data[:n])
		b = append(append(b, data[:n]...), sigv4.CRLF...)
		data = data[n:]
	}
	header(0, nil)
	switch {
	case trailer == "" && mode != sigv4.SignedTrailer:
		return append(b, sigv4.CRLF...)
	case mode == sigv4.SignedTrailer:
		return s.Trailer(b, trailer, value)
	}
	return sigv4.Trailer(b, trailer, value)
}

// upload is a signed PUT of a chunked body, and the signer of its chunks.
func upload(t testing.TB, mode sigv4.Mode) (*sigv4.Request, *sigv4.ChunkSigner) {
	t.Helper()
	r := &http.Request{Method: "PUT", Host: "s3.test", Header: http.Header{}, RequestURI: "/b/k"}
	s := sigv4.NewSigner(testKey, testSecret, testRegion).Sign(r, "/b/k", "", mode.String(), testTime)
	return verified(t, r, testTime, testSecret), s
}

var chunkedModes = []sigv4.Mode{sigv4.UnsignedTrailer, sigv4.Signed, sigv4.SignedTrailer}

func TestEncodedLength(t *testing.T) {
	for _, tc := range []struct {
		name    string
		mode    sigv4.Mode
		decoded int64
		chunk   int
		trailer string
		value   int
		want    int64
	}{
		{"Go SDK, one chunk, crc32", sigv4.UnsignedTrailer, 5000, 5000, "x-amz-checksum-crc32", 8, 5044},
		{"minio-go over http", sigv4.Signed, 5000, 64 << 10, "", 0, 5175},
		{"literal", sigv4.Literal, 5000, 64 << 10, "x", 1, 5000},
		{"unsigned", sigv4.Unsigned, 0, 64 << 10, "x", 1, 0},
		{"empty", sigv4.UnsignedTrailer, 0, 64 << 10, "", 0, 5},
	} {
		if got := sigv4.EncodedLength(tc.mode, tc.decoded, tc.chunk, tc.trailer, tc.value); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
}

func TestEncodedLengthIsTheLength(t *testing.T) {
	data := randomBytes(70_000)
	for _, mode := range chunkedModes {
		for _, size := range []int{0, 1, 15, 16, 17, 8191, 8192, 8193, 16384, 65536, 70_000} {
			for _, chunk := range []int{8192, 10_000, 65536} {
				_, s := upload(t, mode)
				trailer, value := "x-amz-checksum-crc32c", "AAAAAA=="
				if !mode.Trailing() {
					trailer, value = "", ""
				}
				got := encode(s, mode, data[:size], chunk, trailer, value)
				if want := sigv4.EncodedLength(mode, int64(size), chunk, "x-amz-checksum-crc32c", 8); int64(len(got)) != want {
					t.Errorf("%v, %d bytes in chunks of %d: length %d, EncodedLength %d", mode, size, chunk, len(got), want)
				}
			}
		}
	}
}

func TestFramesAppend(t *testing.T) {
	if got := string(sigv4.ChunkHeader([]byte("x"), 65536)); got != "x10000\r\n" {
		t.Errorf("got %q", got)
	}
	if got := string(sigv4.Trailer([]byte("0\r\n"), "n", "v")); got != "0\r\nn:v\r\n\r\n" {
		t.Errorf("got %q", got)
	}
	// A buffer with room behind it is not disturbed before its end.
	_, s := upload(t, sigv4.SignedTrailer)
	dst := append(make([]byte, 0, 4096), "head"...)
	if got := s.Trailer(s.ChunkHeader(dst, 0, [32]byte{}), "n", "v"); string(got[:4]) != "head" || string(got[len(got)-4:]) != "\r\n\r\n" {
		t.Errorf("got %q", got)
	}
}
