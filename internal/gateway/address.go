package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// Proxies are the networks of the load balancers in front of us. What anybody
// else says of where a request comes from is not believed.
type Proxies []netip.Prefix

// contains tells whether an address is a proxy's. An IPv4 address in its IPv6
// form is the IPv4 address.
func (p Proxies) contains(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, prefix := range p {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// Client is the address that a request came from. Of X-Forwarded-For, which
// every proxy on the way appends to, it is the last hop that is no proxy of
// ours: whatever stands left of it may be invented. Only a proxy may set it; one
// that cannot be read hides everything left of itself.
func (p Proxies) Client(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{} // a test's, or a socket without addresses
	}
	at := peer.Addr().Unmap()
	if !p.contains(at) {
		return at
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, ok := parseHop(hops[i])
		if !ok {
			return at
		}
		at = hop
		if !p.contains(at) {
			return at
		}
	}
	return at
}

// Secure tells whether the client came by TLS: to us, or to a proxy that says so.
func (p Proxies) Secure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !p.contains(peer.Addr()) {
		return false
	}
	hops := r.Header.Values("X-Forwarded-Proto")
	return len(hops) > 0 && strings.EqualFold(strings.TrimSpace(hops[len(hops)-1]), "https")
}

// address is the URL of the object, as the client reached the bucket.
func address(r *request) string {
	scheme := "http://"
	if r.secure {
		scheme = "https://"
	}
	if r.op.VirtualHost {
		return scheme + r.Host + "/" + s3.EscapeKey(r.op.Key)
	}
	return scheme + r.Host + "/" + r.op.Bucket + "/" + s3.EscapeKey(r.op.Key)
}

// parseHop reads an address as proxies write it: bare, in brackets, or with a
// port.
func parseHop(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a.Addr().Unmap(), true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	return a.Unmap(), err == nil
}

// proxyHeaderTimeout bounds how long a proxy may take to say for whom it speaks.
// Waiting holds up nobody else.
const proxyHeaderTimeout = 5 * time.Second

// ListenProxied returns l for load balancers that begin every connection with a
// PROXY protocol header, version 1 or 2: the connection's remote address is the
// one that the header names. Only the proxies may connect; a connection of
// anybody else, or one without the header, is closed. It goes below Listen.
func ListenProxied(l net.Listener, p Proxies) net.Listener {
	return &proxyproto.Listener{
		Listener: proxiedOnly{l, p}, ReadHeaderTimeout: proxyHeaderTimeout,
		ConnPolicy: func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) { return proxyproto.REQUIRE, nil },
	}
}

// proxiedOnly closes what does not come from a proxy.
type proxiedOnly struct {
	net.Listener
	proxies Proxies
}

func (l proxiedOnly) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if peer, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil && l.proxies.contains(peer.Addr()) {
			return c, nil
		}
		c.Close()
	}
}
