package replica

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// uploads does for uploads what no client waits for: those that are over, or too old,
// leave every replica and then the log; what a replica has begun and nobody names is
// thrown away.
type uploads struct {
	set  *Set
	open openUploads

	mu    sync.Mutex                 // guards what follows
	heals map[string]map[string]bool // replica -> its ids of uploads that heal it now
	over  map[object.ID]time.Time    // those that became a version here, and when
}

// tends bounds the visits under way at once.
const tends = 8

// run visits the uploads that are due until ctx is done.
func (u *uploads) run(ctx context.Context) {
	s := u.set
	pause := max(min(s.o.Times.Lease, 10*time.Second)/4, 100*time.Millisecond)
	tick := time.NewTicker(pause)
	defer tick.Stop()
	due := map[string]time.Duration{} // by the document's name: Boot when it is visited again
	swept := map[string]time.Duration{}
	var sums sumsWalk
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		done, mine := s.Hold(shareUploads)
		if !mine {
			clear(due) // another node has seen more of them by then
			continue
		}
		u.visit(ctx, due)
		u.sweep(ctx, swept)
		sums.step(ctx, s)
		done()
	}
}

// visit tends every upload that is due.
func (u *uploads) visit(ctx context.Context, due map[string]time.Duration) {
	s := u.set
	seen := map[string]bool{}
	var mu sync.Mutex // guards due
	var wg sync.WaitGroup
	room := make(chan struct{}, tends)
	err := s.eachUpload(ctx, "", "", func(key object.Key, id object.ID, _ *commit.UploadRecord) bool {
		name := oplog.UploadName(key, id)
		seen[name] = true
		mu.Lock()
		wait := due[name] > s.o.Boot()
		mu.Unlock()
		if wait || ctx.Err() != nil {
			return ctx.Err() == nil
		}
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			next := u.tend(ctx, key, id)
			mu.Lock()
			due[name] = s.o.Boot() + next
			mu.Unlock()
		})
		return true
	})
	wg.Wait()
	if err != nil {
		return
	}
	for name := range due {
		if !seen[name] {
			delete(due, name)
		}
	}
}

// tend visits one upload and says after which pause it is visited again.
func (u *uploads) tend(ctx context.Context, key object.Key, id object.ID) time.Duration {
	s := u.set
	retry := s.o.Times.Lease
	leave, err := s.enter()
	if err != nil {
		return retry
	}
	defer leave()
	b, err := s.buckets.lookup(ctx, key.Bucket)
	if IsNoBucket(err) {
		if err := s.forget(ctx, key, id); err != nil {
			s.o.Logger.DebugContext(ctx, "upload of a bucket that is gone is not forgotten yet", "key", key, "error", err)
		}
		return retry
	}
	if err != nil {
		return retry
	}
	p := s.newTend(b, key, commit.TendOp{Upload: id}, nil)
	p.pace = paced
	next := retry
	other := p.other
	p.other = func(e commit.Effect) {
		if e, ok := e.(commit.Tended); ok {
			next = e.Next
			return
		}
		other(e)
	}
	p.run(commit.Begin{Up: s.up(b)})
	return next
}

// forget drops what the log has of an upload whose bucket is gone, with everything in it.
func (s *Set) forget(ctx context.Context, key object.Key, id object.ID) error {
	rec, epoch, err := s.readRecord(ctx, key, id)
	if err != nil || rec == nil {
		return err
	}
	if casOf(s.o.Log.DropParts(ctx, id), s) != commit.Applied {
		return errDoubt
	}
	if _, outcome := s.swapRecord(ctx, key, id, epoch, nil); outcome != commit.Applied {
		return errDoubt
	}
	return nil
}

// forgetUploads drops what the log has of the uploads of a bucket that is being
// removed: a later one of the same name has nothing to do with them.
func (s *Set) forgetUploads(ctx context.Context, bucket string) error {
	var failed error
	err := s.eachUpload(ctx, bucket, "", func(key object.Key, id object.ID, _ *commit.UploadRecord) bool {
		failed = s.forget(ctx, key, id)
		return failed == nil
	})
	return errors.Join(err, failed)
}

// newTend is a visit to an upload. result, which has room for one, gets a client's
// answer; nil: there is no client.
func (s *Set) newTend(b *bucket, key object.Key, op commit.TendOp, result chan<- commit.Result) *process {
	p := s.newProcess(s.base, b, key, commit.NewTend(b.config(), op))
	p.upload = op.Upload
	p.other = func(e commit.Effect) {
		switch e := e.(type) {
		case commit.Resolve:
			p.asks.Go(func() {
				s.resolve(p.ctx, b, key, e.Expired)
				p.deliver(commit.Repaired{})
			})
		case commit.Done:
			if result != nil {
				result <- e.Result
			}
		case commit.Tended:
		default:
			panic(fmt.Sprintf("replica: effect %T of a visit", e))
		}
	}
	return p
}

