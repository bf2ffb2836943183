package commit

import (
	"maps"
	"slices"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// What a scrub makes of what the replicas showed: which of them are right.

// alike tells whether all that answered show the same.
func (s *Scrub) alike() bool { return len(s.groups(s.op.Trust.Or(s.op.Fill))) <= 1 }

// choose is the row in which the right replicas are good; nil when nothing says which
// those are.
func (s *Scrub) choose(now Now) *oplog.Row {
	if s.row != nil {
		next := s.row.Clone()
		next.Changed = now.Wall
		s.cfg.lift(next)
		next.Good = next.Good.Filter(func(r string) bool { seen, ok := s.shown[r]; return !ok || shows(s.row, r, seen) })
		if len(next.Good) == 0 || !slices.ContainsFunc(next.Good, func(r string) bool { _, ok := s.shown[r]; return ok }) {
			return nil // nobody shows the version
		}
		return next
	}
	cur, ok := s.winner()
	if !ok {
		return nil
	}
	next := &oplog.Row{Cfg: s.cfg.Epoch, Cur: s.cfg.common(cur), Changed: now.Wall}
	next.Cur.Ver = 0
	next.Good = s.cfg.Replicas.Filter(func(r string) bool { seen, ok := s.shown[r]; return ok && seen.Shows(cur) })
	return next
}

// group are replicas that show the same.
type group struct {
	seen object.Seen // of the first of them
	reps object.Replicas
}

// groups sorts the replicas by what they show.
func (s *Scrub) groups(reps object.Replicas) (all []group) {
	for _, r := range reps {
		seen, ok := s.shown[r]
		if !ok {
			continue
		}
		i := slices.IndexFunc(all, func(g group) bool { return seen.Shows(g.seen.Info) })
		if i < 0 {
			all, i = append(all, group{seen: seen}), len(all)
		}
		all[i].reps = all[i].reps.With(r)
	}
	return all
}

// winner chooses what a key without a row should hold: data wins over absence, since a
// delete that some replica missed would have a row (H19). Where replicas hold different
// objects it is that of the preferred one, of most of them, one that we wrote, the newest.
func (s *Scrub) winner() (object.Info, bool) {
	trusted := s.op.Trust
	answered := !slices.ContainsFunc(trusted, func(r string) bool { _, ok := s.shown[r]; return !ok })
	all := s.groups(trusted)
	objects := slices.DeleteFunc(slices.Clone(all), func(g group) bool { return g.seen.Kind == object.Tombstone })
	switch {
	case len(all) == 0:
		return object.Info{}, false
	case len(objects) == 0: // it takes away what others hold: everyone who counts must have shown it
		return all[0].seen.Info, answered || !holds(SAbsent)
	case len(objects) < len(all) && !holds(SData):
		return object.Info{Kind: object.Tombstone}, true
	case len(objects) == 1:
		return objects[0].seen.Info, true
	}
	for _, g := range objects {
		if g.reps.Has(s.op.Prefer) {
			return g.seen.Info, true
		}
	}
	for _, g := range objects {
		if 2*len(g.reps) > len(trusted) {
			return g.seen.Info, true
		}
	}
	if !answered {
		return object.Info{}, false
	}
	best := slices.MaxFunc(objects, func(a, b group) int { return better(a.seen, b.seen) })
	second := slices.ContainsFunc(objects, func(g group) bool { return !g.reps.Equal(best.reps) && better(g.seen, best.seen) == 0 })
	return best.seen.Info, !second
}

// better orders two objects of one key: one that we wrote before a foreign one, then by
// place where both tell it, then by time.
func better(a, b object.Seen) int {
	switch {
	case a.ID.IsZero() != b.ID.IsZero():
		if a.ID.IsZero() {
			return -1
		}
		return 1
	case a.Ver != 0 && b.Ver != 0:
		return int(min(max(int64(a.Ver)-int64(b.Ver), -1), 1))
	case !a.Uploaded.IsZero() && !b.Uploaded.IsZero() && !a.Uploaded.Equal(b.Uploaded):
		return a.Uploaded.Compare(b.Uploaded)
	}
	return a.ModTime.Compare(b.ModTime)
}

// rotten are the good replicas of a row whose bytes are not those of the version: by their
// own checksum, or since most of the others, or the one that is proved, have other ones.
// unread could not be read; unclear: nothing says whose bytes are right.
func (s *Scrub) rotten(row *oplog.Row) (rotten, unread object.Replicas, unclear bool) {
	if !s.op.Deep || row.Cur.Kind != object.Present {
		return nil, nil, false
	}
	count, proved := map[string]int{}, map[string]bool{}
	var read object.Replicas
	for _, r := range row.Good {
		seen, answered := s.shown[r]
		sum, ok := s.sums[r]
		switch {
		case !answered:
		case !ok || sum.Failed || !seen.Shows(s.summed[r].Info):
			unread = unread.With(r)
		case sum.Proof == Disproved:
			rotten = rotten.With(r)
		default:
			read = read.With(r)
			count[sum.Sum]++
			proved[sum.Sum] = proved[sum.Sum] || sum.Proof == Proved
		}
	}
	switch {
	case len(count) == 0:
		return rotten, unread, len(rotten) > 0 // none is known to be right
	case len(count) == 1:
		return rotten, unread, false
	}
	anyProved := slices.Contains(slices.Collect(maps.Values(proved)), true)
	right, found := "", 0
	for sum, n := range count {
		if proved[sum] || !anyProved && 2*n > len(read) {
			right, found = sum, found+1
		}
	}
	if found != 1 {
		return rotten, unread, true
	}
	for _, r := range read {
		if s.sums[r].Sum != right {
			rotten = rotten.With(r)
		}
	}
	return rotten, unread, false
}

// faults are what is wrong with each replica, by the row that would stand.
func (s *Scrub) faults(row *oplog.Row, rotten object.Replicas) (out []Fault) {
	for _, r := range s.op.Trust.Or(s.op.Fill) {
		seen, answered := s.shown[r]
		cur := row.Cur
		if own, ok := row.ETags[r]; ok {
			cur.ETag = own
		}
		f := Fault{Replica: r, Seen: seen.Info, Want: cur}
		switch {
		case !answered:
			continue
		case rotten.Has(r):
			f.What = Rot
		case seen.Shows(cur):
			continue
		case seen.Kind == object.Tombstone:
			f.What = Missing
		case cur.Kind == object.Tombstone:
			f.What = Extra
		case seen.Size != cur.Size:
			f.What = WrongSize
		case seen.ETag != cur.ETag:
			f.What = WrongETag
		default:
			f.What = WrongID
		}
		out = append(out, f)
	}
	return out
}
