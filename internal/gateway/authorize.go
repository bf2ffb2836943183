package gateway

import (
	"errors"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// access is what the request is about to do, in the words of auth.Authorize. A source
// that cannot be read is none: whoever is held to buckets is refused for it, and the
// others are told what is wrong with it.
func (r *request) access() auth.Access {
	a := auth.Access{
		Operation: r.op.Name, Bucket: r.op.Bucket, Key: r.op.Key,
		Prefix: r.op.Query.Get("prefix"), // as s3.ParseList reads it
		Client: r.client,
	}
	if r.op.Name == s3.CopyObject || r.op.Name == s3.UploadPartCopy {
		if source, err := r.op.CopySource(r.Header); err == nil {
			a.Source = source
		}
	}
	return a
}

// authorize tells whether the sender may do what he asks for. Of a request that
// names its keys in the body this is the first half: permit is asked for each.
func (r *request) authorize() error { return refusal(auth.Authorize(r.sender.User, r.access())) }

// namesOnly are the operations that S3 refuses to nobody in words of its own: they are
// never made public.
var namesOnly = map[s3.OperationName]bool{
	s3.CreateBucket: true, s3.PutBucketAcl: true, s3.CreateMultipartUpload: true,
	s3.GetBucketOwnershipControls: true, s3.DeleteBucketOwnershipControls: true,
}

// anonymous puts the refusal of a request without credentials into the words of S3.
func anonymous(r *request, err error) error {
	if r.op == nil || !namesOnly[r.op.Name] || !errors.Is(err, s3.AccessDenied) || auth.Claims(r.Request) {
		return err
	}
	return s3.Errorf(s3.AccessDenied, "Anonymous users cannot invoke this API. Please authenticate.").Because(err)
}

// permit tells whether the sender may do the operation to a key that its body
// names.
func (r *request) permit(key string) error {
	a := r.access()
	a.Key = key
	return refusal(auth.Authorize(r.sender.User, a))
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
