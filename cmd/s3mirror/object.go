package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// newObject is `s3mirror object`.
func newObject(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "object",
		Short: "Objects, with the state of each replica",
		Long: `Objects, with the state of each replica.

An object is named BUCKET/KEY. A replica is current when it holds what clients are
shown; lagging when it will be given that, and healing when it is being given it;
unsettled while a request to it may or may not take effect; refused when its
endpoint will not hold the key; absent when it lost the bucket.`,
		Args: noArgs, RunE: needsCommand,
	}
	cmd.AddCommand(newObjectList(std, env), newObjectShow(std, env), newObjectGet(std, env), newObjectPut(std, env), newObjectDelete(std, env), newObjectLink(std, env), newObjectUploads(std, env), newObjectAbort(std, env))
	return cmd
}

// splitName reads BUCKET/KEY.
func splitName(text string) (bucket, key string, err error) {
	bucket, key, _ = strings.Cut(text, "/")
	if bucket == "" || key == "" {
		return "", "", usageError{fmt.Errorf("%q: want BUCKET/KEY", text)}
	}
	return bucket, key, nil
}

const nameOneObject = "name one BUCKET/KEY"

func newObjectList(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "list BUCKET[/PREFIX]", Short: "List objects, with the state of each replica", Args: exactly(1, "name one BUCKET, or BUCKET/PREFIX")}
	cmd.ValidArgsFunction = completeNames(env, bucketNames)
	recursive := cmd.Flags().BoolP("recursive", "r", false, "also what lies behind a further /")
	limit := cmd.Flags().Int("limit", 1000, "most lines to show")
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		if *limit < 1 {
			return usageError{fmt.Errorf("--limit %d: want 1 or more", *limit)}
		}
		bucket, prefix, _ := strings.Cut(args[0], "/")
		params := &api.ListObjectsParams{Prefix: &prefix}
		if slash := "/"; !*recursive {
			params.Delimiter = &slash
		}
		page, err := readObjects(c.ctx, c.client, bucket, params, *limit)
		if err != nil || c.output == "json" {
			return c.document(page, err)
		}
		var rows [][]any
		for _, p := range page.Prefixes {
			rows = append(rows, []any{strconv.QuoteToGraphic(p), "", "", ""})
		}
		for _, o := range page.Objects {
			rows = append(rows, []any{strconv.QuoteToGraphic(o.Key), size(o.Size), o.LastModified.UTC().Format("2006-01-02 15:04:05"), c.replicas(o.Replicas)})
		}
		c.table([]any{"Key", "Size", "Modified (UTC)", "Replicas"}, rows)
		if page.Cursor != "" {
			c.line("there is more: raise --limit")
		}
		return c.err
	})
}

// readObjects gets pages until the limit is reached or there are no more.
func readObjects(ctx context.Context, c *admin.Client, bucket string, params *api.ListObjectsParams, limit int) (api.ObjectPage, error) {
	all := api.ObjectPage{Objects: []api.ObjectEntry{}, Prefixes: []string{}}
	for {
		n := min(limit-len(all.Objects)-len(all.Prefixes), pageLimit)
		params.Limit = &n
		page, err := admin.Do[api.ObjectPage](ctx, c, func(a *api.Client) (*http.Response, error) { return a.ListObjects(ctx, bucket, params) })
		if err != nil {
			return api.ObjectPage{}, err
		}
		all.Objects, all.Prefixes, all.Cursor = append(all.Objects, page.Objects...), append(all.Prefixes, page.Prefixes...), page.Cursor
		if page.Cursor == "" || len(all.Objects)+len(all.Prefixes) >= limit {
			return all, nil
		}
		params.Cursor = &page.Cursor
	}
}

// replicas says what is not current, or that all are.
func (c call) replicas(states api.ReplicaStates) string {
	var odd []string
	for _, name := range slices.Sorted(maps.Keys(states)) {
		switch state := states[name]; state {
		case api.ReplicaCurrent:
		case api.ReplicaRefused, api.ReplicaAbsent:
			odd = append(odd, name+" "+c.bad(string(state)))
		case api.ReplicaLagging, api.ReplicaHealing, api.ReplicaUnsettled:
			odd = append(odd, name+" "+c.warn(string(state)))
		}
	}
	if len(odd) == 0 {
		return c.good("all current")
	}
	return strings.Join(odd, ", ")
}

func newObjectShow(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "show BUCKET/KEY", Short: "Show an object, and the state of each replica", Args: exactly(1, nameOneObject)}
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		bucket, key, err := splitName(args[0])
		if err != nil {
			return err
		}
		o, err := admin.Do[api.Object](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.GetObject(c.ctx, bucket, key, nil) })
		if err != nil || c.output == "json" {
			return c.document(o, err)
		}
		rows := [][2]string{{"bucket", o.Bucket}, {"key", strconv.QuoteToGraphic(o.Key)}, {"size", size(o.Size)}, {"etag", o.Etag}, {"modified", o.LastModified.UTC().Format("2006-01-02 15:04:05 UTC")}}
		for _, name := range slices.Sorted(maps.Keys(o.Headers)) {
			rows = append(rows, [2]string{name, o.Headers[name]})
		}
		for _, name := range slices.Sorted(maps.Keys(o.Metadata)) {
			rows = append(rows, [2]string{"meta " + name, o.Metadata[name]})
		}
		for _, name := range slices.Sorted(maps.Keys(o.Replicas)) {
			rows = append(rows, [2]string{"on " + name, string(o.Replicas[name])})
		}
		for _, r := range rows {
			c.line("%-16s %s", r[0], r[1])
		}
		return c.err
	})
}

