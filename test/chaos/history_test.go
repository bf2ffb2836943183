//go:build chaos

package chaos

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
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
	verbTag                  // PUT or DELETE of the tags of what stands: value is what they are then
	verbRead                 // GET or HEAD: the value that was seen
	verbPresence             // LIST: whether something stands
	verbTags                 // GET of the tags of what stands, if something does
)

// changes tells a mutation, whose outcome may be unknown.
func (v verb) changes() bool { return v <= verbTag }

// call is the input of one operation; values are ETags, "" is absence. Of tags they are
// what stands for the set, "" for none.
type call struct {
	verb       verb
	value, old string
	tags       string // that a write comes with
	hasty      bool   // its client hangs up early
}

// result is its output.
type result struct {
	known   bool // of a write: its outcome
	refused bool // by its condition; of tags: because nothing stands
	value   string
	present bool
}

// standing is the state of a key.
type standing struct {
	value string // "" is absence
	tags  string // of the version
}

// register is one key: a compare-and-set register of ETags, each with tags, which are
// changed without it.
var register = porcupine.Model{
	Init: func() any { return standing{} },
	Step: func(state, input, output any) (bool, any) {
		now, in, out := state.(standing), input.(call), output.(result)
		holds := in.verb == verbWrite || in.verb == verbCreate && now.value == "" || in.verb == verbReplace && now.value == in.old ||
			in.verb == verbTag && now.value != ""
		next := standing{in.value, in.tags}
		switch {
		case in.verb == verbTag:
			next = standing{now.value, in.value}
		case in.value == "":
			next.tags = ""
		}
		switch {
		case in.verb == verbRead:
			return out.value == now.value, now
		case in.verb == verbPresence:
			return out.present == (now.value != ""), now
		case in.verb == verbTags:
			return out.present == (now.value != "") && (!out.present || out.value == now.tags), now
		case out.known && out.refused:
			return !holds, now
		case out.known && !holds:
			return false, now
		case holds:
			return true, next
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
		case verbTags:
			return fmt.Sprintf("tags %q of something: %v", out.value, out.present)
		}
		what := "unknown"
		if out.known {
			what = map[bool]string{true: "refused", false: "ok"}[out.refused]
		}
		return fmt.Sprintf("%v %.8q tagged %q (if %.8q): %s", in.verb, in.value, in.tags, in.old, what)
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
	if in.verb.changes() && !out.known {
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

// A verdict on the history of one key.
const (
	notLinearizable = "is not linearizable"
	undetermined    = "is undetermined"
)

// verdicts are the keys whose history is wrong, or could not be judged in the
// given time.
func (h *history) verdicts(limit time.Duration) map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	bad := map[string]string{}
	for key, ops := range h.ops {
		switch judge(ops, limit) {
		case porcupine.Illegal:
			bad[key] = notLinearizable
		case porcupine.Unknown:
			bad[key] = undetermined
		case porcupine.Ok:
		}
	}
	return bad
}

// judge checks one key. Writes of unknown outcome are what makes that slow, so
// those are left out first of which nobody saw anything: if the history is in
// order without them it is in order with them, for each may have come last.
func judge(ops []porcupine.Operation, limit time.Duration) porcupine.CheckResult {
	ops = seen(ops)
	without := func(drop func(call) bool) []porcupine.Operation {
		return slices.DeleteFunc(slices.Clone(ops), func(o porcupine.Operation) bool {
			return o.Return == math.MaxInt64 && drop(o.Input.(call))
		})
	}
	for _, part := range [][]porcupine.Operation{
		without(func(call) bool { return true }),
		without(func(in call) bool { return in.value != "" }), // deletes stay: nothing tells whose absence it was
	} {
		if porcupine.CheckOperationsTimeout(register, part, limit) == porcupine.Ok {
			return porcupine.Ok
		}
	}
	return porcupine.CheckOperationsTimeout(register, ops, limit)
}

// seen is the history with what is certain of its writes of unknown outcome:
// values are unique, so one that an operation saw was written by then.
func seen(ops []porcupine.Operation) []porcupine.Operation {
	first := map[string]int64{} // by value: when the first operation that saw it was over
	for _, o := range ops {
		in, out := o.Input.(call), o.Output.(result)
		value := ""
		switch {
		case in.verb == verbRead, in.verb == verbTags && out.present:
			value = out.value
		case in.verb == verbReplace && out.known && !out.refused:
			value = in.old
		}
		if at, ok := first[value]; value != "" && (!ok || o.Return < at) {
			first[value] = o.Return
		}
	}
	ops = slices.Clone(ops)
	for i, o := range ops {
		in := o.Input.(call)
		if at, ok := first[in.value]; ok && o.Return == math.MaxInt64 && at >= o.Call {
			ops[i].Return, ops[i].Output = at, result{known: true}
		}
	}
	return ops
}

// TestTheJudge: histories that are wrong are found wrong.
func TestTheJudge(t *testing.T) {
	put := func(v string, known bool) (call, result) {
		return call{verb: verbWrite, value: v}, result{known: known}
	}
	read := func(v string) (call, result) { return call{verb: verbRead}, result{value: v} }
	tag := func(v string, known bool) (call, result) {
		return call{verb: verbTag, value: v}, result{known: known}
	}
	tags := func(v string) (call, result) { return call{verb: verbTags}, result{present: true, value: v} }
	for name, c := range map[string]struct {
		play func(add func(call, result))
		ok   bool
	}{
		"in order": {func(add func(call, result)) {
			add(put("a", true))
			add(read("a"))
		}, true},
		"a stale read": {func(add func(call, result)) {
			add(put("a", true))
			add(put("b", true))
			add(read("a"))
		}, false},
		"a lost write": {func(add func(call, result)) {
			add(put("a", true))
			add(read(""))
		}, false},
		"a delete that came back": {func(add func(call, result)) {
			add(put("a", true))
			add(put("", true))
			add(call{verb: verbPresence}, result{present: true})
		}, false},
		"an unknown write may come late": {func(add func(call, result)) {
			add(put("a", true))
			add(put("b", false))
			add(read("a"))
			add(read("b"))
		}, true},
		"or never, though others like it did": {func(add func(call, result)) {
			add(put("a", true))
			add(put("b", false))
			add(put("c", false))
			add(read("b"))
			add(read("b"))
		}, true},
		"and does not go again": {func(add func(call, result)) {
			add(put("a", true))
			add(put("b", false))
			add(read("b"))
			add(read("a"))
		}, false},
		"an unknown write that nobody saw may still be listed": {func(add func(call, result)) {
			add(put("", true))
			add(put("b", false))
			add(call{verb: verbPresence}, result{present: true})
		}, true},
		"but not before it was sent": {func(add func(call, result)) {
			add(put("", true))
			add(call{verb: verbPresence}, result{present: true})
			add(put("b", false))
		}, false},
		"nor be read before": {func(add func(call, result)) {
			add(read("b"))
			add(put("b", false))
		}, false},
		"an unknown delete": {func(add func(call, result)) {
			add(put("a", true))
			add(put("", false))
			add(read("a"))
			add(read(""))
		}, true},
		"is no two deletes": {func(add func(call, result)) {
			add(put("a", true))
			add(put("", false))
			add(read(""))
			add(put("b", true))
			add(read(""))
		}, false},
		"an unknown creator that was seen did create": {func(add func(call, result)) {
			add(put("a", true))
			add(call{verb: verbCreate, value: "b"}, result{})
			add(read("b"))
		}, false},
		"an unknown replacement that was replaced": {func(add func(call, result)) {
			add(put("a", true))
			add(call{verb: verbReplace, value: "b", old: "a"}, result{})
			add(call{verb: verbReplace, value: "c", old: "b"}, result{known: true})
			add(read("c"))
		}, true},
		"two creators": {func(add func(call, result)) {
			add(call{verb: verbCreate, value: "a"}, result{known: true})
			add(call{verb: verbCreate, value: "b"}, result{known: true})
		}, false},
		"tags of a version": {func(add func(call, result)) {
			add(call{verb: verbWrite, value: "a", tags: "t1"}, result{known: true})
			add(tags("t1"))
			add(tag("t2", true))
			add(tags("t2"))
			add(read("a"))
		}, true},
		"stale tags": {func(add func(call, result)) {
			add(put("a", true))
			add(tag("t1", true))
			add(tag("t2", true))
			add(tags("t1"))
		}, false},
		"tags that outlive their version": {func(add func(call, result)) {
			add(put("a", true))
			add(tag("t1", true))
			add(put("b", true))
			add(tags("t1"))
		}, false},
		"tags that came back with a late request": {func(add func(call, result)) {
			add(put("a", true))
			add(tag("t1", false))
			add(tags("t1"))
			add(put("b", true))
			add(tags("t1"))
		}, false},
		"unknown tags may come late": {func(add func(call, result)) {
			add(put("a", true))
			add(tag("t1", false))
			add(tags(""))
			add(put("b", true))
			add(tags("t1"))
		}, true},
		"tags of nothing": {func(add func(call, result)) {
			add(put("", true))
			add(tag("t1", true))
		}, false},
		"tags that were refused though something stands": {func(add func(call, result)) {
			add(put("a", true))
			add(call{verb: verbTag, value: "t1"}, result{known: true, refused: true})
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
		bad := h.verdicts(time.Second)
		if (len(bad) == 0) != c.ok || bad["k"] == undetermined {
			t.Errorf("%s: %v", name, bad)
		}
		if plain := porcupine.CheckOperations(register, h.ops["k"]); plain != c.ok {
			t.Errorf("%s: all at once it is %v", name, plain)
		}
	}
}

// TestTheJudgeIsAlwaysTheSame: for random histories, right and wrong ones, the
// short way finds what the long one finds.
func TestTheJudgeIsAlwaysTheSame(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	verdict := map[bool]int{}
	for range 3000 {
		h, now, written, tagged := newHistory(), int64(0), []string{""}, []string{""}
		for i := range 8 {
			call, value := call{verb: verb(rnd.IntN(7))}, fmt.Sprint("v", i)
			out := result{known: rnd.IntN(2) == 0}
			some := written[rnd.IntN(len(written))]
			switch call.verb {
			case verbRead:
				out = result{value: some}
			case verbPresence:
				out = result{present: rnd.IntN(3) > 0}
			case verbTags:
				out = result{present: rnd.IntN(3) > 0, value: tagged[rnd.IntN(len(tagged))]}
			case verbTag:
				call.value = "t" + value
				out.refused = out.known && rnd.IntN(3) == 0
				tagged = append(tagged, call.value)
			default:
				if call.value = value; call.verb == verbWrite && rnd.IntN(3) == 0 {
					call.value = ""
				}
				call.old = some
				if call.value != "" && rnd.IntN(2) == 0 {
					call.tags = "t" + value
					tagged = append(tagged, call.tags)
				}
				out.refused = out.known && call.verb != verbWrite && rnd.IntN(2) == 0
				written = append(written, call.value)
			}
			now += 10
			end := now + rnd.Int64N(25)
			if call.verb.changes() && !out.known {
				end = math.MaxInt64
			}
			h.ops["k"] = append(h.ops["k"], porcupine.Operation{ClientId: i, Input: call, Output: out, Call: now, Return: end})
		}
		short, long := judge(h.ops["k"], time.Minute), porcupine.CheckOperations(register, h.ops["k"])
		if (short == porcupine.Ok) != long || short == porcupine.Unknown {
			t.Fatalf("%v, all at once %v: %v", short, long, h.ops["k"])
		}
		verdict[long]++
	}
	if verdict[true] < 100 || verdict[false] < 100 {
		t.Errorf("%d were right and %d wrong: too few of a kind", verdict[true], verdict[false])
	}
}
