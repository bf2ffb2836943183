package explore

import (
	"slices"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// truth is what the invariants of RELIABILITY 4.8 need to know of the past.
type truth struct {
	last    object.Version // latest decided version (I2)
	lastID  object.ID
	decided [maxClients]bool // once current (I1)
	failed  [maxClients]bool // definitely failed (I8)
}

// installed notes when the compare-and-set of an intent was sent that stands now.
func (w *world) installed(m *message, next *oplog.Row) {
	p := w.procs[m.proc]
	if p.op.ID != m.op || p.op.ID.IsZero() || p.machine() == nil {
		return
	}
	mine := func(r *oplog.Row) bool { return r != nil && r.Intent != nil && r.Intent.Op == m.op }
	switch {
	case mine(next) && !mine(w.row):
		w.own(m.proc).intent = moment{m.at, true}
	case !mine(next) && mine(w.row):
		w.own(m.proc).intent = moment{}
	}
}

// changed sees each change of the row, at the moment it takes effect.
func (w *world) changed(next *oplog.Row) {
	old := w.row
	w.row = next
	w.logRow(next)
	if old == nil {
		w.nextVisit()
	}
	if next != nil && !next.Open && next.Cur.Ver > 0 && (old == nil || old.Open || old.Cur.ID != next.Cur.ID) {
		w.decided(next)
	}
	if next == nil && old.Cur.Kind == object.Tombstone && !old.Open && len(old.Unsettled) > 0 {
		w.fail("I10: a tombstone was dropped with requests unsettled")
	}
}

func (w *world) decided(row *oplog.Row) {
	t := &w.truth
	if row.Cur.ID == t.lastID && row.Cur.Ver == t.last {
		return
	}
	if row.Cur.Ver <= t.last {
		w.fail("I2: %s is decided below the version before it", rowText(row))
	}
	t.last, t.lastID = row.Cur.Ver, row.Cur.ID
	if i := clientOf(row.Cur.ID); i >= 0 {
		t.decided[i] = true
		if t.failed[i] {
			w.fail("I8: %s is decided, and was answered as definitely failed", idText(row.Cur.ID))
		}
		if !w.reg.decide(w.sc.Clients, i) {
			w.fail("not linearizable: %s is decided when the key is %s", idText(row.Cur.ID), w.valueText(w.reg.now))
		}
	}
}

// clientOf is the client whose write has this identity, or -1.
func clientOf(id object.ID) int {
	for i := range maxClients {
		if id == writer(i) {
			return i
		}
	}
	return -1
}

// valueOf is what a reader of this version sees; ok is false for half of a body.
func valueOf(info object.Info) (v value, ok bool) {
	switch i := clientOf(info.ID); {
	case info.Kind == object.Tombstone:
		return vNothing, true
	case info.Size != size:
		return 0, false
	case i >= 0:
		return vFirst + value(i), true //nolint:gosec // fewer than maxClients
	default:
		return vBase, true
	}
}

// done is the answer to a client's write.
func (w *world) done(n int, p *proc, res commit.Result) {
	c := p.client
	if c < 0 {
		return // a heal's: step tells the repair
	}
	w.logf("  %s: %s", w.procText(n), resultText(res))
	w.clients[c] = over
	legal := true
	switch {
	case res.Kind == commit.Acked:
		if !w.truth.decided[c] {
			w.fail("I1: %s is acknowledged and was never decided", w.procText(n))
		}
		legal = w.reg.acked(c)
	case res.Kind == commit.Failed:
		if w.truth.decided[c] {
			w.fail("I8: %s is answered as definitely failed, and was decided", w.procText(n))
		}
		w.truth.failed[c] = true
		if res.Code == "PreconditionFailed" || res.Code == "NoSuchKey" {
			legal = w.reg.refused(c)
		} else {
			legal = w.reg.failed(c)
		}
	}
	if !legal {
		w.fail("not linearizable: %s: %s", w.procText(n), resultText(res))
	}
}

// serve is the answer to a reader: what it really gets is what the replica showed.
func (w *world) serve(p *proc, e commit.Serve) {
	info := e.Info
	if e.Replica != "" {
		info = p.served[index(e.Replica)].Info
	}
	w.logf("  %s reads %s", w.procText(p.client), infoText(info))
	v, whole := valueOf(info)
	if !whole {
		w.fail("half of a body is served")
		return
	}
	if v >= vFirst && !w.truth.decided[v-vFirst] {
		w.fail("I1: %s is served and was never decided", infoText(info))
	}
	w.readDone(p.client, v)
}

func (w *world) readDone(c int, v value) {
	w.clients[c] = over
	if !w.reg.saw(c, v) {
		w.fail("not linearizable: the reader saw %s", w.valueText(v))
	}
}

// check asserts what holds in every state.
func (w *world) check() {
	if w.err != nil {
		return
	}
	if w.row == nil {
		w.checkQuiet()
		return
	}
	if !w.row.Open {
		w.checkAnchor()
		w.checkGood()
		w.checkLegal(w.row.Cur)
	}
	w.checkNamed()
}

// checkQuiet is I5, and that a reader would see something legal.
func (w *world) checkQuiet() {
	if !sameSeen(w.servers[0].seen, w.servers[1].seen) {
		w.fail("I5: no row, and the replicas differ")
	}
	for i := range w.msgs {
		if w.msgs[i].kind == request {
			w.fail("I5: no row, and a request is under way: %s", w.messageText(&w.msgs[i]))
		}
	}
	w.checkLegal(w.servers[0].seen.Info)
}

func sameSeen(a, b object.Seen) bool {
	return a.Kind == b.Kind && (a.Kind == object.Tombstone || a.ID == b.ID && a.ETag == b.ETag && a.Size == b.Size)
}

// checkLegal: a reader that came and went in this instant would be told this
// version (I7), so it must be what was decided last.
func (w *world) checkLegal(info object.Info) {
	v, whole := valueOf(info)
	switch {
	case !whole:
		w.fail("half of a body is current")
	case v != w.reg.now:
		w.fail("not linearizable: the key is %s now", w.valueText(v))
	}
}

// checkAnchor is I3.
func (w *world) checkAnchor() {
	if w.row.Cur.Kind != object.Present {
		return
	}
	for _, r := range w.row.Good {
		older := func(m message) bool {
			return m.kind == request && replicas[m.replica] == r && m.ver < w.row.Cur.Ver
		}
		if !slices.ContainsFunc(w.msgs, older) {
			return
		}
	}
	w.fail("I3: every good replica can still be hit by an older request: %s", rowText(w.row))
}

// checkGood is I4.
func (w *world) checkGood() {
	for i, r := range replicas {
		if !w.row.Good.Has(r) || w.servers[i].seen.Shows(w.row.Cur) || w.row.Intent != nil && w.row.Intent.Reps.Has(r) {
			continue
		}
		if !slices.ContainsFunc(w.row.Unsettled, func(e oplog.Entry) bool { return e.Replica == r }) {
			w.fail("I4: %s counts as good and holds %s: %s", r, infoText(w.servers[i].seen.Info), rowText(w.row))
		}
	}
}

// checkNamed is I6.
func (w *world) checkNamed() {
	for i := range w.msgs {
		m := &w.msgs[i]
		if m.kind != request || w.row.Intent != nil && w.row.Intent.Op == m.op {
			continue
		}
		p := w.procs[m.proc]
		live := p.op.ID == m.op && p.machine() != nil
		named := func(e oplog.Entry) bool { return e.Op == m.op && e.Replica == replicas[m.replica] }
		if !live && !slices.ContainsFunc(w.row.Unsettled, named) {
			w.fail("I6: no row names %s: %s", w.messageText(m), rowText(w.row))
		}
	}
}

// checkEnd is I11, in a state after which nothing happens: no row is left, every
// client has its answer, and the replicas are equal (I5).
func (w *world) checkEnd() {
	if w.row != nil {
		w.fail("I11: the key does not come to rest: %s", rowText(w.row))
	}
	for i, s := range w.clients {
		if s == under {
			w.fail("%s never gets an answer", w.procText(i))
		}
	}
	for i, p := range w.procs {
		if p.machine() != nil {
			w.fail("%s never ends", w.procText(i))
		}
	}
}
