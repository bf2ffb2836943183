package s3

import "github.com/s3mirror/s3mirror/internal/object"

const (
	metaPrefix     = object.MetaPrefix
	checksumPrefix = object.ChecksumPrefix
)
