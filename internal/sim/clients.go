package sim

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// clients run closed loops until the active time is over.
func (w *world) clients() {
	for i := range 2 + w.rng.IntN(4) {
		w.client(i, w.between(50*time.Millisecond, 2*time.Second))
	}
	w.nemesis()
}

func (w *world) client(i int, pace time.Duration) {
	var next func()
	next = func() {
		if w.now > activeFor-5*time.Second {
			return
		}
		g := w.gateways[w.rng.IntN(len(w.gateways))]
		key := w.someKey()
		if !g.alive || g.stalled > w.now && w.rng.IntN(2) == 0 {
			w.after(w.delay(200*time.Millisecond), next)
			return
		}
		w.operate(i, g, key, func() { w.after(w.delay(pace), next) })
	}
	w.after(w.delay(pace), next)
}

// operate sends one operation; the client gives up after a while and goes on.
func (w *world) operate(i int, g *gateway, key object.Key, next func()) {
	went := false
	goOn := func() {
		if !went {
			went = true
			next()
		}
	}
	w.after(25*time.Second, goOn)
	if w.rng.IntN(100) < 6 {
		w.listAll(i, g, goOn)
		return
	}
	if w.uploads && w.newer(i, g, key, goOn) || w.tags && w.taggedOperation(i, g, key, goOn) {
		return
	}
	if w.rng.IntN(100) < 45 {
		r := w.hist.begin(key, i, g, call{verb: verbRead})
		head := w.rng.IntN(4) == 0
		g.admitted(func() { g.read(key, head, func(a answerRead) { w.hist.saw(r, a); goOn() }) })
		return
	}
	c, op := w.mutation(key)
	size := int64(1 + w.rng.IntN(1000))
	op.Info.Size = size
	r := w.hist.begin(key, i, g, c)
	g.admitted(func() { g.write(key, op, size, func(res commit.Result) { w.hist.wrote(r, res); goOn() }) })
}

// newer sends an operation that only schedules with uploads have; false: none.
func (w *world) newer(i int, g *gateway, key object.Key, next func()) bool {
	switch {
	case w.rng.IntN(100) < 8:
		w.multipart(i, key, next)
	case w.rng.IntN(100) < 3:
		w.deleteAll(i, g, next)
	case w.rng.IntN(100) < 8:
		w.copyObject(i, g, w.keys[w.rng.IntN(len(w.keys))], key, next)
	default:
		return false
	}
	return true
}

// listAll records a page as one presence read per key.
func (w *world) listAll(i int, g *gateway, next func()) {
	var rs []*record
	for _, key := range w.keys {
		rs = append(rs, w.hist.begin(key, i, g, call{verb: verbList}))
	}
	g.list(func(present map[string]bool, ok bool) {
		for _, r := range rs {
			w.hist.listed(r, ok, present[r.key.Name])
		}
		next()
	})
}

func (w *world) mutation(key object.Key) (call, commit.Op) {
	op := commit.Op{ID: w.id(), Type: oplog.OpPut, Stream: w.rng.IntN(2) == 0}
	c := call{verb: verbPut, etag: etagOf(op.ID)}
	switch w.rng.IntN(10) {
	case 0, 1, 2:
		c = call{verb: verbDelete}
		op.Type, op.Stream = oplog.OpDelete, false
	case 3:
		c.ifNone = true
	case 4, 5:
		c.ifMatch = w.someETag(key)
		if w.rng.IntN(3) == 0 {
			c.verb, c.etag = verbDelete, ""
			op.Type, op.Stream = oplog.OpDelete, false
		}
	}
	if op.Type == oplog.OpPut && !op.Stream {
		op.Info.ETag = etagOf(op.ID) // small bodies: known before they are sent
	}
	if w.tags && op.Type == oplog.OpPut && w.rng.IntN(2) == 0 {
		op.Info.Tags = w.someTags()
		c.tags = tagsText(op.Info.Tags)
	}
	if op.Type == oplog.OpPut {
		op.Info.Headers = w.sumsOf(etagOf(op.ID))
	}
	op.If = c.condition()
	return c, op
}

// someETag is what a client would have seen lately.
func (w *world) someETag(key object.Key) string {
	for i := len(w.hist.records) - 1; i >= 0; i-- {
		r := w.hist.records[i]
		if r.key == key && r.res.done && r.res.etag != "" {
			return r.res.etag
		}
		if r.key == key && r.call.verb == verbPut && w.rng.IntN(2) == 0 {
			return r.call.etag
		}
	}
	return "0123456789abcdef0123456789abcdef"
}
