package explore

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// world is one state of the small world. A move is made on a copy of its own:
// what slices hold is never changed in place, and a proc only after own.
type world struct {
	sc      *Scenario
	sym     *symmetry
	now     time.Duration
	row     *oplog.Row // never changed in place
	servers [2]server
	procs   []*proc
	msgs    []message // in the order of message.before
	dead    []bool    // by gateway
	left    Faults
	due     time.Duration // of the healer's next visit
	heir    int           // the gateway that visits keys
	clients []clientState
	reg     register
	truth   truth
	fresh   uint16 // names ids and epochs; no state depends on it
	order   int    // of requests, by their start; states depend on who was first only

	every bool // tries every order, also those that commute

	stepped int // gateway whose machines changed with this move, or -1
	trace   func(string, ...any)
	err     error
}

// server is a replica.
type server struct {
	seen    object.Seen
	started int // order of the request that wrote it
}

type clientState uint8

const (
	waiting clientState = iota
	under               // way
	over
)

// machine is any of commit's.
type machine interface {
	Step(commit.Now, commit.Event) []commit.Effect
	Over() bool
}

// proc is one machine on one gateway, or the place of one that is over. A
// machine is a value (package commit): its copy is a machine in the same state.
type proc struct {
	gateway int
	client  int // or -1
	write   *commit.Write
	read    *commit.Read
	repair  *commit.Repair
	op      commit.Op       // of a write
	timers  []timer         // by deadline, then timer
	intent  moment          // when the compare-and-set of the intent that stands was sent (I9)
	started [2]int          // of a stream's uploads: their order
	sources object.Replicas // of a heal
	told    bool            // the repair that asked for a heal knows its end
	served  [2]object.Seen  // to a reader, by replica

	// of a gateway's repairs
	memory  commit.Memory  // from visit to visit
	lent    *commit.Memory // where the machine looks for it; holds it during a step only
	copies  bool           // this visit heals
	waiters []int          // writes that wait for the end of this visit
}

// moment is a time that may not have come.
type moment struct {
	at  time.Duration
	set bool
}

type timer struct {
	t  commit.Timer
	at time.Duration
}

func (p *proc) machine() machine {
	switch {
	case p.write != nil:
		return p.write
	case p.read != nil:
		return p.read
	case p.repair != nil:
		return p.repair
	}
	return nil
}

// kind of a message.
type kind uint8

const (
	readRow kind = iota // from here on: to the log, or to a replica
	swap
	look   // HEAD or GET
	source // a heal reads the version that it copies
	request
	swapped // from here on: to a machine
	answered
	body // a client's body is whole
)

// ofReplica tells whether a message of this kind goes to or comes from a replica.
func (k kind) ofReplica() bool { return k == look || k == source || k == request || k == answered }

// message is under way. Reads take effect and are answered at once (doc.go).
type message struct {
	kind    kind
	proc    int
	replica int
	late    bool          // does not hold the clock, and nobody waits for what it does
	silent  bool          // its answer is lost
	or      bool          // of a look: the other replica may be asked as well (commit.Get)
	op      object.ID     // of the proc when it was sent: its place may be another's by now
	at      time.Duration // of a request and a compare-and-set: when it was sent
	row     *oplog.Row
	old     oplog.Epoch
	epoch   oplog.Epoch
	outcome commit.CAS
	put     object.Seen // of a request
	ver     object.Version
	started int
	answer  commit.Answer
}

// before is the order in which messages are kept: by what they are, never by
// when they were sent, so that a set of them has one form.
func (m *message) before(o *message) int {
	return cmp.Or(cmp.Compare(m.kind, o.kind), cmp.Compare(m.proc, o.proc), cmp.Compare(m.replica, o.replica), cmp.Compare(m.at, o.at))
}

// local tells whether a message changes nothing but its machine.
func (m *message) local() bool { return m.kind >= swapped }

