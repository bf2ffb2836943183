package sim

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
)

// Personality is how a backend behaves beyond the plain case.
type Personality uint8

const (
	CompletionOrdered Personality = iota // the write that completes last stands
	StartOrdered                         // the write that started last stands; the loser gets 200 all the same
	Halving                              // sometimes stores half of a small body, and says so by its ETag
	// The following break an assumption; they run apart, without invariants.
	Truncating    // sometimes stores half and answers 200
	Forgetful     // a restart loses what was acknowledged a moment ago (no fsync)
	Stale         // reads may show an older state (breaks A6)
	RetryingProxy // applies a request a second time, later (breaks A5)
	Wiped         // comes back empty
)

func (p Personality) String() string {
	return [...]string{"completion-ordered", "start-ordered", "halving", "truncating", "forgetful", "stale", "retrying-proxy", "wiped"}[p]
}

// fault is the counter of what the personality does.
func (p Personality) fault() string {
	return [...]string{"", "lost race, 200 all the same", "halved", "truncated", "backend forgot", "stale read", "proxy retried", "backend wiped"}[p]
}

// stored is what stands under a key: the object or the memory of its deletion.
type stored struct {
	seen    object.Seen
	started time.Duration // of the request that wrote it, for start order
	done    time.Duration
	rotten  bool // its bytes are others than they should be, and nothing shows it
}

// server is one simulated backend.
type server struct {
	w           *world
	name        string
	personality Personality
	median      time.Duration
	objs        map[object.Key]stored
	before      map[object.Key]stored // the state before the last change, for Forgetful and Stale
	down        time.Duration         // until then: connection refused
	hung        time.Duration         // until then: takes requests, answers nothing
	renamed     time.Duration         // until then: says NoSuchBucket, which is no word about any key (H19)
	backlog     []func()              // what waits for the hang to end
	outstanding []*request            // released, not applied, not dead

	refusing map[object.Key]time.Duration // keys that it holds nothing under, until then

	uploads map[string]*upload       // multipart uploads, by this server's own ids
	leaked  map[string]time.Duration // parts that landed after their upload was aborted, and when; another abort frees them
	bare    bool                     // keeps no tags
	lossy   map[string]bool          // algorithms of checksums that it does not keep
	forgets bool                     // says NoSuchUpload to a Complete that is sent again
	fencing bool                     // a Complete that arrived applies only while its upload is there
	serial  int                      // of upload ids
}

// request is one released mutation on its way to one backend.
type request struct {
	key     object.Key
	op      object.ID
	put     object.Seen // Kind says PUT or DELETE
	ver     object.Version
	started time.Duration
	owner   *proc
	answer  func(commit.Answer)

	// Of uploads.
	arrive func()               // when the server has it; nil: nothing happens then
	do     func() commit.Answer // the effect, instead of put
	upload string               // of a Complete
	side   bool                 // changes no key
	tag    bool                 // changes no object, only its tags
	work   time.Duration        // how long the server may work on it
	subs   []*request           // what a batch is made of
}

func (s *server) at(key object.Key) object.Seen { return s.objs[key].seen }

func (s *server) isDown() bool { return s.down > s.w.now }
func (s *server) isHung() bool { return s.hung > s.w.now }
func (s *server) isGone() bool { return s.renamed > s.w.now }

// whenUp runs do when the server is not hung.
func (s *server) whenUp(do func()) {
	if s.isHung() {
		s.backlog = append(s.backlog, do)
		return
	}
	do()
}

// hang stops answers for a while; what was queued meanwhile lands afterwards.
func (s *server) hang(d time.Duration) {
	s.hung = max(s.hung, s.w.now+d)
	until := s.hung
	s.w.after(d, func() {
		if s.hung > until {
			return
		}
		work := s.backlog
		s.backlog = nil
		for _, do := range work {
			s.w.after(s.w.between(0, 2*time.Second), func() { s.whenUp(do) })
		}
	})
}

