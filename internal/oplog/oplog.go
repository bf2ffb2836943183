package oplog

import (
	"context"
	"errors"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
)

// Errors of a Log. Everything else that a method returns is an outage: for a
// mutation it means "not known" unless it wraps ErrNotApplied.
var (
	// ErrNoRow: the key (or document) has no row.
	ErrNoRow = errors.New("no row")
	// ErrConflict: the epoch was another one; nothing was changed. Definitive.
	ErrConflict = errors.New("row changed meanwhile")
	// ErrUnknown: the compare-and-set may or may not have been applied, or may
	// still be. Only a compare-and-set of one's own that moves the epoch settles
	// it (R29); a read alone does not.
	ErrUnknown = errors.New("outcome of the compare-and-set is not known")
	// ErrNotApplied: nothing was changed, and nothing will be: the log refused
	// before it began (no space, closed, unavailable).
	ErrNotApplied = errors.New("log refused the change")
	// ErrNoSpace wraps ErrNotApplied: the disk is full. Reads go on.
	ErrNoSpace error = &refusal{"log has no space left"}
	// ErrClosed wraps ErrNotApplied: the log was closed before the call.
	ErrClosed error = &refusal{"log is closed"}
)

// refusal is a kind of ErrNotApplied.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }
func (*refusal) Unwrap() error   { return ErrNotApplied }

// KeyRow pairs a key with its row.
type KeyRow struct {
	Key object.Key
	Row Row
}

// Cursor is an opaque position in the index; empty is the beginning and, when
// returned, the end.
type Cursor string

// Log holds one row per key that is not quiet.
//
// All methods are safe for concurrent use. Rows that go in and come out are
// never shared with the caller. A context's end abandons the wait, not the
// effect: an abandoned mutation is ErrUnknown, and wraps the context's error;
// one whose context had ended before it began is ErrNotApplied. Nothing is read
// that a crash could still take back. A page's limit is positive.
type Log interface {
	// Row reads the row of a key, linearizably: it sees every compare-and-set
	// that was known applied before the call. ErrNoRow.
	Row(ctx context.Context, key object.Key) (Row, error)

	// Swap replaces the row whose epoch is old by row, durably: when it returns
	// nil the change survives the loss of the process and of power. old zero:
	// the row must not exist. row nil: the row is dropped. row.Epoch must be
	// fresh and not zero (else ErrNotApplied). The change is in the index (Due,
	// Range) no later than it can be read. Never retried by the implementation.
	// When space runs short a change that opens an intent is refused first, so
	// that the outcomes of open ones can still be written.
	// ErrConflict, ErrUnknown, ErrNotApplied (ErrNoSpace).
	Swap(ctx context.Context, key object.Key, old Epoch, row *Row) error

	// Due pages through every row of one shard (0 <= shard < Shards), quiet ones
	// waiting out their retention included, in an order of the index's own, at
	// most limit rows after the cursor. A row that exists throughout a walk is
	// returned, from some logs more than once; one that comes or goes meanwhile
	// may be. A page may be short, even empty, before the end.
	Due(ctx context.Context, shard int, after Cursor, limit int) ([]KeyRow, Cursor, error)

	// Range returns the rows of a bucket whose key begins with prefix and is
	// bytewise greater than after, in key order, at most limit. A row written
	// before the call began is in it (LIST depends on it, R23).
	Range(ctx context.Context, bucket, prefix, after string, limit int) ([]KeyRow, error)

	// Stats counts rows without reading bodies, roughly; for metrics.
	Stats(ctx context.Context) (Stats, error)

	Documents
	Parts
	History

	// Close releases the log. Calls that run meanwhile finish or fail. Second
	// Close is a no-op.
	Close() error
}

// Stats is a rough picture of the log's size.
type Stats struct {
	Rows      int64
	DiskBytes int64
}

// Doc is a small record beside the rows with its own epoch: a bucket, the
// generation, a node lease, a user, an upload.
type Doc struct {
	Kind  DocKind
	Name  string
	Epoch Epoch
	Body  []byte // JSON of the owner's type
}

