// Package pebble is the embedded operation log: oplog.Log on one Pebble
// database in one folder that one process owns.
//
// # What it promises
//
// A Swap that returned nil is on stable storage: group commit, so that
// concurrent swaps of different keys share one fsync, and swaps of one key
// follow each other. What is read is on stable storage too: Pebble shows a batch
// before it is synced, so every read looks up the keys that are being committed
// and takes their earlier, durable state until the sync is over; reads never
// wait for a disk.
//
// A failed sync, a failed write of the write-ahead log, or damage that a read
// finds ends the process (Options.OnFatal): after such an error nobody can say
// what the disk holds, and only a restart, which reads it back, can go on. A
// full disk does not come to that: the log keeps a reserve and refuses with
// oplog.ErrNoSpace, new intents and history first, everything only when nearly
// nothing is left; and a ballast file gives its blocks back when another
// program takes the last ones at a bad moment. Reads go on.
//
// # Layout
//
// Numbers are big-endian, n(x) is x counted by a uvarint, so that every key
// reads one way whatever bytes it holds.
//
//	'm' "schema"                                      the version of this layout
//	'r' n(bucket) key                                 a row, in its stored form
//	's' shard(1) n(bucket) key                        the row is in that shard of the index
//	'd' n(kind) name                                  a document
//	'h' hour(8) n(bucket) time(12) seq(8)             an event
//	'k' hour(8) n(bucket) key time(12) seq(8)         where the events of a key are
//
// A row and its place in the index are made and dropped in one batch. History
// lies by hours, and an hour is dropped by one range deletion. A request reads
// single keys or one bounded page, never a whole prefix.
//
// It must not know what a row means, nor when it is due.
package pebble
