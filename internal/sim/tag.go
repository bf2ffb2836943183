package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// tagsText names a set of tags in a history; "" is the empty one.
func tagsText(t object.Tags) string {
	var b strings.Builder
	for k, v := range t.Sorted() {
		b.WriteString(k + "=" + v + ";")
	}
	return b.String()
}

// someTags draws a set that nobody else has, or now and then none.
func (w *world) someTags() object.Tags {
	if w.rng.IntN(4) == 0 {
		return nil
	}
	id := w.id()
	return object.Tags{"t": short(id)}
}

// drawBare makes some servers keep no tags.
func (w *world) drawBare() {
	for _, s := range w.servers {
		s.bare = !w.tags || w.rng.IntN(4) == 0
	}
}

// taggedOperation sends an operation that only schedules with tags have; false: none.
func (w *world) taggedOperation(i int, g *gateway, key object.Key, next func()) bool {
	switch n := w.rng.IntN(100); {
	case n < 18:
		tags := w.someTags()
		r := w.hist.begin(key, i, g, call{verb: verbTag, tags: tagsText(tags)})
		g.tag(key, commit.TagOp{ID: w.id(), Tags: tags}, func(res commit.Result) {
			if res.Kind == commit.Acked {
				w.count("tagged")
			}
			w.hist.wrote(r, res)
			next()
		})
	case n < 36:
		r := w.hist.begin(key, i, g, call{verb: verbTags})
		g.readTags(key, func(a answerTags) { w.hist.sawTags(r, a); next() })
	default:
		return false
	}
	return true
}

// tag runs one change of tags; done gets the client's answer at most once.
func (g *gateway) tag(key object.Key, op commit.TagOp, done func(commit.Result)) *proc {
	p := g.spawn(key, commit.NewTag(g.config(), op), func(p *proc, e commit.Effect) {
		switch e := e.(type) {
		case commit.Retag:
			p.retag(e, op)
		case commit.Resolve:
			g.repair(p.key, e.Expired, func() { p.deliver(commit.Repaired{}) })
		case commit.Done:
			done(e.Result)
		default:
			g.w.fail("a change of tags returned an unknown effect %T", e)
		}
	})
	p.deliver(commit.Begin{Up: g.up()})
	return p
}

// retag sends the request: it changes the tags of whatever stands there when it lands.
func (p *proc) retag(e commit.Retag, op commit.TagOp) {
	s := p.g.w.server(e.Replica)
	life, key := p.life, p.key
	s.send(&request{
		key: key, op: op.ID, owner: p, tag: true,
		do: func() commit.Answer { return s.retag(key, e.Tags) },
		answer: func(a commit.Answer) {
			p.g.run(life, func() { p.deliver(commit.Retagged{Replica: e.Replica, Answer: a}) })
		},
	}, p.g.w.faults.LateMax)
}

func (s *server) retag(key object.Key, tags object.Tags) commit.Answer {
	w := s.w
	o, ok := s.objs[key]
	switch {
	case !ok || o.seen.Kind != object.Present:
		return commit.Answer{Class: commit.No, Code: "NoSuchKey"}
	case s.bare:
		return commit.Answer{Class: commit.No, Code: "NotImplemented"}
	}
	w.logf("%s tags %s %q", s.name, short(o.seen.ID), tagsText(tags))
	o.seen.Tags = tags
	s.objs[key] = o
	w.truth.touch(key)
	return commit.Answer{Class: commit.Yes}
}

// askTags answers a GET of tags, or fails after the time-out.
func (p *proc) askTags(replica string) {
	s := p.g.w.server(replica)
	s.ask(p.key, func(seen object.Seen, ok bool) {
		p.deliver(commit.ToldTags{Replica: replica, Tags: seen.Tags, Absent: ok && seen.Kind != object.Present, Failed: !ok})
	})
}

// mend brings the tags of a replica in line with the row's.
func (g *gateway) mend(parent *proc, e commit.Mend) {
	g.w.count("tags mended")
	finished := false
	end := func(ok bool) {
		if !finished {
			finished = true
			parent.deliver(commit.Copied{Target: e.Target, OK: ok})
		}
	}
	p := g.tag(parent.key, commit.TagOp{ID: g.w.id(), Tags: e.Tags, Heal: e.Target}, func(r commit.Result) { end(r.Kind == commit.Acked) })
	p.over = func() { end(false) }
}

// answerTags is what a client's GET of tags got.
type answerTags struct {
	ok, present bool
	tags        string
}

