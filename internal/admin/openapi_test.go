package admin_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// TestDescription: it is served as it is, every operation has a name of its own,
// and nothing that is described is missing.
func TestDescription(t *testing.T) {
	if !bytes.HasPrefix(api.Description, []byte("openapi: 3.1.")) {
		t.Errorf("begins %.20q", api.Description)
	}
	f := newFixture(t)
	if _, body := f.do(t, "GET", "/api/v1/openapi.yaml", "root"); body != string(api.Description) {
		t.Error("another one is served")
	}
	var ids []string
	for _, op := range admin.Operations() {
		ids = append(ids, op.ID)
	}
	slices.Sort(ids)
	if n := len(slices.Compact(slices.Clone(ids))); n != len(ids) || n < 20 || ids[0] == "" {
		t.Errorf("operations %q", ids)
	}
}

func FuzzCursor(f *testing.F) {
	for _, s := range []string{"", "MS4y", "MTc2NzIyNTYwMDAwMDAwMDAwMC43", "LTEuMA", "!", "MS4yLjM"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text, err := admin.ParseCursor(s)
		if err != nil {
			return
		}
		if again, err := admin.ParseCursor(text); err != nil || again != text {
			t.Errorf("%q -> %q -> %q %v", s, text, again, err)
		}
	})
}
