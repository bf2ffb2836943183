package gateway

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// oneConn is a listener with one connection, which gives some bytes and then ends.
type oneConn struct {
	net.Conn
	taken bool
	bytes io.Reader
}

func (l *oneConn) Accept() (net.Conn, error) {
	if l.taken {
		return nil, net.ErrClosed
	}
	l.taken = true
	return l, nil
}

func (*oneConn) Close() error                     { return nil }
func (*oneConn) SetDeadline(time.Time) error      { return nil }
func (*oneConn) SetReadDeadline(time.Time) error  { return nil }
func (*oneConn) SetWriteDeadline(time.Time) error { return nil }

func (l *oneConn) Read(p []byte) (int, error) { return l.bytes.Read(p) }
func (*oneConn) Addr() net.Addr               { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 9000} }
func (*oneConn) LocalAddr() net.Addr          { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 9000} }
func (*oneConn) RemoteAddr() net.Addr         { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 4000} }

// A proxy's word is taken for where a client is, so nobody gets by without one, what it says in
// words is what is taken, and what follows it is the client's, byte for byte.
func FuzzProxied(f *testing.F) {
	v2 := "\r\n\r\n\x00\r\nQUIT\n"
	for _, s := range []string{
		"PROXY TCP4 192.0.2.1 10.0.0.2 5000 9000\r\nGET / HTTP/1.1\r\n", "PROXY TCP6 2001:db8::1 ::1 1 2\r\nx", "PROXY UNKNOWN\r\nx", "PROXY UNKNOWN a b c d\r\nx",
		"PROXY TCP4 192.0.2.1 10.0.0.2 5000 9000\n", "PROXY TCP4 192.0.2.256 10.0.0.2 5000 9000\r\nx", "PROXY TCP4 192.0.2.1 10.0.0.2 70000 1\r\nx", "GET / HTTP/1.1\r\n",
		v2 + "\x21\x11\x00\x0c\xc0\x00\x02\x01\x0a\x00\x00\x02\x13\x88\x23\x28GET", v2 + "\x20\x00\x00\x00x", v2 + "\x21\x11\xff\xff", v2 + "\x21\x11\x00\x04abcd",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		base := &oneConn{bytes: bytes.NewReader(said)}
		c, err := ListenProxied(base, proxies(t, "10.0.0.0/8")).Accept()
		if err != nil {
			return
		}
		rest, err := io.ReadAll(c)
		if err != nil {
			if len(rest) > 0 {
				t.Fatalf("%q: %d bytes before %v", said, len(rest), err)
			}
			return
		}
		line, after, whole := strings.Cut(string(said), "\r\n")
		switch {
		case !strings.HasPrefix(string(said), "PROXY ") && !strings.HasPrefix(string(said), v2):
			t.Fatalf("%q gets by without a header", said)
		case !bytes.HasSuffix(said, rest):
			t.Fatalf("%q: %q is read", said, rest)
		}
		from, err := netip.ParseAddrPort(c.RemoteAddr().String())
		if err != nil {
			t.Fatalf("%q: it comes from %v", said, c.RemoteAddr())
		}
		words := strings.Fields(line)
		if !whole || len(words) != 6 || words[0] != "PROXY" || words[1] == "UNKNOWN" {
			return
		}
		if want, err := netip.ParseAddr(words[2]); err != nil || from.Addr().Unmap() != want.Unmap() || string(rest) != after {
			t.Errorf("%q: from %v, then %q", said, from, rest)
		}
	})
}
