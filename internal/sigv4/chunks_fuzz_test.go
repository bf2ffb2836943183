package sigv4_test

import (
	"bytes"
	"io"
	"math/big"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// plainChunks decodes an aws-chunked body in the plainest way, with no bounds
// and no signatures: the reference. It knows no number too large.
func plainChunks(body []byte) (data []byte, ok bool) {
	rest := string(body)
	for {
		line, after, found := strings.Cut(rest, "\r\n")
		if !found {
			return nil, false
		}
		digits, _, _ := strings.Cut(line, ";")
		n, valid := new(big.Int).SetString(digits, 16)
		if !valid || n.Sign() < 0 {
			return nil, false
		}
		if n.Sign() == 0 {
			return data, true
		}
		if n.Cmp(big.NewInt(int64(len(after)))) > 0 {
			return nil, false
		}
		size := int(n.Int64())
		data = append(data, after[:size]...)
		if rest, found = strings.CutPrefix(after[size:], "\r\n"); !found {
			return nil, false
		}
	}
}

// FuzzChunkReference holds the decoder of each mode against the plain one: what
// passes has the same bytes.
func FuzzChunkReference(f *testing.F) {
	data := randomBytes(20_000)
	var good [3]framed
	for i, mode := range chunkedModes {
		good[i] = frame(f, mode, data, 8192, 8192, 3616)
		f.Add(uint8(i), uint16(0), uint16(0), []byte(nil))
		f.Add(uint8(i), uint16(0), uint16(4), []byte("10000000000000002000"))
		f.Add(uint8(i), uint16(0), uint16(4), []byte("ffffffffffffffff"))
		f.Add(uint8(i), uint16(0), uint16(4), []byte("-2000"))
		f.Add(uint8(i), uint16(0), uint16(4), []byte("+2000"))
		f.Add(uint8(i), uint16(0), uint16(4), []byte("0x2000"))
		f.Add(uint8(i), uint16(0), uint16(0), []byte("0;x=y\r\n"))
		f.Add(uint8(i), uint16(0), uint16(0), []byte("0000000000000000"))
	}
	// The change: so many bytes at one place become others.
	f.Fuzz(func(t *testing.T, which uint8, at, drop uint16, put []byte) {
		g := good[which%3]
		i := int(at) % len(g.body)
		j := min(i+int(drop), len(g.body))
		body := append(append(bytes.Clone(g.body[:i]), put...), g.body[j:]...)
		got, err := g.read(body)
		if slow, err2 := readBy(g.reader(&splitReader{body, int(at)}), 100); code(err) != code(err2) || err == nil && !bytes.Equal(got, slow) {
			t.Fatalf("at once: %v, in pieces: %v", err, err2)
		}
		if err != nil {
			if code(err) == err.Error() {
				t.Fatalf("no *sigv4.Error: %v", err)
			}
			return
		}
		want, ok := plainChunks(body)
		if !ok || !bytes.Equal(got, want) || len(got) != len(data) {
			t.Fatalf("passes with %d bytes, the reference has %d, %v", len(got), len(want), ok)
		}
		if g.q.Mode.ChunksSigned() && !bytes.Equal(got, data) {
			t.Fatal("passes with bytes that nobody signed")
		}
	})
}

// splitReader hands out the body in two pieces.
type splitReader struct {
	rest []byte
	at   int
}

func (s *splitReader) Read(p []byte) (int, error) {
	n := len(s.rest)
	if s.at > 0 && s.at < n {
		n = s.at
	}
	n = copy(p, s.rest[:n])
	s.rest = s.rest[n:]
	s.at -= n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// FuzzChunkSizes frames data in chunks of any legal sizes, reads it back by any
// buffer, and compares it and the announced length.
func FuzzChunkSizes(f *testing.F) {
	f.Add(uint8(0), uint32(0), []byte(nil), uint16(1))
	f.Add(uint8(1), uint32(70_000), []byte{0, 1, 255}, uint16(512))
	f.Add(uint8(2), uint32(300_000), []byte{3, 200}, uint16(65535))
	all := randomBytes(1 << 19)
	f.Fuzz(func(t *testing.T, which uint8, size uint32, cuts []byte, buffer uint16) {
		mode, data := chunkedModes[which%3], all[:size%(1<<19)]
		var sizes []int
		left := len(data)
		for i := 0; left > 0; i++ {
			n := left
			if i < len(cuts) {
				n = min(left, sigv4.MinChunk+int(cuts[i])*641) // 641: to fall beside every round number
			}
			sizes = append(sizes, n)
			left -= n
		}
		g := frame(t, mode, data, sizes...)
		got, err := readBy(g.reader(&splitReader{g.body, int(buffer)}), 1+int(buffer))
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%v in %v: %d bytes, %v", mode, sizes, len(got), err)
		}
		if plain, ok := plainChunks(g.body); !ok || !bytes.Equal(plain, data) {
			t.Fatal("the reference reads something else")
		}
	})
}
