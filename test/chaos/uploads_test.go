//go:build chaos

package chaos

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // S3's ETag
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// leastPart is the least size of a part that is not the last.
const leastPart = 5 << 20

// upload writes a key by parts: one, or now and then two. What the write says of its
// outcome is the answer to Complete, which is asked once more when it is lost. An upload
// that does not come that far has written nothing; one in two of those is aborted, and
// the others are left behind, as clients do that die.
func (c *clients) upload(ctx context.Context, client int, rnd *rand.Rand, key string) {
	etag, parts := c.parts(client, rnd)
	a, _, err := c.ask(ctx, func() (wire.Answer, error) {
		return c.target.Do(ctx, "POST", bucket, key, wire.Query("uploads", ""), nil)
	})
	var created struct{ UploadId string }
	if err != nil || a.Status != 200 || xml.Unmarshal(a.Body, &created) != nil || created.UploadId == "" {
		c.unanswered(client, "an upload is created", a, err)
		return
	}
	var doc strings.Builder
	for i := range parts {
		number, data := fmt.Sprint(i+1), parts[i]
		a, err := c.part(ctx, key, created.UploadId, number, data)
		if err != nil || a.Status != 200 {
			c.unanswered(client, "a part is uploaded", a, err)
			if rnd.IntN(2) == 0 {
				_, _ = c.target.Do(ctx, "DELETE", bucket, key, wire.Query("uploadId", created.UploadId), nil)
			}
			return
		}
		fmt.Fprintf(&doc, "<Part><PartNumber>%s</PartNumber><ETag>%s</ETag></Part>", number, a.Header.Get("ETag"))
	}
	list := []byte("<CompleteMultipartUpload>" + doc.String() + "</CompleteMultipartUpload>")
	complete := func() (wire.Answer, error) {
		return c.target.Do(ctx, "POST", bucket, key, wire.Query("uploadId", created.UploadId), list)
	}
	a, began, err := c.ask(ctx, complete)
	if err != nil || a.Status/100 == 5 || a.Status == 200 && !bytes.Contains(a.Body, []byte("<CompleteMultipartUploadResult")) {
		again, _, err2 := c.ask(ctx, complete)
		if err2 == nil && again.Status == 200 {
			a, err = again, err2
			c.hist.tally("completed by the second request")
		}
	}
	switch {
	case err == nil && a.Status == 200 && !bytes.Contains(a.Body, []byte("<CompleteMultipartUploadResult")):
		a.Status = 503 // an Error after blanks
	case err == nil && a.Status == 200 && !bytes.Contains(a.Body, []byte(etag)):
		c.blame("the upload of %s has another ETag than its parts say, %s: %s", key, etag, a.Body)
	}
	if err == nil && a.Status == 200 {
		c.hist.tally("completed")
	}
	c.wrote(client, key, call{verb: verbWrite, value: etag}, a, err, began)
}

// part uploads a part, once more when the answer is lost: that overwrites it.
func (c *clients) part(ctx context.Context, key, id, number string, data []byte) (a wire.Answer, err error) {
	for range 2 {
		a, _, err = c.ask(ctx, func() (wire.Answer, error) {
			return c.target.Do(ctx, "PUT", bucket, key, wire.Query("partNumber", number, "uploadId", id), data)
		})
		if err == nil && a.Status == 200 {
			break
		}
	}
	return a, err
}

// parts are a unique body, cut as it is uploaded, and the ETag that it gets by that.
func (c *clients) parts(client int, rnd *rand.Rand) (etag string, parts [][]byte) {
	size, cut := 1+rnd.IntN(600<<10), 0
	if rnd.IntN(4) == 0 {
		cut = leastPart
		size += leastPart
	}
	b := body{fmt.Sprintf("client %d upload %d;", client, c.serial.Add(1)), size}
	data := b.bytes()
	if cut > 0 {
		parts = append(parts, data[:cut])
	}
	parts = append(parts, data[cut:])
	var sums []byte
	for _, p := range parts {
		sum := md5.Sum(p) //nolint:gosec // S3's ETag
		sums = append(sums, sum[:]...)
	}
	sum := md5.Sum(sums) //nolint:gosec // S3's ETag
	etag = fmt.Sprintf("%s-%d", hex.EncodeToString(sum[:]), len(parts))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies[etag] = b
	return etag, parts
}

// unanswered counts a request that changed nothing that anybody can see.
func (c *clients) unanswered(client int, what string, a wire.Answer, err error) {
	if err == nil && a.Status/100 != 5 {
		c.blame("%s: answered %v", what, a)
	}
	c.failed(client, "part failed", what, a, err)
}

// openUploads are the uploads that a server lists, as keys and ids.
func openUploads(ctx context.Context, server *harness.Client) (open [][2]string, err error) {
	a, err := server.Do(ctx, "GET", bucket, "", wire.Query("uploads", ""), nil)
	if err != nil || a.Status != 200 {
		return nil, fmt.Errorf("uploads are answered %v (%v)", a, err) //nolint:errorlint // there may be none
	}
	var list struct {
		IsTruncated bool
		Upload      []struct{ Key, UploadId string }
	}
	if err := xml.Unmarshal(a.Body, &list); err != nil {
		return nil, err
	}
	for _, u := range list.Upload {
		open = append(open, [2]string{u.Key, u.UploadId})
	}
	return open, nil
}

// abortAll ends what clients left behind, and fails while the gateway lists any.
func (w *world) abortAll() error {
	ctx, c := w.t.Context(), w.clients.target
	open, err := openUploads(ctx, c)
	if err != nil {
		return err
	}
	for _, u := range open {
		w.left[u[1]] = true
		if a, err := c.Do(ctx, "DELETE", bucket, u[0], wire.Query("uploadId", u[1]), nil); err != nil || a.Status/100 == 5 {
			return fmt.Errorf("an abort is answered %v (%v)", a, err) //nolint:errorlint // there may be none
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("%d uploads are listed", len(open))
	}
	return nil
}

// leaked fails while any backend lists an upload.
func (w *world) leaked() error {
	for _, b := range w.backends {
		open, err := openUploads(w.t.Context(), b.Client)
		if err != nil {
			return err
		}
		if len(open) > 0 {
			return fmt.Errorf("%s holds %d uploads that nobody has, %q the first", b.Name, len(open), open[0])
		}
	}
	return nil
}
