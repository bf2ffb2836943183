package commit

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Condition is a client's precondition: the S3 error code with which it fails
// against the current version (Kind Tombstone: no object), or "". It must be a
// pure function.
type Condition func(cur object.Info) (code string)

// Op is one mutation of one key.
type Op struct {
	ID     object.ID // fresh; identity of the version for PUT and DELETE
	Type   oplog.OpKind
	Stream bool        // the body goes to the replicas before the intent, its tail held
	If     Condition   // nil: unconditional
	Info   object.Info // PUT: size, headers, ModTime and, if known, ETag; heal: the version to copy
	Target string      // heal: the lagging replica
}

// Answer is what a replica said to a released request, or that it was refused
// before.
type Answer struct {
	Class AnswerClass
	ETag  string // of a PUT that was answered 2xx
	Code  string // the server's error code, of a refusal
}

// AnswerClass is a closed set: only a refusal proves that a request was not
// applied.
type AnswerClass uint8

const (
	Yes       AnswerClass = iota // 2xx with the right size and ETag; for a DELETE also 404 NoSuchKey
	No                           // a final status before the release, a 4xx, connection refused, body never completed
	Ambiguous                    // anything else (R12)
)

// Events of a write.
type (
	// Begin starts it: Up are the replicas whose breaker is closed.
	Begin struct{ Up object.Replicas }
	// Verified says that the client's body is whole and verified. Size is final;
	// ETag is set when it was computed; Headers are those to store.
	Verified struct{ Info object.Info }
	// Broken says that the body failed, or that its client left before the
	// release: nothing of it may land.
	Broken struct{}
	// Lost says that an upload ended before the release.
	Lost struct {
		Replica string
		Answer  Answer
	}
	// Stalled says that the body waits for a replica that took nothing for so long.
	Stalled struct {
		Replica string
		For     time.Duration
	}
	// Answered is the end of a released request.
	Answered struct {
		Replica string
		Answer  Answer
	}
	// Repaired answers Resolve.
	Repaired struct{}
)

// Effects of a write.
type (
	// Open starts an upload of the body to a replica, its tail held.
	Open struct{ Replica string }
	// Accept says that the body may be read now.
	Accept struct{}
	// Leave ends a held upload so that nothing of it lands (by RST).
	Leave struct{ Replica string }
	// Release lets the request go, whole. From here on effects outlive the client.
	Release struct {
		Replica string
		Ver     object.Version
	}
	// Resolve asks for Repair of the key, with the nonce of an intent that has
	// been seen unchanged for a lease.
	Resolve struct{ Expired object.ID }
	// Done is the client's answer. The machine may go on in the background.
	Done struct{ Result Result }
)

// Result is what the client is told.
type Result struct {
	Kind Kind
	Code string      // S3 error code unless Acked
	Info object.Info // the version that was acknowledged
	OK   object.Replicas
	No   map[string]string // refusals by replica: the server's code
}

// Kind of a result: the three things that may be said about a write.
type Kind uint8

const (
	Acked  Kind = iota // decided, and held as the ack rule demands
	Failed             // definitely not, and never will be
	Doubt              // not known; it may take effect
)

func (Begin) event()    {}
func (Verified) event() {}
func (Broken) event()   {}
func (Lost) event()     {}
func (Stalled) event()  {}
func (Answered) event() {}
func (Repaired) event() {}
func (Open) effect()    {}
func (Accept) effect()  {}
func (Leave) effect()   {}
func (Release) effect() {}
func (Resolve) effect() {}
func (Done) effect()    {}

type writeState uint8

const (
	wNew       writeState = iota
	wEarly                // first look at the row
	wEarlyHead            // first look at the base
	wVerdict              // a condition failed without row: a second look
	wBody                 // the client's body is being read
	wLoop                 // reading the row before the intent
	wBase                 // asking a replica for the base
	wWait                 // another intent is open
	wRepair               // another intent is being resolved
	wIntent               // swapping the intent in
	wUndo                 // swapping the intent out again, nothing released
	wUndoRead             // the undo was not known
	wAnswers              // released, no log call under way
	wSwap                 // released, a swap under way
	wReread               // released, reading the row again
	wOver
)