func (g *gateway) readTags(key object.Key, done func(answerTags)) {
	var order []string
	for _, n := range g.up() {
		order = append(order, n)
	}
	g.w.rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	p := g.spawn(key, commit.NewTagRead(g.cfg), func(_ *proc, e commit.Effect) {
		switch e := e.(type) {
		case commit.ServeTags:
			done(answerTags{ok: true, present: true, tags: tagsText(e.Tags)})
		case commit.Absent:
			done(answerTags{ok: true})
		case commit.Unavailable:
			done(answerTags{})
		default:
			g.w.fail("a read of tags returned an unknown effect %T", e)
		}
	})
	p.deliver(commit.Look{Order: order})
}

func (h *history) sawTags(r *record, a answerTags) {
	if r.res.done {
		return
	}
	h.w.logf("client %d: tags %s = %v %v %q since %.4f", r.client, r.key.Name, a.ok, a.present, a.tags, r.began.Seconds())
	r.res.done, r.ended, r.res.present, r.res.tags = true, h.w.now, a.present, a.tags
	if !a.ok {
		h.w.count("tags unavailable")
		r.drop = true
		return
	}
	h.w.count("tags read")
}

// tags: I13. Who holds the current version, is not named mistagged, and has no request
// under way that would change it or its tags, holds it under the row's tags.
func (t *truth) tags(key object.Key, row *oplog.Row) {
	if !t.w.tags || row.Open || !row.Tagged || row.Cur.Kind != object.Present {
		return
	}
	for _, r := range row.Good {
		s := t.w.server(r)
		if s.bare || row.Mistagged.Has(r) || row.Intent != nil && row.Intent.Reps.Has(r) || !s.at(key).Shows(row.Cur) {
			continue
		}
		named := false
		for _, e := range slices.Concat(row.Unsettled, row.Tagging) {
			named = named || e.Replica == r
		}
		if named {
			continue
		}
		if have := s.at(key).Tags; !have.Equal(row.Cur.Tags) {
			t.w.fail("I13 %s: %s has tags %q, and nothing says so: %s", key.Name, r, tagsText(have), rowText(row))
		}
	}
}

// sameTags: without a row all replicas hold the same, and those that keep none hold none.
func (t *truth) sameTags(key object.Key) {
	var of *server
	for _, s := range t.w.servers {
		have := s.at(key).Tags
		switch {
		case !t.w.serves(s):
			continue
		case s.bare:
			have = nil
		case of == nil:
			of = s
		}
		if of != nil && !have.Equal(of.at(key).Tags) {
			t.w.fail("I13 %s: no row, but %s and %s have tags %q and %q", key.Name, of.name, s.name, tagsText(of.at(key).Tags), tagsText(have))
		}
	}
}

func tagRowText(r *oplog.Row) string {
	s := fmt.Sprintf(" tags %q", tagsText(r.Cur.Tags))
	for _, e := range r.Tagging {
		s += fmt.Sprintf(" tagging{%s %s}", short(e.Op), e.Replica)
	}
	return s + fmt.Sprintf(" mistagged=%v bare=%v", r.Mistagged, r.Bare)
}

// mapRows counts the rows that stay, because a replica keeps no tags.
func (w *world) mapRows() (n int) {
	for _, row := range w.log.rows {
		if w.stays(row) {
			n++
		}
	}
	return n
}

func (w *world) stays(row *oplog.Row) bool {
	return row.IsMap() && row.Quiet(w.gateways[0].cfg.Replicas)
}

// finalTags reads the tags once more when all is calm.
func (w *world) finalTags(key object.Key, client int, g *gateway) {
	if !w.tags {
		return
	}
	r := w.hist.begin(key, client, g, call{verb: verbTags})
	g.readTags(key, func(a answerTags) { w.hist.sawTags(r, a) })
	for !r.res.done && w.step(w.now+time.Minute) {
	}
	if !r.res.done || r.drop {
		w.fail("I11 %s: %s cannot read its tags after calm", key.Name, g.name)
	}
}

// foreignTags are those of an object of nobody's: where some replica keeps no tags, all
// can only be equal without.
func (w *world) foreignTags(key object.Key) object.Tags {
	if !w.tags || slices.ContainsFunc(w.servers, func(s *server) bool { return s.bare }) {
		return nil
	}
	return object.Tags{"base": key.Name}
}

func (w *world) baseTags(key object.Key) string {
	if w.bases[key] == "" {
		return ""
	}
	return tagsText(w.foreignTags(key))
}