func newObjectGet(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get BUCKET/KEY [FILE]",
		Short: "Download an object",
		Long: `Download an object into FILE, or into a file that is called as the last part of
the key. - is the standard output. A file that is there already is left alone unless
--force is given; one that could not be written whole is removed.`,
		Args: between(1, 2, "name one BUCKET/KEY, and the FILE"),
	}
	force := cmd.Flags().Bool("force", false, "write over a file that is there")
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		bucket, key, err := splitName(args[0])
		if err != nil {
			return err
		}
		file := key[strings.LastIndexByte(key, '/')+1:]
		if len(args) > 1 {
			file = args[1]
		}
		if file == "-" {
			return c.client.Download(c.ctx, bucket, key, c.out)
		}
		if file == "" || file == "." || file == ".." {
			return usageError{fmt.Errorf("%s: %q names no file: name the FILE too", cmd.CommandPath(), args[0])}
		}
		n, err := download(c, bucket, key, file, *force)
		return c.done(err, "%s is in %s (%s)", args[0], file, size(n))
	})
}

// download writes an object into a file, under another name until it is whole.
func download(c call, bucket, key, file string, force bool) (n int64, err error) {
	if _, err := os.Lstat(file); !force && !errors.Is(err, os.ErrNotExist) {
		return 0, usageError{fmt.Errorf("%s is there already: give --force, or another FILE", file)}
	}
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // what is left of it is of no use
		}
	}()
	counted := &countingWriter{w: f}
	if err := errors.Join(c.client.Download(c.ctx, bucket, key, counted), f.Close()); err != nil {
		return 0, err
	}
	if err := os.Chmod(f.Name(), 0o644); err != nil { //nolint:gosec // as a file that is made by any other tool
		return 0, err
	}
	return counted.n, os.Rename(f.Name(), file)
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	w.n += int64(n)
	return n, err
}

func newObjectPut(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "put FILE BUCKET/KEY",
		Short: "Upload a file",
		Long: `Upload a file. A key that ends in / is a folder, into which the file goes under
its own name. With --if-absent nothing is written over. A file of more than 64 MiB
goes in parts, of which one that did not arrive is sent again.`,
		Args: exactly(2, "name one FILE and one BUCKET/KEY"),
	}
	kind := cmd.Flags().String("content-type", "", "kind of the content (default by the extension)")
	absent := cmd.Flags().Bool("if-absent", false, "fail when there is such an object")
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		bucket, key, err := splitName(args[1])
		if err != nil {
			return err
		}
		if strings.HasSuffix(key, "/") {
			key += filepath.Base(args[0])
		}
		f, err := os.Open(args[0])
		if err != nil {
			return usageError{err}
		}
		defer f.Close()
		about, err := f.Stat()
		if err != nil || !about.Mode().IsRegular() {
			return usageError{fmt.Errorf("%s is no regular file, so its length is not known", args[0])}
		}
		if *kind == "" {
			*kind = mime.TypeByExtension(filepath.Ext(args[0]))
		}
		if *kind == "" {
			*kind = "application/octet-stream"
		}
		put := c.putWhole
		if about.Size() > wholeUpTo {
			put = c.putInParts
		}
		o, err := put(f, about.Size(), bucket, key, *kind, *absent)
		if err != nil || c.output == "json" {
			return c.document(o, err)
		}
		return c.done(nil, "%s is %s/%s (%s)", args[0], o.Bucket, o.Key, size(about.Size()))
	})
}

// putWhole uploads a file in one piece.
func (c call) putWhole(f io.ReaderAt, size int64, bucket, key, kind string, absent bool) (api.WrittenObject, error) {
	sized := func(_ context.Context, r *http.Request) error {
		r.ContentLength = size
		if size == 0 {
			r.Body = http.NoBody
		}
		return nil
	}
	return admin.Do[api.WrittenObject](c.ctx, c.client, func(a *api.Client) (*http.Response, error) {
		return a.PutObjectWithBody(c.ctx, bucket, key, kind, io.NewSectionReader(f, 0, size), sized, ifAbsent(absent))
	})
}

func newObjectDelete(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "delete BUCKET/KEY", Short: "Remove an object", Args: exactly(1, nameOneObject)}
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		bucket, key, err := splitName(args[0])
		if err != nil {
			return err
		}
		_, err = admin.Do[struct{}](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.DeleteObject(c.ctx, bucket, key) })
		return c.done(err, "%s is deleted", args[0])
	})
}
