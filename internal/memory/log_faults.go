package memory

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// LogFate is what befalls one call of a FaultyLog.
type LogFate uint8

const (
	LogPass  LogFate = iota // the call goes through
	LogFail                 // before the effect: a change is ErrNotApplied, a read fails
	LogFull                 // a change is ErrNoSpace; reads pass
	LogLose                 // a change is applied and its answer lost: ErrUnknown; a read fails
	LogGone                 // a change is ErrUnknown and never applied; a read fails
	LogLate                 // a change is ErrUnknown and applied later (FaultyLog.ApplyLate); reads pass
	logFates                // how many there are
)

func (f LogFate) String() string {
	return [...]string{"pass", "fail", "full", "lose", "gone", "late"}[f]
}

// LogFaults draws the fate of a call: the n-th, from 0, of its sort (changes and
// reads are counted apart). It must answer the same for the same arguments, so
// that what happened can happen again.
type LogFaults func(n uint64, change bool) LogFate

// LogScript gives the first changes these fates, in order; all else passes.
func LogScript(fates ...LogFate) LogFaults {
	return func(n uint64, change bool) LogFate {
		if change && n < uint64(len(fates)) {
			return fates[n]
		}
		return LogPass
	}
}

// LogChaos draws from a seed. rates are probabilities by fate; their sum is at
// most 1, the rest passes.
func LogChaos(seed uint64, rates map[LogFate]float64) LogFaults {
	return func(n uint64, change bool) LogFate {
		stream := n << 1
		if change {
			stream |= 1
		}
		x := rand.New(rand.NewPCG(seed, stream)).Float64()
		for fate := LogFail; fate < logFates; fate++ {
			if x -= rates[fate]; x < 0 {
				return fate
			}
		}
		return LogPass
	}
}

// errFault is the cause of every injected failure.
var errFault = errors.New("injected fault of the log")

// FaultyLog wraps a log with faults; without any it keeps the whole contract.
// Mode faults (SetDown, SetFull) come on top of the drawn ones.
type FaultyLog struct {
	oplog.Log
	faults  LogFaults
	running sync.WaitGroup // late changes that are being applied

	mu      sync.Mutex // guards what follows
	changes uint64
	reads   uint64
	counts  [logFates]int
	down    bool
	full    bool
	late    []func()
	after   time.Duration
	closed  bool
}

var _ oplog.Log = (*FaultyLog)(nil)

// NewFaultyLog wraps inner; faults nil: only the modes. Close closes inner.
func NewFaultyLog(inner oplog.Log, faults LogFaults) *FaultyLog {
	if faults == nil {
		faults = LogScript()
	}
	return &FaultyLog{Log: inner, faults: faults}
}

// SetDown makes every call fail before its effect, as when the log cannot be
// reached, until it is set back.
func (f *FaultyLog) SetDown(down bool) { f.mu.Lock(); f.down = down; f.mu.Unlock() }

// SetFull makes every change ErrNoSpace while reads go on, until it is set back.
func (f *FaultyLog) SetFull(full bool) { f.mu.Lock(); f.full = full; f.mu.Unlock() }

// SetLate makes late changes apply by themselves after the time; zero, the
// default: when ApplyLate is called.
func (f *FaultyLog) SetLate(after time.Duration) { f.mu.Lock(); f.after = after; f.mu.Unlock() }

// Counts tells how often each fate befell a call.
func (f *FaultyLog) Counts() map[LogFate]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	counts := map[LogFate]int{}
	for fate, n := range f.counts {
		counts[LogFate(fate)] = n
	}
	return counts
}

// ApplyLate applies the changes that are held, oldest first, as a server does
// that took a request long after its client gave up, and tells how many.
func (f *FaultyLog) ApplyLate() int {
	f.mu.Lock()
	held := f.late
	f.late = nil
	f.mu.Unlock()
	for _, apply := range held {
		apply()
	}
	return len(held)
}

// Close closes the wrapped log. Late changes that are still held never apply.
func (f *FaultyLog) Close() error {
	f.mu.Lock()
	f.closed, f.late = true, nil
	f.mu.Unlock()
	f.running.Wait()
	return f.Log.Close()
}

// Swap implements oplog.Log.
func (f *FaultyLog) Swap(ctx context.Context, key object.Key, old oplog.Epoch, row *oplog.Row) error {
	row = row.Clone()
	return f.change(ctx, func(ctx context.Context) error { return f.Log.Swap(ctx, key, old, row) })
}

// SwapDoc implements oplog.Documents.
func (f *FaultyLog) SwapDoc(ctx context.Context, old oplog.Epoch, doc oplog.Doc) error {
	if doc.Body != nil {
		doc.Body = append([]byte{}, doc.Body...)
	}
	return f.change(ctx, func(ctx context.Context) error { return f.Log.SwapDoc(ctx, old, doc) })
}

