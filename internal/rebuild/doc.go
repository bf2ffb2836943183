// Package rebuild makes a log anew that was lost, of what the buckets hold (RELIABILITY
// H16): which buckets there are is told by their identity objects, which version of a key
// is the newest by the stamps of its copies, that it was deleted by tombstone objects.
// Each key whose replicas differ gets a row, which the healer of the node then works off.
//
// It promises that of every write that was acknowledged the newest that some replica shows
// is the one that stays, as far as its place can be known: streams and uploads in parts have
// no place in their stamps and are ordered by the clocks of the backends. What cannot be
// known it leaves as data: nothing is deleted that no tombstone speaks of.
//
// No node may run meanwhile. The package must not know of users, nor of HTTP.
package rebuild