// crash refuses connections for a while; requests under way are applied or not.
func (s *server) crash(d time.Duration) {
	s.down = max(s.down, s.w.now+d)
	switch s.personality {
	case Forgetful:
		for _, key := range s.w.keys {
			if o, ok := s.before[key]; ok && s.w.now-s.objs[key].done < 5*time.Second {
				s.objs[key] = o
				s.w.count("backend forgot")
				s.w.truth.touch(key)
			}
		}
	case Wiped:
		clear(s.objs)
		s.w.count("backend wiped")
	}
}

// head answers a HEAD or GET, which show no tags, or fails after the time-out.
func (s *server) head(key object.Key, done func(object.Seen, bool)) {
	s.ask(key, func(seen object.Seen, ok bool) {
		seen.Tags = nil
		done(seen, ok)
	})
}

// ask answers with all that stands there.
func (s *server) ask(key object.Key, done func(object.Seen, bool)) {
	w := s.w
	over := false
	finish := func(seen object.Seen, ok bool) {
		if !over {
			over = true
			done(seen, ok)
		}
	}
	w.after(rpcTimeout, func() { finish(object.Seen{}, false) })
	w.after(w.delay(s.median/2), func() {
		if s.isDown() || s.isGone() || w.chance(w.faults.ReadLost) {
			w.after(w.delay(s.median/2), func() { finish(object.Seen{}, false) })
			return
		}
		s.whenUp(func() {
			seen := s.at(key)
			if s.personality == Stale && w.chance(0.2) {
				seen = s.before[key].seen
				w.count("stale read")
			}
			w.after(w.delay(s.median/2), func() { finish(seen, true) })
		})
	})
}

// list answers one page of everything, at one instant.
func (s *server) list(done func(page []commit.Item, ok bool)) {
	w := s.w
	over := false
	finish := func(page []commit.Item, ok bool) {
		if !over {
			over = true
			done(page, ok)
		}
	}
	w.after(rpcTimeout, func() { finish(nil, false) })
	w.after(w.delay(s.median/2), func() {
		if s.isDown() || s.isGone() || w.chance(w.faults.ReadLost) {
			finish(nil, false)
			return
		}
		s.whenUp(func() {
			var page []commit.Item
			for _, key := range w.keys {
				if seen := s.at(key); seen.Kind == object.Present {
					page = append(page, commit.Item{Name: key.Name, ETag: seen.ETag, Size: seen.Size, ModTime: seen.ModTime})
				}
			}
			w.after(w.delay(s.median/2), func() { finish(page, true) })
		})
	})
}

const rpcTimeout = 2 * time.Second

// send carries a released request to the server under the schedule's faults.
func (s *server) send(r *request, late time.Duration) {
	w, f := s.w, s.w.faults
	if !r.side {
		s.outstanding = append(s.outstanding, r)
	}
	reply := func(a commit.Answer) {
		if w.chance(f.ReplyLost) {
			w.count("answer lost")
			if w.chance(0.5) {
				w.after(w.delay(s.median), func() { r.answer(commit.Answer{Class: commit.Ambiguous}) })
			}
			return
		}
		w.after(w.delay(s.median/2), func() { r.answer(a) })
	}
	w.after(w.delay(s.median/2), func() {
		if r.arrive != nil && !s.isDown() && !s.isGone() {
			r.arrive()
		}
		switch {
		case s.isDown():
			w.count("connection refused")
			s.dead(r)
			reply(commit.Answer{Class: commit.No})
		case s.isGone():
			s.dead(r)
			reply(commit.Answer{Class: commit.No})
		case w.chance(f.RequestLost):
			w.count("request lost")
			s.dead(r)
			if w.chance(0.5) {
				reply(commit.Answer{Class: commit.Ambiguous})
			}
		case w.chance(f.Refuse):
			w.count("request refused")
			s.dead(r)
			reply(commit.Answer{Class: commit.No, Code: "InvalidRequest"})
		case w.chance(f.Broken5xx):
			w.count("5xx")
			if w.chance(0.5) {
				s.whenUp(func() { s.apply(r) })
			} else if w.chance(0.5) {
				s.later(r, late)
			} else {
				s.dead(r)
			}
			reply(commit.Answer{Class: commit.Ambiguous})
		case r.work > 0 && w.chance(f.Inner):
			w.count("200 with an error inside")
			if w.chance(0.5) {
				s.later(r, late)
			} else {
				s.dead(r)
			}
			reply(commit.Answer{Class: commit.Ambiguous})
		case w.chance(f.Late):
			w.count("late apply")
			s.later(r, late)
			if w.chance(0.3) {
				reply(commit.Answer{Class: commit.Ambiguous})
			}
		default:
			if w.chance(f.Broken5xx / 5) {
				w.count("backend killed")
				s.crash(w.between(time.Second, 5*time.Second))
			}
			d := w.delay(s.median / 4)
			if r.work > 0 && w.chance(f.SlowWork) {
				w.count("slow complete")
				d = w.between(0, r.work)
			}
			w.after(d, func() {
				s.whenUp(func() {
					if s.isDown() { // it died with the request in hand
						w.count("died in hand")
						if w.chance(0.5) {
							s.apply(r)
						} else {
							s.dead(r)
						}
						reply(commit.Answer{Class: commit.Ambiguous})
						return
					}
					reply(s.apply(r))
				})
			})
		}
	})
}

