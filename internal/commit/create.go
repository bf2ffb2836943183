package commit

import (
	"maps"
	"slices"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Events and effects of a creation.
type (
	// Initiate asks a replica for an upload, with the version's headers and a stamp of
	// its identity (object.FlagMultipart).
	Initiate struct{ Replica string }
	// Initiated answers it: a Yes with the replica's own upload id.
	Initiated struct {
		Replica  string
		UploadID string
		Answer   Answer
	}
)

func (Initiate) effect() {}
func (Initiated) event() {}

type createState uint8

const (
	cNew    createState = iota
	cAsk                // waiting for the replicas
	cSwap               // inserting the record
	cReread             // the insert was not known
	cWait               // before looking at it again
	cEnd                // answered; late uploads are thrown away
)

// Create begins a multipart upload: an upload on every replica that is up, then the
// record that names them. Nobody may use an upload before its record is known to
// stand; what no record names is thrown away, by this machine or by Sweep.
type Create struct {
	cfg    Config
	rec    UploadRecord
	state  createState
	asked  object.Replicas // have not answered
	refuse tally
	floor  bool
	limit  Now // Boot: until then the record's insert is tried

	tries int
}

// NewCreate returns the machine of one creation. rec holds what the caller knows:
// Initiator, Headers, Sum. The upload's id is fresh.
func NewCreate(cfg Config, rec UploadRecord) *Create { return &Create{cfg: cfg, rec: rec} }

// Record is the upload as it was recorded, once Done said Acked.
func (c *Create) Record() UploadRecord { return c.rec }

// Over tells that the machine wants no more events.
func (c *Create) Over() bool {
	return c.state == cEnd && len(c.asked) == 0
}

// Step takes one event and returns what is to be done, in order.
func (c *Create) Step(now Now, ev Event) []Effect {
	switch ev := ev.(type) {
	case Begin:
		return c.begin(now, ev)
	case Initiated:
		return c.initiated(now, ev)
	case Fired:
		switch {
		case ev.Timer == TimerFloor:
			c.floor = true
			return c.judge(now)
		case c.state == cWait:
			c.state = cReread
			return []Effect{ReadUpload{}}
		}
	case UploadSwapped:
		if c.state == cSwap {
			return c.swapped(now, ev)
		}
	case UploadRead:
		if c.state == cReread {
			return c.reread(now, ev)
		}
	}
	return nil
}

func (c *Create) begin(now Now, ev Begin) []Effect {
	c.asked, c.limit = ev.Up.And(c.cfg.takes()), now
	c.limit.Boot += c.cfg.Times.LockWait
	c.rec.State, c.rec.Created, c.rec.Since, c.rec.IDs = UploadOpen, now.Wall, now.Wall, map[string]string{}
	c.state = cAsk
	if !c.cfg.AckRule().Met(c.asked) {
		c.asked = nil
		return c.end(Result{Kind: Failed, Code: codeSlowDown})
	}
	var out []Effect
	for _, r := range c.asked {
		out = append(out, Initiate{r})
	}
	return append(out, Sleep{TimerFloor, c.cfg.Times.Grace})
}

func (c *Create) initiated(now Now, ev Initiated) []Effect {
	if !c.asked.Has(ev.Replica) {
		return nil
	}
	c.asked = c.asked.Without(ev.Replica)
	if ev.Answer.Class != Yes {
		c.refuse.add(ev.Replica, ev.Answer)
		return c.judge(now)
	}
	if c.state != cAsk {
		return []Effect{Abort{ev.Replica, ev.UploadID}} // too late to be named
	}
	c.rec.IDs = with(c.rec.IDs, ev.Replica, ev.UploadID)
	return c.judge(now)
}

// judge records the upload once every replica has answered, or enough have and the
// others had their time.
func (c *Create) judge(now Now) []Effect {
	if c.state != cAsk {
		return nil
	}
	c.rec.In = object.NewReplicas(slices.Collect(maps.Keys(c.rec.IDs))...)
	switch met := c.cfg.AckRule().Met(c.rec.In); {
	case !c.cfg.AckRule().Met(c.rec.In.Or(c.asked)):
		return c.fail()
	case len(c.asked) == 0, met && c.floor:
		return c.swap()
	}
	return nil
}

func (c *Create) swap() []Effect {
	c.state = cSwap
	c.tries++
	rec := c.rec
	return []Effect{SwapUpload{oplog.Epoch{}, &rec}}
}

// swapped: the name is this machine's alone, so whatever stands under it is its own.
func (c *Create) swapped(now Now, ev UploadSwapped) []Effect {
	switch {
	case ev.Outcome == Applied, ev.Outcome == Conflict:
		return c.end(Result{Kind: Acked, OK: c.rec.In})
	case ev.Outcome == NotApplied && c.tries == 1:
		return c.fail()
	case now.Boot >= c.limit.Boot:
		// The record may come to stand yet: the uploads are left to it, or to Sweep.
		return c.end(Result{Kind: Doubt, Code: codeSlowDown})
	}
	c.state = cWait
	return []Effect{Sleep{TimerWait, c.cfg.Times.HelpWait}}
}

func (c *Create) reread(now Now, ev UploadRead) []Effect {
	switch {
	case !ev.Failed && ev.Record != nil:
		return c.end(Result{Kind: Acked, OK: c.rec.In})
	case !ev.Failed:
		return c.swap() // R29: another insert of our own settles it
	case now.Boot >= c.limit.Boot:
		return c.end(Result{Kind: Doubt, Code: codeSlowDown})
	}
	c.state = cWait
	return []Effect{Sleep{TimerWait, c.cfg.Times.HelpWait}}
}

// fail ends the creation definitely: no record was or will be written.
func (c *Create) fail() []Effect {
	var out []Effect
	for _, r := range c.rec.In {
		out = append(out, Abort{r, c.rec.IDs[r]})
	}
	return append(out, c.end(Result{Kind: Failed, Code: codeSlowDown})...)
}

func (c *Create) end(res Result) []Effect {
	c.state = cEnd
	res.No = maps.Clone(c.refuse.refused)
	return []Effect{Done{res}}
}
