package commit

import (
	"slices"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// MayFence tells what Fence may do: send says that the upload may be aborted on the
// replica now, and over that nothing of it is left anywhere. u nil: it has no document.
// An upload whose Complete is in doubt is left alone, for its client repeats it; a
// document goes only when nothing of the upload is left.
func MayFence(u *UploadRecord, f Fence) (send, over bool) {
	if u == nil {
		return false, true
	}
	return f.Decided || u.State == UploadDone || u.State == UploadAborted, false
}

// fenceOf is what is known of an upload on a replica, on one visit.
type fenceOf struct {
	upload   object.ID
	replica  string
	answered bool
	gone     bool // nothing of it was left there, before the HEADs of this round
}

func (p *Repair) fenceAt(upload object.ID, replica string) int {
	return slices.IndexFunc(p.fences, func(f fenceOf) bool { return f.upload == upload && f.replica == replica })
}

// fenced tells whether the upload is known to be gone from the replica.
func (p *Repair) fenced(upload object.ID, replica string) bool {
	i := p.fenceAt(upload, replica)
	return i >= 0 && p.fences[i].gone
}

// fence ends requests to complete an upload whose outcome is not known, where an
// upload that is gone cannot be completed any more (RELIABILITY 4.3). It is asked once
// for each upload and replica on a visit, and only of replicas that just answered.
func (p *Repair) fence() []Effect {
	var out []Effect
	fences := slices.Clone(p.fences)
	for _, e := range p.row.Unsettled {
		_, answered := p.shown[e.Replica]
		if e.Type != oplog.OpComplete || !answered || !p.cfg.Fences.Has(e.Replica) && holds(UFence) || p.fenceAt(e.ID, e.Replica) >= 0 {
			continue
		}
		if slices.ContainsFunc(fences, func(f fenceOf) bool { return f.upload == e.ID && f.replica == e.Replica }) {
			continue // two Completes of one upload
		}
		fences = append(fences, fenceOf{upload: e.ID, replica: e.Replica})
		_, decided := became(p.row, e.ID)
		out = append(out, Fence{e.Replica, e.ID, decided})
	}
	if out != nil {
		p.state, p.fences = pFence, fences
	}
	return out
}

func (p *Repair) fencedOne(ev Fenced) []Effect {
	i := p.fenceAt(ev.Upload, ev.Replica)
	if p.state != pFence || i < 0 || p.fences[i].answered {
		return nil
	}
	p.fences = slices.Clone(p.fences)
	p.fences[i].answered, p.fences[i].gone = true, ev.OK
	if slices.ContainsFunc(p.fences, func(f fenceOf) bool { return !f.answered }) {
		return nil
	}
	return p.look() // what the replicas show from now on is what was left
}

// recalled takes out of the row what the documents of uploads say now.
func (p *Repair) recalled(now Now, ev Recalled) []Effect {
	switch {
	case p.state != pRemember:
		return nil
	case !ev.OK:
		return p.end(Report{Row: p.row, Next: p.pause()})
	}
	next := p.row.Clone()
	next.Done, next.Changed = nil, now.Wall
	return p.swap(next)
}
