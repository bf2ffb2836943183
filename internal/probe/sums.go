package probe

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
)

// recentSums are the algorithms of checksums that servers may lack: s3.Recent.
var recentSums = []string{"crc64nvme", "md5", "sha512", "xxhash64", "xxhash3", "xxhash128"}

// sums asks about each algorithm whether a body with such a trailer is verified, and its
// checksum told again. A server may well ignore the trailer, which is then no proof of
// anything: No.
func (r *runner) sums(ctx context.Context) []Probe {
	var found []Probe
	for _, algorithm := range recentSums {
		result, detail := r.sum(ctx, algorithm)
		found = append(found, Probe{SumProbe + algorithm, result, detail})
	}
	return found
}

func (r *runner) sum(ctx context.Context, algorithm string) (Result, string) {
	key, data := "sum/"+algorithm, pattern(algorithm, 1000)
	framing := backend.Framing{Mode: backend.Trailer, Algorithm: algorithm}
	want := sumOf(algorithm, data)
	other := pattern(algorithm+" forged", 1000)
	switch err := r.refused(ctx, key, &body{data: other, trailer: want}, framing, len(other)); {
	case err == errTaken: //nolint:errorlint // refused returns it as it is
		return No, "a body with another checksum is stored"
	case err != nil:
		return unknown(err)
	}
	if _, err := r.upload(ctx, key, int64(len(data)), &body{data: data, trailer: want}, framing, nil); err != nil {
		if backend.OutcomeOf(err) == backend.Refused {
			return No, "refused: " + err.Error()
		}
		return unknown(err)
	}
	_, obj, err := r.get(ctx, key)
	if err != nil {
		return unknown(err)
	}
	if got := obj.Headers[object.ChecksumPrefix+algorithm]; got != want {
		return No, fmt.Sprintf("told again as %q", got)
	}
	return Yes, ""
}

// sumOf is the checksum of data in base64.
func sumOf(algorithm string, data []byte) string {
	h, err := backend.NewChecksum(algorithm)
	if err != nil {
		panic(err) // one of ours
	}
	_, _ = h.Write(data) // hashes never fail
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}
