package s3

import "github.com/s3mirror/s3mirror/internal/object"

// Target is what an operation is about, for a face of this server that has no
// request of S3 to say it with.
type Target struct {
	Key      object.Key // the object's; Name is empty when it is about the bucket, and both when about neither
	Prefix   string     // of a list
	UploadID string     // of what is about an upload
	Part     int        // the number of a part
}
