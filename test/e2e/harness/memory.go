package harness

import (
	"context"
	"net"
	"testing"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/sigv4"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// StartMemory runs the strict S3 server of the project inside the test. Killed, it is
// off; it never loses what it was given.
func StartMemory(t testing.TB, name string) *Backend {
	t.Helper()
	return StartMemoryOf(t, name, memory.Personality{})
}

// StartMemoryOf is StartMemory for a server that differs from AWS.
func StartMemoryOf(t testing.TB, name string, p memory.Personality) *Backend {
	t.Helper()
	keys := wire.Keys{Access: "access-" + name, Secret: "secret-of-" + name, Region: "us-east-1"}
	b := &Backend{Name: name, Addr: Addr(t), Keys: keys, brand: brand{program: "memory"}}
	b.Client = NewClient(b.Addr, keys)
	b.inside = memory.New(memory.Options{AccessKeyID: keys.Access, SecretAccessKey: sigv4.Secret(keys.Secret), Personality: p})
	l, err := net.Listen("tcp", b.Addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.inside.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	Eventually(t, "backend "+name+" answers", func() error {
		conn, err := net.Dial("tcp", b.Addr)
		if err == nil {
			conn.Close()
		}
		return err
	})
	return b
}

// StartMemories runs n of them, named eu-1, eu-2, ...
func StartMemories(t testing.TB, n int) (all []*Backend) {
	t.Helper()
	for i := range n {
		all = append(all, StartMemory(t, "eu-"+string(rune('1'+i))))
	}
	return all
}
