package replica

import (
	"testing"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// TestStateOf: each state of a replica of a key, and which of two that hold at
// once is told.
func TestStateOf(t *testing.T) {
	a := object.NewReplicas("a")
	unsettled := []oplog.Entry{{Replica: "a"}}
	refused := []oplog.Refusal{{Replica: "a"}}
	heals := &oplog.Intent{Type: oplog.OpHeal, Reps: a}
	for _, c := range []struct {
		name  string
		row   *oplog.Row
		wiped bool
		want  KeyState
	}{
		{"quiet", nil, false, KeyCurrent},
		{"quiet, and the bucket was lost", nil, true, KeyAbsent},
		{"holds it", &oplog.Row{Good: a}, false, KeyCurrent},
		{"given back to a bucket that was lost", &oplog.Row{Good: a}, true, KeyCurrent},
		{"misses it", &oplog.Row{}, false, KeyLagging},
		{"misses it in a bucket that was lost", &oplog.Row{}, true, KeyLagging},
		{"another one misses it", &oplog.Row{Good: a, Refused: []oplog.Refusal{{Replica: "b"}}}, false, KeyCurrent},
		{"is healed", &oplog.Row{Intent: heals}, false, KeyHealing},
		{"another one is healed", &oplog.Row{Intent: &oplog.Intent{Type: oplog.OpHeal, Reps: object.NewReplicas("b")}}, false, KeyLagging},
		{"a write is under way", &oplog.Row{Intent: &oplog.Intent{Type: oplog.OpPut, Reps: a}}, false, KeyLagging},
		{"refuses it", &oplog.Row{Refused: refused}, false, KeyRefused},
		{"refused an earlier version", &oplog.Row{Good: a, Refused: refused}, false, KeyCurrent},
		{"a request is out", &oplog.Row{Good: a, Unsettled: unsettled}, false, KeyUnsettled},
		{"a request to another one is out", &oplog.Row{Good: a, Unsettled: []oplog.Entry{{Replica: "b"}}}, false, KeyCurrent},
		{"nobody looked yet", &oplog.Row{Open: true}, false, KeyUnsettled},
	} {
		if got := stateOf(c.row, "a", c.wiped); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
