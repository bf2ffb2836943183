package main

import (
	"fmt"
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	e := experiment{rows: []row{
		{id: "most", target: "≤ 1.10", limit: 1.10, show: times, value: ratio("a", "b")},
		{id: "least", target: "≥ 0.85", limit: 0.85, least: true, show: times, value: rate("a", "b")},
		{id: "none", show: seconds, value: cpuOf("a")},
	}}
	var rounds []round
	for _, wall := range []time.Duration{13, 10, 11} {
		rounds = append(rounds, round{foreign: 0.01 * float64(wall), turns: map[string]measure{
			"a": {wall: wall * time.Second, ops: 10, cpu: wall * time.Second},
			"b": {wall: 10 * time.Second, ops: 10},
		}})
	}
	found := e.judge(rounds, 2, true)
	got := ""
	for _, f := range found {
		got += fmt.Sprintln(f.ID, f.Value, f.Low, f.High, f.Verdict, f.Rounds, f.Void, f.Foreign, f.Dirty)
	}
	want := `most 1.10x 1.00x 1.30x met 3 2 0.13 true
least 0.91x 0.77x 1.00x met 3 2 0.13 true
none 11.00 s 10.00 s 13.00 s  3 2 0.13 true
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	e.rows[0].limit, e.rows[1].limit = 1.09, 0.95
	for _, f := range e.judge(rounds, 0, false)[:2] {
		if f.Verdict != "missed" {
			t.Errorf("%s: %s is not said to be missed", f.ID, f.Value)
		}
	}
}

func TestMedianOfEvenNumber(t *testing.T) {
	if got := median([]float64{1, 2, 4, 8}); got != 3 {
		t.Errorf("median %v", got)
	}
}

func TestChoose(t *testing.T) {
	all := []experiment{{name: "a", rows: []row{{id: "a.x"}, {id: "a.y"}}}, {name: "b", rows: []row{{id: "b.x"}}}, {name: "c", apart: true, rows: []row{{id: "c.x"}}}}
	for names, want := range map[string]string{"": "a.x a.y b.x ", "a": "a.x a.y ", "b,a.y": "a.y b.x ", "d": "", "c": "c.x "} {
		got := ""
		for _, e := range choose(all, fields(names)) {
			for _, r := range e.rows {
				got += r.id + " "
			}
		}
		if got != want {
			t.Errorf("%q chooses %q, want %q", names, got, want)
		}
	}
}

// TestLeft: 1 ms an operation direct, so 2 ms through at a target of 0.5, of which
// client and backends take 1.5.
func TestLeft(t *testing.T) {
	r := left(row{id: "r", limit: 0.5}, "through", "straight")
	got := r.value(map[string]measure{
		"straight": {ops: 10, rest: 10 * time.Millisecond},
		"through":  {ops: 10, rest: 15 * time.Millisecond, cpu: 30 * time.Millisecond},
	})
	if r.id != "r-left" || r.target != "" || got != 0.5 {
		t.Errorf("%s leaves %v ms", r.id, got)
	}
}
