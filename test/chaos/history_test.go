//go:build chaos

package chaos

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// verb is what a client did to a key.
type verb int

const (
	verbWrite    verb = iota // PUT of value, or DELETE when it is empty
	verbCreate               // PUT of value if nothing stands
	verbReplace              // PUT of value if what stands is old
	verbRead                 // GET or HEAD: the value that was seen
	verbPresence             // LIST: whether something stands
)

// call is the input of one operation; values are ETags, "" is absence.
type call struct {
	verb       verb
	value, old string
}

// result is its output.
type result struct {
	known   bool // of a write: its outcome
	refused bool // by its condition
	value   string
	present bool
}

// register is one key: a compare-and-set register of ETags.
var register = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		now, in, out := state.(string), input.(call), output.(result)
		holds := in.verb == verbWrite || in.verb == verbCreate && now == "" || in.verb == verbReplace && now == in.old
		switch {
		case in.verb == verbRead:
			return out.value == now, now
		case in.verb == verbPresence:
			return out.present == (now != ""), now
		case out.known && out.refused:
			return !holds, now
		case out.known && !holds:
			return false, now
		case holds:
			return true, in.value
		}
		return true, now // it was refused, and nobody knows
	},
	Equal: func(a, b any) bool { return a == b },
	DescribeOperation: func(input, output any) string {
		in, out := input.(call), output.(result)
		switch in.verb {
		case verbRead:
			return fmt.Sprintf("read %.8q", out.value)
		case verbPresence:
			return fmt.Sprintf("listed %v", out.present)
		}
		what := "unknown"
		if out.known {
			what = map[bool]string{true: "refused", false: "ok"}[out.refused]
		}
		return fmt.Sprintf("%v %.8q (if %.8q): %s", in.verb, in.value, in.old, what)
	},
}

// history is what all clients saw.
type history struct {
	began time.Time
	mu    sync.Mutex // guards the rest
	ops   map[string][]porcupine.Operation
	doubt map[string]int // writes of unknown outcome, by key
	count map[string]int
}

func newHistory() *history {
	return &history{began: time.Now(), ops: map[string][]porcupine.Operation{}, doubt: map[string]int{}, count: map[string]int{}}
}

func (h *history) now() int64 { return int64(time.Since(h.began)) }

// add records an operation that began at a moment and ends now. One whose
// outcome is unknown may take effect at any time from then on.
func (h *history) add(client int, key string, in call, out result, began int64) {
	end := h.now()
	if in.verb <= verbReplace && !out.known {
		end = math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if end == math.MaxInt64 {
		h.doubt[key]++
	}
	h.ops[key] = append(h.ops[key], porcupine.Operation{ClientId: client, Input: in, Output: out, Call: began, Return: end})
}

func (h *history) tally(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count[what]++
}

func (h *history) tallied(what ...string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, w := range what {
		n += h.count[w]
	}
	return n
}

// size is how many operations a key has seen, and how many of them are writes of
// unknown outcome.
func (h *history) size(key string) (all, doubt int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops[key]), h.doubt[key]
}

// verdicts are the keys whose history is wrong, or could not be judged.
func (h *history) verdicts(limit time.Duration) map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	bad := map[string]string{}
	for key, ops := range h.ops {
		switch porcupine.CheckOperationsTimeout(register, ops, limit) {
		case porcupine.Illegal:
			bad[key] = "is not linearizable"
		case porcupine.Unknown:
			bad[key] = "is undetermined"
		case porcupine.Ok:
		}
	}
	return bad
}

// TestTheJudge: histories that are wrong are found wrong.
func TestTheJudge(t *testing.T) {
	put := func(v string, known bool) (call, result) {
		return call{verb: verbWrite, value: v}, result{known: known}
	}
	for name, c := range map[string]struct {
		play func(add func(call, result))
		ok   bool
	}{
		"in order": {func(add func(call, result)) {
			add(put("a", true))
			add(call{verb: verbRead}, result{value: "a"})
		}, true},
		"a stale read": {func(add func(call, result)) {
			add(put("a", true))
			add(put("b", true))
			add(call{verb: verbRead}, result{value: "a"})
		}, false},
		"a lost write": {func(add func(call, result)) {
			add(put("a", true))
			add(call{verb: verbRead}, result{value: ""})
		}, false},
		"a delete that came back": {func(add func(call, result)) {
			add(put("a", true))
			add(put("", true))
			add(call{verb: verbPresence}, result{present: true})
		}, false},
		"an unknown write may come late": {func(add func(call, result)) {
			add(put("a", true))
			add(put("b", false))
			add(call{verb: verbRead}, result{value: "a"})
			add(call{verb: verbRead}, result{value: "b"})
		}, true},
		"and does not go again": {func(add func(call, result)) {
			add(put("a", true))
			add(put("b", false))
			add(call{verb: verbRead}, result{value: "b"})
			add(call{verb: verbRead}, result{value: "a"})
		}, false},
		"two creators": {func(add func(call, result)) {
			add(call{verb: verbCreate, value: "a"}, result{known: true})
			add(call{verb: verbCreate, value: "b"}, result{known: true})
		}, false},
		"a condition that was refused though it held": {func(add func(call, result)) {
			add(put("a", true))
			add(call{verb: verbReplace, value: "b", old: "a"}, result{known: true, refused: true})
		}, false},
	} {
		h := newHistory()
		c.play(func(in call, out result) {
			began := h.now()
			time.Sleep(time.Microsecond)
			h.add(1, "k", in, out, began)
		})
		if bad := h.verdicts(time.Second); (len(bad) == 0) != c.ok {
			t.Errorf("%s: %v", name, bad)
		}
	}
}
