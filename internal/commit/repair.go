package commit

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Events and effects of a repair.
type (
	// Examine starts it. Memory is what this node's earlier visits to the key
	// observed; the machine changes it in place. Expired is the nonce of an intent
	// that the caller saw unchanged for a lease, or zero.
	Examine struct {
		Memory  *Memory
		Expired object.ID
	}
	// Copied answers Copy: OK when the heal's decide is known.
	Copied struct {
		Target string
		OK     bool
	}
	// Copy asks for a heal: a Write of type OpHeal from one of Sources to Target
	// (R27). A tombstone is copied by a DELETE.
	Copy struct {
		Target  string
		Info    object.Info
		Sources object.Replicas
	}
	// Fence asks for an end of an upload's Completes on a replica: Fenced.OK once nothing
	// of the upload is left there. MayFence tells whether it may be aborted.
	Fence struct {
		Replica string
		Upload  object.ID
		Decided bool // it became a version of the key
	}
	// Fenced answers it.
	Fenced struct {
		Replica string
		Upload  object.ID
		OK      bool
	}
	// Remember asks that the documents of these uploads say that they became versions
	// (Remembered).
	Remember struct{ Done []oplog.Done }
	// Recalled answers it: OK when all do.
	Recalled struct{ OK bool }
	// Examined ends the repair with what is left.
	Examined struct{ Report Report }
)

// Report is the state of a key after a visit.
type Report struct {
	Row    *oplog.Row    // nil: quiet, or the row was dropped
	Next   time.Duration // when to come again at the latest; watch series need it
	Failed bool          // the log did not answer, or the row moved too often
}

func (Examine) event()   {}
func (Copied) event()    {}
func (Fenced) event()    {}
func (Recalled) event()  {}
func (Copy) effect()     {}
func (Fence) effect()    {}
func (Remember) effect() {}
func (Examined) effect() {}

type repairState uint8

const (
	pNew repairState = iota
	pRow
	pHeads
	pSwap
	pCopy
	pFence
	pRemember
	pTags
	pOver
)

// repairRounds bounds how often one visit looks at the row again.
const repairRounds = 8

// Repair is the one entry point for everything that happens to a key without a
// client: it resolves an expired intent, settles requests, adds and removes good
// replicas by evidence, heals lagging ones and drops a quiet row (RELIABILITY 4.5).
type Repair struct {
	cfg     Config
	state   repairState
	mem     *Memory
	expired object.ID
	rounds  int

	row    *oplog.Row
	shown  map[string]object.Seen // answered HEADs of this round
	asked  object.Replicas        // HEADs under way
	tried  *oplog.Row
	drops  bool
	copied object.Replicas // targets of this visit

	fences []fenceOf // of this visit
	recall bool      // the documents were asked for on this visit

	told   map[string]object.Tags // by replica: under which tags it showed the version in this round
	dumb   object.Replicas        // did not say
	mended object.Replicas        // targets of this visit
}

// NewRepair returns the machine of one visit to one key.
func NewRepair(cfg Config) *Repair { return &Repair{cfg: cfg} }

// Over tells that the machine wants no more events.
func (p *Repair) Over() bool { return p.state == pOver }

// Step takes one event and returns what is to be done, in order.
func (p *Repair) Step(now Now, ev Event) []Effect {
	switch ev := ev.(type) {
	case Examine:
		p.mem, p.expired = ev.Memory, ev.Expired
		return p.look()
	case RowRead:
		return p.rowRead(now, ev)
	case Showed:
		return p.showed(now, ev)
	case Swapped:
		return p.swapped(now, ev)
	case Copied:
		if p.state == pCopy {
			if !ev.OK {
				p.mem.offered(ev.Target, now.Boot)
			}
			return p.look()
		}
	case Fenced:
		return p.fencedOne(ev)
	case Recalled:
		return p.recalled(now, ev)
	case ToldTags:
		return p.toldTags(now, ev)
	}
	return nil
}

func (p *Repair) look() []Effect {
	p.rounds++
	if p.rounds > repairRounds {
		return p.end(Report{Row: p.row, Failed: true, Next: p.pause()})
	}
	p.state, p.shown, p.tried, p.told, p.dumb = pRow, nil, nil, nil, nil
	return []Effect{ReadRow{}}
}

func (p *Repair) end(rep Report) []Effect {
	p.state = pOver
	return []Effect{Examined{rep}}
}

func (p *Repair) rowRead(now Now, ev RowRead) []Effect {
	if ev.Failed {
		return p.end(Report{Row: p.row, Failed: true, Next: p.pause()})
	}
	p.row = ev.Row
	if p.row == nil {
		*p.mem = Memory{}
		return p.end(Report{})
	}
	p.mem.note(p.row, now.Boot)
	p.mem.refusals(p.row, now.Boot)
	if p.idle(now) {
		return p.end(Report{Row: p.row, Next: p.cfg.Times.Retention})
	}
	return p.heads()
}

// idle tells whether a visit can change nothing: the row is quiet and has to wait
// out its retention, or it only says what replicas miss that are not healed in
// this mode. Nobody is asked then, so that those who are left alone are.
func (p *Repair) idle(now Now) bool {
	if p.row.Quiet(p.cfg.Kept()) {
		return !p.retired(now) || p.row.IsMap()
	}
	return p.row.Quiet(p.cfg.heals())
}

// retired tells whether the row has been unchanged for the retention.
func (p *Repair) retired(now Now) bool {
	return !holds(R28Retention) || now.Wall.Sub(p.row.Changed) > p.cfg.Times.Retention
}

// heads asks every replica of the set, so that each visit is a beat of each
// replica's watch series.
func (p *Repair) heads() []Effect {
	p.state, p.asked, p.shown = pHeads, p.cfg.whole(), map[string]object.Seen{}
	var out []Effect
	for _, r := range p.asked {
		out = append(out, Head{r})
	}
	return out
}

