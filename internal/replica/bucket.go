package replica

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// record is the document of a bucket: commit's, and what only the shell knows.
type record struct {
	commit.BucketRecord
	// Wiped are replicas whose bucket was lost after it had been made, or that are filled
	// again for another reason. They take writes, but reads and lists pass them by until
	// everything that they miss has a row.
	Wiped object.Replicas `json:"wiped,omitempty"`
	// Lost is the Epoch with which a replica became one of Wiped last: what was compared before
	// then ends nothing.
	Lost uint64 `json:"lost,omitempty"`
	// Resyncing are those of Wiped that an operator wants made like the others: nobody else
	// ends that.
	Resyncing object.Replicas `json:"resyncing,omitempty"`
	// Joining are those of Resyncing that were no replicas before: nodes see to their resync by
	// themselves.
	Joining object.Replicas `json:"joining,omitempty"`
	// Behind are those of Wiped that were away while more was written than rows are kept for
	// (Options.Backlog), until a resync has made them like the others. Unkept are those of them
	// that no row waits for: they are named once nobody can read from them any more.
	Behind object.Replicas `json:"behind,omitempty"`
	Unkept object.Replicas `json:"unkept,omitempty"`
	// Adopting is the source of a bucket that was found with objects in it, until its
	// replicas were compared: the others are Wiped as long. Vouched: that is over.
	Adopting string `json:"adopting,omitempty"`
	Vouched  bool   `json:"vouched,omitempty"`
	// Assume is Policy.AssumeEqual of this bucket, beside what the configuration says.
	Assume bool `json:"assume_equal,omitempty"`
	// Settings are documents of the bucket's configuration, by sub-resource. The
	// map is never changed: see record.set.
	Settings map[string]string `json:"settings,omitempty"`
	// Mode of this bucket; nil: as of all.
	Mode *commit.Mode `json:"mode,omitempty"`
	// Ack rule of this bucket; nil: as the configuration says.
	Ack *commit.Rule `json:"ack,omitempty"`
}

// away are the replicas that were left behind, and are not compared.
func (rec *record) away() object.Replicas { return rec.Behind.Minus(rec.Resyncing) }

// lose takes replicas from reads until they were compared, from the beginning.
func (rec *record) lose(replicas object.Replicas) {
	rec.Epoch++
	rec.Wiped, rec.Lost = rec.Wiped.Or(replicas), rec.Epoch
}

// ack is the rule in force, where policy is what the configuration says. Who joins does not
// count until it was filled: a write is answered without it.
func (rec *record) ack(policy Policy) commit.Rule {
	if rec.Ack != nil {
		return *rec.Ack
	}
	rule := policy.Ack
	if n := len(rec.Replicas.Minus(rec.Joining)); policy.NeedOf != nil && n != len(policy.Replicas) {
		rule.Need = policy.NeedOf(n)
	}
	return rule
}

// bucket is one bucket as this node knows it.
type bucket struct {
	name   string
	policy Policy
	set    *Set

	buried   atomic.Bool  // a tombstone was written since somebody looked through them
	rowsSeen atomic.Int64 // in the part of the bucket that was listed last; only for speed

	mu       sync.Mutex // guards what follows
	rec      record
	epoch    oplog.Epoch
	at       uint64              // when rec was looked at, on buckets.clock
	read     time.Duration       // Boot before it was read last
	presence map[string]presence // by replica
	writers  int                 // mutations that were admitted and are not over
	idle     chan struct{}       // closed when writers falls to zero; nil when nobody waits
}

// presence is what is known of a bucket on one replica.
type presence struct {
	right    bool // it carries our identity, when its backend's breaker had opened opens times, and it had been paused so often
	seat     *seat
	opens    uint64
	pauses   uint64
	reason   error         // why it is not right, in words for the operator
	looked   time.Duration // Boot when it was last looked at
	checking bool
}

