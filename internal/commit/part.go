package commit

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Events and effects of a part.
type (
	// AddPart asks for the part's record to be inserted. Unlike a compare-and-set it may
	// be asked for again.
	AddPart struct{ Part oplog.Part }
	// PartAdded answers it: Applied, NotApplied or Unknown.
	PartAdded struct{ Outcome CAS }
)

func (AddPart) effect()  {}
func (PartAdded) event() {}

type partState uint8

const (
	ptNew    partState = iota
	ptRead             // reading the upload
	ptBody             // the client's body is being read
	ptSent             // released
	ptLeave            // taking replicas that lack the part out of the upload
	ptReread           // reading the upload again
	ptAdd              // inserting the record
	ptWait             // before the next attempt
	ptOver
)

// Part sends one part of a multipart upload to every replica that is in it. Begin,
// Verified, Broken, Lost, Stalled and Answered are those of a Write, and so are Open,
// Accept, Leave, Release and Done. There is no intent: a part is seen by nobody before
// its upload's Complete.
//
// A part that is acknowledged is held by every replica that is still in the upload:
// those that lack it leave the upload first, by compare-and-set, and never so many that
// the ack rule could not be met at Complete. They are healed whole afterwards.
type Part struct {
	cfg    Config
	part   oplog.Part
	direct object.Replicas // copy their part by themselves
	state  partState

	rec   *UploadRecord
	epoch oplog.Epoch
	begun time.Duration   // Boot of Begin
	limit time.Duration   // Boot: until then the log is tried
	up    object.Replicas // take part
	tally tally
	gone  tally // before the release
	floor bool  // TimerFloor fired
	kept  bool  // TimerKeep fired: no answer is waited for any more
	doubt bool  // an insert was not known
	after partState

	leaving string // the replica that is being taken out before the release
}

// NewPart returns the machine of one attempt at a part. part holds Upload, Number and a
// fresh Attempt. The replicas in direct copy it from an object that they hold (CopyPlan):
// they have no part in the body, and Release asks for an UploadPartCopy.
func NewPart(cfg Config, part oplog.Part, direct object.Replicas) *Part {
	return &Part{cfg: cfg, part: part, direct: direct}
}

// Added is the record as it was inserted, once Done said Acked.
func (p *Part) Added() oplog.Part { return p.part }

// UploadID is the replica's own id of the upload; it is known once Open was asked for.
func (p *Part) UploadID(replica string) string {
	if p.rec == nil {
		return ""
	}
	return p.rec.IDs[replica]
}

// Over tells that the machine wants no more events.
func (p *Part) Over() bool { return p.state == ptOver }

// Step takes one event and returns what is to be done, in order.
func (p *Part) Step(now Now, ev Event) []Effect {
	switch ev := ev.(type) {
	case Begin:
		p.up, p.begun, p.state = ev.Up.And(p.cfg.takes()), now.Boot, ptRead
		if now.bars() {
			return p.end(Failed, codeSlowDown)
		}
		return []Effect{ReadUpload{}}
	case UploadRead:
		return p.uploadRead(now, ev)
	case UploadSwapped:
		return p.left(now, ev)
	case Verified:
		return p.verified(now, ev)
	case Broken:
		if p.state == ptRead || p.state == ptBody {
			return p.end(Failed, codeRequestTimeout)
		}
	case Lost:
		return p.lost(ev)
	case Stalled:
		return p.stalled(ev)
	case Answered:
		return p.answer(now, ev)
	case PartAdded:
		return p.added(now, ev)
	case Fired:
		return p.fired(now, ev)
	}
	return nil
}

func (p *Part) end(kind Kind, code string) []Effect {
	var out []Effect
	if p.state == ptBody {
		for _, r := range p.up.Minus(p.direct) {
			out = append(out, Leave{r})
		}
	}
	p.state = ptOver
	no := map[string]string{}
	for _, t := range []tally{p.gone, p.tally} {
		for r, c := range t.refused {
			no[r] = c
		}
	}
	info := object.Info{ETag: p.part.ETag, Size: p.part.Size, Headers: p.part.Sums, ModTime: p.part.Added}
	return append(out, Done{Result{Kind: kind, Code: code, Info: info, OK: p.tally.yes, No: no}})
}

