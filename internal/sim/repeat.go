package sim

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Schedules with Repeats look for what goes wrong when Completes are repeated: there is one
// key, with one upload at a time, whose bytes are mostly those of the one before; many
// Completes end in doubt, and some of those land late; servers lose uploads, and differ in
// what they say of one that is not there.

// repeatKey is the key that it happens to.
func (w *world) repeatKey() object.Key { return w.keys[0] }

// sameBytes is one in how many uploads has the bytes of the one before.
func (w *world) sameBytes() int {
	if w.repeats {
		return 2
	}
	return 4
}

// otherParts is one in how many Completes in doubt is given up for one of other parts.
func (w *world) otherParts() int {
	if w.repeats {
		return 3
	}
	return 5
}

// sends is how often a Complete is sent at most.
func (s *session) sends() int {
	if s.client == lastClient || s.hurries {
		return 60
	}
	return 4
}

// lastClient is the one whose upload comes last.
const lastClient = 1000

func (w *world) drawRepeats() {
	w.repeats = true
	f := &w.faults
	f.One, f.HangUp, f.Nemesis = false, 0, w.between(10*time.Second, 30*time.Second)
	f.LateMax = times.Settle/2 - times.Gap - rpcTimeout - time.Second
	f.Inner, f.SlowWork, f.Late, f.ReplyLost = w.rng.Float64()*0.3, 0.05, 0.05, 0.05
	if w.rng.IntN(2) == 0 {
		f.Vanish = w.rng.Float64() * 0.3
	}
	w.servers = w.servers[:min(len(w.servers), 1+w.rng.IntN(3))]
	for _, s := range w.servers {
		s.fencing, s.forgets = w.rng.IntN(3) == 0, w.rng.IntN(2) == 0
	}
}

// repeat has one upload after the other, readers beside them, and a last upload whose
// Completes all end in doubt until the faults are over.
func (w *world) repeat() {
	const last = activeFor - 15*time.Second
	var next func()
	next = func() {
		if w.now < last-20*time.Second {
			w.multipart(0, w.repeatKey(), func() { w.after(w.delay(200*time.Millisecond), next) })
		}
	}
	w.after(w.delay(time.Second), next)
	w.client(1, 5*time.Second)
	w.after(last, func() {
		w.faults.Inner = 1
		w.multipart(lastClient, w.repeatKey(), func() {})
	})
	w.nemesis()
}

// heldByAll: when a part is acknowledged every replica that is in the upload holds it.
func (s *session) heldByAll(part oplog.Part) {
	doc := s.w.log.docs[s.id]
	if doc == nil {
		return
	}
	for _, p := range s.w.log.parts[s.id] {
		if p.Attempt != part.Attempt {
			continue
		}
		for _, r := range doc.rec.In {
			if p.ETags[r] == "" {
				s.w.fail("U12 %s: part %d of upload %s is acknowledged, and %s, which is in the upload, lacks it", s.key.Name, part.Number, short(s.id), r)
			}
		}
	}
}

// free tells whether nothing stands in the way of a Complete that is sent now: the faults
// are over, and nothing is in doubt on the key but earlier Completes of the same parts.
func (s *session) free() bool {
	w := s.w
	row, doc := w.log.rows[s.key], w.log.docs[s.id]
	if !w.repeats || !w.calm || s.changed || s.aborts || row == nil || row.Intent != nil || row.Open || row.Cur.ID == s.id || doc == nil || len(row.Unsettled) == 0 {
		return false
	}
	for _, e := range row.Unsettled {
		if e.ID != s.id {
			return false
		}
	}
	able := doc.rec.In.Filter(func(r string) bool {
		at := w.server(r)
		return !at.isDown() && !at.isHung() && !at.isGone() && (at.at(s.key).ID == s.id || at.holds(doc.rec.IDs[r], s.list))
	})
	for _, g := range w.gateways {
		if !g.alive || g.stalled > w.now {
			return false
		}
	}
	return w.log.down <= w.now && w.log.readOnly <= w.now && w.gateways[0].cfg.Ack.Met(able)
}

// hurry completes the upload while its last part is still on its way: the client knows its
// ETag beforehand.
func (s *session) hurry(numbers []int) {
	w := s.w
	s.hurries = true
	last := numbers[len(numbers)-1]
	left := len(numbers) - 1
	for _, number := range numbers[:left] {
		s.part(number, 3, func() {
			if left--; left > 0 {
				return
			}
			if len(s.etags) < len(numbers)-1 {
				s.abort()
				s.over()
				return
			}
			w.count("complete before its last part")
			s.part(last, 1, func() {})
			s.etags[last] = partETag(s.bytes[last])
			w.after(w.delay(30*time.Millisecond), s.complete)
		})
	}
}

// holds tells whether the server has the parts of an upload as they are named: one that was
// sent before another may have landed after it.
func (s *server) holds(upload string, list []commit.Named) bool {
	u := s.uploads[upload]
	if u == nil {
		return false
	}
	for _, n := range list {
		if u.parts[n.Number].etag != n.ETag {
			return false
		}
	}
	return true
}

// judge looks at the answer to one Complete, sent when it was free or not.
func (s *session) judge(r commit.Result, ok, free bool) {
	w := s.w
	if !w.repeats || s.finished {
		return
	}
	if free {
		w.count("complete after its own doubts")
		if !ok || r.Kind != commit.Acked {
			w.fail("U7 %s: nothing but earlier Completes of upload %s is in doubt, and another one is answered %d %s", s.key.Name, short(s.id), r.Kind, r.Code)
		}
	}
	if ok && r.Kind == commit.Failed && r.Code == "NoSuchUpload" && !s.changed && !s.aborts && w.counts["upload vanished"] == 0 && w.log.docs[s.id] != nil {
		w.count("denied")
		s.denied = true
		if s.decided > 0 {
			w.fail("U6 %s: upload %s took effect, and its client was told that there is none", s.key.Name, short(s.id))
		}
	}
}
