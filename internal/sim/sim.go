package sim

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Faults are probabilities per decision point, drawn per schedule.
type Faults struct {
	CASUnknown, CASLost, CASLate  float64
	ReadLost                      float64
	RequestLost, ReplyLost, Late  float64
	Refuse, Broken5xx, UploadLost float64
	SlowBody, HangUp              float64
	Inner, SlowWork, Vanish       float64 // of multipart uploads
	StallAtDeed, CrashAtDeed      float64
	Nemesis                       time.Duration // mean pause between crashes, stalls, hangs and outages; 0: none
	LateMax                       time.Duration // A3: how late a request may land
	One                           bool          // the nemesis hurts one component at a time
}

// Options of one schedule.
type Options struct {
	Seed  uint64
	Only  *Personality // one backend is this one, which breaks an assumption: no invariants, no convergence
	Trace func(string)
	Hedge bool // reads ask a second replica where they may
	Nodes bool // nodes hold leases, and what an operator sets is acknowledged by all
	Modes bool // replication is disabled and made active again under load

	// Uploads has clients make multipart uploads, copies and batches of deletes too.
	// Without it the schedule of a seed is what it was before there were any.
	Uploads bool

	// Refusals has servers refuse some keys, for a while or for ever. Without it the schedule of a
	// seed is what it was before there were any.
	Refusals bool

	// Tags has clients read and change tags too, and write objects that have some; some
	// servers keep none.
	Tags bool

	// Scrubs has nodes compare replicas while clients work, copies rot, and a replica be
	// withdrawn from reads and made like the others.
	Scrubs bool

	// Behind has a replica be left behind from before anything happens: no row waits for it,
	// until it is back and is made like the others (behind.go).
	Behind bool

	// Repeats has one client after the other upload parts to one key, mostly the same bytes
	// as the last one, and repeat Completes that told them nothing (repeat.go).
	Repeats bool

	// Stalls has parts of uploads take their time, and replicas hold them up, so that several
	// parts at once do without different ones.
	Stalls bool

	// Sums has clients write objects with checksums, which some servers do not keep.
	Sums bool

	// Joins has one server be no replica at first, and join the set under load.
	Joins bool

	Patience time.Duration // of the checker, for one history; 20 s when zero
}

// errUndetermined: the checker ran out of time. It counts as a failure, and
// proves nothing.
var errUndetermined = errors.New("undetermined")

// Report of one schedule.
type Report struct {
	Seed       uint64
	Err        error
	Operations int            // of clients
	Counts     map[string]int // faults that struck, and outcomes
	OneFault   bool           // at most one component was faulty at a time
	Converged  bool
	Virtual    time.Duration
}

// times are the tests' scale: T_settle 20 s, retention over twice the sum.
var times = commit.Times{
	Lease: 8 * time.Second, Margin: 4 * time.Second, Settle: 20 * time.Second, Gap: 2 * time.Second,
	Retention: 60 * time.Second, Keep: 12 * time.Second, LockWait: 10 * time.Second,
	Grace: 2 * time.Second, HelpWait: 50 * time.Millisecond,
	UploadAge: 60 * time.Second, Remember: 40 * time.Second,
}

// Run plays one schedule to its end.
func Run(o Options) Report {
	w := newWorld(o)
	if o.Repeats {
		w.repeat()
	} else {
		w.clients()
	}
	if o.Scrubs || o.Behind {
		w.scrubbing()
	}
	if o.Joins {
		w.joining()
	}
	if o.Behind {
		w.comingBack()
	}
	if o.Modes {
		w.switching()
	}
	if o.Nodes {
		w.governing()
	}
	for w.now < activeFor && w.step(activeFor) {
	}
	w.quiesce(o)
	return Report{
		Seed: o.Seed, Err: w.err, Operations: len(w.hist.records), Counts: w.counts,
		OneFault: w.faults.One, Converged: w.err == nil, Virtual: w.now,
	}
}

const (
	activeFor = 75 * time.Second
	calmFor   = 6 * time.Minute
)