func newWorld(sc *Scenario) *world {
	w := &world{
		sc: sc, sym: newSymmetry(sc), heir: sc.healer(), left: sc.Faults, dead: make([]bool, sc.gateways()), stepped: -1,
		clients: make([]clientState, len(sc.Clients)), reg: newRegister(sc.Base),
	}
	for i := range w.servers {
		w.servers[i].seen = sc.Base.before()
	}
	for i, c := range sc.Clients {
		w.procs = append(w.procs, &proc{gateway: c.Gateway, client: i})
	}
	for g := range w.dead {
		w.procs = append(w.procs, &proc{gateway: g, client: -1})
	}
	for g := range w.dead {
		w.procs = append(w.procs, &proc{gateway: g, client: -1})
	}
	return w
}

// repairs is the place of a gateway's repair.
func (w *world) repairs(gateway int) int { return len(w.clients) + gateway }

// heals is the place of a gateway's heal: a repair asks for one at a time.
func (w *world) heals(gateway int) int { return len(w.clients) + len(w.dead) + gateway }

// healer is the gateway that visits keys.
func (w *world) healer() int { return w.heir }

// inherit finds another healer when that one dies: the last gateway that lives or,
// where two of them are alike, either.
func (w *world) inherit(first bool) {
	if !w.dead[w.heir] {
		return
	}
	living := func(g int) bool { return !w.dead[g] }
	for g := range w.dead {
		if living(g) {
			w.heir = g
			if first {
				return
			}
		}
	}
}

// heirs tells whether the healer's death leaves a choice.
func (w *world) heirs(g int) bool {
	n := 0
	for _, dead := range w.dead {
		if !dead {
			n++
		}
	}
	return g == w.heir && n > 2 && w.sym.writers
}

func (w *world) copy() *world {
	c := *w
	c.procs = slices.Clone(w.procs)
	c.msgs = slices.Clone(w.msgs)
	c.dead = slices.Clone(w.dead)
	c.clients = slices.Clone(w.clients)
	c.stepped = -1
	return &c
}

// own makes a proc that this world alone may change.
func (w *world) own(i int) *proc {
	p := *w.procs[i]
	p.write, p.read, p.repair = copied(p.write), copied(p.read), copied(p.repair)
	p.timers, p.waiters = slices.Clone(p.timers), slices.Clone(p.waiters)
	w.procs[i] = &p
	return &p
}

func copied[M any](m *M) *M {
	if m == nil {
		return nil
	}
	c := *m
	return &c
}

func (w *world) config(gateway int) commit.Config {
	return commit.Config{
		Node: fmt.Sprintf("G%d", gateway+1), Exclusive: w.sc.Exclusive, Replicas: replicas, Bare: replicas, Serving: replicas,
		Epoch: 1, Ack: commit.Rule{Need: w.sc.Ack}, Times: times,
	}
}

func (w *world) clock(gateway int) commit.Now {
	return commit.Now{Wall: w.wall(gateway), Boot: bootBase + w.now}
}

func (w *world) wall(gateway int) time.Time {
	if gateway == 0 {
		return wall0.Add(w.now + w.sc.Skew)
	}
	return wall0.Add(w.now)
}

func (w *world) send(m message) {
	m.op = w.procs[m.proc].op.ID
	at, _ := slices.BinarySearchFunc(w.msgs, m, func(a, b message) int { return a.before(&b) })
	for at < len(w.msgs) && w.msgs[at].before(&m) == 0 {
		at++
	}
	w.msgs = slices.Insert(w.msgs, at, m)
}

func (w *world) take(i int) message {
	m := w.msgs[i]
	w.msgs = slices.Delete(w.msgs, i, i+1)
	return m
}

// mint names something that is drawn at random in the real world.
func (w *world) mint() [16]byte {
	w.fresh++
	return [16]byte{1: 1, 2: byte(w.fresh >> 8), 3: byte(w.fresh)}
}

// writer is the identity of client i's write. Its nonces count up in the last byte.
func writer(i int) object.ID { return object.ID{1: 2, 2: byte(i + 1)} }

func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

func (w *world) logf(format string, args ...any) {
	if w.trace != nil {
		w.trace(format, args...)
	}
}

func (w *world) logMessage(m *message, what string) {
	if w.trace != nil {
		w.trace("%s%s", w.messageText(m), what)
	}
}

func (w *world) logRow(r *oplog.Row) {
	if w.trace != nil {
		w.trace("  row: %s", rowText(r))
	}
}
