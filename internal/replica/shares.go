package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Shares of background work beside those of the shards of rows.
const (
	ShareHistory = "history" // dropping what is old
	ShareIndex   = "index"   // the log's own upkeep
	shareUploads = "uploads" // tending multipart uploads, sweeping backends of strays
	shareBuckets = "buckets" // ending what was begun with buckets, filling replicas again
)

// jobShares is among how many nodes jobs are spread at most.
const jobShares = 4

// ShareOfJob is the share that the job of a name falls to.
func ShareOfJob(id string) string {
	return fmt.Sprintf("jobs-%d", oplog.ShardOf(object.Key{Bucket: id})%jobShares)
}

func shareOfShard(shard int) string { return fmt.Sprintf("rows-%02d", shard) }

// shares are the pieces of background work, each done by one node at a time: the one
// that its record names, as long as that node has a lease. Without Options.Member
// every piece is this node's.
type shares struct {
	set   *Set
	taken chan struct{} // has room for one: a share was taken
	names []string

	seen  []commit.ShareDoc // as they were read last; owned by who drives the member
	at    time.Duration     // Boot before that
	heard map[string]oplog.Epoch

	mu    sync.Mutex // guards what follows
	held  map[string]bool
	give  map[string]bool // those that are to be given back
	busy  map[string]int  // pieces of work under way
	hints []hint          // keys of others' shares, to be told
}

// hintsAtOnce bounds the keys that one record of a node names. What is more the
// walks of their owner find.
const hintsAtOnce = 200

func (sh *shares) open(s *Set) {
	sh.set, sh.taken = s, make(chan struct{}, 1)
	sh.held, sh.give, sh.busy, sh.heard = map[string]bool{}, map[string]bool{}, map[string]int{}, map[string]oplog.Epoch{}
	sh.names = []string{ShareHistory, ShareIndex, shareUploads, shareBuckets}
	for n := range jobShares {
		sh.names = append(sh.names, fmt.Sprintf("jobs-%d", n))
	}
	for shard := range oplog.Shards {
		sh.names = append(sh.names, shareOfShard(shard))
	}
}

// Hold tells whether a piece of background work is this node's, and keeps it so until
// done is called. Whoever is refused begins nothing of it.
func (s *Set) Hold(share string) (done func(), ok bool) {
	if s.nodes.m == nil {
		return func() {}, true
	}
	if s.nodes.fit() != nil {
		return nil, false
	}
	sh := &s.shares
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !sh.held[share] || sh.give[share] {
		return nil, false
	}
	sh.busy[share]++
	return sync.OnceFunc(func() {
		sh.mu.Lock()
		defer sh.mu.Unlock()
		sh.busy[share]--
	}), true
}

// HoldShard is Hold for looking after the rows of a shard.
func (s *Set) HoldShard(shard int) (done func(), ok bool) { return s.Hold(shareOfShard(shard)) }

// Taken gets a value when this node has taken a piece of work.
func (s *Set) Taken() <-chan struct{} { return s.shares.taken }

// Pass tells the node whose shard it is of a key that needs work. It may be lost: a
// walk over the rows finds the key too.
func (s *Set) Pass(key object.Key) {
	sh := &s.shares
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if len(sh.hints) < hintsAtOnce {
		sh.hints = append(sh.hints, hint{key, hintRecords})
	}
}

// hint is a key for the node whose shard it is.
type hint struct {
	key  object.Key
	left int // records that have to name it yet
}

// hintRecords is how many records of a node name a key: the others look at uneven times,
// and one that is replaced after the shortest pause may be seen by nobody.
const hintRecords = 2

// pending are the hints that were not told often enough yet; told says that a record named so
// many of them.
func (sh *shares) pending() (list [][2][]byte) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, h := range sh.hints {
		list = append(list, [2][]byte{[]byte(h.key.Bucket), []byte(h.key.Name)})
	}
	return list
}

