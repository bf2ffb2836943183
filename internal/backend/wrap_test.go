package backend_test

import (
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/backend/backendtest"
)

func TestStack(t *testing.T) {
	_, u := newServer(t)
	backendtest.Run(t, func(t *testing.T) backendtest.Target {
		s := backend.Wrap(newRemote(t, u), backend.WrapOptions{Metrics: backend.NewMetrics(prometheus.NewRegistry())})
		t.Cleanup(func() {
			if h := s.Breaker.Health(); h.State != backend.Up || h.LastSuccess.IsZero() || h.InFlight != 0 || h.Latency == 0 {
				t.Errorf("after the suite: %+v", h)
			}
		})
		return backendtest.Target{Endpoint: s, Bucket: "suite-stack", MinPart: minPart}
	})
}

func TestStackPaced(t *testing.T) {
	_, u := newServer(t)
	backendtest.Run(t, func(t *testing.T) backendtest.Target {
		s := backend.Wrap(newRemote(t, u), backend.WrapOptions{Limits: backend.NewLimits(1<<40, 1e6)})
		return backendtest.Target{Endpoint: s.Paced, Bucket: "suite-paced", MinPart: minPart}
	})
}

// TestFaultyNetwork drives a whole stack through each way in which an exchange
// fails: reads come through, and mutations tell the truth.
func TestFaultyNetwork(t *testing.T) {
	_, u := newServer(t)
	faults := &backendtest.Faults{}
	s := backend.Wrap(newRemote(t, u, func(o *backend.Options) { o.Wire, o.Dial = faults.Wire, faults.Dial }), backend.WrapOptions{})
	if err := s.CreateBucket(bg, "bucket"); err != nil {
		t.Fatal(err)
	}
	old, data := []byte("old"), []byte("the new one")
	put := func(data []byte) error {
		_, err := s.Put(bg, putRequest(data, literal(data)))
		return err
	}
	stands := func(want []byte) {
		t.Helper()
		faults.Plan(nil)
		seen, err := s.Head(bg, "bucket", "key")
		if err != nil || seen.Size != int64(len(want)) {
			t.Errorf("%d bytes stand, want %d: %v", seen.Size, len(want), err)
		}
	}
	for _, test := range []struct {
		fault backendtest.Fault
		put   backend.Outcome
		after []byte
		del   backend.Outcome
	}{
		{backendtest.Fault{Kind: backendtest.Refuse}, backend.NotSent, old, backend.NotSent},
		{backendtest.Fault{Kind: backendtest.CutUpload, After: 5}, backend.NotSent, old, backend.OK},
		// Broken off behind its last byte, it may have been applied or not.
		{backendtest.Fault{Kind: backendtest.CutUpload, After: 11}, backend.Ambiguous, nil, backend.OK},
		{backendtest.Fault{Kind: backendtest.DropAnswer}, backend.Ambiguous, data, backend.Ambiguous},
		{backendtest.Fault{Kind: backendtest.Delay, For: time.Millisecond}, backend.OK, data, backend.OK},
	} {
		faults.Plan(nil)
		if err := put(old); err != nil {
			t.Fatal(err)
		}
		faults.Once(http.MethodPut, test.fault)
		if err := put(data); backend.OutcomeOf(err) != test.put {
			t.Errorf("put, %v: %v", test.fault, err)
		}
		if test.after != nil {
			stands(test.after)
		}
		faults.Once(http.MethodHead, test.fault)
		if _, err := s.Head(bg, "bucket", "key"); err != nil {
			t.Errorf("head, %v: %v", test.fault, err)
		}
		faults.Once(http.MethodDelete, test.fault)
		if err := s.Delete(bg, "bucket", "key"); backend.OutcomeOf(err) != test.del {
			t.Errorf("delete, %v: %v", test.fault, err)
		}
	}
	for _, k := range []backendtest.Kind{backendtest.Refuse, backendtest.CutUpload, backendtest.DropAnswer, backendtest.Delay} {
		if faults.Hits(k) == 0 {
			t.Errorf("%s never happened", k)
		}
	}
}

// TestCutAnswer: a body that breaks off is an error, and counts against the
// endpoint.
func TestCutAnswer(t *testing.T) {
	_, u := newServer(t)
	faults := &backendtest.Faults{}
	s := backend.Wrap(newRemote(t, u, func(o *backend.Options) { o.Wire, o.Dial = faults.Wire, faults.Dial }), backend.WrapOptions{})
	if err := s.CreateBucket(bg, "bucket"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(bg, putRequest([]byte("0123456789"), literal([]byte("0123456789")))); err != nil {
		t.Fatal(err)
	}
	faults.Once(http.MethodGet, backendtest.Fault{Kind: backendtest.CutAnswer, After: 4})
	obj, err := s.Get(bg, "bucket", "key", backend.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n := s.Breaker.Health().InFlight; n != 1 {
		t.Errorf("%d in flight with an open body", n)
	}
	defer func() {
		obj.Body.Close()
		obj.Body.Close()
		if n := s.Breaker.Health().InFlight; n != 0 {
			t.Errorf("%d in flight", n)
		}
	}()
	var got []byte
	buf := make([]byte, 3)
	for err == nil {
		var n int
		n, err = obj.Body.Read(buf)
		got = append(got, buf[:n]...)
	}
	if string(got) != "0123" || !errors.Is(err, backendtest.ErrLost) {
		t.Errorf("%q, %v", got, err)
	}
	if h := s.Breaker.Health(); h.State != backend.Degraded || h.LastError == nil {
		t.Errorf("%+v", h)
	}
}

// TestMetrics: every series is there from the start, and counts attempts on the
// wire: what an open breaker refuses is none.
func TestMetrics(t *testing.T) {
	_, u := newServer(t)
	reg := prometheus.NewRegistry()
	s := backend.Wrap(newRemote(t, u), backend.WrapOptions{
		Metrics: backend.NewMetrics(reg),
		Breaker: backend.BreakerOptions{Log: slog.New(slog.DiscardHandler)},
	})
	all, counted := gather(t, reg)
	if want := len(backend.Ops)*len(backend.Outcomes) + 1 + 2; all != want || !maps.Equal(counted, map[string]float64{"up": 1}) {
		t.Errorf("at the start %d series, want %d: %v", all, want, counted)
	}
	if err := s.CreateBucket(bg, "bucket"); err != nil {
		t.Fatal(err)
	}
	s.Delete(bg, "no-such-bucket", "key")
	s.Breaker.Open(errors.New("a test"))
	s.Delete(bg, "bucket", "key")
	if _, counted = gather(t, reg); !maps.Equal(counted, map[string]float64{"create_bucket ok": 1, "delete refused": 1}) {
		t.Errorf("counted %v", counted)
	}
}

// gather counts the series of counters and gauges, and returns those above
// zero by operation and outcome.
func gather(t *testing.T, reg *prometheus.Registry) (all int, positive map[string]float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	positive = map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name, v := "up", m.GetGauge().GetValue()
			if m.GetCounter() != nil {
				name, v = "", m.GetCounter().GetValue()
				for _, l := range m.GetLabel()[1:] {
					name = strings.TrimSpace(name + " " + l.GetValue())
				}
			}
			if m.GetHistogram() == nil {
				all++
			}
			if v > 0 {
				positive[name] = v
			}
		}
	}
	return all, positive
}
