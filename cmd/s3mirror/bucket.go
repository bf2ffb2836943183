package main

import (
	"context"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// newBucket is `s3mirror bucket`.
func newBucket(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "bucket", Short: "Buckets, and how they stand on each backend", Args: noArgs, RunE: needsCommand}
	cmd.AddCommand(newBucketList(std, env), newBucketShow(std, env), newBucketCreate(std, env), newBucketDelete(std, env))
	return cmd
}

const nameOneBucket = "name one BUCKET"

func newBucketList(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the buckets that you may know of", Args: noArgs}
	return clientCommand(cmd, std, env, func(c call, _ []string) error {
		buckets, err := allBuckets(c.ctx, c.client)
		if err != nil || c.output == "json" {
			return c.document(api.BucketPage{Buckets: buckets}, err)
		}
		var rows [][]any
		for _, b := range buckets {
			rows = append(rows, []any{b.Name, c.ago(&b.Created)})
		}
		c.table([]any{"Bucket", "Made"}, rows)
		return c.err
	})
}

// allBuckets gets every page.
func allBuckets(ctx context.Context, c *admin.Client) ([]api.BucketEntry, error) {
	buckets := []api.BucketEntry{}
	limit := pageLimit
	params := &api.ListBucketsParams{Limit: &limit}
	for {
		page, err := admin.Do[api.BucketPage](ctx, c, func(a *api.Client) (*http.Response, error) { return a.ListBuckets(ctx, params) })
		if err != nil {
			return nil, err
		}
		if buckets = append(buckets, page.Buckets...); page.Cursor == "" {
			return buckets, nil
		}
		params.Cursor = &page.Cursor
	}
}

func newBucketShow(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "show BUCKET", Short: "Show a bucket, and how it stands on each backend", Args: exactly(1, nameOneBucket)}
	cmd.ValidArgsFunction = completeNames(env, bucketNames)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		return c.bucket(admin.Do[api.Bucket](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.GetBucket(c.ctx, args[0]) }))
	})
}

// bucket prints one bucket.
func (c call) bucket(b api.Bucket, err error) error {
	if err != nil || c.output == "json" {
		return c.document(b, err)
	}
	c.line("%s, made %s; a write is answered when %d of %d backends have it%s", b.Name, c.ago(&b.Created), b.Ack.AtLeast, len(b.Replicas), including(b.Ack))
	if b.Deleting {
		c.line("%s", c.warn("it is being deleted"))
	}
	c.line("")
	var rows [][]any
	for _, r := range b.Replicas {
		paint := c.warn
		switch r.State {
		case api.BucketPresent:
			paint = c.good
		case api.BucketUnusable:
			paint = c.bad
		case api.BucketPending, api.BucketFilling:
		}
		rows = append(rows, []any{r.Backend, paint(string(r.State)), r.Name, r.Reason})
	}
	c.table([]any{"Backend", "State", "Name there", ""}, rows)
	return c.err
}

func including(a api.Ack) string {
	if len(a.Include) == 0 {
		return ""
	}
	return ", among them " + strings.Join(a.Include, ", ")
}

func newBucketCreate(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "create BUCKET", Short: "Make a bucket on every backend", Args: exactly(1, nameOneBucket)}
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		return c.bucket(admin.Do[api.Bucket](c.ctx, c.client, func(a *api.Client) (*http.Response, error) {
			return a.CreateBucket(c.ctx, api.NewBucket{Name: args[0]})
		}))
	})
}

func newBucketDelete(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "delete BUCKET", Short: "Remove an empty bucket from every backend", Args: exactly(1, nameOneBucket)}
	cmd.ValidArgsFunction = completeNames(env, bucketNames)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		_, err := admin.Do[struct{}](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.DeleteBucket(c.ctx, args[0]) })
		return c.done(err, "%s is deleted", args[0])
	})
}
