package explore

import (
	"fmt"
	"strings"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// What people read of a schedule.

// procText names a machine: W1 and W2 are the writers, in the order of the
// scenario's clients, R3 a reader; a gateway's repair and heal are named for it.
func (w *world) procText(n int) string {
	switch g := w.procs[n].gateway + 1; {
	case n >= w.heals(0):
		return fmt.Sprintf("G%d's heal", g)
	case n >= w.repairs(0):
		return fmt.Sprintf("G%d's repair", g)
	}
	return clientText(w.sc, n)
}

func clientText(sc *Scenario, i int) string {
	c := sc.Clients[i]
	if !c.writes() {
		return fmt.Sprintf("R%d(%s)", i+1, c.Do)
	}
	return fmt.Sprintf("W%d(%s)", i+1, c.Do)
}

func (w *world) messageText(m *message) string {
	who, where := w.procText(m.proc), replicas[m.replica]
	switch m.kind {
	case readRow:
		return who + " reads the row: " + rowText(w.row)
	case swap:
		stale := ""
		if epochOf(w.row) != m.old {
			stale = " (in vain)"
		}
		return who + "'s compare-and-set" + stale
	case swapped:
		return fmt.Sprintf("%s learns: %s", who, [...]string{"applied", "conflict", "unknown", "not applied"}[m.outcome])
	case look:
		return fmt.Sprintf("%s asks %s: %s", who, where, infoText(w.servers[m.replica].seen.Info))
	case source:
		return fmt.Sprintf("%s copies from %s: %s", who, where, infoText(w.servers[m.replica].seen.Info))
	case request:
		return fmt.Sprintf("%s's request on %s: %s", who, where, infoText(m.put.Info))
	case answered:
		return fmt.Sprintf("%s hears of %s: %s", who, where, [...]string{"yes", "no", "ambiguous"}[m.answer.Class])
	}
	return who + " has the whole body"
}

func timerText(t commit.Timer) string {
	return [...]string{"looks again", "its nonce is due", "waits no longer for the rest", "waits no longer for answers"}[t]
}

func resultText(res commit.Result) string {
	switch res.Kind {
	case commit.Acked:
		return "acknowledged"
	case commit.Failed:
		return "definitely failed: " + res.Code
	}
	return "outcome unknown to the client"
}

func idText(id object.ID) string {
	if i := clientOf(id); i >= 0 {
		return fmt.Sprintf("w%d", i+1)
	}
	switch {
	case id.IsZero(), id[0] == 0x99:
		return "base"
	}
	return fmt.Sprintf("h%d", int(id[2])<<8|int(id[3]))
}

func infoText(i object.Info) string {
	switch {
	case i.Kind == object.Tombstone:
		return "nothing"
	case i.Size != size:
		return "half of " + idText(i.ID)
	}
	return idText(i.ID)
}

func (w *world) valueText(v value) string {
	switch v {
	case vNothing:
		return "nothing"
	case vBase:
		return "base"
	}
	return idText(writer(int(v - vFirst)))
}

func rowText(r *oplog.Row) string {
	if r == nil {
		return "none"
	}
	var b strings.Builder
	switch {
	case r.Open:
		b.WriteString("open base")
	case r.Cur.Kind == object.Tombstone && !r.Cur.ID.IsZero():
		fmt.Fprintf(&b, "%s (nothing)", idText(r.Cur.ID))
	default:
		b.WriteString(infoText(r.Cur))
	}
	fmt.Fprintf(&b, " good %v", []string(r.Good))
	if in := r.Intent; in != nil {
		fmt.Fprintf(&b, " intent %s %s of %s on %v", in.Type, idText(in.Op), in.Owner, []string(in.Reps))
	}
	for _, e := range r.Unsettled {
		fmt.Fprintf(&b, " unsettled %s %s@%s", e.Type, idText(e.Op), e.Replica)
	}
	for _, f := range r.Refused {
		fmt.Fprintf(&b, " refused@%s", f.Replica)
	}
	return b.String()
}
