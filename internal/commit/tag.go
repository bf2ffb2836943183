package commit

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// TagOp is one change of the tags of a key's current version.
type TagOp struct {
	ID   object.ID   // fresh
	Tags object.Tags // what it will have, and no others
	Heal string      // a replica: no change, but that one gets the tags of the row
}

// Events and effects of a change of tags.
type (
	// Retagged is the end of a request that was released.
	Retagged struct {
		Replica string
		Answer  Answer
	}
	// Retag asks a replica to give the key's object these tags and no others. It is sent
	// at most once; from here on effects outlive the client.
	Retag struct {
		Replica string
		Tags    object.Tags
	}
)

func (Retagged) event() {}
func (Retag) effect()   {}

type tagState uint8

const (
	tagNew     tagState = iota
	tagRow              // reading the row
	tagBase             // asking a replica for the base
	tagVerdict          // nothing stands there: a second look at the row
	tagWait             // the base of another write is not known, or the log was busy
	tagRepair           // that write is being resolved
	tagSwap             // swapping the change in
	tagUndo             // swapping it out again, nothing released
	tagAnswers          // released, no log call under way
	tagFold             // swapping the answers in
	tagReread           // reading the row again
	tagOver
)

// Tag drives one change of tags (docs/decisions/0029). The row holds the tags of the
// current version, and one compare-and-set changes them: from that line on they are the
// version's, whichever replica is asked. What the replicas hold of them follows: each
// request is named in the row before it is sent, and every replica counts as mistagged
// until it is known not to be. So a request that lands late, on whatever stands there
// then, is seen and mended, and threatens no version; a write need not wait for it.
type Tag struct {
	cfg   Config
	op    TagOp
	state tagState

	up        object.Replicas
	begun     time.Duration
	readAt    time.Duration // when the read of the row was asked for
	waitUntil time.Duration

	row   *oplog.Row
	base  *object.Seen
	asked object.Replicas

	foreign      object.ID // nonce of the intent that is waited for
	foreignSince time.Duration

	doubt    bool // the change's compare-and-set is not known
	doubtOld oplog.Epoch
	created  bool          // it created the row
	casAt    time.Duration // when it was asked for

	reps     object.Replicas // that are released
	tried    *oplog.Row
	triedAs  oplog.Epoch
	own      oplog.Epoch // of the row as the change left it
	tally    tally
	floor    bool
	floorEnd bool
	kept     bool
	answered bool
}

// NewTag returns the machine of one change.
func NewTag(cfg Config, op TagOp) *Tag { return &Tag{cfg: cfg, op: op} }

// Over tells that the machine wants no more events.
func (t *Tag) Over() bool { return t.state == tagOver }

// Step takes one event and returns what is to be done, in order.
func (t *Tag) Step(now Now, ev Event) []Effect {
	switch ev := ev.(type) {
	case Begin:
		t.up, t.begun = ev.Up.And(t.cfg.takes()), now.Boot
		t.waitUntil = now.Boot + t.cfg.Times.LockWait
		if now.bars() {
			return t.finish(Result{Kind: Failed, Code: codeSlowDown})
		}
		return t.loop(now)
	case RowRead:
		return t.rowRead(now, ev)
	case Showed:
		return t.showed(now, ev)
	case Swapped:
		return t.swapped(now, ev)
	case Retagged:
		return t.retagged(now, ev)
	case Repaired:
		if t.state == tagRepair {
			return t.again(now)
		}
	case Fired:
		return t.fired(now, ev.Timer)
	}
	return nil
}

func (t *Tag) loop(now Now) []Effect {
	t.state, t.readAt, t.row, t.tried = tagRow, now.Boot, nil, nil
	return []Effect{ReadRow{}}
}

func (t *Tag) again(now Now) []Effect {
	if now.Boot >= t.waitUntil {
		return t.finish(Result{Kind: Failed, Code: codeSlowDown})
	}
	t.state = tagWait
	return []Effect{Sleep{TimerWait, t.cfg.Times.HelpWait / 2}}
}

func (t *Tag) finish(res Result) []Effect {
	t.state = tagOver
	return t.done(res)
}

func (t *Tag) done(res Result) []Effect {
	if t.answered {
		return nil
	}
	if t.doubt && res.Kind == Failed {
		res.Kind, res.Code = Doubt, codeSlowDown // as R1: only what is known is a failure
	}
	t.answered = true
	res.No = t.tally.refused
	return []Effect{Done{res}}
}

