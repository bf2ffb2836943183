package main

// ballastBytes is how much garbage may gather beyond what the collector allows
// by itself. It runs whenever the heap has doubled, and the live heap of a
// gateway is a few MiB: under load that is many times a second, and a seventh of
// the CPU time of small writes.
const ballastBytes = 16 << 20

// newBallast returns memory that is never touched, so that it takes none, and
// that counts as heap as long as it is referred to. It must come first of all: a
// fresh heap has nothing to clear. (GOGC would scale with the bodies in flight as
// well, to hundreds of MiB; a memory limit only makes the collector run more.)
func newBallast() []byte { return make([]byte, ballastBytes) }
