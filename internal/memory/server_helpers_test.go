package memory_test

import (
	"context"
	"net"
	"net/http/httptest"
	"net/url"
	"testing"

	"go.uber.org/goleak"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/memory"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// A server lingers for half a second on a connection that it closes with
		// a body unread; nobody waits for that.
		goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

const (
	accessKey = "memory-test"
	secretKey = "secret/of+the=test"
	region    = "eu-test-1"
)

var bg = context.Background()

func options(o memory.Options) memory.Options {
	o.AccessKeyID, o.SecretAccessKey, o.Region = accessKey, secretKey, region
	return o
}

// serve runs a server on a listener of its own and returns its URL.
func serve(t testing.TB, o memory.Options) (*memory.Server, string) {
	t.Helper()
	srv := memory.New(options(o))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(bg)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return srv, "http://" + l.Addr().String()
}

// serveTLS runs a server behind TLS.
func serveTLS(t testing.TB) *httptest.Server {
	srv := httptest.NewTLSServer(memory.New(options(memory.Options{})))
	t.Cleanup(srv.Close)
	return srv
}

// connect returns this program's own client of a server, with a bucket.
func connect(t testing.TB, endpoint string) *backend.Remote {
	t.Helper()
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	r, err := backend.NewRemote(backend.Options{
		Name: "memory", Endpoint: u, Region: region, AccessKeyID: accessKey, SecretAccessKey: secretKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if err := r.CreateBucket(bg, "bucket"); err != nil {
		t.Fatal(err)
	}
	return r
}

func put(r *backend.Remote, key, data string) error {
	body, framing := backend.FromBytes([]byte(data))
	_, err := r.Put(bg, backend.PutRequest{Bucket: "bucket", Key: key, Size: int64(len(data)), Body: body, Framing: framing})
	return err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
