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
	if holds(SRotten) {
		showing = showing.Minus(p.row.Rotten)
	}
	good := p.row.Good.Or(showing)
	bad := p.which(func(r string, s object.Seen) bool { return good.Has(r) && !shows(p.row, r, s) })
	if len(good.Minus(bad)) == 0 || holds(R19Anchor) && !anchored(p.row, good.Minus(bad), p.row.Cur.ID, p.row.Cur.Ver) {
		good = good.Minus(bad).Or(p.row.Good) // what is left would not carry the version
	} else {
		good, bad = good.Minus(bad), nil
	}
	next := p.row.Clone()
	if next.Cfg < p.cfg.Epoch {
		p.cfg.lift(next)
	}
	next.Good, next.Unsettled = good, nil
	named := bad
	if !holds(R19Named) {
		named = nil
	}
	for _, e := range p.row.Unsettled {
		// I4: a replica that counts as good and shows something else stays named,
		// by the request that it shows if there is one.
		if !p.settled(e, now, len(showing) > 0) || holds(R19Shown) && bad.Has(e.Replica) && p.landed(e.Replica, e, p.shown[e.Replica]) {
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
	if holds(R19Last) && !curSeen && e.Ver > p.row.Cur.Ver && p.landed(e.Replica, e, s) {
		// With the current version nowhere in sight this may be all that is left of
		// the key: rollForward needs the entry (the simulator's addition to R19).
		return false
	}
	if (e.Kind == object.Present || !holds(R26Absence)) && !p.rots(e) && p.landed(e.Replica, e, s) && curSeen && p.alone(e) {
		return true
	}
	if e.Type == oplog.OpComplete && p.fenced(e.ID, e.Replica) {
		return true // its upload is gone: what the replica shows since then is what it left
	}
	return p.mem.watched(e, now.Boot, p.cfg.Times.Settle)
}

// rots tells whether the replica showed what the request would leave there before it was
// sent: then it is no sign of its end.
func (p *Repair) rots(e oplog.Entry) bool {
	return holds(SSight) && e.ID == p.row.Cur.ID && p.row.Rotten.Has(e.Replica)
}

// landed tells whether a replica shows what the request would have left there:
// the whole version, not a part of it that an earlier request left (the
// simulator's addition to R19), or absence.
func (p *Repair) landed(r string, e oplog.Entry, s object.Seen) bool {
	if s.Kind != e.Kind || e.Kind == object.Tombstone {
		return s.Kind == e.Kind
	}
	if !holds(R19Whole) {
		return s.ID == e.ID
	}
	return s.ID == e.ID && s.Size == e.Size && !(e.ETag != "" && p.cfg.differ(r, s.ETag, e.ETag))
}

// alone tells whether no other request of the same version can have left what the
// replica shows. A Complete of the upload that was answered can have, and is named no
// more: so the version ends no request to complete it, but where an upload cannot be
// completed twice, and there it ends all of them (the simulator's addition). A heal,
// which would show the same, goes only to a replica that none of them may reach (R27).
func (p *Repair) alone(e oplog.Entry) bool {
	if e.Type == oplog.OpComplete && holds(USeen) {
		return p.cfg.Fences.Has(e.Replica)
	}
	n := 0
	for _, o := range p.row.Unsettled {
		if o.Replica == e.Replica && o.ID == e.ID {
			n++
		}
	}
	return n == 1
}