// DocKind is a closed set of document families.
type DocKind string

const (
	DocBucket     DocKind = "bucket"
	DocGeneration DocKind = "generation"
	DocNode       DocKind = "node"
	DocUser       DocKind = "user"
	DocAccessKey  DocKind = "access-key" // who holds it
	DocSession    DocKind = "session"
	DocSigners    DocKind = "signers" // of tokens
	DocBackend    DocKind = "backend" // what its probes found
	// DocReplication: what operators set while nodes run: mode, pauses, pace.
	DocReplication DocKind = "replication"
	DocShare       DocKind = "share" // which node does a piece of background work
	// DocUpload: a multipart upload, named by UploadName. There may be many, and
	// a name never comes back: what an implementation keeps of a name that was
	// dropped it may forget.
	DocUpload DocKind = "upload"
	// DocPartSums: the checksums of the parts of the version that stands under a key,
	// named by UploadsOf(bucket, key).
	DocPartSums DocKind = "part-sums"
	// DocJob: long work that an operator, or a node, asked for; DocFinding: a page of what
	// a job found, named by the job and a number.
	DocJob     DocKind = "job"
	DocFinding DocKind = "finding"
	// DocMove: what a move of the log to another place leaves in it, so that nobody
	// serves on half of one, or on two.
	DocMove DocKind = "move"
)

// DocKinds are all kinds: a log that is moved is moved with all of them.
var DocKinds = []DocKind{
	DocBucket, DocGeneration, DocNode, DocUser, DocAccessKey, DocSession, DocSigners,
	DocBackend, DocReplication, DocShare, DocUpload, DocPartSums, DocMove,
	DocJob, DocFinding,
}

// Documents are records by kind and name, changed by compare-and-set like rows.
type Documents interface {
	// Doc reads one document, linearizably. ErrNoRow.
	Doc(ctx context.Context, kind DocKind, name string) (Doc, error)
	// SwapDoc replaces the document whose epoch is old (zero: must not exist) by
	// doc (Body nil: dropped). Durable; errors as Swap.
	SwapDoc(ctx context.Context, old Epoch, doc Doc) error
	// Docs pages through a kind in name order, at most limit after the name.
	Docs(ctx context.Context, kind DocKind, after string, limit int) ([]Doc, error)
}

// Event is one line of history: what was done to a key, when, with which
// outcome on each backend; or who was refused, or changed a user.
type Event struct {
	Time     time.Time
	Seq      uint64 // set by Append, rising: breaks ties of Time
	Bucket   string
	Key      string
	Op       string // put, delete, heal, bucket-create, ...
	ID       object.ID
	Ver      object.Version
	Size     int64
	Actor    string            // login, or "healer"
	Request  string            // request id
	Result   string            // acked, failed, unknown, healed, ...
	Detail   string            // of a refusal why, of a change what
	Client   string            // the address it came from, of what is audited
	Backends map[string]string // backend -> ok | no | ambiguous | late | the server's code
}

// HistoryQuery selects events, newest first.
type HistoryQuery struct {
	Bucket string    // empty: any
	Prefix string    // of the key
	Since  time.Time // this moment and later; zero: from the beginning of retention
	Before time.Time // only earlier than this moment; zero: no bound
	Limit  int       // at most so many; 0 means DefaultEvents
}

// DefaultEvents is the limit of a query that names none.
const DefaultEvents = 1000

// History is the time-ordered record with retention. It is for people: losing
// its last moments in a crash is allowed, so Append need not wait for a sync.
type History interface {
	// Append adds events; the caller's are not changed. ErrNoSpace comes earlier
	// than for rows.
	Append(ctx context.Context, events ...Event) error
	// Events returns what the query selects, newest first.
	Events(ctx context.Context, q HistoryQuery) ([]Event, error)
	// Expire drops whole hours (of Unix time) that ended by the time.
	Expire(ctx context.Context, before time.Time) error
}
