package explore

import (
	"errors"
	"fmt"
)

// Result of a search.
type Result struct {
	States      int // distinct, by canonical form
	Transitions int
	Ends        int // distinct states after which nothing happens
	Depth       int // moves of the longest path
	Err         error
	path        []move // to the violation
	sc          *Scenario
}

// Options of a search.
type Options struct {
	MaxStates int  // gives up beyond so many, with ErrTooMany; 0: never
	MaxMoves  int  // goes no deeper, so that what it finds is short; 0: to every end
	Full      bool // states have one name only if they are one, in every detail (doc.go)
	Every     bool // tries every order, also of what commutes
	Paranoid  bool // looks after every move whether it changed the state that it began from
}

// Search visits every state of a scenario, depth first, and stops at the first
// that breaks a promise.
func Search(sc *Scenario, o Options) Result { return newSearch(o).run(sc) }

type search struct {
	Result
	o      Options
	seen   table
	onPath map[stateID]bool
	depths map[stateID]uint16 // with MaxMoves: moves from the beginning to each state
	enc    encoder

	each func(*world, bool) // for tests: sees every state when it is new, and whether it is an end
}

func newSearch(o Options) *search {
	s := &search{o: o, onPath: map[stateID]bool{}, enc: encoder{full: o.Full}}
	if o.MaxMoves > 0 {
		s.depths = map[stateID]uint16{}
	}
	return s
}

func (s *search) run(sc *Scenario) Result {
	w := newWorld(sc)
	w.every = s.o.Every
	s.sc = sc
	s.visit(w)
	return s.Result
}

// ErrTooMany ends a search that met more states than it was to.
var ErrTooMany = errors.New("more states than asked for")

// visit explores what follows a state; false ends the search.
func (s *search) visit(w *world) bool {
	id := w.id(&s.enc)
	known := !s.seen.add(id)
	if known && s.onPath[id] {
		// Time passes and budgets shrink with every round, so that two equal states
		// on one path mean a key that may never come to rest.
		s.Err = fmt.Errorf("I11: the world goes round in a circle: %s", rowText(w.row))
		return false
	}
	if known && !s.nearer(id) {
		return true
	}
	if !known {
		s.States++
	}
	if s.o.MaxStates > 0 && s.States > s.o.MaxStates {
		s.Err = ErrTooMany
		return false
	}
	s.Depth = max(s.Depth, len(s.path))
	if s.o.MaxMoves > 0 {
		s.depths[id] = uint16(len(s.path)) //nolint:gosec // hundreds
		if len(s.path) >= s.o.MaxMoves {
			return true
		}
	}
	s.onPath[id] = true
	if !s.beyond(w, id, known) {
		return false
	}
	delete(s.onPath, id)
	return true
}

// nearer tells whether a state that is known was met by a shorter way now, in a
// search that goes only so far.
func (s *search) nearer(id stateID) bool {
	return s.o.MaxMoves > 0 && int(s.depths[id]) > len(s.path)
}

// beyond makes every move from a state.
func (s *search) beyond(w *world, id stateID, known bool) bool {
	moves := w.moves()
	end := w.ended(moves)
	if s.each != nil && !known {
		s.each(w, end)
	}
	for _, mv := range moves {
		if !s.follow(w, mv) {
			return false
		}
		if s.o.Paranoid && w.id(&s.enc) != id {
			s.Err = errors.New("a move changed the state that it began from")
			return false
		}
	}
	if !end {
		return true
	}
	if !known {
		s.Ends++
	}
	w.checkEnd()
	s.Err = w.err
	return w.err == nil
}

// follow makes one move, and once more with a crash right after it.
func (s *search) follow(w *world, mv move) bool {
	next := w.copy()
	next.do(mv)
	var crashed, other *world
	if next.err == nil && next.mayCrash() {
		crashed = next.crashed(false)
		if next.heirs(next.stepped) {
			other = next.crashed(true)
		}
	}
	if !s.enter(next, mv) {
		return false
	}
	mv.crash = true
	if crashed != nil && !s.enter(crashed, mv) {
		return false
	}
	mv.first = true
	return other == nil || s.enter(other, mv)
}

func (w *world) crashed(first bool) *world {
	c := w.copy()
	c.crash(w.stepped)
	c.inherit(first)
	c.settle()
	return c
}

func (s *search) enter(next *world, mv move) bool {
	s.Transitions++
	s.path = append(s.path, mv)
	if next.err != nil {
		s.Err = next.err
		return false
	}
	if !s.visit(next) {
		return false
	}
	s.path = s.path[:len(s.path)-1]
	return true
}

// ended tells whether nothing happens any more, but for a compare-and-set that
// its sender does not wait for and that may as well never come.
func (w *world) ended(moves []move) bool {
	for _, mv := range moves {
		if mv.kind != deliver || w.msgs[mv.n].kind != swap || !w.msgs[mv.n].late && !w.orphan(&w.msgs[mv.n]) {
			return false
		}
	}
	return true
}

// Moves is the length of the way to the violation.
func (r *Result) Moves() int { return len(r.path) }

// Trace replays the way to the violation, a line for each thing that happened.
func (r *Result) Trace(line func(string)) {
	w := newWorld(r.sc)
	w.trace = func(format string, args ...any) { line(fmt.Sprintf(format, args...)) }
	for _, mv := range r.path {
		w = w.copy()
		w.do(mv)
	}
	if w.err != nil {
		line("VIOLATION " + w.err.Error())
	}
}