// AddPart implements oplog.Parts.
func (f *FaultyLog) AddPart(ctx context.Context, part oplog.Part) error {
	part.Sums, part.ETags = part.Sums.Clone(), maps.Clone(part.ETags)
	return f.change(ctx, func(ctx context.Context) error { return f.Log.AddPart(ctx, part) })
}

// DropParts implements oplog.Parts.
func (f *FaultyLog) DropParts(ctx context.Context, upload object.ID) error {
	return f.change(ctx, func(ctx context.Context) error { return f.Log.DropParts(ctx, upload) })
}

// Append implements oplog.History.
func (f *FaultyLog) Append(ctx context.Context, events ...oplog.Event) error {
	events = append([]oplog.Event(nil), events...)
	return f.change(ctx, func(ctx context.Context) error { return f.Log.Append(ctx, events...) })
}

// Expire implements oplog.History.
func (f *FaultyLog) Expire(ctx context.Context, before time.Time) error {
	return f.change(ctx, func(ctx context.Context) error { return f.Log.Expire(ctx, before) })
}

// Row implements oplog.Log.
func (f *FaultyLog) Row(ctx context.Context, key object.Key) (oplog.Row, error) {
	if err := f.read(); err != nil {
		return oplog.Row{}, err
	}
	return f.Log.Row(ctx, key)
}

// Due implements oplog.Log.
func (f *FaultyLog) Due(ctx context.Context, shard int, after oplog.Cursor, limit int) ([]oplog.KeyRow, oplog.Cursor, error) {
	if err := f.read(); err != nil {
		return nil, "", err
	}
	return f.Log.Due(ctx, shard, after, limit)
}

// Range implements oplog.Log.
func (f *FaultyLog) Range(ctx context.Context, bucket, prefix, after string, limit int) ([]oplog.KeyRow, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Log.Range(ctx, bucket, prefix, after, limit)
}

// Stats implements oplog.Log.
func (f *FaultyLog) Stats(ctx context.Context) (oplog.Stats, error) {
	if err := f.read(); err != nil {
		return oplog.Stats{}, err
	}
	return f.Log.Stats(ctx)
}

// Doc implements oplog.Documents.
func (f *FaultyLog) Doc(ctx context.Context, kind oplog.DocKind, name string) (oplog.Doc, error) {
	if err := f.read(); err != nil {
		return oplog.Doc{}, err
	}
	return f.Log.Doc(ctx, kind, name)
}

// Docs implements oplog.Documents.
func (f *FaultyLog) Docs(ctx context.Context, kind oplog.DocKind, after string, limit int) ([]oplog.Doc, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Log.Docs(ctx, kind, after, limit)
}

// Parts implements oplog.Parts.
func (f *FaultyLog) Parts(ctx context.Context, upload object.ID, after oplog.PartName, limit int) ([]oplog.Part, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Log.Parts(ctx, upload, after, limit)
}

// Events implements oplog.History.
func (f *FaultyLog) Events(ctx context.Context, q oplog.HistoryQuery) ([]oplog.Event, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Log.Events(ctx, q)
}

// change draws the fate of a change and carries it out.
func (f *FaultyLog) change(ctx context.Context, do func(context.Context) error) error {
	switch f.draw(true) {
	case LogFail:
		return oplog.NotApplied(errFault)
	case LogFull:
		return oplog.ErrNoSpace
	case LogGone:
		return oplog.Unknown(errFault)
	case LogLose:
		_ = do(ctx) // whatever it said is lost
		return oplog.Unknown(errFault)
	case LogLate:
		f.hold(func() { _ = do(context.WithoutCancel(ctx)) }) // its caller has gone: nobody is there to be told
		return oplog.Unknown(errFault)
	}
	return do(ctx)
}

func (f *FaultyLog) read() error {
	switch f.draw(false) {
	case LogFail, LogLose, LogGone:
		return errFault
	}
	return nil
}

func (f *FaultyLog) draw(change bool) LogFate {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := &f.reads
	if change {
		n = &f.changes
	}
	fate := f.faults(*n, change)
	*n++
	switch {
	case f.down:
		fate = LogFail
	case f.full && change:
		fate = LogFull
	}
	f.counts[fate]++
	return fate
}

// hold keeps a late change for ApplyLate, or for its time.
func (f *FaultyLog) hold(apply func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.after == 0 {
		f.late = append(f.late, apply)
		return
	}
	time.AfterFunc(f.after, func() {
		f.mu.Lock()
		if f.closed {
			f.mu.Unlock()
			return
		}
		f.running.Add(1)
		f.mu.Unlock()
		defer f.running.Done()
		apply()
	})
}
