package s3

import (
	"encoding/hex"
	"testing"
)

// TestAlgorithms holds each against the values that its specification prints for "abc";
// of xxHash those of its reference implementation, in its canonical (big-endian) order.
func TestAlgorithms(t *testing.T) {
	want := map[string]string{
		"crc32": "352441c2", "crc32c": "364b3fb7",
		"md5":    "900150983cd24fb0d6963f7d28e17f72",
		"sha1":   "a9993e364706816aba3e25717850c26c9cd0d89d",
		"sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"sha512": "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",

		"xxhash64": "44bc2cf5ad770999", "xxhash3": "78af5f94892f3950", "xxhash128": "06b05ab6733a618578af5f94892f3950",
	}
	if len(want) != len(algorithms)-1 { // CRC64NVME has check strings: TestNewChecksum
		t.Errorf("%d algorithms are tested, there are %d", len(want), len(algorithms))
	}
	for name, sum := range want {
		h := NewChecksum(name)
		h.Write([]byte("abc"))
		if got := hex.EncodeToString(h.Sum(nil)); got != sum {
			t.Errorf("%s: %s, want %s", name, got, sum)
		}
		if got := len(checksumOf(name, nil)); got != ChecksumLength(name) {
			t.Errorf("%s: a checksum of %d characters, ChecksumLength says %d", name, got, ChecksumLength(name))
		}
	}
	if NewChecksum("crc16") != nil || ChecksumLength("crc16") != 0 || Recent("crc16") {
		t.Error("crc16 is known")
	}
	for name, recent := range map[string]bool{"crc32c": false, "sha256": false, "crc64nvme": true, "xxhash3": true, "md5": true} {
		if Recent(name) != recent {
			t.Errorf("%s: recent is %v", name, !recent)
		}
	}
}
