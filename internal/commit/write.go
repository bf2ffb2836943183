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
	Stream bool            // the body goes to the replicas before the intent, its tail held
	If     Condition       // nil: unconditional
	Info   object.Info     // PUT: size, headers, ModTime and, if known, ETag; heal: the version to copy
	Target string          // heal: the lagging replica
	Direct object.Replicas // copy: the replicas that copy by themselves; they have no part in the body
	Upload object.ID       // complete: the upload, whose id is the version's identity
	Slow   time.Duration   // how long a backend may work on a released request; 0: an ordinary one
	Ask    bool            // the release waits for a Permit
}

// version is the identity that the key will have.
func (op *Op) version() object.ID {
	switch op.Type {
	case oplog.OpHeal:
		return op.Info.ID
	case oplog.OpComplete:
		return op.Upload
	}
	return op.ID
}

// Answer is what a replica said to a released request, or that it was refused
// before.
type Answer struct {
	Class AnswerClass
	ETag  string // of a PUT that was answered 2xx
	Code  string // the server's error code, of a refusal
	Words string // and what it said, for people
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
	// Permit answers Ask; a code refuses, and the write ends with it.
	Permit struct{ Code string }
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
	// Ask says that the intent stands and that nothing was released yet (Op.Ask).
	Ask struct{}
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
func (Permit) event()   {}
func (Open) effect()    {}
func (Accept) effect()  {}
func (Leave) effect()   {}
func (Release) effect() {}
func (Resolve) effect() {}
func (Ask) effect()     {}
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
	wAsk                  // the intent stands; waiting for the permit
	wUndo                 // swapping the intent out again, nothing released
	wUndoRead             // the undo was not known
	wAnswers              // released, no log call under way
	wSwap                 // released, a swap under way
	wReread               // released, reading the row again
	wOver
)

// Write drives one PUT, DELETE, Complete, copy or heal from its first byte to its last
// answer (RELIABILITY 4.3). Complete (the machine) drives the Write of an upload.
type Write struct {
	cfg   Config
	op    Op
	state writeState

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
	heads   object.Replicas // answers that wait for their HEAD
	absent  object.Replicas // of those, whoever said that it does not know the upload
	permit  bool            // the release may go
	denied  string          // the code with which it may not
	places  int             // attempts to place the intent, of a write that asks for its release

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
	refused        map[string]string // codes
	words          map[string]string // of those that refused
}

func (t *tally) add(r string, a Answer) {
	t.yes, t.no, t.maybe = t.yes.Without(r), t.no.Without(r), t.maybe.Without(r)
	switch a.Class {
	case Yes:
		t.yes = t.yes.With(r)
		t.etags = with(t.etags, r, a.ETag)
	case No:
		t.no = t.no.With(r)
		if a.Code != "" {
			t.refused = with(t.refused, r, a.Code)
			if a.Words != "" {
				t.words = with(t.words, r, a.Words)
			}
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
		w.up, w.begun, w.readAt, w.state = ev.Up.And(w.cfg.takes()), now.Boot, now.Boot, wEarly
		if now.bars() {
			w.up = nil // nothing is open yet
			return w.finish(Result{Kind: Failed, Code: codeSlowDown})
		}
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
	case Permit:
		return w.permitted(now, ev)
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
	codeNoSuchKey      = "NoSuchKey"
	codeRequestTimeout = "RequestTimeout"
)

// finish answers the client and ends the machine; held uploads are left.
func (w *Write) finish(res Result) []Effect {
	if holds(R1NoVerdict) && w.doubt && res.Kind == Failed {
		res.Kind, res.Code = Doubt, codeSlowDown // R1: only a known compare-and-set allows a definitive failure
	}
	var out []Effect
	if w.op.Stream && !w.Released() {
		for _, r := range w.up.Minus(w.op.Direct) {
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
	return w.cfg.AckRule().Met(reps)
}
