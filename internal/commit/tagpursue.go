package commit

import (
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// A change of tags whose requests are under way: when its client is answered, and what of it is folded into the row.

func (t *Tag) retagged(now Now, ev Retagged) []Effect {
	if !t.unanswered().Has(ev.Replica) {
		return nil
	}
	t.tally.add(ev.Replica, ev.Answer)
	if t.state == tagAnswers {
		return t.pursue(now)
	}
	return nil
}

func (t *Tag) unanswered() object.Replicas { return t.reps.Minus(t.tally.settled()) }

func (t *Tag) fired(now Now, timer Timer) []Effect {
	switch timer {
	case TimerWait:
		if t.state == tagWait {
			return t.loop(now)
		}
		if t.state == tagAnswers {
			t.state = tagReread
			return []Effect{ReadRow{}}
		}
		return nil
	case TimerFloor:
		t.floorEnd = true
	case TimerKeep:
		t.kept = true
		for _, r := range t.unanswered() {
			t.tally.add(r, Answer{Class: Ambiguous})
		}
	}
	if t.state == tagAnswers {
		return t.pursue(now)
	}
	return nil
}

// pursue answers the client as soon as that may be, and then folds the answers into the
// row, once all are there.
func (t *Tag) pursue(now Now) []Effect {
	left := t.unanswered()
	met := t.op.Heal != "" && len(t.tally.yes) > 0 || t.op.Heal == "" && t.cfg.AckRule().Met(t.tally.yes.Or(t.byRow()))
	var out []Effect
	switch {
	case met && (len(left) == 0 || t.floorEnd), len(left) == 0:
		out = t.told()
	case met && !t.floor:
		t.floor = true
		out = []Effect{Sleep{TimerFloor, min((now.Boot-t.begun)/2, t.cfg.Times.Grace)}}
	}
	if len(left) > 0 {
		return out
	}
	next := t.folded(now)
	if next == nil {
		t.state = tagOver
		return out
	}
	t.state, t.tried = tagFold, next
	return append(out, Swap{t.row.Epoch, next})
}

// told is the client's answer: the change stands in the row, and is acknowledged when
// the ack rule is met too.
func (t *Tag) told() []Effect {
	ok := t.tally.yes
	if t.op.Heal == "" {
		ok = ok.Or(t.byRow())
	}
	if t.op.Heal != "" && len(t.tally.yes) == 0 || t.op.Heal == "" && !t.cfg.AckRule().Met(ok) {
		return t.done(Result{Kind: Doubt, Code: codeSlowDown})
	}
	res := Result{Kind: Acked, OK: ok}
	if t.row != nil {
		res.Info = t.row.Cur
	}
	return t.done(res)
}

func (t *Tag) leave() []Effect { return t.finish(Result{Kind: Doubt, Code: codeSlowDown}) }

// folded is the row without the requests whose outcome is known, or nil. A yes says that
// its replica holds the tags only if it held the version, nothing else was on its way to
// it, and nobody changed the row since: else repair looks.
func (t *Tag) folded(now Now) *oplog.Row {
	definite := t.tally.yes.Or(t.tally.no)
	if t.row == nil {
		return nil
	}
	next := t.row.Clone()
	next.Tagging = dropEntries(next.Tagging, t.op.ID, definite)
	for _, r := range t.tally.yes {
		if !holds(TMoved) || t.row.Epoch == t.own && t.row.Intent == nil && retaggable(next, r) {
			next.Mistagged = next.Mistagged.Without(r)
		}
	}
	if len(next.Tagging) == len(t.row.Tagging) && next.Mistagged.Equal(t.row.Mistagged) {
		return nil
	}
	next.Changed = now.Wall
	return next
}
