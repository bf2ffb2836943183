package commit

import (
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// askTags asks for the tags of what was shown, between the two looks at the row: a change of
// tags changes nothing else. Who keeps none is not asked.
func (s *Scrub) askTags() (out []Effect) {
	if !s.op.Deep {
		return nil
	}
	s.state = sTags
	for _, r := range s.op.Trust.Or(s.op.Fill).Minus(s.cfg.Bare) {
		if s.shown[r].Kind == object.Present {
			s.asked = s.asked.With(r)
			out = append(out, AskTags{r})
		}
	}
	return out
}

func (s *Scrub) toldTags(now Now, ev ToldTags) []Effect {
	if s.state != sTags || !s.asked.Has(ev.Replica) {
		return nil
	}
	hearTags(ev, &s.asked, &s.dumb, &s.told)
	if len(s.asked) > 0 {
		return nil
	}
	return s.lookAgain(now)
}

// mistag compares the tags of the good replicas of a row with the row's, and names in it who
// has other ones. A row that does not know them gets those of most replicas whose word counts,
// or else those of the ones that have any, if they are of one mind; split: they are not, and
// nothing is named.
func (s *Scrub) mistag(row *oplog.Row) (faults []Fault, split bool) {
	told := row.Good.Filter(func(r string) bool { _, ok := s.told[r]; return ok })
	if len(told) == 0 || row.Cur.Kind != object.Present {
		return nil, false
	}
	want := row.Cur.Tags
	if !row.Tagged {
		want, split = s.vote(told)
	}
	for _, r := range told {
		if split || !s.told[r].Equal(want) {
			seen, wanted := s.shown[r].Info, row.Cur
			seen.Tags, wanted.Tags = s.told[r], want
			faults = append(faults, Fault{Replica: r, What: WrongTags, Seen: seen, Want: wanted})
		}
	}
	if len(faults) == 0 || split {
		return faults, split
	}
	row.Cur.Tags, row.Tagged = want, true
	for _, f := range faults {
		row.Mistagged = row.Mistagged.With(f.Replica)
	}
	bare(row, s.cfg)
	return faults, false
}

// vote chooses among the tags that replicas told; split: nothing says which are right.
func (s *Scrub) vote(told object.Replicas) (want object.Tags, split bool) {
	voters := told.And(s.op.Trust)
	if len(voters) == 0 {
		voters = told
	}
	var some []object.Tags // different ones
	count := func(tags object.Tags) int {
		return len(voters.Filter(func(r string) bool { return s.told[r].Equal(tags) }))
	}
	for _, r := range voters {
		tags := s.told[r]
		if 2*count(tags) > len(voters) {
			return tags, false
		}
		known := len(tags) == 0
		for _, other := range some {
			known = known || other.Equal(tags)
		}
		if !known {
			some = append(some, tags)
		}
	}
	if len(some) == 1 {
		return some[0], false
	}
	return nil, true
}