// later applies a request within A3; its answer, if any, comes then.
func (s *server) later(r *request, late time.Duration) {
	end := func() {
		a := s.apply(r)
		if s.w.chance(0.5) {
			s.w.after(s.w.delay(s.median), func() { r.answer(a) })
		}
	}
	s.w.after(s.w.between(0, late), func() {
		s.whenUp(func() {
			if r.work == 0 {
				end()
				return
			}
			s.w.after(s.w.between(0, r.work), func() { s.whenUp(end) })
		})
	})
}

func (s *server) dead(r *request) {
	for _, sub := range r.subs {
		s.dead(sub)
	}
	for i, o := range s.outstanding {
		if o == r {
			s.outstanding = append(s.outstanding[:i], s.outstanding[i+1:]...)
			break
		}
	}
	s.w.truth.touch(r.key)
}

// apply is the moment a mutation takes effect.
func (s *server) apply(r *request) commit.Answer {
	if r.subs == nil { // each of a batch's is over when it is applied
		s.dead(r)
	}
	if r.do != nil {
		return r.do()
	}
	return s.store(r, r.put)
}

// store puts the object, or its absence, under the key.
func (s *server) store(r *request, put object.Seen) commit.Answer {
	w := s.w
	old := s.objs[r.key]
	etag := put.ETag
	if put.Kind == object.Present && s.refuses(r.key) {
		w.count("key refused")
		return commit.Answer{Class: commit.No, Code: refusalCode, Words: "not this key"}
	}
	if s.personality == StartOrdered && r.started < old.started {
		w.count("lost race, 200 all the same")
		w.logf("%s keeps the newer start under %v", s.name, r.key)
		return commit.Answer{Class: commit.Yes, ETag: etag}
	}
	if s.personality == Halving && put.Flag == object.FlagSmall && w.chance(0.1) {
		w.count("halved")
		put.Size /= 2
		put.ETag = reversed(put.ETag)
		etag = put.ETag
	}
	if s.personality == Truncating && put.Kind == object.Present && w.chance(0.1) {
		w.count("truncated")
		put.Size /= 2
		put.ETag = reversed(put.ETag) // of what is stored; the answer names what was sent
	}
	if s.bare {
		put.Tags = nil
	}
	put.Headers = s.kept(put.Headers)
	s.before[r.key] = old
	s.objs[r.key] = stored{seen: put, started: r.started, done: w.now}
	w.logf("%s applies %s %s ver %d", s.name, put.Kind, short(r.op), r.ver)
	if s.personality == RetryingProxy && w.chance(0.2) {
		again := *r
		again.answer = func(commit.Answer) {}
		w.count("proxy retried")
		w.after(w.between(time.Second, 10*time.Second), func() { s.apply(&again) })
	}
	w.truth.touch(r.key)
	return commit.Answer{Class: commit.Yes, ETag: etag}
}

func reversed(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

func short(id object.ID) string { return id.String()[:6] }
