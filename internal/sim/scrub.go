package sim

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
)

// scrubs are what a schedule with them adds: nodes compare the replicas of keys while
// clients work, copies rot, and one replica is withdrawn from reads until a resync has
// looked at every key.
type scrubs struct {
	target string // the withdrawn replica; empty: none
	passed map[object.Key]bool
	rotten map[object.Key]bool // keys of which a copy has rotted, ever
	behind *behind             // nil: nobody was left behind
}

// withdraw takes a replica from reads before anything happens. What it holds of what
// stood there is nothing, or something else.
func (w *world) withdraw() {
	w.scrubs = &scrubs{passed: map[object.Key]bool{}, rotten: map[object.Key]bool{}}
	if len(w.servers) < 2 || w.rng.IntN(3) == 0 {
		return
	}
	w.takeFromReads(w.servers[w.rng.IntN(len(w.servers))])
}

func (w *world) takeFromReads(s *server) {
	w.scrubs.target = s.name
	for _, key := range w.keys {
		switch w.rng.IntN(3) {
		case 0:
			delete(s.objs, key)
		case 1:
			s.objs[key] = stored{seen: object.Seen{Info: object.Info{Kind: object.Present, ETag: w.id().String(), Size: 7}}}
		}
	}
	for _, g := range w.gateways {
		g.cfg.Serving = g.cfg.Serving.Without(s.name)
	}
	w.count("replica withdrawn")
}

// serves tells whether a replica counts for the invariants of keys without rows.
func (w *world) serves(s *server) bool {
	return w.scrubs == nil || w.scrubs.target != s.name
}

// scrubbing lets nodes look at keys, now and then, and copies rot.
func (w *world) scrubbing() {
	var look func()
	look = func() {
		g := w.gateways[w.rng.IntN(len(w.gateways))]
		key := w.keys[w.rng.IntN(len(w.keys))]
		if g.alive && g.stalled <= w.now {
			g.admitted(func() { g.scrub(key) })
		}
		if w.now < activeFor+calmFor/2 {
			w.after(w.delay(time.Second), look)
		}
	}
	w.after(w.delay(time.Second), look)
	var rot func()
	rot = func() {
		if w.now > activeFor-5*time.Second {
			return
		}
		w.rot(w.keys[w.rng.IntN(len(w.keys))])
		w.after(w.delay(8*time.Second), rot)
	}
	w.after(w.delay(5*time.Second), rot)
}

// rot changes the bytes of one of several sound copies of a key at which nothing happens.
func (w *world) rot(key object.Key) {
	if row := w.log.rows[key]; row != nil && !row.Quiet(w.gateways[0].cfg.Replicas) {
		return
	}
	var sound []*server
	for _, s := range w.servers {
		if o := s.objs[key]; o.seen.Kind == object.Present && !o.rotten && w.serves(s) {
			sound = append(sound, s)
		}
	}
	if len(sound) < 2 {
		return
	}
	s := sound[w.rng.IntN(len(sound))]
	o := s.objs[key]
	o.rotten = true
	s.objs[key] = o
	w.scrubs.rotten[key] = true
	w.count("copy rotted")
	w.logf("%s rots %s", s.name, key.Name)
}

// scrub looks at one key: for the resync while there is one, or at those that serve.
func (g *gateway) scrub(key object.Key) {
	w, sc := g.w, g.w.scrubs
	op := commit.Inspect{Act: true, Deep: w.rng.IntN(2) == 0, Trust: g.cfg.Serving}
	target := sc.target
	if w.joins != nil && !g.cfg.Replicas.Has(target) {
		return // it has not heard yet
	}
	if target != "" && (w.joins != nil || w.rng.IntN(2) == 0) && sc.behind.compares(w.now) {
		key = sc.behind.next(w, key)
		op.Deep, op.Trust, op.Fill = false, g.cfg.Replicas.Without(target), object.NewReplicas(target)
	}
	p := g.spawn(key, commit.NewScrub(g.config()), func(p *proc, e commit.Effect) {
		switch e := e.(type) {
		case commit.Sum:
			p.sum(e)
		case commit.Inspected:
			g.scrubbed(key, op, e.Verdict)
		default:
			w.fail("scrub returned an unknown effect %T", e)
		}
	})
	p.deliver(commit.Inspect(op))
}

func (p *proc) sum(e commit.Sum) {
	s := p.g.w.server(e.Replica)
	s.head(p.key, func(seen object.Seen, ok bool) {
		out := commit.Summed{Replica: e.Replica, Sum: "sound", Proof: commit.Proved, Failed: !ok || !seen.Shows(e.Seen.Info)}
		if s.objs[p.key].rotten {
			out.Sum, out.Proof = "rotten", commit.Disproved
		}
		p.deliver(out)
	})
}

// scrubbed checks what a scrub claims, and moves the resync on.
func (g *gateway) scrubbed(key object.Key, op commit.Inspect, v commit.Verdict) {
	w, sc := g.w, g.w.scrubs
	resync := len(op.Fill) > 0
	switch {
	case v.State == commit.Differs && !resync && !sc.rotten[key] && w.liar == nil:
		w.fail("S1 %s: a scrub saw a difference where none is: %+v", key.Name, v.Faults)
	case v.State == commit.Differs:
		w.count("scrub found a difference")
		g.due[key] = 0
	case v.State == commit.Pending:
		w.count("scrub left a key to its row")
	}
	if !resync || sc.target == "" || v.State == commit.Undecided || v.State == commit.Unknowing || v.State == commit.Alike && v.Silent.Has(sc.target) {
		return
	}
	sc.passed[key] = true
	for _, k := range w.keys {
		if !sc.passed[k] {
			return
		}
	}
	w.logf("%s serves again", sc.target)
	w.count("replica restored")
	sc.target = ""
	if w.joins != nil {
		w.joined()
	} else {
		for _, g := range w.gateways {
			w.after(w.between(0, modeLate), func() { g.cfg.Serving = g.cfg.Replicas })
		}
	}
	for _, k := range w.keys {
		w.truth.touch(k)
	}
}

// scrubbedEnd checks that nothing is rotten, or withdrawn, in the end.
func (w *world) scrubbedEnd() {
	if w.scrubs.target != "" && !w.baseLost() {
		w.fail("I11: %s is never restored", w.scrubs.target)
	}
	for _, key := range w.keys {
		for _, s := range w.servers {
			if s.objs[key].rotten && s.objs[key].seen.Kind == object.Present && w.liar == nil {
				w.fail("S4 %s: the copy on %s is rotten in the end", key.Name, s.name)
			}
		}
	}
}
