package s3

import (
	"bytes"
	"encoding/base64"
	"errors"
	"hash/crc64"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// Values of other implementations, for the string abcdefg and for the check
// string of the catalogues of CRCs.
func TestNewChecksum(t *testing.T) {
	for algorithm, want := range map[string][2]string{
		"crc32":     {"MSpqpg==", "y/Q5Jg=="},
		"crc32c":    {"5if0QQ==", "4waSgw=="},
		"crc64nvme": {"SmzZ/LTp1CA=", "rosUhgp5mIg="},
		"sha1":      {"L7XhNBn8iSRoZeejJPR27GJOh0A=", "98O8HYCOBHMq32eZZczDTKeuNEE="},
		"sha256":    {"fRpUEnsiJQL1t5tfsIAwYRUqRPkrN+I8ZSe69mXU2po=", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="},
	} {
		if got := checksumOf(algorithm, []byte("abcdefg")); got != want[0] {
			t.Errorf("%s: %s, want %s", algorithm, got, want[0])
		}
		if got := checksumOf(algorithm, []byte("123456789")); got != want[1] {
			t.Errorf("%s of the check string: %s, want %s", algorithm, got, want[1])
		}
		if size := NewChecksum(algorithm).Size(); size != algorithms[algorithm].size {
			t.Errorf("%s: %d bytes, the table has %d", algorithm, size, algorithms[algorithm].size)
		}
	}
	for _, name := range []string{"", "md4", "CRC32", "xxhash32"} {
		if NewChecksum(name) != nil {
			t.Errorf("%q is an algorithm", name)
		}
	}
}

func TestParseUploadChecksum(t *testing.T) {
	for _, c := range []struct {
		algorithm, kind string
		want            UploadChecksum
		code            Code
	}{
		{"", "", UploadChecksum{}, ""},
		{"CRC32", "", UploadChecksum{"crc32", Composite}, ""},
		{"crc32c", "full_object", UploadChecksum{"crc32c", FullObject}, ""},
		{"CRC32", "FULL_OBJECT", UploadChecksum{"crc32", FullObject}, ""},
		{"SHA1", "COMPOSITE", UploadChecksum{"sha1", Composite}, ""},
		{"SHA256", "", UploadChecksum{"sha256", Composite}, ""},
		{"CRC64NVME", "", UploadChecksum{"crc64nvme", FullObject}, ""},
		{"CRC64NVME", "FULL_OBJECT", UploadChecksum{"crc64nvme", FullObject}, ""},
		{"CRC64NVME", "COMPOSITE", UploadChecksum{}, InvalidRequest},
		{"SHA1", "FULL_OBJECT", UploadChecksum{}, InvalidRequest},
		{"SHA256", "FULL_OBJECT", UploadChecksum{}, InvalidRequest},
		{"", "COMPOSITE", UploadChecksum{}, InvalidRequest},
		{"MD4", "", UploadChecksum{}, InvalidRequest},
		{"MD5", "", UploadChecksum{"md5", Composite}, ""},
		{"XXHASH3", "FULL_OBJECT", UploadChecksum{}, InvalidRequest},
		{"CRC32", "PARTIAL", UploadChecksum{}, InvalidRequest},
		{"", "PARTIAL", UploadChecksum{}, InvalidRequest},
	} {
		h := http.Header{}
		if c.algorithm != "" {
			h.Set("x-amz-checksum-algorithm", c.algorithm)
		}
		if c.kind != "" {
			h.Set("x-amz-checksum-type", c.kind)
		}
		got, err := ParseUploadChecksum(h)
		if got != c.want || codeOf(err) != c.code {
			t.Errorf("%s %s: %+v, %v", c.algorithm, c.kind, got, err)
		}
		if err != nil {
			continue
		}
		again := http.Header{}
		got.SetHeaders(again)
		if back, err := ParseUploadChecksum(again); back != got || err != nil || (got.Algorithm == "") != (len(again) == 0) {
			t.Errorf("%+v went as %v, came back %+v, %v", got, again, back, err)
		}
	}
}

func TestCheckPart(t *testing.T) {
	for _, c := range []struct {
		upload UploadChecksum
		part   string
		text   string // of the refusal
	}{
		{UploadChecksum{}, "", ""},
		{UploadChecksum{}, "crc32", ""},
		{UploadChecksum{"sha1", Composite}, "sha1", ""},
		{UploadChecksum{"sha1", Composite}, "", "expected checksum Type: SHA1, actual checksum Type: null"},
		{UploadChecksum{"crc32", FullObject}, "", ""},
		{UploadChecksum{"crc32", FullObject}, "crc32c", "expected checksum Type: CRC32, actual checksum Type: CRC32C"},
	} {
		err := c.upload.CheckPart(c.part)
		if (err == nil) != (c.text == "") || err != nil && (codeOf(err) != InvalidRequest || !strings.Contains(err.Error(), c.text)) {
			t.Errorf("%+v, %q: %v", c.upload, c.part, err)
		}
	}
}

// pieces cuts data at random places and returns the pieces' checksums.
func pieces(r *rand.Rand, algorithm string, data []byte) (sums []PartSum, digests []byte) {
	for len(data) > 0 {
		n := 1 + r.IntN(len(data))
		sum := checksumOf(algorithm, data[:n])
		sums = append(sums, PartSum{sum, int64(n)})
		digest, _ := base64.StdEncoding.DecodeString(sum)
		digests = append(digests, digest...)
		data = data[n:]
	}
	return sums, digests
}

// TestJoin: a full checksum from the parts is that of all bytes; a composite
// one is that of the parts' digests.
func TestJoin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 100_000)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	for algorithm, a := range algorithms {
		for range 20 {
			sums, digests := pieces(r, algorithm, data)
			got, err := UploadChecksum{algorithm, Composite}.Join(sums)
			if want := checksumOf(algorithm, digests) + "-" + strconv.Itoa(len(sums)); got != want || err != nil {
				t.Errorf("%s of %d parts: %s, %v, want %s", algorithm, len(sums), got, err, want)
			}
			if a.crc == nil {
				continue
			}
			got, err = UploadChecksum{algorithm, FullObject}.Join(sums)
			if want := checksumOf(algorithm, data); got != want || err != nil {
				t.Errorf("%s over %d parts: %s, %v, want %s", algorithm, len(sums), got, err, want)
			}
		}
	}
	for _, bad := range []string{"", "AAAA", "AAAAAA", "AAAAAAAAAAA=", "AAAAAB==", "AAAAAA==-1", "AAAA\nAA=="} {
		if got, err := (UploadChecksum{"crc32", Composite}).Join([]PartSum{{"AAAAAA==", 1}, {bad, 1}}); !errors.Is(err, errPartSum) || !strings.Contains(err.Error(), "place 2") {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
	if got, err := (UploadChecksum{}).Join([]PartSum{{"", 1}}); got != "" || err != nil {
		t.Errorf("an upload without checksums: %q, %v", got, err)
	}
}

// TestJoinOfHugeParts: five tebibytes of zeros, whose CRC the standard library
// could not compute in time, against arithmetic of another kind: doubling.
func TestJoinOfHugeParts(t *testing.T) {
	for _, algorithm := range []string{"crc32", "crc32c", "crc64nvme"} {
		c := UploadChecksum{algorithm, FullObject}
		join := func(parts ...PartSum) string {
			got, err := c.Join(parts)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		one := PartSum{checksumOf(algorithm, make([]byte, 1<<20)), 1 << 20}
		for range 22 { // by halves up to 4 TiB
			one = PartSum{join(one, one), 2 * one.Size}
		}
		whole := join(one, one)
		quarter := PartSum{checksumOf(algorithm, make([]byte, 1<<20)), 1 << 20}
		parts := make([]PartSum, 8192)
		for range 10 { // the same by 8192 parts of 1 GiB
			quarter = PartSum{join(quarter, quarter), 2 * quarter.Size}
		}
		for i := range parts {
			parts[i] = quarter
		}
		if got := join(parts...); got != whole {
			t.Errorf("%s: %s by parts, %s by halves", algorithm, got, whole)
		}
	}
}

// FuzzJoin cuts a body in three at any place and joins: the whole must come
// out. CRC64NVME is checked against the standard library's table for the same
// polynomial, too, so that two implementations agree.
func FuzzJoin(f *testing.F) {
	f.Add([]byte("123456789"), 3, 5)
	f.Add([]byte{}, 0, 0)
	f.Add(bytes.Repeat([]byte{0}, 300), 0, 300)
	table := crc64.MakeTable(algorithms["crc64nvme"].crc.poly)
	f.Fuzz(func(t *testing.T, data []byte, i, j int) {
		i = min(max(i, 0), len(data))
		j = min(max(j, i), len(data))
		cuts := [][]byte{data[:i], data[i:j], data[j:]}
		for _, algorithm := range []string{"crc32", "crc32c", "crc64nvme"} {
			var parts []PartSum
			for _, p := range cuts {
				parts = append(parts, PartSum{checksumOf(algorithm, p), int64(len(p))})
			}
			got, err := UploadChecksum{algorithm, FullObject}.Join(parts)
			if err != nil || got != checksumOf(algorithm, data) {
				t.Fatalf("%s of %x at %d, %d: %s, %v", algorithm, data, i, j, got, err)
			}
		}
		want := crc64.Checksum(data, table)
		if got, _ := base64.StdEncoding.DecodeString(checksumOf("crc64nvme", data)); (piece{digest: got}).value() != want {
			t.Fatalf("crc64nvme of %x: %x, want %x", data, got, want)
		}
	})
}

func TestSplitComposite(t *testing.T) {
	for value, want := range map[string]struct {
		sum   string
		parts int
		ok    bool
	}{
		"AAAAAA==":       {"AAAAAA==", 0, true},
		"AAAAAA==-1":     {"AAAAAA==", 1, true},
		"AAAAAA==-10000": {"AAAAAA==", 10000, true},
		"AAAAAA==-10001": {"AAAAAA==", 10001, false},
		"AAAAAA==-0":     {"AAAAAA==", 0, false},
		"AAAAAA==-":      {"AAAAAA==", 0, false},
		"AAAAAA==-01":    {"AAAAAA==", 1, false},
		"AAAAAA==-1-1":   {"AAAAAA==", 0, false},
		"AAAAAA==-+1":    {"AAAAAA==", 0, false},
	} {
		sum, parts, ok := splitComposite(value)
		if sum != want.sum || ok != want.ok || ok && parts != want.parts {
			t.Errorf("%q: %q, %d, %v", value, sum, parts, ok)
		}
	}
}
