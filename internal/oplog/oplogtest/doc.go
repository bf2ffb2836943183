// Package oplogtest holds the promises of oplog.Log as tests, and what is needed
// to test beside them: generators of rows and events, and a recorder that checks
// a history of concurrent calls for linearizability.
//
// Run is the suite: every implementation and every wrapper of a Log runs it and
// declares in a Tolerance where the contract leaves it room.
//
// It must not know any real implementation, nor the rules by which a row changes.
package oplogtest
