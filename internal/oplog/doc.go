// Package oplog is the contract of the operation log: one row per key that is
// not quiet, changed only by compare-and-set on the row's epoch; the index of
// the rows that still need work; the documents beside the rows (buckets,
// generation, node leases); and the history of what happened.
//
// It promises what the commit protocol needs and no more, drawn for its weakest
// implementation: every method touches one row or one bounded page, every
// mutation may be repeated, nothing spans keys. Package oplogtest holds the
// promises as tests; each implementation and each wrapper runs them.
//
// It must not know backends, requests, clocks or the rules by which a row
// changes: those are package commit's.
package oplog
