package explore

import (
	"cmp"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// This file drives the machines as the shells do (packages replica and sim): it
// feeds events and carries out effects, and decides nothing.

// invoke begins a client's operation and lets it read the row for the first time.
func (w *world) invoke(i, order int) {
	c := w.sc.Clients[i]
	p := w.own(i)
	w.clients[i] = under
	w.reg.invoke(w.sc.Clients, i)
	w.logf("%s comes", w.procText(i))
	if c.writes() {
		p.op = commit.Op{ID: writer(i), Type: oplog.OpPut, Stream: c.Stream, If: c.condition(), Info: object.Info{Size: size}}
		if c.Do == Delete {
			p.op.Type, p.op.Stream, p.op.Info = oplog.OpDelete, false, object.Info{}
		} else if !c.Stream {
			p.op.Info.ETag = etagOf(p.op.ID)
		}
		p.write = commit.NewWrite(w.config(c.Gateway), p.op)
		w.step(i, commit.Begin{Up: c.up()})
	} else {
		p.read = commit.NewRead(w.config(c.Gateway))
		names := slices.Clone([]string(replicas))
		if order > 0 {
			slices.Reverse(names)
		}
		w.step(i, commit.Look{Order: names, HeadOnly: c.Do == Head, Hedge: true})
	}
	first := w.take(slices.IndexFunc(w.msgs, func(m message) bool { return m.proc == i }))
	w.logMessage(&first, "")
	w.deliver(&first)
}

// etagOf is the ETag of a body that names its writer, in the form of an MD5.
func etagOf(id object.ID) string { return id.String() }

// deliver lets a message take effect, or brings an answer to its machine.
func (w *world) deliver(m *message) {
	switch m.kind {
	case readRow:
		w.answer(m, commit.RowRead{Row: w.row})
	case look:
		seen := w.servers[m.replica].seen
		if p := w.procs[m.proc]; p.read != nil {
			w.own(m.proc).served[m.replica] = seen
		}
		w.answer(m, commit.Showed{Replica: replicas[m.replica], Seen: seen})
	case source:
		op := w.procs[m.proc].op
		if !w.servers[m.replica].seen.Shows(op.Info) {
			w.answer(m, commit.Broken{})
			return
		}
		w.answer(m, commit.Verified{Info: op.Info})
	case swap:
		w.swap(m)
	case request:
		w.land(m)
	case swapped:
		w.answer(m, commit.Swapped{Outcome: m.outcome, Epoch: m.epoch})
	case answered:
		w.answer(m, commit.Answered{Replica: replicas[m.replica], Answer: m.answer})
	case body:
		w.answer(m, commit.Verified{Info: w.procs[m.proc].op.Info})
	}
}

// muted is a read without an answer.
func (w *world) muted(m *message) {
	switch m.kind {
	case readRow:
		w.answer(m, commit.RowRead{Failed: true})
	case look:
		w.answer(m, commit.Showed{Replica: replicas[m.replica], Failed: true})
	default:
		w.answer(m, commit.Broken{})
	}
}

// answer brings an event to the machine that sent a message, if it is still there.
func (w *world) answer(m *message, ev commit.Event) {
	if p := w.procs[m.proc]; p.op.ID == m.op && p.machine() != nil {
		w.step(m.proc, ev)
	}
}

// swap is the moment at which a compare-and-set is applied, or conflicts.
func (w *world) swap(m *message) {
	out := commit.Conflict
	if epochOf(w.row) == m.old {
		out = commit.Applied
		next := m.row
		if next != nil {
			stamped := *next
			stamped.Epoch = m.epoch
			next = &stamped
		}
		w.installed(m, next)
		w.changed(next)
	}
	if w.orphan(m) || m.silent {
		return
	}
	w.send(message{kind: swapped, proc: m.proc, outcome: out, epoch: m.epoch})
	if w.sc.Exclusive {
		w.stepped = w.procs[m.proc].gateway // a log that dies with its gateway: before this, or after it
	}
}

func epochOf(row *oplog.Row) oplog.Epoch {
	if row == nil {
		return oplog.Epoch{}
	}
	return row.Epoch
}

// land is the moment at which a request takes effect on its replica.
func (w *world) land(m *message) {
	s := &w.servers[m.replica]
	if w.sc.StartOrdered.Has(replicas[m.replica]) && m.started < s.started {
		w.logf("  %s keeps what started later, and says yes all the same", replicas[m.replica])
	} else {
		*s = server{m.put, m.started}
	}
	if !w.orphan(m) && !m.silent {
		w.send(message{kind: answered, proc: m.proc, replica: m.replica, answer: commit.Answer{Class: commit.Yes, ETag: m.put.ETag}})
	}
}

// step feeds one event to a machine and carries out what it says.
func (w *world) step(n int, ev commit.Event) {
	p := w.own(n)
	w.stepped = p.gateway
	if p.repair != nil {
		*p.lent = p.memory
	}
	m := p.machine()
	effects := m.Step(w.clock(p.gateway), ev)
	if p.repair != nil {
		p.memory = *p.lent
	}
	ended := m.Over()
	if ended {
		p.write, p.read, p.repair, p.timers = nil, nil, nil, nil
	}
	for _, e := range effects {
		w.effect(n, e)
	}
	if n < w.heals(0) {
		return
	}
	ok := false
	for _, e := range effects {
		if d, is := e.(commit.Done); is {
			ended, ok = true, d.Result.Kind == commit.Acked
		}
	}
	if ended && !p.told {
		p.told = true
		w.healed(n, ok)
	}
}

func (w *world) effect(n int, e commit.Effect) {
	p := w.procs[n]
	switch e := e.(type) {
	case commit.ReadRow:
		w.send(message{kind: readRow, proc: n})
	case commit.Swap:
		w.send(message{kind: swap, proc: n, row: e.Row, old: e.Old, epoch: w.mint(), at: w.now})
	case commit.Head:
		w.send(message{kind: look, proc: n, replica: index(e.Replica)})
	case commit.Get:
		w.send(message{kind: look, proc: n, replica: index(e.Replica), or: e.Or != ""})
	case commit.Sleep:
		if p.machine() != nil {
			p.sleep(e.Timer, w.now+e.For)
		}
	case commit.Open:
		w.order++
		p.started[index(e.Replica)] = w.order
	case commit.Accept:
		w.accept(n, p)
	case commit.Release:
		w.release(n, p, e)
	case commit.Resolve:
		w.resolve(n, p, e)
	case commit.Copy:
		w.heal(n, p, e)
	case commit.Examined:
		w.examined(p, e.Report)
	case commit.Done:
		w.done(n, p, e.Result)
	case commit.Serve:
		w.serve(p, e)
	case commit.Absent:
		w.logf("  %s: nothing there", w.procText(n))
		w.readDone(p.client, vNothing)
	case commit.Unavailable:
		w.logf("  %s: 503", w.procText(n))
		w.clients[p.client] = over
		w.reg.forget(p.client)
	case commit.Alarm:
		w.logf("  %s: alarm: %s", w.procText(n), e.What)
	case commit.Drop, commit.Leave:
	default:
		w.fail("unknown effect %T", e)
	}
}

// sleep sets a timer, in the order of deadlines.
func (p *proc) sleep(t commit.Timer, at time.Duration) {
	p.timers = slices.DeleteFunc(p.timers, func(x timer) bool { return x.t == t })
	p.timers = append(p.timers, timer{t, at})
	slices.SortFunc(p.timers, func(a, b timer) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.t, b.t)) })
}

