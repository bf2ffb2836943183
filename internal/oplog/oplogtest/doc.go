// Package oplogtest holds the promises of oplog.Log as tests, and what is needed
// to test beside them: generators of rows and events, a recorder that checks a
// history of concurrent calls for linearizability, and a second, humbler log.
//
// Run is the suite: every implementation and every wrapper of a Log runs it and
// declares in a Tolerance where the contract leaves it room. Primitive is a Log
// on a Store that offers only what Cassandra offers (compare-and-set of one row,
// plain records in partitions, no range over rows), so that the contract stays
// one that the weakest store can keep.
//
// It must not know any real implementation, nor the rules by which a row changes.
package oplogtest
