package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// experiment is a set-up and the ways to do the same work that take turns in it.
type experiment struct {
	name   string
	about  string // load, keep-alive, framing: printed with the rows
	rounds int    // that must be clean
	apart  bool   // not part of the whole run: it must be asked for by name
	rows   []row
	setup  func(ctx context.Context, b *bench) ([]way, error)
}

// way is one way to do the work.
type way struct {
	name    string
	watched *process   // whose CPU time is measured; nil: nobody's
	all     []*process // instead: several whose CPU times are summed

	// prepare does what is not to be timed and returns what is. A measure that it
	// leaves without a wall time gets the time that it took.
	prepare func(ctx context.Context) (func() (measure, error), error)
	// after undoes the turn, untimed. nil: nothing.
	after func(ctx context.Context) error
}

// run is a prepare for what needs none.
func run(f func(ctx context.Context) (measure, error)) func(context.Context) (func() (measure, error), error) {
	return func(ctx context.Context) (func() (measure, error), error) {
		return func() (measure, error) { return f(ctx) }, nil
	}
}

// measure is what one turn gave.
type measure struct {
	wall   time.Duration
	cpu    time.Duration // of the watched process
	rest   time.Duration // CPU time of the client and of all our other programs
	ops    int           // done, when they are counted
	failed int           // of ops
	p50    time.Duration
	p99    time.Duration
	beside int   // things that others did meanwhile
	peak   int64 // resident memory in bytes, when it is what is measured
}

func (m measure) perSecond() float64 { return float64(m.ops) / m.wall.Seconds() }

// round is one turn of every way.
type round struct {
	turns   map[string]measure
	foreign float64 // the largest share of the processors that others used in a turn
}

// row is one line of the table.
type row struct {
	id     string
	kind   string
	figure string
	target string // as PERFORMANCE.md words it; empty: shown for information
	limit  float64
	least  bool // the limit is the least, not the most
	show   func(float64) string
	value  func(turns map[string]measure) float64
}

// met tells whether a figure reaches the row's target.
func (r row) met(v float64) bool {
	if r.least {
		return v >= r.limit
	}
	return v <= r.limit
}

// finding is what was found for a row.
type finding struct {
	ID, Kind, Figure, Target, About string

	Value, Low, High string
	Verdict          string // met, missed, "" without a target
	Rounds, Void     int
	Foreign          float64 // the largest share in a round that counted
	Dirty            bool    // void rounds were counted, for want of others
	Failure          string  // why there is no figure
}

// judge makes the findings of an experiment's rounds.
func (e experiment) judge(rounds []round, void int, dirty bool) []finding {
	var found []finding
	for _, r := range e.rows {
		f := finding{ID: r.id, Kind: r.kind, Figure: r.figure, Target: r.target, About: e.about,
			Rounds: len(rounds), Void: void, Dirty: dirty}
		var values []float64
		for _, one := range rounds {
			values = append(values, r.value(one.turns))
			f.Foreign = max(f.Foreign, one.foreign)
		}
		slices.Sort(values)
		middle := median(values)
		f.Value, f.Low, f.High = r.show(middle), r.show(values[0]), r.show(values[len(values)-1])
		if r.target != "" {
			f.Verdict = "missed"
			if r.met(middle) {
				f.Verdict = "met"
			}
		}
		found = append(found, f)
	}
	return found
}

