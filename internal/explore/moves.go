package explore

import (
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
)

// move is one thing that may happen next. It is plain data: the moves from the
// beginning are a schedule, and replay it.
type move struct {
	kind  moveKind
	n     int  // client, message, or proc
	arg   int  // order of a reader's replicas, or timer
	crash bool // the gateway whose machine it changed dies right after it
	first bool // and the first one that lives heals, not the last one
}

type moveKind uint8

const (
	invoke  moveKind = iota // client n comes, and first reads the row
	deliver                 // message n takes effect, or its answer arrives
	hedge                   // message n, a look, is answered by the other replica
	mute                    // message n, a read, fails
	refuse                  // message n, a request, is refused
	halve                   // message n, a request, leaves half of its body
	unknown                 // the outcome of message n, a compare-and-set, is not known; it may still be applied
	cut                     // the answer of message n, a request, is lost; it may still land
	fire                    // timer arg of proc n
	visit                   // the healer comes
)

// moves lists everything that may happen next, in a fixed order.
func (w *world) moves() []move {
	if i := w.first(); i >= 0 {
		return w.movesOf(i, nil)
	}
	out := make([]move, 0, 16)
	for i := range w.msgs {
		out = w.movesOf(i, out)
	}
	for i, c := range w.sc.Clients {
		if w.clients[i] != waiting || c.Restarted && !slices.Contains(w.dead, true) || w.afterAlike(i) {
			continue
		}
		out = append(out, move{kind: invoke, n: i})
		if !c.writes() {
			out = append(out, move{kind: invoke, n: i, arg: 1})
		}
	}
	return w.timeMoves(out)
}

// first is a message that may as well come before everything else, because it
// commutes with all that can happen before it (doc.go); -1 when there is none.
func (w *world) first() int {
	if w.every || w.left.Hurry > 0 {
		return -1
	}
	for i := range w.msgs {
		if w.alone(i) || w.undisturbed(i) {
			return i
		}
	}
	return -1
}

// alone tells whether message i is all that can happen to its machine, and
// changes nothing else. A compare-and-set that must conflict changes nothing.
func (w *world) alone(i int) bool {
	m := &w.msgs[i]
	if !m.local() && (!w.doomed(m) || m.silent || w.orphan(m)) {
		return false
	}
	for j := range w.msgs {
		if j != i && w.msgs[j].proc == m.proc {
			return false
		}
	}
	return !slices.ContainsFunc(w.procs[m.proc].timers, func(t timer) bool { return t.at <= w.now })
}

// undisturbed tells whether message i is one of the looks at which the healer's
// visit reaches its conclusion, in whatever order they come, and nothing can
// happen to its replica before it: no request is under way there, and nobody is
// left to release one.
func (w *world) undisturbed(i int) bool {
	m := &w.msgs[i]
	if m.kind != look || m.proc != w.repairs(w.heir) {
		return false
	}
	for j := range w.msgs {
		if w.msgs[j].kind == request && w.msgs[j].replica == m.replica {
			return false
		}
	}
	for c := range w.clients {
		if w.clients[c] == waiting && w.sc.Clients[c].writes() {
			return false
		}
	}
	for n, p := range w.procs {
		if n != m.proc && (p.repair != nil || p.write != nil && stateOf(p.write) < wAnswers) {
			return false
		}
	}
	return true
}

// afterAlike tells whether another client, that is like client i, comes before it.
func (w *world) afterAlike(i int) bool {
	for j := range i {
		if w.clients[j] == waiting && w.sc.alike(i, j) {
			return true
		}
	}
	return false
}

// orphan tells whether a message's sender is no more.
func (w *world) orphan(m *message) bool { return w.dead[w.procs[m.proc].gateway] }

func (w *world) movesOf(i int, out []move) []move {
	m := &w.msgs[i]
	out = append(out, move{kind: deliver, n: i})
	add := func(k moveKind, left int) {
		if left > 0 {
			out = append(out, move{kind: k, n: i})
		}
	}
	switch m.kind {
	case readRow, look, source:
		if m.or {
			out = append(out, move{kind: hedge, n: i})
		}
		add(mute, w.left.Mute)
	case swap:
		if !w.orphan(m) && !m.late {
			add(unknown, w.left.Unknown)
		}
	case request:
		if m.put.Flag == object.FlagSmall && m.put.Size == size {
			add(halve, w.left.Halve)
		}
		if !w.orphan(m) && !m.late {
			add(cut, w.left.Cut)
			add(refuse, w.left.Refuse)
		}
	}
	return out
}