func (p *Part) uploadRead(now Now, ev UploadRead) []Effect {
	leaving := p.leaving
	p.leaving = ""
	switch {
	case p.state != ptRead && p.state != ptReread && leaving == "":
		return nil
	case ev.Failed && p.state == ptRead:
		return p.end(Failed, codeSlowDown)
	case ev.Failed && p.state == ptReread:
		return p.wait(now, ptReread)
	case ev.Failed && p.state == ptSent:
		return p.conclude(now)
	case ev.Failed:
		return nil // it is said again that the replica stands still
	case !ev.Record.takesParts():
		return p.end(Failed, codeNoSuchUpload)
	}
	p.rec, p.epoch = ev.Record, ev.Epoch
	switch p.state {
	case ptBody:
		return p.stalled(Stalled{Replica: leaving, For: p.cfg.Times.Grace})
	case ptReread, ptSent:
		p.state = ptSent
		return p.conclude(now)
	}
	p.up = p.up.And(p.rec.In)
	if !p.cfg.AckRule().Met(p.up) {
		return p.end(Failed, codeSlowDown)
	}
	p.state = ptBody
	var out []Effect
	for _, r := range p.up.Minus(p.direct) {
		out = append(out, Open{r})
	}
	return append(out, Accept{})
}

func (p *Part) lost(ev Lost) []Effect {
	if p.state != ptBody || !p.up.Has(ev.Replica) {
		return nil
	}
	p.up = p.up.Without(ev.Replica)
	p.gone.add(ev.Replica, Answer{Class: No, Code: ev.Answer.Code})
	if !p.cfg.AckRule().Met(p.up) {
		return p.end(Failed, codeSlowDown)
	}
	return nil
}

// stalled lets a replica go that holds the body up, if the part can do without it. The log
// is told first: of parts that are sent at once each could do without another one, and
// together they could not.
func (p *Part) stalled(ev Stalled) []Effect {
	r := ev.Replica
	switch {
	case p.state != ptBody || p.leaving != "" || !p.up.Has(r) || ev.For < p.cfg.Times.Grace:
		return nil
	case !p.cfg.AckRule().Met(p.up.And(p.rec.In).Without(r)):
		return nil
	case !p.rec.In.Has(r):
		return p.leave(r)
	}
	next := p.rec.clone()
	next.In, p.leaving = next.In.Without(r), r
	return []Effect{SwapUpload{p.epoch, next}}
}

func (p *Part) leave(r string) []Effect {
	p.up = p.up.Without(r)
	return []Effect{Leave{r}}
}

// took takes the outcome of the compare-and-set by which one replica leaves before the
// release. By then the body may be whole.
func (p *Part) took(now Now, ev UploadSwapped) []Effect {
	r := p.leaving
	p.leaving = ""
	if ev.Outcome == Applied {
		p.rec = p.rec.clone()
		p.rec.In, p.epoch = p.rec.In.Without(r), ev.Epoch
	}
	switch {
	case p.state == ptSent:
		return p.conclude(now)
	case ev.Outcome == Applied:
		return p.leave(r)
	}
	p.leaving = r
	return []Effect{ReadUpload{}}
}

func (p *Part) verified(now Now, ev Verified) []Effect {
	if p.state != ptBody {
		return nil
	}
	p.part.Size, p.part.ETag, p.part.Sums = ev.Info.Size, ev.Info.ETag, ev.Info.Headers
	p.state = ptSent
	// A replica that is slow with a part must not leave a whole upload for it: it has
	// as long again as the part took, and at least the grace.
	out := []Effect{Sleep{TimerFloor, max(now.Boot-p.begun, p.cfg.Times.Grace)}, Sleep{TimerKeep, p.cfg.Times.Keep}}
	for _, r := range p.up {
		out = append(out, Release{r, 0})
	}
	return out
}

