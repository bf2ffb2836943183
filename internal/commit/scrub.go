package commit

import (
	"maps"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Events and effects of a scrub of one key.
type (
	// Inspect starts it.
	Inspect struct {
		Deep bool // the bytes are read too
		Act  bool // what differs gets a row; else it is only told

		// Trust are the replicas whose word counts; among them data wins over absence (H19).
		// Fill are others that are made like them: what they alone hold is taken away.
		Trust, Fill object.Replicas
		// Prefer is whose object stands where replicas hold different ones; may be empty.
		Prefer string
	}
	// Sum asks for the bytes of what a replica showed.
	Sum struct {
		Replica string
		Seen    object.Seen
	}
	// Summed answers it.
	Summed struct {
		Replica string
		Sum     string // equal for equal bytes
		Proof   Proof
		Failed  bool // it could not be read to its end
	}
	// Inspected ends it.
	Inspected struct{ Verdict Verdict }
)

func (Inspect) event()    {}
func (Summed) event()     {}
func (Sum) effect()       {}
func (Inspected) effect() {}

// Proof is what an object's own checksum says of its bytes.
type Proof int8

const (
	Disproved Proof = iota - 1
	Unproved        // it has none that could be compared
	Proved
)

// State is how the replicas of a key were found.
type State uint8

const (
	Alike     State = iota // all that answered show the same, or the row knows of what differs
	Pending                // the log knows that something is under way, or left to do: nothing is judged
	Differs                // see Faults; with Act the key has a row now, and is healed
	Undecided              // they differ, and nothing says which of them is right: an operator must
	Unknowing              // the log did not answer, or the key changed all the time
)

// Fault is what is wrong with one replica of a key.
type Fault struct {
	Replica string
	What    Wrong
	Seen    object.Info // what it showed
	Want    object.Info // what it should hold
}

// Wrong is a kind of fault.
type Wrong string

const (
	Missing   Wrong = "missing"  // an object should be there
	Extra     Wrong = "extra"    // none should be
	WrongSize Wrong = "size"     // an object of another size
	WrongETag Wrong = "etag"     // of another ETag
	WrongID   Wrong = "identity" // of another write
	Rot       Wrong = "bytes"    // the right object by all that it says, of other bytes
)

// Verdict is what a scrub found of a key.
type Verdict struct {
	State  State
	Faults []Fault
	Silent object.Replicas // did not answer, or could not be read
	Known  bool            // the key has a row
}

type scrubState uint8

const (
	sNew    scrubState = iota
	sRow               // reading the row
	sFirst             // asking for what is to be read
	sSums              // reading bytes
	sHeads             // asking everyone
	sSecond            // looking at the row again
	sSwap              // making a row
	sOver
)

// scrubRounds bounds how often a scrub begins anew since its key changed.
const scrubRounds = 3

// Scrub compares the replicas of one key. A listing only nominates keys (H18): what is
// found goes through the row and fresh HEADs, and what differs becomes a row in which
// the right replicas are good, by a compare-and-set on what the row was. The healer does
// the rest, as for any other row.
type Scrub struct {
	cfg    Config
	op     Inspect
	state  scrubState
	rounds int
	begun  time.Duration // Boot when the row was read that the HEADs are compared with

	row    *oplog.Row
	asked  object.Replicas // HEADs or sums under way
	shown  map[string]object.Seen
	sums   map[string]Summed
	summed map[string]object.Seen // what each sum is of
	tried  Verdict
}

// NewScrub returns the machine of one look at one key.
func NewScrub(cfg Config) *Scrub { return &Scrub{cfg: cfg} }

// Over tells that the machine wants no more events.
func (s *Scrub) Over() bool { return s.state == sOver }

// Step takes one event and returns what is to be done, in order.
func (s *Scrub) Step(now Now, ev Event) []Effect {
	switch ev := ev.(type) {
	case Inspect:
		s.op = ev
		return s.look(now)
	case RowRead:
		return s.rowRead(now, ev)
	case Showed:
		return s.showed(now, ev)
	case Summed:
		return s.summedUp(now, ev)
	case Swapped:
		return s.swapped(now, ev)
	}
	return nil
}

func (s *Scrub) end(v Verdict) []Effect {
	s.state = sOver
	return []Effect{Inspected{v}}
}

// look begins a round.
func (s *Scrub) look(now Now) []Effect {
	s.rounds++
	if s.rounds > scrubRounds {
		return s.end(Verdict{State: Unknowing})
	}
	s.state, s.begun = sRow, now.Boot
	return []Effect{ReadRow{}}
}

func (s *Scrub) rowRead(now Now, ev RowRead) []Effect {
	if ev.Failed {
		return s.end(Verdict{State: Unknowing})
	}
	switch s.state {
	case sRow:
		if ev.Row != nil && (ev.Row.Open || !ev.Row.Quiet(s.cfg.whole())) {
			return s.pending(now, ev.Row)
		}
		s.row = ev.Row
		if s.op.Deep && s.sums == nil {
			return s.ask(sFirst)
		}
		return s.ask(sHeads)
	case sSecond:
		if epochOf(ev.Row) != epochOf(s.row) || now.Boot-s.begun > s.cfg.Times.Retention/2 {
			return s.look(now) // what was shown may be of before and of after
		}
		return s.judge(now)
	}
	return nil
}

// pending leaves a key to its row, which says what each replica misses. For a replica that
// is to serve once every key was looked at that must last:
//
//   - A row that was made for a write may go again with it, as long as nobody has looked
//     what stands there (J3).
//   - A node that does not know yet that the replica is in the set drops a row of which only
//     that one is missing. It may not once it is older than half of the retention in what it
//     knows (J1). So the row must be younger than the replica's place in the set: it is
//     touched. The end of an intent touches it too, and a change of tags that took a row
//     which it made back would conflict (J2).
func (s *Scrub) pending(now Now, row *oplog.Row) []Effect {
	v := Verdict{State: Pending, Known: true}
	fills := s.op.Act && len(s.op.Fill.Or(s.op.Trust).Minus(s.cfg.Serving)) > 0
	switch {
	case fills && row.Open && holds(JOpen):
		v.State = Unknowing
		return s.end(v)
	case !fills || row.Intent != nil || row.Cfg >= s.cfg.Epoch && len(row.Tagging) == 0 || !holds(JTouch):
		return s.end(v)
	}
	next := row.Clone()
	next.Changed = now.Wall
	s.cfg.lift(next)
	s.row, s.tried, s.state = row, v, sSwap
	return []Effect{Swap{row.Epoch, next}}
}

func (s *Scrub) ask(state scrubState) []Effect {
	s.state, s.asked, s.shown = state, s.cfg.Replicas, map[string]object.Seen{}
	var out []Effect
	for _, r := range s.asked {
		out = append(out, Head{r})
	}
	return out
}

func (s *Scrub) showed(now Now, ev Showed) []Effect {
	if s.state != sFirst && s.state != sHeads || !s.asked.Has(ev.Replica) {
		return nil
	}
	s.asked = s.asked.Without(ev.Replica)
	if !ev.Failed {
		s.shown = with(s.shown, ev.Replica, ev.Seen)
	}
	switch {
	case len(s.asked) > 0:
		return nil
	case s.state == sFirst:
		return s.read(now)
	case !holds(SSecond):
		return s.judge(now)
	}
	s.state = sSecond
	return []Effect{ReadRow{}}
}

// read asks for the bytes of every object that was shown. They take long: the HEADs that
// count come afterwards.
func (s *Scrub) read(now Now) []Effect {
	s.state, s.sums, s.summed = sSums, map[string]Summed{}, map[string]object.Seen{}
	var out []Effect
	for _, r := range slices.Sorted(maps.Keys(s.shown)) {
		if seen := s.shown[r]; seen.Kind == object.Present {
			s.asked, s.summed = s.asked.With(r), with(s.summed, r, seen)
			out = append(out, Sum{r, seen})
		}
	}
	if len(out) == 0 {
		s.state, s.begun = sRow, now.Boot
		return []Effect{ReadRow{}}
	}
	return out
}

func (s *Scrub) summedUp(now Now, ev Summed) []Effect {
	if s.state != sSums || !s.asked.Has(ev.Replica) {
		return nil
	}
	s.asked = s.asked.Without(ev.Replica)
	s.sums = with(s.sums, ev.Replica, ev)
	if len(s.asked) > 0 {
		return nil
	}
	s.state, s.begun = sRow, now.Boot
	return []Effect{ReadRow{}}
}

// judge compares what was shown, and swaps the row in that makes it right.
func (s *Scrub) judge(now Now) []Effect {
	v := Verdict{Known: s.row != nil}
	v.Silent = s.op.Trust.Or(s.op.Fill).Filter(func(r string) bool { _, ok := s.shown[r]; return !ok })
	next := s.choose(now)
	if next == nil {
		switch {
		case v.Silent.Covers(s.op.Trust): // nobody whose word counts has spoken
			v.State = Unknowing
		case s.alike():
			v.State = Alike
		default:
			v.State = Undecided
		}
		return s.end(v)
	}
	rotten, unread, unclear := s.rotten(next)
	v.Silent = v.Silent.Or(unread)
	if unclear {
		v.State, v.Faults = Undecided, s.faults(next, rotten)
		return s.end(v)
	}
	next.Good = next.Good.Minus(rotten)
	next.Rotten = next.Rotten.Or(rotten)
	v.Faults = s.faults(next, rotten)
	switch {
	case len(v.Faults) == 0:
		v.State = Alike
		return s.end(v)
	case len(next.Good) == 0:
		v.State = Undecided
		return s.end(v)
	}
	v.State = Differs
	if !s.op.Act {
		return s.end(v)
	}
	s.tried, s.state = v, sSwap
	return []Effect{Swap{epochOf(s.row), next}, Alarm{"replicas differ in what they should hold: " + s.tried.words()}}
}

func (v Verdict) words() (text string) {
	for i, f := range v.Faults {
		if i > 0 {
			text += ", "
		}
		text += f.Replica + " " + string(f.What)
	}
	return text
}

func (s *Scrub) swapped(now Now, ev Swapped) []Effect {
	switch {
	case s.state != sSwap:
		return nil
	case ev.Outcome == Applied:
		s.tried.Known = true
		return s.end(s.tried)
	case ev.Outcome == Conflict:
		s.sums = nil // what was read may be of another version
		return s.look(now)
	}
	return s.end(Verdict{State: Unknowing})
}

// alike tells whether all that answered show the same.
func (s *Scrub) alike() bool { return len(s.groups(s.op.Trust.Or(s.op.Fill))) <= 1 }

// choose is the row in which the right replicas are good; nil when nothing says which
// those are.
func (s *Scrub) choose(now Now) *oplog.Row {
	if s.row != nil {
		next := s.row.Clone()
		next.Changed = now.Wall
		s.cfg.lift(next)
		next.Good = next.Good.Filter(func(r string) bool { seen, ok := s.shown[r]; return !ok || shows(s.row, r, seen) })
		if len(next.Good) == 0 || !slices.ContainsFunc(next.Good, func(r string) bool { _, ok := s.shown[r]; return ok }) {
			return nil // nobody shows the version
		}
		return next
	}
	cur, ok := s.winner()
	if !ok {
		return nil
	}
	next := &oplog.Row{Cfg: s.cfg.Epoch, Cur: s.cfg.common(cur), Changed: now.Wall}
	next.Cur.Ver = 0
	next.Good = s.cfg.Replicas.Filter(func(r string) bool { seen, ok := s.shown[r]; return ok && seen.Shows(cur) })
	return next
}

// group are replicas that show the same.
type group struct {
	seen object.Seen // of the first of them
	reps object.Replicas
}

// groups sorts the replicas by what they show.
func (s *Scrub) groups(reps object.Replicas) (all []group) {
	for _, r := range reps {
		seen, ok := s.shown[r]
		if !ok {
			continue
		}
		i := slices.IndexFunc(all, func(g group) bool { return seen.Shows(g.seen.Info) })
		if i < 0 {
			all, i = append(all, group{seen: seen}), len(all)
		}
		all[i].reps = all[i].reps.With(r)
	}
	return all
}

// winner chooses what a key without a row should hold: data wins over absence, since a
// delete that some replica missed would have a row (H19). Where replicas hold different
// objects it is that of the preferred one, of most of them, one that we wrote, the newest.
func (s *Scrub) winner() (object.Info, bool) {
	trusted := s.op.Trust
	answered := !slices.ContainsFunc(trusted, func(r string) bool { _, ok := s.shown[r]; return !ok })
	all := s.groups(trusted)
	objects := slices.DeleteFunc(slices.Clone(all), func(g group) bool { return g.seen.Kind == object.Tombstone })
	switch {
	case len(all) == 0:
		return object.Info{}, false
	case len(objects) == 0: // it takes away what others hold: everyone who counts must have shown it
		return all[0].seen.Info, answered || !holds(SAbsent)
	case len(objects) < len(all) && !holds(SData):
		return object.Info{Kind: object.Tombstone}, true
	case len(objects) == 1:
		return objects[0].seen.Info, true
	}
	for _, g := range objects {
		if g.reps.Has(s.op.Prefer) {
			return g.seen.Info, true
		}
	}
	for _, g := range objects {
		if 2*len(g.reps) > len(trusted) {
			return g.seen.Info, true
		}
	}
	if !answered {
		return object.Info{}, false
	}
	best := slices.MaxFunc(objects, func(a, b group) int { return better(a.seen, b.seen) })
	second := slices.ContainsFunc(objects, func(g group) bool { return !g.reps.Equal(best.reps) && better(g.seen, best.seen) == 0 })
	return best.seen.Info, !second
}

// better orders two objects of one key: one that we wrote before a foreign one, then by
// place where both tell it, then by time.
func better(a, b object.Seen) int {
	switch {
	case a.ID.IsZero() != b.ID.IsZero():
		if a.ID.IsZero() {
			return -1
		}
		return 1
	case a.Ver != 0 && b.Ver != 0:
		return int(min(max(int64(a.Ver)-int64(b.Ver), -1), 1))
	case !a.Uploaded.IsZero() && !b.Uploaded.IsZero() && !a.Uploaded.Equal(b.Uploaded):
		return a.Uploaded.Compare(b.Uploaded)
	}
	return a.ModTime.Compare(b.ModTime)
}

// rotten are the good replicas of a row whose bytes are not those of the version: by their
// own checksum, or since most of the others, or the one that is proved, have other ones.
// unread could not be read; unclear: nothing says whose bytes are right.
func (s *Scrub) rotten(row *oplog.Row) (rotten, unread object.Replicas, unclear bool) {
	if !s.op.Deep || row.Cur.Kind != object.Present {
		return nil, nil, false
	}
	count, proved := map[string]int{}, map[string]bool{}
	var read object.Replicas
	for _, r := range row.Good {
		seen, answered := s.shown[r]
		sum, ok := s.sums[r]
		switch {
		case !answered:
		case !ok || sum.Failed || !seen.Shows(s.summed[r].Info):
			unread = unread.With(r)
		case sum.Proof == Disproved:
			rotten = rotten.With(r)
		default:
			read = read.With(r)
			count[sum.Sum]++
			proved[sum.Sum] = proved[sum.Sum] || sum.Proof == Proved
		}
	}
	switch {
	case len(count) == 0:
		return rotten, unread, len(rotten) > 0 // none is known to be right
	case len(count) == 1:
		return rotten, unread, false
	}
	anyProved := slices.Contains(slices.Collect(maps.Values(proved)), true)
	right, found := "", 0
	for sum, n := range count {
		if proved[sum] || !anyProved && 2*n > len(read) {
			right, found = sum, found+1
		}
	}
	if found != 1 {
		return rotten, unread, true
	}
	for _, r := range read {
		if s.sums[r].Sum != right {
			rotten = rotten.With(r)
		}
	}
	return rotten, unread, false
}

// faults are what is wrong with each replica, by the row that would stand.
func (s *Scrub) faults(row *oplog.Row, rotten object.Replicas) (out []Fault) {
	for _, r := range s.op.Trust.Or(s.op.Fill) {
		seen, answered := s.shown[r]
		cur := row.Cur
		if own, ok := row.ETags[r]; ok {
			cur.ETag = own
		}
		f := Fault{Replica: r, Seen: seen.Info, Want: cur}
		switch {
		case !answered:
			continue
		case rotten.Has(r):
			f.What = Rot
		case seen.Shows(cur):
			continue
		case seen.Kind == object.Tombstone:
			f.What = Missing
		case cur.Kind == object.Tombstone:
			f.What = Extra
		case seen.Size != cur.Size:
			f.What = WrongSize
		case seen.ETag != cur.ETag:
			f.What = WrongETag
		default:
			f.What = WrongID
		}
		out = append(out, f)
	}
	return out
}
