//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// TestGatewayEnds ends the gateway in order (SIGTERM) five times under load. It
// exits 0, and what it acknowledged is there when it starts again.
func TestGatewayEnds(t *testing.T) {
	t.Parallel()
	const ends = 5
	backends := harness.StartBackends(t, 3)
	g := harness.StartGateway(t, backends, harness.Options{})
	createBucket(t, g.Client, "proof")
	l := newLoad(g.Client, "proof", 120, 7)
	rnd := newRand(77)
	for range ends {
		ended := make(chan struct{})
		wait := l.run(16, func(w *worker) {
			for {
				select {
				case <-ended:
					return
				default:
				}
				w.step(t)
			}
		})
		l.reach(t, l.ops.Load()+int64(250+rnd.IntN(150)))
		close(ended)
		g.Process().Signal(syscall.SIGTERM)
		code, err := g.Process().Wait(60 * time.Second)
		wait()
		if err != nil || code != 0 {
			t.Fatalf("it ended with %d, %v", code, err)
		}
		g.Start(t)
	}
	l.verdict(t)
	l.explain(t, g)
	floor(t, "writes acknowledged", l.acked.Load(), 500)
	l.settle(t, g, backends)
}

// TestProxyProtocolAndForwardedFor: behind a load balancer the access line names
// the client, whichever way the balancer tells it, and never one that a client
// made up.
func TestProxyProtocolAndForwardedFor(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 1)
	g := harness.StartGateway(t, backends, harness.Options{S3: "proxy_protocol: true, trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]"})
	ask := func(before, forwarded string) (int, error) {
		c, err := net.Dial("tcp", g.S3Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "%sGET / HTTP/1.1\r\nHost: h\r\n%sConnection: close\r\n\r\n", before, forwarded)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, err
	}
	for _, c := range []struct{ before, forwarded, client string }{
		{"PROXY TCP4 192.0.2.1 127.0.0.1 4711 9000\r\n", "", "192.0.2.1"},
		{"PROXY TCP4 192.0.2.2 127.0.0.1 4711 9000\r\n", "X-Forwarded-For: 198.51.100.9\r\n", "192.0.2.2"},
		{"PROXY TCP4 10.0.0.7 127.0.0.1 4711 9000\r\n", "X-Forwarded-For: 127.0.0.1, 192.0.2.3\r\n", "192.0.2.3"},
	} {
		if status, err := ask(c.before, c.forwarded); err != nil || status != http.StatusForbidden {
			t.Errorf("%q: %d, %v", c.before, status, err)
		}
		harness.Eventually(t, "the access line names "+c.client, func() error {
			if !strings.Contains(g.Process().Output(), "client="+c.client) && !strings.Contains(g.Process().Output(), `"client":"`+c.client+`"`) {
				return errors.New("it does not")
			}
			return nil
		})
	}
	if status, err := ask("", ""); err == nil && status != http.StatusBadRequest {
		t.Errorf("without a header it answers %d", status)
	}
	if strings.Contains(g.Process().Output(), "198.51.100.9") {
		t.Error("a client's own word is in the log")
	}
}

// TestCertificateIsRenewed replaces the files of the certificate under a running
// gateway: new connections get the new one, an open one goes on.
func TestCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	cert, key := harness.Certificate(t)
	g := harness.StartGateway(t, harness.StartBackends(t, 1), harness.Options{S3: fmt.Sprintf("tls: {cert: %s, key: %s}", cert, key)})
	dial := func() *tls.Conn {
		c, err := tls.Dial("tcp", g.S3Addr, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the certificate is what is looked at
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	open := dial()
	defer open.Close()
	old := open.ConnectionState().PeerCertificates[0].Raw

	newCert, newKey := harness.Certificate(t)
	for from, to := range map[string]string{newCert: cert, newKey: key} { // by rename, as it should be done
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	harness.Eventually(t, "new connections get the new certificate", func() error {
		c := dial()
		defer c.Close()
		if bytes.Equal(c.ConnectionState().PeerCertificates[0].Raw, old) {
			return errors.New("it is the old one")
		}
		return nil
	})
	fmt.Fprint(open, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(open), nil); err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("the open connection: %v, %v", resp, err)
	}
}