func index(replica string) int { return slices.Index(replicas, replica) }

// accept reads the body: a client's, or a heal's from its source.
func (w *world) accept(n int, p *proc) {
	if p.op.Type == oplog.OpHeal && p.op.Info.Kind == object.Present {
		w.send(message{kind: source, proc: n, replica: index(p.sources[0])})
		return
	}
	w.send(message{kind: body, proc: n})
}

func (w *world) release(n int, p *proc, e commit.Release) {
	if !p.intent.set || w.now-p.intent.at > times.Lease-times.Margin {
		w.fail("I9: %s releases without an intent of its own, or late", w.procText(n))
	}
	r := index(e.Replica)
	m := message{kind: request, proc: n, replica: r, ver: e.Ver, at: w.now, started: p.started[r]}
	if !p.op.Stream {
		w.order++
		m.started = w.order
	}
	if !p.deletes() {
		m.put = w.stored(p, e.Ver)
	}
	w.send(m)
}

func (p *proc) deletes() bool {
	return p.op.Type == oplog.OpDelete || p.op.Type == oplog.OpHeal && p.op.Info.Kind == object.Tombstone
}

// stored is what a whole body leaves on a replica.
func (w *world) stored(p *proc, ver object.Version) object.Seen {
	s := object.Seen{Info: object.Info{ID: p.op.ID, Kind: object.Present, Size: size, ETag: etagOf(p.op.ID)}}
	s.Flag, s.Uploaded = object.FlagSmall, w.wall(p.gateway)
	if p.op.Type == oplog.OpHeal {
		s.ID, s.ETag = p.op.Info.ID, p.op.Info.ETag
	}
	switch {
	case s.ID.IsZero():
		s.Flag, s.Uploaded = object.FlagNone, time.Time{}
	case p.op.Stream:
		s.Flag = object.FlagStream
	default:
		s.Ver = ver
	}
	return s
}

// ---- repair

// resolve visits the key for a write that waits; such a visit copies nothing.
func (w *world) resolve(n int, p *proc, e commit.Resolve) {
	at := w.repairs(p.gateway)
	r := w.own(at)
	r.waiters = append(r.waiters, n)
	if r.machine() == nil {
		w.examine(at, e.Expired, false)
	}
}

func (w *world) examine(n int, expired object.ID, copies bool) {
	p := w.own(n)
	p.copies, p.lent = copies, &commit.Memory{}
	p.repair = commit.NewRepair(w.config(p.gateway))
	w.step(n, commit.Examine{Memory: p.lent, Expired: expired})
}

func (w *world) examined(p *proc, rep commit.Report) {
	w.due = w.now + rep.Next
	if rep.Row == nil || rep.Row.Quiet(replicas) {
		p.memory = commit.Memory{}
	}
	waiters := p.waiters
	p.waiters = nil
	for _, n := range waiters {
		w.step(n, commit.Repaired{})
	}
}

// heal is a write whose client is a replica that holds the version.
func (w *world) heal(n int, p *proc, e commit.Copy) {
	at := w.heals(p.gateway)
	if w.procs[at].machine() != nil {
		w.fail("two heals at once")
		return
	}
	if !p.copies {
		w.step(n, commit.Copied{Target: e.Target})
		return
	}
	h := w.own(at)
	h.sources, h.intent, h.told = e.Sources, moment{}, false
	h.op = commit.Op{ID: w.mint(), Type: oplog.OpHeal, Info: e.Info, Target: e.Target, Stream: w.sc.StreamHeals && e.Info.Kind == object.Present}
	h.write = commit.NewWrite(w.config(p.gateway), h.op)
	w.step(at, commit.Begin{Up: replicas})
}

// healed ends a heal for the repair that asked for it, if that waits still.
func (w *world) healed(n int, ok bool) {
	at := w.repairs(w.procs[n].gateway)
	if w.procs[at].repair != nil {
		w.step(at, commit.Copied{Target: w.procs[n].op.Target, OK: ok})
	}
}
