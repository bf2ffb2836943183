package oplog

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
)

// Epoch names one state of a row or document: a fresh random value per
// compare-and-set, never a counter, so that a dropped and re-created row cannot
// let a stalled compare-and-set through. The zero Epoch stands for "no row".
type Epoch [16]byte

// NewEpoch draws a fresh epoch.
func NewEpoch() Epoch { return Epoch(object.NewID()) }

// IsZero tells "no row".
func (e Epoch) IsZero() bool { return e == Epoch{} }

// OpKind is the kind of mutation that an intent or an unsettled entry belongs to.
type OpKind uint8

const (
	OpPut OpKind = iota + 1
	OpDelete
	OpHeal     // copies the current version (or its absence) to one lagging replica
	OpComplete // puts a multipart upload together
	OpCopy     // copies a version of another key
	OpTag      // changes the tags of the current version
)

func (k OpKind) String() string {
	switch k {
	case OpPut:
		return "put"
	case OpDelete:
		return "delete"
	case OpHeal:
		return "heal"
	case OpComplete:
		return "complete"
	case OpCopy:
		return "copy"
	case OpTag:
		return "tag"
	}
	return "unknown"
}

// Row is the log's current record of one key (RELIABILITY 4.2). A key without
// a row is equal on all serving replicas and nothing is in flight for it.
type Row struct {
	Epoch     Epoch
	Cfg       uint64            // configuration epoch of the bucket at the last change
	Cur       object.Info       // the decided version; Ver 0: what stood there before the log knew the key
	Open      bool              // Cur is not known yet: whatever a replica shows that is not the intent's is the base (R4)
	Good      object.Replicas   // replicas that hold Cur
	Intent    *Intent           // the write in flight, or nil
	Unsettled []Entry           // released requests whose outcome is not known
	Refused   []Refusal         // replicas that definitively refuse this key
	ETags     map[string]string // replica -> its own ETag of Cur, where it legitimately differs in form: such a row is a map row
	Done      []Done            // uploads that became versions here and whose documents do not say so yet
	Changed   time.Time         // wall clock of the last change, for retention

	// Tags of Cur (docs/decisions/0029).
	Tagged    bool            // Cur.Tags are its tags; else only its replicas know them
	Tagging   []Entry         // requests to change tags whose outcome is not known; they threaten no version
	Mistagged object.Replicas // may show Cur under other tags; only a look ends it
	Bare      object.Replicas // keep no tags, and Cur has some: such a row is a map row

	// Sumless replicas keep no checksum of a kind that Cur has (docs/decisions/0045): such a
	// row is a map row.
	Sumless object.Replicas

	// Rotten replicas show Cur and hold other bytes. They are not good until they were
	// written to again, whatever they show.
	Rotten object.Replicas
}

// Done says that a multipart upload became a version of the key. The row keeps it,
// whatever is written since, until the upload's document says so: an upload takes
// effect at most once.
type Done struct {
	ID   object.ID // of the upload, and of the version
	Ver  object.Version
	ETag string
}

// Intent is a write that was logged and not yet decided.
type Intent struct {
	Op    object.ID      // the operation: unique per intent; equals ID but for heals
	ID    object.ID      // identity of the version to be
	Ver   object.Version // its place
	Kind  object.Kind    // what the key will hold
	Type  OpKind
	Owner string          // node that drives it
	Nonce object.ID       // renewed by a live owner (R3)
	Reps  object.Replicas // the replicas that are released
	Info  object.Info     // what the version will be, as far as known at the intent
	Slow  time.Duration   // how long a backend may work on one of its requests; 0: it is an ordinary one
}

// Entry is one released request whose outcome on one replica is not known yet.
type Entry struct {
	Op      object.ID
	ID      object.ID
	Ver     object.Version
	Kind    object.Kind
	Type    OpKind
	Replica string
	Size    int64         // of the version, bytes
	ETag    string        // of the version where it was known beforehand
	Tags    object.Tags   // of the version; of an OpTag, what it sets
	Added   time.Time     // wall clock of the compare-and-set that recorded it; for people
	Slow    time.Duration // as the intent's: settling takes so much longer
}

// Refusal says that a replica definitively refuses to hold the key.
type Refusal struct {
	Replica string
	Code    string // the server's error code
	Words   string // what it said, for people; may be empty
}

// IsMap tells whether the row must stay for ever because replicas legitimately
// differ in the form of the version's ETag, or some of them cannot keep its tags or its
// checksum.
func (r *Row) IsMap() bool {
	return (len(r.ETags) > 0 || len(r.Bare) > 0 || len(r.Sumless) > 0) && r.Cur.Kind == object.Present
}

// Quiet tells whether nothing is left to do for the key but to wait out the
// retention: no intent, nothing unsettled, every serving replica good and under
// the right tags, no upload to be remembered.
func (r *Row) Quiet(serving object.Replicas) bool {
	return r.Intent == nil && len(r.Unsettled) == 0 && !r.Open && len(r.Done) == 0 && r.Good.Covers(serving) &&
		len(r.Tagging) == 0 && len(r.Mistagged.And(serving)) == 0
}

// Refusable tells whether nothing is left to do for a key that is gone but to offer its
// deletion again to replicas which refuse the key itself, whatever is asked of it: nothing is
// on its way to any of them. Such a replica never took the key, if it shows none.
func (r *Row) Refusable(serving object.Replicas) bool {
	with := *r
	for _, f := range r.Refused {
		with.Good = with.Good.With(f.Replica)
	}
	return r.Cur.Kind == object.Tombstone && with.Quiet(serving)
}

// MaxVer is the highest version the row names: in Cur, the intent or an entry.
func (r *Row) MaxVer() object.Version {
	v := r.Cur.Ver
	if r.Intent != nil {
		v = max(v, r.Intent.Ver)
	}
	for _, e := range r.Unsettled {
		v = max(v, e.Ver)
	}
	return v
}

// Clone returns a deep copy: changing it never changes the receiver.
func (r *Row) Clone() *Row {
	if r == nil {
		return nil
	}
	c := *r
	c.Cur = cloneInfo(r.Cur)
	c.Good = append(object.Replicas(nil), r.Good...)
	c.Unsettled = cloneEntries(r.Unsettled)
	c.Refused = append([]Refusal(nil), r.Refused...)
	c.Done = append([]Done(nil), r.Done...)
	c.Tagging = cloneEntries(r.Tagging)
	c.Mistagged = append(object.Replicas(nil), r.Mistagged...)
	c.Bare = append(object.Replicas(nil), r.Bare...)
	c.Sumless = append(object.Replicas(nil), r.Sumless...)
	c.Rotten = append(object.Replicas(nil), r.Rotten...)
	if r.Intent != nil {
		i := *r.Intent
		i.Reps = append(object.Replicas(nil), r.Intent.Reps...)
		i.Info = cloneInfo(r.Intent.Info)
		c.Intent = &i
	}
	if r.ETags != nil {
		c.ETags = make(map[string]string, len(r.ETags))
		for k, v := range r.ETags {
			c.ETags[k] = v
		}
	}
	return &c
}

func cloneEntries(list []Entry) []Entry {
	out := append([]Entry(nil), list...)
	for i := range out {
		out[i].Tags = out[i].Tags.Clone()
	}
	return out
}

func cloneInfo(in object.Info) object.Info {
	in.Headers = in.Headers.Clone()
	in.Parts = append([]int64(nil), in.Parts...)
	in.Tags = in.Tags.Clone()
	return in
}
