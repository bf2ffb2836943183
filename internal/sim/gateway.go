package sim

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// gateway is one simulated node: a clock with an offset, the machines that it
// drives, and the healer. It interprets effects and decides nothing.
type gateway struct {
	w       *world
	name    string
	life    int // incarnation; a crash begins the next
	alive   bool
	skew    time.Duration // of the wall clock
	stalled time.Duration // until then nothing runs here (SIGSTOP)
	cfg     commit.Config
	memory  map[object.Key]*commit.Memory
	repairs map[object.Key]*repairRun
	due     map[object.Key]time.Duration
	open    map[*proc]bool
	tended  map[object.ID]time.Duration // when an upload is visited again
	swept   time.Duration               // when the servers' uploads are looked at again
	member  *memberOf                   // nil: nodes have no leases
}

type repairRun struct{ waiters []func() }

func (g *gateway) now() commit.Now {
	return commit.Now{Wall: epoch0.Add(g.w.now + g.skew), Boot: g.w.now + time.Hour, Lease: g.lease()}
}

func (g *gateway) dead(life int) bool { return !g.alive || g.life != life }

// run delivers something to the gateway: after a stall, or never after a crash.
func (g *gateway) run(life int, do func()) {
	if g.dead(life) {
		return
	}
	if g.stalled > g.w.now {
		g.w.after(g.stalled-g.w.now, func() { g.run(life, do) })
		return
	}
	do()
}

func (w *world) server(name string) *server {
	for _, s := range w.servers {
		if s.name == name {
			return s
		}
	}
	panic("no server " + name)
}

// up are the replicas whose breaker would be closed. The breaker is slow: it
// sees a server as dead only with some probability.
func (g *gateway) up() object.Replicas {
	return g.cfg.Replicas.Filter(func(n string) bool {
		s := g.w.server(n)
		return !(s.isDown() || s.isHung()) || g.w.rng.Float64() < 0.3
	})
}

// ---- writes

// write runs one mutation; done gets the client's answer at most once.
func (g *gateway) write(key object.Key, op commit.Op, size int64, done func(commit.Result)) {
	body := func(p *proc) { g.clientBody(p, size) }
	g.runWrite(key, op, size, body, done)
}

func (g *gateway) runWrite(key object.Key, op commit.Op, size int64, body func(*proc), done func(commit.Result)) *proc {
	p := g.spawn(key, commit.NewWrite(g.config(), op), func(p *proc, e commit.Effect) { g.writeEffect(p, e, body, done) })
	p.op = op
	p.deliver(commit.Begin{Up: g.up()})
	return p
}

func (g *gateway) writeEffect(p *proc, e commit.Effect, body func(*proc), done func(commit.Result)) {
	w := g.w
	switch e := e.(type) {
	case commit.Accept:
		body(p)
	case commit.Open:
		p.hold(e.Replica)
	case commit.Leave:
	case commit.Release:
		p.release(e)
	case commit.Resolve:
		g.repair(p.key, e.Expired, func() { p.deliver(commit.Repaired{}) })
	case commit.Done:
		done(e.Result)
	default:
		w.fail("write returned an unknown effect %T", e)
	}
}

// clientBody reads the body: it takes a while, and clients hang up.
func (g *gateway) clientBody(p *proc, size int64) {
	w := g.w
	d := w.delay(5 * time.Millisecond)
	if p.op.Stream {
		d = w.delay(300 * time.Millisecond)
		if w.chance(w.faults.SlowBody) {
			w.count("slow body")
			d = w.between(5*time.Second, 50*time.Second)
		}
	}
	if w.chance(w.faults.HangUp) {
		w.count("client hung up")
		w.after(d/2, func() { p.deliver(commit.Broken{}) })
		return
	}
	w.after(d, func() {
		p.deliver(commit.Verified{Info: object.Info{Size: size, ETag: p.op.Info.ETag, Tags: p.op.Info.Tags, Headers: p.op.Info.Headers}})
	})
}