// Write drives one PUT, DELETE or heal copy from its first byte to its last
// answer (RELIABILITY 4.3).
type Write struct {
	cfg   Config
	op    Op
	state writeState
	over  bool // nothing more to do when the log call under way ends

	begun     time.Duration   // Boot of Begin
	up        object.Replicas // may take part: uploads alive, or breakers closed
	gone      tally           // answers before the release
	first     oplog.Epoch     // the row's epoch at the first byte (zero: no row)
	verified  bool
	waitUntil time.Duration

	row     *oplog.Row    // as last read or written; nil: none
	readAt  time.Duration // Boot when the read of it was asked for
	base    *object.Seen  // of a key without row
	asked   object.Replicas
	refusal string // the code of a condition that failed

	foreign      object.ID     // nonce of the intent that is waited for
	foreignSince time.Duration // Boot when it was first seen

	doubt    bool // an intent's compare-and-set is not known
	doubtOld oplog.Epoch

	intent  *oplog.Intent
	created bool            // the intent's compare-and-set created the row
	casAt   time.Duration   // Boot when the intent's compare-and-set was asked for
	clean   object.Replicas // replicas without older requests, as the intent's compare-and-set saw them (R15)
	confirm bool            // an OK counts only after a HEAD of its own (R13)
	tally   tally
	heads   object.Replicas // OKs that wait for their HEAD

	tried    *oplog.Row      // what the swap under way writes
	triedAs  oplog.Epoch     // its epoch
	moved    bool            // another node changed the row since the intent
	floor    bool            // TimerFloor was set
	floorEnd bool            // and fired
	renew    bool            // the nonce is due
	kept     bool            // TimerKeep fired
	held     object.Replicas // late OKs that another write's open intent keeps from the row
	stood    bool            // the version was seen current
	answered bool            // Done was returned
	confess  bool            // the row was told of requests that outlived their intent (R18)
}

// tally collects answers by replica.
type tally struct {
	yes, no, maybe object.Replicas
	etags          map[string]string
	refused        map[string]string
}

func (t *tally) add(r string, a Answer) {
	t.yes, t.no, t.maybe = t.yes.Without(r), t.no.Without(r), t.maybe.Without(r)
	switch a.Class {
	case Yes:
		t.yes = t.yes.With(r)
		if t.etags == nil {
			t.etags = map[string]string{}
		}
		t.etags[r] = a.ETag
	case No:
		t.no = t.no.With(r)
		if a.Code != "" {
			if t.refused == nil {
				t.refused = map[string]string{}
			}
			t.refused[r] = a.Code
		}
	default:
		t.maybe = t.maybe.With(r)
	}
}

func (t *tally) settled() object.Replicas { return t.yes.Or(t.no).Or(t.maybe) }

// NewWrite returns the machine of one mutation. One intent is installed per
// machine at most, so a client's operation is one machine (H29).
func NewWrite(cfg Config, op Op) *Write { return &Write{cfg: cfg, op: op} }

// Over tells that the machine wants no more events.
func (w *Write) Over() bool { return w.state == wOver }

// Released tells that a request of this write has been let go.
func (w *Write) Released() bool { return w.state >= wAnswers && w.intent != nil }

// Step takes one event and returns what is to be done, in order.
func (w *Write) Step(now Now, ev Event) []Effect {
	switch ev := ev.(type) {
	case Begin:
		w.up, w.begun, w.readAt, w.state = ev.Up.And(w.cfg.Replicas), now.Boot, now.Boot, wEarly
		return []Effect{ReadRow{}}
	case RowRead:
		return w.rowRead(now, ev)
	case Swapped:
		return w.swapped(now, ev)
	case Showed:
		return w.showed(now, ev)
	case Verified:
		return w.bodyDone(now, ev.Info)
	case Broken:
		if w.state >= wIntent {
			return nil // too late: the body was verified and its intent is on its way
		}
		return w.finish(Result{Kind: Failed, Code: codeRequestTimeout})
	case Lost:
		return w.lost(now, ev)
	case Stalled:
		return w.stalled(now, ev)
	case Answered:
		return w.answer(now, ev.Replica, ev.Answer)
	case Fired:
		return w.fired(now, ev.Timer)
	case Repaired:
		if w.state == wRepair {
			return w.again(now) // what can not be resolved yet is not asked about in a hot loop
		}
	}
	return nil
}

