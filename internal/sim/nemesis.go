package sim

import (
	"time"
)

// nemesis hurts a component now and then.
func (w *world) nemesis() {
	busy := time.Duration(0)
	var strike func()
	strike = func() {
		if w.now > activeFor-10*time.Second {
			return
		}
		if !w.faults.One || busy <= w.now {
			busy = w.now + w.hurt() + 3*time.Second
		}
		w.after(w.delay(w.faults.Nemesis), strike)
	}
	w.after(w.delay(w.faults.Nemesis), strike)
}

// hurt strikes one component and says for how long.
func (w *world) hurt() time.Duration {
	s := w.servers[w.rng.IntN(len(w.servers))]
	g := w.gateways[w.rng.IntN(len(w.gateways))]
	d := w.between(time.Second, 14*time.Second)
	switch w.rng.IntN(8) {
	case 0:
		w.count("backend killed")
		w.logf("%s down for %v", s.name, d)
		s.crash(d)
	case 1:
		w.count("backend hung")
		if !w.faults.One && w.rng.IntN(5) == 0 {
			d = w.between(times.Settle, 2*times.Settle)
			w.count("backend hung longer than T_settle")
		}
		w.logf("%s hangs for %v", s.name, d)
		s.hang(d)
	case 2:
		w.count("gateway killed")
		g.crash(d)
	case 3:
		w.count("gateway stalled")
		d = min(d, times.Settle/2)
		g.stall(d)
	case 4:
		d = min(d, 3*time.Second)
		if w.faults.One {
			d /= 4
		}
		w.count("log outage")
		w.log.down = w.now + d
	case 6:
		w.count("clock jumped")
		g.skew = w.between(-400*time.Millisecond, 400*time.Millisecond) // within A4 of the others
		d = 0
	case 7:
		w.count("bucket renamed")
		s.renamed = w.now + d
	case 5:
		d = min(d, 3*time.Second)
		if w.faults.One {
			d /= 4
		}
		w.count("log full")
		w.log.readOnly = w.now + d
	}
	return d
}
