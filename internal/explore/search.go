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
	Paranoid  bool // looks after every move whether it changed the state that it began from
}

// Search visits every state of a scenario, depth first, and stops at the first
// that breaks a promise.
func Search(sc *Scenario, o Options) Result {
	s := &search{o: o, seen: map[stateID]place{}}
	w := newWorld(sc)
	s.visit(w)
	s.Result.sc = sc
	return s.Result
}

type search struct {
	Result
	o    Options
	seen map[stateID]place
	enc  encoder
}

// place is where a state was met.
type place struct {
	depth  uint16 // moves from the beginning
	onPath bool
}

// ErrTooMany ends a search that met more states than it was to.
var ErrTooMany = errors.New("more states than asked for")

// visit explores what follows a state; false ends the search.
func (s *search) visit(w *world) bool {
	id := w.id(&s.enc)
	depth := uint16(len(s.path)) //nolint:gosec // hundreds
	was, known := s.seen[id]
	if was.onPath {
		// Time passes and budgets shrink with every round, so that two equal states
		// on one path mean a key that may never come to rest.
		s.Err = fmt.Errorf("I11: the world goes round in a circle: %s", rowText(w.row))
		return false
	}
	if known && (s.o.MaxMoves == 0 || was.depth <= depth) {
		return true
	}
	s.seen[id] = place{depth, true}
	if !known {
		s.States++
	}
	if s.o.MaxStates > 0 && s.States > s.o.MaxStates {
		s.Err = ErrTooMany
		return false
	}
	s.Depth = max(s.Depth, len(s.path))
	if s.o.MaxMoves > 0 && len(s.path) >= s.o.MaxMoves {
		s.seen[id] = place{depth, false}
		return true
	}
	moves := w.moves()
	for _, mv := range moves {
		if !s.follow(w, mv) {
			return false
		}
		if s.o.Paranoid && w.id(&s.enc) != id {
			s.Err = errors.New("a move changed the state that it began from")
			return false
		}
	}
	if w.ended(moves) {
		if !known {
			s.Ends++
		}
		if w.checkEnd(); w.err != nil {
			s.Err = w.err
			return false
		}
	}
	s.seen[id] = place{depth, false}
	return true
}

// follow makes one move, and once more with a crash right after it.
func (s *search) follow(w *world, mv move) bool {
	next := w.copy()
	next.do(mv)
	var crashed *world
	if next.err == nil && next.mayCrash() {
		crashed = next.copy()
		crashed.crash(next.stepped)
		crashed.settle()
	}
	if !s.enter(next, mv) {
		return false
	}
	if crashed == nil {
		return true
	}
	mv.crash = true
	return s.enter(crashed, mv)
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
