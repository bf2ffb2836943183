package replica

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/crew"
	"github.com/s3mirror/s3mirror/internal/object"
)

// recorder is a machine that keeps what it is told.
type recorder struct{ events []commit.Event }

func (r *recorder) Step(_ commit.Now, ev commit.Event) []commit.Effect {
	r.events = append(r.events, ev)
	return nil
}

func (r *recorder) Over() bool { return false }

// A node that stands still between the look at its leases and the request sends
// nothing: it could land on a newer write (R11).
func TestABatchThatIsLetGoTooLateIsNotSent(t *testing.T) {
	now := time.Duration(0)
	s := &Set{base: t.Context(), crew: crew.New(t.Context().Done())}
	s.o.Times.Margin, s.o.Times.Keep = 4*time.Second, time.Minute
	s.o.Boot, s.o.Wall, s.o.Logger = func() time.Duration { return now }, time.Now, slog.New(slog.DiscardHandler)
	d := &batch{process: s.newProcess(t.Context(), nil, object.Key{}, &recorder{})}
	machine := &recorder{}
	w := &write{judge: answerOf, process: s.newProcess(t.Context(), nil, object.Key{Name: "k"}, machine), requests: map[string]*request{}, said: map[string]string{}}
	p := &convoy{d: d, waits: 1, groups: map[string]*group{}}
	w.convoy = p
	w.join("a")
	now = 2*time.Second + 1
	p.used()
	w.sending.Wait()
	do, ok := w.next()
	if !ok {
		t.Fatal("nothing was posted")
	}
	do()
	if len(machine.events) != 1 || machine.events[0] != (commit.Answered{Replica: "a", Answer: commit.Answer{Class: commit.No}}) {
		t.Errorf("told %+v", machine.events)
	}
	s.running.Wait()
}

// A permit that comes when nobody drives the write any more holds up no one.
func TestAPermitForAWriteThatIsOver(t *testing.T) {
	s := &Set{base: t.Context(), crew: crew.New(t.Context().Done())}
	s.o.Boot, s.o.Times.Margin = func() time.Duration { return 0 }, time.Second
	d := &batch{process: s.newProcess(context.Background(), nil, object.Key{}, &recorder{})}
	for _, over := range []bool{false, true} { // before the permit, and behind it
		w := &write{process: s.newProcess(context.Background(), nil, object.Key{}, &recorder{})}
		p := &convoy{d: d, waits: 1, groups: map[string]*group{}}
		if over {
			w.dropPermit()
		}
		w.permit(p)
		w.dropPermit()
		if p.waits != 0 {
			t.Errorf("over %v: %d writes are waited for", over, p.waits)
		}
	}
}

// A silent backend is blamed once for a batch, not once for each of its keys.
func TestABatchBlamesOnce(t *testing.T) {
	g := &group{}
	var alone *group
	for i := range 2 {
		if g.accuse() != (i == 0) {
			t.Errorf("question %d", i)
		}
		if !alone.accuse() {
			t.Error("a request that is sent alone has nobody to blame for it")
		}
	}
}
