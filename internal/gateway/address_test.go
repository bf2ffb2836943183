package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
)

func proxies(t testing.TB, nets ...string) Proxies {
	t.Helper()
	var p Proxies
	for _, n := range nets {
		p = append(p, netip.MustParsePrefix(n))
	}
	return p
}

func TestClientAddress(t *testing.T) {
	ours := []string{"10.0.0.0/8", "fd00::/8"}
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy", "203.0.113.7:1", nil, "203.0.113.7"},
		{"a stranger lies", "203.0.113.7:1", []string{"192.0.2.1"}, "203.0.113.7"},
		{"a proxy says", "10.0.0.1:1", []string{"192.0.2.1"}, "192.0.2.1"},
		{"a proxy says nothing", "10.0.0.1:1", nil, "10.0.0.1"},
		{"the client lied to the proxy", "10.0.0.1:1", []string{"127.0.0.1, 192.0.2.1"}, "192.0.2.1"},
		{"two proxies", "10.0.0.1:1", []string{"192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		{"two headers", "10.0.0.1:1", []string{"127.0.0.1", "192.0.2.1"}, "192.0.2.1"},
		{"all are proxies", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"garbage hides what is left of it", "10.0.0.1:1", []string{"192.0.2.1, what, 10.0.0.2"}, "10.0.0.2"},
		{"garbage only", "10.0.0.1:1", []string{"what"}, "10.0.0.1"},
		{"with a port", "10.0.0.1:1", []string{"192.0.2.1:4711"}, "192.0.2.1"},
		{"IPv6 in brackets", "[fd00::1]:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv6 with a port", "[fd00::1]:1", []string{"[2001:db8::1]:80"}, "2001:db8::1"},
		{"IPv4 in IPv6, peer", "[::ffff:10.0.0.1]:1", []string{"192.0.2.1"}, "192.0.2.1"},
		{"IPv4 in IPv6, hop", "10.0.0.1:1", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		{"no address", "@", []string{"192.0.2.1"}, "invalid IP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.forwarded}}
			if got := proxies(t, ours...).Client(r).String(); got != c.want {
				t.Errorf("client %s, want %s", got, c.want)
			}
		})
	}
}

// FuzzClientAddress: without a proxy's word the peer stands, and whatever is
// prepended to a proxy's header changes nothing once it names a stranger.
func FuzzClientAddress(f *testing.F) {
	f.Add("203.0.113.7:1", "192.0.2.1")
	f.Add("10.0.0.1:1", "[::1]:80, , 10.0.0.2")
	f.Fuzz(func(t *testing.T, peer, forwarded string) {
		p := proxies(t, "10.0.0.0/8")
		at := func(peer, h string) netip.Addr {
			return p.Client(&http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {h}}})
		}
		if a, err := netip.ParseAddrPort(peer); err == nil && !p.contains(a.Addr()) && at(peer, forwarded) != a.Addr().Unmap() {
			t.Errorf("peer %s became %s", peer, at(peer, forwarded))
		}
		if got := at("10.0.0.1:1", forwarded+",192.0.2.1"); got.String() != "192.0.2.1" {
			t.Errorf("%q before the last hop made it %s", forwarded, got)
		}
	})
}

// proxied starts a server behind ListenProxied that tells the client's address.
func proxied(t *testing.T, p Proxies) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // a test's
		fmt.Fprint(w, r.RemoteAddr)
	})}
	go s.Serve(Listen(ListenProxied(l, p), nil)) //nolint:errcheck // it ends with Close
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// say sends bytes and a request, and returns the body of the answer.
func say(t *testing.T, addr, before string) (string, error) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, before+"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestProxyProtocol(t *testing.T) {
	source, target := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4711}, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 80}
	header := func(version byte) string {
		b, err := proxyproto.HeaderProxyFromAddrs(version, source, target).Format()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	trusted := proxied(t, proxies(t, "127.0.0.0/8"))
	for version := range byte(2) {
		if got, err := say(t, trusted, header(version+1)); err != nil || got != "192.0.2.1:4711" {
			t.Errorf("version %d: %q, %v", version+1, got, err)
		}
	}
	if got, err := say(t, trusted, ""); err == nil && !strings.Contains(got, "400") {
		t.Errorf("without a header: %q", got)
	}
	if got, err := say(t, trusted, "\r\n\r\n\x00\r\nQUIT\nnonsense"); err == nil && strings.Contains(got, "192.0.2.1") {
		t.Errorf("garbage: %q", got)
	}
	if got, err := say(t, proxied(t, proxies(t, "10.0.0.0/8")), header(2)); err == nil {
		t.Errorf("a stranger was served: %q", got)
	}
	// One who connects and says nothing holds up nobody.
	idle, err := net.Dial("tcp", trusted)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	if got, err := say(t, trusted, header(2)); err != nil || got != "192.0.2.1:4711" {
		t.Errorf("beside an idle one: %q, %v", got, err)
	}
}