// hold is a held upload of a stream; it may end before the release.
func (p *proc) hold(replica string) {
	w := p.g.w
	s := w.server(replica)
	p.started[replica] = w.now
	if s.isDown() || w.chance(w.faults.UploadLost) {
		w.count("upload ended before the release")
		w.after(w.delay(s.median), func() {
			p.deliver(commit.Lost{Replica: replica, Answer: commit.Answer{Class: commit.No}})
		})
		return
	}
	if s.isHung() {
		w.count("upload stalled")
		w.after(p.g.cfg.Times.Grace, func() { p.deliver(commit.Stalled{Replica: replica, For: p.g.cfg.Times.Grace}) })
	}
}

// release sends the request. Late landing is bounded by A3, and more tightly
// when the node itself was late.
func (p *proc) release(e commit.Release) {
	w := p.g.w
	s := w.server(e.Replica)
	put := object.Seen{Info: object.Info{Kind: object.Tombstone}}
	started := w.now
	if !p.tombstone() {
		put.Info = p.op.Info
		put.Kind, put.ID = object.Present, p.version()
		put.ETag = etagOf(p.version())
		put.Flag, put.Uploaded = object.FlagSmall, p.g.now().Wall
		if p.op.Type == oplog.OpHeal {
			put.ETag = p.op.Info.ETag // with the same parts it is the same
			if len(p.op.Info.Parts) > 0 {
				put.Flag = object.FlagMultipart
			}
		}
		if p.op.Type == oplog.OpHeal && p.op.Info.ID.IsZero() {
			put.ID, put.ETag, put.Flag = object.ID{}, p.op.Info.ETag, object.FlagNone
		}
		if p.op.Stream {
			started = p.started[e.Replica]
			if put.Flag == object.FlagSmall {
				put.Flag = object.FlagStream
			}
		} else {
			put.Ver = e.Ver
		}
	}
	life := p.life
	s.send(&request{
		key: p.key, op: p.op.ID, put: put, ver: e.Ver, started: started, owner: p, work: p.op.Slow,
		answer: func(a commit.Answer) {
			p.g.run(life, func() { p.deliver(commit.Answered{Replica: e.Replica, Answer: a}) })
		},
	}, w.faults.LateMax)
}

func (p *proc) tombstone() bool {
	return p.op.Type == oplog.OpDelete || p.op.Type == oplog.OpHeal && p.op.Info.Kind == object.Tombstone
}

func (p *proc) version() object.ID {
	if p.op.Type == oplog.OpHeal {
		return p.op.Info.ID
	}
	return p.op.ID
}

// etagOf is the ETag of a body that names its writer.
func etagOf(id object.ID) string { return id.String() }

// ---- reads

// answerRead is what a client's GET or HEAD got: absent, an ETag, or nothing.
type answerRead struct {
	ok   bool
	etag string
}

func (g *gateway) read(key object.Key, head bool, done func(answerRead)) {
	var order []string
	for _, n := range g.up() {
		order = append(order, n)
	}
	g.w.rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	p := g.spawn(key, commit.NewRead(g.config()), func(p *proc, e commit.Effect) {
		switch e := e.(type) {
		case commit.Serve:
			etag := e.Info.ETag
			g.w.sawSum(key, e.Info)
			if e.Replica != "" {
				etag = p.shown[e.Replica].ETag // what the client really gets
			}
			done(answerRead{ok: true, etag: etag})
		case commit.Absent:
			done(answerRead{ok: true})
		case commit.Unavailable:
			done(answerRead{})
		default:
			g.w.fail("read returned an unknown effect %T", e)
		}
	})
	p.deliver(commit.Look{Order: order, HeadOnly: head, Hedge: g.w.hedge})
}

// ---- repair