// timeMoves are the timers that are next by deadline, and the healer's visit.
func (w *world) timeMoves(out []move) []move {
	next, found := time.Duration(0), false
	earlier := func(at time.Duration) {
		if at = max(at, w.now); !found || at < next {
			next, found = at, true
		}
	}
	for _, p := range w.procs {
		if len(p.timers) > 0 {
			earlier(p.timers[0].at)
		}
	}
	comes := w.comes()
	if comes {
		earlier(w.due)
	}
	if !found || !w.mayPass(next) {
		return out
	}
	for i, p := range w.procs {
		for _, t := range p.timers {
			if max(t.at, w.now) == next {
				out = append(out, move{kind: fire, n: i, arg: int(t.t)})
			}
		}
	}
	if comes && max(w.due, w.now) == next {
		out = append(out, move{kind: visit, n: w.repairs(w.healer())})
	}
	return out
}

// comes tells whether the healer would visit the key, now or later.
func (w *world) comes() bool {
	if w.row == nil || w.procs[w.repairs(w.healer())].machine() != nil {
		return false
	}
	return w.sc.Watched || !slices.Contains(w.clients, under)
}

// nextVisit lets the healer come to a key that it does not watch yet: a beat
// later, or whenever it likes.
func (w *world) nextVisit() {
	w.due = w.now
	if !w.sc.Watched {
		w.due += times.Gap / 3
	}
}

// held counts what holds the clock: requests that are not late yet, and others.
// What a dead gateway sent does not.
func (w *world) held() (requests, others int) {
	for i := range w.msgs {
		switch m := &w.msgs[i]; {
		case m.late, w.orphan(m):
		case m.kind == request:
			requests++
		default:
			others++
		}
	}
	return requests, others
}

// mayPass tells whether the clock may move on to a moment. It stands while
// messages are under way; those that are late do not hold it.
func (w *world) mayPass(next time.Duration) bool {
	if next <= w.now {
		return true
	}
	requests, others := w.held()
	return (requests <= w.left.Late || w.left.Hurry > 0) && (others == 0 || w.left.Hurry > 0)
}

// pass moves the clock on to a moment. Requests that are under way are late from
// here on, those beyond lateMax never land, and a dead gateway's compare-and-sets
// are not applied any more.
func (w *world) pass(at time.Duration) {
	if at <= w.now {
		return
	}
	requests, others := w.held()
	hurry := others > 0 || requests > w.left.Late
	if hurry {
		w.left.Hurry--
	} else {
		w.left.Late -= requests
	}
	w.now = at
	w.logf("--- %v", w.now)
	var kept []message
	for _, m := range w.msgs {
		if m.kind == request && !hurry {
			m.late = true
		}
		if w.now > m.at+lateMax && (m.kind == request || m.kind == swap && (m.late || w.orphan(&m))) {
			w.logMessage(&m, ": never")
			continue
		}
		kept = append(kept, m)
	}
	w.msgs = kept
}

// do makes one move.
func (w *world) do(mv move) {
	switch mv.kind {
	case invoke:
		w.invoke(mv.n, mv.arg)
	case deliver:
		m := w.take(mv.n)
		w.logMessage(&m, "")
		w.deliver(&m)
	case hedge:
		m := w.take(mv.n)
		m.replica = 1 - m.replica
		w.logMessage(&m, " instead")
		w.deliver(&m)
	case mute:
		w.left.Mute--
		m := w.take(mv.n)
		w.logMessage(&m, ": no answer")
		w.muted(&m)
	case refuse:
		w.left.Refuse--
		m := w.take(mv.n)
		w.logMessage(&m, ": refused")
		w.send(message{kind: answered, proc: m.proc, replica: m.replica, answer: commit.Answer{Class: commit.No, Code: "InvalidRequest"}})
	case halve:
		w.left.Halve--
		m := w.take(mv.n)
		m.put.Size, m.put.ETag = size/2, halfOf(m.put.ETag)
		w.logMessage(&m, ", by half")
		w.deliver(&m)
	case unknown, cut:
		w.sever(mv)
	case fire:
		w.fire(mv.n, commit.Timer(mv.arg)) //nolint:gosec // a timer's number
	case visit:
		w.pass(w.due)
		w.logf("%s looks after the key", w.procText(mv.n))
		w.examine(mv.n, object.ID{}, true)
	}
	if mv.crash {
		w.crash(w.stepped)
		w.inherit(mv.first)
	}
	w.settle()
}