func (p *Part) answer(now Now, ev Answered) []Effect {
	if !p.listens() || !p.up.Has(ev.Replica) || p.tally.settled().Has(ev.Replica) {
		return nil
	}
	a := ev.Answer
	if a.Class == Yes && p.part.ETag == "" && isMD5(a.ETag) {
		p.part.ETag = a.ETag // no body told it
	}
	if a.Class == Yes && p.part.ETag != "" && a.ETag != p.part.ETag && isMD5(a.ETag) && isMD5(p.part.ETag) {
		a = Answer{Class: Ambiguous} // it holds something else than what was sent
	}
	p.tally.add(ev.Replica, a)
	if p.state != ptSent {
		return nil
	}
	return p.conclude(now)
}

// listens tells whether an answer may still change who holds the part: until its record
// is made, also while others' leaving is on its way to the log.
func (p *Part) listens() bool {
	return p.state == ptSent || p.state == ptLeave || p.state == ptReread || p.state == ptWait && p.after == ptReread
}

func (p *Part) fired(now Now, ev Fired) []Effect {
	switch {
	case ev.Timer == TimerFloor:
		p.floor = true
		if p.state == ptSent {
			return p.conclude(now)
		}
	case ev.Timer == TimerKeep:
		p.kept = true
		if p.state == ptSent {
			return p.conclude(now)
		}
	case p.state == ptWait && p.after == ptAdd:
		return p.add(now)
	case p.state == ptWait:
		p.state = ptReread
		return []Effect{ReadUpload{}}
	}
	return nil
}

// conclude acknowledges the part on the replicas that hold it, once the others have
// answered or had their time. Parts that are sent at once may each do without another
// replica, and only the first that says so in the log may: who comes second has less to
// choose from, and waits for one that is still in the upload rather than fail.
func (p *Part) conclude(now Now) []Effect {
	if p.leaving != "" {
		return nil // the log is asked for one thing at a time
	}
	rule, in := p.cfg.AckRule(), p.rec.In
	stay, left := in.And(p.tally.yes), in.And(p.up).Minus(p.tally.settled())
	switch {
	case !rule.Met(stay.Or(left)):
		return p.end(Failed, codeSlowDown) // the client sends it again; whoever was in the upload still is
	case len(left) == 0, (p.floor || p.kept) && rule.Met(stay):
	case p.kept:
		return p.end(Doubt, codeSlowDown)
	default:
		p.limit = 0 // the log is not waited for now
		return nil
	}
	if p.limit == 0 {
		p.limit = now.Boot + p.cfg.Times.LockWait
	}
	if stay.Equal(in) || !holds(UPart) {
		return p.add(now)
	}
	next := p.rec.clone()
	next.In = stay
	p.state = ptLeave
	return []Effect{SwapUpload{p.epoch, next}}
}

// left takes the outcome of the compare-and-set by which replicas left.
func (p *Part) left(now Now, ev UploadSwapped) []Effect {
	switch {
	case p.leaving != "" && p.state != ptOver:
		return p.took(now, ev)
	case p.state != ptLeave:
		return nil
	case ev.Outcome == Applied:
		return p.add(now)
	}
	return p.wait(now, ptReread)
}

// add inserts the record. What floors and late answers say afterwards is of no
// interest: whoever is not in the record lacks the part.
func (p *Part) add(now Now) []Effect {
	p.state = ptAdd
	if p.doubt {
		return []Effect{AddPart{p.part}}
	}
	p.part.ETags, p.part.Added = map[string]string{}, now.Wall
	for _, r := range p.tally.yes {
		p.part.ETags[r] = p.tally.etags[r]
		if p.part.ETag == "" {
			p.part.ETag = p.tally.etags[r]
		}
	}
	return []Effect{AddPart{p.part}}
}

func (p *Part) added(now Now, ev PartAdded) []Effect {
	switch {
	case p.state != ptAdd:
		return nil
	case ev.Outcome == Applied:
		return p.end(Acked, "")
	case ev.Outcome == NotApplied && !p.doubt:
		return p.end(Failed, codeSlowDown)
	}
	p.doubt = true
	return p.wait(now, ptAdd)
}

// wait pauses before the log is tried again, until its time is over: then the part may
// count or not, and the client sends it again.
func (p *Part) wait(now Now, after partState) []Effect {
	if now.Boot >= p.limit {
		return p.end(Doubt, codeSlowDown)
	}
	p.state, p.after = ptWait, after
	return []Effect{Sleep{TimerWait, p.cfg.Times.HelpWait}}
}
