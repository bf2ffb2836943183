package sim

import (
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// batch is a client's DeleteObjects: a write for each key, and one request to each
// replica for all that are let go together.
type batch struct {
	g      *gateway
	m      *proc
	writes []*proc
	group  map[string][]*request // by replica, while a pass is let go; nil otherwise
	left   int                   // keys without a result
	next   func()
}

// deleteAll deletes every key, some under a condition.
func (w *world) deleteAll(client int, g *gateway, next func()) {
	b := &batch{g: g, left: len(w.keys), next: next}
	b.m = g.spawn(w.keys[0], commit.NewBatch(g.cfg, len(w.keys)), func(_ *proc, e commit.Effect) { b.let(e) })
	for i, key := range w.keys {
		c := call{verb: verbDelete}
		if w.rng.IntN(4) == 0 {
			c.ifMatch = w.someETag(key)
		}
		b.add(client, i, key, c)
	}
	w.count("batch delete")
	for _, p := range b.writes {
		p.deliver(commit.Begin{Up: g.up()})
	}
}

func (b *batch) add(client, i int, key object.Key, c call) {
	g, w := b.g, b.g.w
	op := commit.Op{ID: w.id(), Type: oplog.OpDelete, If: c.condition(), Ask: true}
	rec := w.hist.begin(key, client, g, c)
	p := g.spawn(key, commit.NewWrite(g.cfg, op), func(p *proc, e commit.Effect) {
		switch e := e.(type) {
		case commit.Ask:
			b.m.deliver(commit.Asked{Write: i})
		case commit.Release:
			r := p.deletion(e)
			if b.group == nil { // a stall or a crash tore the pass apart
				w.server(e.Replica).send(r, w.faults.LateMax)
				return
			}
			b.group[e.Replica] = append(b.group[e.Replica], r)
		default:
			g.writeEffect(p, e, func(p *proc) { g.clientBody(p, 0) }, func(res commit.Result) {
				w.hist.wrote(rec, res)
				b.m.deliver(commit.Ended{Write: i})
				if b.left--; b.left == 0 {
					b.next()
				}
			})
		}
	})
	p.op = op
	b.writes = append(b.writes, p)
}

// let gives the permits, and sends what they release to each replica at once.
func (b *batch) let(e commit.Effect) {
	w := b.g.w
	l, ok := e.(commit.Let)
	if !ok {
		w.fail("batch returned an unknown effect %T", e)
		return
	}
	b.group = map[string][]*request{}
	for _, i := range l.Writes {
		b.writes[i].deliver(commit.Permit{})
	}
	group := b.group
	b.group = nil
	for _, s := range w.servers {
		if subs := group[s.name]; len(subs) > 0 {
			if len(subs) > 1 {
				w.count("deletes in one request")
			}
			s.sendAll(subs)
		}
	}
}

func (p *proc) deletion(e commit.Release) *request {
	life := p.life
	return &request{
		key: p.key, op: p.op.ID, ver: e.Ver, started: p.g.w.now, owner: p,
		put: object.Seen{Info: object.Info{Kind: object.Tombstone}},
		answer: func(a commit.Answer) {
			p.g.run(life, func() { p.deliver(commit.Answered{Replica: e.Replica, Answer: a}) })
		},
	}
}

// sendAll carries several deletes as one request: they are lost, refused or late
// together, and each has a result of its own.
func (s *server) sendAll(subs []*request) {
	s.outstanding = append(s.outstanding, subs...)
	results := map[*request]commit.Answer{}
	s.send(&request{
		side: true, subs: subs,
		do: func() commit.Answer {
			for _, r := range subs {
				results[r] = s.apply(r)
			}
			return commit.Answer{Class: commit.Yes}
		},
		answer: func(a commit.Answer) {
			for _, r := range subs {
				if own, applied := results[r]; applied && a.Class == commit.Yes {
					r.answer(own)
				} else {
					r.answer(a)
				}
			}
		},
	}, s.w.faults.LateMax)
}
