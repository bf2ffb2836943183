package commit

import (
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// tidy brings the row in line with what the replicas show: settled requests go
// (R19), replicas that hold the version are good, others are not. It returns nil
// when the row says so already.
func (p *Repair) tidy(now Now) *oplog.Row {
	showing := p.showing()
	good := p.row.Good.Or(showing)
	bad := p.which(func(r string, s object.Seen) bool { return good.Has(r) && !shows(p.row, r, s) })
	if len(good.Minus(bad)) == 0 || holds(R19Anchor) && !anchored(p.row, good.Minus(bad), p.row.Cur.Ver) {
		good = good.Minus(bad).Or(p.row.Good) // what is left would not carry the version
	} else {
		good, bad = good.Minus(bad), nil
	}
	next := p.row.Clone()
	next.Good, next.Unsettled = good, nil
	named := bad
	if !holds(R19Named) {
		named = nil
	}
	for _, e := range p.row.Unsettled {
		// I4: a replica that counts as good and shows something else stays named,
		// by the request that it shows if there is one.
		if !p.settled(e, now, len(showing) > 0) || holds(R19Shown) && bad.Has(e.Replica) && landed(e, p.shown[e.Replica]) {
			next.Unsettled = append(next.Unsettled, e)
			named = named.Without(e.Replica)
		}
	}
	for _, e := range p.row.Unsettled {
		if named.Has(e.Replica) {
			next.Unsettled = append(next.Unsettled, e)
			named = named.Without(e.Replica)
		}
	}
	if len(next.Unsettled) == len(p.row.Unsettled) && next.Good.Equal(p.row.Good) {
		return nil
	}
	next.Changed = now.Wall
	return next
}

// alarms names replicas that acknowledged the version and do not show it, though
// no request that anybody knows of could have changed them (H26): they forgot it,
// or somebody else writes to them.
func (p *Repair) alarms() []Effect {
	var out []Effect
	for _, r := range p.row.Good {
		if s, ok := p.shown[r]; ok && !shows(p.row, r, s) && clean(p.row, r) {
			out = append(out, Alarm{"replica " + r + " does not hold what it acknowledged"})
		}
	}
	return out
}

// settled tells whether a released request is over: its PUT is seen, or time has
// passed under watch. Absence never settles a DELETE (R26).
func (p *Repair) settled(e oplog.Entry, now Now, curSeen bool) bool {
	s, ok := p.shown[e.Replica]
	if !ok {
		return false
	}
	if holds(R19Last) && !curSeen && e.Ver > p.row.Cur.Ver && landed(e, s) {
		// With the current version nowhere in sight this may be all that is left of
		// the key: rollForward needs the entry (the simulator's addition to R19).
		return false
	}
	if (e.Kind == object.Present || !holds(R26Absence)) && landed(e, s) && curSeen && p.alone(e) {
		return true
	}
	return p.mem.watched(e, now.Boot, p.cfg.Times.Settle)
}

// landed tells whether a replica shows what the request would have left there:
// the whole version, not a part of it that an earlier request left (the
// simulator's addition to R19), or absence.
func landed(e oplog.Entry, s object.Seen) bool {
	if s.Kind != e.Kind || e.Kind == object.Tombstone {
		return s.Kind == e.Kind
	}
	if !holds(R19Whole) {
		return s.ID == e.ID
	}
	return s.ID == e.ID && s.Size == e.Size && !(e.ETag != "" && s.ETag != e.ETag && isMD5(s.ETag) && isMD5(e.ETag))
}

// alone tells whether no other request of the same version is on the replica.
func (p *Repair) alone(e oplog.Entry) bool {
	n := 0
	for _, o := range p.row.Unsettled {
		if o.Replica == e.Replica && o.ID == e.ID {
			n++
		}
	}
	return n == 1
}