func (t *Tag) rowRead(now Now, ev RowRead) []Effect {
	switch {
	case t.state == tagReread && ev.Failed:
		t.state = tagAnswers
		return []Effect{Sleep{TimerWait, t.cfg.Times.Lease / 8}}
	case t.state == tagReread:
		t.row, t.state = ev.Row, tagAnswers
		return t.pursue(now)
	case t.state == tagVerdict && ev.Failed:
		return t.finish(Result{Kind: Failed, Code: codeSlowDown})
	case t.state == tagVerdict && ev.Row == nil:
		return t.finish(Result{Kind: Failed, Code: codeNoSuchKey})
	case t.state != tagRow && t.state != tagVerdict:
		return nil
	case ev.Failed:
		return t.again(now)
	}
	t.row = ev.Row
	return t.examine(now)
}

func (t *Tag) examine(now Now) []Effect {
	if t.doubt && t.row != nil && t.mine(t.row) {
		t.doubt = false // an earlier attempt was applied
		return t.placed(now)
	}
	if t.doubt && epochOf(t.row) != t.doubtOld {
		return t.finish(Result{Kind: Doubt, Code: codeSlowDown})
	}
	if t.op.Heal != "" {
		if t.healStale() {
			return t.finish(Result{Kind: Failed, Code: codeSlowDown})
		}
		return t.place(now)
	}
	switch {
	case t.row == nil && t.base == nil:
		return t.askBase()
	case t.row == nil:
		return t.place(now)
	case t.row.Open && t.row.Intent != nil:
		return t.yieldTo(now, t.row.Intent)
	case t.row.Open:
		return t.again(now)
	case t.row.Cur.Kind == object.Tombstone:
		return t.finish(Result{Kind: Failed, Code: codeNoSuchKey})
	}
	return t.place(now)
}

// healStale tells whether the row does not ask for this any more.
func (t *Tag) healStale() bool {
	r, to := t.row, t.op.Heal
	return r == nil || r.Intent != nil || r.Open || r.Cur.Kind != object.Present || !r.Tagged || !r.Cur.Tags.Equal(t.op.Tags) ||
		!t.cfg.heals().Has(to) || !retaggable(r, to) || !r.Mistagged.Has(to)
}

// mine tells whether the row names a request of this change.
func (t *Tag) mine(row *oplog.Row) bool {
	for _, e := range row.Tagging {
		if e.Op == t.op.ID {
			return true
		}
	}
	return len(t.reps) == 0 && row.Epoch == t.triedAs
}

// yieldTo waits for another write whose base is not known, as Write does.
func (t *Tag) yieldTo(now Now, in *oplog.Intent) []Effect {
	if t.foreign != in.Nonce {
		t.foreign, t.foreignSince = in.Nonce, now.Boot
	}
	dead := t.cfg.Exclusive && in.Owner != t.cfg.Node
	if (dead || now.Boot-t.foreignSince >= t.cfg.Times.Lease) && now.Boot < t.waitUntil {
		t.state = tagRepair
		return []Effect{Resolve{in.Nonce}}
	}
	return t.again(now)
}

func (t *Tag) askBase() []Effect {
	left := t.up.And(t.cfg.Serving).Minus(t.asked)
	if len(left) == 0 {
		return t.finish(Result{Kind: Failed, Code: codeSlowDown})
	}
	t.state, t.asked = tagBase, t.asked.With(left[0])
	return []Effect{Head{left[0]}}
}

func (t *Tag) showed(now Now, ev Showed) []Effect {
	switch {
	case t.state != tagBase:
		return nil
	case ev.Failed:
		return t.askBase()
	case ev.Seen.Kind == object.Tombstone:
		t.state = tagVerdict // as R6: it was the key's state only if there is still no row
		return []Effect{ReadRow{}}
	}
	t.base = &ev.Seen
	return t.place(now)
}

// place swaps the change in. A row that is made for it is made on a fresh read (R10).
func (t *Tag) place(now Now) []Effect {
	if t.row == nil && t.stale(now) {
		t.base, t.asked = nil, nil
		return t.again(now)
	}
	next := t.row.Clone()
	if next == nil {
		next = &oplog.Row{Good: t.cfg.based(), Cur: t.cfg.common(t.base.Info)}
		next.Cur.Ver = 0
	}
	t.reps = t.up.And(next.Good).Minus(t.cfg.Bare)
	if t.op.Heal != "" {
		t.reps = object.NewReplicas(t.op.Heal)
	} else {
		if !t.cfg.AckRule().Met(t.reps.Or(t.byRow())) {
			return t.finish(Result{Kind: Failed, Code: codeSlowDown}) // nothing was released
		}
		next.Cur.Tags, next.Tagged = t.op.Tags, true
		if holds(TMistagged) {
			next.Mistagged = t.cfg.Replicas.Or(joined(next))
		}
		bare(next, t.cfg)
	}
	if holds(TNamed) {
		next.Tagging = addEntries(next.Tagging, t.entries(next, now))
	}
	next.Cfg, next.Changed = t.cfg.Epoch, now.Wall
	if !t.doubt {
		t.casAt = now.Boot
	}
	t.created, t.doubtOld, t.tried, t.state = t.row == nil, epochOf(t.row), next, tagSwap
	return []Effect{Swap{t.doubtOld, next}}
}

