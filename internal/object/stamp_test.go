package object

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

func TestStampsCarryAnHMAC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var k StampKey
		copy(k[:], rapid.SliceOfN(rapid.Byte(), len(k), len(k)).Draw(t, "key"))
		key := Key{Bucket: rapid.String().Draw(t, "bucket"), Name: rapid.StringN(0, 1024, -1).Draw(t, "name")}
		body := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "body")
		m := hmac.New(sha256.New, k[:])
		for _, part := range []string{key.Bucket, key.Name} {
			m.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
			m.Write([]byte(part))
		}
		m.Write(body)
		if got := k.mac(key, body); !bytes.Equal(got[:], m.Sum(nil)[:stampMAC]) {
			t.Fatalf("%x is not HMAC-SHA256", got)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	b.ReportAllocs()
	k, key := NewStampKey([]byte("secret")), Key{Bucket: "bucket", Name: "some/name/of/an/object"}
	s := Stamp{ID: NewID(), Flag: FlagSmall, ETag: "d41d8cd98f00b204e9800998ecf8427e"}
	for b.Loop() {
		k.Seal(key, s)
	}
}
