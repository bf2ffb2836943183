package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Member says who this node is among those that share the log.
type Member struct {
	Home    string // where it keeps what is its own, as no other node says it
	Address string // of its admin API
	Version string // of the program
}

// Errors of Open and Run.
var (
	// ErrClocks: the clock of this node and that of another differ too much. A4.
	ErrClocks = errors.New("clocks of the nodes differ")
	// ErrTaken: another process serves under this node's name.
	ErrTaken = errors.New("another process serves under the name of this node")
	// ErrCodecs: this version of the program and another node's cannot share a log.
	ErrCodecs = errors.New("versions of the nodes do not fit")
)

// nodeBeat is the pause between two looks at the other nodes, or less where leases are
// short.
const nodeBeat = time.Second

// uneven shortens a pause between two looks by up to a quarter. A record is seen at the
// first look after it was written, and hides as much of a difference of the clocks as
// that was late: of two nodes with the same beat always as much.
func uneven(d time.Duration) time.Duration {
	return d - time.Duration(rand.Float64()*float64(d/4)) //nolint:gosec // no secret
}

// nodes keeps this node's place among those that share the log: it drives
// commit.Member and decides nothing. Without Options.Member there is none, and the
// node needs no lease.
type nodes struct {
	set      *Set
	standing atomic.Pointer[commit.MemberStanding] // nil: no lease is needed
	nudge    chan struct{}                         // has room for one: look now
	started  time.Time                             // on this node's own clock

	driving  chan struct{}  // has room for one: who drives m, until it rests
	m        *commit.Member // nil: no lease is needed
	config   uint64         // revision of the settings that was told last; owned by who drives m
	format   int            // of rows, as the settings say; owned by who drives m
	formatAt time.Duration  // Boot since when this node knows of it
	writing  int            // the format in which this node writes rows; owned by run

	mu      sync.Mutex    // guards changed
	changed chan struct{} // closed, and made anew, when the standing was looked at
}

// open makes the machine; join drives it.
func (ns *nodes) open(s *Set) {
	ns.set, ns.nudge, ns.changed, ns.driving = s, make(chan struct{}, 1), make(chan struct{}), make(chan struct{}, 1)
	o := s.o.Member
	if o == nil {
		return
	}
	ns.standing.Store(&commit.MemberStanding{})
	ns.started = s.o.Wall().UTC().Truncate(time.Millisecond)
	s.o.Registerer.MustRegister(&nodeMetrics{s})
	ns.m = commit.NewMember(commit.MemberOptions{
		Name: s.o.Node, Times: s.o.Times, Beat: min(nodeBeat, (s.o.Times.Lease-s.o.Times.Margin)/3),
		Record: commit.NodeRecord{
			Life: s.node, Home: o.Home, Address: o.Address, Version: o.Version,
			Codecs:  s.o.Codecs,
			Started: ns.started,
		},
	})
}

// join returns once this node has a lease: every other one has compared clocks with
// it, or was dead for a whole lease. That takes no time when there is none.
// ErrClocks, ErrTaken, ErrCodecs, what the log says, or the context's error.
func (ns *nodes) join(ctx context.Context) error {
	if ns.m == nil {
		return nil
	}
	failures := 0
	for ev := commit.Event(commit.Begin{}); ; ev = (commit.Fired{Timer: commit.TimerWait}) {
		wait, err := ns.beat(ctx, ev)
		if err != nil {
			failures++
		}
		st := ns.standing.Load()
		switch {
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case st.Fault != "":
			err = ns.faultOf(st)
		case st.Until > ns.set.o.Boot():
			return nil
		case failures < joinTries:
			pauseFor(ctx, wait)
			continue
		}
		ns.quit(context.WithoutCancel(ctx))
		return fmt.Errorf("join the nodes on this log: %w", err)
	}
}

// joinTries is how often the log may fail a node that joins.
const joinTries = 20

// faultOf is the error of a fault.
func (ns *nodes) faultOf(st *commit.MemberStanding) error {
	switch st.Fault {
	case commit.FaultClocks:
		return fmt.Errorf("%w: this node's and that of node %s are at least %v apart, and more than %v is not safe: set up NTP on both", ErrClocks, st.From, st.Apart.Round(10*time.Millisecond), commit.Skew)
	case commit.FaultCodecs:
		return fmt.Errorf("%w: %s; upgrade the older nodes by way of the versions in between", ErrCodecs, st.Fault)
	}
	return fmt.Errorf("%w: stop it, or give this one a data folder of its own", ErrTaken)
}