func newWorld(o Options) *world {
	w := &world{seed: o.Seed, rng: rand.New(rand.NewPCG(o.Seed, 0x53334d)), counts: map[string]int{}, bases: map[object.Key]string{}, trace: o.Trace, hedge: o.Hedge, uploads: o.Uploads || o.Repeats || o.Stalls, stalls: o.Stalls, tags: o.Tags, patience: cmp.Or(o.Patience, 20*time.Second)}
	w.sessions, w.last, w.again = map[object.ID]*session{}, map[object.Key]*session{}, map[string]bool{}
	if o.Nodes {
		w.leases = &leases{changes: []change{{}}}
	}
	w.truth = &truth{
		w: w, on: o.Only == nil, decided: map[object.Key]map[object.ID]object.Version{},
		last: map[object.Key]object.Version{}, intents: map[object.ID]int{},
	}
	w.hist = &history{w: w, failed: map[string]bool{}, served: map[string]bool{}}
	w.drawFaults()
	w.log = &slog{w: w, rows: map[object.Key]*oplog.Row{}, docs: map[object.ID]*uploadDoc{}, parts: map[object.ID][]oplog.Part{}, median: w.between(time.Millisecond, 15*time.Millisecond)}
	w.drawServers(o)
	w.drawBare()
	if o.Repeats {
		w.drawRepeats()
	}
	w.drawGateways()
	if o.Sums {
		w.drawSums()
	}
	if o.Only == nil && !w.faults.One && w.rng.IntN(4) == 0 {
		w.liar = w.servers[w.rng.IntN(len(w.servers))]
		w.liar.personality = Halving
	}
	for i := range 1 + w.rng.IntN(3) {
		key := object.Key{Bucket: "b", Name: fmt.Sprintf("k%d", i)}
		w.keys = append(w.keys, key)
		if w.rng.IntN(2) == 0 {
			w.bases[key] = w.foreign(key)
		}
	}
	if o.Refusals {
		w.drawRefusals()
	}
	switch {
	case o.Behind:
		w.leaveBehind()
	case o.Scrubs:
		w.withdraw()
	}
	if o.Joins {
		w.outside()
	}
	return w
}

// drawFaults: a third of the schedules hurt one component at a time, the rest
// many, each kind of fault on or off.
func (w *world) drawFaults() {
	f := &w.faults
	some := func(max float64) float64 {
		if w.rng.IntN(2) == 0 {
			return 0
		}
		return w.rng.Float64() * max
	}
	f.LateMax = times.Settle - times.Gap - rpcTimeout - time.Second
	f.Nemesis = w.between(2*time.Second, 15*time.Second)
	if w.rng.IntN(3) == 0 {
		f.One = true
		f.HangUp = 0.02
		return
	}
	f.CASUnknown, f.CASLost, f.CASLate = some(0.1), some(0.1), some(0.1)
	f.ReadLost = some(0.1)
	f.RequestLost, f.ReplyLost, f.Late = some(0.1), some(0.2), some(0.2)
	f.Refuse, f.Broken5xx, f.UploadLost = some(0.05), some(0.1), some(0.1)
	f.SlowBody, f.HangUp = some(0.2), some(0.1)
	if w.uploads {
		f.Inner, f.SlowWork, f.Vanish = some(0.2), some(0.3), some(0.02)
	}
	f.StallAtDeed, f.CrashAtDeed = some(0.04), some(0.04)
	if f.StallAtDeed > 0 { // a stalled node releases late: what is left of A3 is for the network
		f.LateMax = times.Settle/2 - times.Gap - rpcTimeout - time.Second
	}
}

func (w *world) drawServers(o Options) {
	n := 1 + w.rng.IntN(5)
	if o.Joins {
		n = max(n, 2)
	}
	if w.faults.One || o.Only != nil {
		n = 3 + w.rng.IntN(2)
	}
	for i := range n {
		s := &server{
			w: w, name: string(rune('A' + i)), median: w.between(2*time.Millisecond, 60*time.Millisecond),
			objs: map[object.Key]stored{}, before: map[object.Key]stored{},
			uploads: map[string]*upload{}, leaked: map[string]time.Duration{}, fencing: w.uploads && w.rng.IntN(3) > 0,
		}
		if o.Only != nil && i == 0 {
			s.personality = *o.Only
		} else if w.rng.IntN(4) == 0 {
			s.personality = StartOrdered
		}
		w.servers = append(w.servers, s)
	}
}

