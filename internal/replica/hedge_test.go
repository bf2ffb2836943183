package replica_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// hedgeRig has a key on every replica, each of which answers reads in 20 ms, and
// has done so often enough that this is known.
func hedgeRig(t *testing.T, r *rig) (data []byte, hedges func() (won, lost float64)) {
	r.close()
	reg := prometheus.NewRegistry()
	r.open(func(o *replica.Options) { o.Registerer = reg })
	data = content(1000, 1)
	r.mustPut("k", data)
	synctest.Wait()
	for _, name := range r.names {
		r.slow(name, 20*time.Millisecond)
	}
	for range 300 {
		r.mustGet("k", data)
	}
	for _, s := range r.stacks {
		if p95 := s.Breaker.Slow(); p95 < 20*time.Millisecond || p95 > 21*time.Millisecond {
			t.Fatalf("%s answers in %v, it is said", s.Name(), p95)
		}
	}
	return data, func() (won, lost float64) {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() != "s3mirror_read_hedges_total" {
				continue
			}
			for _, m := range f.GetMetric() {
				if m.GetLabel()[0].GetValue() == "won" {
					won = m.GetCounter().GetValue()
				} else {
					lost = m.GetCounter().GetValue()
				}
			}
		}
		return won, lost
	}
}

// slow makes a server take its time for reads of objects.
func (r *rig) slow(name string, d time.Duration) {
	r.servers[name].SetFaults(memory.Faults{Ops: []s3.OperationName{s3.GetObject, s3.HeadObject}, Delay: d})
}

// TestReadsAreHedged: a replica that is suddenly slow costs a read its own p95
// and the answer of another one, and is no failure of the slow one's.
func TestReadsAreHedged(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		data, hedges := hedgeRig(t, r)
		if won, lost := hedges(); won+lost != 0 {
			t.Errorf("hedged while all were as quick as ever: %v, %v", won, lost)
		}
		r.slow("a", 5*time.Second)
		var slowest time.Duration
		for range 40 {
			start := time.Now()
			r.mustGet("k", data)
			slowest = max(slowest, time.Since(start))
		}
		won, lost := hedges()
		if slowest > 50*time.Millisecond || won == 0 || lost != 0 {
			t.Errorf("the slowest read took %v; hedges won %v, lost %v", slowest, won, lost)
		}
		for _, s := range r.stacks {
			if h := s.Breaker.Health(); h.LastError != nil || h.InFlight != 0 {
				t.Errorf("%s: %+v", s.Name(), h)
			}
		}
	})
}

// TestHedgesAreFew: while every replica gets slower and slower, so that most
// answers are past what was usual, second requests are a twentieth of the reads,
// and what was saved up before.
func TestHedgesAreFew(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		data, hedges := hedgeRig(t, r)
		const reads, saved = 250, 10
		delay := 30 * time.Millisecond
		for range reads {
			delay += delay / 50
			for _, name := range r.names {
				r.slow(name, delay)
			}
			r.mustGet("k", data)
		}
		won, lost := hedges()
		if n := won + lost; n < saved || n > saved+reads/20 {
			t.Errorf("%v second requests for %d reads", n, reads)
		}
	})
}

// TestAHedgeServesOnlyWhatTheRowNames: a replica that lags is not asked, however
// slow the others are, and one that lost the object does not answer for them.
func TestAHedgeServesOnlyWhatTheRowNames(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		_, hedges := hedgeRig(t, r)
		r.wires["c"].plug(true)
		newer := content(2000, 2)
		r.mustPut("k", newer)
		synctest.Wait()
		r.wires["c"].plug(false)
		r.slow("c", 0)
		r.slow("a", time.Second)
		r.slow("b", time.Second)
		for range 20 {
			r.mustGet("k", newer)
		}
		if won, lost := hedges(); won+lost == 0 {
			t.Error("nothing was hedged")
		}
	})
}

// TestAHedgeThatFails leaves the read to the slow replica; one whose first
// replica fails meanwhile is served by the second.
func TestAHedgeThatFails(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		data, hedges := hedgeRig(t, r)
		failing := memory.Faults{Ops: []s3.OperationName{s3.GetObject}, ErrorRate: 1, Delay: 200 * time.Millisecond}
		r.servers["a"].SetFaults(failing)
		r.slow("b", 400*time.Millisecond)
		r.slow("c", 400*time.Millisecond)
		for range 15 {
			r.mustGet("k", data)
		}
		if won, lost := hedges(); won == 0 || lost == 0 {
			t.Errorf("won %v, lost %v", won, lost)
		}
		for _, name := range r.names {
			r.servers[name].SetFaults(failing)
		}
		if _, err := r.get("k"); err == nil {
			t.Error("read from replicas that all fail")
		}
	})
}
