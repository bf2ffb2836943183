//go:build cassandra

package cassandra

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/cassandra"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/oplog/oplogtest"
	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// testOpenOutcome changes rows while the node is stopped: nobody learns whether
// they were changed. Once it goes on, a change of our own either finds what was
// open and moves it, or comes first and is never overtaken (R29).
func testOpenOutcome(t *testing.T, n *node) {
	n.migrate(t, "faults")
	log := n.open(t, "faults")
	defer log.Close()
	ctx := context.Background()
	const rows = 20
	var first, second [rows]oplog.Row
	key := func(i int) object.Key { return object.Key{Bucket: "open", Name: fmt.Sprint(i)} }
	for i := range rows {
		first[i], second[i] = oplog.Row{Epoch: oplog.NewEpoch()}, oplog.Row{Epoch: oplog.NewEpoch()}
		if err := log.Swap(ctx, key(i), oplog.Epoch{}, &first[i]); err != nil {
			t.Fatal(err)
		}
	}
	n.process.Stop(t)
	defer n.process.Signal(syscall.SIGCONT)
	var wg sync.WaitGroup
	for i := range rows {
		wg.Go(func() {
			short, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			err := log.Swap(short, key(i), first[i].Epoch, &second[i])
			if !errors.Is(err, oplog.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want ErrUnknown that wraps the context's error", err)
			}
		})
	}
	wg.Wait()
	n.process.Signal(syscall.SIGCONT)

	made := 0
	for i := range rows {
		mine := oplog.Row{Epoch: oplog.NewEpoch()}
		harness.Eventually(t, "a change of our own is applied", func() error {
			seen, err := log.Row(ctx, key(i))
			if err != nil {
				return err
			}
			switch seen.Epoch {
			case second[i].Epoch, first[i].Epoch:
			default:
				t.Fatalf("row %d is %x, written by nobody", i, seen.Epoch)
			}
			if err := log.Swap(ctx, key(i), seen.Epoch, &mine); err != nil {
				return err
			}
			if seen.Epoch == second[i].Epoch {
				made++
			}
			return nil
		})
		if err := log.Swap(ctx, key(i), first[i].Epoch, &second[i]); !errors.Is(err, oplog.ErrConflict) {
			t.Errorf("row %d, what was open after it was settled: %v, want ErrConflict", i, err)
		}
		if now, err := log.Row(ctx, key(i)); err != nil || now.Epoch != mine.Epoch {
			t.Errorf("row %d is %x, %v; want mine", i, now.Epoch, err)
		}
	}
	t.Logf("of %d changes whose outcome was open %d had been made", rows, made)
}

// histories has three nodes change a few rows of another log until the test calls
// stop, which wants what they were told to be the history of registers, whatever
// befell Cassandra meanwhile.
func histories(t *testing.T, n *node) (stop func()) {
	n.migrate(t, "histories")
	s := &spread{}
	for range 3 {
		s.all = append(s.all, n.open(t, "histories"))
	}
	s.Log = s.all[0]
	done := make(chan oplogtest.Outcomes)
	load := oplogtest.Workload{Keys: 12, Clients: 6, Ops: 200, Seed: 5, Bucket: "histories", CallTimeout: 2 * time.Second}
	go func() { done <- oplogtest.CheckRegister(t, s, load) }()
	return func() {
		s.hurry.Store(true)
		out := <-done
		t.Logf("histories: outcomes %+v", out)
		if out.Applied < 100 || out.Unknown == 0 || out.Conflicts == 0 || out.Refused == 0 {
			t.Errorf("outcomes %+v: want at least 100 applied, and some of each other kind", out)
		}
		var keys []object.Key
		for i := range load.Keys {
			keys = append(keys, object.Key{Bucket: load.Bucket, Name: fmt.Sprintf("k%d", i)})
		}
		oplogtest.CheckIndex(t, s.Log, keys)
		for _, log := range s.all {
			if err := log.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// spread gives each call to the next of several logs, and spreads the calls over
// time until it is told to hurry.
type spread struct {
	oplog.Log
	all   []*cassandra.Log
	next  atomic.Uint64
	hurry atomic.Bool
}

func (s *spread) pick() oplog.Log {
	if !s.hurry.Load() {
		time.Sleep(150 * time.Millisecond)
	}
	return s.all[s.next.Add(1)%uint64(len(s.all))]
}

func (s *spread) Row(ctx context.Context, k object.Key) (oplog.Row, error) {
	return s.pick().Row(ctx, k)
}

func (s *spread) Swap(ctx context.Context, k object.Key, old oplog.Epoch, row *oplog.Row) error {
	return s.pick().Swap(ctx, k, old, row)
}
