package commit

import (
	"slices"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// pursue looks at the row and at the answers and takes the next step of a
// released write. It is called whenever either changed and no log call is under
// way; it is idempotent.
func (w *Write) pursue(now Now) []Effect {
	switch {
	case w.row != nil && w.row.Intent != nil && w.row.Intent.Op == w.op.ID:
		return w.pursueIntent(now)
	case w.op.Type == oplog.OpHeal:
		return w.pursueLostHeal(now)
	case w.row != nil && w.row.Cur.ID == w.op.version() && holds(R17Helped):
		w.stood = true
		return w.pursueDecided(now)
	case w.stood && holds(R18Overtaken):
		return w.pursueOvertaken(now)
	default:
		return w.pursueLost(now)
	}
}

// pursueIntent: the intent still stands.
func (w *Write) pursueIntent(now Now) []Effect {
	left := w.unanswered()
	ok := w.tally.yes
	anchor := len(ok.And(w.clean)) > 0 // R15: as the intent's compare-and-set saw it, never computed now
	switch {
	case !holds(R15Anchor):
		anchor = len(ok) > 0
	case !holds(R15Then):
		anchor = anchored(w.row, ok, w.intent.ID, w.intent.Ver)
	}
	switch {
	case len(left) == 0 && len(ok) == 0 && (len(w.tally.maybe) == 0 || !holds(R16AllNo)):
		return w.swap(now, w.refusedAll(now)) // R16
	case len(left) == 0 && !anchor && w.op.Type != oplog.OpHeal,
		len(left) == 0 && len(ok) == 0 && w.op.Type != oplog.OpHeal:
		return w.leave() // resolve decides it, with fresh HEADs
	case len(left) == 0, anchor && w.need(ok) && w.floorEnd:
		return w.swap(now, w.decided(now))
	case w.renew:
		w.renew = false
		next := w.row.Clone()
		next.Intent.Nonce = renewed(next.Intent.Nonce)
		return append(w.swap(now, next), Sleep{TimerRenew, w.cfg.Times.Lease / 3})
	case anchor && w.need(ok) && !w.floor:
		w.floor = true
		return []Effect{Sleep{TimerFloor, min((now.Boot-w.begun)/2, w.cfg.Times.Grace)}}
	}
	return nil
}

// refusedAll is the row after every replica said no. A heal's target that refuses
// the key is named, so that it is counted apart and tried rarely.
func (w *Write) refusedAll(now Now) *oplog.Row {
	next := w.withoutIntent(now)
	if next != nil && w.op.Type == oplog.OpHeal {
		w.nameRefusals(next)
	}
	return next
}

// nameRefusals brings what the row says of refusals in line with the answers.
func (w *Write) nameRefusals(next *oplog.Row) (changed bool) {
	all := w.refusals()
	var out []oplog.Refusal
	for _, f := range next.Refused {
		if _, answered := all[f.Replica]; !answered && !w.tally.yes.Has(f.Replica) {
			out = append(out, f)
		}
	}
	out = append(out, w.refusedReps()...)
	changed = !slices.Equal(out, next.Refused)
	next.Refused = out
	return changed
}

// renewed is the next nonce of a live owner: another value, the same on replay.
func renewed(n object.ID) object.ID {
	for i := len(n) - 1; i >= 0; i-- {
		n[i]++
		if n[i] != 0 {
			break
		}
	}
	return n
}

// decided is the row in which this write is current (R14): the stragglers are
// recorded in the same compare-and-set, for a crash right after it.
func (w *Write) decided(now Now) *oplog.Row {
	if w.op.Type == oplog.OpHeal {
		return w.healed(now)
	}
	info, etags := w.form()
	return decide(w.row, evidence{
		info:      info,
		good:      w.tally.yes,
		unsettled: entries(w.intent, w.stragglers(), now),
		etags:     etags,
		refused:   w.refusedReps(),
		typ:       w.op.Type,
	}, w.cfg, now)
}

// stragglers are the released replicas of which nothing definite is known.
func (w *Write) stragglers() object.Replicas {
	if !holds(R14Stragglers) {
		return w.tally.maybe
	}
	return w.tally.maybe.Or(w.unanswered())
}

// form fixes the version's one ETag: the one that is known or that the first
// replica gave, with the others' own where their form differs.
func (w *Write) form() (object.Info, map[string]string) {
	info := w.intent.Info
	if info.Kind == object.Tombstone {
		return info, nil
	}
	var own map[string]string
	for _, r := range w.tally.yes {
		etag := w.tally.etags[r]
		if info.ETag == "" {
			info.ETag = etag
		}
		if etag == "" || etag == info.ETag {
			continue
		}
		if w.cfg.differ(r, etag, info.ETag) { // one of them holds something else
			w.tally.add(r, Answer{Class: Ambiguous})
			continue
		}
		if own == nil {
			own = map[string]string{}
		}
		own[r] = etag
	}
	return info, own
}

// passing are the codes of refusals that say nothing of the key: the same request may
// fare better at another moment. Whoever gave one lags, and does not refuse the key.
var passing = []string{
	"RequestTimeout", "OperationAborted", "ConditionalRequestConflict", "PreconditionFailed",
	"IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch", "QuotaExceeded", codeNoSuchUpload, "NoSuchKey",
}

func (w *Write) refusedReps() []oplog.Refusal {
	var out []oplog.Refusal
	all := w.refusals()
	for _, r := range w.cfg.Replicas {
		if code, ok := all[r]; ok && !w.tally.yes.Has(r) && !slices.Contains(passing, code) {
			words := w.gone.words[r]
			if _, ok := w.tally.refused[r]; ok {
				words = w.tally.words[r]
			}
			out = append(out, oplog.Refusal{Replica: r, Code: code, Words: words})
		}
	}
	return out
}

func (w *Write) healed(now Now) *oplog.Row {
	next := w.row.Clone()
	next.Intent, next.Changed = nil, now.Wall
	next.Good, next.Rotten = next.Good.Or(w.tally.yes), next.Rotten.Minus(w.tally.yes)
	next.Unsettled = addEntries(next.Unsettled, entries(w.intent, w.tally.maybe.Or(w.unanswered()), now))
	w.nameRefusals(next)
	if etag := w.tally.etags[w.op.Target]; w.tally.yes.Has(w.op.Target) && etag != "" && etag != next.Cur.ETag {
		if next.ETags == nil {
			next.ETags = map[string]string{}
		}
		next.ETags[w.op.Target] = etag
	}
	return next
}

// leave ends a write whose outcome only a resolver can tell.
func (w *Write) leave() []Effect {
	return w.finish(Result{Kind: Doubt, Code: codeSlowDown})
}

func (w *Write) swap(now Now, next *oplog.Row) []Effect {
	w.state, w.tried = wSwap, next
	return []Effect{Swap{epochOf(w.row), next}}
}

// pursued takes the outcome of a swap of a released write.
func (w *Write) pursued(now Now, ev Swapped) []Effect {
	w.triedAs = ev.Epoch
	if ev.Outcome == Unknown && !holds(R29Unknown) {
		ev.Outcome = Applied
	}
	switch ev.Outcome {
	case Applied:
		had := w.row
		w.row = atEpoch(w.tried, ev.Epoch)
		w.state = wAnswers
		if w.ended(had) {
			return w.finish(w.outcome())
		}
		return w.pursue(now)
	case NotApplied:
		// The log takes nothing now, and on a full disk that may last for hours.
		// We go on until it does; the client is not kept for longer than a lease.
		w.state = wAnswers
		var out []Effect
		if now.Boot-w.casAt >= w.cfg.Times.Lease {
			out = w.done(Result{Kind: Doubt, Code: codeSlowDown})
		}
		return append(out, Sleep{TimerWait, w.cfg.Times.Lease / 8})
	}
	if w.kept && ev.Outcome == Unknown && w.answered {
		return w.finish(w.outcome())
	}
	w.state = wReread // R29: another swap of our own settles it, after a look
	return []Effect{ReadRow{}}
}

// ended tells whether the swap that was just applied was the write's last: the
// intent is gone and the version was not decided, or it is a heal.
func (w *Write) ended(had *oplog.Row) bool {
	mine := had != nil && had.Intent != nil && had.Intent.Op == w.op.ID
	still := w.row != nil && w.row.Intent != nil && w.row.Intent.Op == w.op.ID
	isCur := w.op.Type != oplog.OpHeal && w.row != nil && w.row.Cur.ID == w.op.version()
	return mine && !still && !isCur || !mine && still
}

// outcome is the result of a write that ended without becoming current.
func (w *Write) outcome() Result {
	if w.op.Type == oplog.OpHeal && w.tally.yes.Has(w.op.Target) {
		return Result{Kind: Acked, Info: w.op.Info, OK: w.tally.yes}
	}
	if len(w.tally.yes) == 0 && (len(w.tally.maybe) == 0 || !holds(R16AllNo)) && len(w.unanswered()) == 0 {
		return Result{Kind: Failed, Code: codeSlowDown} // R16: all NO, and the compare-and-set that says so is known
	}
	return Result{Kind: Doubt, Code: codeSlowDown}
}

// pursueDecided: the version is current, by our own swap or a helper's (R17).
// The decide is known, so the client may be answered; then late answers are
// folded in.
func (w *Write) pursueDecided(now Now) []Effect {
	var out []Effect
	ok := w.tally.yes
	if w.cfg.AckRule().Met(ok) && (len(ok.And(w.clean)) > 0 || !holds(R15Ack)) {
		out = w.done(Result{Kind: Acked, Info: w.row.Cur, OK: ok})
	} else if len(w.unanswered()) == 0 {
		out = w.done(Result{Kind: Doubt, Code: codeSlowDown})
	}
	if next := w.folded(now); next != nil {
		return append(out, w.swap(now, next)...)
	}
	return w.rest(out)
}

// pursueOvertaken: the version was current and a newer one is now.
func (w *Write) pursueOvertaken(now Now) []Effect {
	out := w.done(Result{Kind: Doubt, Code: codeSlowDown})
	if w.row == nil {
		w.state = wOver
		return out
	}
	if next := w.folded(now); next != nil {
		return append(out, w.swap(now, next)...)
	}
	return w.rest(out)
}

// folded is the row with the answers that came since, or nil when it says so
// already. Late OKs become good only while the version is current and nobody else
// changed the row since the intent: another write may have been released and
// taken back meanwhile, and landed after this one. Repair looks, and adds them.
func (w *Write) folded(now Now) *oplog.Row {
	definite := w.tally.yes.Or(w.tally.no)
	mine := w.row.Cur.ID == w.op.version()
	next := w.row.Clone()
	changed := false
	w.held = nil
	for _, r := range definite {
		if w.tally.yes.Has(r) && overlaps(next.Intent, w.op.ID, r) {
			w.held = w.held.With(r)
			continue
		}
		if hasEntry(next.Unsettled, w.op.ID, r) {
			if !mine && w.tally.yes.Has(r) && next.Good.Has(r) {
				// It landed after, or before, the newer version: only a look tells.
				if len(next.Good) == 1 || holds(R18Anchor) && !anchored(next, next.Good.Without(r), next.Cur.ID, next.Cur.Ver) {
					continue
				}
				next.Good = next.Good.Without(r)
			}
			next.Unsettled = dropEntries(next.Unsettled, w.op.ID, object.NewReplicas(r))
			changed = true
		}
		if mine && !(w.moved && holds(R17Moved)) && w.tally.yes.Has(r) && !next.Good.Has(r) && w.sameForm(next, r) {
			next.Good = next.Good.With(r)
			changed = true
		}
	}
	if mine && w.nameRefusals(next) {
		changed = true
	}
	if !changed {
		return nil
	}
	next.Changed = now.Wall
	return next
}

// overlaps tells whether another write's request may be on the replica now: a
// late OK does not say which of the two landed last, so the entry that names it
// must outlive that intent. (Not in RELIABILITY 4.3; the simulator found a late
// DELETE whose entry its owner removed between a newer PUT's landing and its
// decide.)
func overlaps(in *oplog.Intent, mine object.ID, r string) bool {
	return holds(R17Overlap) && in != nil && in.Op != mine && in.Reps.Has(r)
}

// rest ends a write whose row says all that its answers told, or looks again
// later for those that another intent holds up.
func (w *Write) rest(out []Effect) []Effect {
	switch {
	case len(w.unanswered()) > 0:
	case len(w.held) > 0 && !w.kept:
		return append(out, Sleep{TimerWait, w.cfg.Times.Lease / 4})
	default:
		w.state = wOver
	}
	return out
}

// sameForm tells whether a late OK's ETag fits the version; a legitimate other
// form is recorded.
func (w *Write) sameForm(next *oplog.Row, r string) bool {
	etag := w.tally.etags[r]
	if next.Cur.Kind == object.Tombstone || etag == "" || etag == next.Cur.ETag {
		return true
	}
	if w.cfg.differ(r, etag, next.Cur.ETag) {
		return false
	}
	if next.ETags == nil {
		next.ETags = map[string]string{}
	}
	next.ETags[r] = etag
	return true
}

// pursueLost: the intent is gone and the version is not current. The lease was
// lost. What was released is confessed (R18), the client learns that nothing is
// known, and late answers are still folded in.
func (w *Write) pursueLost(now Now) []Effect {
	out := w.done(Result{Kind: Doubt, Code: codeSlowDown})
	if w.row == nil {
		next := &oplog.Row{Open: true, Good: w.cfg.based(), Cfg: w.cfg.Epoch, Changed: now.Wall, Intent: w.intent}
		return append(out, w.swap(now, next)...)
	}
	if holds(R18Confess) && !w.confessed() {
		next := w.row.Clone()
		next.Unsettled = addEntries(next.Unsettled, entries(w.intent, w.intent.Reps, now))
		next.Changed = now.Wall
		w.confess = true
		return append(out, w.swap(now, next)...)
	}
	if next := w.folded(now); next != nil {
		return append(out, w.swap(now, next)...)
	}
	return w.rest(out)
}

// confessed tells whether the row names this write's requests, or did.
func (w *Write) confessed() bool {
	if w.confess {
		return true
	}
	for _, r := range w.intent.Reps {
		if hasEntry(w.row.Unsettled, w.op.ID, r) {
			return true
		}
	}
	return false
}

// pursueLostHeal: somebody else took the heal's intent away and named its
// request unsettled; a definitive answer takes that back.
func (w *Write) pursueLostHeal(now Now) []Effect {
	if len(w.unanswered()) > 0 && !w.kept {
		return nil
	}
	if w.row != nil && hasEntry(w.row.Unsettled, w.op.ID, w.op.Target) && len(w.tally.maybe) == 0 &&
		!overlaps(w.row.Intent, w.op.ID, w.op.Target) {
		next := w.row.Clone()
		if w.tally.yes.Has(w.op.Target) && next.Good.Has(w.op.Target) && next.Cur.ID != w.op.Info.ID {
			if !anchored(next, next.Good.Without(w.op.Target), next.Cur.ID, next.Cur.Ver) {
				return w.leave()
			}
			next.Good = next.Good.Without(w.op.Target)
		}
		next.Unsettled = dropEntries(next.Unsettled, w.op.ID, w.intent.Reps)
		next.Changed = now.Wall
		return w.swap(now, next)
	}
	return w.leave()
}
