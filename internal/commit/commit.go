package commit

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Now is the moment of an event on the node that drives the machine.
type Now struct {
	Wall time.Time     // for versions, stamps and retention; within A4 of other nodes
	Boot time.Duration // monotonic since boot, suspended time included; for leases and series

	// Lease is the Boot until which the node's own lease lasts (Member); zero: the log
	// is this node's alone, and it needs none.
	Lease time.Duration
}

// lapsed tells whether less than the margin is left of the node's lease.
func (n Now) lapsed(margin time.Duration) bool { return n.Lease != 0 && n.Boot+margin > n.Lease }

// bars tells whether nothing may begin on the node: what begins without a lease keeps
// settings that may be old, and must not outlive that.
func (n Now) bars() bool { return n.lapsed(0) && holds(NAdmit) }

// Config is what a machine knows of the bucket and of the deployment. It is
// constant for the life of a machine.
type Config struct {
	Node      string          // this process: name and incarnation; owner of its intents
	Exclusive bool            // the log has one process: an intent of another owner is dead
	Replicas  object.Replicas // the replica set
	Serving   object.Replicas // those that serve reads; all, unless one is under resync
	Behind    object.Replicas // of those that do not serve: what they miss a resync will find, and no row waits for them (R28)
	Epoch     uint64          // configuration epoch of the bucket
	Read      time.Duration   // Boot at which this was known to be what the bucket's record says; zero: it is now
	Ack       Rule
	Mode      Mode
	Thrifty   bool // reads of rows are dear: the one before a body serves for the intent too, if it is young
	Times     Times
	Fences    object.Replicas            // where an upload that was completed or aborted can not be completed any more, not even by a request that is on its way (probed)
	Copies    object.Replicas            // where a copy keeps to x-amz-copy-source-if-match (probed)
	Bare      object.Replicas            // that keep no tags (probed)
	Lossy     map[string]object.Replicas // by algorithm of a checksum, as its header has it: those that keep none (probed); never changes
	Composed  object.Replicas            // where the ETag of a multipart object is the MD5 of its parts' MD5s (probed)
}

// lift puts the row under this configuration. Who was not in the set yet for the node that
// changed it last may hold the version under other tags than the row says (J4).
func (c Config) lift(row *oplog.Row) {
	if row.Cfg < c.Epoch && row.Tagged && row.Cur.Kind == object.Present && holds(JTags) {
		row.Mistagged = row.Mistagged.Or(c.Replicas.Minus(row.Good).Minus(c.Bare))
	}
	row.Cfg = c.Epoch
}

// based are the replicas that hold what stands under a key without a row: those that
// serve. One that is filled again may lack it (R28).
func (c Config) based() object.Replicas {
	if !holds(R28Serving) {
		return c.Replicas
	}
	return c.Serving
}

// Rule is the ack rule: at least Need replicas, and all of Include.
type Rule struct {
	Need    int
	Include object.Replicas
}

// Met tells whether the replicas in ok satisfy the rule.
func (r Rule) Met(ok object.Replicas) bool {
	return len(ok) >= r.Need && ok.Covers(r.Include)
}

// Times are the protocol's durations (RELIABILITY 4.1 has the defaults and how
// they hang together).
type Times struct {
	Lease     time.Duration // an intent whose nonce stood still so long is expired
	Margin    time.Duration // lease that must be left at the release (R11)
	Settle    time.Duration // T_settle: how late a released request may land after the replica was last seen hung (A3)
	Gap       time.Duration // longest pause in a watch series (R19)
	Retention time.Duration // how long a quiet row stays
	Keep      time.Duration // how long answers to released requests are awaited
	LockWait  time.Duration // how long a write waits for another one's intent
	Grace     time.Duration // a replica without progress for so long leaves a write that can do without it
	HelpWait  time.Duration // how long a reader lets the writer win before it helps
	UploadAge time.Duration // an upload that is older is aborted; 0: none is
	Remember  time.Duration // how long the result of a completed upload is kept
	Refused   time.Duration // longest pause before a replica is offered a key again that it refused; 0: there is none
}

// Event is something that happened; see the types below.
type Event interface{ event() }

// Effect is something that the shell must do; see the types below.
type Effect interface{ effect() }

