// Package cassandra is the operation log that many gateways share: oplog.Log on
// a cluster of Apache Cassandra.
//
// What it promises is the contract's, on these primitives (RELIABILITY 4.6):
//
//   - A row, of a key or a document, is a partition of its own. It is read at
//     SERIAL and changed only by one conditional statement (IF NOT EXISTS, or IF
//     epoch = ?): Paxos orders them. Nothing else writes to it, and nothing
//     expires.
//   - The driver never repeats a conditional statement. Every error but
//     "unavailable", and what was not sent at all, is oplog.ErrUnknown, and only
//     a compare-and-set of the caller's own that moves the epoch settles it.
//   - What must be found without its key is found through marks: plain records
//     in partitions by time, written before the row, dropped as whole
//     partitions (index.go, sweep.go).
//
// Cassandra answers for durability: a commit log that is synced before it
// acknowledges, and a quorum of replicas. Open looks whether the cluster is one
// that can keep the promises (cluster.go) and whether its schema is the one of
// this version (migrate.go).
//
// The package must not know the rules by which a row changes, nor backends or
// requests. Run is its only loop; what it starts else ends with the call, or is
// awaited by Close.
package cassandra
