package commit

import (
	"time"

	"slices"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

func (w *Write) bodyDone(now Now, info object.Info) []Effect {
	if w.state != wBody {
		return nil
	}
	if w.op.Type != oplog.OpHeal {
		w.op.Info = info
	}
	w.verified = true
	w.waitUntil = now.Boot + w.cfg.Times.LockWait
	if w.cfg.Thrifty && w.op.Type != oplog.OpHeal && now.Boot-w.readAt < thrift {
		w.state = wLoop
		return w.examine(now)
	}
	return w.loop(now)
}

// thrift is how old a row may be that serves for the intent. That it is still the
// same its compare-and-set says; of an absence that was seen so long ago R10 does.
const thrift = time.Second

// loop reads the row and tries to place the intent.
func (w *Write) loop(now Now) []Effect {
	w.forget()
	w.state, w.readAt = wLoop, now.Boot
	return []Effect{ReadRow{}}
}

func (w *Write) rowRead(now Now, ev RowRead) []Effect {
	switch w.state {
	case wEarly:
		if ev.Failed {
			return w.finish(Result{Kind: Failed, Code: codeSlowDown})
		}
		w.row = ev.Row
		return w.early(now)
	case wLoop:
		if ev.Failed {
			return w.again(now)
		}
		w.row = ev.Row
		return w.examine(now)
	case wVerdict:
		return w.refused(now, ev)
	case wUndoRead:
		return w.undoRead(now, ev)
	case wReread:
		if ev.Failed {
			w.state = wAnswers
			return []Effect{Sleep{TimerWait, w.cfg.Times.Lease / 8}}
		}
		if e := epochOf(ev.Row); e != epochOf(w.row) && e != w.triedAs {
			w.moved = true
		}
		w.row, w.state = ev.Row, wAnswers
		return w.pursue(now)
	}
	return nil
}

// again waits a little before the next look, until the lock wait is over.
func (w *Write) again(now Now) []Effect {
	if now.Boot >= w.waitUntil {
		return w.finish(Result{Kind: Failed, Code: codeSlowDown})
	}
	w.forget()
	w.state = wWait
	return []Effect{Sleep{TimerWait, w.cfg.Times.HelpWait / 2}}
}

// forget drops what an earlier round saw of the row, so that no later one builds
// on it; an intent that may stand for all we know is not forgotten.
func (w *Write) forget() {
	w.row, w.tried = nil, nil
	if !w.doubt {
		w.intent, w.clean, w.created, w.confirm, w.casAt = nil, nil, false, false, 0
	}
}

func (w *Write) examine(now Now) []Effect {
	if w.row != nil && w.row.Intent != nil && w.row.Intent.Op == w.op.ID {
		w.doubt, w.intent = false, w.row.Intent // R1: an earlier attempt was applied
		return w.placed(now)
	}
	if holds(R1Moved) && w.doubt && epochOf(w.row) != w.doubtOld {
		return w.finish(Result{Kind: Doubt, Code: codeSlowDown})
	}
	if w.op.Type == oplog.OpHeal {
		if w.healStale() {
			return w.finish(Result{Kind: Failed, Code: codeSlowDown})
		}
		return w.place(now)
	}
	if out, over := w.complete(); over {
		return out
	}
	if w.row != nil && w.row.Intent != nil {
		return w.yieldTo(now, w.row.Intent)
	}
	if w.row == nil && w.op.If != nil && w.base == nil {
		return w.askBase(wBase)
	}
	if w.op.If != nil {
		if code := w.op.If(w.current()); code != "" && holds(R6Verdict) { // R6: here, and only here, the verdict falls
			return w.refuse(code)
		}
	}
	return w.place(now)
}

func epochOf(row *oplog.Row) oplog.Epoch {
	if row == nil {
		return oplog.Epoch{}
	}
	return row.Epoch
}

// yieldTo waits for another intent; when its nonce stood still for a lease it is
// resolved (R2).
func (w *Write) yieldTo(now Now, in *oplog.Intent) []Effect {
	if w.foreign != in.Nonce {
		w.foreign, w.foreignSince = in.Nonce, now.Boot
	}
	dead := w.cfg.Exclusive && in.Owner != w.cfg.Node
	if dead || !holds(R2Wait) || now.Boot-w.foreignSince >= w.cfg.Times.Lease {
		if now.Boot >= w.waitUntil {
			return w.finish(Result{Kind: Failed, Code: codeSlowDown})
		}
		w.state = wRepair
		return []Effect{Resolve{in.Nonce}}
	}
	return w.again(now)
}

// place swaps the intent in (R5, R7, R9).
func (w *Write) place(now Now) []Effect {
	next := w.row.Clone()
	if next == nil {
		next = &oplog.Row{Good: w.cfg.based()}
		if w.base != nil {
			next.Cur = w.cfg.common(w.base.Info)
			next.Cur.Ver = 0
		} else {
			next.Open = true
		}
	}
	reps := w.up
	w.clean = reps.Filter(func(r string) bool { return cleanFor(next, r, w.op.version()) })
	if len(w.clean) == 0 && holds(R5Clean) || !w.need(reps) {
		return w.finish(Result{Kind: Failed, Code: codeSlowDown}) // R5: nothing was released
	}
	ver := object.Tick(now.Wall, next.MaxVer())
	if !holds(R7Version) {
		ver = object.Tick(now.Wall, 0)
	}
	kind := object.Present
	if w.op.Type == oplog.OpHeal {
		ver, kind = w.op.Info.Ver, w.op.Info.Kind
	} else if w.op.Type == oplog.OpDelete {
		kind = object.Tombstone
	}
	info := w.op.Info
	if w.op.Type != oplog.OpHeal {
		info.ID, info.Ver, info.Kind = w.op.version(), ver, kind
		info.ModTime = ver.Time()
	}
	w.cfg.lift(next)
	next.Changed = now.Wall
	next.Intent = &oplog.Intent{
		Op: w.op.ID, ID: info.ID, Ver: ver, Kind: kind, Type: w.op.Type,
		Owner: w.cfg.Node, Nonce: w.op.ID, Reps: reps, Info: info, Slow: w.op.Slow,
	}
	w.intent, w.created = next.Intent, w.row == nil
	if w.op.Ask {
		w.places++
	}
	if !w.doubt {
		w.casAt = now.Boot // the lease counts from the first attempt that may have been applied
	}
	w.doubtOld, w.tried = epochOf(w.row), next
	w.confirm = w.op.Stream && holds(R13Confirm) && (w.first != epochOf(w.row) || w.row == nil && now.Boot-w.begun > w.cfg.Times.Retention/2) ||
		w.op.Type == oplog.OpComplete && holds(UConfirm) ||
		w.op.Type == oplog.OpCopy && w.op.Info.ETag == "" && holds(R11Copy) // nothing says yet what it should be
	w.state = wIntent
	return []Effect{Swap{w.doubtOld, next}}
}

func (w *Write) swapped(now Now, ev Swapped) []Effect {
	switch w.state {
	case wIntent:
		return w.intentSwapped(now, ev)
	case wUndo:
		return w.undone(now, ev)
	case wSwap:
		return w.pursued(now, ev)
	}
	return nil
}

func (w *Write) intentSwapped(now Now, ev Swapped) []Effect {
	if ev.Outcome == Unknown && !holds(R9Known) {
		ev.Outcome = Applied
	}
	switch ev.Outcome {
	case Applied:
		w.doubt = false
		w.row = atEpoch(w.tried, ev.Epoch)
		return w.placed(now)
	case Unknown:
		w.doubt = true
		return w.again(now)
	case NotApplied:
		return w.finish(Result{Kind: Failed, Code: codeSlowDown})
	}
	w.base, w.asked = nil, nil
	return w.again(now)
}

// placed is reached when the intent is known to stand in the row. Whatever is
// not fresh any more is taken back before anything is released.
func (w *Write) placed(now Now) []Effect {
	late := holds(R11Lease) && now.Boot-w.casAt > w.cfg.Times.Lease-w.cfg.Times.Margin ||
		holds(NLease) && now.lapsed(w.cfg.Times.Margin) // R11
	stale := holds(R10Stale) && w.created && now.Boot-w.readAt > w.cfg.Times.Retention/2 // R10
	w.up = w.up.And(w.intent.Reps)
	if late || stale || w.denied != "" || !w.need(w.up) || len(w.clean.And(w.up)) == 0 {
		w.permit = false
		return w.undo(now)
	}
	if w.op.Ask && !w.permit {
		w.state = wAsk
		return []Effect{Ask{}}
	}
	return w.release(now)
}

// permitted goes on to the release, or not; the lease is looked at again.
func (w *Write) permitted(now Now, ev Permit) []Effect {
	if w.state != wAsk {
		return nil
	}
	w.permit, w.denied = ev.Code == "", ev.Code
	return w.placed(now)
}

// complete ends the Complete of an upload that became a version of the key already:
// an upload takes effect at most once, and its Complete may be repeated.
func (w *Write) complete() (out []Effect, over bool) {
	if w.op.Type != oplog.OpComplete {
		return nil, false
	}
	d, ok := became(w.row, w.op.Upload)
	if !ok {
		return nil, false
	}
	info := w.op.Info
	info.ID, info.Ver, info.ETag, info.Kind, info.ModTime = d.ID, d.Ver, d.ETag, object.Present, d.Ver.Time()
	res := Result{Kind: Acked, Info: info, OK: w.row.Good}
	stands := w.row.Cur.ID == d.ID
	if stands {
		res.Info = w.row.Cur
	}
	switch {
	case w.op.Info.ETag != "" && w.op.Info.ETag != d.ETag, stands && !slices.Equal(w.row.Cur.Parts, w.op.Info.Parts):
		res = Result{Kind: Failed, Code: codeNoSuchUpload} // it was completed with other parts
	case stands && (!w.cfg.AckRule().Met(w.row.Good) || !anchored(w.row, w.row.Good, d.ID, d.Ver)):
		res.Kind, res.Code = Doubt, codeSlowDown
	}
	return w.finish(res), true
}

// release lets every request go at once. From here on the write is detached
// from its client.
func (w *Write) release(now Now) []Effect {
	w.state = wAnswers
	out := []Effect{Sleep{TimerRenew, w.cfg.Times.Lease / 3}, Sleep{TimerKeep, max(w.cfg.Times.Keep, w.op.Slow)}}
	for _, r := range w.intent.Reps {
		if !w.up.Has(r) {
			w.tally.add(r, Answer{Class: No}) // its upload ended after the intent named it: it was never released
			continue
		}
		out = append(out, Release{r, w.intent.Ver})
	}
	return out
}

func (w *Write) undo(now Now) []Effect {
	w.state = wUndo
	return []Effect{Swap{w.row.Epoch, w.withoutIntent(now)}}
}

// withoutIntent is the row as it was before the intent; nil when the intent
// created it and nothing else is known of the key.
func (w *Write) withoutIntent(now Now) *oplog.Row {
	if w.row.Open {
		return nil
	}
	next := w.row.Clone()
	next.Intent = nil
	next.Changed = now.Wall
	return next
}

func (w *Write) undone(now Now, ev Swapped) []Effect {
	switch ev.Outcome {
	case Applied:
		w.intent, w.base, w.asked = nil, nil, nil
		if w.denied != "" {
			return w.finish(Result{Kind: Failed, Code: w.denied})
		}
		if now.Boot >= w.waitUntil || !w.need(w.up) {
			return w.finish(Result{Kind: Failed, Code: codeSlowDown})
		}
		return w.loop(now)
	default:
		w.state = wUndoRead
		return []Effect{ReadRow{}}
	}
}

func (w *Write) undoRead(now Now, ev RowRead) []Effect {
	if !ev.Failed && ev.Row != nil && ev.Row.Intent != nil && ev.Row.Intent.Op == w.op.ID && now.Boot < w.waitUntil {
		w.row = ev.Row
		return w.undo(now)
	}
	w.intent = nil
	return w.finish(Result{Kind: Doubt, Code: codeSlowDown}) // a helper may have decided it (a DELETE shows itself by absence)
}