// repair visits a key; visits of one key on one node are one at a time.
func (g *gateway) repair(key object.Key, expired object.ID, done func()) {
	if run := g.repairs[key]; run != nil {
		run.waiters = append(run.waiters, done)
		return
	}
	run := &repairRun{waiters: []func(){done}}
	g.repairs[key] = run
	mem := g.memory[key]
	if mem == nil {
		mem = &commit.Memory{}
		g.memory[key] = mem
	}
	p := g.spawn(key, commit.NewRepair(g.config()), func(p *proc, e commit.Effect) {
		switch e := e.(type) {
		case commit.Copy:
			g.copy(p, e)
		case commit.Mend:
			g.mend(p, e)
		case commit.Fence:
			g.fence(p, e)
		case commit.Remember:
			g.remember(p, e)
		case commit.Examined:
			g.due[key] = g.w.now + e.Report.Next
			delete(g.repairs, key)
			for _, f := range run.waiters {
				f()
			}
		default:
			g.w.fail("repair returned an unknown effect %T", e)
		}
	})
	p.deliver(commit.Examine{Memory: mem, Expired: expired})
}

// copy is a heal: a write whose client is a current replica.
func (g *gateway) copy(parent *proc, e commit.Copy) {
	op := commit.Op{ID: g.w.id(), Type: oplog.OpHeal, Info: e.Info, Target: e.Target, Stream: e.Info.Kind == object.Present && g.w.rng.IntN(2) == 0}
	if len(e.Info.Parts) > 0 {
		op.Slow = slow // it is put together from parts too
	}
	finished := false
	end := func(ok bool) {
		if !finished {
			finished = true
			parent.deliver(commit.Copied{Target: e.Target, OK: ok})
		}
	}
	run := func() {
		p := g.runWrite(parent.key, op, e.Info.Size, func(p *proc) { g.healBody(p, e) }, func(r commit.Result) { end(r.Kind == commit.Acked) })
		p.over = func() { end(false) }
	}
	if d := g.w.fillsIn(e.Target); d > 0 {
		life := g.life
		g.w.after(d, func() { g.run(life, run) })
		return
	}
	run()
}

// healBody reads the version from a replica that shows it.
func (g *gateway) healBody(p *proc, e commit.Copy) {
	if e.Info.Kind == object.Tombstone {
		p.deliver(commit.Verified{Info: e.Info})
		return
	}
	source := e.Sources[g.w.rng.IntN(len(e.Sources))]
	g.w.server(source).head(p.key, func(seen object.Seen, ok bool) {
		if !ok || !seen.Shows(e.Info) || g.w.server(source).objs[p.key].rotten { // its checksum shows it
			p.deliver(commit.Broken{})
			return
		}
		p.deliver(commit.Verified{Info: e.Info})
	})
}

// healLoop visits every key with a row, again and again.
func (g *gateway) healLoop(life int) {
	w := g.w
	w.after(w.between(300*time.Millisecond, 700*time.Millisecond), func() {
		if g.dead(life) {
			return
		}
		g.run(life, func() {
			for _, key := range w.keys {
				if w.log.rows[key] != nil && g.due[key] <= w.now {
					g.repair(key, object.ID{}, func() {})
				}
			}
			g.upkeep()
		})
		g.healLoop(life)
	})
}

// ---- what may happen to a node

func (g *gateway) start() {
	g.life++
	g.alive = true
	g.cfg.Mode = g.w.mode
	if g.w.joins != nil {
		g.reads()
	}
	g.cfg.Node = g.name + "#" + string(rune('a'+g.life%26))
	g.memory, g.repairs = map[object.Key]*commit.Memory{}, map[object.Key]*repairRun{}
	g.due, g.open = map[object.Key]time.Duration{}, map[*proc]bool{}
	g.tended, g.swept = map[object.ID]time.Duration{}, 0
	g.join()
	g.healLoop(g.life)
}

func (g *gateway) crash(restart time.Duration) {
	if !g.alive {
		return
	}
	g.w.logf("%s crashes", g.name)
	g.alive = false
	g.w.hist.crashed(g)
	g.w.after(restart, func() { g.w.logf("%s starts", g.name); g.start() })
}

func (g *gateway) stall(d time.Duration) {
	g.w.logf("%s stalls for %v", g.name, d)
	g.stalled = max(g.stalled, g.w.now+d)
}