// fence answers a repair that wants the end of an upload's Completes on a replica.
func (p *process) fence(e commit.Fence) commit.Fenced {
	out := commit.Fenced{Replica: e.Replica, Upload: e.Upload}
	rec, _, err := p.set.readRecord(p.ctx, p.key, e.Upload)
	if err != nil {
		return out
	}
	send, over := commit.MayFence(rec, e)
	if out.OK = over; send {
		out.OK = p.set.abortOn(p.ctx, p.b, p.key, e.Replica, rec.IDs[e.Replica], p.pace)
	}
	return out
}

// remember tells the documents of uploads that they became versions.
func (p *process) remember(e commit.Remember) commit.Recalled {
	for _, d := range e.Done {
		ctx, cancel := p.logContext()
		rec, epoch, err := p.set.readRecord(ctx, p.key, d.ID)
		if err == nil && rec != nil {
			if next := commit.Remembered(rec, d, p.set.now()); next != rec {
				if _, outcome := p.set.swapRecord(ctx, p.key, d.ID, epoch, next); outcome != commit.Applied {
					err = errDoubt
				}
			}
		}
		cancel()
		if err != nil {
			return commit.Recalled{}
		}
	}
	return commit.Recalled{OK: true}
}

// ---- what nobody names

// sweepEvery is the longest pause between two looks at what a backend has of uploads.
const sweepEvery = time.Hour

// sweep looks, now and then, for uploads on every replica of every bucket that no
// document names.
func (u *uploads) sweep(ctx context.Context, swept map[string]time.Duration) {
	s := u.set
	every := min(sweepEvery, max(s.o.Stray/4, time.Second))
	for _, b := range s.buckets.all() {
		for _, replica := range b.config().Replicas {
			name := b.name + "/" + replica
			if last, ok := swept[name]; ok && s.o.Boot()-last < every || ctx.Err() != nil || !s.Up(replica) {
				continue
			}
			swept[name] = s.o.Boot()
			if err := u.sweepOne(ctx, b, replica); err != nil && ctx.Err() == nil {
				s.o.Logger.DebugContext(ctx, "uploads of a backend could not be looked at", "bucket", b.name, "backend", replica, "error", err)
			}
		}
	}
}

func (u *uploads) sweepOne(ctx context.Context, b *bucket, replica string) error {
	s := u.set
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	at, err := s.at(ctx, b, replica, paced)
	if err != nil {
		return err
	}
	var found []backend.UploadInfo
	for after := (backend.UploadMark{}); ; {
		page, err := at.ListUploads(ctx, at.bucket, backend.ListUploadsRequest{After: after})
		if err != nil {
			return at.doubt(err)
		}
		found = append(found, page.Uploads...)
		if after = page.Next; after == (backend.UploadMark{}) {
			break
		}
	}
	if len(found) == 0 {
		return nil
	}
	named := u.healing(replica)
	err = s.eachUpload(ctx, b.name, "", func(_ object.Key, _ object.ID, rec *commit.UploadRecord) bool {
		if id := rec.IDs[replica]; id != "" {
			named[id] = true
		}
		return true
	})
	if err != nil {
		return err
	}
	keys := map[string]string{}
	var list []commit.BackendUpload
	for _, f := range found {
		keys[f.ID] = f.Key
		list = append(list, commit.BackendUpload{UploadID: f.ID, Initiated: f.Started})
	}
	for _, id := range commit.Strays(list, named, s.o.Wall(), s.o.Stray) {
		key := object.Key{Bucket: b.name, Name: keys[id]}
		gone := s.abortOn(ctx, b, key, replica, id, paced)
		s.o.Logger.InfoContext(ctx, "upload that nothing names is thrown away", "key", key, "backend", replica, "gone", gone)
	}
	return nil
}

// healing are a replica's ids of uploads that this node heals it with now, in a map of
// the caller's.
func (u *uploads) healing(replica string) map[string]bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := map[string]bool{}
	for id := range u.heals[replica] {
		out[id] = true
	}
	return out
}

// heals notes that an upload heals a replica; the caller says when it no longer does.
func (u *uploads) begins(replica, id string) (over func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.heals == nil {
		u.heals = map[string]map[string]bool{}
	}
	if u.heals[replica] == nil {
		u.heals[replica] = map[string]bool{}
	}
	u.heals[replica][id] = true
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.heals[replica], id)
	}
}
