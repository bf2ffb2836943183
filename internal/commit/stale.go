package commit

import "github.com/s3mirror/s3mirror/internal/object"

// Stale answers a GET or HEAD while the log is away, for clients who were told that they
// may be shown something old: what the first replica shows that has anything. It promises
// nothing of what Read does, and R21 least of all: whoever serves its answer says so.
// It takes Look and Showed, and ends with Serve without a row, Absent or Unavailable.
type Stale struct {
	cfg   Config
	queue []string
	asked string
	none  bool // a replica answered, and had nothing
	over  bool
}

// NewStale returns the machine of one such read.
func NewStale(cfg Config) *Stale { return &Stale{cfg: cfg} }

// Over tells that the machine wants no more events.
func (s *Stale) Over() bool { return s.over }

// Step takes one event and returns what is to be done, in order.
func (s *Stale) Step(_ Now, ev Event) []Effect {
	switch ev := ev.(type) {
	case Look:
		s.queue = pick(s.cfg.First(ev.Order), s.cfg.Serving.Has)
		return s.ask()
	case Showed:
		switch {
		case ev.Replica != s.asked || s.over:
		case !ev.Failed && ev.Seen.Kind == object.Present:
			return s.end(Serve{Replica: ev.Replica, Info: s.cfg.common(ev.Seen.Info)})
		default:
			s.none = s.none || !ev.Failed
			return s.ask()
		}
	}
	return nil
}

// ask asks the next replica: one that lacks the object may have missed it.
func (s *Stale) ask() []Effect {
	switch {
	case len(s.queue) > 0:
		s.asked, s.queue = s.queue[0], s.queue[1:]
		return []Effect{Get{Replica: s.asked}}
	case s.none:
		return s.end(Absent{})
	}
	return s.end(Unavailable{})
}

func (s *Stale) end(e Effect) []Effect {
	s.over = true
	return []Effect{e}
}
