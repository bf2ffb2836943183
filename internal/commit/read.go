package commit

import (
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Events and effects of a read.
type (
	// Look starts it. Order are the replicas that may be asked, the best first.
	Look struct {
		Order    []string
		HeadOnly bool // no body is wanted: the row may answer
		Hedge    bool // when a replica is slow, another one may be asked as well
	}
	// Get asks a replica for the object; the shell keeps the answer's body open
	// until Serve or Drop. When Replica is slow to answer the shell may ask Or,
	// unless it is empty, as well: it tells what the first of them showed that did
	// not fail, and closes what the other one gave. Only if both fail, or Or was not
	// asked, is a failure told, of Replica.
	Get struct{ Replica, Or string }
	// Drop closes the body that a Get left open.
	Drop struct{ Replica string }
	// Serve ends the read: the body of Replica, whose headers are Info's. Others
	// are the replicas that hold the same version, to go on with if it dies.
	// Replica is empty when the row itself answers a HEAD.
	Serve struct {
		Replica string
		Info    object.Info
		Row     *oplog.Row // nil: quiet key
	}
	// Absent ends the read: no object stands under the key.
	Absent struct{ Row *oplog.Row }
	// Unavailable ends the read: 503.
	Unavailable struct{}
)

func (Look) event()         {}
func (Get) effect()         {}
func (Drop) effect()        {}
func (Serve) effect()       {}
func (Absent) effect()      {}
func (Unavailable) effect() {}

type readState uint8

const (
	rNew     readState = iota
	rRow               // reading the row
	rQuiet             // asking a replica; no row
	rSecond            // second look at the row (R20)
	rConfirm           // a second replica confirms a 404 without row
	rHold              // asking a good replica; no intent
	rOpen              // asking replicas under an open intent
	rBase              // an open base was shown; the intent must still stand
	rHelp              // deciding for the writer
	rDispute           // recording that replicas disagree without a row
	rWait              // letting the writer win
	rOver
)

// readRounds is how often a read starts over before it answers 503.
const readRounds = 3

// Read answers one GET or HEAD (RELIABILITY 4.4). It serves no bytes whose
// identity, ETag and size the row does not name (R21).
type Read struct {
	cfg    Config
	state  readState
	order  []string
	head   bool
	hedge  bool
	rounds int
	begun  time.Duration
	waited bool

	row    *oplog.Row
	queue  []string // replicas still to be asked in this round
	asked  string
	or     string // may be asked as well: the first of queue
	held   string // replica whose body is held open
	seen   object.Seen
	by     string // who showed seen
	tried  *oplog.Row
	openOp object.ID // intent under which an open base was shown
}

// NewRead returns the machine of one read.
func NewRead(cfg Config) *Read { return &Read{cfg: cfg} }

// Over tells that the machine wants no more events.
func (r *Read) Over() bool { return r.state == rOver }

// Step takes one event and returns what is to be done, in order.
func (r *Read) Step(now Now, ev Event) []Effect {
	switch ev := ev.(type) {
	case Look:
		r.order, r.head, r.hedge, r.begun = ev.Order, ev.HeadOnly, ev.Hedge, now.Boot
		if holds(R31First) {
			r.order, r.hedge = r.cfg.First(ev.Order), ev.Hedge && !r.cfg.disabled()
		}
		return r.readRow(rRow)
	case RowRead:
		return r.rowRead(now, ev)
	case Showed:
		return r.showed(now, ev)
	case Swapped:
		return r.swapped(now, ev)
	case Fired:
		if r.state == rWait {
			return r.readRow(rRow)
		}
	}
	return nil
}

func (r *Read) readRow(s readState) []Effect {
	r.state = s
	if s == rRow { // what an earlier round saw counts no more
		r.row, r.tried, r.queue, r.asked, r.or, r.seen, r.by = nil, nil, nil, "", "", object.Seen{}, ""
	}
	return []Effect{ReadRow{}}
}

func (r *Read) drop() []Effect {
	if r.held == "" {
		return nil
	}
	d := Drop{r.held}
	r.held = ""
	return []Effect{d}
}

func (r *Read) end(e Effect) []Effect {
	out := r.drop()
	r.state = rOver
	return append(out, e)
}

// serve ends the read with the body that is held.
func (r *Read) serve(info object.Info) []Effect {
	if info.Kind == object.Tombstone {
		return r.end(Absent{r.row})
	}
	by := r.held
	r.held, r.state = "", rOver
	return []Effect{Serve{by, info, r.row}}
}

// restart begins another round, after a short wait from the second on.
func (r *Read) restart(now Now) []Effect {
	out := r.drop()
	r.rounds++
	if r.rounds >= readRounds {
		r.state = rOver
		return append(out, Unavailable{})
	}
	r.state = rWait
	return append(out, Sleep{TimerWait, r.cfg.Times.HelpWait})
}

func (r *Read) rowRead(now Now, ev RowRead) []Effect {
	if ev.Failed {
		return r.end(Unavailable{}) // H38: without the log no read is linearizable
	}
	switch r.state {
	case rRow:
		r.row = ev.Row
		return r.begin(now)
	case rSecond:
		if ev.Row == nil {
			return r.secondLook()
		}
	case rBase:
		if ev.Row != nil && ev.Row.Intent != nil && ev.Row.Intent.Op == r.openOp && ev.Row.Open {
			r.row = ev.Row
			return r.serve(r.cfg.common(r.seen.Info))
		}
	default:
		return nil
	}
	out := r.drop()
	r.row = ev.Row
	return append(out, r.begin(now)...)
}

// begin starts a round with the row as it is.
func (r *Read) begin(now Now) []Effect {
	serving := func(n string) bool { return r.cfg.Serving.Has(n) }
	if r.row == nil {
		r.queue = pick(r.order, serving)
		return r.ask(now, rQuiet)
	}
	in := r.row.Intent
	if in == nil || in.Type == oplog.OpHeal {
		return r.beginDecided(now)
	}
	r.queue = append(pick(r.order, r.row.Good.Has), pick(r.order, func(n string) bool { return !r.row.Good.Has(n) && in.Reps.Has(n) })...)
	return r.ask(now, rOpen)
}

func (r *Read) beginDecided(now Now) []Effect {
	switch {
	case r.row.Cur.Kind == object.Tombstone && !r.row.Open:
		return r.end(Absent{r.row})
	case r.head && !r.row.Open:
		return r.end(Serve{Info: r.row.Cur, Row: r.row})
	}
	r.queue = pick(r.order, r.row.Good.Has)
	return r.ask(now, rHold)
}

func pick(order []string, keep func(string) bool) []string {
	var out []string
	for _, n := range order {
		if keep(n) {
			out = append(out, n)
		}
	}
	return out
}

// ask asks the next replica of the round.
func (r *Read) ask(now Now, s readState) []Effect {
	out := r.drop()
	if len(r.queue) == 0 {
		return append(out, r.restart(now)...)
	}
	r.state, r.asked, r.queue, r.or = s, r.queue[0], r.queue[1:], ""
	if r.hedge && s != rOpen && len(r.queue) > 0 {
		r.or = r.queue[0] // either is as good; under an intent their order matters
	}
	return append(out, Get{r.asked, r.or})
}

// instead makes the replica that was asked as well the one that was asked. The
// slow one has shown nothing, and may be asked again when the others have been.
func (r *Read) instead() {
	r.asked, r.queue = r.or, append(slices.Clone(r.queue[1:]), r.asked)
}

func (r *Read) showed(now Now, ev Showed) []Effect {
	switch ev.Replica {
	case r.asked:
	case r.or:
		r.instead()
	default:
		return nil
	}
	r.or = ""
	if !ev.Failed && ev.Seen.Kind == object.Present && r.state != rConfirm {
		r.held = ev.Replica
	}
	switch r.state {
	case rQuiet:
		return r.quiet(now, ev)
	case rConfirm:
		return r.confirmed(now, ev)
	case rHold:
		if ev.Failed || holds(R21Stamp) && !shows(r.row, ev.Replica, ev.Seen) {
			return r.ask(now, rHold)
		}
		return r.serve(r.row.Cur)
	case rOpen:
		return r.open(now, ev)
	}
	return nil
}

// quiet: a replica answered for a key that has no row (R20). Only a small body
// whose stamp is old enough needs no second look.
func (r *Read) quiet(now Now, ev Showed) []Effect {
	if ev.Failed {
		return r.ask(now, rQuiet)
	}
	r.seen, r.by = ev.Seen, ev.Replica
	if r.settledStamp(now) || !holds(R20Second) {
		return r.serve(r.cfg.common(ev.Seen.Info))
	}
	return r.readRow(rSecond)
}

func (r *Read) settledStamp(now Now) bool {
	return r.seen.Kind == object.Present && r.seen.Flag == object.FlagSmall &&
		now.Wall.Sub(r.seen.Uploaded) > r.cfg.Times.Retention/2
}

// secondLook: still no row. An object is served; a 404 is confirmed by a second
// replica where there is one (H19).
func (r *Read) secondLook() []Effect {
	if r.seen.Kind == object.Present {
		return r.serve(r.cfg.common(r.seen.Info))
	}
	if len(r.queue) == 0 {
		return r.end(Absent{})
	}
	r.state, r.asked, r.queue = rConfirm, r.queue[0], r.queue[1:]
	return []Effect{Head{r.asked}}
}

func (r *Read) confirmed(now Now, ev Showed) []Effect {
	switch {
	case ev.Failed && len(r.queue) > 0:
		r.asked, r.queue = r.queue[0], r.queue[1:]
		return []Effect{Head{r.asked}}
	case ev.Failed, ev.Seen.Kind == object.Tombstone:
		return r.end(Absent{})
	case now.Boot-r.begun > r.cfg.Times.Retention/2:
		return r.restart(now)
	}
	// Two replicas disagree and no row says why: either a write began since, or
	// one of them lost the object. Data wins over absence; the row makes it so for
	// every reader, and the healer copies it.
	r.tried = &oplog.Row{
		Cfg: r.cfg.Epoch, Cur: r.cfg.common(ev.Seen.Info), Changed: now.Wall,
		Good: object.NewReplicas(ev.Replica),
	}
	r.tried.Cur.Ver = 0
	r.state = rDispute
	return []Effect{Swap{oplog.Epoch{}, r.tried}, Alarm{"replicas disagree about a key without a row"}}
}

// open: a replica answered while an intent stands.
func (r *Read) open(now Now, ev Showed) []Effect {
	if ev.Failed {
		return r.ask(now, rOpen)
	}
	in := r.row.Intent
	switch {
	case !r.row.Open && shows(r.row, ev.Replica, ev.Seen) && r.row.Good.Has(ev.Replica),
		!r.row.Open && r.row.Cur.Kind == object.Present && shows(r.row, ev.Replica, ev.Seen):
		return r.serve(r.row.Cur) // the previous version: not yet overtaken
	case showsIntent(r.row, ev.Replica, ev.Seen):
		return r.help(now, ev)
	case r.row.Open && r.row.Good.Has(ev.Replica) && !(holds(R4Half) && partOf(in, ev.Seen)):
		if !holds(R4Reread) {
			return r.serve(r.cfg.common(ev.Seen.Info))
		}
		r.seen, r.by, r.openOp = ev.Seen, ev.Replica, in.Op
		return r.readRow(rBase)
	}
	return r.ask(now, rOpen)
}

// partOf tells whether what was seen is the intent's work, be it only a part of
// it: then it is not the base.
func partOf(in *oplog.Intent, s object.Seen) bool {
	return s.Kind == in.Kind && (in.Kind == object.Tombstone || s.ID == in.ID)
}

// help decides the open version for its writer (R22), after a short wait in
// which the writer normally wins.
func (r *Read) help(now Now, ev Showed) []Effect {
	in := r.row.Intent
	if holds(R22Anchor) && !anchor(r.row, ev.Replica, in.ID, in.Ver) {
		return r.ask(now, rOpen)
	}
	if !r.waited {
		r.waited = true
		out := r.drop()
		r.state = rWait
		return append(out, Sleep{TimerWait, r.cfg.Times.HelpWait})
	}
	r.seen = ev.Seen
	r.tried = helped(r.row, object.NewReplicas(ev.Replica), ev.Seen, r.cfg, now)
	r.state = rHelp
	return []Effect{Swap{r.row.Epoch, r.tried}}
}

// helped is the row in which the open version is current because the replicas
// in found show it.
func helped(row *oplog.Row, found object.Replicas, seen object.Seen, cfg Config, now Now) *oplog.Row {
	in := row.Intent
	info, rest := in.Info, in.Reps.Minus(found)
	switch {
	case in.Kind == object.Tombstone:
		if holds(R26Help) {
			rest = in.Reps // R26: absence does not prove that a DELETE is over
		}
	case in.Type == oplog.OpComplete && holds(USeen):
		// It may be an earlier Complete's work: that this one is over too is known only
		// where an upload cannot be completed twice.
		rest = in.Reps.Minus(found.And(cfg.Fences))
	}
	if in.Kind == object.Present && info.ETag == "" {
		info.ETag = seen.ETag
	}
	return decide(row, evidence{info: info, good: found, unsettled: entries(in, rest, now), typ: in.Type}, cfg, now)
}

func (r *Read) swapped(now Now, ev Swapped) []Effect {
	switch r.state {
	case rHelp:
		if ev.Outcome != Applied {
			return r.restart(now)
		}
		r.row = atEpoch(r.tried, ev.Epoch)
		return r.serve(r.row.Cur)
	case rDispute:
		return r.readRow(rRow)
	}
	return nil
}
