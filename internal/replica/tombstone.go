package replica

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// A delete that some replica has not confirmed is known to the log alone, and a log can be
// lost. So each replica that has confirmed it gets a small object that tells of it, before the
// client is answered (RELIABILITY H16). Nothing reads them but a rebuild: in the life of a
// node they are only written, and removed once every replica has confirmed.

// TombstoneFolder is where they stand. The name of each is of its key and of its place in
// the order of the key: one that lands late takes no other one's place.
const TombstoneFolder = object.ReservedPrefix + "tombstones/"

// tombstone is the content, JSON. Its stamp, sealed for its name, proves who wrote it and
// carries the identity and the place of the delete.
type tombstone struct {
	Key string `json:"key"`
}

func tombstoneName(key string, ver object.Version) string {
	sum := sha256.Sum256([]byte(key))
	return fmt.Sprintf("%s%s-%016x", TombstoneFolder, hex.EncodeToString(sum[:16]), uint64(ver))
}

// ReadTombstone reads one: the key, and the delete. ok is false for what is none of ours.
func ReadTombstone(ctx context.Context, e backend.Endpoint, real, name string) (key string, id object.ID, ver object.Version, ok bool, err error) {
	obj, err := e.Get(ctx, real, name, backend.GetOptions{})
	if backend.IsAbsent(err) {
		return "", id, 0, false, nil
	}
	if err != nil {
		return "", id, 0, false, err
	}
	defer obj.Body.Close()
	text, err := io.ReadAll(io.LimitReader(obj.Body, 16<<10))
	if err != nil {
		return "", id, 0, false, err
	}
	var t tombstone
	if json.Unmarshal(text, &t) != nil || obj.ID.IsZero() || tombstoneName(t.Key, obj.Ver) != name {
		return "", id, 0, false, nil
	}
	return t.Key, obj.ID, obj.Ver, true, nil
}

// tombstoneTimeout bounds how long a client waits for the tombstones of its delete.
const tombstoneTimeout = 5 * time.Second

// tombstonesAtOnce bounds the tombstones on their way to all backends.
const tombstonesAtOnce = 64

// grief is what a delete that was decided still has to do for its tombstones. It is owned by
// the driver.
type grief struct {
	res     *commit.Result // not told yet: replicas may still confirm
	done    bool           // tombstones were begun
	id      object.ID
	ver     object.Version
	patient *time.Timer
}

// patience is the least time that replicas have to confirm before tombstones are written: as
// long as the write has taken is what the tombstones would take.
const patience = 5 * time.Millisecond

// conclude tells the result, of a delete once no replica can miss it that nothing tells.
func (w *write) conclude(res commit.Result) {
	if w.op.Type != oplog.OpDelete && (w.op.Type != oplog.OpHeal || w.op.Info.Kind != object.Tombstone) ||
		res.Kind != commit.Acked || len(w.mourners()) == 0 {
		w.answer(res)
		return
	}
	w.grief.res, w.grief.id, w.grief.ver = &res, res.Info.ID, res.Info.Ver
	if len(w.owing()) == 0 {
		w.concludeNow()
		return
	}
	w.grief.patient = time.AfterFunc(max(patience, time.Since(w.begun)), func() { w.post(w.concludeNow) })
}

// heard is called when a request has ended.
func (w *write) heard(replica string) {
	switch {
	case w.grief.res != nil && len(w.owing()) == 0:
		w.concludeNow()
	case w.grief.done && w.said[replica] == "ok" && len(w.mourners()) > 0:
		w.mourn(object.NewReplicas(replica), nil)
	}
}

// concludeNow tells the result that waits, after the tombstones that are due.
func (w *write) concludeNow() {
	res := w.grief.res
	if res == nil {
		return
	}
	w.grief.res = nil
	if w.grief.patient != nil {
		w.grief.patient.Stop()
	}
	if on := w.mourners(); len(on) > 0 {
		w.grief.done = true
		w.mourn(on, res)
		return
	}
	w.answer(*res)
}

// mourners are the replicas that a tombstone is due on: those that have confirmed a delete
// which others have not.
func (w *write) mourners() object.Replicas {
	all := w.b.config().Replicas
	done := all.Filter(func(r string) bool { return w.said[r] == "ok" })
	know := done
	if w.op.Type == oplog.OpHeal {
		if w.row == nil {
			return nil
		}
		know = know.Or(w.row.Good)
	}
	if know.Covers(all) {
		return nil
	}
	return done
}

// mourn writes tombstones and then tells the result, if one is given. Without any the delete
// is in doubt: it has taken effect, and is not promised.
func (w *write) mourn(on object.Replicas, res *commit.Result) {
	w.b.buried.Store(true)
	id, ver := w.grief.id, w.grief.ver
	w.sending.Add(1)
	w.set.crew.Go(func() {
		defer w.sending.Done()
		ctx, cancel := context.WithTimeout(w.set.base, tombstoneTimeout)
		defer cancel()
		var mu sync.Mutex // guards what follows
		written, failed := 0, error(nil)
		w.set.buckets.each(on, func(replica string) {
			err := w.set.bury(ctx, w.b, replica, w.key.Name, id, ver)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				written++
			}
			failed = errors.Join(failed, err)
		})
		if failed != nil {
			w.set.o.Logger.WarnContext(ctx, "a delete that some backend missed is in the log only", "key", w.key, "written", written, "error", failed)
		}
		if res == nil {
			return
		}
		if written == 0 && w.op.Type == oplog.OpDelete {
			res.Kind, res.Code = commit.Doubt, string(s3.SlowDown)
		}
		w.answer(*res)
	})
}

