package commit

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
)

// BucketState is where a bucket is in its life.
type BucketState string

const (
	BucketCreating BucketState = "creating" // not all of the ack rule has it yet
	BucketActive   BucketState = "active"
	BucketDeleting BucketState = "deleting" // takes no new intents
)

// BucketRecord is the document of one bucket (RELIABILITY 4.6). Every change of
// it is a compare-and-set.
type BucketRecord struct {
	State      BucketState       `json:"state"`
	Generation string            `json:"generation"` // fresh per creation: a re-created bucket is another one
	Created    time.Time         `json:"created"`
	Replicas   object.Replicas   `json:"replicas"`        // the replica set
	Made       object.Replicas   `json:"made"`            // those that are known to have it
	Names      map[string]string `json:"names,omitempty"` // real names, where they differ
	Epoch      uint64            `json:"epoch"`           // configuration epoch
	Since      time.Time         `json:"since"`           // of State, for the lease that a deletion waits
}

// Admits tells whether a bucket takes new intents: "" or the S3 error code. A
// gateway reads the record before each intent.
func (b *BucketRecord) Admits() (code string) {
	if b == nil || b.State == BucketCreating {
		return "NoSuchBucket"
	}
	if b.State == BucketDeleting {
		return "OperationAborted"
	}
	return ""
}

// NextCreate judges a creation by the replicas that have the bucket now: it
// returns the record to write. The bucket is active once the ack rule holds; the
// rest is healed forward.
func NextCreate(b BucketRecord, made object.Replicas, rule Rule, now Now) BucketRecord {
	b.Made = made.And(b.Replicas)
	if b.State == BucketCreating && rule.Met(b.Made) {
		b.State, b.Since = BucketActive, now.Wall
	}
	return b
}

// Emptiness is what one replica showed of a bucket that is to be deleted.
type Emptiness uint8

const (
	Unreachable Emptiness = iota
	Empty                 // or not there at all
	NotEmpty
)

// DeleteVerdict is what a deletion does next.
type DeleteVerdict uint8

const (
	DeleteWait  DeleteVerdict = iota // one lease must pass: intents of other gateways may still be on their way
	DeleteGo                         // every replica is empty and no row needs work: remove it everywhere
	DeleteFull                       // 409 BucketNotEmpty; back to active
	DeleteDefer                      // 503; back to active
)

// JudgeDelete decides about a bucket in state deleting, by the rows of its keys
// and by what each replica showed after the wait.
func JudgeDelete(b BucketRecord, rowsLive, rowsOpen bool, shown map[string]Emptiness, now Now, t Times, exclusive bool) DeleteVerdict {
	if !exclusive && now.Wall.Sub(b.Since) < t.Lease+time.Second {
		return DeleteWait
	}
	if rowsLive {
		return DeleteFull
	}
	waits := rowsOpen
	for _, r := range b.Replicas {
		switch shown[r] {
		case NotEmpty:
			return DeleteFull
		case Unreachable:
			waits = true
		}
	}
	if waits {
		return DeleteDefer
	}
	return DeleteGo
}
