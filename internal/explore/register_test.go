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
	fits    outcome
	unknown bool // no answer ever came
}

// model is the same register, for a judge that sees whole histories.
var model = porcupine.Model{
	Init: func() any { return vBase },
	Step: func(state, input, _ any) (bool, any) {
		d := input.(did)
		next := possible{now: state.(value)}.place(d.c, d.client)
		return d.unknown || next.out[d.client] == d.fits, next.now
	},
}

// TestTheRegisterJudgesLikePorcupine: what the register says step by step is what
// the checker says of the whole history.
func TestTheRegisterJudgesLikePorcupine(t *testing.T) {
	legal, illegal := 0, 0
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
		for at := int64(1); at < 12 && ok; at++ {
			i := rapid.IntRange(0, n-1).Draw(t, "who")
			switch state[i] {
			case waiting:
				r.invoke(clients, i)
				state[i], began[i] = under, at
			case under:
				d := did{client: i, c: clients[i], fits: someOutcome(t, clients[i])}
				ok = r.answer(i, d.fits)
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
		if ok != porcupine.CheckOperations(model, history) {
			t.Fatalf("the register says %v of %+v", ok, history)
		}
		if ok {
			legal++
		} else {
			illegal++
		}
	})
	t.Logf("%d legal histories, %d others", legal, illegal)
	if legal == 0 || illegal == 0 {
		t.Error("the histories are all alike")
	}
}

func someOutcome(t *rapid.T, c Client) outcome {
	if !c.writes() {
		return saw + outcome(rapid.IntRange(0, int(vFirst)+2).Draw(t, "saw"))
	}
	if c.If == Always {
		return took
	}
	return rapid.SampledFrom([]outcome{took, refused}).Draw(t, "outcome")
}

// TestADefiniteFailureNeverHappened: such a write is in no order, and the register
// knows what the key may be.
func TestADefiniteFailureNeverHappened(t *testing.T) {
	clients := []Client{{Do: Put}, {Do: Get}}
	r := newRegister(Small)
	r.invoke(clients, 0)
	if !r.may(vFirst) || !r.may(vBase) {
		t.Error("a write that is under way may have taken effect, or not")
	}
	if !r.answer(0, open) || r.may(vFirst) {
		t.Error("a write that failed took effect")
	}
	r.invoke(clients, 1)
	r.forget(1)
	r.invoke(clients, 1)
	if r.answer(1, saw+outcome(vFirst)) {
		t.Error("a write that failed was read")
	}
}