// bury writes one tombstone.
func (s *Set) bury(ctx context.Context, b *bucket, replica, key string, id object.ID, ver object.Version) error {
	select {
	case s.burials <- struct{}{}:
		defer func() { <-s.burials }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	at, err := s.at(ctx, b, replica, clients)
	if err != nil {
		return err
	}
	text, err := json.Marshal(tombstone{key})
	if err != nil {
		return err
	}
	body, framing := backend.FromBytes(text)
	_, err = at.put(ctx, backend.PutRequest{
		Key: tombstoneName(key, ver), Headers: object.Headers{"content-type": "application/json"},
		Stamp: object.Stamp{ID: id, Flag: object.FlagSmall, Uploaded: s.o.Wall(), Ver: ver},
		Size:  int64(len(text)), Body: body, Framing: framing,
	})
	return err
}

// Tombstones are looked through where one was written, again after ever longer pauses
// while some are still needed; and everywhere once in a long while, for those that landed late
// or that another node wrote.
const (
	exhumeSoon  = 5 * time.Second
	exhumeLate  = 5 * time.Minute
	exhumeAny   = 10 * time.Minute
	exhumesOnce = 4 // buckets in upkeepEvery
)

// exhumation is when a bucket's tombstones are looked through again. It is owned by
// buckets.run.
type exhumation struct {
	next  time.Time
	pause time.Duration
}

// exhume looks through the tombstones of buckets whose time has come.
func (bs *buckets) exhume(ctx context.Context, plans map[*bucket]exhumation) {
	now, done := time.Now(), 0
	for b := range plans {
		if b.gone() {
			delete(plans, b)
		}
	}
	for _, b := range bs.all() {
		plan, planned := plans[b]
		if b.buried.Swap(false) && (!planned || plan.pause == 0) {
			plan = exhumation{now.Add(exhumeSoon), exhumeSoon}
		} else if !planned {
			plan = exhumation{now.Add(exhumeSoon), 0}
		}
		if done < exhumesOnce && now.After(plan.next) {
			done++
			switch left, err := bs.exhumeIn(ctx, b); {
			case err != nil || left:
				plan.pause = min(max(2*plan.pause, exhumeSoon), exhumeLate)
				plan.next = now.Add(plan.pause)
			default:
				plan = exhumation{now.Add(exhumeAny), 0}
			}
		}
		plans[b] = plan
	}
}

// exhumeIn removes the tombstones of a bucket that are not needed any more; left tells
// that others are. While a backend is away all are, and while it is filled again, for then it
// may hold what no row says was deleted.
func (bs *buckets) exhumeIn(ctx context.Context, b *bucket) (left bool, err error) {
	rec := b.record()
	if rec.State != commit.BucketActive {
		return false, nil
	}
	if !bs.set.up(b).Covers(rec.Replicas) || len(rec.Wiped) > 0 {
		return true, nil
	}
	for _, replica := range rec.Replicas {
		more, err := bs.exhumeAt(ctx, b, replica)
		if err != nil {
			bs.set.o.Logger.DebugContext(ctx, "tombstones can not be looked through", "bucket", b.name, "backend", replica, "error", err)
			return true, err
		}
		left = left || more
	}
	return left, nil
}

func (bs *buckets) exhumeAt(ctx context.Context, b *bucket, replica string) (left bool, err error) {
	at, err := bs.set.at(ctx, b, replica, paced)
	if err != nil {
		return true, err
	}
	for after := ""; ; {
		page, err := at.list(ctx, backend.ListRequest{Prefix: TombstoneFolder, After: after})
		if err != nil {
			return true, err
		}
		for _, e := range page.Entries {
			switch needed, err := bs.needed(ctx, b, at, e.Key); {
			case err != nil:
				return true, err
			case needed:
				left = true
			default:
				if err := at.delete(ctx, e.Key); err != nil {
					return true, err
				}
			}
		}
		if after = page.Next; after == "" {
			return left, nil
		}
	}
}

// needed tells whether a replica may still show what was deleted, as far as the row of
// the key says. A tombstone that tells of nothing is not needed.
func (bs *buckets) needed(ctx context.Context, b *bucket, at place, name string) (bool, error) {
	key, _, ver, ok, err := ReadTombstone(ctx, at.Endpoint, at.bucket, name)
	if err != nil || !ok {
		return false, err
	}
	row, err := bs.set.o.Log.Row(ctx, object.Key{Bucket: b.name, Name: key})
	if errors.Is(err, oplog.ErrNoRow) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return needsTombstone(&row, ver, b.record().Replicas), nil
}

// needsTombstone judges by the row: a newer version makes the tombstone of an older
// delete needless, so does the word of every replica. A place that the row knows nothing of
// is left.
func needsTombstone(row *oplog.Row, ver object.Version, replicas object.Replicas) bool {
	switch {
	case row.Cur.Ver > ver:
		return false
	case row.Cur.Ver < ver || row.Intent != nil || len(row.Unsettled) > 0:
		return true
	}
	return !row.Good.Covers(replicas)
}