// run keeps the lease until ctx is done. ErrTaken.
func (ns *nodes) run(ctx context.Context) error {
	if ns.m == nil {
		return nil
	}
	wait, fault, lapsed := time.Duration(0), "", false
	var lives string
	balanced := -balanceEvery
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ns.nudge:
		case <-time.After(uneven(wait)):
		}
		var err error
		if wait, err = ns.beat(ctx, commit.Fired{Timer: commit.TimerWait}); err != nil && ctx.Err() == nil {
			ns.set.logFailed(callRead, err)
		}
		st := ns.standing.Load()
		if now := livesOf(st.Live); now != lives || ns.set.o.Boot()-balanced >= balanceEvery {
			lives, balanced = now, ns.set.o.Boot()
			if err := ns.raise(ctx, st); err != nil && ctx.Err() == nil {
				ns.set.logFailed(callSwap, err)
			}
			if err := ns.set.shares.balance(ctx); err != nil && ctx.Err() == nil {
				ns.set.logFailed(callRead, err)
			}
		}
		if st.Fault != fault {
			if fault = st.Fault; fault == "" {
				ns.set.o.Logger.InfoContext(ctx, "node serves again")
			} else {
				ns.set.o.Logger.ErrorContext(ctx, "node does not serve", "error", ns.faultOf(st))
			}
		}
		if out := ns.set.o.Boot() >= st.Until; out != lapsed && st.Fault == "" {
			if lapsed = out; lapsed {
				ns.set.o.Logger.ErrorContext(ctx, "node has no lease and changes nothing until the log takes its sign of life")
			} else {
				ns.set.o.Logger.InfoContext(ctx, "node has a lease again")
			}
		}
		if st.Fault == commit.FaultTaken {
			return ns.faultOf(st)
		}
	}
}

// raise brings the format of rows to the newest that all nodes read: first in the settings,
// so that no older node can join any more; once all have acknowledged these, rows are
// written in it.
func (ns *nodes) raise(ctx context.Context, st *commit.MemberStanding) error {
	log, ok := ns.set.o.Log.(oplog.Formatter)
	if !ok || st.Fault != "" {
		return nil
	}
	now := ns.set.settings.now.Load()
	if newest := st.Format(ns.set.o.Codecs); newest > max(now.Format, oplog.OldestFormat) {
		_, err := ns.set.settings.swap(ctx, func(rec *settingsRecord) error {
			rec.Format = max(rec.Format, newest)
			return nil
		})
		return err
	}
	if now.Format > ns.writing && now.Format == ns.format && st.Looked > ns.formatAt && st.Acked(now.Revision) {
		ns.writing = now.Format
		log.WriteFormat(now.Format)
		ns.set.o.Logger.InfoContext(ctx, "rows are written in a newer format: no older version of the program can join any more", "format", now.Format)
	}
	return nil
}

// balanceEvery is the pause between two looks at who does which background work, when
// no node comes or goes.
const balanceEvery = 2 * time.Second

func livesOf(list []commit.NodeDoc) string {
	var b strings.Builder
	for _, n := range list {
		fmt.Fprintf(&b, "%s %v\n", n.Record.Life, n.Record.Joining)
	}
	return b.String()
}

// quit takes this node's record away, so that nobody waits for it. It is for a node
// under whose name nothing is under way any more.
func (ns *nodes) quit(ctx context.Context) {
	if ns.m == nil {
		return
	}
	if _, err := ns.beat(ctx, commit.Quit{}); err != nil {
		ns.set.o.Logger.DebugContext(ctx, "record of this node stays in the log", "error", err)
	}
}

