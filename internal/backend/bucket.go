package backend

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// CreateBucket implements Bucketer. Outside of us-east-1 it names the region,
// as AWS demands.
func (r *Remote) CreateBucket(ctx context.Context, bucket string) error {
	c := call{op: OpCreateBucket, method: http.MethodPut, bucket: bucket}
	if r.o.Region != "" && r.o.Region != "us-east-1" {
		c.body = locationConstraint(r.o.Region)
		c.header = http.Header{"Content-Type": {"application/xml"}}
	}
	err := r.run(ctx, c, nil)
	if errors.Is(err, s3.BucketAlreadyOwnedByYou) {
		return nil
	}
	return err
}

func locationConstraint(region string) []byte {
	type document struct {
		XMLName            xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CreateBucketConfiguration"`
		LocationConstraint string
	}
	b, err := xml.Marshal(document{LocationConstraint: region})
	if err != nil {
		panic(err) // a struct of strings
	}
	return b
}

// HeadBucket implements Bucketer. As with objects, a 404 is looked into.
func (r *Remote) HeadBucket(ctx context.Context, bucket string) error {
	err := r.run(ctx, call{op: OpHeadBucket, method: http.MethodHead, bucket: bucket}, nil)
	var e *Error
	if errors.As(err, &e) && e.Status == http.StatusNotFound {
		c := call{op: OpHeadBucket, method: http.MethodGet, bucket: bucket, query: ListRequest{Max: 1}.query("")}
		return r.run(ctx, c, nil)
	}
	return err
}

// DeleteBucket implements Bucketer.
func (r *Remote) DeleteBucket(ctx context.Context, bucket string) error {
	err := r.run(ctx, call{op: OpDeleteBucket, method: http.MethodDelete, bucket: bucket}, nil)
	if IsAbsent(err) {
		return nil
	}
	return err
}

// maxBucketPages bounds a list of buckets: ten thousand to a page.
const maxBucketPages = 100

// ListBuckets implements Bucketer.
func (r *Remote) ListBuckets(ctx context.Context) ([]BucketInfo, error) {
	var all []BucketInfo
	query := ""
	for range maxBucketPages {
		var page bucketPage
		err := r.run(ctx, call{op: OpListBuckets, method: http.MethodGet, query: query}, page.read)
		if err != nil {
			return nil, err
		}
		for _, b := range page.Buckets {
			all = append(all, BucketInfo{Name: b.Name, Created: b.CreationDate.UTC()})
		}
		if page.ContinuationToken == "" {
			slices.SortFunc(all, func(a, b BucketInfo) int { return cmp.Compare(a.Name, b.Name) })
			return all, nil
		}
		query = "continuation-token=" + sigv4.EscapeQuery(page.ContinuationToken)
	}
	return nil, &Error{Backend: r.o.Name, Op: OpListBuckets, Outcome: Ambiguous,
		Err: fmt.Errorf("%w: a list of buckets without end", ErrAnswer)}
}

// bucketPage is ListAllMyBucketsResult.
type bucketPage struct {
	XMLName xml.Name `xml:"ListAllMyBucketsResult"`
	Buckets []struct {
		Name         string
		CreationDate time.Time
	} `xml:"Buckets>Bucket"`
	ContinuationToken string
}

// maxBucketList bounds the document, in bytes.
const maxBucketList = 8 << 20

func (p *bucketPage) read(resp *http.Response) error {
	if err := xml.NewDecoder(io.LimitReader(resp.Body, maxBucketList)).Decode(p); err != nil {
		return fmt.Errorf("%w: list of buckets: %w", ErrAnswer, err)
	}
	return nil
}
