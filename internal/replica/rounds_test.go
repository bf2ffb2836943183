package replica_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// countingLog writes down each call that costs rounds of Paxos where the log is shared,
// but for those that belong to no request. A call takes a moment and is written down when
// it is over: in a bubble, what an answer did not wait for comes after it.
type countingLog struct {
	oplog.Log
	mu    sync.Mutex // guards calls
	calls []string
}

func (l *countingLog) note(what string) {
	time.Sleep(time.Millisecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, what)
}

// took are the calls since the last time.
func (l *countingLog) took() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	calls := l.calls
	l.calls = nil
	return calls
}

func (l *countingLog) Row(ctx context.Context, k object.Key) (oplog.Row, error) {
	defer l.note("row")
	return l.Log.Row(ctx, k)
}

func (l *countingLog) Swap(ctx context.Context, k object.Key, old oplog.Epoch, row *oplog.Row) error {
	defer l.note("swap")
	return l.Log.Swap(ctx, k, old, row)
}

func (l *countingLog) Doc(ctx context.Context, kind oplog.DocKind, name string) (oplog.Doc, error) {
	if kind == oplog.DocBucket {
		defer l.note("bucket")
	}
	return l.Log.Doc(ctx, kind, name)
}

// TestRoundsOfPaxos counts what one request of a client costs a shared log: each
// call is one round of Paxos, a read at SERIAL or a compare-and-set.
func TestRoundsOfPaxos(t *testing.T) {
	log := &countingLog{Log: memory.NewLog()}
	inFleet(t, 2, log, func(t *testing.T, f *fleet) {
		f.mustPut("warm", content(10, 1))
		f.all[1].mustGet("warm", content(10, 1))
		time.Sleep(3 * time.Second)
		for _, c := range []struct {
			name string
			most int
			do   func()
		}{
			{"PUT of a new key", 4, func() { f.mustPut("k", content(4096, 1)) }},
			{"PUT over a row", 4, func() { f.mustPut("k", content(4096, 2)) }},
			{"GET of a key with a row", 1, func() { f.mustGet("k", content(4096, 2)) }},
			{"PUT of a stream", 4, func() { f.mustPut("big", content(600<<10, 3)) }},
			{"DELETE", 4, func() { f.mustDelete("k") }},
			{"GET of what was deleted", 1, func() { f.mustMiss("k") }},
		} {
			log.took()
			c.do()
			calls := log.took()
			time.Sleep(100 * time.Millisecond)
			late := log.took()
			t.Logf("%-26s %d: %s (later: %s)", c.name, len(calls), strings.Join(calls, ", "), fmt.Sprint(late))
			if len(calls) > c.most || len(calls) == 0 {
				t.Errorf("%s took %d rounds, and may take %d", c.name, len(calls), c.most)
			}
			if len(late) > 2 {
				t.Errorf("%s: %d rounds more for two replicas that answered after the decide", c.name, len(late))
			}
			time.Sleep(500 * time.Millisecond)
		}
	})
}
