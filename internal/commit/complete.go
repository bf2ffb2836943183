package commit

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// CompleteOp is one attempt to complete an upload.
type CompleteOp struct {
	ID     object.ID // fresh
	Upload object.ID
	Chosen Chosen // what Choose made of the client's list; Info with the checksums of the version
	If     Condition
	Slow   time.Duration // how long a backend may work on it
}

// docState is what is under way with the upload's document.
type docState uint8

const (
	docIdle docState = iota
	docRead
	docSwap
	docWait
)

// docTries bounds the attempts to tell the document of a result that the row knows.
const docTries = 3

// Complete makes a version of a multipart upload: a Write, of type oplog.OpComplete,
// that is not released before the upload's document names it. Events are Begin, those of
// a released Write, UploadRead and UploadSwapped; effects likewise. Release asks for a
// CompleteMultipartUpload with the replica's own id of the upload and Chosen.ETags.
//
// The document is changed at the same time as the intent is placed, if this is the
// first Complete of the upload and its first attempt, else once the intent stands. So a
// healthy Complete waits for two changes of the log, one after the other, as every write
// does; what may land of the upload is what its document says; and who aborts it (Tend)
// knows that something may.
//
// When the version is known decided the document is told, after the client. The row
// remembers it until then (oplog.Done).
type Complete struct {
	cfg   Config
	op    CompleteOp
	up    object.Replicas
	write Write // begun once the document was read
	begun bool

	rec   *UploadRecord // as last read or written
	epoch oplog.Epoch
	tried *UploadRecord // what the swap under way writes
	doc   docState

	early  bool          // the document was to be changed beside the first intent
	named  bool          // and was
	asked  bool          // the Write waits for its permit
	late   bool          // the swap under way was begun while the intent stood
	replay *UploadRecord // the upload was done all the while
	result *Result       // what the client was told
	tell   bool          // the document is still to be told
	tries  int
}

// NewComplete returns the machine of one Complete.
func NewComplete(cfg Config, op CompleteOp) *Complete { return &Complete{cfg: cfg, op: op} }

// Over tells that the machine wants no more events.
func (c *Complete) Over() bool {
	return c.result != nil && (!c.begun || c.write.Over()) && c.doc == docIdle && !c.tell
}

// Released tells that a request has been let go.
func (c *Complete) Released() bool { return c.begun && c.write.Released() }

// UploadID is the replica's own id of the upload; it is known once Release was asked for.
func (c *Complete) UploadID(replica string) string {
	if c.rec == nil {
		return ""
	}
	return c.rec.IDs[replica]
}

// Step takes one event and returns what is to be done, in order.
func (c *Complete) Step(now Now, ev Event) []Effect {
	switch ev := ev.(type) {
	case Begin:
		c.up = ev.Up.And(c.op.Chosen.Reps)
		if now.bars() {
			return c.refuse(codeSlowDown)
		}
		return c.readDoc()
	case UploadRead:
		if c.doc != docRead {
			return nil
		}
		c.doc = docIdle
		return c.docKnown(now, ev)
	case UploadSwapped:
		if c.doc != docSwap {
			return nil
		}
		c.doc = docIdle
		return c.docSwapped(now, ev)
	case Fired:
		if ev.Timer == TimerDoc {
			if c.doc == docWait {
				return c.readDoc()
			}
			return nil
		}
	}
	if !c.begun {
		return nil
	}
	return c.drive(now, ev)
}

func (c *Complete) readDoc() []Effect {
	c.doc = docRead
	return []Effect{ReadUpload{}}
}

func (c *Complete) swapDoc(next *UploadRecord) []Effect {
	c.doc, c.tried, c.late = docSwap, next, c.asked
	return []Effect{SwapUpload{c.epoch, next}}
}

func (c *Complete) pauseDoc() []Effect {
	c.doc = docWait
	return []Effect{Sleep{TimerDoc, c.cfg.Times.HelpWait}}
}

// mine is the document with this Complete in it.
func (c *Complete) mine(now Now) *UploadRecord {
	next := c.rec.over(UploadCompleting, now)
	next.Op, next.Node, next.List = c.op.ID, c.cfg.Node, c.op.Chosen.List
	info := c.op.Chosen.Info
	next.Info, next.Sums = &info, c.op.Chosen.Sums
	return next
}

// drive hands an event to the Write and carries its effects on.
func (c *Complete) drive(now Now, ev Event) []Effect {
	var out []Effect
	for _, e := range c.write.Step(now, ev) {
		switch e := e.(type) {
		case Accept: // there is no body
			out = append(out, c.drive(now, Verified{c.op.Chosen.Info})...)
		case Swap:
			out = append(out, e)
			if c.write.state == wIntent && c.write.places == 1 && c.rec.State == UploadOpen && !c.early && c.doc == docIdle && !c.others() {
				c.early = true
				out = append(out, c.swapDoc(c.mine(now))...)
			}
		case Ask:
			c.asked = true
			out = append(out, c.permit(now)...)
		case Done:
			out = append(out, c.done(now, e.Result)...)
		default:
			out = append(out, e)
		}
	}
	return out
}

// permit lets the Write go if the document names it for sure: it was changed beside
// this very intent. Otherwise the document is looked at, while the intent stands and no
// other Complete can change it.
func (c *Complete) permit(now Now) []Effect {
	switch {
	case !holds(UPermit):
		return c.allow(now, "")
	case c.doc != docIdle:
		return nil // its outcome comes first
	case c.named && c.write.places == 1:
		return c.allow(now, "")
	}
	return c.readDoc()
}

