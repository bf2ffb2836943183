package commit

import (
	"maps"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// TendOp is one visit to an upload that takes no part or Complete itself.
type TendOp struct {
	Upload object.ID
	Abort  bool // a client asked for it
}

// Effects and events of a visit.
type (
	// DropParts asks for the records of the upload's parts to be dropped.
	DropParts struct{}
	// PartsDropped answers it.
	PartsDropped struct{ OK bool }
	// Tended ends a visit. Gone: the document is dropped, or was.
	Tended struct {
		Gone bool
		Next time.Duration // when to come again at the latest, if not Gone
	}
)

func (DropParts) effect()   {}
func (Tended) effect()      {}
func (PartsDropped) event() {}

type tendState uint8

const (
	tNew   tendState = iota
	tRead            // reading the document
	tRow             // reading the key's row
	tWait            // for a Complete that may be on its way
	tFix             // its intent is being resolved
	tState           // changing the document's state
	tAbort           // the replicas throw it away
	tGone            // recording which of them did
	tDrop            // dropping the parts
	tOver
)

// Tend is everything that happens to a multipart upload beside its parts and its
// Complete: a client's abort, expiry, the end of a Complete that nobody is left to tell
// of, the removal of what replicas still hold of an upload that is over, and of its
// records. Effects beside its own: ReadUpload, SwapUpload, ReadRow, Resolve, Abort,
// Sleep, and Done, which a client's abort gets.
//
// Whoever aborts changes the document first: a Complete is released only under a
// document that names it. Where the document does, its outcome is waited for. One of
// which the row knows nothing, for a lease, will not be released any more, or will find
// the upload gone.
type Tend struct {
	cfg   Config
	op    TendOp
	state tendState

	rec   *UploadRecord
	epoch oplog.Epoch
	tried *UploadRecord
	row   *oplog.Row

	limit    time.Duration   // Boot: until then the log is tried
	nonce    oplog.Epoch     // of the document that names a Complete
	since    time.Duration   // Boot when it was first seen
	foreign  object.ID       // nonce of its intent
	fSince   time.Duration   // Boot when that was first seen
	asked    object.Replicas // replicas that have not answered
	gone     object.Replicas // nothing is left there
	once     bool            // they were asked on this visit
	answered bool
}

// NewTend returns the machine of one visit.
func NewTend(cfg Config, op TendOp) *Tend { return &Tend{cfg: cfg, op: op} }

// Over tells that the machine wants no more events.
func (t *Tend) Over() bool { return t.state == tOver }

// Step takes one event and returns what is to be done, in order.
func (t *Tend) Step(now Now, ev Event) []Effect {
	switch ev := ev.(type) {
	case Begin:
		t.limit = now.Boot + t.cfg.Times.Lease + t.cfg.Times.LockWait
		return t.look()
	case UploadRead:
		if t.state == tRead {
			return t.known(now, ev)
		}
	case RowRead:
		if t.state == tRow {
			return t.rowRead(now, ev)
		}
	case Repaired:
		if t.state == tFix {
			return t.pause(now)
		}
	case UploadSwapped:
		return t.swapped(now, ev)
	case Aborted:
		return t.aborted(now, ev)
	case PartsDropped:
		if t.state == tDrop {
			return t.dropped(ev)
		}
	case Fired:
		switch {
		case ev.Timer == TimerFloor:
			if t.state == tAbort {
				return t.done(Result{Kind: Acked}) // the rest goes on behind the client's back
			}
		case t.state == tWait:
			return t.look()
		}
	}
	return nil
}

func (t *Tend) look() []Effect {
	t.state = tRead
	return []Effect{ReadUpload{}}
}

// pause looks again after a while, until the time is over.
func (t *Tend) pause(now Now) []Effect {
	if now.Boot >= t.limit {
		return t.end(Result{Kind: Failed, Code: codeSlowDown})
	}
	t.state = tWait
	return []Effect{Sleep{TimerWait, t.cfg.Times.HelpWait * 2}}
}

func (t *Tend) done(res Result) []Effect {
	if t.answered || !t.op.Abort {
		return nil
	}
	t.answered = true
	return []Effect{Done{res}}
}

// end is the end of a visit after which something is left to do.
func (t *Tend) end(res Result) []Effect {
	out := t.done(res)
	t.state = tOver
	return append(out, Tended{Next: t.next()})
}

// next is when something may have to be done again.
func (t *Tend) next() time.Duration {
	switch {
	case t.rec == nil || t.rec.State == UploadOpen:
		return t.cfg.Times.Retention
	case t.rec.State == UploadDone && t.everywhere():
		return max(t.cfg.Times.Remember/8, t.cfg.Times.Lease)
	}
	return t.cfg.Times.Lease
}

// everywhere tells whether nothing of the upload is left on any replica.
func (t *Tend) everywhere() bool { return t.rec.Gone.Covers(t.holders()) }

func (t *Tend) holders() object.Replicas {
	return object.NewReplicas(slices.Collect(maps.Keys(t.rec.IDs))...)
}

func (t *Tend) known(now Now, ev UploadRead) []Effect {
	if ev.Failed {
		return t.pause(now)
	}
	if ev.Record == nil {
		out := t.done(Result{Kind: Failed, Code: codeNoSuchUpload})
		t.state = tOver
		return append(out, Tended{Gone: true})
	}
	t.rec, t.epoch = ev.Record, ev.Epoch
	if t.nonce != ev.Epoch {
		t.nonce, t.since = ev.Epoch, now.Boot
	}
	switch t.rec.State {
	case UploadDone:
		return append(t.done(Result{Kind: Failed, Code: codeNoSuchUpload}), t.clear(now)...)
	case UploadAborted:
		return t.clear(now)
	case UploadOpen:
		if !t.unwanted(now) {
			return t.end(Result{})
		}
		return t.change(tState, t.rec.over(UploadAborted, now))
	}
	t.state = tRow
	return []Effect{ReadRow{}}
}

// unwanted tells whether the upload is to be aborted.
func (t *Tend) unwanted(now Now) bool {
	return t.op.Abort || t.cfg.Times.UploadAge > 0 && now.Wall.Sub(t.rec.Created) > t.cfg.Times.UploadAge
}

// rowRead: a Complete was let go, or may be. The row tells what became of it.
func (t *Tend) rowRead(now Now, ev RowRead) []Effect {
	if ev.Failed {
		return t.pause(now)
	}
	t.row = ev.Row
	if d, ok := became(t.row, t.op.Upload); ok {
		return t.change(tState, Remembered(t.rec, d, now))
	}
	if in := t.intent(); in != nil {
		return t.yieldTo(now, in)
	}
	if !t.unwanted(now) {
		return t.end(Result{})
	}
	stands := now.Boot-t.since < t.cfg.Times.Lease
	if t.cfg.Exclusive && t.rec.Node != t.cfg.Node {
		stands = false
	}
	if stands && holds(ULease) {
		return t.pause(now) // it may be about to place its intent
	}
	return t.change(tState, t.rec.over(UploadAborted, now))
}

// intent is the upload's Complete, if one is placed.
func (t *Tend) intent() *oplog.Intent {
	if t.row == nil || t.row.Intent == nil || t.row.Intent.ID != t.op.Upload || t.row.Intent.Type != oplog.OpComplete {
		return nil
	}
	return t.row.Intent
}

// yieldTo waits for a Complete that is placed, and has it resolved when its owner is
// dead (R2).
func (t *Tend) yieldTo(now Now, in *oplog.Intent) []Effect {
	if t.foreign != in.Nonce {
		t.foreign, t.fSince = in.Nonce, now.Boot
	}
	dead := t.cfg.Exclusive && in.Owner != t.cfg.Node || now.Boot-t.fSince >= t.cfg.Times.Lease
	if !dead || now.Boot >= t.limit {
		return t.pause(now)
	}
	t.state = tFix
	return []Effect{Resolve{in.Nonce}}
}

func (t *Tend) change(state tendState, next *UploadRecord) []Effect {
	t.state, t.tried = state, next
	return []Effect{SwapUpload{t.epoch, next}}
}

func (t *Tend) swapped(now Now, ev UploadSwapped) []Effect {
	switch {
	case t.state != tState && t.state != tGone && t.state != tDrop:
		return nil
	case ev.Outcome != Applied && t.state == tState:
		return t.pause(now)
	case ev.Outcome != Applied:
		return t.end(Result{Kind: Acked}) // the next visit does it
	case t.tried == nil:
		t.state = tOver
		return append(t.done(Result{Kind: Acked}), Tended{Gone: true})
	}
	t.rec, t.epoch = t.tried, ev.Epoch
	if t.state == tGone {
		return t.clear(now)
	}
	if t.rec.State == UploadDone {
		return append(t.done(Result{Kind: Failed, Code: codeNoSuchUpload}), t.clear(now)...)
	}
	return t.clear(now)
}

// clear removes what is left of an upload that is over: first on the replicas, then
// its records.
func (t *Tend) clear(now Now) []Effect {
	switch {
	case !t.everywhere() && !t.once:
		t.once = true
		t.state, t.asked = tAbort, t.holders().Minus(t.rec.Gone)
		var out []Effect
		for _, r := range t.asked {
			out = append(out, Abort{r, t.rec.IDs[r]})
		}
		return append(out, Sleep{TimerFloor, t.cfg.Times.Grace})
	case !t.everywhere(), t.rec.State == UploadDone && now.Wall.Sub(t.rec.Since) < t.cfg.Times.Remember,
		now.Wall.Sub(t.rec.Since) < t.cfg.Times.Settle+t.cfg.Times.Keep: // a part may still be on its way to the log
		return t.end(Result{Kind: Acked})
	}
	t.state = tDrop
	return append(t.done(Result{Kind: Acked}), DropParts{})
}

func (t *Tend) aborted(now Now, ev Aborted) []Effect {
	if t.state != tAbort || !t.asked.Has(ev.Replica) {
		return nil
	}
	t.asked = t.asked.Without(ev.Replica)
	if ev.OK {
		t.gone = t.gone.With(ev.Replica)
	}
	if len(t.asked) > 0 {
		return nil
	}
	out := t.done(Result{Kind: Acked})
	if len(t.gone) == 0 {
		return append(out, t.end(Result{})...)
	}
	next := t.rec.clone()
	next.Gone = next.Gone.Or(t.gone)
	return append(out, t.change(tGone, next)...)
}

func (t *Tend) dropped(ev PartsDropped) []Effect {
	if !ev.OK {
		return t.end(Result{Kind: Acked})
	}
	return t.change(tDrop, nil)
}

// BackendUpload is one upload that a replica lists.
type BackendUpload struct {
	UploadID  string
	Initiated time.Time // by the replica's clock
}

// Strays are those of a replica's uploads that no record names and that are older than
// age, which is longer than a creation or a heal may take: their creation or their heal
// was cut off, or a part that was on its way when they were aborted landed later. named
// are the ids that records of the bucket's uploads have for the replica, read after the
// list was made. now is by the replica's clock.
func Strays(list []BackendUpload, named map[string]bool, now time.Time, age time.Duration) []string {
	var out []string
	for _, u := range list {
		if !named[u.UploadID] && now.Sub(u.Initiated) > age {
			out = append(out, u.UploadID)
		}
	}
	return out
}
