package sim

import (
	"maps"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// session is one client with one multipart upload: it creates it, sends parts in any
// order, again after failures or with other bytes, and completes, aborts or forgets it.
type session struct {
	w      *world
	client int
	key    object.Key
	id     object.ID
	bytes  map[int]object.ID // what the parts hold, for those that another upload had
	tags   object.Tags       // of the version
	etags  map[int]string    // of the parts that were acknowledged last
	over   func()

	rec      *record // of the Complete, however often it is sent
	list     []commit.Named
	cond     commit.Condition
	sent     int
	waiting  int           // Completes without an answer
	doubt    bool          // one of them may have had an effect
	aborted  bool          // an abort was acknowledged
	decided  time.Duration // when it became a version
	finished bool

	changed bool // it completed other parts than at first
	aborts  bool // it sent an abort
	hurries bool // it completes before its last part is acknowledged
	denied  bool // it was told that there is no such upload, and there was
}

// gateway picks one that lives, or any.
func (w *world) anyGateway() *gateway {
	for range 5 {
		if g := w.gateways[w.rng.IntN(len(w.gateways))]; g.alive {
			return g
		}
	}
	return w.gateways[0]
}

// patience is how long a client waits for an answer before it tries again.
const patience = 15 * time.Second

// ask calls something that answers once, or says after a while that it did not.
func (w *world) ask(call func(done func(commit.Result)), done func(commit.Result, bool)) {
	over := false
	end := func(r commit.Result, ok bool) {
		if !over {
			over = true
			done(r, ok)
		}
	}
	w.after(patience, func() { end(commit.Result{}, false) })
	call(func(r commit.Result) { end(r, true) })
}

// multipart plays one upload; the client goes on when it is over.
func (w *world) multipart(client int, key object.Key, over func()) {
	s := &session{w: w, client: client, key: key, id: w.id(), bytes: map[int]object.ID{}, etags: map[int]string{}, over: over}
	if was := w.last[key]; was != nil && w.rng.IntN(w.sameBytes()) == 0 {
		w.count("the same bytes again")
		s.bytes = maps.Clone(was.bytes)
	}
	w.sessions[s.id], w.last[key] = s, s
	if w.tags {
		s.tags = w.someTags()
	}
	w.ask(func(done func(commit.Result)) { w.anyGateway().createUpload(key, s.id, s.tags, done) },
		func(r commit.Result, ok bool) {
			if !ok || r.Kind != commit.Acked {
				w.count("create failed")
				over()
				return
			}
			w.count("upload created")
			s.parts()
		})
}

// parts sends them all, some at once, then ends the upload.
func (s *session) parts() {
	w := s.w
	var numbers []int
	for number := range maps.Keys(s.bytes) {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	for i := range 1 + w.rng.IntN(3) {
		if len(s.bytes) > 0 {
			break
		}
		number := i + 1
		if i > 0 && w.rng.IntN(4) == 0 {
			number = 10 * (i + 1) // numbers may have gaps
		}
		numbers = append(numbers, number)
	}
	if w.repeats && len(numbers) > 1 && w.rng.IntN(4) == 0 {
		s.hurry(numbers)
		return
	}
	left := len(numbers)
	for _, number := range numbers {
		s.part(number, 3, func() {
			if left--; left == 0 {
				s.end(len(numbers))
			}
		})
	}
}

func (s *session) part(number, tries int, done func()) {
	w := s.w
	if tries == 0 {
		done()
		return
	}
	attempt := w.id()
	bytes, ok := s.bytes[number]
	if !ok || tries < 3 {
		bytes = attempt
		s.bytes[number] = bytes
	}
	part := oplog.Part{Upload: s.id, Number: number, Attempt: attempt, Size: int64(5 + number), ETag: partETag(bytes)}
	w.ask(func(done func(commit.Result)) { w.anyGateway().sendPart(s.key, part, done) },
		func(r commit.Result, ok bool) {
			switch {
			case !ok || r.Kind != commit.Acked:
				w.count("part failed")
				w.after(w.delay(300*time.Millisecond), func() { s.part(number, tries-1, done) })
			case w.rng.IntN(6) == 0:
				w.count("part overwritten")
				s.etags[number] = r.Info.ETag
				s.part(number, tries-1, done)
			default:
				w.count("part acknowledged")
				s.heldByAll(part)
				s.etags[number] = r.Info.ETag
				done()
			}
		})
}

// end completes the upload if all its parts are there.
func (s *session) end(parts int) {
	w := s.w
	switch n := w.rng.IntN(20); {
	case n == 0:
		w.count("upload forgotten")
		s.over()
	case n == 1 || len(s.etags) < parts:
		s.abort()
		s.over()
	default:
		s.complete()
		if w.rng.IntN(8) == 0 {
			w.after(w.delay(60*time.Millisecond), s.abort) // it races
		}
	}
}

func (s *session) abort() {
	w := s.w
	s.aborts = true
	w.count("abort")
	w.ask(func(done func(commit.Result)) { w.anyGateway().abortUpload(s.key, s.id, done) },
		func(r commit.Result, ok bool) {
			if ok && r.Kind == commit.Acked {
				w.count("abort acknowledged")
				s.aborted = true
				if s.finished && s.rec.res.done && !s.rec.res.unknown && !s.rec.drop && !s.rec.res.refused {
					w.fail("U2 %s: upload %s was completed, and then aborted", s.key.Name, short(s.id))
				}
			}
		})
}

func (s *session) complete() {
	w := s.w
	s.list = nil
	var etags []string
	for _, n := range slices.Sorted(maps.Keys(s.etags)) {
		s.list = append(s.list, commit.Named{Number: n, ETag: s.etags[n]})
		etags = append(etags, s.etags[n])
	}
	c := call{verb: verbPut, etag: composed(etags), tags: tagsText(s.tags)}
	for _, r := range w.hist.records {
		if r.call.verb == verbPut && r.call.etag == c.etag {
			w.again[c.etag] = true
			delete(w.hist.failed, c.etag)
		}
	}
	switch w.rng.IntN(8) {
	case 0:
		c.ifNone = true
	case 1:
		c.ifMatch = w.someETag(s.key)
	}
	s.cond = c.condition()
	s.rec = w.hist.begin(s.key, s.client, nil, c)
	s.send()
}

// send sends the Complete once more. A client that got no answer in time, or one that
// tells it nothing, sends it again; the first is perhaps still at work.
func (s *session) send() {
	w := s.w
	if s.finished {
		return
	}
	if s.sent == s.sends() {
		if s.waiting == 0 {
			s.finish(commit.Result{Kind: commit.Doubt})
		}
		return
	}
	if s.sent++; s.sent > 1 {
		w.count("complete repeated")
	}
	s.waiting++
	rec, list, free := s.rec, s.list, s.free()
	w.ask(func(done func(commit.Result)) {
		w.anyGateway().completeUpload(s.key, s.id, list, s.cond, done)
	}, func(r commit.Result, ok bool) {
		if rec != s.rec {
			return // it was given up
		}
		s.waiting--
		s.judge(r, ok, free)
		switch {
		case s.finished:
			s.echo(r, ok)
		case ok && r.Kind == commit.Acked:
			s.finish(r)
		case s.hurries && ok && r.Kind == commit.Failed && r.Code == "InvalidPart" && s.sent < s.sends():
			w.after(w.delay(20*time.Millisecond), s.send)
		case ok && r.Kind == commit.Failed && r.Code != "SlowDown":
			// A refusal is the client's last word; an earlier one may have had its effect.
			if s.doubt || s.waiting > 0 {
				r = commit.Result{Kind: commit.Doubt}
			}
			s.finish(r)
		default:
			s.doubt = s.doubt || !ok || r.Kind == commit.Doubt
			if s.sent == s.sends() && s.waiting == 0 {
				if !s.doubt {
					s.finish(r)
					return
				}
				s.finish(commit.Result{Kind: commit.Doubt})
				return
			}
			if s.doubt && len(s.etags) > 1 && w.rng.IntN(w.otherParts()) == 0 {
				s.fewer()
				return
			}
			w.after(w.delay(500*time.Millisecond), s.send)
		}
	})
	if w.rng.IntN(6) == 0 {
		w.after(w.delay(100*time.Millisecond), func() {
			if !s.finished && s.sent < s.sends() {
				w.count("complete twice at once")
				s.send()
			}
		})
	}
}

// fewer gives a Complete up that told it nothing and completes fewer parts: other
// bytes under the same identity.
func (s *session) fewer() {
	s.w.count("complete with other parts")
	s.changed = true
	s.w.hist.wrote(s.rec, commit.Result{Kind: commit.Doubt})
	first := slices.Sorted(maps.Keys(s.etags))[0]
	delete(s.etags, first)
	s.sent, s.waiting, s.doubt = 1, 0, false
	s.complete()
}

func (s *session) finish(r commit.Result) {
	w := s.w
	s.finished = true
	w.hist.wrote(s.rec, r)
	if r.Kind == commit.Acked {
		w.count("complete acknowledged")
		if r.Info.ETag != s.rec.call.etag {
			w.fail("U1 %s: a Complete was answered with ETag %s, not %s", s.key.Name, r.Info.ETag, s.rec.call.etag)
		}
		if s.aborted {
			w.fail("U2 %s: upload %s was aborted, and then completed", s.key.Name, short(s.id))
		}
	}
	s.over()
	if r.Kind == commit.Acked && w.rng.IntN(3) == 0 { // its answer may have been lost on the way
		w.after(w.between(0, times.Remember/2), func() {
			w.ask(func(done func(commit.Result)) {
				w.anyGateway().completeUpload(s.key, s.id, s.list, s.cond, done)
			}, s.echo)
		})
	}
}

// echo judges a Complete that is repeated after it succeeded.
func (s *session) echo(r commit.Result, ok bool) {
	if !ok || s.rec.res.unknown || s.rec.res.refused || s.rec.drop || s.w.now-s.decided > times.Remember-2*time.Second {
		return
	}
	s.w.count("complete echoed")
	switch {
	case r.Kind == commit.Acked && r.Info.ETag != s.rec.call.etag,
		r.Kind == commit.Failed && r.Code != "SlowDown" && r.Code != "ServiceUnavailable":
		s.w.fail("U1 %s: a Complete that succeeded was then answered %d %s %s", s.key.Name, r.Kind, r.Code, r.Info.ETag)
	}
}
