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
func (Copy) effect()     {}
func (Examined) effect() {}

// Memory is what one node observed of one key over several visits. Losing it is
// safe: it only makes the node wait longer.
type Memory struct {
	Nonce  object.ID                  // of the intent last seen
	Since  time.Duration              // Boot when that nonce was first seen
	Series map[string]Series          // by replica: the watch of R19
	Seen   map[EntryKey]time.Duration // Boot when an unsettled entry was first seen
}

// Series is an unbroken run of answered HEADs.
type Series struct {
	Begun, Last time.Duration // Boot
}

// EntryKey names an unsettled entry.
type EntryKey struct {
	Op      object.ID
	Replica string
}

func (m *Memory) watch(r string, answered bool, now time.Duration, gap time.Duration) {
	s, ok := m.Series[r]
	switch {
	case !answered:
		delete(m.Series, r)
		return
	case !ok || now-s.Last > gap:
		s.Begun = now
	}
	s.Last = now
	if m.Series == nil {
		m.Series = map[string]Series{}
	}
	m.Series[r] = s
}

// note remembers when each entry was first seen and forgets those that are gone.
func (m *Memory) note(row *oplog.Row, now time.Duration) {
	seen := map[EntryKey]time.Duration{}
	for _, e := range row.Unsettled {
		k := EntryKey{e.Op, e.Replica}
		at, ok := m.Seen[k]
		if !ok {
			at = now
		}
		seen[k] = at
	}
	m.Seen = seen
	if row.Intent == nil {
		m.Nonce = object.ID{}
	} else if m.Nonce != row.Intent.Nonce {
		m.Nonce, m.Since = row.Intent.Nonce, now
	}
}

// watched tells whether an entry may be settled by time (R19): this node saw
// the replica answer without a pause for T_settle since the entry was there.
func (m *Memory) watched(e oplog.Entry, now, settle time.Duration) bool {
	s, ok := m.Series[e.Replica]
	at, known := m.Seen[EntryKey{e.Op, e.Replica}]
	return ok && known && now-max(s.Begun, at) >= settle
}

type repairState uint8

const (
	pNew repairState = iota
	pRow
	pHeads
	pSwap
	pCopy
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
			return p.look()
		}
	}
	return nil
}

func (p *Repair) look() []Effect {
	p.rounds++
	if p.rounds > repairRounds {
		return p.end(Report{Row: p.row, Failed: true, Next: p.pause()})
	}
	p.state = pRow
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
	if p.row.Quiet(p.cfg.Replicas) && (!p.retired(now) || p.row.IsMap()) {
		return p.end(Report{Row: p.row, Next: p.cfg.Times.Retention})
	}
	return p.heads()
}

// retired tells whether the row has been unchanged for the retention.
func (p *Repair) retired(now Now) bool {
	return now.Wall.Sub(p.row.Changed) > p.cfg.Times.Retention
}