// config is what commit's machines know of the bucket.
func (b *bucket) config() commit.Config {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := &b.set.o
	read := o.Boot() // who has the log alone knows the record always
	if !o.Exclusive {
		read = max(b.read, 1)
	}
	return commit.Config{
		Node: b.set.node, Exclusive: o.Exclusive, Epoch: b.rec.Epoch, Read: read, Times: o.Times,
		Replicas: b.rec.Replicas, Serving: b.rec.Replicas.Minus(b.rec.Wiped), Behind: b.rec.Unkept, Ack: b.rec.ack(b.policy),
		Mode: b.set.settings.modeOf(&b.rec), Thrifty: !o.Exclusive,
		Copies: b.set.qualities.copiers(), Bare: b.set.qualities.untagged(), Lossy: b.set.qualities.losers(),
		Composed: b.set.qualities.composed(b.rec.Replicas),
	}
}

// configFor is config for an upload: of a replica set that is larger than when the upload was
// begun the ack rule asks for no more than that could meet.
func (b *bucket) configFor(up *commit.UploadRecord) commit.Config {
	cfg := b.config()
	if len(up.Set) > 0 && !up.Set.Covers(cfg.Replicas) {
		cfg.Ack = commit.Rule{Need: min(cfg.Ack.Need, len(up.Set)), Include: cfg.Ack.Include.And(up.Set)}
	}
	return cfg
}

func (b *bucket) record() record {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rec
}

// realName is the bucket's name on a backend.
func (b *bucket) realName(replica string) string {
	if name, ok := b.record().Names[replica]; ok {
		return name
	}
	return b.name
}

// change swaps the record. ErrConflict (of oplog) leaves the newer one in place.
func (b *bucket) change(ctx context.Context, edit func(*record)) error {
	b.mu.Lock()
	next, old := b.rec, b.epoch
	b.mu.Unlock()
	edit(&next)
	epoch, err := b.set.buckets.store(ctx, b.name, old, &next)
	if err == nil {
		b.take(next, epoch, b.set.buckets.clock.Add(1))
		return nil
	}
	if errors.Is(err, oplog.ErrConflict) {
		_ = b.set.buckets.reload(ctx, b) // the next look says what it found
	}
	return err
}

// take puts a record in force, unless one is that was looked at later: a read that
// began before a change must not bring the old record back.
func (b *bucket) take(rec record, epoch oplog.Epoch, at uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at >= b.at {
		b.rec, b.epoch, b.at = rec, epoch, at
	}
}

// amendTries is how often a record is tried again that others of the same process
// change at the same time: one for each replica, and the loop that advances it.
const amendTries = 20

// amend is change for edits that are right whatever the record says by then: one
// that another change moved meanwhile is edited again.
func (b *bucket) amend(ctx context.Context, edit func(*record)) (err error) {
	for range amendTries {
		if err = b.change(ctx, edit); !errors.Is(err, oplog.ErrConflict) {
			break
		}
	}
	return err
}

// distrust notes that a replica's bucket is not there as it should be.
func (b *bucket) distrust(replica string, reason error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.presence[replica]
	p.right, p.reason = false, reason
	b.presence[replica] = p
}

// unmet are replicas whose backend answers, and at which this node has not looked yet.
func (b *bucket) unmet() object.Replicas {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rec.Replicas.Filter(func(replica string) bool {
		return b.presence[replica].looked == 0 && b.set.Up(replica)
	})
}

// stale tells whether nobody has looked for lookAgain, and notes that somebody does now.
func (b *bucket) stale(replica string) bool {
	now := b.set.o.Boot()
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.presence[replica]
	if now-p.looked < lookAgain {
		return false
	}
	p.looked = now
	b.presence[replica] = p
	return true
}

// younger tells whether the record was read not longer ago than d.
func (b *bucket) younger(d time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.read != 0 && b.set.o.Boot()-b.read < d
}

func (b *bucket) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writers--
	if b.writers == 0 && b.idle != nil {
		close(b.idle)
		b.idle = nil
	}
}

// quiesce waits until no admitted mutation is left.
func (b *bucket) quiesce(ctx context.Context) error {
	b.mu.Lock()
	if b.writers == 0 {
		b.mu.Unlock()
		return nil
	}
	if b.idle == nil {
		b.idle = make(chan struct{})
	}
	idle := b.idle
	b.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