// settle ends a move: what can not happen any more is forgotten, and the
// invariants are checked.
func (w *world) settle() {
	w.msgs = slices.DeleteFunc(w.msgs, func(m message) bool { return w.vain(&m) })
	w.check()
}

// vain tells whether a compare-and-set that nobody waits for can not be applied
// any more.
func (w *world) vain(m *message) bool {
	return (m.silent || w.orphan(m)) && w.doomed(m)
}

// doomed tells whether a compare-and-set can do nothing but conflict: an epoch
// never comes back, but for that of no row.
func (w *world) doomed(m *message) bool {
	return m.kind == swap && !m.old.IsZero() && m.old != epochOf(w.row)
}

// sever loses the answer of a message that may still take effect.
func (w *world) sever(mv move) {
	m := w.take(mv.n)
	m.late, m.silent = true, true
	if mv.kind == cut {
		w.left.Cut--
		w.logMessage(&m, ": its answer is lost, it may be late")
		w.send(message{kind: answered, proc: m.proc, replica: m.replica, answer: commit.Answer{Class: commit.Ambiguous}})
	} else {
		w.left.Unknown--
		w.logMessage(&m, ": outcome unknown, it may be late")
		w.send(message{kind: swapped, proc: m.proc, outcome: commit.Unknown, epoch: m.epoch})
	}
	w.send(m)
}

func halfOf(etag string) string { return "f" + etag[:31] }

func (w *world) fire(n int, t commit.Timer) {
	p := w.own(n)
	i := slices.IndexFunc(p.timers, func(x timer) bool { return x.t == t })
	at := p.timers[i].at
	p.timers = slices.Delete(p.timers, i, i+1)
	w.pass(at)
	w.logf("%s: %s", w.procText(n), timerText(t))
	w.step(n, commit.Fired{Timer: t})
}

// mayCrash tells whether a crash of the gateway that this move changed is to be
// tried as well.
func (w *world) mayCrash() bool {
	g := w.stepped
	if g < 0 || w.left.Crash == 0 || w.dead[g] || w.sc.Exclusive && g != 0 {
		return false
	}
	return slices.Contains(slices.Concat(w.dead[:g], w.dead[g+1:]), false) && w.leaves(g)
}

// leaves tells whether anything of a gateway would outlive it: a request, a
// compare-and-set, or an intent in the row.
func (w *world) leaves(g int) bool {
	for i := range w.msgs {
		if m := &w.msgs[i]; (m.kind == request || m.kind == swap) && w.procs[m.proc].gateway == g {
			return true
		}
	}
	return w.row != nil && w.row.Intent != nil && slices.ContainsFunc(w.procs, func(p *proc) bool {
		return p.gateway == g && p.write != nil && p.op.ID == w.row.Intent.Op
	})
}

// crash ends a gateway. What it released may still land, and what it sent to the
// log may still be applied; an embedded log died with it.
func (w *world) crash(g int) {
	w.left.Crash--
	w.logf("G%d crashes", g+1)
	w.dead[g] = true
	w.nextVisit()
	for i, p := range w.procs {
		if p.gateway != g {
			continue
		}
		w.procs[i] = &proc{gateway: g, client: p.client, op: p.op}
		if c := p.client; c >= 0 && w.clients[c] != over {
			if w.clients[c] == under && !w.sc.Clients[c].writes() {
				w.reg.forget(c)
			}
			w.clients[c] = over
		}
	}
	w.msgs = slices.DeleteFunc(w.msgs, func(m message) bool {
		return w.procs[m.proc].gateway == g && m.kind != request && (m.kind != swap || w.sc.Exclusive)
	})
}
