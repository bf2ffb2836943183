//go:build !nextformat

package oplog

// The formats of rows that this version of the program reads.
const (
	OldestFormat = 1
	NewestFormat = 1
)
