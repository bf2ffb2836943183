package backend_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// slabBody gives the same bytes again and again, hashed beforehand.
type slabBody struct{ slab []byte }

func (s slabBody) Next(_ context.Context, max int) ([]byte, error) {
	return s.slab[:min(max, len(s.slab))], nil
}
func (slabBody) Sum(context.Context, int) (sum [sha256.Size]byte, err error) { return sum, nil }
func (slabBody) Trailer() (string, error)                                    { return "AAAAAA==", nil }

// BenchmarkPut is the cost of framing and sending a body that is in memory, to
// a server that reads and forgets it.
func BenchmarkPut(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go forget(c)
		}
	}()
	r := newRemote(b, &url.URL{Scheme: "http", Host: l.Addr().String()})
	body := slabBody{make([]byte, 256<<10)}
	for _, size := range []int64{4 << 10, 64 << 20} {
		for _, f := range []backend.Framing{
			{Mode: sigv4.Literal, SHA256: [32]byte{1}},
			{Mode: sigv4.UnsignedTrailer, Algorithm: "crc32c"},
			{Mode: sigv4.Signed},
		} {
			b.Run(map[int64]string{4 << 10: "4KiB", 64 << 20: "64MiB"}[size]+"/"+f.Mode.String(), func(b *testing.B) {
				b.SetBytes(size)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := r.Put(bg, backend.PutRequest{Bucket: "bucket", Key: "key", Size: size, Body: body, Framing: f}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func forget(c net.Conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 256<<10)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if req.Header.Get("Expect") != "" {
			io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		io.Copy(io.Discard, req.Body)
		io.WriteString(c, okEmpty)
	}
}
