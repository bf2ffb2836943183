package sim

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// modeLate is how long a node may not know of a switch that others know of.
const modeLate = 3 * time.Second

// switching changes the mode now and then while clients work. Each node hears of
// it at its own time: some at once, some late, a stalled one when it goes on.
func (w *world) switching() {
	var next func()
	next = func() {
		if w.now > activeFor-5*time.Second {
			return
		}
		m := commit.Mode{}
		if w.mode.Active() || w.rng.IntN(2) == 0 {
			m.Primary = w.servers[w.rng.IntN(len(w.servers))].name
		}
		w.count("mode switched")
		w.logf("mode: %+v", m)
		w.mode = m
		for _, g := range w.gateways {
			d := time.Duration(0)
			if w.rng.IntN(2) == 0 {
				d = w.between(0, modeLate)
			}
			life := g.life
			w.after(d, func() { g.run(life, func() { g.hear() }) })
		}
		w.after(w.delay(6*time.Second), next)
	}
	w.after(w.delay(2*time.Second), next)
}

// hear reads the mode from the log.
func (g *gateway) hear() {
	if g.cfg.Mode != g.w.mode {
		g.cfg.Mode = g.w.mode
		clear(g.due) // what waited for another mode may be due
	}
}

// obeys checks that what a machine does is what its mode allows (R31).
func (p *proc) obeys(e commit.Effect) {
	w, primary := p.g.w, p.mode.Primary
	if p.g.cfg.Mode != p.mode && p.op.Type != 0 {
		if _, done := e.(commit.Done); done {
			w.count("answered after a switch")
		}
	}
	if primary == "" {
		return
	}
	switch e := e.(type) {
	case commit.Release:
		p.freed = true
		if e.Replica != primary {
			w.fail("R31 %s: replication is disabled, and a %s was released to %s, not %s", p.key.Name, p.op.Type, e.Replica, primary)
		}
	case commit.Retag:
		p.freed = true
	case commit.Copy:
		w.count("copy to the primary while disabled")
		if e.Target != primary {
			w.fail("R31 %s: replication is disabled, and %s is healed, not %s", p.key.Name, e.Target, primary)
		}
	case commit.Done:
		// What releases nothing wrote nothing: an abort, or a Complete of an upload that is done.
		if e.Result.Kind == commit.Acked && p.op.Type != oplog.OpHeal && p.freed {
			w.count("acknowledged while disabled")
			if !e.Result.OK.Has(primary) {
				w.fail("R31 %s: acknowledged without the primary %s by %v", p.key.Name, primary, e.Result.OK)
			}
		}
	case commit.Get:
		w.count("read while disabled")
	}
}

// settleMode waits in the mode of the last switch until nothing is left to do in
// it, and then makes the bucket active again.
func (w *world) settleMode() {
	for _, g := range w.gateways {
		life := g.life
		w.after(modeLate, func() { g.run(life, g.hear) })
	}
	limit := w.now + calmFor
	for w.step(limit) && !(w.now > activeFor+times.Keep+30*time.Second && w.settledInMode()) {
	}
	if w.err == nil && w.truth.on && !w.settledInMode() {
		for _, key := range w.keys {
			if row := w.log.rows[key]; row != nil && !w.settledRow(row) && !w.lost(key, row) {
				w.fail("I11 %s: nothing moves in mode %+v: %s; replicas %s", key.Name, w.mode, rowText(row), w.replicasText(key))
			}
		}
	}
	if !w.mode.Active() {
		w.count("calm while disabled")
	}
	w.mode = commit.Mode{}
	for _, g := range w.gateways {
		g.hear()
	}
}

func (w *world) settledInMode() bool {
	for _, row := range w.log.rows {
		if !w.settledRow(row) {
			return false
		}
	}
	return true
}

// settledRow tells whether a row waits for nothing but the bucket to be active.
func (w *world) settledRow(row *oplog.Row) bool {
	targets := commit.Config{Replicas: w.gateways[0].cfg.Replicas, Mode: w.mode}.Targets()
	return row.Quiet(targets)
}
