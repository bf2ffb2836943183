package sim

import (
	"crypto/md5"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// source is what a copy is made of.
type source struct {
	key    object.Key
	info   object.Info
	tags   object.Tags       // of the copy: it does not get the source's
	direct map[string]string // replicas that copy by themselves, with the ETag of their condition
}

// copied is the ETag of a copy: one object, whatever its source was made of.
func copied(etag string) string {
	if !strings.Contains(etag, "-") {
		return etag
	}
	sum := md5.Sum([]byte("the whole of " + etag))
	return hex.EncodeToString(sum[:])
}

// copyObject is a client's copy: it reads the source and writes the target. Its history
// is a read of the one and a write of the other.
func (w *world) copyObject(client int, g *gateway, from, to object.Key, next func()) {
	began := w.now
	read := w.hist.begin(from, client, g, call{verb: verbRead})
	var shown object.Info
	p := g.spawn(from, commit.NewRead(g.cfg), nil)
	p.other = func(e commit.Effect) {
		switch e := e.(type) {
		case commit.Serve:
			shown = e.Info
			w.sawSum(from, e.Info)
			if e.Replica != "" {
				shown.ETag = p.shown[e.Replica].ETag
			}
			w.hist.saw(read, answerRead{ok: true, etag: shown.ETag})
			src := source{key: from, info: shown, direct: commit.CopyPlan(g.cfg, e.Row, shown)}
			g.copyTo(client, to, src, began, next)
		case commit.Absent:
			w.hist.saw(read, answerRead{ok: true})
			next()
		case commit.Unavailable:
			w.hist.saw(read, answerRead{})
			next()
		default:
			w.fail("read returned an unknown effect %T", e)
		}
	}
	order := slices.Clone([]string(g.up()))
	p.deliver(commit.Look{Order: order, HeadOnly: true})
}

func (g *gateway) copyTo(client int, to object.Key, src source, began time.Duration, next func()) {
	w := g.w
	if w.tags {
		src.tags = w.someTags()
	}
	c := call{verb: verbPut, etag: copied(src.info.ETag), tags: tagsText(src.tags)}
	w.again[c.etag] = true
	switch w.rng.IntN(6) {
	case 0:
		c.ifNone = true
	case 1:
		c.ifMatch = w.someETag(to)
	}
	rec := w.hist.begin(to, client, g, c)
	rec.began = began
	w.count("copy")
	if len(src.direct) > 0 {
		w.count("copied by a replica itself")
	}
	op := commit.Op{
		ID: w.id(), Type: oplog.OpCopy, Stream: true, If: c.condition(), Slow: slow,
		Direct: object.NewReplicas(slices.Collect(maps.Keys(src.direct))...),
	}
	p := g.spawn(to, commit.NewWrite(g.cfg, op), func(p *proc, e commit.Effect) {
		if e, ok := e.(commit.Release); ok {
			p.releaseCopy(e, src)
			return
		}
		g.writeEffect(p, e, func(p *proc) { g.copyBody(p, src) }, func(res commit.Result) {
			w.hist.wrote(rec, res)
			next()
		})
	})
	p.op = op
	p.deliver(commit.Begin{Up: g.up()})
}

// copyBody streams the source to the replicas that do not copy it by themselves.
func (g *gateway) copyBody(p *proc, src source) {
	w := g.w
	whole := func() {
		p.deliver(commit.Verified{Info: object.Info{Size: src.info.Size, ETag: commit.CopyETag(src.info), Tags: src.tags, Headers: w.sumsOf(copied(src.info.ETag))}})
	}
	if len(p.started) == 0 {
		whole()
		return
	}
	var holders []string
	for _, s := range w.servers {
		if s.at(src.key).Shows(src.info) {
			holders = append(holders, s.name)
		}
	}
	if len(holders) == 0 {
		w.after(w.delay(50*time.Millisecond), func() { p.deliver(commit.Broken{}) })
		return
	}
	w.server(holders[w.rng.IntN(len(holders))]).head(src.key, func(seen object.Seen, ok bool) {
		if !ok || !seen.Shows(src.info) {
			p.deliver(commit.Broken{})
			return
		}
		w.after(w.delay(100*time.Millisecond), whole)
	})
}

func (p *proc) releaseCopy(e commit.Release, src source) {
	w := p.g.w
	s := w.server(e.Replica)
	life := p.life
	r := &request{
		key: p.key, op: p.op.ID, ver: e.Ver, started: w.now, owner: p, work: slow,
		put: object.Seen{
			Info: object.Info{ID: p.op.ID, Kind: object.Present, ETag: copied(src.info.ETag), Size: src.info.Size, Tags: src.tags, Headers: w.sumsOf(copied(src.info.ETag))},
			Flag: object.FlagStream, Uploaded: p.g.now().Wall,
		},
		answer: func(a commit.Answer) {
			p.g.run(life, func() { p.deliver(commit.Answered{Replica: e.Replica, Answer: a}) })
		},
	}
	if match, direct := src.direct[e.Replica]; direct {
		r.put.Flag, r.put.Ver = object.FlagSmall, e.Ver
		r.do = func() commit.Answer { return s.copy(r, src.key, match) }
	} else {
		r.started, r.work = p.started[e.Replica], 0
	}
	s.send(r, w.faults.LateMax)
}

// copy is the moment a server's own copy takes effect: whatever stands under the source
// then, if it meets the condition.
func (s *server) copy(r *request, from object.Key, match string) commit.Answer {
	src := s.at(from)
	switch {
	case src.Kind == object.Tombstone:
		s.w.count("source is gone")
		return commit.Answer{Class: commit.No, Code: "NoSuchKey"}
	case src.ETag != match && match != "":
		s.w.count("source is another")
		return commit.Answer{Class: commit.No, Code: "PreconditionFailed"}
	}
	put := r.put
	put.ETag, put.Size = copied(src.ETag), src.Size
	put.Headers = s.w.sumsOf(put.ETag)
	return s.store(r, put)
}
