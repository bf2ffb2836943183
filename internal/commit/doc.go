// Package commit is the protocol: pure step machines that take every decision
// about a key. A shell (package replica over real servers, package sim over
// simulated ones) feeds a machine with events and carries out the effects that
// it returns; nothing else decides.
//
// It promises the invariants I1-I12 of ARCHITECTURE.md under the assumptions
// A1-A6, and that the same events at the same times give the same effects: a
// machine holds no clock, goroutine, socket or source of randomness. Times and
// fresh identities come in with the events and the options. A machine is a value:
// after *copy = *machine the copy is another machine in the same state, because no
// step changes what the two share (a row, a map, a set is replaced, never changed).
// Package explore branches that way, and tests that it holds. Only the Memory of a
// repair is its shell's, and its fields are replaced too.
//
// The machines are Write (PUT, DELETE and heal copies are the same kind of
// write), Read, Repair (resolve, settle, heal, drop), and Bucket. Overlay lays
// the rows over a page of a list. The rule numbers R1-R30 in comments are those
// of docs/reliability.md.
package commit
