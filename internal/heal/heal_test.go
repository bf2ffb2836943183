package heal_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/heal"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// fakeSet answers visits as a test says and remembers them.
type fakeSet struct {
	start time.Time
	kick  func(object.Key)

	mu     sync.Mutex // guards what follows
	visits map[object.Key][]time.Duration
	order  []object.Key
	down   map[string]bool

	disabled map[string]bool
	answer   func(object.Key, int) (replica.Report, error)
	now      int // visits under way
	most     int
	takes    time.Duration
}

func (f *fakeSet) Repair(ctx context.Context, key object.Key, _ object.ID) (replica.Report, error) {
	f.mu.Lock()
	f.visits[key] = append(f.visits[key], time.Since(f.start))
	f.order = append(f.order, key)
	n := len(f.visits[key])
	f.now++
	f.most = max(f.most, f.now)
	takes := f.takes
	f.mu.Unlock()
	time.Sleep(takes)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now--
	return f.answer(key, n)
}

func (f *fakeSet) Kept(string) object.Replicas { return object.NewReplicas("a", "b") }
func (f *fakeSet) Watch(kick func(object.Key)) { f.kick = kick }
func (f *fakeSet) times(k object.Key) []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]time.Duration(nil), f.visits[k]...)
}

func (f *fakeSet) Up(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.down[name]
}

// Heals is Up but for backends whose replication is disabled.
func (f *fakeSet) Heals(_, name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.down[name] && !f.disabled[name]
}

func (f *fakeSet) disable(name string, disabled bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.disabled[name] = disabled
}

func (f *fakeSet) set(name string, down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down[name] = down
}

func (f *fakeSet) take(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.takes = d
}

// seen is the keys in the order of their visits, and how many were under way at
// once at most.
func (f *fakeSet) seen() ([]object.Key, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]object.Key(nil), f.order...), f.most
}

func key(i int) object.Key { return object.Key{Bucket: "b", Name: fmt.Sprint("k", i)} }

// lagging is a row that backend b misses. Its epoch is another one each time, as
// after each attempt to heal it.
func lagging() *oplog.Row {
	return &oplog.Row{Epoch: oplog.NewEpoch(), Good: object.NewReplicas("a"), Changed: time.Now()}
}

func quiet() *oplog.Row {
	return &oplog.Row{Epoch: oplog.Epoch{2}, Good: object.NewReplicas("a", "b"), Changed: time.Now()}
}

// run runs a healer around a test, on virtual time.
func run(t *testing.T, answer func(object.Key, int) (replica.Report, error), do func(t *testing.T, f *fakeSet, h *heal.Healer, log oplog.Log)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSet{start: time.Now(), visits: map[object.Key][]time.Duration{}, down: map[string]bool{}, disabled: map[string]bool{}, answer: answer}
		log := memory.NewLog()
		h := heal.New(heal.Options{
			Set: f, Log: log, Interval: 5 * time.Second, Retention: time.Minute, Workers: 3,
			Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
		})
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error)
		go func() { over <- h.Run(ctx) }()
		do(t, f, h, log)
		cancel()
		if err := <-over; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func done(object.Key, int) (replica.Report, error) { return replica.Report{Row: quiet()}, nil }