// The events that several machines share.
type (
	// RowRead answers ReadRow: Row nil means that the key has no row.
	RowRead struct {
		Row    *oplog.Row
		Failed bool // the log did not answer
	}
	// Swapped answers Swap. Epoch is that of the row that was written.
	Swapped struct {
		Outcome CAS
		Epoch   oplog.Epoch
	}
	// Showed answers Head and Get: what the replica holds, or Failed when it
	// did not say.
	Showed struct {
		Replica string
		Seen    object.Seen
		Failed  bool
	}
	// Fired answers Sleep.
	Fired struct{ Timer Timer }
)

// The effects that several machines share. A machine has at most one ReadRow or
// Swap under way, and at most one Head or Get per replica.
type (
	// ReadRow asks for a linearizable read of the key's row.
	ReadRow struct{}
	// Swap asks for one compare-and-set from Old to Row (nil: drop the row). The
	// shell gives Row a fresh Epoch and never repeats the attempt.
	Swap struct {
		Old oplog.Epoch
		Row *oplog.Row
	}
	// Head asks a replica what it holds.
	Head struct{ Replica string }
	// Sleep asks for Fired after a pause. Sleeping again with the same timer
	// replaces the earlier one.
	Sleep struct {
		Timer Timer
		For   time.Duration
	}
	// Alarm tells the operator something that should not be.
	Alarm struct{ What string }
)

// CAS is the outcome of a compare-and-set as its caller knows it.
type CAS uint8

const (
	Applied    CAS = iota // the row is the new one, durably
	Conflict              // the epoch was another one; nothing changed
	Unknown               // may have been applied, or may still be (R29)
	NotApplied            // refused before it began; nothing changed, nothing will
)

// Timer names a pause of a machine.
type Timer uint8

const (
	TimerWait  Timer = iota // look at the row again
	TimerRenew              // renew the intent's nonce (R3)
	TimerFloor              // stop waiting for replicas beyond the ack rule
	TimerKeep               // stop waiting for answers
	TimerDoc                // look at an upload's document again
)

func (RowRead) event()  {}
func (Swapped) event()  {}
func (Showed) event()   {}
func (Fired) event()    {}
func (ReadRow) effect() {}
func (Swap) effect()    {}
func (Head) effect()    {}
func (Sleep) effect()   {}
func (Alarm) effect()   {}

// with returns a copy of the map in which name is value.
func with[K comparable, V any](m map[K]V, name K, value V) map[K]V {
	next := without(m, name)
	next[name] = value
	return next
}

// without returns a copy of the map that lacks name.
func without[K comparable, V any](m map[K]V, name K) map[K]V {
	next := make(map[K]V, len(m)+1)
	for k, v := range m {
		if k != name {
			next[k] = v
		}
	}
	return next
}

// atEpoch returns the row as it stands after a compare-and-set, under its new epoch.
func atEpoch(row *oplog.Row, epoch oplog.Epoch) *oplog.Row {
	if row == nil {
		return nil
	}
	next := *row
	next.Epoch = epoch
	return &next
}

// threat tells whether an unsettled request could put something else in the place of
// the version: requests of one upload's Complete all leave the same there.
func threat(e oplog.Entry, version object.ID) bool {
	return e.Type != oplog.OpComplete || e.ID != version || !holds(USame)
}

// cleanFor is clean for a write of the version.
func cleanFor(row *oplog.Row, r string, version object.ID) bool {
	for _, e := range row.Unsettled {
		if e.Replica == r && threat(e, version) {
			return false
		}
	}
	return true
}

// clean tells whether no released request with an unknown outcome is on r.
func clean(row *oplog.Row, r string) bool {
	for _, e := range row.Unsettled {
		if e.Replica == r {
			return false
		}
	}
	return true
}

// anchored tells whether some replica in s cannot be hit any more by a request that is
// older than the version id at ver: without one nothing may be decided (R15, R22, R24).
func anchored(row *oplog.Row, s object.Replicas, id object.ID, ver object.Version) bool {
	for _, r := range s {
		if anchor(row, r, id, ver) {
			return true
		}
	}
	return false
}

