package sim

import (
	"fmt"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
)

// joins are what a schedule with them adds: one server is no replica at first, and joins
// the set while clients work. Each node learns of it at its own time, and machines that
// began before go on with what they knew.
type joins struct {
	joiner   string
	set      object.Replicas // as the bucket's record has it
	serving  object.Replicas
	epoch    uint64
	since    time.Duration // when the record was changed last
	before   time.Duration // and before that
	restored bool
	slow     bool // it is filled slowly
}

// anyKey is the key of a client's next operation. Where a replica joins, most are of one key,
// so that others have no rows.
func (w *world) anyKey() object.Key {
	if w.joins != nil && w.rng.IntN(6) > 0 {
		return w.keys[0]
	}
	return w.keys[w.rng.IntN(len(w.keys))]
}

// outside takes one server out of the set before anything happens. What it holds of what
// stood there is nothing, something else, or the same.
func (w *world) outside() {
	s := w.servers[w.rng.IntN(len(w.servers))]
	for range 3 {
		key := object.Key{Bucket: "b", Name: fmt.Sprintf("k%d", len(w.keys))}
		w.keys = append(w.keys, key)
		w.bases[key] = w.foreign(key)
	}
	all := w.gateways[0].cfg.Replicas
	w.joins = &joins{joiner: s.name, set: all.Without(s.name), serving: all.Without(s.name), epoch: 1, slow: w.rng.IntN(2) == 0}
	w.scrubs = &scrubs{target: s.name, passed: map[object.Key]bool{}, rotten: map[object.Key]bool{}}
	for _, key := range w.keys {
		switch n := w.rng.IntN(4); {
		case n < 2, w.tags && n == 3: // that what looks the same has the same tags its operator vouches for
			delete(s.objs, key)
		case n == 2:
			s.objs[key] = stored{seen: object.Seen{Info: object.Info{Kind: object.Present, ETag: w.id().String(), Size: 7}}}
		}
	}
	for _, g := range w.gateways {
		g.cfg.Ack.Need = min(g.cfg.Ack.Need, len(w.joins.set))
		g.cfg.Ack.Include = g.cfg.Ack.Include.And(w.joins.set)
		g.reads()
	}
}

// joining has the server join, at some moment, and a resync look at every key then. Until
// then nodes visit keys though nothing seems to be due.
func (w *world) joining() {
	j := w.joins
	var visit func()
	visit = func() {
		g := w.gateways[w.rng.IntN(len(w.gateways))]
		if g.alive && g.stalled <= w.now {
			g.repair(w.keys[w.rng.IntN(len(w.keys))], object.ID{}, func() {})
		}
		if j.epoch == 1 {
			w.after(w.delay(2*time.Second), visit)
		}
	}
	w.after(w.delay(2*time.Second), visit)
	w.after(w.between(3*time.Second, activeFor), func() {
		w.count("replica joined")
		w.record(j.set.With(j.joiner), j.serving)
		var look func()
		look = func() {
			g := w.gateways[w.rng.IntN(len(w.gateways))]
			key := w.keys[w.rng.IntN(len(w.keys))]
			if g.alive && g.stalled <= w.now {
				g.scrub(key)
			}
			if !j.restored && w.now < activeFor+calmFor/2 {
				w.after(w.delay(300*time.Millisecond), look)
			}
		}
		w.after(w.delay(time.Second), look)
	})
}

// record changes the bucket's record. A node learns of it soon, a stalled one when it goes on.
func (w *world) record(set, serving object.Replicas) {
	j := w.joins
	j.set, j.serving, j.epoch, j.before, j.since = set, serving, j.epoch+1, j.since, w.now
	w.logf("record %d: set %v, serving %v", j.epoch, set, serving)
	for _, g := range w.gateways {
		life := g.life
		w.after(w.between(0, modeLate), func() { g.run(life, g.reads) })
	}
}

// reads has the node know the record as it is.
func (g *gateway) reads() {
	j := g.w.joins
	if g.cfg.Epoch == j.epoch && g.cfg.Replicas.Equal(j.set) {
		return
	}
	g.cfg.Replicas, g.cfg.Serving, g.cfg.Epoch = j.set, j.serving, j.epoch
	clear(g.due) // what was quiet may be so no more
}

// config is what a machine that begins now knows: when the node read it last.
func (g *gateway) config() commit.Config {
	cfg := g.cfg
	if s := g.w.scrubs; s != nil && s.behind != nil {
		cfg.Read = g.now().Boot - g.w.now + s.behind.since(cfg, g.w.now)
	}
	if j := g.w.joins; j != nil {
		at := g.w.now
		if cfg.Epoch < j.epoch { // it was so until then
			at = j.since
			if cfg.Epoch < j.epoch-1 {
				at = j.before
			}
		}
		cfg.Read = g.now().Boot - g.w.now + at
	}
	return cfg
}

// dawdles is how long a repair waits before it looks at its row: it may have to wait for its
// turn at a backend.
func (p *proc) dawdles() time.Duration {
	w := p.g.w
	filling := w.joins != nil && !w.joins.restored || w.scrubs != nil && w.scrubs.behind != nil && w.scrubs.target != ""
	if w.calm || !filling {
		return 0
	}
	if _, is := p.m.(*commit.Repair); !is || w.rng.IntN(8) > 0 {
		return 0
	}
	w.count("repair dawdled")
	return w.between(5*time.Second, 90*time.Second)
}

// fillsIn is how long a copy to a replica waits for its turn: one that joins lacks everything.
func (w *world) fillsIn(target string) time.Duration {
	if w.joins == nil || !w.joins.slow || w.calm || target != w.joins.joiner {
		return 0
	}
	w.count("copy to the joined replica waited")
	return w.between(time.Second, 60*time.Second)
}

// fills tells whether some replica is filled that had nothing to give, so that a key's base may
// have been on one replica alone.
func (w *world) fills() bool { return w.joins != nil || w.scrubs != nil && w.scrubs.behind != nil }

// baseLost tells whether what stood under some key before is nowhere: a liar had the only copy,
// or destroyed it with half of a write. Such a key stays unreadable, and a resync waits for it.
func (w *world) baseLost() bool {
	for _, row := range w.log.rows {
		if row.Open && w.liar != nil {
			return true
		}
	}
	return false
}

// joined ends the resync: the replica serves. It may be lost soon after, for longer than any
// row stays.
func (w *world) joined() {
	j := w.joins
	j.restored = true
	w.record(j.set, j.set)
	if w.rng.IntN(2) == 0 {
		d := w.between(times.Retention, 2*times.Retention)
		w.count("joined replica was lost for long")
		w.server(j.joiner).crash(d)
	}
}
