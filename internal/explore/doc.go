// Package explore searches a small world exhaustively (RELIABILITY 6.1): one key,
// two replicas, one or two writers, a reader, gateways that heal, and a fault or
// two, in every order in which they can come. It drives the real machines of
// package commit, as replica and sim do, and decides nothing. It is for tests only.
//
// After every move it checks the invariants I1 to I11 of ARCHITECTURE.md and that
// the clients' history is linearizable up to here, by the moments at which writes
// are decided, with whatever a reader would be told in this instant; at every end, that the key came to rest and no
// acknowledged write was lost. I12 and the index are oplog's business.
//
// # What it is not
//
// The world is small on purpose. These are its bounds, not reductions of it: the
// faults of a scenario strike as often as it says; the clock stands while messages
// are under way, but for late ones, those of the dead, and a hurry; a healer comes
// while no client is at work, from a beat after the row began, unless the scenario
// is watched; versions, leases and waits are of the few sizes that the constant
// times give. A gateway that crashes with nothing of it left behind (a request, a
// compare-and-set, an intent) is not tried: its memory is all that goes, and
// losing that only makes another one wait longer (commit.Memory). The random
// simulator (package sim) goes where this one does not.
//
// # Which orders are left out, and why that hides nothing
//
// A read takes effect and is answered in one move. Between the two only other
// machines act, and what the reader sends next can be delayed just as long.
//
// A client comes with its first read of the row, and hears of its end at once: the
// interval of its operation is the shortest one, and what is linearizable with
// that is so with any longer one.
//
// A message that changes nothing but its machine, and is all that can happen to
// that machine before the clock moves, is delivered first: it commutes with
// everything else, and an answer to a client that comes early allows fewer
// histories, not more.
//
// So it is with a compare-and-set whose epoch the row has no more: it can only
// conflict, and changes nothing. And so it is with the looks at which the healer's
// visit concludes: they come together in any order, and one of them is first as long
// as no request is under way to its replica and nobody is left to release one.
//
// A gateway dies right after a move of one of its machines. Whatever else happened
// before it died can happen after its death as well, for its requests and
// compare-and-sets outlive it. (An embedded log dies with it: there, dying after a
// compare-and-set was applied is tried too.)
//
// A request turns out to be late when the clock moves on, and to be lost when it
// can not land any more: until then nothing tells it from one that is not.
//
// Of clients that are alike, on gateways that are, the first comes first:
// exchanging them exchanges names. When the healer dies either of two gateways that
// are alike is the next one.
//
// # When two states are one
//
// States are told apart by a hash of their canonical form. Random identities,
// nonces and epochs are named by the order in which they appear, for machines only
// compare them; moments count by their age, up to an age beyond which nothing is
// compared; versions by their order, and by their distance from the clocks as long
// as a clock can still meet them; the history is what the register judge may still
// be asked about. Everything else that a machine has counts as it is, but for this:
//
// What a machine will not read before it writes it again does not count (dead.go).
// A name that only one machine still knows is its own: it can only be held against
// what the machine knows itself, and against names of the world, which it is not.
//
// Exchanging the replicas, or two writers that are alike and their gateways, turns
// the world into itself unless the scenario prefers one of them (symmetry.go): a
// state has the least of the names that these exchanges give it. The machines go
// through replicas in the order of their names; where the first one is preferred by
// that, as for the base on which a condition falls, replicas are not exchanged. The
// entries of a row are taken apart by replica, for no decision asks for more.
//
// TestReductionsHideNothing holds all this against a search without it: of two
// states that have one name only one is followed, so the names that the reduced
// search meets are all names that the full one meets only if the same follows from
// both. It found, while this was written, an owner's name that nobody reads, an age
// that counted beyond its bound, and the numbers of commit's states after a change.
//
// A state that comes back on one path is a key that need never come to rest, and an
// error.
package explore
