package replica

import "github.com/s3mirror/s3mirror/internal/object"

// ListRequest selects a page of a list.
type ListRequest struct {
	Bucket, Prefix string
	After          string // a key or a common prefix; what follows it is listed
	Delimiter      string // rolls up keys that have it after Prefix; empty for none
	Max            int    // entries and prefixes together; 0 gives an empty page
}

// ListPage is a page. Entries and Prefixes are each sorted by bytes.
type ListPage struct {
	Entries  []Entry
	Prefixes []string
	Next     string // After of the following page; empty when this is the last
}

// Entry is one listed object: ETag, Size and ModTime are set, headers are not.
type Entry struct {
	Key string
	object.Info
}
