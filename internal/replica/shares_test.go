package replica_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// held tells how many shards each node has, and fails when two have the same one.
func (f *fleet) held() (per []int, all int) {
	f.t.Helper()
	per = make([]int, len(f.all))
	for shard := range oplog.Shards {
		owners := 0
		for i, r := range f.all {
			if done, ok := r.set.HoldShard(shard); ok {
				owners++
				per[i]++
				done()
			}
		}
		if owners > 1 {
			f.t.Errorf("shard %d has %d owners", shard, owners)
		}
		all += owners
	}
	return per, all
}

// settled waits until every shard has an owner.
func (f *fleet) settled(within time.Duration) []int {
	f.t.Helper()
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		per, all := f.held()
		if all == oplog.Shards {
			return per
		}
		if time.Since(began) > within {
			f.t.Fatalf("after %v the nodes have %v of %d shards", within, per, oplog.Shards)
		}
	}
}

func TestBackgroundWorkIsSharedAndNeverDoneTwice(t *testing.T) {
	inFleet(t, 3, memory.NewLog(), func(t *testing.T, f *fleet) {
		time.Sleep(10 * time.Second) // what the first had before the others came has moved
		for i, n := range f.settled(10 * time.Second) {
			if n == 0 {
				t.Errorf("node %d has no shard", i)
			}
		}
		f.wires["b"].plug(true)
		time.Sleep(2 * time.Second)
		const keys = 90
		for i := range keys {
			f.all[i%3].mustPut(fmt.Sprint("k", i), content(500+i, uint64(i)))
		}
		f.counts["b"].reset()
		f.wires["b"].plug(false)
		f.converge()
		f.equal()
		for i := range keys {
			if n := f.counts["b"].of("PUT", fmt.Sprint("k", i)); n != 1 {
				t.Errorf("k%d was healed %d times", i, n)
			}
		}
	})
}

// A node whose shard it is hears of keys that others have left with something to do.
func TestTheOwnerHearsOfAKey(t *testing.T) {
	inFleet(t, 3, memory.NewLog(), func(t *testing.T, f *fleet) {
		time.Sleep(10 * time.Second)
		f.settled(10 * time.Second)
		f.wires["c"].plug(true)
		for i := range 12 {
			f.all[i%3].mustPut(fmt.Sprint("k", i), content(500+i, uint64(i)))
		}
		time.Sleep(3 * time.Second) // walks are 15 s apart
		queued := 0
		for _, r := range f.all {
			n := r.healer.Stats().Queued
			queued += n
			if n == 12 {
				t.Error("one node looks after all keys")
			}
		}
		if queued != 12 {
			t.Errorf("%d keys of 12 are looked after", queued)
		}
		f.wires["c"].plug(false)
		f.converge()
	})
}

func TestSharesMoveOn(t *testing.T) {
	inFleet(t, 3, memory.NewLog(), func(t *testing.T, f *fleet) {
		time.Sleep(10 * time.Second)
		f.settled(10 * time.Second)
		f.all[2].close() // drained: its shares are free at once
		f.all = f.all[:2]
		f.settled(5 * time.Second)
		f.all[1].crash()
		left := f.all[1]
		f.all = f.all[:1]
		if _, all := f.held(); all == oplog.Shards {
			t.Error("a node took the shares of one that may still live")
		}
		f.settled(times.Lease + 6*time.Second)
		left.open(member(1))
		f.all = append(f.all, left)
		time.Sleep(10 * time.Second)
		for i, n := range f.settled(10 * time.Second) {
			if n == 0 {
				t.Errorf("node %d has no shard", i)
			}
		}
		// What is under way is ended before it is given away.
		for shard := range oplog.Shards {
			done, ok := f.set.HoldShard(shard)
			if !ok {
				continue
			}
			third := f.sibling()
			third.open(member(2))
			f.all = append(f.all, third)
			time.Sleep(20 * time.Second)
			if _, ok := third.set.HoldShard(shard); ok {
				t.Errorf("shard %d was taken while its owner was at work", shard)
			}
			done()
			break
		}
		f.settled(10 * time.Second)
		for _, share := range []string{replica.ShareHistory, replica.ShareIndex} {
			owners := 0
			for _, r := range f.all {
				if done, ok := r.set.Hold(share); ok {
					owners++
					done()
				}
			}
			if owners != 1 {
				t.Errorf("%s has %d owners", share, owners)
			}
		}
	})
}

// A log that has no other node leaves every piece of work to this one.
func TestAloneEverythingIsOurs(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		if done, ok := r.set.Hold(replica.ShareHistory); !ok {
			t.Error("it is not")
		} else {
			done()
		}
		if r.set.Nodes() != nil {
			t.Error("there are others")
		}
	})
}
