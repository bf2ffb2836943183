package sim

import (
	"slices"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// nodeBeat is the pause between two beats of a member.
const nodeBeat = time.Second

// change is one setting of the mode, by an operator at some gateway.
type change struct {
	revision uint64
	mode     commit.Mode
	answered time.Duration // zero: not yet, or never
}

// leases are the nodes' records and the settings as the log has them.
type leases struct {
	docs    []commit.NodeDoc
	changes []change // the last one is what the settings document says
}

func (l *leases) last() change { return l.changes[len(l.changes)-1] }

// memberOf is a gateway's member, and what it was told.
type memberOf struct {
	m        *commit.Member
	stand    commit.MemberStanding
	revision uint64 // of the settings in force
	timer    uint64
}

// lease is what commit.Now says of the gateway's lease.
func (g *gateway) lease() time.Duration {
	switch {
	case g.member == nil:
		return 0
	case g.member.stand.Fault != "":
		return 1
	}
	return max(g.member.stand.Until, 1)
}

// join makes the gateway's member of this life.
func (g *gateway) join() {
	if g.w.leases == nil {
		return
	}
	g.member = &memberOf{m: commit.NewMember(commit.MemberOptions{
		Name: g.name, Times: times, Beat: nodeBeat,
		Record: commit.NodeRecord{Life: g.cfg.Node, Home: g.name, Codecs: commit.Codecs{Oldest: 1, Newest: 1}},
	})}
	g.member.revision = g.w.leases.last().revision // it has read them before it joins
	g.beat(g.life, commit.Begin{})
}

// beat feeds the member one event. A nemesis may stop the node between the
// decision and the deed.
func (g *gateway) beat(life int, ev commit.Event) {
	g.run(life, func() {
		w, mb := g.w, g.member
		if mb.m.Over() {
			return
		}
		effects := mb.m.Step(g.now(), ev)
		for i, e := range effects {
			if _, write := e.(commit.WriteNode); write && w.chance(w.faults.StallAtDeed) {
				w.count("stall before a sign of life")
				g.stall(w.between(time.Second, times.Lease+4*time.Second))
				rest := effects[i:]
				g.run(life, func() {
					for _, e := range rest {
						g.memberEffect(life, e)
					}
				})
				return
			}
			g.memberEffect(life, e)
		}
	})
}

func (g *gateway) memberEffect(life int, e commit.Effect) {
	w, mb := g.w, g.member
	switch e := e.(type) {
	case commit.Standing:
		g.stands(e.Standing)
	case commit.ReadNodes:
		w.log.ask(func(ok bool) func() {
			docs := slices.Clone(w.leases.docs)
			return func() { g.beat(life, commit.NodesRead{Nodes: docs, Failed: !ok}) }
		})
	case commit.ReadSettings:
		w.log.ask(func(ok bool) func() {
			now := w.leases.last()
			return func() {
				g.run(life, func() {
					if ok {
						g.obey(now)
					}
					g.beat(life, commit.SettingsRead{Revision: now.revision, Failed: !ok})
				})
			}
		})
	case commit.WriteNode:
		w.log.swapNode(e, func(out commit.CAS, epoch oplog.Epoch) {
			if e.Name == g.name && e.Record != nil {
				g.beat(life, commit.NodeSwapped{Outcome: out, Epoch: epoch})
			}
		})
	case commit.Sleep:
		mb.timer++
		gen := mb.timer
		w.after(e.For, func() {
			if g.member == mb && mb.timer == gen {
				g.beat(life, commit.Fired{Timer: commit.TimerWait})
			}
		})
	default:
		w.fail("a member returned an unknown effect %T", e)
	}
}

// stands takes a standing in, and counts what it went through.
func (g *gateway) stands(st commit.MemberStanding) {
	now := g.now().Boot
	if old := g.member.stand; old.Until != 0 && old.Until <= now && st.Until > now {
		g.w.count("a lease had run out")
	}
	if st.Fault != "" {
		g.w.fail("N: %s does not serve: %s", g.name, st.Fault)
	}
	g.member.stand = st
}

// obey puts settings in force.
func (g *gateway) obey(c change) {
	if c.revision != g.member.revision {
		g.member.revision = c.revision
		g.cfg.Mode = c.mode
		clear(g.due)
	}
}

// ask is one linearizable read: look is called at its instant, what it returns when
// the answer is there.
func (l *slog) ask(look func(ok bool) func()) {
	w := l.w
	w.after(w.delay(l.median/2), func() {
		done := look(l.down <= w.now && !w.chance(w.faults.ReadLost))
		w.after(w.delay(l.median/2), done)
	})
}

// swapNode attempts one compare-and-set of a node's record, with the fates of rows'.
func (l *slog) swapNode(e commit.WriteNode, done func(commit.CAS, oplog.Epoch)) {
	w := l.w
	fresh := oplog.Epoch(w.id())
	l.fate(func(out commit.CAS) { done(out, fresh) }, func() bool { return l.applyNode(e, fresh) })
}

func (l *slog) applyNode(e commit.WriteNode, fresh oplog.Epoch) bool {
	ls := l.w.leases
	i := slices.IndexFunc(ls.docs, func(d commit.NodeDoc) bool { return d.Name == e.Name })
	var have oplog.Epoch
	if i >= 0 {
		have = ls.docs[i].Epoch
	}
	if have != e.Old {
		return false
	}
	docs := slices.Clone(ls.docs) // who has read them keeps what it read
	switch {
	case e.Record == nil && i >= 0:
		l.w.count("a node was buried")
		docs = slices.Delete(docs, i, i+1)
	case e.Record == nil:
	case i < 0:
		docs = append(docs, commit.NodeDoc{Name: e.Name, Epoch: fresh, Record: *e.Record})
		slices.SortFunc(docs, func(a, b commit.NodeDoc) int { return strings.Compare(a.Name, b.Name) })
	default:
		docs[i] = commit.NodeDoc{Name: e.Name, Epoch: fresh, Record: *e.Record}
	}
	ls.docs = docs
	return true
}

// governing has an operator change the mode now and then, at some gateway that
// answers when every live node has the change.
func (w *world) governing() {
	var next func()
	next = func() {
		if w.now > activeFor-5*time.Second {
			return
		}
		g := w.gateways[w.rng.IntN(len(w.gateways))]
		life := g.life
		g.run(life, func() {
			m := commit.Mode{}
			if w.mode.Active() || w.rng.IntN(2) == 0 {
				m.Primary = w.servers[w.rng.IntN(len(w.servers))].name
			}
			w.govern(g, life, m)
		})
		w.after(w.delay(5*time.Second), next)
	}
	w.after(w.delay(2*time.Second), next)
}

// govern writes a mode and waits for its acknowledgements. An operator whose change
// has no known outcome is told so, and holds nobody to it.
func (w *world) govern(g *gateway, life int, m commit.Mode) {
	if w.calm {
		return // it slept through the end
	}
	before := w.leases.last().revision
	c := change{revision: before + 1, mode: m}
	w.log.fate(func(out commit.CAS) {
		if out == commit.Applied {
			g.run(life, func() {
				g.obey(c)
				written := g.now().Boot
				w.await(g, life, c.revision, written)
			})
		}
	}, func() bool {
		if w.leases.last().revision != before || w.calm {
			return false
		}
		w.count("mode set")
		w.leases.changes, w.mode = append(w.leases.changes, c), m
		return true
	})
}

func (w *world) await(g *gateway, life int, revision uint64, written time.Duration) {
	g.run(life, func() {
		st := &g.member.stand
		if st.Looked > written && st.Acked(revision) {
			for i := range w.leases.changes {
				if w.leases.changes[i].revision == revision {
					w.leases.changes[i].answered = w.now
				}
			}
			w.count("mode answered")
			return
		}
		w.after(100*time.Millisecond, func() { w.await(g, life, revision, written) })
	})
}

// governed checks that what began after a change was answered has it, on whichever
// node (H17).
func (p *proc) governed(e commit.Effect) {
	w := p.g.w
	if _, release := e.(commit.Release); !release || w.leases == nil {
		return
	}
	for _, c := range w.leases.changes {
		if c.answered != 0 && c.answered < p.begun && p.revision < c.revision {
			w.fail("H17 %s: %s released a %s that began at %v under revision %d, and revision %d was answered at %v",
				p.key.Name, p.g.name, p.op.Type, p.begun, p.revision, c.revision, c.answered)
		}
	}
}

// admitted runs what a client asked for when the gateway is awake: it begins with
// the settings that are in force then.
func (g *gateway) admitted(do func()) {
	if g.w.leases == nil {
		do()
		return
	}
	g.run(g.life, do)
}
