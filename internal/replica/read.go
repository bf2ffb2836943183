package replica

import (
	"io"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Version is what stands under a key.
type Version struct {
	object.Info
	Replica string // which answered; empty when the log did
	Status  string // for x-amz-replication-status: COMPLETED, PENDING or FAILED
}

// What x-amz-replication-status says.
const (
	StatusCompleted = "COMPLETED" // every replica holds the version, or the key is quiet
	StatusPending   = "PENDING"   // some replica will get it
	StatusFailed    = "FAILED"    // some replica refuses to hold it
)

// GetRequest is one GetObject.
type GetRequest struct {
	Key   object.Key
	Range string // the raw Range header; empty: whole

	// Check judges the client's conditions against the version, before any byte
	// of the body is given; its error is returned as it is. nil: none.
	Check func(object.Info) error
	// RangeApplies judges If-Range: false sends the whole object. nil: true.
	RangeApplies func(object.Info) bool
}

// Object is an open object. The caller closes Body.
type Object struct {
	Version
	Range s3.Range

	// Body gives exactly Range.Length bytes and then io.EOF. When the replica
	// dies it goes on with another one at the same byte, of the same version;
	// when there is none it returns an error: a short end is never clean. It
	// implements io.WriterTo.
	Body io.ReadCloser
}
