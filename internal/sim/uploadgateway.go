package sim

import (
	"maps"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// uploadEffect carries out what machines of uploads ask for; false: it is no such
// effect.
func (p *proc) uploadEffect(e commit.Effect) bool {
	w := p.g.w
	switch e := e.(type) {
	case commit.ReadUpload:
		w.log.readDoc(p.upload, func(ev commit.UploadRead) { p.deliver(ev) })
	case commit.SwapUpload:
		w.log.swapDoc(p.upload, e.Old, e.Record, func(ev commit.UploadSwapped) { p.deliver(ev) })
	case commit.AddPart:
		w.log.addPart(e.Part, func(out commit.CAS) { p.deliver(commit.PartAdded{Outcome: out}) })
	case commit.DropParts:
		w.log.change(func() bool { delete(w.log.parts, p.upload); return true },
			func(out commit.CAS) { p.deliver(commit.PartsDropped{OK: out == commit.Applied}) })
	case commit.Abort:
		p.g.abortOn(e.Replica, e.UploadID, func(ok bool) { p.deliver(commit.Aborted{Replica: e.Replica, OK: ok}) })
	default:
		return false
	}
	return true
}

// call sends a request that changes no key; done gets its end, at the latest after the
// time for answers.
func (g *gateway) call(replica string, do func() commit.Answer, done func(commit.Answer)) {
	w := g.w
	over := false
	life := g.life
	end := func(a commit.Answer) {
		if !over {
			over = true
			g.run(life, func() { done(a) })
		}
	}
	w.after(times.Keep, func() { end(commit.Answer{Class: commit.Ambiguous}) })
	w.server(replica).send(&request{side: true, do: do, answer: end}, w.faults.LateMax)
}

func (g *gateway) abortOn(replica, name string, done func(ok bool)) {
	s := g.w.server(replica)
	g.call(replica, func() commit.Answer { s.abort(name); return commit.Answer{Class: commit.Yes} },
		func(a commit.Answer) { done(a.Class == commit.Yes) })
}

func (p *proc) initiate(replica string, tags object.Tags) {
	s := p.g.w.server(replica)
	var name string
	p.g.call(replica, func() commit.Answer {
		name = s.initiate(p.upload, p.key, tags, p.g.now().Wall)
		return commit.Answer{Class: commit.Yes}
	}, func(a commit.Answer) {
		p.deliver(commit.Initiated{Replica: replica, UploadID: name, Answer: a})
	})
}

// createUpload begins an upload; done gets the answer at most once.
func (g *gateway) createUpload(key object.Key, id object.ID, tags object.Tags, done func(commit.Result)) {
	p := g.spawn(key, commit.NewCreate(g.cfg, commit.UploadRecord{Tags: tags}), func(p *proc, e commit.Effect) {
		switch e := e.(type) {
		case commit.Initiate:
			p.initiate(e.Replica, tags)
		case commit.Done:
			done(e.Result)
		default:
			g.w.fail("create returned an unknown effect %T", e)
		}
	})
	p.upload = id
	p.deliver(commit.Begin{Up: g.up()})
}

// sendPart sends one attempt at a part. Its ETag names its bytes.
func (g *gateway) sendPart(key object.Key, part oplog.Part, done func(commit.Result)) {
	w := g.w
	m := commit.NewPart(g.cfg, part, nil)
	p := g.spawn(key, m, func(p *proc, e commit.Effect) {
		switch e := e.(type) {
		case commit.Open:
			p.holdPart(e.Replica)
		case commit.Leave:
			if !m.Over() {
				w.count("replica leaves before the release")
			}
		case commit.Accept:
			d := w.delay(30 * time.Millisecond)
			if w.stalls {
				d = w.between(time.Second, 6*time.Second)
			}
			if w.chance(w.faults.HangUp) {
				w.count("client hung up")
				w.after(d, func() { p.deliver(commit.Broken{}) })
				return
			}
			w.after(d, func() {
				p.deliver(commit.Verified{Info: object.Info{Size: part.Size, ETag: part.ETag}})
			})
		case commit.Release:
			s := w.server(e.Replica)
			name := m.UploadID(e.Replica)
			g.call(e.Replica, func() commit.Answer {
				return s.addPart(name, part.Number, storedPart{part.ETag, part.Size})
			}, func(a commit.Answer) { p.deliver(commit.Answered{Replica: e.Replica, Answer: a}) })
		case commit.Done:
			done(e.Result)
		default:
			w.fail("part returned an unknown effect %T", e)
		}
	})
	p.upload = part.Upload
	p.deliver(commit.Begin{Up: g.up()})
}

// holdPart is a part's held upload: it may end before the release.
func (p *proc) holdPart(replica string) {
	w := p.g.w
	if s := w.server(replica); s.isDown() || w.chance(w.faults.UploadLost) {
		w.after(w.delay(s.median), func() {
			p.deliver(commit.Lost{Replica: replica, Answer: commit.Answer{Class: commit.No}})
		})
		return
	}
	if grace := p.g.cfg.Times.Grace; w.stalls && w.rng.IntN(3) == 0 {
		w.count("part stalled")
		for again := range time.Duration(3) { // it is said again and again
			w.after(grace+again*grace/4, func() { p.deliver(commit.Stalled{Replica: replica, For: grace + again*grace/4}) })
		}
	}
}

// completeUpload reads what it needs and completes; done gets the answer at most once.
func (g *gateway) completeUpload(key object.Key, id object.ID, list []commit.Named, cond commit.Condition, done func(commit.Result)) {
	w, life := g.w, g.life
	fail := func(code string) { done(commit.Result{Kind: commit.Failed, Code: code}) }
	w.log.readDoc(id, func(ev commit.UploadRead) {
		g.run(life, func() {
			switch {
			case ev.Failed:
				fail("SlowDown")
				return
			case ev.Record == nil:
				fail("NoSuchUpload")
				return
			}
			w.log.readParts(id, func(have []oplog.Part, ok bool) {
				g.run(life, func() {
					if !ok {
						fail("SlowDown")
						return
					}
					chosen, code := commit.Choose(ev.Record, have, list, 1)
					if code != "" {
						fail(code)
						return
					}
					g.runComplete(key, id, list, chosen, cond, done)
				})
			})
		})
	})
}

func (g *gateway) runComplete(key object.Key, id object.ID, list []commit.Named, chosen commit.Chosen, cond commit.Condition, done func(commit.Result)) {
	w := g.w
	chosen.Info.Headers = w.sumsOf(chosen.Info.ETag)
	op := commit.CompleteOp{ID: w.id(), Upload: id, Chosen: chosen, If: cond, Slow: slow}
	m := commit.NewComplete(g.cfg, op)
	p := g.spawn(key, m, func(p *proc, e commit.Effect) {
		switch e := e.(type) {
		case commit.Release:
			p.releaseComplete(e, m.UploadID(e.Replica), op, list)
		case commit.Resolve:
			g.repair(p.key, e.Expired, func() { p.deliver(commit.Repaired{}) })
		case commit.Done:
			done(e.Result)
		default:
			w.fail("complete returned an unknown effect %T", e)
		}
	})
	p.upload = id
	p.op = commit.Op{ID: op.ID, Type: oplog.OpComplete, Upload: id}
	p.deliver(commit.Begin{Up: g.up()})
}

func (p *proc) releaseComplete(e commit.Release, name string, op commit.CompleteOp, list []commit.Named) {
	w := p.g.w
	s := w.server(e.Replica)
	var seen *upload
	life := p.life
	given := make([]commit.Named, len(list))
	for i, n := range list {
		given[i] = commit.Named{Number: n.Number, ETag: op.Chosen.ETags[e.Replica][i]}
		if given[i].ETag == "" {
			w.fail("U11 %s: a Complete went to %s, which lacks part %d", p.key.Name, e.Replica, n.Number)
		}
	}
	r := &request{
		key: p.key, op: op.ID, ver: e.Ver, started: w.now, owner: p, upload: name, work: slow,
		put: object.Seen{Info: object.Info{ID: op.Upload}},
		answer: func(a commit.Answer) {
			p.g.run(life, func() { p.deliver(commit.Answered{Replica: e.Replica, Answer: a}) })
		},
	}
	r.arrive = func() {
		if u := s.uploads[name]; u != nil {
			c := *u
			c.parts = maps.Clone(u.parts)
			seen = &c
		}
	}
	r.do = func() commit.Answer { return s.complete(r, seen, given) }
	s.send(r, w.faults.LateMax)
}

// abortUpload is a client's abort; done gets the answer at most once.
func (g *gateway) abortUpload(key object.Key, id object.ID, done func(commit.Result)) {
	g.tend(key, id, commit.TendOp{Upload: id, Abort: true}, done)
}

// strayAge is the age from which an upload that no record names is thrown away.
const strayAge = 60 * time.Second

func (g *gateway) tend(key object.Key, id object.ID, op commit.TendOp, done func(commit.Result)) {
	p := g.spawn(key, commit.NewTend(g.cfg, op), func(p *proc, e commit.Effect) {
		switch e := e.(type) {
		case commit.Resolve:
			g.repair(p.key, e.Expired, func() { p.deliver(commit.Repaired{}) })
		case commit.Done:
			done(e.Result)
		case commit.Tended:
			g.tended[id] = g.w.now + e.Next
		default:
			g.w.fail("tend returned an unknown effect %T", e)
		}
	})
	p.upload = id
	p.deliver(commit.Begin{Up: g.up()})
}

// upkeep visits the uploads that are due, and now and then sweeps the servers.
func (g *gateway) upkeep() {
	w := g.w
	if !w.uploads {
		return
	}
	for _, id := range slices.SortedFunc(maps.Keys(w.log.docs), compareIDs) {
		if g.tended[id] > w.now {
			continue
		}
		g.tended[id] = w.now + times.Keep + times.Lease + times.LockWait // while the visit lasts
		s := w.sessions[id]
		g.tend(s.key, id, commit.TendOp{Upload: id}, nil)
	}
	if g.swept <= w.now {
		g.swept = w.now + w.between(20*time.Second, 60*time.Second)
		for _, s := range w.servers {
			g.sweep(s)
		}
	}
}

func compareIDs(a, b object.ID) int { return slices.Compare(a[:], b[:]) }

// sweep throws away what no record names.
func (g *gateway) sweep(s *server) {
	w, life := g.w, g.life
	w.after(w.delay(s.median), func() {
		if s.isDown() || s.isHung() || s.isGone() {
			return
		}
		var list []commit.BackendUpload
		for _, name := range slices.Sorted(maps.Keys(s.uploads)) {
			list = append(list, commit.BackendUpload{UploadID: name, Initiated: epoch0.Add(s.uploads[name].initiated)})
		}
		for _, name := range slices.Sorted(maps.Keys(s.leaked)) {
			list = append(list, commit.BackendUpload{UploadID: name, Initiated: epoch0.Add(s.leaked[name])})
		}
		w.after(w.delay(s.median), func() {
			g.run(life, func() {
				named := map[string]bool{}
				for _, d := range w.log.docs {
					named[d.rec.IDs[s.name]] = true
				}
				for _, name := range commit.Strays(list, named, epoch0.Add(w.now), strayAge) {
					w.count("stray upload swept")
					g.abortOn(s.name, name, func(bool) {})
				}
			})
		})
	})
}

// fence answers a repair that wants the end of an upload's Completes on a replica.
func (g *gateway) fence(p *proc, e commit.Fence) {
	end := func(ok bool) { p.deliver(commit.Fenced{Replica: e.Replica, Upload: e.Upload, OK: ok}) }
	g.w.log.readDoc(e.Upload, func(ev commit.UploadRead) {
		send, over := commit.MayFence(ev.Record, e)
		switch {
		case ev.Failed, !send:
			end(!ev.Failed && over)
		default:
			g.w.count("fence")
			g.abortOn(e.Replica, ev.Record.IDs[e.Replica], end)
		}
	})
}

// remember tells the documents of uploads that they became versions, one by one.
func (g *gateway) remember(p *proc, e commit.Remember) {
	var tell func(i int)
	end := func(ok bool) { p.deliver(commit.Recalled{OK: ok}) }
	tell = func(i int) {
		if i == len(e.Done) {
			end(true)
			return
		}
		d := e.Done[i]
		g.w.log.readDoc(d.ID, func(ev commit.UploadRead) {
			if ev.Failed {
				end(false)
				return
			}
			if ev.Record == nil {
				tell(i + 1)
				return
			}
			next := commit.Remembered(ev.Record, d, g.now())
			if next == ev.Record {
				tell(i + 1)
				return
			}
			g.w.log.swapDoc(d.ID, ev.Epoch, next, func(out commit.UploadSwapped) {
				if out.Outcome != commit.Applied {
					end(false)
					return
				}
				tell(i + 1)
			})
		})
	}
	tell(0)
}
