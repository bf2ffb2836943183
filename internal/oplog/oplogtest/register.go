package oplogtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Workload says how hard CheckRegister drives a log.
type Workload struct {
	Keys    int
	Clients int    // concurrent
	Ops     int    // of each client
	Seed    uint64 // of what each client does; their interleaving is the machine's
	Bucket  string // whose keys are used; empty: "register"
	// CallTimeout ends the context of each call; zero: never. A call cut short is
	// one whose outcome is not known.
	CallTimeout time.Duration
}

// Outcomes counts what the calls of a workload answered.
type Outcomes struct {
	Reads, ReadErrors                    int
	Applied, Conflicts, Unknown, Refused int // of compare-and-sets
}

// CheckRegister runs concurrent reads and compare-and-sets on a few keys and
// fails the test unless the history is that of one compare-and-set register per
// key, where a call that answered ErrUnknown took effect at any later time or
// never, and one that answered ErrConflict or ErrNotApplied never. The log may
// be one that fails at random.
func CheckRegister(t testing.TB, log oplog.Log, w Workload) Outcomes {
	t.Helper()
	if w.Bucket == "" {
		w.Bucket = "register"
	}
	h := &history{log: log, load: w}
	var wg sync.WaitGroup
	for client := range w.Clients {
		wg.Go(func() { h.drive(client) })
	}
	wg.Wait()
	if h.wrong != nil {
		t.Fatal(h.wrong)
	}
	switch result := porcupine.CheckOperationsTimeout(registerModel, h.ops, 2*time.Minute); result {
	case porcupine.Illegal:
		t.Errorf("the history of %d calls is not linearizable (seed %d)", len(h.ops), w.Seed)
	case porcupine.Unknown:
		t.Errorf("the history of %d calls could not be decided (seed %d)", len(h.ops), w.Seed)
	}
	return h.out
}

// history records calls. Its clock counts starts and ends of calls: all that
// the order of a history needs.
type history struct {
	log   oplog.Log
	load  Workload
	clock atomic.Int64

	mu    sync.Mutex // guards what follows
	ops   []porcupine.Operation
	out   Outcomes
	wrong error
}

// call is the input of an operation; result its output.
type call struct {
	key      object.Key
	swap     bool
	old, row oplog.Epoch // of a swap; row zero: drop
}

type result struct {
	epoch   oplog.Epoch // what a read saw
	applied bool        // of a swap
	unknown bool
}

func (h *history) drive(client int) {
	rng := rand.New(rand.NewPCG(h.load.Seed, uint64(client)))
	known := map[object.Key]oplog.Epoch{} // what this client last saw
	for range h.load.Ops {
		k := object.Key{Bucket: h.load.Bucket, Name: fmt.Sprintf("k%d", rng.IntN(h.load.Keys))}
		if rng.IntN(3) == 0 {
			if epoch, ok := h.read(client, k); ok {
				known[k] = epoch
			}
			continue
		}
		var row *oplog.Row
		if rng.IntN(4) > 0 {
			row = newRow()
		}
		if h.swap(client, k, known[k], row) {
			known[k] = oplog.Epoch{}
			if row != nil {
				known[k] = row.Epoch
			}
		} else if epoch, ok := h.read(client, k); ok {
			known[k] = epoch
		}
	}
}

func (h *history) context() (context.Context, context.CancelFunc) {
	if h.load.CallTimeout == 0 {
		return context.Background(), func() {}
	}
	return context.WithTimeout(context.Background(), h.load.CallTimeout)
}

func (h *history) read(client int, k object.Key) (oplog.Epoch, bool) {
	ctx, cancel := h.context()
	defer cancel()
	begun := h.clock.Add(1)
	row, err := h.log.Row(ctx, k)
	ended := h.clock.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil && !errors.Is(err, oplog.ErrNoRow) {
		h.out.ReadErrors++
		return oplog.Epoch{}, false
	}
	h.out.Reads++
	h.ops = append(h.ops, porcupine.Operation{
		ClientId: client, Input: call{key: k}, Call: begun, Output: result{epoch: row.Epoch}, Return: ended,
	})
	return row.Epoch, true
}

func (h *history) swap(client int, k object.Key, old oplog.Epoch, row *oplog.Row) bool {
	in := call{key: k, swap: true, old: old}
	if row != nil {
		in.row = row.Epoch
	}
	ctx, cancel := h.context()
	defer cancel()
	begun := h.clock.Add(1)
	err := h.log.Swap(ctx, k, old, row)
	op := porcupine.Operation{ClientId: client, Input: in, Call: begun, Return: h.clock.Add(1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
		h.out.Applied++
		op.Output = result{applied: true}
	case errors.Is(err, oplog.ErrConflict):
		h.out.Conflicts++
		op.Output = result{}
	case errors.Is(err, oplog.ErrNotApplied):
		h.out.Refused++
		return false // no part of the history: its epoch must never be seen
	default:
		h.out.Unknown++
		op.Output, op.Return = result{unknown: true}, math.MaxInt64
		if !errors.Is(err, oplog.ErrUnknown) {
			h.wrong = errors.Join(h.wrong, fmt.Errorf("swap %v: %w is none of the contract's errors", k, err))
		}
	}
	h.ops = append(h.ops, op)
	return err == nil
}

// registerModel is one compare-and-set register per key; its state is the
// row's epoch. An unknown call whose epoch does not fit where the checker puts
// it had no effect; the checker may put it at the very end.
var registerModel = porcupine.Model{
	Partition: func(ops []porcupine.Operation) [][]porcupine.Operation {
		parts := map[object.Key][]porcupine.Operation{}
		for _, op := range ops {
			k := op.Input.(call).key
			parts[k] = append(parts[k], op)
		}
		var all [][]porcupine.Operation
		for _, part := range parts {
			all = append(all, part)
		}
		return all
	},
	Init: func() any { return oplog.Epoch{} },
	Step: func(state, input, output any) (bool, any) {
		at, in, out := state.(oplog.Epoch), input.(call), output.(result)
		switch {
		case !in.swap:
			return out.epoch == at, at
		case at == in.old:
			return out.applied || out.unknown, in.row
		}
		return !out.applied, at
	},
}
