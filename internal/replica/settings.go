package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// settings are what operators set while nodes run: one document of the log, changed
// by compare-and-set. An exclusive log's only node has it in memory; others read it
// with each beat of their lease, and a change is answered when every node that lives
// has acknowledged it (H17): what begins after the answer, on whichever node, has it.
// No rule of the protocol rests on who knows of it when.
type settings struct {
	set *Set
	now atomic.Pointer[settingsRecord] // never nil once open

	mu    sync.Mutex // guards what follows, and is held while the document is changed
	epoch oplog.Epoch
}

// settingsRecord is the document. A record that somebody may see is never changed.
type settingsRecord struct {
	Mode   *commit.Mode     `json:"mode,omitempty"` // of all buckets that have none of their own; nil: the configuration's
	Paused map[string]Pause `json:"paused,omitempty"`
	Paces  map[string]Pace  `json:"paces,omitempty"` // by backend; those that are not here have the configuration's

	// Backends are the documents of those that were added while nodes ran, by name. What
	// they say is for Options.Enrol. Leaving are those of them that no bucket may be put on
	// any more, since somebody removes them.
	Backends map[string]json.RawMessage `json:"backends,omitempty"`
	Leaving  object.Replicas            `json:"leaving,omitempty"`

	Format   int    `json:"format,omitempty"`   // of rows that may be written; 0: the oldest. It never falls
	Revision uint64 `json:"revision,omitempty"` // of the record: rises with each change
}

// Pause is why a backend is asked for nothing.
type Pause struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"` // when it ends by itself; zero: when somebody resumes it
}

// Pace is what heals may take of a backend; 0 means no limit.
type Pace struct {
	BytesPerSecond    int64   `json:"bytes_per_second"`
	RequestsPerSecond float64 `json:"requests_per_second"`
}

const (
	settingsName  = "settings"
	settingsEvery = time.Second
	settingsLate  = 2 * time.Second // by then other nodes know of a change
)

// open reads the document.
func (st *settings) open(ctx context.Context, s *Set) error {
	st.set = s
	st.now.Store(&settingsRecord{})
	st.mu.Lock()
	defer st.mu.Unlock()
	if err := st.read(ctx); err != nil {
		return fmt.Errorf("settings of replication: %w", err)
	}
	return nil
}

// run keeps up with what other nodes set.
func (st *settings) run(ctx context.Context) {
	if st.set.o.Exclusive || st.set.o.Member != nil { // a member reads them with each beat
		return
	}
	tick := time.NewTicker(settingsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		st.mu.Lock()
		err := st.read(ctx)
		st.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			st.set.logFailed(callRead, err)
		}
	}
}

// read takes the document over as it is now; called with mu held.
func (st *settings) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, st.set.o.Times.Lease)
	defer cancel()
	doc, err := st.set.o.Log.Doc(ctx, oplog.DocReplication, settingsName)
	if errors.Is(err, oplog.ErrNoRow) {
		st.take(&settingsRecord{}, oplog.Epoch{})
		return nil
	}
	if err != nil {
		return err
	}
	rec := &settingsRecord{}
	if err := json.Unmarshal(doc.Body, rec); err != nil {
		return fmt.Errorf("document %s/%s is malformed: %w", oplog.DocReplication, settingsName, err)
	}
	st.take(rec, doc.Epoch)
	return nil
}

// take puts a record in force; called with mu held.
func (st *settings) take(rec *settingsRecord, epoch oplog.Epoch) {
	st.epoch = epoch
	st.set.enrol(rec.Backends)
	old := st.now.Swap(rec)
	for name, seat := range st.set.roster.Load().seats {
		if p, ok := rec.Paused[name]; ok && !p.Since.Equal(old.Paused[name].Since) {
			seat.pauses.Add(1)
		}
		pace := seat.paceOf(rec)
		seat.stack.Limits.Set(pace.BytesPerSecond, pace.RequestsPerSecond)
	}
}

// paceOf is what a record says of a backend, or else the configuration.
func (seat *seat) paceOf(rec *settingsRecord) Pace {
	if p, ok := rec.Paces[seat.stack.Name()]; ok {
		return p
	}
	return seat.pace
}

// change edits a copy of the document and writes it. edit may be called again, when
// another node was faster; its error is returned as it is.
func (st *settings) change(ctx context.Context, edit func(*settingsRecord) error) error {
	_, err := st.changeEverywhere(ctx, edit)
	return err
}

// changeEverywhere is change, and tells whether every node that lives has acknowledged it. It
// stands all the same.
func (st *settings) changeEverywhere(ctx context.Context, edit func(*settingsRecord) error) (everywhere bool, err error) {
	revision, err := st.swap(ctx, edit)
	switch {
	case err != nil:
		return false, err
	case st.set.o.Exclusive:
	case st.set.o.Member == nil:
		pauseFor(ctx, settingsLate)
	case !st.set.nodes.acknowledged(ctx, revision):
		st.set.o.Logger.WarnContext(ctx, "a change of the settings is not acknowledged by every node yet", "revision", revision)
		return false, nil
	}
	return true, nil
}

func (st *settings) swap(ctx context.Context, edit func(*settingsRecord) error) (revision uint64, err error) {
	ctx, cancel := st.set.steady(ctx)
	defer cancel()
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.set.o.Exclusive {
		if err := st.read(ctx); err != nil {
			st.set.logFailed(callRead, err)
			return 0, unavailable(err)
		}
	}
	for range amendTries {
		next := *st.now.Load()
		next.Paused, next.Paces, next.Backends = maps.Clone(next.Paused), maps.Clone(next.Paces), maps.Clone(next.Backends)
		next.Revision++
		if err := edit(&next); err != nil {
			return 0, err
		}
		body, err := json.Marshal(next)
		if err != nil {
			return 0, err
		}
		doc := oplog.Doc{Kind: oplog.DocReplication, Name: settingsName, Epoch: oplog.NewEpoch(), Body: body}
		err = st.set.o.Log.SwapDoc(ctx, st.epoch, doc)
		if err == nil {
			st.take(&next, doc.Epoch)
			return next.Revision, nil
		}
		// Whether it was applied is for the next look to say (R29): an edit that was
		// is made again, and changes nothing.
		conflict := errors.Is(err, oplog.ErrConflict)
		if !conflict {
			st.set.logFailed(callSwap, err)
		}
		if readErr := st.read(ctx); readErr != nil || !conflict {
			return 0, unavailable(err)
		}
	}
	return 0, unavailable(oplog.ErrConflict)
}

// steady is a context for changes of the log that must not be abandoned because
// their client left: nobody would know whether they stand.
func (s *Set) steady(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), s.o.Times.Lease)
}

// mode is that of buckets without one of their own.
func (st *settings) mode() commit.Mode {
	if m := st.now.Load().Mode; m != nil {
		return *m
	}
	return st.set.o.Mode
}

// modeOf is a bucket's mode.
func (st *settings) modeOf(rec *record) commit.Mode {
	if rec.Mode != nil {
		return *rec.Mode
	}
	return st.mode()
}

// Paused tells whether an operator has paused a backend.
func (s *Set) Paused(name string) bool {
	paused := s.settings.now.Load().Paused
	if len(paused) == 0 {
		return false
	}
	p, ok := paused[name]
	return ok && p.lasts(s.o.Wall())
}

func (p Pause) lasts(now time.Time) bool { return p.Until.IsZero() || now.Before(p.Until) }

// errPaused is why nothing was sent to a backend.
func errPaused(name string) error {
	return &backend.Error{Backend: name, Outcome: backend.NotSent, Err: errors.New("an operator has paused it")}
}
