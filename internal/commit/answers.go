package commit

import (
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

func (w *Write) fired(now Now, t Timer) []Effect {
	switch t {
	case TimerWait:
		if w.state == wWait {
			return w.loop(now)
		}
		if w.state == wAnswers {
			w.state = wReread
			return []Effect{ReadRow{}}
		}
		return nil
	case TimerRenew:
		w.renew = holds(R3Renew)
	case TimerFloor:
		w.floorEnd = true
	case TimerKeep:
		w.kept = true
		for _, r := range w.unanswered() {
			w.tally.add(r, Answer{Class: Ambiguous})
		}
		w.heads = nil
	}
	if w.state == wAnswers {
		return w.pursue(now)
	}
	return nil
}

func (w *Write) showed(now Now, ev Showed) []Effect {
	switch w.state {
	case wEarlyHead, wBase:
		if ev.Failed {
			return w.askBase(w.state)
		}
		w.base = &ev.Seen
		if w.state == wEarlyHead {
			return w.early(now)
		}
		return w.examine(now)
	}
	if !w.heads.Has(ev.Replica) {
		return nil
	}
	w.heads = w.heads.Without(ev.Replica)
	absent := w.absent.Has(ev.Replica)
	w.absent = w.absent.Without(ev.Replica)
	switch {
	case ev.Failed:
		w.tally.add(ev.Replica, Answer{Class: Ambiguous})
	case absent && w.showsMine(ev.Replica, ev.Seen):
		w.tally.add(ev.Replica, Answer{Class: Yes, ETag: ev.Seen.ETag}) // an earlier Complete of the upload was applied
	case w.spoilt(ev.Replica, ev.Seen):
		w.tally.add(ev.Replica, Answer{Class: Ambiguous})
	case absent:
		w.tally.add(ev.Replica, Answer{Class: No, Code: codeNoSuchUpload})
	case w.intent.Kind == object.Tombstone && ev.Seen.Kind == object.Tombstone,
		w.intent.Kind == object.Present && w.showsMine(ev.Replica, ev.Seen) && ev.Seen.ETag == w.tally.etags[ev.Replica]:
		w.tally.add(ev.Replica, Answer{Class: Yes, ETag: w.tally.etags[ev.Replica]})
	default:
		a := Answer{Class: No} // R8: it keeps, or already has, another version
		if !holds(R8Newer) {
			a.Class = Yes
		}
		w.tally.add(ev.Replica, a)
	}
	if w.state == wAnswers {
		return w.pursue(now)
	}
	return nil
}

func (w *Write) showsMine(r string, s object.Seen) bool {
	return s.Kind == object.Present && s.ID == w.intent.ID && s.Size == w.intent.Info.Size && !w.wrongETag(r, s.ETag)
}

// spoilt tells whether a replica holds something of this write's that is not what was
// sent: neither a yes nor a no, for it has changed (the simulator's addition to R13).
func (w *Write) spoilt(r string, s object.Seen) bool {
	return holds(R13Spoilt) && s.Kind == object.Present && s.ID == w.intent.ID &&
		!(w.showsMine(r, s) && (s.ETag == w.tally.etags[r] || w.tally.etags[r] == ""))
}

func (w *Write) answer(now Now, r string, a Answer) []Effect {
	if w.intent == nil || !w.intent.Reps.Has(r) || !w.unanswered().Has(r) {
		return nil
	}
	if a.Class == Yes && w.wrongETag(r, a.ETag) {
		a.Class = Ambiguous // R11, H12: something else than what was sent
	}
	if a.Class == Ambiguous && !holds(R12Ambiguous) {
		a.Class = No
	}
	if a.Class == No && a.Code == codeNoSuchUpload && w.op.Type == oplog.OpComplete && holds(UAbsent) {
		// It knows no such upload: because it is complete already, or because it is lost.
		// What it shows tells.
		w.heads, w.absent = w.heads.With(r), w.absent.With(r)
		return []Effect{Head{r}}
	}
	if a.Class == Yes && w.confirm {
		w.tally.etags = with(w.tally.etags, r, a.ETag)
		w.heads = w.heads.With(r)
		return []Effect{Head{r}}
	}
	w.tally.add(r, a)
	if w.state == wAnswers {
		return w.pursue(now)
	}
	return nil
}

func (w *Write) wrongETag(r, etag string) bool {
	want := w.intent.Info.ETag
	return w.intent.Kind == object.Present && want != "" && w.cfg.differ(r, etag, want)
}

// differ tells whether the replica's ETag says that it holds other bytes than an object
// of the known ETag: both have a form that says so.
func (c Config) differ(r, etag, known string) bool {
	return etag != known && (isMD5(etag) && isMD5(known) || c.Composed.Has(r) && isComposed(etag) && isComposed(known))
}

// isComposed tells whether an ETag has the form of the MD5 of MD5s.
func isComposed(etag string) bool {
	return len(etag) > 33 && isMD5(etag[:32]) && etag[32] == '-'
}

// isMD5 tells whether an ETag has the form of a plain MD5.
func isMD5(etag string) bool {
	if len(etag) != 32 {
		return false
	}
	for _, c := range []byte(etag) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// unanswered are the released replicas that have not settled their answer.
func (w *Write) unanswered() object.Replicas {
	return w.intent.Reps.Minus(w.tally.settled())
}
