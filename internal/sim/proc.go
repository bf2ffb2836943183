package sim

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
)

// machine is any of commit's.
type machine interface {
	Step(commit.Now, commit.Event) []commit.Effect
	Over() bool
}

// proc is one machine on one gateway's incarnation.
type proc struct {
	g       *gateway
	life    int
	key     object.Key
	m       machine
	timers  map[commit.Timer]uint64
	other   func(commit.Effect)      // effects that depend on what the machine is
	started map[string]time.Duration // uploads, by replica
	shown   map[string]object.Seen   // what replicas answered last: the bytes that a read serves
	op      commit.Op
	mode    commit.Mode // that the machine began with
	freed   bool        // it has let a request go

	begun    time.Duration
	revision uint64 // of the settings that it began with
	over     func()
	upload   object.ID // of a machine that works on one
}

func (g *gateway) spawn(key object.Key, m machine, other func(*proc, commit.Effect)) *proc {
	p := &proc{g: g, life: g.life, key: key, m: m, mode: g.cfg.Mode, timers: map[commit.Timer]uint64{}, started: map[string]time.Duration{}, shown: map[string]object.Seen{}}
	p.other = func(e commit.Effect) { other(p, e) }
	if p.begun = g.w.now; g.member != nil {
		p.revision = g.member.revision
	}
	g.open[p] = true
	return p
}

// deliver feeds one event and carries out the effects. A nemesis may stop the
// node between the decision and the deed.
func (p *proc) deliver(ev commit.Event) {
	p.g.run(p.life, func() {
		if p.m.Over() {
			return
		}
		w := p.g.w
		effects := p.m.Step(p.g.now(), ev)
		p.carryOut(effects)
		if p.m.Over() {
			delete(p.g.open, p)
			if p.over != nil {
				p.over()
			}
		}
		w.truth.touch(p.key)
	})
}

func (p *proc) carryOut(effects []commit.Effect) {
	w := p.g.w
	for i, e := range effects {
		_, release := e.(commit.Release)
		_, retag := e.(commit.Retag)
		if release || retag || w.chance(0.02) {
			if w.chance(w.faults.StallAtDeed) {
				w.count("stall between decision and deed")
				p.g.stall(w.between(time.Second, p.g.cfg.Times.Settle/2))
				rest := effects[i:]
				p.g.run(p.life, func() { p.carryOutNow(rest) })
				return
			}
			if w.chance(w.faults.CrashAtDeed) {
				w.count("crash between decision and deed")
				p.g.crash(w.between(time.Second, 20*time.Second))
				return
			}
		}
		p.effect(e)
	}
}

func (p *proc) carryOutNow(effects []commit.Effect) {
	for _, e := range effects {
		p.effect(e)
	}
}

func (p *proc) effect(e commit.Effect) {
	w := p.g.w
	p.obeys(e)
	p.governed(e)
	switch e := e.(type) {
	case commit.ReadRow:
		read := func() { w.log.read(p.key, func(r commit.RowRead) { p.deliver(r) }) }
		if d := p.dawdles(); d > 0 {
			w.after(d, read)
		} else {
			read()
		}
	case commit.Swap:
		w.log.swap(p.key, e.Old, e.Row, func(s commit.Swapped) { p.deliver(s) })
	case commit.Head:
		p.ask(e.Replica)
	case commit.Get:
		if e.Or != "" {
			p.askEither(e.Replica, e.Or)
		} else {
			p.ask(e.Replica)
		}
	case commit.Sleep:
		p.timers[e.Timer]++
		gen := p.timers[e.Timer]
		w.after(e.For, func() {
			if p.timers[e.Timer] == gen {
				p.deliver(commit.Fired{Timer: e.Timer})
			}
		})
	case commit.AskTags:
		p.askTags(e.Replica)
	case commit.Alarm:
		w.count("alarm")
	case commit.Drop:
	default:
		if !p.uploadEffect(e) {
			p.other(e)
		}
	}
}

func (p *proc) ask(replica string) {
	w := p.g.w
	w.server(replica).head(p.key, func(seen object.Seen, ok bool) {
		p.shown[replica] = seen
		p.deliver(commit.Showed{Replica: replica, Seen: seen, Failed: !ok})
	})
}

// askEither asks two replicas and tells what the first showed that did not fail.
func (p *proc) askEither(replica, or string) {
	w := p.g.w
	left, won := 2, false
	for _, name := range []string{replica, or} {
		w.server(name).head(p.key, func(seen object.Seen, ok bool) {
			left--
			switch {
			case won:
			case ok:
				won = true
				if name == or {
					w.count("hedge won")
				}
				p.shown[name] = seen
				p.deliver(commit.Showed{Replica: name, Seen: seen})
			case left == 0:
				p.deliver(commit.Showed{Replica: replica, Failed: true})
			}
		})
	}
}
