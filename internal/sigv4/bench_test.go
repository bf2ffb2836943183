package sigv4_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

func BenchmarkSign(b *testing.B) {
	s := sigv4.NewSigner(testKey, testSecret, testRegion)
	r := &http.Request{Method: "PUT", Host: "backend:9000", Header: http.Header{
		"Content-Type": {"text/plain"}, "X-Amz-Meta-A": {"b"}, "X-Amz-Meta-S3mirror-Stamp": {"stamp"}, "X-Amz-Decoded-Content-Length": {"4096"},
	}}
	b.ReportAllocs()
	for b.Loop() {
		s.Sign(r, "/bucket/some/key", "", sigv4.UnsignedTrailer.String(), testTime)
	}
}

func BenchmarkVerify(b *testing.B) {
	r := simple("/bucket/some/key").with("X-Amz-Meta-A: b").parse(b)
	sigv4.NewSigner(testKey, testSecret, testRegion).Sign(r, "/bucket/some/key", "", emptyHash, testTime)
	b.ReportAllocs()
	for b.Loop() {
		verified(b, r, testTime, testSecret)
	}
}

func BenchmarkChunks(b *testing.B) {
	for _, mode := range []sigv4.Mode{sigv4.UnsignedTrailer, sigv4.Signed} {
		b.Run(mode.String(), func(b *testing.B) {
			f := frame(b, mode, randomBytes(1<<20), 65536, 65536, 65536, 65536, 65536, 65536, 65536, 65536, 65536, 65536, 65536, 65536, 65536, 65536, 65536, 65536)
			p := make([]byte, 64<<10)
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, f.reader(bytes.NewReader(f.body)), p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	r := simple("/bucket/some/key").with("X-Amz-Meta-A: b").parse(b)
	sigv4.NewSigner(testKey, testSecret, testRegion).Sign(r, "/bucket/some/key", "", emptyHash, testTime)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sigv4.Parse(r, testTime); err != nil {
			b.Fatal(err)
		}
	}
}
