package commit

import (
	"slices"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// scrubbing plays a whole look at one key of the replicas A, B and C.
type scrubbing struct {
	cfg    Config
	op     Inspect
	first  *oplog.Row // as it is read first
	second *oplog.Row // and when it is looked at again
	shown  map[string]object.Seen
	sums   map[string]Summed
	took   time.Duration // between the two looks
	tags   map[string]object.Tags
	mute   object.Replicas // do not tell their tags
}

func scrubOf(shown map[string]object.Seen) *scrubbing {
	cfg := config("A", "B", "C")
	return &scrubbing{cfg: cfg, op: Inspect{Act: true, Trust: cfg.Serving}, shown: shown}
}

// play returns the verdict, and the row that was swapped in; nil: none was.
func (s *scrubbing) play(t *testing.T) (Verdict, *oplog.Row) {
	t.Helper()
	m := NewScrub(s.cfg)
	var swapped *oplog.Row
	now, reads, late := at(0), 0, time.Duration(0)
	queue := m.Step(now, s.op)
	for len(queue) > 0 {
		e := queue[0]
		queue = queue[1:]
		var ev Event
		switch e := e.(type) {
		case ReadRow:
			row := s.first
			if reads++; reads > 1 && !(s.op.Deep && reads == 2) {
				late += s.took
				now, row = at(late), s.second
			}
			ev = RowRead{Row: row}
		case Head:
			seen, ok := s.shown[e.Replica]
			ev = Showed{Replica: e.Replica, Seen: seen, Failed: !ok}
		case AskTags:
			ev = ToldTags{Replica: e.Replica, Tags: s.tags[e.Replica], Failed: s.mute.Has(e.Replica)}
		case Sum:
			sum, ok := s.sums[e.Replica]
			if sum.Replica = e.Replica; !ok {
				sum.Sum = "right"
			}
			ev = sum
		case Swap:
			swapped = e.Row
			ev = Swapped{Outcome: Applied, Epoch: oplog.Epoch{9}}
		case Inspected:
			if !m.Over() {
				t.Fatal("it goes on behind its end")
			}
			return e.Verdict, swapped
		case Alarm:
			continue
		default:
			t.Fatalf("effect %T", e)
		}
		queue = append(queue, m.Step(now, ev)...)
	}
	t.Fatal("it stands still")
	return Verdict{}, nil
}

func (v Verdict) is(state State, faults ...string) bool {
	var got []string
	for _, f := range v.Faults {
		got = append(got, f.Replica+" "+string(f.What))
	}
	return v.State == state && slices.Equal(got, faults)
}

func all(s object.Seen) map[string]object.Seen { return map[string]object.Seen{"A": s, "B": s, "C": s} }

func TestScrubFindsNothingWhereReplicasAreAlike(t *testing.T) {
	for _, shown := range []map[string]object.Seen{all(seen(version(1))), all(object.Seen{})} {
		for _, deep := range []bool{false, true} {
			s := scrubOf(shown)
			s.op.Deep = deep
			if v, row := s.play(t); !v.is(Alike) || row != nil {
				t.Errorf("%+v, %+v", v, row)
			}
		}
	}
}

func TestScrubLeavesWhatTheRowSees(t *testing.T) {
	s := scrubOf(all(object.Seen{}))
	s.first = row(version(1), object.NewReplicas("A"))
	s.second = s.first
	if v, next := s.play(t); !v.is(Pending) || next != nil {
		t.Errorf("%+v, %+v", v, next)
	}
}

// A write that came while the replicas were asked has a row then: what they showed is of
// before and of after.
func TestScrubLooksAtTheRowAgain(t *testing.T) { // S1
	s := scrubOf(with(all(seen(version(1))), "B", seen(version(2))))
	s.second = row(version(2), object.NewReplicas("B"))
	if v, next := s.play(t); v.State == Differs || next != nil {
		t.Errorf("%+v, %+v", v, next)
	}
	s = scrubOf(with(all(seen(version(1))), "B", seen(version(2))))
	s.took = s.cfg.Times.Retention // it may have been dropped again
	if v, next := s.play(t); !v.is(Unknowing) || next != nil {
		t.Errorf("%+v, %+v", v, next)
	}
}

func TestDataWinsOverAbsence(t *testing.T) { // S2
	s := scrubOf(map[string]object.Seen{"A": {}, "B": seen(version(1)), "C": {}})
	v, next := s.play(t)
	if !v.is(Differs, "A missing", "C missing") || next == nil || next.Cur.ID != id(1) || next.Cur.Ver != 0 || !next.Good.Equal(object.NewReplicas("B")) {
		t.Errorf("%+v, %+v", v, next)
	}
}

// What a replica alone holds that is made like the others is taken away, once everyone
// whose word counts has shown that it is not there.
func TestOnlyAnAbsenceThatAllShowTakesAway(t *testing.T) { // S3
	s := scrubOf(map[string]object.Seen{"A": {}, "B": {}, "C": seen(version(1))})
	s.cfg.Serving = object.NewReplicas("A", "B")
	s.op.Trust, s.op.Fill = s.cfg.Serving, object.NewReplicas("C")
	v, next := s.play(t)
	if !v.is(Differs, "C extra") || next == nil || next.Cur.Kind != object.Tombstone || !next.Good.Equal(object.NewReplicas("A", "B")) {
		t.Errorf("%+v, %+v", v, next)
	}
	s.shown = map[string]object.Seen{"A": {}, "C": seen(version(1))}
	if v, next := s.play(t); v.State != Undecided || next != nil {
		t.Errorf("B did not say: %+v, %+v", v, next)
	}
	s.shown = map[string]object.Seen{"C": seen(version(1))}
	if v, next := s.play(t); v.State != Unknowing || next != nil {
		t.Errorf("nobody who counts has spoken: %+v, %+v", v, next)
	}
	s.op.Fill = nil // its word does not count, and nobody asks for it to be filled
	s.shown = map[string]object.Seen{"A": {}, "B": {}, "C": seen(version(1))}
	if v, next := s.play(t); !v.is(Alike) || next != nil {
		t.Errorf("%+v, %+v", v, next)
	}
}

func TestScrubChoosesBetweenObjects(t *testing.T) {
	foreign := func(n byte, at time.Duration) object.Seen {
		return object.Seen{Info: object.Info{Kind: object.Present, ETag: etag(n), Size: 10, ModTime: wall0.Add(at)}}
	}
	stamped := func(n byte, at time.Duration) object.Seen {
		s := seen(version(n))
		s.Ver, s.Uploaded = 0, wall0.Add(at)
		return s
	}
	for name, c := range map[string]struct {
		shown  map[string]object.Seen
		prefer string
		state  State
		right  object.Replicas
	}{
		"the most":          {with(all(foreign(1, 0)), "B", stamped(2, time.Hour)), "", Differs, object.NewReplicas("A", "C")},
		"the preferred":     {with(all(foreign(1, 0)), "B", foreign(2, 0)), "B", Differs, object.NewReplicas("B")},
		"ours":              {map[string]object.Seen{"A": foreign(1, time.Hour), "B": stamped(2, 0), "C": {}}, "", Differs, object.NewReplicas("B")},
		"the later version": {map[string]object.Seen{"A": seen(version(1)), "B": seen(version(2)), "C": {}}, "", Differs, object.NewReplicas("B")},
		"the later upload":  {map[string]object.Seen{"A": stamped(1, time.Hour), "B": stamped(2, 0), "C": {}}, "", Differs, object.NewReplicas("A")},
		"the newer":         {map[string]object.Seen{"A": foreign(1, 0), "B": foreign(2, time.Second), "C": {}}, "", Differs, object.NewReplicas("B")},
		"nobody":            {map[string]object.Seen{"A": foreign(1, 0), "B": foreign(2, 0), "C": {}}, "", Undecided, nil},
		"not without C":     {map[string]object.Seen{"A": seen(version(1)), "B": seen(version(2))}, "", Undecided, nil},
	} {
		s := scrubOf(c.shown)
		s.op.Prefer = c.prefer
		v, next := s.play(t)
		if v.State != c.state || (next == nil) != (c.right == nil) || next != nil && !next.Good.Equal(c.right) {
			t.Errorf("%s: %+v, %+v", name, v, next)
		}
	}
}

func TestScrubByAQuietRow(t *testing.T) {
	s := scrubOf(with(all(seen(version(2))), "B", seen(version(1))))
	s.first = row(version(2), s.cfg.Replicas)
	s.second = s.first
	v, next := s.play(t)
	if !v.is(Differs, "B etag") || next == nil || !next.Good.Equal(object.NewReplicas("A", "C")) || next.Cur.Ver != 2 {
		t.Errorf("%+v, %+v", v, next)
	}
	s.op.Act = false
	if v, next := s.play(t); !v.is(Differs, "B etag") || next != nil {
		t.Errorf("%+v, %+v", v, next)
	}
	s.shown = all(seen(version(1)))
	if v, next := s.play(t); v.State != Alike && v.State != Undecided || next != nil {
		t.Errorf("nobody shows the version: %+v, %+v", v, next)
	}
	s.first.ETags, s.shown = map[string]string{"B": "other-2"}, with(all(seen(version(2))), "B", object.Seen{Info: object.Info{ID: id(2), Kind: object.Present, ETag: "other-2", Size: 10}})
	if v, next := s.play(t); !v.is(Alike) || next != nil {
		t.Errorf("an ETag of its own form: %+v, %+v", v, next)
	}
}

func TestDeepScrubNamesWhoIsRotten(t *testing.T) {
	proof := func(sum string, p Proof) Summed { return Summed{Sum: sum, Proof: p} }
	for name, c := range map[string]struct {
		sums   map[string]Summed
		state  State
		rotten object.Replicas
	}{
		"most are alike":        {map[string]Summed{"B": proof("rot", Unproved)}, Differs, object.NewReplicas("B")},
		"its checksum says so":  {map[string]Summed{"B": proof("rot", Disproved)}, Differs, object.NewReplicas("B")},
		"one is proved":         {map[string]Summed{"A": proof("a", Proved), "B": proof("rot", Unproved), "C": proof("rot", Unproved)}, Differs, object.NewReplicas("B", "C")},
		"all differ":            {map[string]Summed{"A": proof("a", Unproved), "B": proof("b", Unproved)}, Undecided, nil},
		"two are proved":        {map[string]Summed{"A": proof("a", Proved), "B": proof("b", Proved)}, Undecided, nil},
		"all are disproved":     {map[string]Summed{"A": proof("a", Disproved), "B": proof("a", Disproved), "C": proof("a", Disproved)}, Undecided, nil},
		"one cannot be read":    {map[string]Summed{"B": {Failed: true}}, Alike, nil},
		"most, and one is away": {map[string]Summed{"A": {Failed: true}, "B": proof("rot", Disproved)}, Differs, object.NewReplicas("B")},
	} {
		for _, quiet := range []bool{false, true} {
			s := scrubOf(all(seen(version(1))))
			s.op.Deep, s.sums = true, c.sums
			if quiet {
				s.first = row(version(1), s.cfg.Replicas)
				s.second = s.first
			}
			v, next := s.play(t)
			if v.State != c.state || (next == nil) != (c.rotten == nil) {
				t.Errorf("%s: %+v, %+v", name, v, next)
			}
			if next != nil && (!next.Rotten.Equal(c.rotten) || !next.Good.Equal(s.cfg.Replicas.Minus(c.rotten))) {
				t.Errorf("%s: %+v", name, next)
			}
		}
	}
}

// rottenRow is a key whose copy on B has other bytes, and shows what it should.
func rottenRow(unsettled ...oplog.Entry) *oplog.Row {
	r := row(version(2), object.NewReplicas("A"), unsettled...)
	r.Rotten = object.NewReplicas("B")
	return r
}

func TestRepairCopiesToWhoIsRotten(t *testing.T) { // S4
	_, eff := visit(t, config("A", "B"), &Memory{}, at(0), rottenRow(), map[string]object.Seen{"A": seen(version(2)), "B": seen(version(2))})
	none[Swap](t, eff)
	if c := only[Copy](t, eff); c.Target != "B" || !c.Sources.Equal(object.NewReplicas("A")) {
		t.Fatalf("got %+v", c)
	}
}

// The copy that is to end the rot is in doubt: what B shows it showed before.
func TestRepairSettlesNothingByWhatRottenCopiesShow(t *testing.T) { // S5
	e := entry(2, object.Present, "B")
	e.Op, e.Type = id(9), oplog.OpHeal
	_, eff := visit(t, config("A", "B"), &Memory{}, at(0), rottenRow(e), map[string]object.Seen{"A": seen(version(2)), "B": seen(version(2))})
	none[Swap](t, eff)
	only[Examined](t, eff)
}

// What stood under a key before its row is good where reads may go: a replica that is
// filled again may lack it.
func TestTheBaseOfARowIsOfThoseThatServe(t *testing.T) { // R28
	cfg := config("A", "B", "C")
	cfg.Serving = object.NewReplicas("A", "B")
	w := NewWrite(cfg, Op{ID: id(1), Type: oplog.OpPut, Info: object.Info{Size: 10, ETag: etag(1)}})
	eff := w.Step(at(0), Begin{Up: cfg.Replicas})
	for len(eff) > 0 {
		if s, ok := eff[0].(Swap); ok {
			if !s.Row.Good.Equal(cfg.Serving) || !s.Row.Intent.Reps.Equal(cfg.Replicas) {
				t.Fatalf("got %+v", s.Row)
			}
			return
		}
		switch eff[0].(type) {
		case ReadRow:
			eff = w.Step(at(0), RowRead{})
		case Accept:
			eff = w.Step(at(0), Verified{Info: object.Info{Size: 10, ETag: etag(1)}})
		default:
			eff = eff[1:]
		}
	}
	t.Fatal("no intent was placed")
}

// A newer version ends the rot of the one before.
func TestANewVersionIsNotRotten(t *testing.T) {
	r := rottenRow()
	r.Intent = &oplog.Intent{Op: id(3), ID: id(3), Ver: 3, Kind: object.Present, Type: oplog.OpPut, Nonce: id(3), Reps: object.NewReplicas("A", "B"), Info: version(3)}
	next := helped(r, object.NewReplicas("A"), seen(version(3)), config("A", "B"), at(0))
	if len(next.Rotten) != 0 || next.Cur.ID != id(3) {
		t.Fatalf("got %+v", next)
	}
}

// A change of tags that a replica missed, or that somebody made there, shows in nothing else.
func TestADeepScrubComparesTags(t *testing.T) {
	tagged := func(a, b, c object.Tags) *scrubbing {
		s := scrubOf(all(seen(version(1))))
		s.cfg.Bare, s.op.Deep, s.tags = nil, true, map[string]object.Tags{"A": a, "B": b, "C": c}
		return s
	}
	known := func(s *scrubbing, tags object.Tags) *scrubbing {
		s.first = row(version(1), s.cfg.Replicas)
		s.first.Cur.Tags, s.first.Tagged = tags, true
		s.second = s.first
		return s
	}
	for name, c := range map[string]struct {
		s      *scrubbing
		state  State
		want   object.Tags
		faults []string
	}{
		"alike":                     {tagged(red, red, red), Alike, nil, nil},
		"none anywhere":             {tagged(nil, nil, nil), Alike, nil, nil},
		"most of them":              {tagged(red, blue, red), Differs, red, []string{"B tags"}},
		"most have none":            {tagged(nil, blue, nil), Differs, nil, []string{"B tags"}},
		"the row":                   {known(tagged(red, blue, red), blue), Differs, blue, []string{"A tags", "C tags"}},
		"the row, of one":           {known(tagged(red, red, nil), red), Differs, red, []string{"C tags"}},
		"nobody knows":              {tagged(red, blue, object.Tags{"x": "y"}), Undecided, nil, []string{"A tags", "B tags", "C tags"}},
		"a change of tags was seen": {known(tagged(blue, blue, blue), blue), Alike, nil, nil},
	} {
		v, next := c.s.play(t)
		if !v.is(c.state, c.faults...) || (next != nil) != (c.state == Differs) {
			t.Errorf("%s: %+v, %+v", name, v, next)
			continue
		}
		if next == nil {
			continue
		}
		var wrong object.Replicas
		for _, f := range v.Faults {
			wrong = wrong.With(f.Replica)
		}
		if !next.Tagged || !next.Cur.Tags.Equal(c.want) || !next.Mistagged.Equal(wrong) || !next.Good.Equal(c.s.cfg.Replicas) {
			t.Errorf("%s: %+v", name, next)
		}
	}

	// Of two the one that has some.
	s := tagged(nil, red, nil)
	s.shown = with(s.shown, "C", object.Seen{})
	s.cfg.Replicas, s.cfg.Serving = object.NewReplicas("A", "B"), object.NewReplicas("A", "B")
	s.op.Trust = s.cfg.Serving
	if v, next := s.play(t); !v.is(Differs, "A tags") || !next.Cur.Tags.Equal(red) {
		t.Errorf("%+v, %+v", v, next)
	}
	// Who keeps none is not asked, and who does not tell is named.
	s = tagged(red, nil, red)
	s.cfg.Bare = object.NewReplicas("B")
	if v, _ := s.play(t); !v.is(Alike) {
		t.Errorf("%+v", v)
	}
	s = tagged(red, nil, red)
	s.mute = object.NewReplicas("B")
	if v, _ := s.play(t); !v.is(Alike) || !v.Silent.Equal(s.mute) {
		t.Errorf("%+v", v)
	}
	// A scrub of listings asks nobody, and a write that came meanwhile takes what was told away.
	s = tagged(red, blue, red)
	s.op.Deep = false
	if v, next := s.play(t); !v.is(Alike) || next != nil {
		t.Errorf("%+v, %+v", v, next)
	}
	s = tagged(red, blue, red)
	s.second = row(version(2), object.NewReplicas("B"))
	if v, next := s.play(t); v.State == Differs || next != nil {
		t.Errorf("%+v, %+v", v, next)
	}
}