// beat feeds the machine one event, and what follows from it, until it rests: for
// how long. err is the last failure of the log.
func (ns *nodes) beat(ctx context.Context, ev commit.Event) (wait time.Duration, err error) {
	ns.driving <- struct{}{}
	defer func() { <-ns.driving }()
	for ev != nil && !ns.m.Over() {
		effects := ns.m.Step(ns.set.now(), ev)
		ev = nil
		for _, e := range effects {
			var failed error
			switch e := e.(type) {
			case commit.ReadNodes:
				ev, failed = ns.readNodes(ctx)
			case commit.ReadSettings:
				ev, failed = ns.readSettings(ctx)
			case commit.WriteNode:
				ev, failed = ns.write(ctx, e)
			case commit.Standing:
				ns.stand(ctx, e.Standing)
			case commit.Sleep:
				wait = e.For
			default:
				panic(fmt.Sprintf("replica: effect %T of a member", e))
			}
			if failed != nil {
				err = failed
			}
		}
	}
	return wait, err
}

// bound limits one call of the log: what takes longer does not help the lease.
func (ns *nodes) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, ns.set.o.Times.Lease)
}

func (ns *nodes) readNodes(ctx context.Context) (commit.Event, error) {
	ctx, cancel := ns.bound(ctx)
	defer cancel()
	var all []commit.NodeDoc
	for after := ""; ; {
		docs, err := ns.set.o.Log.Docs(ctx, oplog.DocNode, after, 1000)
		if err != nil {
			return commit.NodesRead{Failed: true}, err
		}
		for _, doc := range docs {
			after = doc.Name
			n := commit.NodeDoc{Name: doc.Name, Epoch: doc.Epoch}
			if err := json.Unmarshal(doc.Body, &n.Record); err != nil {
				return commit.NodesRead{Failed: true}, fmt.Errorf("record of node %s: %w", doc.Name, err)
			}
			all = append(all, n)
		}
		if len(docs) < 1000 {
			return commit.NodesRead{Nodes: all}, nil
		}
	}
}

func (ns *nodes) readSettings(ctx context.Context) (commit.Event, error) {
	ctx, cancel := ns.bound(ctx)
	defer cancel()
	st := &ns.set.settings
	st.mu.Lock()
	defer st.mu.Unlock()
	if err := st.read(ctx); err != nil {
		return commit.SettingsRead{Failed: true}, err
	}
	now := st.now.Load()
	if now.Format != ns.format {
		ns.format, ns.formatAt = now.Format, ns.set.o.Boot()
	}
	if len(now.Leaving) == 0 || ns.set.placed() {
		ns.config = now.Revision
	}
	return commit.SettingsRead{Revision: ns.config, Format: now.Format, Hints: ns.set.shares.pending()}, nil
}

// write makes one compare-and-set of a node's record. That of another one's is
// answered to nobody.
func (ns *nodes) write(ctx context.Context, e commit.WriteNode) (commit.Event, error) {
	ctx, cancel := ns.bound(ctx)
	defer cancel()
	doc := oplog.Doc{Kind: oplog.DocNode, Name: e.Name}
	if e.Record != nil {
		body, err := json.Marshal(e.Record)
		if err != nil {
			return nil, err
		}
		doc.Epoch, doc.Body = oplog.NewEpoch(), body
	}
	err := ns.set.o.Log.SwapDoc(ctx, e.Old, doc)
	conflict := errors.Is(err, oplog.ErrConflict)
	switch {
	case e.Name != ns.set.o.Node:
		if err == nil {
			ns.set.o.Logger.WarnContext(ctx, "node is dead", "node", e.Name)
		}
		return nil, nil // the next look says what became of it
	case err == nil:
		if e.Record != nil {
			ns.set.shares.told(len(e.Record.Hints))
		}
		return commit.NodeSwapped{Outcome: commit.Applied, Epoch: doc.Epoch}, nil
	case conflict:
		return commit.NodeSwapped{Outcome: commit.Conflict}, nil
	case errors.Is(err, oplog.ErrNotApplied):
		return commit.NodeSwapped{Outcome: commit.NotApplied}, err
	}
	return commit.NodeSwapped{Outcome: commit.Unknown, Epoch: doc.Epoch}, err
}

// stand puts a standing in force and wakes those who wait for one.
func (ns *nodes) stand(ctx context.Context, st commit.MemberStanding) {
	old := ns.standing.Swap(&st)
	for _, n := range st.Live {
		if !knows(old.Live, n.Record.Life) {
			ns.set.o.Logger.InfoContext(ctx, "another node shares the log", "node", n.Name, "address", n.Record.Address, "version", n.Record.Version)
		}
	}
	ns.set.shares.listen(st.Live)
	ns.mu.Lock()
	defer ns.mu.Unlock()
	close(ns.changed)
	ns.changed = make(chan struct{})
}