func anchor(row *oplog.Row, r string, id object.ID, ver object.Version) bool {
	for _, e := range row.Unsettled {
		if e.Replica == r && e.Ver < ver && threat(e, id) {
			return false
		}
	}
	return true
}

// entries names the intent's request on each of the replicas as unsettled.
func entries(in *oplog.Intent, reps object.Replicas, now Now) []oplog.Entry {
	var out []oplog.Entry
	for _, r := range reps {
		out = append(out, oplog.Entry{Op: in.Op, ID: in.ID, Ver: in.Ver, Kind: in.Kind, Type: in.Type, Replica: r, Size: in.Info.Size, ETag: in.Info.ETag, Tags: in.Info.Tags, Added: now.Wall, Slow: in.Slow})
	}
	return out
}

// addEntries merges entries into a list; one per (op, replica).
func addEntries(list []oplog.Entry, more []oplog.Entry) []oplog.Entry {
	for _, e := range more {
		if !hasEntry(list, e.Op, e.Replica) {
			list = append(list, e)
		}
	}
	return list
}

func hasEntry(list []oplog.Entry, op object.ID, replica string) bool {
	for _, e := range list {
		if e.Op == op && e.Replica == replica {
			return true
		}
	}
	return false
}

// dropEntries removes the requests of one op on the replicas.
func dropEntries(list []oplog.Entry, op object.ID, reps object.Replicas) []oplog.Entry {
	var out []oplog.Entry
	for _, e := range list {
		if e.Op != op || !reps.Has(e.Replica) {
			out = append(out, e)
		}
	}
	return out
}

// evidence is what a caller holds that the open version stands: the one
// transition to a decided version, for the writer, the helping reader and the
// resolver alike.
type evidence struct {
	info      object.Info     // the version
	good      object.Replicas // replicas known to hold it
	unsettled []oplog.Entry   // released requests without a definitive answer
	etags     map[string]string
	refused   []oplog.Refusal
	typ       oplog.OpKind // of the write that made it
}

// decide returns the row in which the version is current. The caller has
// checked the anchor. Once the compare-and-set to this row is known applied,
// and only then, the version exists for readers: after that line a write is safe.
func decide(row *oplog.Row, ev evidence, cfg Config, now Now) *oplog.Row {
	next := row.Clone()
	next.Cfg = cfg.Epoch
	next.Cur = ev.info
	next.Open = false
	next.Good = ev.good
	next.Intent = nil
	next.Unsettled = addEntries(next.Unsettled, ev.unsettled)
	next.Refused = ev.refused
	next.ETags = ev.etags
	next.Changed = now.Wall
	next.Tagged, next.Rotten = true, nil // what is rotten is rotten of the version before
	if !holds(TKept) {
		next.Mistagged = nil
	}
	sumless(next, cfg)
	bare(next, cfg) // who was mistagged may be still: a late request may have struck what this write left there
	if ev.typ == oplog.OpComplete {
		next.Done = append(next.Done, oplog.Done{ID: ev.info.ID, Ver: ev.info.Ver, ETag: ev.info.ETag})
	}
	return next
}

// shows tells whether what replica r showed is the row's current version,
// allowing for a replica whose ETag legitimately has another form.
func shows(row *oplog.Row, r string, s object.Seen) bool {
	cur := row.Cur
	if own, ok := row.ETags[r]; ok {
		cur.ETag = own
	}
	return s.Shows(cur)
}

// Contradicts tells whether what a replica showed is not what the row says that it holds,
// though nothing that anybody knows of may have changed it (H26).
func Contradicts(row *oplog.Row, r string, s object.Seen) bool {
	return row.Intent == nil && !row.Open && row.Good.Has(r) && clean(row, r) && !shows(row, r, s)
}

// showsIntent tells whether what was seen is the open version. A DELETE's effect
// is absence, which only a replica that held the current version can show.
func showsIntent(row *oplog.Row, r string, s object.Seen) bool {
	in := row.Intent
	if in.Kind == object.Tombstone {
		return s.Kind == object.Tombstone && row.Good.Has(r) && (row.Open || row.Cur.Kind == object.Present)
	}
	return s.Kind == object.Present && s.ID == in.ID && s.Size == in.Info.Size
}
