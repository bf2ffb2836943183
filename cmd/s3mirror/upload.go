package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

const (
	// wholeUpTo is how large a file goes in one piece, in bytes.
	wholeUpTo = 64 << 20
	// partSize is that of a part, in bytes, unless there would be too many.
	partSize = 16 << 20
	// mostParts an upload can have.
	mostParts = 10_000
	// partsAtOnce are under way together.
	partsAtOnce = 4
	// partTries is how often a part is sent that did not arrive.
	partTries = 5
)

// partSizeOf is how large the parts of a file are.
func partSizeOf(size int64) int64 {
	return max(partSize, (size+mostParts-1)/mostParts)
}

// putInParts uploads a file in parts, several at once, and each again when it has to. What
// was begun is given up when it fails.
func (c call) putInParts(f io.ReaderAt, size int64, bucket, key, kind string, absent bool) (o api.WrittenObject, err error) {
	u, err := admin.Do[api.Upload](c.ctx, c.client, func(a *api.Client) (*http.Response, error) {
		return a.CreateUpload(c.ctx, bucket, &api.CreateUploadParams{Key: key}, api.NewUpload{ContentType: kind})
	})
	if err != nil {
		return o, err
	}
	defer func() {
		if err == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), 10*time.Second)
		defer cancel()
		_, given := admin.Do[struct{}](ctx, c.client, func(a *api.Client) (*http.Response, error) {
			return a.AbortUpload(ctx, bucket, u.ID, &api.AbortUploadParams{Key: key})
		})
		err = errors.Join(err, given)
	}()
	list, err := c.putParts(f, size, u)
	if err != nil {
		return o, err
	}
	return admin.Do[api.WrittenObject](c.ctx, c.client, func(a *api.Client) (*http.Response, error) {
		return a.CompleteUpload(c.ctx, bucket, u.ID, &api.CompleteUploadParams{Key: key}, api.PartList{Parts: list}, ifAbsent(absent))
	})
}

// ifAbsent asks that nothing is written over.
func ifAbsent(absent bool) api.RequestEditorFn {
	return func(_ context.Context, r *http.Request) error {
		if absent {
			r.Header.Set("If-None-Match", "*")
		}
		return nil
	}
}

// putParts sends all parts.
func (c call) putParts(f io.ReaderAt, size int64, u api.Upload) ([]api.ListedPart, error) {
	each := partSizeOf(size)
	list := make([]api.ListedPart, (size+each-1)/each)
	group, ctx := errgroup.WithContext(c.ctx)
	group.SetLimit(partsAtOnce)
	for i := range list {
		group.Go(func() (err error) {
			from := int64(i) * each
			content := io.NewSectionReader(f, from, min(each, size-from))
			list[i], err = c.putPart(ctx, content, u, i+1)
			return err
		})
	}
	return list, group.Wait()
}

// putPart sends one part, again when it did not arrive for a reason that may pass.
func (c call) putPart(ctx context.Context, content *io.SectionReader, u api.Upload, number int) (api.ListedPart, error) {
	for try := 1; ; try++ {
		p, err := admin.Do[api.WrittenPart](ctx, c.client, func(a *api.Client) (*http.Response, error) {
			body := io.NewSectionReader(content, 0, content.Size())
			return a.PutPartWithBody(ctx, u.Bucket, u.ID, number, &api.PutPartParams{Key: u.Key}, "application/octet-stream", body, func(_ context.Context, r *http.Request) error {
				r.ContentLength = content.Size()
				return nil
			})
		})
		var refused *admin.Problem
		switch {
		case err == nil:
			return api.ListedPart(p), nil
		case try == partTries, errors.As(err, &refused) && refused.Status < 500, ctx.Err() != nil:
			return api.ListedPart{}, fmt.Errorf("part %d: %w", number, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(try) * time.Second):
		}
	}
}

// newObjectUploads is `s3mirror object uploads`.
func newObjectUploads(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "uploads BUCKET", Short: "List uploads in parts that are under way", Args: exactly(1, nameOneBucket)}
	cmd.ValidArgsFunction = completeNames(env, bucketNames)
	prefix := cmd.Flags().String("prefix", "", "only keys that begin so")
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		all := api.UploadPage{Uploads: []api.UploadEntry{}}
		limit := pageLimit
		params := &api.ListUploadsParams{Limit: &limit, Prefix: prefix}
		for {
			page, err := admin.Do[api.UploadPage](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.ListUploads(c.ctx, args[0], params) })
			if err != nil {
				return err
			}
			if all.Uploads = append(all.Uploads, page.Uploads...); page.Cursor == "" {
				break
			}
			params.Cursor = &page.Cursor
		}
		if c.output == "json" {
			return c.document(all, nil)
		}
		var rows [][]any
		for _, u := range all.Uploads {
			rows = append(rows, []any{strconv.QuoteToGraphic(u.Key), u.ID, c.ago(&u.Started), u.By})
		}
		c.table([]any{"Key", "Upload", "Begun", "By"}, rows)
		return c.err
	})
}

// newObjectAbort is `s3mirror object abort`.
func newObjectAbort(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "abort BUCKET/KEY UPLOAD", Short: "Give an upload in parts up", Args: exactly(2, "name one BUCKET/KEY and its UPLOAD")}
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		bucket, key, err := splitName(args[0])
		if err != nil {
			return err
		}
		_, err = admin.Do[struct{}](c.ctx, c.client, func(a *api.Client) (*http.Response, error) {
			return a.AbortUpload(c.ctx, bucket, args[1], &api.AbortUploadParams{Key: key})
		})
		return c.done(err, "the upload %s of %s is given up", args[1], args[0])
	})
}
