package memory_test

import (
	"fmt"
	"testing"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/memory"
)

func TestFill(t *testing.T) {
	srv, endpoint := serve(t, memory.Options{})
	r := connect(t, endpoint)
	must(t, put(r, "a", "first"))
	name := func(i int) string { return fmt.Sprintf("k/%04d", i) }
	must(t, srv.Fill("bucket", 2500, []byte("all the same"), name))
	page, err := r.List(bg, "bucket", backend.ListRequest{Prefix: "k/", After: name(1998), Max: 1000})
	if err != nil || len(page.Entries) != 501 || page.Entries[0].Key != name(1999) || page.Entries[500].Key != name(2499) || page.Entries[0].Size != 12 {
		t.Fatalf("%d entries, %v", len(page.Entries), err)
	}
	must(t, put(r, name(7), "another"))
	if got, err := r.Head(bg, "bucket", name(8)); err != nil || got.Size != 12 {
		t.Errorf("its neighbour: %+v, %v", got, err)
	}
	if err := srv.Fill("bucket", 1, []byte("x"), name); err == nil {
		t.Error("a name out of order was taken")
	}
	if err := srv.Fill("none", 1, []byte("x"), name); err == nil {
		t.Error("there is no such bucket")
	}
}
