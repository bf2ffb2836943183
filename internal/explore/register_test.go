package explore

import (
	"testing"

	"github.com/anishathalye/porcupine"
	"pgregory.net/rapid"
)

// did is an operation of a random history, as the checker knows it.
type did struct {
	client  int
	c       Client
	refused bool
	saw     value
	unknown bool // no answer ever came
}

// model is a register, for a judge that sees whole histories.
var model = porcupine.Model{
	Init: func() any { return vBase },
	Step: func(state, input, _ any) (bool, any) {
		d, now := input.(did), state.(value)
		switch {
		case !d.c.writes():
			return d.saw == now, now
		case d.c.fails(now):
			return d.refused || d.unknown, now
		case d.refused:
			return false, now
		case d.c.Do == Delete:
			return true, vNothing
		}
		return true, vFirst + value(d.client) //nolint:gosec // few
	},
}

// TestWhatTheRegisterPassesIsLinearizable: its rule is stricter than the checker's,
// which is asked about the same histories, of clients that are decided and answered
// at any time and in any way.
func TestWhatTheRegisterPassesIsLinearizable(t *testing.T) {
	passed, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "clients")
		clients := make([]Client, n)
		for i := range clients {
			clients[i].Do = rapid.SampledFrom([]Verb{Put, Delete, Get}).Draw(t, "verb")
			if clients[i].writes() {
				clients[i].If = rapid.SampledFrom([]If{Always, Absent, Matches}).Draw(t, "if")
			}
		}
		r := newRegister(Small)
		var history []porcupine.Operation
		began := make([]int64, n)
		state := make([]clientState, n)
		ok := true
		for at := int64(1); at < 20 && ok; at++ {
			i := rapid.IntRange(0, n-1).Draw(t, "who")
			switch {
			case state[i] == waiting:
				r.invoke(clients, i)
				state[i], began[i] = under, at
			case state[i] == over:
			case clients[i].writes() && !r.took[i] && !clients[i].fails(r.now):
				ok = r.decide(clients, i)
			default:
				d := did{client: i, c: clients[i]}
				ok = answer(t, &r, &d)
				state[i] = over
				history = append(history, porcupine.Operation{ClientId: i, Input: d, Call: began[i], Return: at})
			}
		}
		for i, s := range state {
			// A write without an answer may have happened; whatever it did was allowed.
			if s == under && clients[i].writes() {
				history = append(history, porcupine.Operation{ClientId: i, Input: did{client: i, c: clients[i], unknown: true}, Call: began[i], Return: 1 << 40})
			}
		}
		if !ok {
			refused++
			return
		}
		passed++
		if !porcupine.CheckOperations(model, history) {
			t.Fatalf("the register passes %+v", history)
		}
	})
	t.Logf("%d histories passed, %d did not", passed, refused)
	if passed == 0 || refused == 0 {
		t.Error("the histories are all alike")
	}
}

// answer ends an operation, mostly as the register would have it.
func answer(t *rapid.T, r *register, d *did) bool {
	switch {
	case !d.c.writes():
		d.saw = rapid.SampledFrom([]value{r.now, vNothing, vBase, vFirst, vFirst + 1}).Draw(t, "saw")
		return r.saw(d.client, d.saw)
	case d.c.If != Always && !r.took[d.client] && rapid.Bool().Draw(t, "refused"):
		d.refused = true
		return r.refused(d.client)
	}
	return r.acked(d.client)
}

// TestTheRegisterRefuses what no order allows.
func TestTheRegisterRefuses(t *testing.T) {
	clients := []Client{{Do: Put}, {Do: Get}, {Do: Put, If: Absent}, {Do: Delete}}
	fresh := func() *register {
		r := newRegister(Small)
		for i := range clients {
			r.invoke(clients, i)
		}
		return &r
	}
	for name, ok := range map[string]func(r *register) bool{
		"an ack of what was never decided": func(r *register) bool { return r.acked(0) },
		"a failure of what was decided":    func(r *register) bool { return r.decide(clients, 0) && r.failed(0) },
		"a decide of what failed":          func(r *register) bool { return r.failed(0) && r.decide(clients, 0) },
		"two decides of one write":         func(r *register) bool { first := r.decide(clients, 0); return r.decide(clients, 0) || !first },
		"a decide against its condition":   func(r *register) bool { return r.decide(clients, 2) },
		"a refusal that nothing called for": func(r *register) bool {
			r.forget(2)
			return r.decide(clients, 3) && func() bool { r.invoke(clients, 2); return r.refused(2) }()
		},
		"a read of what was not there": func(r *register) bool { return r.saw(1, vFirst) },
		"a read of what was there before": func(r *register) bool {
			r.forget(1)
			return r.decide(clients, 0) && func() bool { r.invoke(clients, 1); return r.saw(1, vBase) }()
		},
	} {
		if ok(fresh()) {
			t.Errorf("the register passes %s", name)
		}
	}
	for name, ok := range map[string]func(r *register) bool{
		"an ack of what was decided": func(r *register) bool { return r.decide(clients, 0) && r.acked(0) },
		"a refusal by the base":      func(r *register) bool { return r.refused(2) },
		"a read of what was there":   func(r *register) bool { return r.decide(clients, 0) && r.saw(1, vBase) },
		"a read of what is there":    func(r *register) bool { return r.decide(clients, 3) && r.saw(1, vNothing) },
	} {
		if !ok(fresh()) {
			t.Errorf("the register refuses %s", name)
		}
	}
}