func (sh *shares) told(n int) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for i := range sh.hints[:n] {
		sh.hints[i].left--
	}
	sh.hints = slices.DeleteFunc(sh.hints, func(h hint) bool { return h.left == 0 })
}

// listen takes in the hints of other nodes, once of each record.
func (sh *shares) listen(live []commit.NodeDoc) {
	heard := map[string]oplog.Epoch{}
	for _, n := range live {
		heard[n.Name] = n.Epoch
		if sh.heard[n.Name] == n.Epoch {
			continue
		}
		for _, h := range n.Record.Hints {
			key := object.Key{Bucket: string(h[0]), Name: string(h[1])}
			if done, ok := sh.set.HoldShard(oplog.ShardOf(key)); ok {
				sh.set.unquiet(key)
				done()
			}
		}
	}
	sh.heard = heard
}

// balance acts on the records as they were read before the last look at the nodes,
// and reads them again. It is called by who drives the member, and serves one
// share after the other.
func (sh *shares) balance(ctx context.Context) error {
	st := sh.set.nodes.standing.Load()
	self := commit.NodeDoc{Name: sh.set.o.Node, Record: commit.NodeRecord{Life: sh.set.node}}
	if now := sh.set.now(); now.Boot >= now.Lease {
		return nil // who has no lease has no shares, and takes none
	}
	var err error
	if sh.seen != nil && st.Looked > sh.at {
		for _, doc := range sh.seen {
			if failed := sh.act(ctx, doc, commit.JudgeShare(doc, self, st)); failed != nil {
				err = failed
			}
		}
	}
	return errors.Join(err, sh.read(ctx))
}

func (sh *shares) read(ctx context.Context) error {
	ctx, cancel := sh.set.nodes.bound(ctx)
	defer cancel()
	at := sh.set.o.Boot()
	docs, err := sh.set.o.Log.Docs(ctx, oplog.DocShare, "", 1000)
	if err != nil {
		return err
	}
	found := map[string]commit.ShareDoc{}
	for _, doc := range docs {
		d := commit.ShareDoc{Name: doc.Name, Epoch: doc.Epoch}
		if err := json.Unmarshal(doc.Body, &d.Record); err != nil {
			return fmt.Errorf("record of share %s: %w", doc.Name, err)
		}
		found[doc.Name] = d
	}
	seen := make([]commit.ShareDoc, 0, len(sh.names))
	for _, name := range sh.names {
		d := found[name]
		d.Name = name
		seen = append(seen, d)
		sh.note(name, d.Record.Life == sh.set.node)
	}
	sh.seen, sh.at = seen, at
	return nil
}

// note keeps what a record says: it alone tells whether a write of an unknown
// outcome has made a share this node's, or not.
func (sh *shares) note(name string, mine bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if mine && !sh.held[name] {
		select {
		case sh.taken <- struct{}{}:
		default:
		}
	}
	sh.held[name] = mine
}

func (sh *shares) act(ctx context.Context, doc commit.ShareDoc, act commit.ShareAct) error {
	sh.mu.Lock()
	sh.give[doc.Name] = act == commit.ShareYield
	idle := sh.busy[doc.Name] == 0
	sh.mu.Unlock()
	switch {
	case act == commit.ShareTake:
		return sh.write(ctx, doc, sh.set.node)
	case act == commit.ShareYield && idle: // else at a later beat
		return sh.write(ctx, doc, "")
	}
	return nil
}

func (sh *shares) write(ctx context.Context, doc commit.ShareDoc, life string) error {
	ctx, cancel := sh.set.nodes.bound(ctx)
	defer cancel()
	body, err := json.Marshal(commit.ShareRecord{Life: life})
	if err != nil {
		return err
	}
	err = sh.set.o.Log.SwapDoc(ctx, doc.Epoch, oplog.Doc{Kind: oplog.DocShare, Name: doc.Name, Epoch: oplog.NewEpoch(), Body: body})
	if errors.Is(err, oplog.ErrConflict) {
		return nil
	}
	return err
}
