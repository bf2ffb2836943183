package admin_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/admin"
)

func backupOf(f func(io.Writer) error) func(*admin.Options) {
	return func(o *admin.Options) {
		o.Backup = func(_ context.Context, w io.Writer) error { return f(w) }
	}
}

func TestBackupOfTheLog(t *testing.T) {
	var got bytes.Buffer
	f := newFixture(t, backupOf(func(w io.Writer) error {
		_, err := io.WriteString(w, "the log")
		return err
	}))
	if err := f.client.BackupLog(t.Context(), &got); err != nil || got.String() != "the log" {
		t.Errorf("%q, %v", got.String(), err)
	}
	if resp, _ := f.do(t, "GET", "/api/v1/log/backup", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a login: %s", resp.Status)
	}
}

func TestBackupThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*admin.Options)
		status int
	}{
		"none":    {func(*admin.Options) {}, http.StatusNotImplemented},
		"busy":    {backupOf(func(io.Writer) error { return admin.ErrBackupBusy }), http.StatusConflict},
		"at once": {backupOf(func(io.Writer) error { return errors.New("disk") }), http.StatusInternalServerError},
	} {
		f := newFixture(t, c.change)
		if resp, body := f.do(t, "GET", "/api/v1/log/backup", "root"); resp.StatusCode != c.status || !strings.Contains(body, "urn:s3mirror:problem:") || resp.Header.Get("Content-Disposition") != "" {
			t.Errorf("%s: %s %s", name, resp.Status, body)
		}
	}
	f := newFixture(t, backupOf(func(w io.Writer) error {
		_, err := io.WriteString(w, strings.Repeat("half", 10_000))
		return errors.Join(err, errors.New("disk"))
	}))
	if err := f.client.BackupLog(t.Context(), io.Discard); err == nil {
		t.Error("an answer that was cut off passed for a whole one")
	}
}
