package sim

import (
	"fmt"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// behind is what schedules with a replica that was left behind add: rows wait for every
// other replica and go without it, until it is back. Then every node waits for it again, and it
// is made like the others as any replica that was withdrawn. Beside the hot keys there are some
// that clients seldom write, with rows that retire about when the replica comes back: some go
// before, and some by what nodes decided a while ago.
type behind struct {
	back time.Duration // when it is wanted again
	hot  int           // of the world's keys, the first ones
}

const coldKeys = 4

// leaveBehind withdraws a replica, and lets rows go without it.
func (w *world) leaveBehind() {
	w.scrubs = &scrubs{passed: map[object.Key]bool{}, rotten: map[object.Key]bool{}}
	if len(w.servers) < 2 {
		return
	}
	b := &behind{back: w.between(20*time.Second, activeFor-10*time.Second), hot: len(w.keys)}
	w.scrubs.behind = b
	for i := range coldKeys {
		key := object.Key{Bucket: "b", Name: fmt.Sprintf("cold%d", i)}
		w.keys = append(w.keys, key)
		row := &oplog.Row{Epoch: oplog.Epoch(w.id()), Cfg: 1, Changed: epoch0.Add(w.between(0, b.back) - times.Retention)}
		if w.rng.IntN(2) == 0 {
			w.bases[key] = w.foreign(key)
			row.Cur = w.servers[0].at(key).Info
		}
		w.log.rows[key] = row
	}
	target := w.servers[w.rng.IntN(len(w.servers))]
	w.takeFromReads(target)
	for _, key := range w.keys[b.hot:] {
		w.log.rows[key].Good = w.gateways[0].cfg.Serving
	}
	for _, g := range w.gateways {
		g.cfg.Behind = object.NewReplicas(target.name)
		for _, key := range w.keys[b.hot:] {
			g.due[key] = w.between(b.back/2, b.back+modeLate)
		}
	}
}

// comingBack has rows wait for the replica again: each node hears of it at its own time, and
// when all have, keys are compared.
func (w *world) comingBack() {
	b := w.scrubs.behind
	if b == nil {
		return
	}
	w.after(b.back, func() {
		w.count("replica back")
		w.logf("%s is wanted again", w.scrubs.target)
		for _, g := range w.gateways {
			w.after(w.between(0, modeLate), func() { g.cfg.Behind, g.cfg.Epoch = nil, g.cfg.Epoch+1 })
		}
	})
	w.after(b.back+modeLate, func() {
		for range w.keys {
			g := w.gateways[w.rng.IntN(len(w.gateways))]
			w.after(w.between(0, 2*time.Second), func() {
				if g.alive && g.stalled <= w.now {
					g.scrub(w.keys[0])
				}
			})
		}
	})
}

// compares tells whether the resync may compare keys.
func (b *behind) compares(now time.Duration) bool { return b == nil || now > b.back+modeLate }

// since is when what a node takes to be so was.
func (b *behind) since(cfg commit.Config, now time.Duration) time.Duration {
	if b != nil && len(cfg.Behind) > 0 {
		return min(now, b.back)
	}
	return now
}

// next is the key that the resync compares: one that it has not passed, if there is one.
func (b *behind) next(w *world, key object.Key) object.Key {
	if b == nil {
		return key
	}
	for _, k := range w.keys {
		if !w.scrubs.passed[k] {
			return k
		}
	}
	return key
}

// someKey is what a client works on.
func (w *world) someKey() object.Key {
	if w.scrubs != nil && w.scrubs.behind != nil && w.rng.IntN(8) > 0 {
		return w.keys[w.rng.IntN(w.scrubs.behind.hot)]
	}
	return w.anyKey()
}
