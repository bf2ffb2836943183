package s3

import (
	"maps"
	"slices"
)

// Operations returns every name that an Operation can have, sorted: whoever
// decides by the name can show that none was forgotten.
func Operations() []OperationName {
	known := map[OperationName]bool{
		Preflight: true, Unsupported: true,
		CopyObject: true, UploadPartCopy: true, ListDirectoryBuckets: true, ListObjectsV2: true, // told apart by refine
	}
	for _, table := range routes {
		for _, v := range table {
			for _, name := range []OperationName{v.get, v.head, v.put, v.post, v.del} {
				known[name] = true
			}
		}
	}
	for _, name := range listsWithoutID {
		known[name] = true
	}
	delete(known, "")
	return slices.Sorted(maps.Keys(known))
}