// joined are the replicas that hold the version, or may soon: some of them may have joined
// the set since this node read it (J4).
func joined(row *oplog.Row) object.Replicas {
	if !holds(JTags) {
		return nil
	}
	all := row.Good
	if row.Intent != nil {
		all = all.Or(row.Intent.Reps)
	}
	for _, e := range row.Unsettled {
		all = all.With(e.Replica)
	}
	return all
}

// byRow are the replicas of which the row keeps what they cannot.
func (t *Tag) byRow() object.Replicas { return t.cfg.takes().And(t.cfg.Bare) }

// entries name the requests. They are named before they are sent, so they settle a
// lease later than those of a write, which are named when its lease is over.
func (t *Tag) entries(row *oplog.Row, now Now) []oplog.Entry {
	var out []oplog.Entry
	for _, r := range t.reps {
		out = append(out, oplog.Entry{
			Op: t.op.ID, ID: row.Cur.ID, Ver: row.Cur.Ver, Kind: object.Present, Type: oplog.OpTag, Replica: r,
			Size: row.Cur.Size, ETag: row.Cur.ETag, Tags: t.op.Tags, Added: now.Wall, Slow: t.cfg.Times.Lease,
		})
	}
	return out
}

func (t *Tag) stale(now Now) bool {
	return holds(R10Stale) && now.Boot-t.readAt > t.cfg.Times.Retention/2
}

func (t *Tag) swapped(now Now, ev Swapped) []Effect {
	switch t.state {
	case tagSwap:
		t.triedAs = ev.Epoch
		switch ev.Outcome {
		case Applied:
			t.doubt = false
			t.row = atEpoch(t.tried, ev.Epoch)
			return t.placed(now)
		case Unknown:
			t.doubt = true
		case NotApplied:
			return t.finish(Result{Kind: Failed, Code: codeSlowDown})
		case Conflict:
			t.base, t.asked = nil, nil
		}
		return t.again(now)
	case tagUndo:
		return t.finish(Result{Kind: Doubt, Code: codeSlowDown})
	case tagFold:
		t.triedAs = ev.Epoch
		switch {
		case ev.Outcome == Applied:
			t.row = atEpoch(t.tried, ev.Epoch)
			t.state = tagAnswers
			return t.pursue(now)
		case ev.Outcome == Unknown && t.kept:
			return t.leave()
		case ev.Outcome == NotApplied:
			t.state = tagAnswers
			return append(t.told(), Sleep{TimerWait, t.cfg.Times.Lease / 8})
		}
		t.state = tagReread
		return []Effect{ReadRow{}}
	}
	return nil
}

// placed is reached when the row is known to say it. What a stalled node would send
// late is not sent; and a row that was made on an old read is taken back.
func (t *Tag) placed(now Now) []Effect {
	if t.created && t.stale(now) {
		t.state = tagUndo
		return []Effect{Swap{t.row.Epoch, nil}}
	}
	t.own, t.state = t.triedAs, tagAnswers // another one, if somebody changed the row before this was known
	if holds(TLease) && (now.Boot-t.casAt > t.cfg.Times.Lease-t.cfg.Times.Margin || now.lapsed(t.cfg.Times.Margin)) {
		for _, r := range t.reps {
			t.tally.add(r, Answer{Class: No})
		}
		return t.pursue(now)
	}
	out := []Effect{Sleep{TimerKeep, t.cfg.Times.Keep}}
	for _, r := range t.reps {
		out = append(out, Retag{r, t.op.Tags})
	}
	return append(out, t.pursue(now)...)
}

// retaggable tells whether a replica holds the current version and no request is on its
// way to it that could change the object or its tags.
func retaggable(row *oplog.Row, r string) bool {
	return row.Good.Has(r) && clean(row, r) && !tagging(row, r)
}

// bare brings the row in line with which replicas can keep tags at all.
func bare(row *oplog.Row, cfg Config) {
	row.Bare = nil
	row.Mistagged = row.Mistagged.Minus(cfg.Bare)
	if holds(TBare) && row.Tagged && row.Cur.Kind == object.Present && len(row.Cur.Tags) > 0 {
		row.Bare = cfg.Replicas.And(cfg.Bare)
	}
}
