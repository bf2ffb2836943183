// Package heal decides which keys are looked after, when, and how many at a time,
// so that every row of the log becomes quiet and is dropped in the end. It is a
// loop of small steps: pick, repair, pause.
//
// It promises that a key with something left to do is visited until nothing is,
// that a key whose backend is back is visited within Options.Interval, and that
// no more than Options.Workers are visited at once. Recovery after a crash is this
// loop: the first thing that Run does is to walk over all rows.
//
// It must not know how a key is repaired: replica.Set.Repair is the one entry
// point, and package commit decides what follows.
package heal
