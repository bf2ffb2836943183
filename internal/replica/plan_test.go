package replica

import (
	"crypto/md5" //nolint:gosec // S3's ETag
	"encoding/base64"
	"hash"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// promising is a Body that promises what it is told to.
type promising struct {
	*strings.Reader
	literal  bool
	promised s3.Checksum
	sums     map[string]hash.Hash
}

func (b *promising) SHA256() (sum [32]byte, ok bool) { return [32]byte{1}, b.literal }
func (b *promising) ContentMD5() []byte              { return nil }
func (b *promising) Promised() s3.Checksum           { return b.promised }
func (b *promising) ComputeMD5()                     { b.sums["md5"] = md5.New() } //nolint:gosec // S3's ETag
func (b *promising) ComputeChecksum(algorithm string) {
	b.sums[algorithm] = s3.NewChecksum(algorithm)
}
func (b *promising) Checksum() (string, string) { return "", "" }
func (b *promising) MD5() []byte                { return nil }
func (b *promising) Sum(algorithm string) string {
	if b.sums[algorithm] == nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(b.sums[algorithm].Sum(nil))
}

// TestPlanByWhatReplicasKeep: a replica is sent the checksum of an algorithm only if it
// keeps it, and the others do all the same.
func TestPlanByWhatReplicasKeep(t *testing.T) {
	const value = "x-amz-checksum-sha512"
	for name, c := range map[string]struct {
		literal  bool
		promised string // algorithm; with * in the trailer
		sums     string // of the second replica; the first keeps all
		mode     backend.Mode
		trailer  string // of the second replica
		header   bool   // whether the second replica gets the header
		told     string // the algorithm of the answer
	}{
		"nothing, all keep S3's own":       {false, "", "crc64nvme", backend.Trailer, "crc64nvme", false, "crc64nvme"},
		"nothing, one lacks it":            {false, "", "", backend.Trailer, "crc32c", false, "crc32c"},
		"a hash, all keep S3's own":        {true, "", "crc64nvme", backend.Literal, "", false, "crc64nvme"},
		"a hash, one lacks it":             {true, "", "", backend.Literal, "", false, ""},
		"a recent one in the trailer":      {false, "sha512*", "sha512", backend.Trailer, "sha512", false, "sha512"},
		"a recent one that one lacks":      {false, "sha512*", "", backend.SignedChunks, "", false, "sha512"},
		"a recent header":                  {true, "sha512", "sha512", backend.Literal, "", true, "sha512"},
		"a recent header that one lacks":   {true, "sha512", "", backend.Literal, "", false, "sha512"},
		"a recent header without the hash": {false, "sha512", "", backend.SignedChunks, "", false, "sha512"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &promising{Reader: strings.NewReader("abc"), literal: c.literal, sums: map[string]hash.Hash{}}
			headers := object.Headers{"content-type": "text/plain"}
			algorithm, trailing := strings.CutSuffix(c.promised, "*")
			if algorithm != "" {
				b.promised.Algorithm = algorithm
				b.ComputeChecksum(algorithm) // as auth does
				if !trailing {
					headers[value] = "v"
				}
			}
			s := &Set{}
			s.qualities.open(&Options{})
			s.qualities.learn("all", Quality{Sums: []string{"crc64nvme", "sha512"}})
			s.qualities.learn("some", Quality{Sums: strings.Fields(c.sums)})
			p := s.planFor(b, headers, object.NewReplicas("all", "some"), true)
			framing, got := p.of("some", &fanout{})
			if framing.Mode != c.mode || framing.Algorithm != c.trailer || (got[value] != "") != c.header || got["content-type"] == "" {
				t.Errorf("framing %+v, headers %v", framing, got)
			}
			if framing, got = p.of("all", &fanout{}); algorithm != "" && !c.literal && framing.Algorithm != algorithm || (got[value] != "") != (headers[value] != "") {
				t.Errorf("of the replica that keeps all: framing %+v, headers %v", framing, got)
			}
			told := ""
			for name := range p.verified(b).Headers {
				if sum, ok := strings.CutPrefix(name, object.ChecksumPrefix); ok {
					told += sum
				}
			}
			if told != c.told {
				t.Errorf("told %q, want %q", told, c.told)
			}
		})
	}
}

// TestStorageClassIsToldByAll or by none: where servers differ no answer depends on whose it
// is.
func TestStorageClassIsToldByAll(t *testing.T) {
	s := &Set{}
	s.qualities.open(&Options{})
	s.qualities.learn("tells", Quality{ClassTold: true})
	s.qualities.learn("tells too", Quality{ClassTold: true})
	s.qualities.learn("does not", Quality{})
	for _, c := range []struct {
		replicas object.Replicas
		want     bool
	}{
		{object.NewReplicas("tells"), true}, {object.NewReplicas("tells", "tells too"), true}, {object.NewReplicas("tells", "does not"), false},
		{object.NewReplicas("tells", "not known"), false}, {nil, false},
	} {
		if got := s.qualities.tellsClass(c.replicas); got != c.want {
			t.Errorf("%v: %v", c.replicas, got)
		}
	}
	s.qualities.learn("tells", Quality{}) // another server, under the same name
	if s.qualities.tellsClass(object.NewReplicas("tells")) {
		t.Error("what was known of the server before is not forgotten")
	}
}