func (c *Complete) allow(now Now, code string) []Effect {
	c.asked = false
	return c.drive(now, Permit{code})
}

// docKnown takes the document as it was read.
func (c *Complete) docKnown(now Now, ev UploadRead) []Effect {
	if !ev.Failed {
		c.rec, c.epoch = ev.Record, ev.Epoch
	}
	switch {
	case !c.begun:
		return c.start(now, ev)
	case c.asked:
		return c.judge(now, ev)
	case c.tell:
		return c.telling(now, ev.Failed)
	}
	return nil
}

// start is the first look: most that is refused is refused here.
func (c *Complete) start(now Now, ev UploadRead) []Effect {
	switch {
	case ev.Failed:
		return c.refuse(codeSlowDown)
	case c.rec == nil || c.rec.State == UploadAborted || c.rec.State == UploadDone && c.rec.List != c.op.Chosen.List:
		return c.refuse(codeNoSuchUpload)
	case c.rec.State == UploadDone:
		return c.done(now, Result{Kind: Acked, Info: *c.rec.Info})
	}
	c.begun, c.write = true, *NewWrite(c.cfg, Op{
		ID: c.op.ID, Type: oplog.OpComplete, Upload: c.op.Upload, If: c.op.If,
		Info: c.op.Chosen.Info, Slow: c.op.Slow, Ask: true,
	})
	return c.drive(now, Begin{c.up})
}

func (c *Complete) refuse(code string) []Effect {
	c.result = &Result{Kind: Failed, Code: code}
	return []Effect{Done{*c.result}}
}

// judge looks at the document while the intent stands.
func (c *Complete) judge(now Now, ev UploadRead) []Effect {
	switch {
	case now.Boot-c.write.casAt > c.cfg.Times.Lease-c.cfg.Times.Margin:
		return c.allow(now, codeSlowDown)
	case ev.Failed:
		return c.pauseDoc()
	case c.rec == nil || c.rec.State == UploadAborted:
		return c.allow(now, codeNoSuchUpload)
	case c.rec.State == UploadDone:
		if c.rec.List == c.op.Chosen.List {
			c.replay = c.rec
		}
		return c.allow(now, codeNoSuchUpload)
	case c.rec.State == UploadCompleting && c.rec.Op == c.op.ID:
		return c.allow(now, "")
	case c.others():
		return c.allow(now, codeSlowDown) // other parts may yet land under the same identity
	}
	return c.swapDoc(c.mine(now))
}

// others tells whether a request to complete the upload with other parts may still be on
// its way. The document names the list that was let go last, and goes on to when a later
// Complete of that list has failed and the upload is open again (the simulator's addition).
func (c *Complete) others() bool {
	if c.rec.List == "" || c.rec.List == c.op.Chosen.List || c.write.row == nil || !holds(UList) {
		return false
	}
	for _, e := range c.write.row.Unsettled {
		if e.ID == c.op.Upload {
			return true
		}
	}
	return false
}

func (c *Complete) docSwapped(now Now, ev UploadSwapped) []Effect {
	if ev.Outcome == Applied {
		c.rec, c.epoch = c.tried, ev.Epoch
		c.named = c.named || c.rec.Op == c.op.ID && c.rec.State == UploadCompleting && c.write.places == 1
	}
	switch {
	case c.asked && ev.Outcome == Applied && (c.late || c.write.places == 1):
		return c.allow(now, "")
	case c.asked && ev.Outcome == Conflict, c.asked && ev.Outcome == Applied:
		return c.readDoc()
	case c.asked:
		return c.pauseDoc() // R29: after a look, another swap of our own settles it
	case c.tell && ev.Outcome == Applied:
		c.tell = false
	case c.tell:
		return c.telling(now, true)
	case c.result != nil:
		return c.tellDoc(now) // the client was answered meanwhile
	}
	return nil
}

// done answers the client, and tells the document what became of the upload.
func (c *Complete) done(now Now, res Result) []Effect {
	if res.Kind == Failed && c.replay != nil {
		res = Result{Kind: Acked, Info: *c.replay.Info}
	}
	c.result = &res
	out := []Effect{Done{res}}
	if c.doc == docIdle {
		out = append(out, c.tellDoc(now)...)
	}
	return out
}

// tellDoc makes the document say done, or open again after a definite failure.
func (c *Complete) tellDoc(now Now) []Effect {
	next := c.last(now)
	if c.tell = next != nil; !c.tell {
		return nil
	}
	return c.swapDoc(next)
}

// last is the document as it should be in the end; nil when it is, or is another's.
func (c *Complete) last(now Now) *UploadRecord {
	switch {
	case c.rec == nil || c.rec.State != UploadCompleting:
		return nil
	case c.result.Kind == Acked:
		next := Remembered(c.rec, oplog.Done{ID: c.op.Upload, Ver: c.result.Info.Ver, ETag: c.result.Info.ETag}, now)
		next.Gone = next.Gone.Or(c.write.tally.yes)
		return next
	case c.result.Kind == Failed && c.rec.Op == c.op.ID:
		return c.rec.over(UploadOpen, now)
	}
	return nil
}

// telling tries again a few times; then Repair does it, which finds it in the row.
func (c *Complete) telling(now Now, failed bool) []Effect {
	if !failed {
		return c.tellDoc(now)
	}
	if c.tries++; c.tries >= docTries {
		c.tell = false
		return nil
	}
	return c.pauseDoc()
}
