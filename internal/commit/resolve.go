package commit

import (
	"slices"
	"strings"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// resolve ends an expired intent (R24): forward when an anchored replica shows
// it, back when that is known to be safe, else not yet.
func (p *Repair) resolve(now Now) []Effect {
	in := p.row.Intent
	if in.Type == oplog.OpHeal {
		next := p.row.Clone()
		next.Intent, next.Changed = nil, now.Wall
		next.Unsettled = addEntries(next.Unsettled, entries(in, in.Reps, now))
		return p.swap(next)
	}
	found := p.which(func(r string, s object.Seen) bool { return showsIntent(p.row, r, s) })
	if anchored(p.row, found, in.ID, in.Ver) || !holds(R24Anchor) && len(found) > 0 {
		return p.swap(helped(p.row, found, p.shown[found[0]], p.cfg, now))
	}
	if p.row.Open {
		return p.closeBase(now)
	}
	good := p.showing().And(p.row.Good)
	lost := p.allAnswered(p.cfg.whole()) || p.row.Cur.Kind == object.Tombstone && p.allAnswered(p.row.Good)
	if len(good) > 0 || lost {
		next := p.row.Clone()
		if seen, agree := p.agreed(); len(good) == 0 && agree && len(p.row.Unsettled) == 0 && seen.Kind == object.Present && !partOf(in, seen) {
			next.Cur, next.Good = p.cfg.common(seen.Info), p.cfg.whole()
			next.Cur.Ver = object.Tick(now.Wall, p.row.MaxVer())
			next.Tagged, next.Bare, next.Sumless, next.Rotten = false, nil, nil, nil
		}
		next.Intent, next.Changed = nil, now.Wall
		next.Unsettled = addEntries(next.Unsettled, entries(in, in.Reps, now))
		return p.swap(next)
	}
	return p.end(Report{Row: p.row, Next: p.pause()})
}

// agreed returns what all replicas show, if they all show the same.
func (p *Repair) agreed() (object.Seen, bool) {
	var first object.Seen
	for i, r := range p.cfg.whole() {
		s, ok := p.shown[r]
		if !ok {
			return first, false
		}
		if i == 0 {
			first = s
		} else if !s.Shows(first.Info) {
			return first, false
		}
	}
	return first, true
}

// closeBase clears an intent whose base was not known and records what was seen
// of it, by those that served when the row was made: data before absence where they differ.
func (p *Repair) closeBase(now Now) []Effect {
	in := p.row.Intent
	var base *object.Seen
	for _, r := range p.row.Good {
		s, ok := p.shown[r]
		if !ok || partOf(in, s) {
			continue
		}
		if base == nil || base.Kind == object.Tombstone && s.Kind == object.Present {
			base = &s
		}
	}
	if base == nil {
		return p.end(Report{Row: p.row, Next: p.pause()})
	}
	next := p.row.Clone()
	next.Cur = p.cfg.common(base.Info)
	next.Cur.Ver, next.Open, next.Intent, next.Changed = 0, false, nil, now.Wall
	next.Tagged, next.Bare, next.Sumless, next.Rotten = false, nil, nil, nil
	next.Good = next.Good.Filter(func(r string) bool {
		s, ok := p.shown[r]
		return !ok || s.Shows(base.Info) || !holds(R4Base)
	})
	next.Unsettled = addEntries(next.Unsettled, entries(in, in.Reps, now))
	return p.swap(next)
}

// rollForward decides a version that nobody was told about, when it is all that
// is left of the key (R25); without it keys get stuck. It must be safe on a replica
// that shows it, from older requests and from newer ones: a newer one that landed
// there would be all that is left in its turn, and be decided over a version that its
// client's condition was not judged against (the exhaustive search's addition to R25).
func (p *Repair) rollForward(now Now) *oplog.Row {
	if len(p.row.Unsettled) == 0 || !p.allAnswered(p.cfg.whole()) || len(p.showing()) > 0 {
		return nil
	}
	var best *oplog.Entry
	var holders object.Replicas
	for i, e := range p.row.Unsettled {
		if e.Ver <= p.row.Cur.Ver || e.Type == oplog.OpHeal || best != nil && e.Ver <= best.Ver {
			continue
		}
		found := p.holders(e)
		if safe(p.row, found, e) || !holds(R25Newer) && anchored(p.row, found, e.ID, e.Ver) {
			best, holders = &p.row.Unsettled[i], found
		}
	}
	if best == nil {
		return nil
	}
	info := p.shown[p.telling(holders)].Info
	info.ID, info.Ver, info.Kind, info.Tags = best.ID, best.Ver, best.Kind, best.Tags
	return decide(p.row, evidence{info: info, good: holders, typ: best.Type}, p.cfg, now)
}

// telling is the first of the holders that shows a checksum of the version, or the first.
func (p *Repair) telling(holders object.Replicas) string {
	for _, r := range holders {
		for name := range p.shown[r].Headers {
			if strings.HasPrefix(name, object.ChecksumPrefix) {
				return r
			}
		}
	}
	return holders[0]
}

// safe tells whether no request of another version may land on some replica in s and
// change it. An older delete changes nothing where a newer one is decided. It has to be
// told from others by that: absence shows both of two deletes, so neither is settled, and
// if each were to wait for the other the key would be stuck.
func safe(row *oplog.Row, s object.Replicas, v oplog.Entry) bool {
	harmless := func(e oplog.Entry) bool {
		return e.ID == v.ID || e.Kind == object.Tombstone && v.Kind == object.Tombstone && e.Ver < v.Ver && holds(R25Deletes)
	}
	other := func(r string) bool {
		return slices.ContainsFunc(row.Unsettled, func(e oplog.Entry) bool { return e.Replica == r && !harmless(e) })
	}
	return slices.ContainsFunc(s, func(r string) bool { return !other(r) })
}

// holders are the replicas that show an entry's version, whole: of copies that
// differ only those that are like the first.
func (p *Repair) holders(e oplog.Entry) object.Replicas {
	like := e.ETag
	return p.which(func(r string, s object.Seen) bool {
		if !p.landed(r, e, s) || like != "" && p.cfg.differ(r, s.ETag, like) {
			return false
		}
		if like == "" {
			like = s.ETag
		}
		return true
	})
}
