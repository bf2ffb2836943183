package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// owner is whom documents name as the owner of buckets and objects: the
// backends' own owners differ, and mean nothing to our clients. The id is made
// from the login, so it is the same on every node.
var owner = func() s3.Owner {
	sum := sha256.Sum256([]byte("s3mirror owner " + auth.RootLogin))
	return s3.Owner{ID: hex.EncodeToString(sum[:]), DisplayName: auth.RootLogin}
}()

// owner is how the sender knows the owner. Servers without accounts name owners by the key
// that a client signs with: root, whose everything is, is shown his own. Nobody else learns
// it.
func (r *request) owner() s3.Owner {
	o := owner
	if who := r.sender; who.Login == auth.RootLogin && who.Session == "" && who.AccessKeyID != "" {
		o.ID = who.AccessKeyID
	}
	return o
}

// listObjects answers both versions of the list.
func (h *Handler) listObjects(w http.ResponseWriter, r *request) error {
	ask, err := s3.ParseList(r.op, h.Tokens)
	if err != nil {
		return err
	}
	page, err := h.listPage(w, r, ask)
	if err != nil {
		return err
	}
	w.Header().Set("x-amz-bucket-region", h.Region)
	ask.Write(w, page, h.Tokens)
	return nil
}

// listPage asks the replicas for a page. An empty one is wanted (max-keys=0)
// by clients that want to know whether the bucket is there.
func (h *Handler) listPage(w http.ResponseWriter, r *request, ask *s3.ListRequest) (*s3.ListPage, error) {
	if ask.MaxKeys == 0 {
		return &s3.ListPage{Owner: r.owner()}, h.Replicas.HeadBucket(r.Context(), ask.Bucket)
	}
	found, err := h.Replicas.List(r.Context(), replica.ListRequest{
		Bucket: ask.Bucket, Prefix: ask.Prefix, Delimiter: ask.Delimiter, After: ask.ScanAfter(), Max: ask.MaxKeys, MayBeStale: true,
	})
	if err != nil {
		return nil, err
	}
	if found.Stale {
		w.Header().Set(staleHeader, "true")
	}
	return &s3.ListPage{
		Objects:        found.Entries,
		CommonPrefixes: found.Prefixes,
		Truncated:      found.Next != "",
		Last:           found.Next,
		Owner:          r.owner(),
	}, nil
}
