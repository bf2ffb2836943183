package oplog

import "github.com/s3mirror/s3mirror/internal/object"

// Shards is the number of shards of the index of rows.
const Shards = 16

// ShardOf tells the shard of a key, the same on every node and in every log:
// FNV-1a over bucket, a zero byte and the key.
func ShardOf(key object.Key) int {
	const offset, prime = 2166136261, 16777619
	h := uint32(offset)
	for i := range len(key.Bucket) {
		h = (h ^ uint32(key.Bucket[i])) * prime
	}
	h *= prime // the zero byte
	for i := range len(key.Name) {
		h = (h ^ uint32(key.Name[i])) * prime
	}
	return int((h ^ h>>16) % Shards)
}
