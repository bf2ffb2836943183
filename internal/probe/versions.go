package probe

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

const versioningOn = `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>`

// versions: whether a bucket keeps versions that are read and removed by their ids, one by
// one: the strongest fence (RELIABILITY 4.7, F2). It has a bucket of its own for that, since
// versions can not be switched off again.
func (r *runner) versions(ctx context.Context) (Result, string) {
	v := &versioned{r: r, bucket: r.bucket + "-v"}
	if err := r.remote.CreateBucket(ctx, v.bucket); err != nil {
		return denied(err)
	}
	defer v.clean(ctx)
	a, err := v.ask(ctx, http.MethodPut, "", "versioning=", []byte(versioningOn))
	if err != nil {
		return unknown(err)
	}
	if a.status/100 != 2 {
		return No, fmt.Sprintf("versions can not be switched on (%d)", a.status)
	}
	for range 2 {
		a, err := v.ask(ctx, http.MethodPut, versionedKey, "", pattern("version"+itoa(len(v.ids)), 300))
		if err != nil {
			return unknown(err)
		}
		id := a.header.Get("X-Amz-Version-Id")
		if a.status/100 != 2 || id == "" || id == "null" {
			return No, fmt.Sprintf("a write is answered %d with version %q", a.status, id)
		}
		v.ids = append(v.ids, id)
	}
	return v.judge(ctx)
}

const versionedKey = "object"

// versioned is a bucket with versions of one key.
type versioned struct {
	r      *runner
	bucket string
	ids    []string // the versions that stand, oldest first
}

func (v *versioned) ask(ctx context.Context, method, key, query string, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return v.r.wire.ask(ctx, method, v.bucket, key, query, body, "", "")
}

// shows tells whether a read, of a version or of what is current, gives the body of write n.
func (v *versioned) shows(ctx context.Context, query string, n int) (bool, error) {
	a, err := v.ask(ctx, http.MethodGet, versionedKey, query, nil)
	return err == nil && a.status == http.StatusOK && bytes.Equal(a.body, pattern("version"+itoa(n), 300)), err
}

func versionQuery(id string) string { return "versionId=" + sigv4.EscapeQuery(id) }

func (v *versioned) judge(ctx context.Context) (Result, string) {
	steps := []struct {
		what  string
		query string
		shows int
	}{
		{"the older version, by its id", versionQuery(v.ids[0]), 0}, {"the newer version, by its id", versionQuery(v.ids[1]), 1},
		{"the current version", "", 1},
	}
	for _, s := range steps {
		switch ok, err := v.shows(ctx, s.query, s.shows); {
		case err != nil:
			return unknown(err)
		case !ok:
			return No, s.what + " is not what was written"
		}
	}
	if err := v.remove(ctx, 1); err != nil {
		return unknown(err)
	}
	switch ok, err := v.shows(ctx, "", 0); {
	case err != nil:
		return unknown(err)
	case !ok:
		return No, "when the newer version is removed by its id the older one is not current again"
	}
	return Yes, ""
}

// remove removes the version of a write.
func (v *versioned) remove(ctx context.Context, n int) error {
	a, err := v.ask(ctx, http.MethodDelete, versionedKey, versionQuery(v.ids[n]), nil)
	if err == nil && a.status/100 != 2 {
		err = fmt.Errorf("status %d", a.status)
	}
	if err == nil {
		v.ids = append(v.ids[:n], v.ids[n+1:]...)
	}
	return err
}

// clean removes what stands and the bucket; what can not be removed is told at the end.
func (v *versioned) clean(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	for len(v.ids) > 0 && v.remove(ctx, len(v.ids)-1) == nil {
	}
	_, _ = v.ask(ctx, http.MethodDelete, versionedKey, "", nil) // where nothing came of versions
	if err := v.r.remote.DeleteBucket(ctx, v.bucket); err != nil {
		v.r.left(fmt.Errorf("bucket %s: %w", v.bucket, err))
	}
}
