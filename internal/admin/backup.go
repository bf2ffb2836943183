package admin

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// Errors of Options.Backup.
var (
	// ErrNoBackup: the log's engine keeps copies by itself.
	ErrNoBackup = errors.New("log keeps copies by itself")
	// ErrBackupBusy: one is being made already.
	ErrBackupBusy = errors.New("a backup is being made already")
)

// BackupLog writes a copy of the log. What fails in its midst cuts the connection,
// and the copy lacks its end.
func (h face) BackupLog(ctx context.Context, _ api.BackupLogRequestObject) (api.BackupLogResponseObject, error) {
	if h.Backup == nil {
		return nil, ErrNoBackup
	}
	return backup{h, ctx}, nil
}

type backup struct {
	face face
	ctx  context.Context // of the request: VisitBackupLogResponse is given none
}

// VisitBackupLogResponse implements api.BackupLogResponseObject.
func (b backup) VisitBackupLogResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="s3mirror-log.archive"`)
	err := b.face.Backup(b.ctx, w)
	if err != nil { // where nothing was written yet it is a document
		w.Header().Del("Content-Disposition")
	}
	return err
}

// BackupLog writes a copy of the server's log to w.
func (c *Client) BackupLog(ctx context.Context, w io.Writer) error {
	return c.Stream(ctx, func(a *api.Client) (*http.Response, error) { return a.BackupLog(ctx) }, func(body io.Reader) error {
		_, err := io.Copy(w, body)
		return err
	})
}
