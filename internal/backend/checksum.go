package backend

import "hash"

// NewChecksum returns the hash of a checksum algorithm of S3, by its name in
// lower case ("crc32", "crc32c", "crc64nvme", "sha1", "sha256"). The checksum is
// the base64 of its Sum.
func NewChecksum(algorithm string) (hash.Hash, error) { return newChecksum(algorithm) }