func (p *Repair) showed(now Now, ev Showed) []Effect {
	if p.state != pHeads || !p.asked.Has(ev.Replica) {
		return nil
	}
	p.asked = p.asked.Without(ev.Replica)
	p.mem.watch(ev.Replica, !ev.Failed, now.Boot, p.cfg.Times.Gap)
	if !ev.Failed {
		p.shown = with(p.shown, ev.Replica, ev.Seen)
	}
	if len(p.asked) > 0 {
		return nil
	}
	return p.conclude(now)
}

// pause is the time to the next beat.
func (p *Repair) pause() time.Duration { return p.cfg.Times.Gap / 3 }

// conclude chooses the one next step that the evidence allows.
func (p *Repair) conclude(now Now) []Effect {
	if in := p.row.Intent; in != nil {
		if !p.dead(in, now) {
			return p.end(Report{Row: p.row, Next: p.pause()})
		}
		return p.resolve(now)
	}
	if out := p.fence(); out != nil {
		return out
	}
	if next := p.rollForward(now); next != nil && holds(R25Roll) {
		return p.swap(next)
	}
	if next := p.tidy(now); next != nil {
		return append(p.alarms(), p.swap(next)...)
	}
	if len(p.row.Done) > 0 && !p.recall {
		p.recall, p.state = true, pRemember
		return []Effect{Remember{p.row.Done}}
	}
	if out := p.tags(now); out != nil {
		return out
	}
	if r, ok := p.lagging(now); ok {
		p.copied, p.state = p.copied.With(r), pCopy
		return []Effect{Copy{Target: r, Info: p.row.Cur, Sources: p.sources()}}
	}
	if p.droppable(now) {
		if next := p.keepSums(); next != nil {
			return p.swap(next)
		}
		p.drops = true
		return p.swap(nil)
	}
	return p.end(Report{Row: p.row, Next: max(p.pause(), p.offers(now))})
}

// offers is when the first replica is offered the key again that refuses it, if nothing
// else is left to do.
func (p *Repair) offers(now Now) time.Duration {
	missing := p.cfg.heals().Minus(p.row.Good)
	if len(missing) == 0 || len(p.row.Unsettled) > 0 {
		return 0
	}
	next := p.cfg.Times.Refused
	for _, r := range missing {
		next = min(next, p.mem.offerIn(r, now.Boot, p.cfg.Times))
	}
	return next
}

// dead tells whether the intent's owner has lost its lease.
func (p *Repair) dead(in *oplog.Intent, now Now) bool {
	return in.Nonce == p.expired || p.cfg.Exclusive && in.Owner != p.cfg.Node ||
		p.mem.Nonce == in.Nonce && now.Boot-p.mem.Since >= p.cfg.Times.Lease
}

func (p *Repair) swap(next *oplog.Row) []Effect {
	p.state, p.tried = pSwap, next
	return []Effect{Swap{p.row.Epoch, next}}
}

func (p *Repair) swapped(now Now, ev Swapped) []Effect {
	if p.state != pSwap {
		return nil
	}
	if ev.Outcome == Applied && p.tried == nil {
		*p.mem = Memory{}
		return p.end(Report{})
	}
	return p.look() // applied or not: what the row says now decides the next step
}

// ---- evidence

// which returns the replicas that answered with something that fits.
func (p *Repair) which(fits func(r string, s object.Seen) bool) object.Replicas {
	return p.cfg.whole().Filter(func(r string) bool {
		s, ok := p.shown[r]
		return ok && fits(r, s)
	})
}

func (p *Repair) showing() object.Replicas {
	return p.which(func(r string, s object.Seen) bool { return shows(p.row, r, s) })
}

func (p *Repair) allAnswered(reps object.Replicas) bool {
	for _, r := range reps {
		if _, ok := p.shown[r]; !ok {
			return false
		}
	}
	return true
}

// sources are the good replicas that just showed the version. A tombstone needs
// none: it is copied by a DELETE.
func (p *Repair) sources() object.Replicas { return p.showing().And(p.row.Good) }

// lagging returns a replica that can be healed now: not good, clean, answering,
// not tried on this visit, healed at all in this mode, and not to be left alone
// because it refuses the key.
func (p *Repair) lagging(now Now) (string, bool) {
	if len(p.sources()) == 0 && p.row.Cur.Kind == object.Present || p.unknownTags() {
		return "", false
	}
	for _, r := range p.cfg.heals().Minus(p.row.Good) {
		_, answered := p.shown[r]
		if p.mem.offerIn(r, now.Boot, p.cfg.Times) > 0 {
			continue
		}
		if answered && (clean(p.row, r) || !holds(R27Clean)) && !p.copied.Has(r) {
			return r, true
		}
	}
	return "", false
}

// droppable tells whether the key is quiet and every replica that its row waits for just
// showed it (R28). A replica that was left behind is compared by what it shows, which tells
// nothing of tags: what it may have under other ones stays, whether or not the row counts it as
// good, which one that was made since does not. Which replicas there are, and which of them were
// left behind, must be known lately: one that joined the bucket's set since then, or is wanted
// again, may lack what the row says, and the row alone tells it (J1; see Scrub for the other half).
func (p *Repair) droppable(now Now) bool {
	kept := p.cfg.Kept()
	return p.row.Quiet(kept) && len(p.row.Mistagged.And(p.cfg.Behind)) == 0 &&
		(p.showing().Covers(kept) || !holds(R28Fresh)) &&
		(p.cfg.Read == 0 || now.Boot-p.cfg.Read <= p.cfg.Times.Retention/2 || !holds(JYoung))
}
