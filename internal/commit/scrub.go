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
		Deep bool // the bytes are read too, and the tags
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

type scrubState uint8

const (
	sNew    scrubState = iota
	sRow               // reading the row
	sFirst             // asking for what is to be read
	sSums              // reading bytes
	sHeads             // asking everyone
	sTags              // asking who showed an object for its tags
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
	asked  object.Replicas // HEADs, sums or tags under way
	shown  map[string]object.Seen
	sums   map[string]Summed
	summed map[string]object.Seen // what each sum is of
	told   map[string]object.Tags // of who said under which tags it holds what it showed
	dumb   object.Replicas        // did not say
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
	case ToldTags:
		return s.toldTags(now, ev)
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
		if ev.Row != nil && (ev.Row.Open || !ev.Row.Quiet(s.cfg.Kept())) {
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
//   - A node that does not know yet that the replica is in the set, or is wanted again after it
//     was left behind, drops a row of which only that one is missing. It may not once it is older than half of the retention in what it
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
	s.state, s.asked, s.shown, s.told, s.dumb = state, s.cfg.Replicas, map[string]object.Seen{}, nil, nil
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
	}
	if out := s.askTags(); out != nil {
		return out
	}
	return s.lookAgain(now)
}

// lookAgain is the second look at the row, after all that is compared was shown.
func (s *Scrub) lookAgain(now Now) []Effect {
	if !holds(SSecond) {
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
	v.Silent = v.Silent.Or(unread).Or(s.dumb)
	if unclear {
		v.State, v.Faults = Undecided, s.faults(next, rotten)
		return s.end(v)
	}
	next.Good = next.Good.Minus(rotten)
	next.Rotten = next.Rotten.Or(rotten)
	mistags, split := s.mistag(next)
	v.Faults = append(s.faults(next, rotten), mistags...)
	switch {
	case split:
		v.State = Undecided
		return s.end(v)
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
