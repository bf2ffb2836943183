package gateway

import (
	"context"
	"errors"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// access is what the request is about to do, in the words of auth.Authorize. A source
// that cannot be read is none: whoever is held to buckets is refused for it, and the
// others are told what is wrong with it.
func (h *Handler) access(ctx context.Context, r *request, u *auth.User) (a auth.Access, err error) {
	a = auth.Access{
		Operation: r.op.Name, Bucket: r.op.Bucket, Key: r.op.Key,
		Prefix: r.op.Query.Get("prefix"), // as s3.ParseList reads it
		Client: r.client,
	}
	if r.op.Name == s3.CopyObject || r.op.Name == s3.UploadPartCopy {
		if source, err := r.op.CopySource(r.Header); err == nil {
			a.Source = source
		}
	}
	return a, h.rule(ctx, r, u, &a)
}

// authorize tells whether the sender may do what he asks for. Of a request that
// names its keys in the body this is the first half: permit is asked for each.
func (h *Handler) authorize(r *request) error {
	err := h.permit(r, r.op.Key)
	if err != nil && r.nameless() {
		return anonymous(r, err)
	}
	return err
}

// namesOnly are the operations that S3 refuses to nobody in words of its own: they are
// never made public.
var namesOnly = map[s3.OperationName]string{
	s3.CreateBucket: noAnonymous, s3.PutBucketAcl: noAnonymous, s3.PutObjectAcl: noAnonymous, s3.SelectObjectContent: noAnonymous,
	s3.CreateMultipartUpload:         "Anonymous users cannot initiate multipart uploads. Please authenticate.",
	s3.CopyObject:                    "Anonymous users cannot copy objects. Please authenticate.",
	s3.GetBucketOwnershipControls:    "s3:GetBucketOwnershipControls does not support Anonymous requests!",
	s3.PutBucketOwnershipControls:    "s3:PutBucketOwnershipControls does not support Anonymous requests!",
	s3.DeleteBucketOwnershipControls: "s3:PutBucketOwnershipControls does not support Anonymous requests!",
}

const noAnonymous = "Anonymous users cannot invoke this API. Please authenticate."

// anonymous puts the refusal of a request without credentials into the words of S3.
func anonymous(r *request, err error) error {
	if r.op == nil || namesOnly[r.op.Name] == "" || !errors.Is(err, s3.AccessDenied) || auth.Claims(r.Request) {
		return err
	}
	return s3.Errorf(s3.AccessDenied, "%s", namesOnly[r.op.Name]).Because(err)
}

// permit tells whether the sender may do the operation to a key that its body
// names.
func (h *Handler) permit(r *request, key string) error {
	return h.mayStill(r.Context(), r, r.sender.User, key)
}

// mayStill tells whether somebody may do the operation of the request to a key.
func (h *Handler) mayStill(ctx context.Context, r *request, u *auth.User, key string) error {
	a, err := h.access(ctx, r, u)
	if err != nil {
		return err
	}
	a.Key = key
	err = auth.Authorize(u, a)
	if u != nil && u.Anonymous() && err != nil {
		return s3.Err(s3.AccessDenied).Because(err)
	}
	return refusal(err)
}

// refusal is a denial as the error of the S3 API. It says which limit, for the
// sender is proved and has to know whom to ask for what.
func refusal(err error) error {
	var d *auth.Denial
	if !errors.As(err, &d) {
		return err
	}
	return s3.Errorf(s3.AccessDenied, "Access Denied: %s.", d.Reason.Text()).Because(d)
}
