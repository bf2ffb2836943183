package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// withKeyInOneSegment escapes the key in the path of an object, so that a key
// with slashes, and one that ends in a slash or is made of dots, is one segment for
// ServeMux, which would redirect to another key otherwise. Whether a slash came
// escaped or not is all the same.
func withKeyInOneSegment(r *http.Request) *http.Request {
	path := r.URL.EscapedPath()
	rest, ok := strings.CutPrefix(path, "/api/v1/buckets/")
	bucket, rest, ok2 := strings.Cut(rest, "/")
	escaped, ok3 := strings.CutPrefix(rest, "objects/")
	if !ok || !ok2 || !ok3 || escaped == "" {
		return r
	}
	key, err := url.PathUnescape(escaped)
	if err != nil {
		return r // net/http has refused it: a test's
	}
	out := new(*r)
	out.URL = new(*r.URL)
	out.URL.RawPath = "/api/v1/buckets/" + bucket + "/objects/" + escapeAll(key)
	return out
}

// escapeAll leaves letters and digits alone.
func escapeAll(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + string(hex[c>>4]) + string(hex[c&15]))
		}
	}
	return b.String()
}

// ListObjects answers one page of a bucket.
func (h face) ListObjects(ctx context.Context, r api.ListObjectsRequestObject) (api.ListObjectsResponseObject, error) {
	limit, err := limitOf(r.Params.Limit)
	if err != nil {
		return nil, err
	}
	last, err := after(r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	prefix := value(r.Params.Prefix)
	if err := h.may(ctx, s3.ListObjectsV2, s3.Target{Key: object.Key{Bucket: r.Bucket}, Prefix: prefix}); err != nil {
		return nil, err
	}
	found, err := h.Replicas.List(ctx, replica.ListRequest{Bucket: r.Bucket, Prefix: prefix, Delimiter: value(r.Params.Delimiter), After: last, Max: limit})
	if err != nil {
		return nil, fmt.Errorf("list objects: %w", err)
	}
	keys := make([]string, len(found.Entries))
	for i, e := range found.Entries {
		keys[i] = e.Key
	}
	states, err := h.Replicas.States(ctx, r.Bucket, keys)
	if err != nil {
		return nil, fmt.Errorf("states of objects: %w", err)
	}
	page := api.ObjectPage{Objects: make([]api.ObjectEntry, len(keys)), Prefixes: listed(found.Prefixes)}
	for i, e := range found.Entries {
		page.Objects[i] = api.ObjectEntry{Key: e.Key, Size: e.Size, Etag: e.ETag, LastModified: e.ModTime.UTC(), Replicas: statesDocument(states[i])}
		if !utf8.ValidString(e.Key) {
			page.Objects[i].Key, page.Objects[i].KeyEncoded = strings.ToValidUTF8(e.Key, "\uFFFD"), percentEncode(e.Key)
		}
	}
	if found.Next != "" {
		page.Cursor = cursorAfter(found.Next)
	}
	return api.ListObjects200JSONResponse(page), nil
}

func statesDocument(states map[string]replica.KeyState) api.ReplicaStates {
	out := api.ReplicaStates{}
	for backend, state := range states {
		out[backend] = api.ReplicaState(state)
	}
	return out
}

// GetObject shows one object, or sends its content.
func (h face) GetObject(ctx context.Context, r api.GetObjectRequestObject) (api.GetObjectResponseObject, error) {
	key := object.Key{Bucket: r.Bucket, Name: r.Key}
	if value(r.Params.Download) {
		return download{h, callOf(ctx), key}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, actDeadline)
	defer cancel()
	if err := h.may(ctx, s3.HeadObject, s3.Target{Key: key}); err != nil {
		return nil, err
	}
	v, err := h.Replicas.Head(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("look at an object: %w", err)
	}
	states, err := h.Replicas.States(ctx, r.Bucket, []string{r.Key})
	if err != nil {
		return nil, fmt.Errorf("state of an object: %w", err)
	}
	out := api.GetObject200JSONResponse{
		Bucket: r.Bucket, Key: r.Key, Size: v.Size, Etag: v.ETag, LastModified: v.ModTime.UTC(),
		Headers: map[string]string{}, Metadata: map[string]string{}, Replicas: statesDocument(states[0]),
	}
	refusals, err := h.Replicas.Refusals(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("state of an object: %w", err)
	}
	for _, f := range refusals {
		if out.Refusals == nil {
			out.Refusals = map[string]api.Refusal{}
		}
		out.Refusals[f.Replica] = api.Refusal{Code: f.Code, Message: f.Words}
	}
	for name, text := range v.Headers {
		if meta, ok := strings.CutPrefix(name, "x-amz-meta-"); ok {
			out.Metadata[meta] = text
		} else {
			out.Headers[name] = text
		}
	}
	return out, nil
}

// download is the answer that S3 gives.
type download struct {
	face face
	call *call
	key  object.Key
}

// VisitGetObjectResponse implements api.GetObjectResponseObject. The content is
// the users': a browser must run nothing of it in our name.
func (d download) VisitGetObjectResponse(w http.ResponseWriter) error {
	c := d.call
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	w.Header().Set("Content-Disposition", "attachment")
	name := s3.GetObject
	if c.r.Method == http.MethodHead {
		name = s3.HeadObject
	}
	err := d.face.S3.Do(w, c.r, c.caller(), name, s3.Target{Key: d.key})
	if err != nil {
		w.Header().Del("Content-Disposition")
	}
	return err
}

// PutObject writes an object.
func (h face) PutObject(ctx context.Context, r api.PutObjectRequestObject) (api.PutObjectResponseObject, error) {
	c := callOf(ctx)
	answer := &silent{ResponseWriter: c.w}
	if err := h.S3.Do(answer, c.r, c.caller(), s3.PutObject, s3.Target{Key: object.Key{Bucket: r.Bucket, Name: r.Key}}); err != nil {
		return nil, err
	}
	return api.PutObject200JSONResponse{Bucket: r.Bucket, Key: r.Key, Etag: answer.etag()}, nil
}

// DeleteObject removes an object.
func (h face) DeleteObject(ctx context.Context, r api.DeleteObjectRequestObject) (api.DeleteObjectResponseObject, error) {
	return api.DeleteObject204Response{}, h.do(ctx, s3.DeleteObject, s3.Target{Key: object.Key{Bucket: r.Bucket, Name: r.Key}})
}

// Download sends the content of an object to w. The connection lives until then.
func (c *Client) Download(ctx context.Context, bucket, key string, w io.Writer) error {
	yes := true
	return c.Stream(ctx, func(a *api.Client) (*http.Response, error) {
		return a.GetObject(ctx, bucket, key, &api.GetObjectParams{Download: &yes})
	}, func(body io.Reader) error {
		_, err := io.Copy(w, body)
		return err
	})
}

// Stream carries out one operation whose answer is no document, and has read
// read it. An error of the API is a *Problem.
func (c *Client) Stream(ctx context.Context, ask func(*api.Client) (*http.Response, error), read func(io.Reader) error) error {
	wire, err := api.NewClient(c.BaseURL, api.WithHTTPClient(c.client()), api.WithRequestEditorFn(c.authorize))
	if err != nil {
		return err
	}
	resp, err := ask(wire)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
		return errors.Join(refusal(resp, body), err)
	}
	if err := read(resp.Body); err != nil {
		return fmt.Errorf("%s %s: %w", resp.Request.Method, resp.Request.URL.Path, err)
	}
	return nil
}
