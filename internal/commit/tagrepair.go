package commit

import (
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Mend asks for a Tag machine with TagOp.Heal: Target gets the tags of the row. Copied
// answers it.
type Mend struct {
	Target string
	Tags   object.Tags
}

func (Mend) effect() {}

// tags takes the next step that the tags of the key ask for, or returns nil.
func (p *Repair) tags(now Now) []Effect {
	if next := p.tidyTags(now); next != nil {
		return p.swap(next)
	}
	if p.row.Cur.Kind != object.Present {
		return nil
	}
	if out := p.lookAtTags(); out != nil {
		return out
	}
	for _, r := range p.cfg.heals().And(p.row.Mistagged) {
		told, looked := p.told[r]
		if looked && p.row.Tagged && retaggable(p.row, r) && !told.Equal(p.row.Cur.Tags) && !p.mended.Has(r) {
			p.mended, p.state = p.mended.With(r), pCopy
			return []Effect{Mend{r, p.row.Cur.Tags}}
		}
	}
	return nil
}

// tidyTags brings what the row says of tags in line with what is known: requests that
// are over go (as R19; the same tags on a replica end none), a replica that was seen
// under the right ones is mistagged no more, and tags that only the replicas knew are
// put down. It returns nil when the row says so already.
func (p *Repair) tidyTags(now Now) *oplog.Row {
	next := p.row.Clone()
	next.Tagging = nil
	for _, e := range p.row.Tagging {
		if _, answered := p.shown[e.Replica]; !answered || !p.mem.watched(e, now.Boot, p.cfg.Times.Settle) {
			next.Tagging = append(next.Tagging, e)
		}
	}
	if p.row.Cur.Kind == object.Tombstone {
		next.Mistagged = p.row.Mistagged.Filter(func(r string) bool { return tagging(next, r) })
	}
	learnt := false
	for _, r := range p.cfg.Replicas {
		told, looked := p.told[r]
		switch {
		case !looked:
		case !p.row.Tagged && !learnt:
			next.Cur.Tags, next.Tagged, learnt = told, true, true
		case p.row.Tagged && retaggable(p.row, r) && told.Equal(p.row.Cur.Tags):
			next.Mistagged = next.Mistagged.Without(r)
		}
	}
	if !holds(TLook) && p.row.Tagged {
		next.Mistagged = next.Mistagged.Filter(func(r string) bool { return !retaggable(p.row, r) })
	}
	bare(next, p.cfg)
	if !learnt && len(next.Tagging) == len(p.row.Tagging) && next.Mistagged.Equal(p.row.Mistagged) && next.Bare.Equal(p.row.Bare) {
		return nil
	}
	next.Changed = now.Wall
	return next
}

func tagging(row *oplog.Row, r string) bool {
	for _, e := range row.Tagging {
		if e.Replica == r {
			return true
		}
	}
	return false
}

// lookAtTags asks replicas under which tags they hold the version: those that may have
// others, and one where nobody knows them and the version is to be copied, or some may
// have others than it. A copy whose bytes have rotted has tags all the same: where no other one
// has any it is asked, else it would never be copied over.
func (p *Repair) lookAtTags() []Effect {
	able := p.showing().Minus(p.cfg.Bare).Filter(func(r string) bool {
		_, told := p.told[r]
		return !told && !p.asked.Has(r) && !p.dumb.Has(r) && !tagging(p.row, r) && clean(p.row, r)
	})
	good := able.And(p.row.Good)
	want := good.And(p.row.Mistagged)
	if p.unknownTags() {
		first := good.Minus(p.row.Mistagged)
		if len(first) == 0 {
			first = good
		}
		if len(first) == 0 {
			first = able.And(p.row.Rotten)
		}
		want = first[:min(1, len(first))]
	}
	if len(want) == 0 {
		return nil
	}
	p.state, p.asked = pTags, want
	var out []Effect
	for _, r := range want {
		out = append(out, AskTags{r})
	}
	return out
}

// unknownTags tells whether the tags have to be known and are not.
func (p *Repair) unknownTags() bool {
	if p.row.Tagged || p.row.Cur.Kind != object.Present || !holds(TLearn) {
		return false
	}
	if able := p.cfg.Replicas.Minus(p.cfg.Bare); p.allAnswered(able) && len(p.showing().And(able)) == 0 {
		return false // nobody who holds the version keeps tags
	}
	return len(p.row.Mistagged) > 0 || len(p.cfg.heals().Minus(p.row.Good)) > 0
}

func (p *Repair) toldTags(now Now, ev ToldTags) []Effect {
	if p.state != pTags || !p.asked.Has(ev.Replica) {
		return nil
	}
	hearTags(ev, &p.asked, &p.dumb, &p.told)
	if len(p.asked) > 0 {
		return nil
	}
	return p.conclude(now)
}

// hearTags takes one replica's word on its tags, of those that were asked.
func hearTags(ev ToldTags, asked, dumb *object.Replicas, told *map[string]object.Tags) {
	*asked = asked.Without(ev.Replica)
	if ev.Failed || ev.Absent {
		*dumb = dumb.With(ev.Replica)
		return
	}
	*told = with(*told, ev.Replica, ev.Tags)
}