// Codes of S3 that a machine itself answers with.
const (
	codeSlowDown       = "SlowDown"
	codeRequestTimeout = "RequestTimeout"
)

// finish answers the client and ends the machine; held uploads are left.
func (w *Write) finish(res Result) []Effect {
	if w.doubt && res.Kind == Failed {
		res.Kind, res.Code = Doubt, codeSlowDown // R1: only a known compare-and-set allows a definitive failure
	}
	var out []Effect
	if w.op.Stream && !w.Released() {
		for _, r := range w.up {
			out = append(out, Leave{r})
		}
	}
	w.state = wOver
	return append(out, w.done(res)...)
}

func (w *Write) done(res Result) []Effect {
	if w.answered {
		return nil
	}
	w.answered = true
	res.No = w.refusals()
	return []Effect{Done{res}}
}

func (w *Write) refusals() map[string]string {
	out := map[string]string{}
	for r, c := range w.gone.refused {
		out[r] = c
	}
	for r, c := range w.tally.refused {
		out[r] = c
	}
	return out
}

// need tells whether the replicas can still satisfy the rule; heals need one.
func (w *Write) need(reps object.Replicas) bool {
	if w.op.Type == oplog.OpHeal {
		return len(reps) > 0
	}
	return w.cfg.Ack.Met(reps)
}

