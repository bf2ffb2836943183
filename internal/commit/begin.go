package commit

import (
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

func (w *Write) early(now Now) []Effect {
	if !w.need(w.up) {
		return w.finish(Result{Kind: Failed, Code: codeSlowDown})
	}
	if w.row == nil {
		w.first = oplog.Epoch{}
	} else {
		w.first = w.row.Epoch
	}
	if w.op.Type == oplog.OpHeal {
		return w.openHeal()
	}
	if out, over := w.complete(); over {
		return out
	}
	if w.op.If != nil && (w.row == nil || w.row.Intent == nil) {
		if w.row == nil && w.base == nil {
			return w.askBase(wEarlyHead)
		}
		if code := w.op.If(w.current()); code != "" {
			return w.refuse(code)
		}
	}
	w.base, w.asked = nil, nil // the verdict looks again, inside the loop
	return w.open()
}

func (w *Write) open() []Effect {
	w.state = wBody
	var out []Effect
	if w.op.Stream {
		for _, r := range w.up.Minus(w.op.Direct) {
			out = append(out, Open{r})
		}
	}
	return append(out, Accept{})
}

// openHeal goes on only while the row still asks for this copy (R27).
func (w *Write) openHeal() []Effect {
	if w.healStale() {
		return w.finish(Result{Kind: Failed, Code: codeSlowDown})
	}
	w.up = object.NewReplicas(w.op.Target)
	return w.open()
}

func (w *Write) healStale() bool {
	r := w.row
	return r == nil || r.Intent != nil || r.Open || r.Cur.ID != w.op.Info.ID || r.Cur.Ver != w.op.Info.Ver ||
		r.Cur.Kind != w.op.Info.Kind || !w.cfg.heals().Has(w.op.Target) || r.Good.Has(w.op.Target) || !clean(r, w.op.Target) || len(r.Good) == 0
}

// current is the version that a condition is judged against.
func (w *Write) current() object.Info {
	if w.row != nil {
		return w.row.Cur
	}
	return w.base.Info
}

// refuse answers that the client's condition failed. What a replica showed of a
// key without row may have been a write that is not decided: only when there is
// still no row was it the key's state (the simulator's addition to R6; the same
// second look as a reader's, R20).
func (w *Write) refuse(code string) []Effect {
	if w.row != nil || !holds(R6Second) {
		return w.finish(Result{Kind: Failed, Code: code})
	}
	w.refusal, w.state = code, wVerdict
	return []Effect{ReadRow{}}
}

func (w *Write) refused(now Now, ev RowRead) []Effect {
	switch {
	case ev.Failed:
		return w.finish(Result{Kind: Failed, Code: codeSlowDown})
	case ev.Row == nil:
		return w.finish(Result{Kind: Failed, Code: w.refusal})
	}
	w.row, w.base, w.asked = ev.Row, nil, nil
	if !w.verified {
		return w.early(now)
	}
	return w.examine(now)
}

// askBase asks the next replica what stands under a key without row (R4).
func (w *Write) askBase(state writeState) []Effect {
	left := w.up.And(w.cfg.Serving).Minus(w.asked)
	if len(left) == 0 {
		return w.finish(Result{Kind: Failed, Code: codeSlowDown})
	}
	w.state = state
	w.asked = w.asked.With(left[0])
	return []Effect{Head{left[0]}}
}

func (w *Write) lost(now Now, ev Lost) []Effect {
	if !w.up.Has(ev.Replica) || w.Released() {
		return nil
	}
	w.up = w.up.Without(ev.Replica)
	if ev.Answer.Class == Yes {
		ev.Answer.Class = No
	}
	w.gone.add(ev.Replica, ev.Answer)
	if w.state == wBody && !w.need(w.up) {
		return w.finish(Result{Kind: Failed, Code: codeSlowDown})
	}
	return nil
}

// stalled lets a replica go that holds the client up, if the write can do
// without it (H14).
func (w *Write) stalled(now Now, ev Stalled) []Effect {
	if w.Released() || !w.up.Has(ev.Replica) || ev.For < w.cfg.Times.Grace || !w.need(w.up.Without(ev.Replica)) {
		return nil
	}
	w.up = w.up.Without(ev.Replica)
	w.gone.add(ev.Replica, Answer{Class: No})
	return []Effect{Leave{ev.Replica}}
}