func TestAKickedKeyIsVisitedAtOnceAndOnlyOnce(t *testing.T) {
	run(t, done, func(t *testing.T, f *fakeSet, h *heal.Healer, _ oplog.Log) {
		time.Sleep(time.Second)
		f.kick(key(1))
		synctest.Wait()
		if got := f.times(key(1)); len(got) != 1 || got[0] != time.Second {
			t.Errorf("visits at %v", got)
		}
		time.Sleep(time.Hour)
		if got := f.times(key(1)); len(got) != 1 {
			t.Errorf("visits at %v", got)
		}
		if st := h.Stats(); st.Queued != 0 || st.Running != 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestAKickDuringAVisitIsNotLost(t *testing.T) {
	run(t, done, func(t *testing.T, f *fakeSet, h *heal.Healer, _ oplog.Log) {
		f.take(time.Second)
		f.kick(key(1))
		time.Sleep(500 * time.Millisecond)
		f.kick(key(1))
		time.Sleep(10 * time.Second)
		if got := f.times(key(1)); len(got) != 2 || got[1] != time.Second {
			t.Errorf("visits at %v", got)
		}
	})
}

// What is not settled wants the beat that the protocol names.
func TestUnsettledKeysAreVisitedInTheBeat(t *testing.T) {
	for name, edit := range map[string]func(*oplog.Row){
		"a request":      func(r *oplog.Row) { r.Unsettled = []oplog.Entry{{Replica: "b"}} },
		"one about tags": func(r *oplog.Row) { r.Tagging = []oplog.Entry{{Replica: "b"}} },
	} {
		t.Run(name, func(t *testing.T) { visitedInTheBeat(t, edit) })
	}
}

func visitedInTheBeat(t *testing.T, edit func(*oplog.Row)) {
	unsettled := func(object.Key, int) (replica.Report, error) {
		row := quiet()
		edit(row)
		return replica.Report{Row: row, Next: 2 * time.Second}, nil
	}
	run(t, unsettled, func(t *testing.T, f *fakeSet, h *heal.Healer, _ oplog.Log) {
		f.kick(key(1))
		time.Sleep(time.Minute - time.Millisecond)
		got := f.times(key(1))
		if len(got) != 30 {
			t.Fatalf("%d visits in a minute", len(got))
		}
		for i, at := range got {
			if at != time.Duration(i)*2*time.Second {
				t.Errorf("visit %d at %v", i, at)
			}
		}
		f.set("b", true) // nobody can say anything: it waits
		time.Sleep(time.Hour)
		if st := h.Stats(); st.Waiting != 1 {
			t.Errorf("stats %+v", st)
		}
	})
}

// A replica that may have other tags waits for nothing but its backend.
func TestAReplicaWithOtherTagsIsVisited(t *testing.T) {
	other := func(object.Key, int) (replica.Report, error) {
		row := quiet()
		row.Mistagged = object.NewReplicas("b")
		return replica.Report{Row: row, Next: time.Millisecond}, nil
	}
	run(t, other, func(t *testing.T, f *fakeSet, h *heal.Healer, _ oplog.Log) {
		f.kick(key(1))
		time.Sleep(time.Minute)
		if got := f.times(key(1)); len(got) < 2 {
			t.Fatalf("%d visits in a minute", len(got))
		}
		f.set("b", true)
		time.Sleep(time.Hour)
		before := len(f.times(key(1)))
		time.Sleep(time.Hour)
		if after := len(f.times(key(1))); after != before {
			t.Errorf("%d visits while the backend is away", after-before)
		}
	})
}

func TestALaggingKeyIsTriedMoreAndMoreRarely(t *testing.T) {
	lags := func(object.Key, int) (replica.Report, error) {
		return replica.Report{Row: lagging(), Next: time.Millisecond}, nil
	}
	run(t, lags, func(t *testing.T, f *fakeSet, h *heal.Healer, _ oplog.Log) {
		f.kick(key(1))
		time.Sleep(10 * time.Minute)
		got := f.times(key(1))
		if n := len(got); n < 10*60/5 || n > 10*60/5*2+20 {
			t.Errorf("%d visits in ten minutes", n)
		}
		for i := 1; i < len(got); i++ {
			if d := got[i] - got[i-1]; d > 5*time.Second {
				t.Errorf("a pause of %v", d)
			}
		}
	})
}

func TestAKeyWaitsForItsBackendWithoutBeingVisited(t *testing.T) {
	var f *fakeSet
	answer := func(k object.Key, _ int) (replica.Report, error) {
		if f.down["b"] {
			return replica.Report{Row: lagging()}, nil
		}
		return replica.Report{Row: quiet()}, nil
	}
	run(t, answer, func(t *testing.T, fake *fakeSet, h *heal.Healer, _ oplog.Log) {
		f = fake
		f.set("b", true)
		for i := range 50 {
			f.kick(key(i))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Hour)
		if st := h.Stats(); st.Queued != 50 || st.Waiting != 50 {
			t.Errorf("stats while the backend is away: %+v", st)
		}
		if got := f.times(key(0)); len(got) != 1 {
			t.Errorf("visits while the backend is away: %v", got)
		}
		f.mu.Lock()
		f.order, f.takes = nil, time.Millisecond
		f.mu.Unlock()
		f.set("b", false)
		time.Sleep(time.Second)
		if st := h.Stats(); st.Queued != 0 {
			t.Errorf("stats after the backend is back: %+v", st)
		}
		if order, _ := f.seen(); !slices.Contains(order[:3], key(0)) {
			t.Errorf("the oldest was not first: %v", order[:3])
		}
	})
}

// A key that others miss waits while replication is disabled, though they are up;
// requests that are not settled do not wait. Active again, it is visited by itself.
func TestAKeyWaitsWhileReplicationIsDisabled(t *testing.T) {
	var f *fakeSet
	settled := false
	answer := func(object.Key, int) (replica.Report, error) {
		row := lagging()
		switch {
		case !f.disabled["b"]:
			row = quiet()
		case !settled:
			row.Unsettled = []oplog.Entry{{Replica: "b"}}
		}
		return replica.Report{Row: row, Next: 2 * time.Second}, nil
	}
	run(t, answer, func(t *testing.T, fake *fakeSet, h *heal.Healer, _ oplog.Log) {
		f = fake
		f.disable("b", true)
		f.kick(key(1))
		time.Sleep(time.Minute - time.Millisecond)
		if n := len(f.times(key(1))); n != 30 {
			t.Errorf("%d visits in a minute to a key that is not settled", n)
		}
		f.mu.Lock()
		settled = true
		f.mu.Unlock()
		time.Sleep(time.Hour)
		if n := len(f.times(key(1))); n != 31 {
			t.Errorf("%d visits while there was nothing to do", n-30)
		}
		if st := h.Stats(); st.Waiting != 1 {
			t.Errorf("stats %+v", st)
		}
		f.disable("b", false)
		time.Sleep(time.Second)
		if st := h.Stats(); st.Queued != 0 || len(f.times(key(1))) != 32 {
			t.Errorf("stats %+v, visits %v", st, len(f.times(key(1))))
		}
	})
}

func TestARefusedKeyIsTriedRarelyAndNeverGivenUp(t *testing.T) {
	refused := func(object.Key, int) (replica.Report, error) {
		row := lagging()
		row.Refused = []oplog.Refusal{{Replica: "b", Code: "InvalidArgument"}}
		return replica.Report{Row: row, Next: 5 * time.Minute}, nil
	}
	run(t, refused, func(t *testing.T, f *fakeSet, h *heal.Healer, _ oplog.Log) {
		f.kick(key(1))
		time.Sleep(24 * time.Hour)
		if n := len(f.times(key(1))); n < 24*60/5 || n > 24*60/5*2+30 {
			t.Errorf("%d visits in a day", n)
		}
	})
}

func TestAVisitThatCannotBeMadeIsToldAndTriedAgain(t *testing.T) {
	away := errors.New("away")
	answer := func(k object.Key, n int) (replica.Report, error) {
		switch {
		case k == key(1):
			return replica.Report{}, s3.Err(s3.NoSuchBucket)
		case n < 3:
			return replica.Report{}, away
		case n == 3:
			return replica.Report{Row: lagging(), Failed: true}, nil
		}
		return replica.Report{}, nil
	}
	run(t, answer, func(t *testing.T, f *fakeSet, h *heal.Healer, _ oplog.Log) {
		f.kick(key(1))
		synctest.Wait()
		f.kick(key(2))
		synctest.Wait()
		if st := h.Stats(); st.Queued != 1 || !errors.Is(st.Last.Err, away) || st.Last.Key != key(2) {
			t.Errorf("stats %+v", st)
		}
		time.Sleep(time.Minute)
		if got := f.times(key(2)); len(got) != 4 {
			t.Errorf("visits at %v", got)
		}
		if got := f.times(key(1)); len(got) != 1 {
			t.Errorf("a key without a bucket was visited at %v", got)
		}
	})
}

func TestNoMoreThanSoManyAtOnce(t *testing.T) {
	run(t, done, func(t *testing.T, f *fakeSet, h *heal.Healer, _ oplog.Log) {
		f.take(time.Second)
		for i := range 30 {
			f.kick(key(i))
		}
		time.Sleep(10*time.Second + time.Millisecond)
		if order, most := f.seen(); most != 3 || len(order) != 30 {
			t.Errorf("%d at once, %d in all", most, len(order))
		}
	})
}

// The walk finds what a crash left, and quiet rows when their time has come; map
// rows stay.
func TestTheWalkFindsWhatNobodyKicked(t *testing.T) {
	run(t, func(object.Key, int) (replica.Report, error) { return replica.Report{}, nil }, func(t *testing.T, f *fakeSet, h *heal.Healer, log oplog.Log) {
		put := func(i int, row *oplog.Row) {
			row.Epoch = oplog.NewEpoch()
			if err := log.Swap(t.Context(), key(i), oplog.Epoch{}, row); err != nil {
				t.Fatal(err)
			}
		}
		put(1, lagging())
		put(2, quiet())
		mapped := quiet()
		mapped.Cur.Kind, mapped.ETags = object.Present, map[string]string{"b": "other"}
		put(3, mapped)
		time.Sleep(30 * time.Second)
		if len(f.times(key(1))) == 0 || len(f.times(key(2))) != 0 {
			t.Errorf("lagging visited at %v, quiet at %v", f.times(key(1)), f.times(key(2)))
		}
		time.Sleep(2 * time.Minute)
		if got := f.times(key(2)); len(got) == 0 || got[0] < time.Minute {
			t.Errorf("quiet row visited at %v", got)
		}
		if got := f.times(key(3)); len(got) != 0 {
			t.Errorf("map row visited at %v", got)
		}
	})
}

func TestALogThatFailsIsWalkedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSet{start: time.Now(), visits: map[object.Key][]time.Duration{}, down: map[string]bool{}, disabled: map[string]bool{}, answer: done}
		log := memory.NewFaultyLog(memory.NewLog(), nil)
		row := lagging()
		if err := log.Swap(t.Context(), key(1), oplog.Epoch{}, row); err != nil {
			t.Fatal(err)
		}
		log.SetDown(true)
		h := heal.New(heal.Options{Set: f, Log: log, Retention: time.Minute, Logger: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error)
		go func() { over <- h.Run(ctx) }()
		time.Sleep(time.Minute)
		log.SetDown(false)
		time.Sleep(time.Minute)
		if len(f.times(key(1))) == 0 {
			t.Error("the key was not found after the log was back")
		}
		cancel()
		<-over
	})
}
