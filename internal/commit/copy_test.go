package commit

import (
	"maps"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

func copiers() Config {
	cfg := config("A", "B", "C", "D")
	cfg.Copies, cfg.Composed = object.NewReplicas("A", "B", "C"), object.NewReplicas("A")
	return cfg
}

func TestAReplicaCopiesOnlyWhatTheSourceWas(t *testing.T) { // R11 match
	md5 := version(1)
	composed := version(1)
	composed.ETag = etag(1) + "-2"
	odd := version(1)
	odd.ETag = "x"
	for name, c := range map[string]struct {
		row    *oplog.Row
		source object.Info
		want   map[string]string
	}{
		"no row":   {nil, md5, map[string]string{"A": etag(1), "B": etag(1), "C": etag(1)}},
		"one lags": {row(md5, object.NewReplicas("A", "D")), md5, map[string]string{"A": etag(1)}},
		"an ETag of its own": {
			func() *oplog.Row {
				r := row(md5, object.NewReplicas("A", "B"))
				r.ETags = map[string]string{"B": "own"}
				return r
			}(),
			md5, map[string]string{"A": etag(1)},
		},
		"of parts":            {nil, composed, map[string]string{"A": etag(1) + "-2"}},
		"an ETag of no bytes": {nil, odd, map[string]string{}},
	} {
		if got := CopyPlan(copiers(), c.row, c.source); !maps.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	if CopyETag(md5) != etag(1) || CopyETag(composed) != "" {
		t.Error("the ETag of a copy")
	}
}

// copying plays a copy up to its release; B and C copy by themselves.
func copying(t *testing.T, etag string) *Write {
	t.Helper()
	cfg := config("A", "B", "C")
	w := NewWrite(cfg, Op{ID: id(5), Type: oplog.OpCopy, Stream: true, Direct: object.NewReplicas("B", "C")})
	r := row(version(1), cfg.Replicas)
	w.Step(at(0), Begin{Up: cfg.Replicas})
	eff := w.Step(at(0), RowRead{Row: r})
	if o := only[Open](t, eff); o.Replica != "A" {
		t.Fatalf("got %+v", o)
	}
	only[Accept](t, eff)
	w.Step(at(0), Verified{Info: object.Info{Size: 10, ETag: etag}})
	only[Swap](t, w.Step(at(0), RowRead{Row: r}))
	released := 0
	for _, e := range w.Step(at(0), Swapped{Outcome: Applied, Epoch: oplog.Epoch{7}}) {
		if _, ok := e.(Release); ok {
			released++
		}
	}
	if released != 3 {
		t.Fatalf("%d released", released)
	}
	return w
}

func copied(r, etag string) Answered { return Answered{Replica: r, Answer: Answer{ETag: etag}} }

func TestACopyOfAKnownETagIsTakenAtItsWord(t *testing.T) {
	w := copying(t, etag(3))
	for _, r := range []string{"A", "B"} {
		none[Head](t, w.Step(at(time.Second), copied(r, etag(3))))
	}
	next := only[Swap](t, w.Step(at(time.Second), copied("C", etag(4)))).Row // something else: ambiguous
	if !next.Good.Equal(object.NewReplicas("A", "B")) || !hasEntry(next.Unsettled, id(5), "C") {
		t.Fatalf("got %+v", next)
	}
}

func TestACopyThatNobodyKnowsIsLookedAt(t *testing.T) { // R11 copy, R13 spoilt
	w := copying(t, "")
	for _, r := range []string{"A", "B", "C"} {
		only[Head](t, w.Step(at(time.Second), copied(r, etag(3))))
	}
	mine := object.Seen{Info: object.Info{ID: id(5), Kind: object.Present, Size: 10, ETag: etag(3)}}
	w.Step(at(time.Second), Showed{Replica: "A", Seen: mine})
	halved := mine
	halved.Size = 5
	w.Step(at(time.Second), Showed{Replica: "B", Seen: halved})
	next := only[Swap](t, w.Step(at(time.Second), Showed{Replica: "C", Seen: seen(version(1))})).Row
	if !next.Good.Equal(object.NewReplicas("A")) || !hasEntry(next.Unsettled, id(5), "B") || hasEntry(next.Unsettled, id(5), "C") {
		t.Fatalf("half of the write is neither a yes nor a no: %+v", next)
	}
}

func TestHalfOfACopyIsNoRefusal(t *testing.T) { // R13 spoilt
	w := copying(t, "")
	for _, r := range []string{"A", "B"} {
		w.Step(at(time.Second), Answered{Replica: r, Answer: Answer{Class: No}})
	}
	w.Step(at(time.Second), copied("C", etag(3)))
	halved := object.Seen{Info: object.Info{ID: id(5), Kind: object.Present, Size: 5, ETag: etag(3)}}
	eff := w.Step(at(time.Second), Showed{Replica: "C", Seen: halved})
	none[Swap](t, eff)
	if res := only[Done](t, eff).Result; res.Kind != Doubt {
		t.Fatalf("got %+v", res)
	}
}

func TestABrokenCopyLeavesOnlyWhatItStreams(t *testing.T) {
	cfg := config("A", "B")
	w := NewWrite(cfg, Op{ID: id(5), Type: oplog.OpCopy, Stream: true, Direct: object.NewReplicas("B")})
	w.Step(at(0), Begin{Up: cfg.Replicas})
	w.Step(at(0), RowRead{Row: row(version(1), cfg.Replicas)})
	if l := only[Leave](t, w.Step(at(0), Broken{})); l.Replica != "A" {
		t.Fatalf("got %+v", l)
	}
}

func TestAPartThatReplicasCopyThemselves(t *testing.T) {
	cfg := config("A", "B")
	p := NewPart(cfg, oplog.Part{Upload: id(theUpload), Number: 1, Attempt: id(1)}, object.NewReplicas("B"))
	p.Step(at(0), Begin{Up: cfg.Replicas})
	eff := p.Step(at(0), UploadRead{Record: openUpload("A", "B")})
	if o := only[Open](t, eff); o.Replica != "A" {
		t.Fatalf("got %+v", o)
	}
	p.Step(at(0), Verified{Info: object.Info{Size: 5}})
	p.Step(at(0), copied("A", etag(3)))
	leave := only[SwapUpload](t, p.Step(at(0), copied("B", etag(4)))) // they differ: one has other bytes
	if !leave.Record.In.Equal(object.NewReplicas("A")) {
		t.Fatalf("got %+v", leave.Record)
	}
	if add := only[AddPart](t, p.Step(at(0), UploadSwapped{Outcome: Applied})).Part; add.ETag != etag(3) {
		t.Fatalf("got %+v", add)
	}
}