// median of sorted values.
func median(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// maxForeign is the share of the processors that others may use in a turn.
const maxForeign = 0.05

// measure runs an experiment until it has its rounds. Rounds that are void are
// repeated, as many times as there are rounds to do and again; when that is not
// enough the void ones are counted if b.allowForeign says so.
func (b *bench) measure(ctx context.Context, e experiment) (found []finding, err error) {
	defer b.cleanUp(&err)
	ways, err := e.setup(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("set up: %w", err)
	}
	want := e.rounds
	if b.rounds > 0 {
		want = b.rounds
	}
	var clean, void []round
	for number := 0; len(clean) < want && number < 3*want; number++ {
		if b.allowForeign && len(clean)+len(void) == want {
			break
		}
		r, err := b.round(ctx, ways, number)
		if err != nil {
			return nil, err
		}
		if r.foreign > maxForeign {
			void = append(void, r)
		} else {
			clean = append(clean, r)
		}
	}
	if len(clean) == want {
		return e.judge(clean, len(void), false), nil
	}
	if !b.allowForeign {
		return nil, fmt.Errorf("%d of %d rounds were void, others used more than %.0f %% of the processors (ALLOW_FOREIGN=1 counts them)",
			len(void), len(void)+len(clean), 100*maxForeign)
	}
	return e.judge(append(clean, void...), len(void), true), nil
}

// round lets every way take its turn, each time another one first.
func (b *bench) round(ctx context.Context, ways []way, number int) (round, error) {
	r := round{turns: map[string]measure{}}
	for i := range ways {
		w := ways[(i+number)%len(ways)]
		m, foreign, err := b.turn(ctx, w)
		if err != nil {
			return r, fmt.Errorf("%s: %w", w.name, err)
		}
		r.turns[w.name] = m
		r.foreign = max(r.foreign, foreign)
		b.say("  %-28s %s", w.name, m.text(foreign))
	}
	return r, nil
}

// text is a turn in the words of the progress report.
func (m measure) text(foreign float64) string {
	s := fmt.Sprintf("%8.3f s", m.wall.Seconds())
	if m.ops > 0 {
		s += fmt.Sprintf("  %7.0f ops/s", m.perSecond())
	}
	if m.cpu > 0 {
		s += fmt.Sprintf("  cpu %.2f s", m.cpu.Seconds())
		if m.ops > 0 {
			s += fmt.Sprintf(" (%.3f ms/op)", 1000*m.cpu.Seconds()/float64(m.ops))
		}
	}
	if m.p99 > 0 {
		s += fmt.Sprintf("  p50 %.2f ms p99 %.2f ms", ms(m.p50), ms(m.p99))
	}
	if m.failed > 0 {
		s += fmt.Sprintf("  failed %d", m.failed)
	}
	if m.peak > 0 {
		s += fmt.Sprintf("  peak %.1f MiB", float64(m.peak)/mib)
	}
	return s + fmt.Sprintf("  foreign %.1f %%", 100*foreign)
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

// turn does the work one way.
func (b *bench) turn(ctx context.Context, w way) (m measure, share float64, err error) {
	work, err := w.prepare(ctx)
	if err != nil {
		return m, 0, err
	}
	stop, err := b.profile(ctx, w)
	if err != nil {
		return m, 0, err
	}
	defer stop()
	watched := w.all
	if w.watched != nil {
		watched = []*process{w.watched}
	}
	before, err := b.account(watched)
	if err != nil {
		return m, 0, err
	}
	m, err = work()
	if err != nil {
		return m, 0, err
	}
	after, err := b.account(watched)
	if err != nil {
		return m, 0, err
	}
	took := after.at.Sub(before.at)
	if m.wall == 0 {
		m.wall = took
	}
	m.cpu = after.watched - before.watched
	m.rest = after.ours - before.ours - m.cpu
	others := foreign(before.host, after.host, after.ours-before.ours, spentBy(before.programs, after.programs, b.owns))
	share = others.Seconds() / took.Seconds() / float64(b.machine.cores)
	if w.after != nil {
		err = w.after(ctx)
	}
	return m, share, err
}

// account is the state of all clocks at one moment.
type account struct {
	at            time.Time
	host          hostTimes
	programs      map[int]time.Duration
	ours, watched time.Duration
}

func (b *bench) account(watched []*process) (a account, err error) {
	for _, p := range watched {
		used, err := p.cpu()
		if err != nil {
			return a, err
		}
		a.watched += used
	}
	if a.ours, err = b.cpu(); err != nil {
		return a, err
	}
	if a.programs, err = programs(); err != nil {
		return a, err
	}
	a.host, err = readHost()
	a.at = time.Now()
	return a, err
}
