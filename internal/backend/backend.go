package backend

import (
	"context"
	"io"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Backend is one S3 endpoint. Bucket names are the endpoint's own, already
// mapped by the caller; keys are raw bytes.
//
// Every method is safe for concurrent use and returns a nil error or an *Error
// (use OutcomeOf). The caller owns the deadline: a method returns soon after
// ctx is done, and an upload that it cuts short leaves the object as it was.
// Put and Delete are sent at most once; who may send a mutation again is the
// commit protocol's business. A method that has returned holds nothing of its
// arguments.
type Backend interface {
	// Name is the endpoint's configured name. It never changes.
	Name() string

	// Put stores one object in one attempt. A nil error means that the endpoint
	// answered 2xx to the whole body; compare PutResult with what was sent, for
	// a 2xx alone proves little (RELIABILITY H12). When the error's Outcome is
	// Definitive the write is surely not applied and never will be; otherwise
	// it may be applied now, later or never (R12).
	Put(ctx context.Context, r PutRequest) (PutResult, error)

	// Get opens an object. The caller closes Body; ctx governs it until then.
	// Absence is an error of Outcome Absent, and only for a 404 that says
	// NoSuchKey.
	Get(ctx context.Context, bucket, key string, o GetOptions) (*Object, error)

	// Head tells what stands under the key. Absence is Seen{Kind: Tombstone}
	// and a nil error, and it is proved: the 404 of a HEAD names no reason, so
	// it is confirmed by a GET that says NoSuchKey. Any other 404 is an error.
	Head(ctx context.Context, bucket, key string) (object.Seen, error)

	// Delete removes an object. Absence is success. Outcomes as for Put.
	Delete(ctx context.Context, bucket, key string) error

	// List returns one page, in the binary order of UTF-8, strictly after
	// r.After. An endpoint that answers out of order is an error (ErrOrder).
	List(ctx context.Context, bucket string, r ListRequest) (ListPage, error)
}

// Bucketer is the part of an endpoint that makes and removes buckets. Absence
// of a bucket is Outcome Absent here, and Misconfigured everywhere else.
type Bucketer interface {
	// CreateBucket makes a bucket; one that is ours already is success.
	CreateBucket(ctx context.Context, bucket string) error
	// HeadBucket returns nil when the bucket stands, Outcome Absent when the
	// endpoint says NoSuchBucket.
	HeadBucket(ctx context.Context, bucket string) error
	// DeleteBucket removes an empty bucket; an absent one is success. Refused
	// with code BucketNotEmpty when something is in it.
	DeleteBucket(ctx context.Context, bucket string) error
	// ListBuckets returns all buckets of the credentials, sorted by name.
	ListBuckets(ctx context.Context) ([]BucketInfo, error)
}

// Endpoint is all that an S3 endpoint can do for us.
type Endpoint interface {
	Backend
	Bucketer
	Multiparter
	Copier
	Batcher
	Tagger
	Describer
}

// PutRequest is one upload.
type PutRequest struct {
	Bucket, Key string

	// Headers of the version. Only names that object.Stored accepts are sent.
	// A content type is added when there is none, so that replicas agree. At
	// most one checksum may be among them; with a trailer of the same
	// algorithm the trailer carries it.
	Headers object.Headers

	// Tags of the version. They are not compared, and no read gives them back:
	// see Tagger.
	Tags object.Tags

	// Stamp says which write this is. It is sealed here over Bucket and Key, as
	// Get and Head open it. The zero ID sends none.
	Stamp object.Stamp

	// ContentMD5 is the base64 value of the header, empty for none.
	ContentMD5 string

	// Size is the length of the decoded body in bytes.
	Size int64

	// Body gives exactly Size bytes. It may be nil when Size is 0. Put calls it
	// from one goroutine and never after it has returned.
	Body Body

	// Framing is how the body travels.
	Framing Framing
}

// PutResult is what the endpoint says it stored.
type PutResult struct {
	ETag      string         // without quotes
	Checksums object.Headers // x-amz-checksum-* of the answer
}

// GetOptions selects what of an object is read. The zero value reads it whole.
type GetOptions struct {
	Offset int64 // first byte
	Length int64 // bytes; zero or less means up to the end

	// IfMatch, an ETag without quotes, refuses (PreconditionFailed) another
	// content. It is not compared when empty.
	IfMatch string

	// Checksums asks for the stored checksums. It has no effect on a part of an
	// object: they describe the whole.
	Checksums bool
}

// whole tells whether all of the object is asked for.
func (o GetOptions) whole() bool { return o.Offset <= 0 && o.Length <= 0 }

// Object is an open object.
type Object struct {
	// Seen describes the whole object, whatever part of it is read.
	object.Seen

	// Offset and Length are the part that Body gives, in bytes.
	Offset, Length int64

	// Body gives exactly Length bytes and then io.EOF; an answer that breaks
	// off or stalls ends in another error. Closing it early cuts the connection.
	Body io.ReadCloser
}

// ListRequest selects a page.
type ListRequest struct {
	Prefix string
	// After is a key or a rolled-up prefix; entries and prefixes follow it
	// strictly. What a rolled-up prefix hides is skipped with it.
	After     string
	Delimiter string // rolls up keys that have it after Prefix; empty for none
	Max       int    // entries and prefixes together; 0 means 1000
}

// ListPage is a part of a listing. Entries and Prefixes are each sorted; their memory is
// the caller's.
type ListPage struct {
	Entries  []Entry
	Prefixes []string
	// Next is the After of the following page, empty when this is the last. A
	// page may be short, even empty, and yet not the last.
	Next string
}

// Entry is one listed object. A listing carries no stamp and no headers: it
// nominates keys, it proves nothing of them (RELIABILITY H18). Its strings are parts
// of the page's document: whoever keeps one for long clones it. It is what s3 reads and
// writes: pages are many, and not copied from one form to the next.
type Entry = s3.ListEntry

// BucketInfo is one bucket of an endpoint.
type BucketInfo struct {
	Name    string
	Created time.Time
}
