package gateway

import (
	"bytes"
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// listBuckets answers with one page of all the buckets that the sender may
// know of.
func (h *Handler) listBuckets(w http.ResponseWriter, r *request) error {
	ask, err := s3.ParseListBuckets(r.op, h.Tokens)
	if err != nil {
		return err
	}
	all, err := h.Replicas.Buckets(r.Context())
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(b replica.Bucket) bool { return !r.sender.User.Sees(b.Name) })
	s3.WriteXML(w, ask.Document(h.bucketsPage(ask, all, r.owner()), h.Tokens))
	return nil
}

func (h *Handler) bucketsPage(ask *s3.BucketsRequest, all []replica.Bucket, owner s3.Owner) *s3.BucketsPage {
	page := &s3.BucketsPage{Owner: owner}
	if ask.Region != "" && ask.Region != h.Region {
		return page
	}
	slices.SortFunc(all, func(a, b replica.Bucket) int { return cmp.Compare(a.Name, b.Name) })
	for _, b := range all {
		if b.Name <= ask.After || !strings.HasPrefix(b.Name, ask.Prefix) {
			continue
		}
		if page.Truncated = len(page.Buckets) == ask.MaxBuckets; page.Truncated {
			break
		}
		page.Buckets = append(page.Buckets, s3.BucketEntry{Name: b.Name, Created: b.Created, Region: h.Region})
	}
	return page
}

// createBucket takes any location constraint, as any region is taken in the
// scope of a signature: clients send what they were configured with. The
// document is judged nevertheless.
func (h *Handler) createBucket(w http.ResponseWriter, r *request) error {
	with, err := r.bucketSettings()
	if err != nil {
		return err
	}
	if err := h.Replicas.CreateBucket(r.Context(), r.op.Bucket, r.actor(), r.id, with...); err != nil {
		return err
	}
	w.Header().Set("Location", "/"+r.op.Bucket)
	w.Header().Set("x-amz-bucket-arn", "arn:aws:s3:::"+r.op.Bucket)
	return empty(w, http.StatusOK)
}

// bucketSettings are what a CreateBucket sets beside making the bucket.
func (r *request) bucketSettings() (with []replica.Setting, err error) {
	document, err := r.sender.Document(r.Request, maxSetting)
	if err != nil {
		return nil, err
	}
	ask, err := s3.ParseCreateBucket(bytes.NewReader(document))
	if err != nil {
		return nil, err
	}
	if len(ask.Tags) > 0 {
		with = append(with, replica.Setting{Name: settingTags, Document: string(s3.TaggingDocument(ask.Tags))})
	}
	if ownership := r.Header.Get("X-Amz-Object-Ownership"); ownership != "" {
		if err := s3.CheckOwnership(ownership); err != nil {
			return nil, err
		}
		with = append(with, replica.Setting{Name: settingOwnership, Document: s3.OwnershipDocument(ownership)})
	}
	return with, nil
}

func (h *Handler) headBucket(w http.ResponseWriter, r *request) error {
	if err := h.Replicas.HeadBucket(r.Context(), r.op.Bucket); err != nil {
		return err
	}
	w.Header().Set("x-amz-bucket-region", h.Region)
	w.Header().Set("x-amz-access-point-alias", "false")
	w.Header().Set("Content-Type", "application/xml")
	return empty(w, http.StatusOK)
}

func (h *Handler) deleteBucket(w http.ResponseWriter, r *request) error {
	if err := h.Replicas.DeleteBucket(r.Context(), r.op.Bucket, r.actor(), r.id); err != nil {
		return err
	}
	return empty(w, http.StatusNoContent)
}

func (h *Handler) bucketLocation(w http.ResponseWriter, r *request) error {
	if err := h.Replicas.HeadBucket(r.Context(), r.op.Bucket); err != nil {
		return err
	}
	s3.WriteXML(w, s3.LocationDocument(h.Region))
	return nil
}