// ---- before the body

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
		for _, r := range w.up {
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
		r.Cur.Kind != w.op.Info.Kind || r.Good.Has(w.op.Target) || !clean(r, w.op.Target) || len(r.Good) == 0
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
	if w.row != nil {
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

// ---- the loop to the intent

func (w *Write) bodyDone(now Now, info object.Info) []Effect {
	if w.state != wBody {
		return nil
	}
	if w.op.Type != oplog.OpHeal {
		w.op.Info = info
	}
	w.verified = true
	w.waitUntil = now.Boot + w.cfg.Times.LockWait
	return w.loop(now)
}

// loop reads the row and tries to place the intent.
func (w *Write) loop(now Now) []Effect {
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
	w.state = wWait
	return []Effect{Sleep{TimerWait, w.cfg.Times.HelpWait / 2}}
}

func (w *Write) examine(now Now) []Effect {
	if w.row != nil && w.row.Intent != nil && w.row.Intent.Op == w.op.ID {
		w.doubt, w.intent = false, w.row.Intent // R1: an earlier attempt was applied
		return w.placed(now)
	}
	if w.doubt && epochOf(w.row) != w.doubtOld {
		return w.finish(Result{Kind: Doubt, Code: codeSlowDown})
	}
	if w.op.Type == oplog.OpHeal {
		if w.healStale() {
			return w.finish(Result{Kind: Failed, Code: codeSlowDown})
		}
		return w.place(now)
	}
	if w.row != nil && w.row.Intent != nil {
		return w.yieldTo(now, w.row.Intent)
	}
	if w.row == nil && w.op.If != nil && w.base == nil {
		return w.askBase(wBase)
	}
	if w.op.If != nil {
		if code := w.op.If(w.current()); code != "" { // R6: here, and only here, the verdict falls
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
	if dead || now.Boot-w.foreignSince >= w.cfg.Times.Lease {
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
		next = &oplog.Row{Good: w.cfg.Replicas}
		if w.base != nil {
			next.Cur = w.base.Info
			next.Cur.Ver = 0
		} else {
			next.Open = true
		}
	}
	reps := w.up
	w.clean = reps.Filter(func(r string) bool { return clean(next, r) })
	if len(w.clean) == 0 || !w.need(reps) {
		return w.finish(Result{Kind: Failed, Code: codeSlowDown}) // R5: nothing was released
	}
	ver := object.Tick(now.Wall, next.MaxVer())
	kind := object.Present
	if w.op.Type == oplog.OpHeal {
		ver, kind = w.op.Info.Ver, w.op.Info.Kind
	} else if w.op.Type == oplog.OpDelete {
		kind = object.Tombstone
	}
	info := w.op.Info
	if w.op.Type != oplog.OpHeal {
		info.ID, info.Ver, info.Kind = w.op.ID, ver, kind
		info.ModTime = ver.Time()
	}
	next.Cfg = w.cfg.Epoch
	next.Changed = now.Wall
	next.Intent = &oplog.Intent{
		Op: w.op.ID, ID: info.ID, Ver: ver, Kind: kind, Type: w.op.Type,
		Owner: w.cfg.Node, Nonce: w.op.ID, Reps: reps, Info: info,
	}
	w.intent, w.created = next.Intent, w.row == nil
	if !w.doubt {
		w.casAt = now.Boot // the lease counts from the first attempt that may have been applied
	}
	w.doubtOld, w.tried = epochOf(w.row), next
	w.confirm = w.op.Stream && (w.first != epochOf(w.row) || w.row == nil && now.Boot-w.begun > w.cfg.Times.Retention/2)
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
	switch ev.Outcome {
	case Applied:
		w.doubt = false
		w.row = w.tried
		w.row.Epoch = ev.Epoch
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
	late := now.Boot-w.casAt > w.cfg.Times.Lease-w.cfg.Times.Margin   // R11
	stale := w.created && now.Boot-w.readAt > w.cfg.Times.Retention/2 // R10
	w.up = w.up.And(w.intent.Reps)
	if late || stale || !w.need(w.up) || len(w.clean.And(w.up)) == 0 {
		return w.undo(now)
	}
	return w.release(now)
}

// release lets every request go at once. From here on the write is detached
// from its client.
func (w *Write) release(now Now) []Effect {
	w.state = wAnswers
	out := []Effect{Sleep{TimerRenew, w.cfg.Times.Lease / 3}, Sleep{TimerKeep, w.cfg.Times.Keep}}
	for _, r := range w.intent.Reps {
		if !w.up.Has(r) {
			w.tally.add(r, Answer{Class: No}) // its upload ended after the intent named it: it was never released
			continue
		}
		out = append(out, Release{r, w.intent.Ver})
	}
	return out
}

// ---- taking an intent back before anything was released

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

// ---- timers and evidence

func (w *Write) fired(now Now, t Timer) []Effect {
	switch t {
	case TimerWait:
		if w.state == wWait {
			return w.loop(now)
		}
		if w.state == wAnswers && w.tried != nil {
			w.state = wReread
			return []Effect{ReadRow{}}
		}
		return nil
	case TimerRenew:
		w.renew = true
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
	switch {
	case ev.Failed:
		w.tally.add(ev.Replica, Answer{Class: Ambiguous})
	case w.intent.Kind == object.Tombstone && ev.Seen.Kind == object.Tombstone,
		w.intent.Kind == object.Present && w.showsMine(ev.Seen, w.tally.etags[ev.Replica]):
		w.tally.add(ev.Replica, Answer{Class: Yes, ETag: w.tally.etags[ev.Replica]})
	default:
		w.tally.add(ev.Replica, Answer{Class: No}) // R8: it keeps, or already has, another version
	}
	if w.state == wAnswers {
		return w.pursue(now)
	}
	return nil
}

func (w *Write) showsMine(s object.Seen, etag string) bool {
	return s.Kind == object.Present && s.ID == w.intent.ID && s.Size == w.intent.Info.Size && s.ETag == etag
}

func (w *Write) answer(now Now, r string, a Answer) []Effect {
	if w.intent == nil || !w.intent.Reps.Has(r) || !w.unanswered().Has(r) {
		return nil
	}
	if a.Class == Yes && w.wrongETag(a.ETag) {
		a.Class = Ambiguous // R11, H12: something else than what was sent
	}
	if a.Class == Yes && w.confirm {
		if w.tally.etags == nil {
			w.tally.etags = map[string]string{}
		}
		w.tally.etags[r] = a.ETag
		w.heads = w.heads.With(r)
		return []Effect{Head{r}}
	}
	w.tally.add(r, a)
	if w.state == wAnswers {
		return w.pursue(now)
	}
	return nil
}

func (w *Write) wrongETag(etag string) bool {
	want := w.intent.Info.ETag
	return w.intent.Kind == object.Present && want != "" && etag != want && isMD5(etag) && isMD5(want)
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
