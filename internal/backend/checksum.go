package backend

import "hash"

// NewChecksum returns the hash of a checksum algorithm of S3, by its name in
// lower case ("crc32", "sha256", "xxhash3", ...). The checksum is
// the base64 of its Sum.
func NewChecksum(algorithm string) (hash.Hash, error) { return newChecksum(algorithm) }
