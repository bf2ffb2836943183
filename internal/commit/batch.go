package commit

// Events and effects of a batch.
type (
	// Asked says that a write of the batch stands in its row and waits (Ask).
	Asked struct{ Write int }
	// Ended says that a write of the batch has its result: it wants no permit any more.
	Ended struct{ Write int }
	// Let asks for a Permit to each of these writes; what they release then goes to a
	// replica as one request.
	Let struct{ Writes []int }
)

func (Asked) event() {}
func (Ended) event() {}
func (Let) effect()  {}

// Batch lets many writes go in one pass: each is a Write of its own key, with an intent,
// a verdict and a result of its own (Op.Ask). They go together as soon as each has its
// intent or has ended, and without those that keep the others waiting: a key that is
// contended has its turn in a pass of its own. No intent waits for longer than half of
// what its lease allows (R11), so that each can still be let go.
//
// It is changed in place, unlike the other machines: a copy of it is no state to go back
// to, since copying what is known of each write with every event would cost the square of
// their number.
type Batch struct {
	cfg     Config
	pending int   // writes that have neither asked nor ended
	waiting []int // have asked
	open    int   // writes that have not ended
	seen    []bool
	timed   bool // TimerWait is set
}

// NewBatch returns the machine of a batch of n writes, numbered from 0.
func NewBatch(cfg Config, n int) *Batch {
	return &Batch{cfg: cfg, pending: n, open: n, seen: make([]bool, n)}
}

// Over tells that the machine wants no more events: every write has ended. One that had
// its permit too late asks again (found by the simulator).
func (b *Batch) Over() bool { return b.open == 0 }

// Step takes one event and returns what is to be done, in order.
func (b *Batch) Step(_ Now, ev Event) []Effect {
	switch ev := ev.(type) {
	case Asked:
		b.count(ev.Write)
		b.waiting = append(b.waiting, ev.Write)
	case Ended:
		b.count(ev.Write)
		b.open--
	case Fired:
		b.timed = false
		return b.let()
	}
	switch {
	case b.pending == 0:
		return b.let()
	case len(b.waiting) > 0 && !b.timed:
		b.timed = true
		return []Effect{Sleep{TimerWait, (b.cfg.Times.Lease - b.cfg.Times.Margin) / 2}}
	}
	return nil
}

// count takes a write out of those that are waited for. One that had its permit and was
// taken back asks again; it is waited for no more.
func (b *Batch) count(write int) {
	if b.seen[write] {
		return
	}
	b.seen[write] = true
	b.pending--
}

func (b *Batch) let() []Effect {
	if len(b.waiting) == 0 {
		return nil
	}
	out := []Effect{Let{b.waiting}}
	b.waiting = nil
	return out
}