func knows(list []commit.NodeDoc, life string) bool {
	for _, n := range list {
		if n.Record.Life == life {
			return true
		}
	}
	return false
}

// lease is the Boot until which this node's lease lasts, as commit.Now wants it.
func (ns *nodes) lease() time.Duration {
	st := ns.standing.Load()
	switch {
	case st == nil:
		return 0
	case st.Fault != "":
		return 1 // long over
	}
	return max(st.Until, 1)
}

// fault says why this node must not serve at all; nil: it may. unavailable.
func (ns *nodes) fault() error {
	if st := ns.standing.Load(); st != nil && st.Fault != "" {
		return unavailable(ns.faultOf(st))
	}
	return nil
}

// errNoLease: this node could not renew its lease, so that others may take it for dead.
var errNoLease = errors.New("the lease of this node has run out: the log does not take its sign of life")

// lapsed tells that this node's lease has run out, and that nothing else is the matter.
func (ns *nodes) lapsed() bool {
	st := ns.standing.Load()
	return st != nil && st.Fault == "" && ns.set.o.Boot() >= st.Until
}

// fit says why nothing may begin here that changes anything; nil: it may.
func (ns *nodes) fit() error {
	if err := ns.fault(); err != nil {
		return err
	}
	if now := ns.set.now(); now.Lease != 0 && now.Boot >= now.Lease {
		return unavailable(errNoLease)
	}
	return nil
}

// ready is fit in words that may be shown to anyone.
func (ns *nodes) ready() error {
	st := ns.standing.Load()
	switch {
	case st == nil:
		return nil
	case st.Fault == commit.FaultClocks:
		return fmt.Errorf("the clocks of this node and of node %s are at least %v apart", st.From, st.Apart.Round(10*time.Millisecond))
	case st.Fault != "":
		return errors.New(st.Fault)
	case ns.set.o.Boot() >= st.Until:
		return errNoLease
	}
	return nil
}

// acknowledged waits until a revision of the settings is in force on every node that
// lives. It has been written before. The wait is bounded by the leases of those that
// do not answer; false: it was cut short.
func (ns *nodes) acknowledged(ctx context.Context, revision uint64) bool {
	written := ns.set.o.Boot()
	ctx, cancel := context.WithTimeout(ctx, 2*ns.set.o.Times.Lease)
	defer cancel()
	for {
		ns.mu.Lock()
		changed := ns.changed
		ns.mu.Unlock()
		st := ns.standing.Load()
		if st == nil || st.Looked > written && st.Acked(revision) {
			return true
		}
		select {
		case ns.nudge <- struct{}{}:
		default:
		}
		select {
		case <-ctx.Done():
			return false
		case <-changed:
			pauseFor(ctx, ackPause)
		}
	}
}

// ackPause is between two looks of one who waits for acknowledgements.
const ackPause = 50 * time.Millisecond

// pauseFor waits, or until ctx is done.
func pauseFor(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Node is a node on the log.
type Node struct {
	Name, Address, Version string
	Started                time.Time
	Joining                bool
	Apart                  time.Duration // by how much its clock and this node's differ, at least
	Lease                  time.Duration // this node's own: what is left of it; 0: it has none
}

// Nodes are the other nodes that live, by name; nil where the log is this one's alone.
func (s *Set) Nodes() []Node {
	st := s.nodes.standing.Load()
	if st == nil {
		return nil
	}
	all := []Node{}
	for _, n := range st.Live {
		all = append(all, Node{Name: n.Name, Address: n.Record.Address, Version: n.Record.Version, Started: n.Record.Started, Joining: n.Record.Joining, Apart: n.Apart})
	}
	return all
}

// Self is this node among them; false where the log is this one's alone.
func (s *Set) Self() (Node, bool) {
	st := s.nodes.standing.Load()
	if st == nil {
		return Node{}, false
	}
	n := Node{Name: s.o.Node, Address: s.o.Member.Address, Version: s.o.Member.Version, Started: s.nodes.started, Apart: st.Apart}
	if st.Fault == "" {
		n.Lease = max(0, st.Until-s.o.Boot())
	}
	return n, true
}
