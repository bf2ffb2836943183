//go:build nextformat

package oplog

// The formats of rows that the next version of the program reads, when it needs another
// one: a build for tests of an upgrade, which nobody ships. Its second format differs
// from the first by its byte alone: an old reader must refuse it.
const (
	OldestFormat = 1
	NewestFormat = 2
)
