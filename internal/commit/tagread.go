package commit

import (
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Events and effects of a read of tags.
type (
	// AskTags asks a replica for the tags of the key's object.
	AskTags struct{ Replica string }
	// ToldTags answers it. Absent: there is no object.
	ToldTags struct {
		Replica string
		Tags    object.Tags
		Absent  bool
		Failed  bool
	}
	// ServeTags ends the read: the tags of the version Info.
	ServeTags struct {
		Info object.Info
		Tags object.Tags
	}
)

func (AskTags) effect()   {}
func (ServeTags) effect() {}
func (ToldTags) event()   {}

type tagReadState uint8

const (
	grNew     tagReadState = iota
	grRow                  // reading the row
	grBefore               // what the replica holds
	grTags                 // its tags
	grAfter                // what it holds now
	grSecond               // second look at the row
	grConfirm              // a second replica confirms that there is no object
	grWait
	grOver
)

// TagRead answers a GET of tags (docs/decisions/0029). What a row says of them rules.
// Else a replica that holds the version is asked, and what it says counts only if it
// held the version before and after, and nobody changed the row meanwhile.
type TagRead struct {
	cfg    Config
	state  tagReadState
	order  []string
	rounds int

	begun time.Duration // of the round
	row   *oplog.Row
	queue []string
	asked string
	seen  object.Seen
	tags  object.Tags
}

// NewTagRead returns the machine of one read of tags; its first event is Look.
func NewTagRead(cfg Config) *TagRead { return &TagRead{cfg: cfg} }

// Over tells that the machine wants no more events.
func (g *TagRead) Over() bool { return g.state == grOver }

// Step takes one event and returns what is to be done, in order.
func (g *TagRead) Step(now Now, ev Event) []Effect {
	switch ev := ev.(type) {
	case Look:
		g.order = g.cfg.First(ev.Order)
		return g.begin(now)
	case RowRead:
		return g.rowRead(now, ev)
	case Showed:
		return g.showed(now, ev)
	case ToldTags:
		return g.told(ev)
	case Fired:
		if g.state == grWait {
			return g.begin(now)
		}
	}
	return nil
}

func (g *TagRead) begin(now Now) []Effect {
	g.state, g.begun, g.asked = grRow, now.Boot, ""
	return []Effect{ReadRow{}}
}

func (g *TagRead) end(e Effect) []Effect {
	g.state = grOver
	return []Effect{e}
}

func (g *TagRead) restart() []Effect {
	if g.rounds++; g.rounds >= readRounds {
		return g.end(Unavailable{})
	}
	g.state = grWait
	return []Effect{Sleep{TimerWait, g.cfg.Times.HelpWait}}
}

func (g *TagRead) rowRead(now Now, ev RowRead) []Effect {
	switch {
	case g.state != grRow && g.state != grSecond:
		return nil
	case ev.Failed:
		return g.end(Unavailable{})
	case g.state == grSecond:
		return g.second(now, ev.Row)
	}
	g.row = ev.Row
	switch row := g.row; {
	case row == nil:
		g.queue = pick(g.order, g.cfg.Serving.Has)
	case row.Open:
		g.queue = pick(g.order, row.Good.Has)
	case row.Cur.Kind == object.Tombstone:
		return g.end(Absent{row})
	case row.Tagged:
		return g.end(ServeTags{row.Cur, row.Cur.Tags})
	default:
		g.queue = pick(g.order, func(r string) bool { return row.Good.Has(r) && !row.Mistagged.Has(r) })
	}
	// Who keeps tags is asked first; where nobody does, no key without such a row has any.
	keeps := func(r string) bool { return !g.cfg.Bare.Has(r) }
	g.queue = append(pick(g.queue, keeps), pick(g.queue, g.cfg.Bare.Has)...)
	return g.ask()
}

func (g *TagRead) ask() []Effect {
	if len(g.queue) == 0 {
		return g.restart()
	}
	g.state, g.asked, g.queue = grBefore, g.queue[0], g.queue[1:]
	return []Effect{Head{g.asked}}
}

// held tells whether what the replica showed is the version whose tags are asked for.
func (g *TagRead) held(s object.Seen) bool {
	switch {
	case g.row == nil:
		return true
	case g.row.Open:
		return g.row.Intent != nil && !partOf(g.row.Intent, s)
	}
	return shows(g.row, g.asked, s)
}

func (g *TagRead) showed(now Now, ev Showed) []Effect {
	if ev.Replica != g.asked {
		return nil
	}
	switch g.state {
	case grBefore:
		if ev.Failed || !g.held(ev.Seen) {
			return g.ask()
		}
		g.seen, g.tags = ev.Seen, nil
		if ev.Seen.Kind == object.Tombstone || g.cfg.Bare.Has(g.asked) {
			return g.look()
		}
		g.state = grTags
		return []Effect{AskTags{g.asked}}
	case grAfter:
		if ev.Failed || !ev.Seen.Shows(g.seen.Info) && holds(TSame) {
			return g.ask()
		}
		return g.look()
	case grConfirm:
		switch {
		case ev.Failed && len(g.queue) > 0:
			g.asked, g.queue = g.queue[0], g.queue[1:]
			return []Effect{Head{g.asked}}
		case ev.Failed, ev.Seen.Kind == object.Tombstone:
			return g.end(Absent{g.row})
		}
		return g.restart() // a read of the object records that replicas disagree
	}
	return nil
}

func (g *TagRead) told(ev ToldTags) []Effect {
	if g.state != grTags || ev.Replica != g.asked {
		return nil
	}
	if ev.Failed || ev.Absent {
		return g.ask()
	}
	g.tags, g.state = ev.Tags, grAfter
	return []Effect{Head{g.asked}}
}

func (g *TagRead) look() []Effect {
	g.state = grSecond
	return []Effect{ReadRow{}}
}

func (g *TagRead) second(now Now, row *oplog.Row) []Effect {
	switch {
	case holds(TSame) && (epochOf(row) != epochOf(g.row) || now.Boot-g.begun > g.cfg.Times.Retention/2):
		return g.restart()
	case g.seen.Kind == object.Present:
		return g.end(ServeTags{g.seen.Info, g.tags})
	case g.row == nil && len(g.queue) > 0:
		g.state, g.asked, g.queue = grConfirm, g.queue[0], slices.Clone(g.queue[1:])
		return []Effect{Head{g.asked}}
	}
	return g.end(Absent{g.row})
}