// heads asks every replica of the set, so that each visit is a beat of each
// replica's watch series.
func (p *Repair) heads() []Effect {
	p.state, p.asked, p.shown = pHeads, p.cfg.Replicas, map[string]object.Seen{}
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
		p.shown[ev.Replica] = ev.Seen
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
	if next := p.rollForward(now); next != nil {
		return p.swap(next)
	}
	if next := p.tidy(now); next != nil {
		return append(p.alarms(), p.swap(next)...)
	}
	if r, ok := p.lagging(); ok {
		p.copied, p.state = p.copied.With(r), pCopy
		return []Effect{Copy{Target: r, Info: p.row.Cur, Sources: p.sources()}}
	}
	if p.droppable(now) {
		p.drops = true
		return p.swap(nil)
	}
	return p.end(Report{Row: p.row, Next: p.pause()})
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
	return p.cfg.Replicas.Filter(func(r string) bool {
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

// resolve ends an expired intent (R24): forward when an anchored replica shows
// it, back when that is known to be safe, else not yet.
func (p *Repair) resolve(now Now) []Effect {
	in := p.row.Intent
	if in.Type == oplog.OpHeal {
		next := p.row.Clone()
		next.Intent, next.Changed = nil, now.Wall
		next.Unsettled = addEntries(next.Unsettled, entries(in, in.Reps, now))
		return p.swap(next)
	}
	found := p.which(func(r string, s object.Seen) bool { return showsIntent(p.row, r, s) })
	if anchored(p.row, found, in.Ver) {
		return p.swap(helped(p.row, found, p.shown[found[0]], p.cfg, now))
	}
	if p.row.Open {
		return p.closeBase(now)
	}
	good := p.showing().And(p.row.Good)
	lost := p.allAnswered(p.cfg.Replicas) || p.row.Cur.Kind == object.Tombstone && p.allAnswered(p.row.Good)
	if len(good) > 0 || lost {
		next := p.row.Clone()
		if seen, agree := p.agreed(); len(good) == 0 && agree && len(p.row.Unsettled) == 0 && seen.Kind == object.Present && !partOf(in, seen) {
			next.Cur, next.Good = seen.Info, p.cfg.Replicas
			next.Cur.Ver = object.Tick(now.Wall, p.row.MaxVer())
		}
		next.Intent, next.Changed = nil, now.Wall
		next.Unsettled = addEntries(next.Unsettled, entries(in, in.Reps, now))
		return p.swap(next)
	}
	return p.end(Report{Row: p.row, Next: p.pause()})
}

// agreed returns what all replicas show, if they all show the same.
func (p *Repair) agreed() (object.Seen, bool) {
	var first object.Seen
	for i, r := range p.cfg.Replicas {
		s, ok := p.shown[r]
		if !ok {
			return first, false
		}
		if i == 0 {
			first = s
		} else if !s.Shows(first.Info) {
			return first, false
		}
	}
	return first, true
}

// closeBase clears an intent whose base was not known and records what was seen
// of it: data before absence where replicas differ.
func (p *Repair) closeBase(now Now) []Effect {
	in := p.row.Intent
	var base *object.Seen
	for _, r := range p.cfg.Replicas {
		s, ok := p.shown[r]
		if !ok || partOf(in, s) {
			continue
		}
		if base == nil || base.Kind == object.Tombstone && s.Kind == object.Present {
			base = &s
		}
	}
	if base == nil {
		return p.end(Report{Row: p.row, Next: p.pause()})
	}
	next := p.row.Clone()
	next.Cur = base.Info
	next.Cur.Ver, next.Open, next.Intent, next.Changed = 0, false, nil, now.Wall
	next.Good = next.Good.Filter(func(r string) bool {
		s, ok := p.shown[r]
		return !ok || s.Shows(base.Info)
	})
	next.Unsettled = addEntries(next.Unsettled, entries(in, in.Reps, now))
	return p.swap(next)
}

// rollForward decides a version that nobody was told about, when it is all that
// is left of the key (R25); without it keys get stuck.
func (p *Repair) rollForward(now Now) *oplog.Row {
	if len(p.row.Unsettled) == 0 || !p.allAnswered(p.cfg.Replicas) || len(p.showing()) > 0 {
		return nil
	}
	var best *oplog.Entry
	var holders object.Replicas
	for i, e := range p.row.Unsettled {
		if e.Ver <= p.row.Cur.Ver || e.Type == oplog.OpHeal || best != nil && e.Ver <= best.Ver {
			continue
		}
		found := p.holders(e)
		if anchored(p.row, found, e.Ver) {
			best, holders = &p.row.Unsettled[i], found
		}
	}
	if best == nil {
		return nil
	}
	info := p.shown[holders[0]].Info
	info.ID, info.Ver, info.Kind = best.ID, best.Ver, best.Kind
	return decide(p.row, evidence{info: info, good: holders}, p.cfg, now)
}

// holders are the replicas that show an entry's version, whole: of copies that
// differ only those that are like the first.
func (p *Repair) holders(e oplog.Entry) object.Replicas {
	like := e.ETag
	return p.which(func(_ string, s object.Seen) bool {
		if !landed(e, s) || like != "" && s.ETag != like && isMD5(s.ETag) && isMD5(like) {
			return false
		}
		if like == "" {
			like = s.ETag
		}
		return true
	})
}

// tidy brings the row in line with what the replicas show: settled requests go
// (R19), replicas that hold the version are good, others are not. It returns nil
// when the row says so already.
func (p *Repair) tidy(now Now) *oplog.Row {
	showing := p.showing()
	good := p.row.Good.Or(showing)
	bad := p.which(func(r string, s object.Seen) bool { return good.Has(r) && !shows(p.row, r, s) })
	if !anchored(p.row, good.Minus(bad), p.row.Cur.Ver) {
		good = good.Minus(bad).Or(p.row.Good) // what is left would not carry the version
	} else {
		good, bad = good.Minus(bad), nil
	}
	next := p.row.Clone()
	next.Good, next.Unsettled = good, nil
	named := bad
	for _, e := range p.row.Unsettled {
		// I4: a replica that counts as good and shows something else stays named,
		// by the request that it shows if there is one.
		if !p.settled(e, now, len(showing) > 0) || bad.Has(e.Replica) && landed(e, p.shown[e.Replica]) {
			next.Unsettled = append(next.Unsettled, e)
			named = named.Without(e.Replica)
		}
	}
	for _, e := range p.row.Unsettled {
		if named.Has(e.Replica) {
			next.Unsettled = append(next.Unsettled, e)
			named = named.Without(e.Replica)
		}
	}
	if len(next.Unsettled) == len(p.row.Unsettled) && next.Good.Equal(p.row.Good) {
		return nil
	}
	next.Changed = now.Wall
	return next
}

// alarms names replicas that acknowledged the version and do not show it, though
// no request that anybody knows of could have changed them (H26): they forgot it,
// or somebody else writes to them.
func (p *Repair) alarms() []Effect {
	var out []Effect
	for _, r := range p.row.Good {
		if s, ok := p.shown[r]; ok && !shows(p.row, r, s) && clean(p.row, r) {
			out = append(out, Alarm{"replica " + r + " does not hold what it acknowledged"})
		}
	}
	return out
}

// settled tells whether a released request is over: its PUT is seen, or time has
// passed under watch. Absence never settles a DELETE (R26).
func (p *Repair) settled(e oplog.Entry, now Now, curSeen bool) bool {
	s, ok := p.shown[e.Replica]
	if !ok {
		return false
	}
	if !curSeen && e.Ver > p.row.Cur.Ver && landed(e, s) {
		// With the current version nowhere in sight this may be all that is left of
		// the key: rollForward needs the entry (the simulator's addition to R19).
		return false
	}
	if e.Kind == object.Present && landed(e, s) && curSeen && p.alone(e) {
		return true
	}
	return p.mem.watched(e, now.Boot, p.cfg.Times.Settle)
}

// landed tells whether a replica shows what the request would have left there:
// the whole version, not a part of it that an earlier request left (the
// simulator's addition to R19), or absence.
func landed(e oplog.Entry, s object.Seen) bool {
	if s.Kind != e.Kind || e.Kind == object.Tombstone {
		return s.Kind == e.Kind
	}
	return s.ID == e.ID && s.Size == e.Size && !(e.ETag != "" && s.ETag != e.ETag && isMD5(s.ETag) && isMD5(e.ETag))
}

// alone tells whether no other request of the same version is on the replica.
func (p *Repair) alone(e oplog.Entry) bool {
	n := 0
	for _, o := range p.row.Unsettled {
		if o.Replica == e.Replica && o.ID == e.ID {
			n++
		}
	}
	return n == 1
}

// sources are the good replicas that just showed the version. A tombstone needs
// none: it is copied by a DELETE.
func (p *Repair) sources() object.Replicas { return p.showing().And(p.row.Good) }

// lagging returns a replica that can be healed now: not good, clean, answering,
// and not tried on this visit.
func (p *Repair) lagging() (string, bool) {
	if len(p.sources()) == 0 && p.row.Cur.Kind == object.Present {
		return "", false
	}
	for _, r := range p.cfg.Replicas.Minus(p.row.Good) {
		_, answered := p.shown[r]
		if answered && clean(p.row, r) && !p.copied.Has(r) {
			return r, true
		}
	}
	return "", false
}

// droppable tells whether the key is quiet and every replica just showed it (R28).
func (p *Repair) droppable(now Now) bool {
	return p.row.Quiet(p.cfg.Replicas) && p.retired(now) && !p.row.IsMap() &&
		len(p.showing()) == len(p.cfg.Replicas)
}