func (w *world) drawGateways() {
	var names []string
	for _, s := range w.servers {
		names = append(names, s.name)
	}
	reps := object.NewReplicas(names...)
	copies := reps.Filter(func(string) bool { return w.uploads && w.rng.IntN(3) > 0 })
	fences := reps.Filter(func(r string) bool { return w.server(r).fencing })
	n := 1 + w.rng.IntN(4)
	if w.leases != nil {
		n = 2 + w.rng.IntN(3)
	}
	need := 1 + w.rng.IntN(len(reps))
	if w.faults.One {
		need = 1 + w.rng.IntN(len(reps)/2+1)
	}
	rule := commit.Rule{Need: need}
	if !w.faults.One && w.rng.IntN(4) == 0 {
		rule.Include = object.NewReplicas(reps[w.rng.IntN(len(reps))])
	}
	for i := range n {
		g := &gateway{
			w: w, name: fmt.Sprintf("G%d", i+1), skew: w.between(-400*time.Millisecond, 400*time.Millisecond),
			cfg: commit.Config{Exclusive: n == 1, Thrifty: w.leases != nil, Replicas: reps, Serving: reps, Epoch: 1, Ack: rule, Times: times, Fences: fences, Composed: reps, Copies: copies, Bare: reps.Filter(func(r string) bool { return w.server(r).bare })},
		}
		g.start()
		w.gateways = append(w.gateways, g)
	}
}

// foreign puts an object of nobody's under a key, on every replica.
func (w *world) foreign(key object.Key) string {
	etag := w.id().String()
	tags := w.foreignTags(key)
	for _, s := range w.servers {
		s.objs[key] = stored{seen: object.Seen{Info: object.Info{Kind: object.Present, ETag: etag, Size: 7, Tags: tags, Headers: s.kept(w.sumsOf(etag))}}}
	}
	return etag
}

// quiesce ends the faults, lets the healers drain, and checks that everything
// is equal and that the histories make sense.
func (w *world) quiesce(o Options) {
	w.calm = true
	if o.Modes {
		w.settleMode()
	}
	if o.Nodes {
		w.mode = commit.Mode{}
		w.leases.changes = append(w.leases.changes, change{revision: w.leases.last().revision + 1})
	}
	if o.Refusals {
		w.settleRefusals()
	}
	limit := w.now + calmFor
	for w.step(limit) && !(w.now > activeFor+times.Keep+30*time.Second && len(w.log.rows) == w.mapRows() && w.leftovers() == "" && (w.scrubs == nil || w.now > activeFor+calmFor/2)) {
	}
	if w.err != nil {
		return
	}
	if w.scrubs != nil {
		w.scrubbedEnd()
	}
	if !w.truth.on {
		w.hist.check(w.bases)
		return
	}
	if len(w.log.rows) > w.mapRows() {
		for _, key := range w.keys {
			if row := w.log.rows[key]; row != nil && w.liar != nil && (w.lost(key, row) || w.fills() && row.Open) {
				w.count("lost to a liar")
			} else if row != nil && !w.stays(row) {
				w.fail("I11 %s: did not converge: %s; replicas %s", key.Name, rowText(row), w.replicasText(key))
			}
		}
		if w.err != nil {
			return
		}
	}
	for _, key := range w.keys {
		switch row := w.log.rows[key]; {
		case row == nil:
			w.truth.quiet(key)
		case !w.stays(row):
			continue
		}
		for i, g := range w.gateways {
			r := w.hist.begin(key, 100+i, g, call{verb: verbRead})
			g.read(key, false, func(a answerRead) { w.hist.saw(r, a) })
			for !r.res.done && w.step(w.now+time.Minute) {
			}
			if !r.res.done || r.drop {
				w.fail("I11 %s: %s cannot read it after calm", key.Name, g.name)
			}
			w.finalTags(key, 100+i, g)
		}
	}
	if left := w.leftovers(); left != "" {
		w.fail("leaked: %s", left)
	}
	for _, r := range w.hist.records {
		if !r.res.done {
			w.fail("%s: a client never got an answer: %s", r.key.Name, callText(r.call))
		}
	}
	if w.err == nil {
		w.hist.check(w.bases)
	}
}

// lost tells whether the current version stands nowhere: a liar had the only
// copy, or destroyed it with half of a newer one. No protocol brings it back; the
// key stays visible as a row, and unreadable.
func (w *world) lost(key object.Key, row *oplog.Row) bool {
	for _, s := range w.servers {
		if s.at(key).Shows(row.Cur) {
			return false
		}
	}
	return true
}

func (w *world) replicasText(key object.Key) string {
	out := ""
	for _, s := range w.servers {
		out += fmt.Sprintf("%s=%s ", s.name, short(s.at(key).ID))
	}
	return out
}
