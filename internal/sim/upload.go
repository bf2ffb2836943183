package sim

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Multipart uploads: what a server does with them, what the log keeps of them, and how
// a gateway interprets the effects of their machines.

// upload is one on a server: the parts' ETags name their bytes.
type upload struct {
	id        object.ID // of the version, in its stamp
	key       object.Key
	tags      object.Tags
	parts     map[int]storedPart
	initiated time.Duration
	stamped   time.Time
}

type storedPart struct {
	etag string
	size int64
}

// slow is how long a server may work on a Complete.
const slow = 30 * time.Second

// partETag is the ETag of a part whose bytes an attempt names.
func partETag(content object.ID) string { return content.String() }

// composed is the ETag of an object of these parts.
func composed(etags []string) string {
	h := md5.New()
	for _, e := range etags {
		raw, err := hex.DecodeString(e)
		if err != nil {
			panic(err)
		}
		h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(etags))
}

// spent tells whether a released Complete can have no effect any more: on a fencing
// server its upload is gone.
func (s *server) spent(r *request) bool {
	return r.upload != "" && s.fencing && s.uploads[r.upload] == nil
}

func (s *server) initiate(id object.ID, key object.Key, tags object.Tags, now time.Time) string {
	s.serial++
	name := fmt.Sprintf("%s-%d", s.name, s.serial)
	s.uploads[name] = &upload{id: id, key: key, tags: tags, parts: map[int]storedPart{}, initiated: s.w.now, stamped: now}
	return name
}

// addPart is the moment a part takes effect.
func (s *server) addPart(name string, number int, p storedPart) commit.Answer {
	w := s.w
	u := s.uploads[name]
	switch {
	case u == nil && w.chance(0.3):
		w.count("part landed after an abort")
		s.leaked[name] = w.now
		return commit.Answer{Class: commit.No, Code: "NoSuchUpload"}
	case u == nil:
		return commit.Answer{Class: commit.No, Code: "NoSuchUpload"}
	case w.chance(w.faults.Vanish):
		w.count("upload vanished")
		delete(s.uploads, name)
		return commit.Answer{Class: commit.No, Code: "NoSuchUpload"}
	}
	u.parts[number] = p
	return commit.Answer{Class: commit.Yes, ETag: p.etag}
}

func (s *server) abort(name string) {
	delete(s.uploads, name)
	delete(s.leaked, name)
	s.w.truth.touchAll()
}

// complete is the moment a Complete takes effect. seen is the upload as it was when the
// request arrived, which counts on a server that does not fence.
func (s *server) complete(r *request, seen *upload, list []commit.Named) commit.Answer {
	w := s.w
	if s.uploads[r.upload] != nil && w.chance(w.faults.Vanish) {
		w.count("upload vanished")
		delete(s.uploads, r.upload)
		seen = nil
	}
	u := s.uploads[r.upload]
	if !s.fencing && u == nil {
		u = seen
	}
	var etags []string
	for _, n := range list {
		etags = append(etags, n.ETag)
	}
	etag := composed(etags)
	if u == nil {
		if s.at(r.key).ETag == etag && !s.forgets {
			w.count("200 for an upload that is not there")
			return commit.Answer{Class: commit.Yes, ETag: etag}
		}
		w.count("no such upload")
		return commit.Answer{Class: commit.No, Code: "NoSuchUpload"}
	}
	var size int64
	for _, n := range list {
		p, ok := u.parts[n.Number]
		if !ok || p.etag != n.ETag {
			w.count("invalid part")
			return commit.Answer{Class: commit.No, Code: "InvalidPart"}
		}
		size += p.size
	}
	delete(s.uploads, r.upload)
	put := object.Seen{Info: object.Info{ID: u.id, Kind: object.Present, ETag: etag, Size: size, Tags: u.tags, Headers: w.sumsOf(etag)}, Flag: object.FlagMultipart, Uploaded: u.stamped}
	return s.store(r, put)
}

// ---- the log

type uploadDoc struct {
	rec   *commit.UploadRecord
	epoch oplog.Epoch
}

func (l *slog) readDoc(id object.ID, done func(commit.UploadRead)) {
	w := l.w
	w.after(w.delay(l.median/2), func() {
		if l.down > w.now {
			w.after(w.delay(l.median), func() { done(commit.UploadRead{Failed: true}) })
			return
		}
		ev := commit.UploadRead{}
		if d := l.docs[id]; d != nil {
			ev.Record, ev.Epoch = d.rec, d.epoch
		}
		w.after(w.delay(l.median/2), func() { done(ev) })
	})
}

func (l *slog) swapDoc(id object.ID, old oplog.Epoch, rec *commit.UploadRecord, done func(commit.UploadSwapped)) {
	w := l.w
	fresh := oplog.Epoch(w.id())
	if rec != nil {
		c := *rec
		c.IDs = maps.Clone(rec.IDs)
		rec = &c
	}
	l.change(func() bool {
		var have oplog.Epoch
		if d := l.docs[id]; d != nil {
			have = d.epoch
		}
		if have != old {
			return false
		}
		if rec == nil {
			delete(l.docs, id)
			w.logf("upload %s: -", short(id))
		} else {
			l.docs[id] = &uploadDoc{rec, fresh}
			w.logf("upload %s: %s in=%v gone=%v op=%s", short(id), rec.State, rec.In, rec.Gone, short(rec.Op))
		}
		return true
	}, func(out commit.CAS) { done(commit.UploadSwapped{Outcome: out, Epoch: fresh}) })
}

// change attempts one change under the schedule's faults.
func (l *slog) change(apply func() bool, done func(commit.CAS)) {
	w := l.w
	answer := func(out commit.CAS) { w.after(w.delay(l.median/2), func() { done(out) }) }
	w.after(w.delay(l.median), func() {
		switch {
		case l.readOnly > w.now:
			answer(commit.NotApplied)
		case l.down > w.now, w.chance(w.faults.CASLost):
			answer(commit.Unknown)
		case w.chance(w.faults.CASLate):
			answer(commit.Unknown)
			w.after(w.between(0, 3*time.Second), func() { apply() })
		case w.chance(w.faults.CASUnknown):
			apply()
			answer(commit.Unknown)
		case apply():
			answer(commit.Applied)
		default:
			answer(commit.Conflict)
		}
	})
}

func (l *slog) addPart(p oplog.Part, done func(commit.CAS)) {
	l.change(func() bool {
		all := l.parts[p.Upload]
		if !slices.ContainsFunc(all, func(o oplog.Part) bool { return o.Attempt == p.Attempt }) {
			l.parts[p.Upload] = append(all, p)
		}
		return true
	}, done)
}

func (l *slog) readParts(id object.ID, done func([]oplog.Part, bool)) {
	w := l.w
	w.after(w.delay(l.median), func() {
		if l.down > w.now {
			done(nil, false)
			return
		}
		all := slices.Clone(l.parts[id])
		w.after(w.delay(l.median/2), func() { done(all, true) })
	})
}

// ---- gateways

// leftovers says what is left of uploads after all of them are over; "": nothing.
func (w *world) leftovers() string {
	out := ""
	for _, s := range w.servers {
		if n := len(s.uploads) + len(s.leaked); n > 0 {
			out += fmt.Sprintf("%d uploads on %s; ", n, s.name)
		}
	}
	if len(w.log.docs)+len(w.log.parts) > 0 {
		out += fmt.Sprintf("%d documents, parts of %d", len(w.log.docs), len(w.log.parts))
	}
	return out
}
