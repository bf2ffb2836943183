package s3

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
)

// BucketsRequest is what a ListBuckets asks for.
type BucketsRequest struct {
	Prefix     string
	Region     string // only buckets of this region; empty: all
	MaxBuckets int    // 1 to MaxBuckets
	After      string // begin behind this bucket
}

// ParseListBuckets reads and checks the parameters; key opens the continuation
// token. InvalidArgument.
func ParseListBuckets(op *Operation, key TokenKey) (*BucketsRequest, error) {
	q := op.Query
	b := &BucketsRequest{Prefix: q.Get("prefix"), Region: q.Get("bucket-region"), MaxBuckets: MaxBuckets}
	if v, ok := q.Lookup("max-buckets"); ok {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > MaxBuckets {
			return nil, invalidArgument("max-buckets", v, "Argument max-buckets must be an integer between 1 and %d.", MaxBuckets)
		}
		b.MaxBuckets = n
	}
	if token, ok := q.Lookup("continuation-token"); ok {
		var err error
		if b.After, err = key.OpenToken(b.scope(), token); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *BucketsRequest) scope() TokenScope { return TokenScope{Prefix: b.Prefix} }

// BucketEntry is one bucket in the list. Created must be the same on every
// answer.
type BucketEntry struct {
	Name    string
	Created time.Time
	Region  string
}

// BucketsPage is one page of buckets, sorted by name.
type BucketsPage struct {
	Buckets   []BucketEntry
	Truncated bool // there are more behind the last one
	Owner     Owner
}

// Document is the answer: ListAllMyBucketsResult. key seals the token of the
// next page.
func (b *BucketsRequest) Document(page *BucketsPage, key TokenKey) []byte {
	x := newXML(512 + 160*len(page.Buckets))
	x.openNamespace("ListAllMyBucketsResult")
	x.owner(page.Owner)
	x.open("Buckets")
	for _, e := range page.Buckets {
		x.open("Bucket")
		x.text("Name", e.Name)
		x.time("CreationDate", e.Created)
		if e.Region != "" {
			x.text("BucketRegion", e.Region)
		}
		x.close("Bucket")
	}
	x.close("Buckets")
	if page.Truncated && len(page.Buckets) > 0 {
		x.text("ContinuationToken", key.SealToken(b.scope(), page.Buckets[len(page.Buckets)-1].Name))
	}
	if b.Prefix != "" {
		x.text("Prefix", b.Prefix)
	}
	x.close("ListAllMyBucketsResult")
	return x.bytes()
}

// usEast1 is the region that S3 spells as an empty LocationConstraint.
const usEast1 = "us-east-1"

// LocationDocument is the answer to GetBucketLocation.
func LocationDocument(region string) []byte {
	if region == usEast1 {
		region = ""
	}
	x := newXML(192)
	x.openNamespace("LocationConstraint")
	x.b = appendText(x.b, region, true)
	x.close("LocationConstraint")
	return x.bytes()
}

// maxConfigurationBytes bounds the body of a CreateBucket.
const maxConfigurationBytes = 256 << 10 // it may hold the tags of the bucket

// BucketConfiguration is what a CreateBucket asks for in its body.
type BucketConfiguration struct {
	Location string // the location constraint; empty: none
	Tags     object.Tags
}

// ParseCreateBucket reads the body of a CreateBucket, which may be empty. What is
// no such document, is too long or holds an element that S3 does not know is
// MalformedXML; Location and Bucket, which ask for something that we do not do,
// are NotImplemented; tags are judged as by ParseBucketTagging. An error of the
// reader itself is returned as it is.
func ParseCreateBucket(body io.Reader) (*BucketConfiguration, error) {
	c := &BucketConfiguration{}
	set := tagSet{max: MaxBucketTags}
	d := newXMLReader(body, maxConfigurationBytes)
	root, err := d.root()
	switch {
	case errors.Is(err, io.EOF):
		return c, nil
	case err != nil:
		return nil, malformed(err)
	case root != "CreateBucketConfiguration":
		return nil, malformed(errUnexpectedElement(root))
	}
	err = d.children(func(name []byte) error {
		switch string(name) {
		case "LocationConstraint":
			text, err := d.text()
			c.Location = strings.TrimSpace(text)
			return err
		case "Tags":
			return d.tags(&set, func(name []byte) error { return errUnexpectedElement(string(name)) })
		case "Location", "Bucket":
			return Errorf(NotImplemented, "The element %s implies functionality that is not implemented.", name)
		}
		return errUnexpectedElement(string(name))
	})
	if err == nil {
		err = d.end()
	}
	if err == nil {
		err = set.check()
	}
	if err != nil {
		return nil, malformed(err)
	}
	c.Tags = set.tags
	return c, nil
}
