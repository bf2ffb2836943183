// Package replica makes N backends look like one S3 store. A Set is the shell
// around the protocol of package commit: it streams bodies, asks replicas,
// swaps rows, waits and times; what follows from what was seen is decided by
// commit's machines alone.
//
// It promises what the protocol proves: a write that was acknowledged is read
// by every later read, a write that was refused never appears, nothing of a body
// lands anywhere before the whole of it is verified, and everything that was
// released is awaited, or named in the log, whatever becomes of its client. All
// bodies in flight together never hold more memory than Options.Memory.
//
// From the release on a write outlives its request: it is counted by the Set and
// awaited by Close.
//
// It must not know who sent a request, how the log stores a row, nor when a key
// is due for repair: package heal picks and paces, Set.Repair repairs.
package replica
