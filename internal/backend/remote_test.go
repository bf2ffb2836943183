package backend_test

import (
	"context"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"net/url"
	"testing"

	"go.uber.org/goleak"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/backend/backendtest"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// A server lingers for half a second on a connection that it closes with
		// a body unread; nobody waits for that.
		goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

const (
	accessKey = "backend-test/key"
	secretKey = "secret+of/the=test"
)

// minPart is what the servers of these tests ask of a part, in bytes.
const minPart = 600

// newServer starts a server of memory.
func newServer(t testing.TB) (*memory.Server, *url.URL) {
	t.Helper()
	srv := memory.New(memory.Options{AccessKeyID: accessKey, SecretAccessKey: secretKey, Personality: memory.Personality{MinPartBytes: minPart}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// Not the test's own context: it ends before the other clean-ups run.
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return srv, &url.URL{Scheme: "http", Host: l.Addr().String()}
}

// newRemote connects to a server.
func newRemote(t testing.TB, endpoint *url.URL, change ...func(*backend.Options)) *backend.Remote {
	t.Helper()
	o := backend.Options{
		Name: "eu-1", Endpoint: endpoint, Region: "us-east-1",
		AccessKeyID: accessKey, SecretAccessKey: secretKey,
		StampKey: object.NewStampKey([]byte("0123456789abcdef0123456789abcdef")),
	}
	for _, c := range change {
		c(&o)
	}
	r, err := backend.NewRemote(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestRemote(t *testing.T) {
	_, u := newServer(t)
	backendtest.Run(t, func(t *testing.T) backendtest.Target {
		return backendtest.Target{Endpoint: newRemote(t, u), Bucket: "suite-http", MinPart: minPart}
	})
}

// trust makes a Remote accept the server's certificate.
func trust(srv *httptest.Server) func(*backend.Options) {
	return func(o *backend.Options) {
		o.RootCAs = x509.NewCertPool()
		o.RootCAs.AddCert(srv.Certificate())
	}
}

func TestRemoteTLS(t *testing.T) {
	srv := httptest.NewTLSServer(memory.New(memory.Options{AccessKeyID: accessKey, SecretAccessKey: secretKey, Personality: memory.Personality{MinPartBytes: minPart}}))
	t.Cleanup(srv.Close)
	u, _ := url.Parse(srv.URL)
	backendtest.Run(t, func(t *testing.T) backendtest.Target {
		return backendtest.Target{Endpoint: newRemote(t, u, trust(srv)), Bucket: "suite-https", MinPart: minPart}
	})
}
