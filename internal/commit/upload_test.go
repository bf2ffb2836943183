package commit

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// theUpload is the id of the upload of these tests.
const theUpload = 90

// bytes of part n have this ETag.
func onePart(number int, attempt byte, holders ...string) oplog.Part {
	p := oplog.Part{
		Upload: id(theUpload), Number: number, Attempt: id(attempt), Added: wall0, Size: 5,
		ETag: etag(attempt), ETags: map[string]string{},
	}
	for _, r := range holders {
		p.ETags[r] = etag(attempt)
	}
	return p
}

func openUpload(replicas ...string) *UploadRecord {
	u := &UploadRecord{State: UploadOpen, Created: wall0, Since: wall0, IDs: map[string]string{}, In: object.NewReplicas(replicas...)}
	for _, r := range replicas {
		u.IDs[r] = "u-" + r
	}
	return u
}

func TestChoose(t *testing.T) {
	all := []string{"A", "B"}
	at := func(p oplog.Part, d time.Duration) oplog.Part { p.Added = wall0.Add(d); return p }
	one, two := onePart(1, 1, all...), onePart(3, 2, all...)
	list := []Named{{1, etag(1)}, {3, etag(2)}}
	for name, c := range map[string]struct {
		have []oplog.Part
		list []Named
		reps string // or the code
		etag string // that A is given for the first part
	}{
		"whole, with a gap":          {[]oplog.Part{one, two}, list, "[A B]", etag(1)},
		"some of the parts":          {[]oplog.Part{one, two}, list[1:], "[A B]", etag(2)},
		"empty":                      {[]oplog.Part{one}, nil, "MalformedXML", ""},
		"out of order":               {[]oplog.Part{one, two}, []Named{list[1], list[0]}, "InvalidPartOrder", ""},
		"twice":                      {[]oplog.Part{one, two}, []Named{list[0], list[0]}, "InvalidPartOrder", ""},
		"unknown number":             {[]oplog.Part{one}, list, "InvalidPart", ""},
		"other ETag":                 {[]oplog.Part{one, two}, []Named{{1, etag(9)}}, "InvalidPart", ""},
		"one replica lacks a part":   {[]oplog.Part{one, onePart(3, 2, "B")}, list, "[B]", ""},
		"overwritten":                {[]oplog.Part{one, at(onePart(1, 7, all...), 3*time.Second), two}, list, "InvalidPart", ""},
		"overwritten, and back":      {[]oplog.Part{one, at(onePart(1, 7, all...), 3*time.Second), at(onePart(1, 1, "A"), 6*time.Second), two}, list, "[A]", etag(1)},
		"clocks cannot tell":         {[]oplog.Part{one, at(onePart(1, 7, all...), time.Second/2), two}, list, "[A B]", etag(1)},
		"the same bytes elsewhere":   {[]oplog.Part{onePart(1, 1, "A"), onePart(1, 1, "B"), two}, list, "[A B]", etag(1)},
		"a replica left":             {[]oplog.Part{one, onePart(3, 2, "A", "B", "C")}, list, "[A B]", etag(1)},
		"small, and not the last":    {[]oplog.Part{func() oplog.Part { p := one; p.Size = 4; return p }(), two}, list, "EntityTooSmall", ""},
		"small, and the last":        {[]oplog.Part{one, func() oplog.Part { p := two; p.Size = 0; return p }()}, list, "[A B]", etag(1)},
		"only one part, and small":   {[]oplog.Part{func() oplog.Part { p := one; p.Size = 1; return p }()}, list[:1], "[A B]", etag(1)},
		"an ETag that is no MD5 too": {[]oplog.Part{func() oplog.Part { p := one; p.ETag = "x"; return p }()}, []Named{{1, "x"}}, "[A B]", etag(1)},
	} {
		u := openUpload(all...)
		u.Headers = object.Headers{"content-type": "t"}
		got, code := Choose(u, c.have, c.list, 5)
		if fmt.Sprint(got.Reps) != c.reps && code != c.reps {
			t.Errorf("%s: got %v %q, want %s", name, got.Reps, code, c.reps)
		}
		if c.etag != "" && got.ETags["A"][0] != c.etag {
			t.Errorf("%s: A is given %v", name, got.ETags)
		}
		if code == "" && (len(got.Info.Parts) != len(c.list) || got.Info.Headers["content-type"] != "t") {
			t.Errorf("%s: %+v", name, got.Info)
		}
	}
	whole, _ := Choose(openUpload(all...), []oplog.Part{one, two}, list, 5)
	if whole.Info.ETag != "1ad7dfd342e37e2f608fa6a6aedb29d5-2" || whole.Info.Size != 10 { // of the bytes of both ETags
		t.Errorf("info %+v", whole.Info)
	}
	fewer, _ := Choose(openUpload(all...), []oplog.Part{one, two}, list[:1], 5)
	same, _ := Choose(openUpload("A"), []oplog.Part{two, one}, list, 5)
	if whole.List == fewer.List || whole.List != same.List || whole.List == "" {
		t.Errorf("lists %q %q %q", whole.List, fewer.List, same.List)
	}
	odd, _ := Choose(openUpload(all...), []oplog.Part{func() oplog.Part { p := one; p.ETag = "x"; return p }()}, []Named{{1, "x"}}, 5)
	if odd.Info.ETag != "" {
		t.Errorf("an ETag was made of what is no MD5: %q", odd.Info.ETag)
	}
}

func TestAPartGoesOnlyToReplicasThatHoldAll(t *testing.T) { // U11
	got, _ := Choose(openUpload("A", "B"), []oplog.Part{onePart(1, 1, "A"), onePart(2, 2, "A", "B")}, []Named{{1, etag(1)}, {2, etag(2)}}, 5)
	if !got.Reps.Equal(object.NewReplicas("A")) {
		t.Errorf("got %v", got.Reps)
	}
}

// ---- creation

func creating(t *testing.T, cfg Config) *Create {
	t.Helper()
	c := NewCreate(cfg, UploadRecord{Initiator: "root"})
	asked := 0
	for _, e := range c.Step(at(0), Begin{Up: cfg.Replicas}) {
		if _, ok := e.(Initiate); ok {
			asked++
		}
	}
	if asked != len(cfg.Replicas) {
		t.Fatalf("%d asked", asked)
	}
	return c
}

func made(r string) Initiated { return Initiated{Replica: r, UploadID: "u-" + r} }

func refusedBy(r, code string) Initiated {
	return Initiated{Replica: r, Answer: Answer{Class: No, Code: code}}
}

func TestCreateNamesWhatItMade(t *testing.T) {
	c := creating(t, config("A", "B", "C"))
	none[SwapUpload](t, c.Step(at(0), made("A")))
	none[SwapUpload](t, c.Step(at(0), refusedBy("B", "InvalidRequest")))
	next := only[SwapUpload](t, c.Step(at(0), made("C")))
	if r := next.Record; !next.Old.IsZero() || r.State != UploadOpen || !r.In.Equal(object.NewReplicas("A", "C")) || r.IDs["C"] != "u-C" || r.Initiator != "root" {
		t.Fatalf("got %+v", r)
	}
	res := only[Done](t, c.Step(at(0), UploadSwapped{Outcome: Applied, Epoch: oplog.Epoch{1}})).Result
	if res.Kind != Acked || res.No["B"] != "InvalidRequest" || !c.Over() {
		t.Fatalf("got %+v", res)
	}
}

func TestCreateDoesNotWaitForTheSlow(t *testing.T) {
	c := creating(t, config("A", "B"))
	none[SwapUpload](t, c.Step(at(0), made("A")))
	if next := only[SwapUpload](t, c.Step(at(2*time.Second), Fired{TimerFloor})); !next.Record.In.Equal(object.NewReplicas("A")) {
		t.Fatalf("got %+v", next.Record)
	}
	only[Done](t, c.Step(at(2*time.Second), UploadSwapped{Outcome: Applied}))
	if c.Over() {
		t.Fatal("over before all have answered")
	}
	if a := only[Abort](t, c.Step(at(3*time.Second), made("B"))); a.Replica != "B" || a.UploadID != "u-B" || !c.Over() {
		t.Fatalf("what is named by nobody must go: %+v", a)
	}
}

func TestCreateThatCannotMeetTheRule(t *testing.T) {
	cfg := config("A", "B")
	cfg.Ack.Need = 2
	c := creating(t, cfg)
	c.Step(at(0), made("A"))
	eff := c.Step(at(0), refusedBy("B", ""))
	if a := only[Abort](t, eff); a.UploadID != "u-A" {
		t.Errorf("got %+v", a)
	}
	if res := only[Done](t, eff).Result; res.Kind != Failed || !c.Over() {
		t.Errorf("got %+v", res)
	}
	c = NewCreate(cfg, UploadRecord{})
	if res := only[Done](t, c.Step(at(0), Begin{Up: object.NewReplicas("A")})).Result; res.Kind != Failed || !c.Over() {
		t.Errorf("got %+v", res)
	}
}

func TestCreateWithALogThatFails(t *testing.T) {
	inserted := func() *Create {
		c := creating(t, config("A"))
		only[SwapUpload](t, c.Step(at(0), made("A")))
		return c
	}
	c := inserted()
	eff := c.Step(at(0), UploadSwapped{Outcome: NotApplied})
	only[Abort](t, eff)
	if res := only[Done](t, eff).Result; res.Kind != Failed {
		t.Errorf("refused: %+v", res)
	}
	c = inserted()
	only[Sleep](t, c.Step(at(0), UploadSwapped{Outcome: Unknown}))
	only[ReadUpload](t, c.Step(at(0), Fired{TimerWait}))
	only[SwapUpload](t, c.Step(at(0), UploadRead{})) // not there: another insert settles it
	none[Done](t, c.Step(at(time.Second), UploadSwapped{Outcome: NotApplied}))
	only[ReadUpload](t, c.Step(at(time.Second), Fired{TimerWait}))
	none[Done](t, c.Step(at(time.Second), UploadRead{Failed: true}))
	only[ReadUpload](t, c.Step(at(time.Second), Fired{TimerWait}))
	if res := only[Done](t, c.Step(at(time.Second), UploadRead{Record: openUpload("A")})).Result; res.Kind != Acked {
		t.Errorf("it stood all the while: %+v", res)
	}
	c = inserted()
	eff = c.Step(at(11*time.Second), UploadSwapped{Outcome: Unknown})
	none[Abort](t, eff) // a record may come to name it
	if res := only[Done](t, eff).Result; res.Kind != Doubt {
		t.Errorf("unknown for too long: %+v", res)
	}
}

// ---- parts

func sending(t *testing.T, cfg Config, u *UploadRecord) (*Part, []Effect) {
	t.Helper()
	p := NewPart(cfg, oplog.Part{Upload: id(theUpload), Number: 1, Attempt: id(1)}, nil)
	only[ReadUpload](t, p.Step(at(0), Begin{Up: cfg.Replicas}))
	return p, p.Step(at(0), UploadRead{Record: u, Epoch: oplog.Epoch{1}})
}

func sent(t *testing.T, cfg Config, u *UploadRecord) *Part {
	t.Helper()
	p, eff := sending(t, cfg, u)
	only[Accept](t, eff)
	for _, e := range eff {
		if o, ok := e.(Open); ok && p.UploadID(o.Replica) != "u-"+o.Replica {
			t.Errorf("upload id %q", p.UploadID(o.Replica))
		}
	}
	released := 0
	for _, e := range p.Step(at(0), Verified{Info: object.Info{Size: 5, ETag: etag(1)}}) {
		if _, ok := e.(Release); ok {
			released++
		}
	}
	if released != len(u.In.And(cfg.Replicas)) {
		t.Fatalf("%d released", released)
	}
	return p
}

func (p *Part) says(r string, c AnswerClass) []Effect {
	return p.Step(at(time.Second), Answered{Replica: r, Answer: Answer{Class: c, ETag: etag(1)}})
}

func TestAPartIsRecordedWithItsHolders(t *testing.T) {
	p := sent(t, config("A", "B"), openUpload("A", "B"))
	none[AddPart](t, p.says("A", Yes))
	add := only[AddPart](t, p.says("B", Yes)).Part
	if add.ETag != etag(1) || add.Size != 5 || add.ETags["A"] != etag(1) || add.ETags["B"] != etag(1) || add.Added != at(time.Second).Wall {
		t.Fatalf("got %+v", add)
	}
	if res := only[Done](t, p.Step(at(time.Second), PartAdded{Applied})).Result; res.Kind != Acked || res.Info.ETag != etag(1) || !p.Over() {
		t.Fatalf("got %+v", res)
	}
}

func TestWhoLacksAPartLeavesFirst(t *testing.T) { // U12
	p := sent(t, config("A", "B"), openUpload("A", "B"))
	p.says("A", Yes)
	leave := only[SwapUpload](t, p.says("B", Ambiguous))
	if !leave.Record.In.Equal(object.NewReplicas("A")) || leave.Old != (oplog.Epoch{1}) {
		t.Fatalf("got %+v", leave.Record)
	}
	add := only[AddPart](t, p.Step(at(time.Second), UploadSwapped{Outcome: Applied, Epoch: oplog.Epoch{2}})).Part
	if _, has := add.ETags["B"]; has || len(add.ETags) != 1 {
		t.Fatalf("got %+v", add)
	}
}

func TestOthersLeftMeanwhile(t *testing.T) {
	p := sent(t, config("A", "B", "C"), openUpload("A", "B", "C"))
	p.says("A", Yes)
	p.says("B", Yes)
	only[SwapUpload](t, p.says("C", No))
	only[Sleep](t, p.Step(at(time.Second), UploadSwapped{Outcome: Conflict}))
	only[ReadUpload](t, p.Step(at(time.Second), Fired{TimerWait}))
	gone := openUpload("A", "B", "C")
	gone.In = object.NewReplicas("B", "C") // another part lost A
	leave := only[SwapUpload](t, p.Step(at(time.Second), UploadRead{Record: gone, Epoch: oplog.Epoch{7}}))
	if !leave.Record.In.Equal(object.NewReplicas("B")) || leave.Old != (oplog.Epoch{7}) {
		t.Fatalf("got %+v", leave.Record)
	}
	p.Step(at(time.Second), UploadSwapped{Outcome: Conflict})
	p.Step(at(time.Second), Fired{TimerWait})
	gone = openUpload("A", "B", "C")
	gone.In = object.NewReplicas("C")
	if res := only[Done](t, p.Step(at(time.Second), UploadRead{Record: gone})).Result; res.Kind != Failed {
		t.Fatalf("nobody holds all parts: %+v", res)
	}
}

func TestAPartThatFails(t *testing.T) {
	two := config("A", "B")
	two.Ack.Need = 2
	for name, play := range map[string]func() []Effect{
		"no upload": func() []Effect { _, eff := sending(t, two, nil); return eff },
		"aborted": func() []Effect {
			_, eff := sending(t, two, openUpload("A", "B").over(UploadAborted, at(0)))
			return eff
		},
		"done":           func() []Effect { _, eff := sending(t, two, openUpload("A", "B").over(UploadDone, at(0))); return eff },
		"too few are in": func() []Effect { _, eff := sending(t, two, openUpload("A")); return eff },
		"the log is down": func() []Effect {
			p := NewPart(two, oplog.Part{}, nil)
			p.Step(at(0), Begin{Up: two.Replicas})
			return p.Step(at(0), UploadRead{Failed: true})
		},
		"body broken": func() []Effect {
			p, _ := sending(t, two, openUpload("A", "B"))
			eff := p.Step(at(0), Broken{})
			if left := len(eff) - 1; left != 2 {
				t.Errorf("%d uploads were left", left)
			}
			return eff
		},
		"upload lost": func() []Effect {
			p, _ := sending(t, two, openUpload("A", "B"))
			return p.Step(at(0), Lost{Replica: "B", Answer: Answer{Class: No}})
		},
		"one says no": func() []Effect { p := sent(t, two, openUpload("A", "B")); return p.says("B", No) },
		"another ETag": func() []Effect {
			p := sent(t, two, openUpload("A", "B"))
			return p.Step(at(0), Answered{Replica: "B", Answer: Answer{ETag: etag(9)}})
		},
		"record refused": func() []Effect {
			p := sent(t, two, openUpload("A", "B"))
			p.says("A", Yes)
			p.says("B", Yes)
			return p.Step(at(time.Second), PartAdded{NotApplied})
		},
	} {
		if res := only[Done](t, play()).Result; res.Kind != Failed || res.Code == "" {
			t.Errorf("%s: got %+v", name, res)
		}
	}
}

func TestAPartDoesWithoutTheSlowOnlyAfterAGrace(t *testing.T) {
	p := sent(t, config("A", "B"), openUpload("A", "B"))
	none[SwapUpload](t, p.says("A", Yes))
	if leave := only[SwapUpload](t, p.Step(at(2*time.Second), Fired{TimerFloor})); !leave.Record.In.Equal(object.NewReplicas("A")) {
		t.Fatalf("got %+v", leave.Record)
	}
	// A stalled upload is let go before the release, if the part can do without it.
	p, _ = sending(t, config("A", "B"), openUpload("A", "B"))
	none[SwapUpload](t, p.Step(at(0), Stalled{Replica: "B", For: time.Second}))
	eff := p.Step(at(0), Stalled{Replica: "B", For: 2 * time.Second})
	none[Leave](t, eff)
	if leave := only[SwapUpload](t, eff); !leave.Record.In.Equal(object.NewReplicas("A")) || leave.Old != (oplog.Epoch{1}) {
		t.Errorf("got %+v", leave)
	}
	none[SwapUpload](t, p.Step(at(0), Stalled{Replica: "B", For: 3 * time.Second}))
	if l := only[Leave](t, p.Step(at(0), UploadSwapped{Outcome: Applied, Epoch: oplog.Epoch{2}})); l.Replica != "B" {
		t.Errorf("got %+v", l)
	}
	if eff := p.Step(at(0), Stalled{Replica: "A", For: time.Minute}); len(eff) != 0 {
		t.Errorf("the last one was let go: %+v", eff)
	}
	p.Step(at(0), Verified{Info: object.Info{Size: 5, ETag: etag(1)}})
	none[SwapUpload](t, p.says("A", Yes)) // the log knows already who left
	if p.state != ptAdd {
		t.Errorf("the record is not made: %v", p.state)
	}
	// Without enough answers the outcome is not known.
	p = sent(t, config("A"), openUpload("A"))
	none[Done](t, p.Step(at(2*time.Second), Fired{TimerFloor}))
	if res := only[Done](t, p.Step(at(12*time.Second), Fired{TimerKeep})).Result; res.Kind != Doubt {
		t.Errorf("got %+v", res)
	}
}

// two of three are needed.
func twoOf() Config {
	cfg := config("A", "B", "C")
	cfg.Ack.Need = 2
	return cfg
}

// leftBy is the record of an upload that replicas have left.
func leftBy(left ...string) *UploadRecord {
	u := openUpload("A", "B", "C")
	u.In = u.In.Minus(object.NewReplicas(left...))
	return u
}

// TestPartsThatDoWithoutDifferentReplicas: whoever comes second to the log has fewer to
// choose from, and waits for one of those rather than fail.
func TestPartsThatDoWithoutDifferentReplicas(t *testing.T) {
	conflict, retry := UploadSwapped{Outcome: Conflict}, Fired{TimerWait}
	// slow is a part that A and C took; B had its time, and meanwhile another part did without C.
	slow := func(t *testing.T) *Part {
		p := sent(t, twoOf(), leftBy())
		p.says("A", Yes)
		p.says("C", Yes)
		if leave := only[SwapUpload](t, p.Step(at(2*time.Second), Fired{TimerFloor})); !leave.Record.In.Equal(object.NewReplicas("A", "C")) {
			t.Fatalf("got %+v", leave.Record)
		}
		return p
	}
	t.Run("it answers", func(t *testing.T) {
		p := slow(t)
		p.Step(at(2*time.Second), conflict)
		p.Step(at(2*time.Second), retry)
		none[Done](t, p.Step(at(2*time.Second), UploadRead{Record: leftBy("C"), Epoch: oplog.Epoch{7}}))
		add := only[AddPart](t, p.says("B", Yes)).Part
		if len(add.ETags) != 3 || add.ETags["B"] != etag(1) {
			t.Errorf("got %+v", add)
		}
	})
	t.Run("it answers before the log does", func(t *testing.T) {
		p := slow(t)
		if eff := p.says("B", Yes); len(eff) != 0 {
			t.Errorf("got %+v", eff)
		}
		p.Step(at(2*time.Second), conflict)
		p.Step(at(2*time.Second), retry)
		if add := only[AddPart](t, p.Step(at(2*time.Second), UploadRead{Record: leftBy("C")})).Part; add.ETags["B"] != etag(1) {
			t.Errorf("got %+v", add)
		}
	})
	t.Run("it refuses", func(t *testing.T) {
		p := slow(t)
		p.Step(at(2*time.Second), conflict)
		p.Step(at(2*time.Second), retry)
		p.Step(at(2*time.Second), UploadRead{Record: leftBy("C")})
		if res := only[Done](t, p.says("B", No)).Result; res.Kind != Failed {
			t.Errorf("got %+v", res)
		}
	})
	t.Run("it never answers", func(t *testing.T) {
		p := slow(t)
		p.Step(at(2*time.Second), conflict)
		p.Step(at(2*time.Second), retry)
		p.Step(at(2*time.Second), UploadRead{Record: leftBy("C")})
		if res := only[Done](t, p.Step(at(12*time.Second), Fired{TimerKeep})).Result; res.Kind != Doubt {
			t.Errorf("got %+v", res)
		}
	})
	t.Run("its time ends while the log is asked", func(t *testing.T) {
		p := slow(t)
		p.Step(at(2*time.Second), conflict)
		none[Done](t, p.Step(at(12*time.Second), Fired{TimerKeep}))
		p.Step(at(12*time.Second), retry)
		if res := only[Done](t, p.Step(at(12*time.Second), UploadRead{Record: leftBy("C")})).Result; res.Kind != Doubt {
			t.Errorf("got %+v", res)
		}
	})
	t.Run("the log has its time anew", func(t *testing.T) {
		cfg := config("A", "B", "C", "D")
		cfg.Ack.Need = 2
		p := sent(t, cfg, openUpload("A", "B", "C", "D"))
		p.says("A", Yes)
		p.says("C", Yes)
		p.Step(at(2*time.Second), Fired{TimerFloor})
		p.Step(at(2*time.Second), conflict)
		p.Step(at(2*time.Second), retry)
		gone := openUpload("A", "B", "D")
		p.Step(at(2*time.Second), UploadRead{Record: gone, Epoch: oplog.Epoch{7}})
		late := at(2*time.Second + cfg.Times.LockWait)
		only[SwapUpload](t, p.Step(late, Answered{Replica: "B", Answer: Answer{ETag: etag(1)}}))
		only[Sleep](t, p.Step(late, conflict))
	})
}

// TestAStalledReplicaIsTakenOutInTheLogFirst: what else may happen before the log answers.
func TestAStalledReplicaIsTakenOutInTheLogFirst(t *testing.T) {
	stalled := func(t *testing.T) *Part {
		p, _ := sending(t, twoOf(), leftBy())
		only[SwapUpload](t, p.Step(at(0), Stalled{Replica: "B", For: 2 * time.Second}))
		return p
	}
	whole := Verified{Info: object.Info{Size: 5, ETag: etag(1)}}
	other := UploadSwapped{Outcome: Conflict}
	t.Run("another part did without another one", func(t *testing.T) {
		p := stalled(t)
		only[ReadUpload](t, p.Step(at(0), other))
		if eff := p.Step(at(0), UploadRead{Record: leftBy("C"), Epoch: oplog.Epoch{7}}); len(eff) != 0 {
			t.Errorf("both cannot be done without: %+v", eff)
		}
		p.Step(at(time.Second), whole)
		p.says("A", Yes)
		if add := only[AddPart](t, p.says("B", Yes)).Part; add.ETags["B"] != etag(1) {
			t.Errorf("got %+v", add)
		}
	})
	t.Run("another part did without it", func(t *testing.T) {
		p := stalled(t)
		p.Step(at(0), other)
		if l := only[Leave](t, p.Step(at(0), UploadRead{Record: leftBy("B"), Epoch: oplog.Epoch{7}})); l.Replica != "B" {
			t.Errorf("got %+v", l)
		}
	})
	t.Run("another attempt", func(t *testing.T) {
		p := stalled(t)
		p.Step(at(0), UploadSwapped{Outcome: Unknown})
		if again := only[SwapUpload](t, p.Step(at(0), UploadRead{Record: leftBy(), Epoch: oplog.Epoch{7}})); again.Old != (oplog.Epoch{7}) {
			t.Errorf("got %+v", again)
		}
	})
	t.Run("the log is away", func(t *testing.T) {
		p := stalled(t)
		p.Step(at(0), UploadSwapped{Outcome: NotApplied})
		if eff := p.Step(at(0), UploadRead{Failed: true}); len(eff) != 0 {
			t.Errorf("got %+v", eff)
		}
		only[SwapUpload](t, p.Step(at(0), Stalled{Replica: "B", For: 3 * time.Second}))
	})
	t.Run("the upload is over", func(t *testing.T) {
		p := stalled(t)
		p.Step(at(0), other)
		eff := p.Step(at(0), UploadRead{Record: openUpload("A").over(UploadAborted, at(0))})
		if res := only[Done](t, eff).Result; res.Code != codeNoSuchUpload || len(eff) != 4 {
			t.Errorf("got %+v", eff)
		}
	})
	t.Run("the body is whole", func(t *testing.T) {
		p := stalled(t)
		p.Step(at(time.Second), whole)
		p.says("A", Yes)
		if eff := p.says("C", Yes); len(eff) != 0 {
			t.Errorf("two things are asked of the log: %+v", eff)
		}
		none[SwapUpload](t, p.Step(at(time.Second), UploadSwapped{Outcome: Applied, Epoch: oplog.Epoch{2}}))
		if p.state != ptAdd {
			t.Errorf("the record is not made: %v", p.state)
		}
	})
	t.Run("the body is whole, and it is not known", func(t *testing.T) {
		p := stalled(t)
		p.Step(at(time.Second), whole)
		p.says("A", Yes)
		p.says("C", Yes)
		if eff := p.Step(at(time.Second), other); len(eff) != 0 {
			t.Errorf("the replica has its time as any other: %+v", eff)
		}
		if again := only[SwapUpload](t, p.Step(at(2*time.Second), Fired{TimerFloor})); !again.Record.In.Equal(object.NewReplicas("A", "C")) {
			t.Errorf("got %+v", again)
		}
	})
	t.Run("the client hangs up", func(t *testing.T) {
		p := stalled(t)
		only[Done](t, p.Step(at(time.Second), Broken{}))
		if eff := p.Step(at(time.Second), UploadSwapped{Outcome: Applied}); len(eff) != 0 {
			t.Errorf("got %+v", eff)
		}
	})
}

func TestAPartsRecordIsInsertedAgain(t *testing.T) {
	p := sent(t, config("A"), openUpload("A"))
	first := only[AddPart](t, p.says("A", Yes)).Part
	only[Sleep](t, p.Step(at(2*time.Second), PartAdded{Unknown}))
	again := only[AddPart](t, p.Step(at(2*time.Second), Fired{TimerWait})).Part
	if again.Added != first.Added || again.Attempt != first.Attempt {
		t.Errorf("two records of one name differ: %+v, %+v", first, again)
	}
	none[Done](t, p.Step(at(3*time.Second), PartAdded{NotApplied})) // the first may have been applied
	only[AddPart](t, p.Step(at(3*time.Second), Fired{TimerWait}))
	if res := only[Done](t, p.Step(at(20*time.Second), PartAdded{Unknown})).Result; res.Kind != Doubt {
		t.Errorf("got %+v", res)
	}
}

// ---- completion

type completion struct {
	t *testing.T
	c *Complete
	n byte
}

func completeOp(n byte, cond Condition) CompleteOp {
	chosen, code := Choose(openUpload("A", "B"), []oplog.Part{onePart(1, 1, "A", "B"), onePart(2, 2, "A", "B")}, []Named{{1, etag(1)}, {2, etag(2)}}, 5)
	if code != "" {
		panic(code)
	}
	return CompleteOp{ID: id(n), Upload: id(theUpload), Chosen: chosen, If: cond, Slow: time.Minute}
}

func uploads() Config {
	cfg := config("A", "B")
	cfg.Fences, cfg.Composed = object.NewReplicas("A"), cfg.Replicas
	cfg.Times.Remember, cfg.Times.UploadAge = time.Hour, 24*time.Hour
	return cfg
}

// completing plays a Complete up to the placing of its intent.
func completing(t *testing.T, op CompleteOp, u *UploadRecord, r *oplog.Row) (*completion, []Effect) {
	t.Helper()
	m := &completion{t: t, c: NewComplete(uploads(), op), n: 100}
	only[ReadUpload](t, m.c.Step(at(0), Begin{Up: object.NewReplicas("A", "B")}))
	eff := m.c.Step(at(0), UploadRead{Record: u, Epoch: oplog.Epoch{1}})
	if len(eff) == 1 {
		if _, over := eff[0].(Done); over {
			return m, eff
		}
	}
	only[ReadRow](t, eff)
	eff = m.c.Step(at(0), RowRead{Row: r})
	if _, read := eff[0].(ReadRow); read {
		eff = m.c.Step(at(0), RowRead{Row: r})
	}
	return m, eff
}

func (m *completion) swapped(out CAS) []Effect {
	m.n++
	return m.c.Step(at(0), Swapped{Outcome: out, Epoch: oplog.Epoch{m.n}})
}

func (m *completion) docSwapped(out CAS) []Effect {
	m.n++
	return m.c.Step(at(0), UploadSwapped{Outcome: out, Epoch: oplog.Epoch{m.n}})
}

// let plays a Complete of an upload that nobody else completes up to its release.
func let(t *testing.T, op CompleteOp, r *oplog.Row) *completion {
	t.Helper()
	m, eff := completing(t, op, openUpload("A", "B"), r)
	only[Swap](t, eff)
	only[SwapUpload](t, eff)
	none[Release](t, m.docSwapped(Applied))
	m.releases(m.swapped(Applied), 2)
	return m
}

func (m *completion) releases(eff []Effect, want int) {
	m.t.Helper()
	n := 0
	for _, e := range eff {
		if _, ok := e.(Release); ok {
			n++
		}
	}
	if n != want {
		m.t.Fatalf("%d releases, want %d: %+v", n, want, eff)
	}
}

func (m *completion) says(r string, a Answer) []Effect {
	return m.c.Step(at(time.Second), Answered{Replica: r, Answer: a})
}

// whole is what a replica shows once the upload is complete.
func whole() object.Seen {
	info := completeOp(5, nil).Chosen.Info
	info.ID = id(theUpload)
	return object.Seen{Info: info, Flag: object.FlagMultipart}
}

func (m *completion) shows(r string, s object.Seen) []Effect {
	return m.c.Step(at(time.Second), Showed{Replica: r, Seen: s})
}

func someRow(unsettled ...oplog.Entry) *oplog.Row {
	return row(version(1), object.NewReplicas("A", "B"), unsettled...)
}

func TestCompleteDecidesAndTellsTheDocument(t *testing.T) {
	m := let(t, completeOp(5, nil), someRow())
	if m.c.UploadID("A") != "u-A" {
		t.Errorf("upload id %q", m.c.UploadID("A"))
	}
	yes := Answer{ETag: whole().ETag}
	for _, r := range []string{"A", "B"} {
		if h := only[Head](t, m.says(r, yes)); h.Replica != r {
			t.Fatalf("got %+v", h)
		}
	}
	m.shows("A", whole())
	next := only[Swap](t, m.shows("B", whole())).Row
	if next.Cur.ID != id(theUpload) || next.Cur.Ver <= 1 || next.Cur.ETag != whole().ETag || !slices.Equal(next.Cur.Parts, []int64{5, 5}) ||
		len(next.Done) != 1 || next.Done[0].ID != id(theUpload) {
		t.Fatalf("got %+v", next)
	}
	eff := m.swapped(Applied)
	if res := only[Done](t, eff).Result; res.Kind != Acked || res.Info.ETag != whole().ETag {
		t.Fatalf("got %+v", res)
	}
	told := only[SwapUpload](t, eff).Record
	if told.State != UploadDone || told.Info.ETag != whole().ETag || told.Info.Ver != next.Cur.Ver || !told.Gone.Equal(object.NewReplicas("A", "B")) {
		t.Fatalf("got %+v", told)
	}
	if m.c.Over() {
		t.Fatal("over before the document is told")
	}
	if m.docSwapped(Applied); !m.c.Over() {
		t.Fatal("not over")
	}
}

func TestNothingIsReleasedBeforeTheDocumentNamesIt(t *testing.T) { // U2
	m, eff := completing(t, completeOp(5, nil), openUpload("A", "B"), someRow())
	only[SwapUpload](t, eff)
	none[Release](t, m.swapped(Applied)) // the intent stands
	only[ReadUpload](t, m.docSwapped(Conflict))
	undo := only[Swap](t, m.c.Step(at(0), UploadRead{Record: openUpload("A", "B").over(UploadAborted, at(0)), Epoch: oplog.Epoch{9}}))
	if undo.Row.Intent != nil {
		t.Fatalf("got %+v", undo.Row)
	}
	if res := only[Done](t, m.swapped(Applied)).Result; res.Kind != Failed || res.Code != codeNoSuchUpload || !m.c.Over() {
		t.Fatalf("got %+v", res)
	}
}

func TestAPermitIsForOneIntentOnly(t *testing.T) {
	m, eff := completing(t, completeOp(5, nil), openUpload("A", "B"), someRow())
	only[SwapUpload](t, eff)
	m.docSwapped(Applied)
	m.swapped(Conflict) // somebody else was faster
	m.c.Step(at(0), Fired{TimerWait})
	next := someRow()
	next.Epoch = oplog.Epoch{66}
	none[SwapUpload](t, m.c.Step(at(0), RowRead{Row: next}))
	eff = m.swapped(Applied)
	none[Release](t, eff)
	only[ReadUpload](t, eff) // another Complete may have taken the document over
	other := openUpload("A", "B").over(UploadCompleting, at(0))
	other.Op, other.List = id(6), completeOp(6, nil).Chosen.List
	named := only[SwapUpload](t, m.c.Step(at(0), UploadRead{Record: other, Epoch: oplog.Epoch{8}}))
	if named.Record.Op != id(5) || named.Old != (oplog.Epoch{8}) {
		t.Fatalf("got %+v", named.Record)
	}
	m.releases(m.docSwapped(Applied), 2)
}

func TestTheDocumentIsNotKnown(t *testing.T) {
	m, _ := completing(t, completeOp(5, nil), openUpload("A", "B"), someRow())
	m.swapped(Applied)
	if s := only[Sleep](t, m.docSwapped(Unknown)); s.Timer != TimerDoc {
		t.Fatalf("got %+v", s)
	}
	only[ReadUpload](t, m.c.Step(at(0), Fired{TimerDoc}))
	only[Sleep](t, m.c.Step(at(0), UploadRead{Failed: true}))
	only[ReadUpload](t, m.c.Step(at(0), Fired{TimerDoc}))
	mine := openUpload("A", "B").over(UploadCompleting, at(0))
	mine.Op = id(5)
	m.releases(m.c.Step(at(0), UploadRead{Record: mine, Epoch: oplog.Epoch{8}}), 2)

	// Too little of the lease is left: the intent is taken back.
	m, _ = completing(t, completeOp(5, nil), openUpload("A", "B"), someRow())
	m.swapped(Applied)
	m.docSwapped(Unknown)
	m.c.Step(at(0), Fired{TimerDoc})
	only[Swap](t, m.c.Step(at(5*time.Second), UploadRead{Failed: true}))
	if res := only[Done](t, m.swapped(Applied)).Result; res.Kind != Failed || res.Code != codeSlowDown {
		t.Fatalf("got %+v", res)
	}
}

func TestAYesIsLookedAt(t *testing.T) { // U5: a 200 for an upload that is not there
	m := let(t, completeOp(5, nil), someRow())
	none[Swap](t, m.says("A", Answer{ETag: whole().ETag}))
	m.says("B", Answer{Class: No})
	other := seen(version(1))
	next := only[Swap](t, m.shows("A", other)).Row // both said no
	if next.Cur.ID != id(1) || next.Intent != nil {
		t.Fatalf("got %+v", next)
	}
	if res := only[Done](t, m.swapped(Applied)).Result; res.Kind != Failed {
		t.Fatalf("got %+v", res)
	}
}

func TestNoSuchUploadIsLookedAt(t *testing.T) { // U6
	gone := Answer{Class: No, Code: codeNoSuchUpload}
	m := let(t, completeOp(5, nil), someRow())
	only[Head](t, m.says("A", gone))
	only[Head](t, m.says("B", gone))
	m.shows("B", seen(version(1)))
	next := only[Swap](t, m.shows("A", whole())).Row // an earlier Complete was applied there
	if next.Cur.ID != id(theUpload) || !next.Good.Equal(object.NewReplicas("A")) {
		t.Fatalf("got %+v", next)
	}

	m = let(t, completeOp(5, nil), someRow())
	m.says("A", gone)
	m.says("B", gone)
	m.c.Step(at(time.Second), Showed{Replica: "A", Failed: true}) // it does not say: ambiguous
	eff := m.shows("B", seen(version(1)))
	none[Swap](t, eff)
	if res := only[Done](t, eff).Result; res.Kind != Doubt {
		t.Fatalf("got %+v", res)
	}

	m = let(t, completeOp(5, nil), someRow())
	m.says("A", gone)
	m.says("B", gone)
	m.shows("A", seen(version(1)))
	only[Swap](t, m.shows("B", seen(version(1))))
	eff = m.swapped(Applied)
	if res := only[Done](t, eff).Result; res.Kind != Failed || res.No["A"] != codeNoSuchUpload || res.No["B"] != codeNoSuchUpload {
		t.Fatalf("got %+v", res)
	}
	if next := only[SwapUpload](t, eff).Record; next.State != UploadOpen {
		t.Fatalf("after a definite failure the upload is as before: %+v", next)
	}
}

func lateComplete(n byte, replica string) oplog.Entry {
	return oplog.Entry{Op: id(n), ID: id(theUpload), Ver: object.Version(n), Kind: object.Present, Type: oplog.OpComplete, Replica: replica, Size: 10, ETag: whole().ETag, Slow: time.Minute}
}

// completingBy is the document while another Complete may be at work.
func completingBy(n byte, list string) *UploadRecord {
	u := openUpload("A", "B").over(UploadCompleting, at(0))
	u.Op, u.Node, u.List = id(n), "G9", list
	return u
}

func TestARepeatedCompleteIsNoThreatToItself(t *testing.T) { // U7
	op := completeOp(5, nil)
	m, eff := completing(t, op, completingBy(3, op.Chosen.List), someRow(lateComplete(3, "A"), lateComplete(3, "B")))
	none[SwapUpload](t, eff)
	only[Swap](t, eff)
	only[ReadUpload](t, m.swapped(Applied))
	only[SwapUpload](t, m.c.Step(at(0), UploadRead{Record: completingBy(3, op.Chosen.List), Epoch: oplog.Epoch{1}}))
	m.releases(m.docSwapped(Applied), 2)
	m.says("A", Answer{ETag: whole().ETag})
	m.says("B", Answer{Class: No})
	if next := only[Swap](t, m.shows("A", whole())).Row; next.Cur.ID != id(theUpload) || len(next.Unsettled) != 2 {
		t.Fatalf("got %+v", next)
	}
}

func TestOtherPartsWaitForWhatMayLand(t *testing.T) { // U4
	op := completeOp(5, nil)
	m, _ := completing(t, op, completingBy(3, "other"), someRow(lateComplete(3, "B")))
	m.swapped(Applied)
	eff := m.c.Step(at(0), UploadRead{Record: completingBy(3, "other"), Epoch: oplog.Epoch{1}})
	only[Swap](t, eff) // taken back
	if res := only[Done](t, m.swapped(Applied)).Result; res.Kind != Failed || res.Code != codeSlowDown {
		t.Fatalf("got %+v", res)
	}
	m, _ = completing(t, op, completingBy(3, "other"), someRow())
	m.swapped(Applied)
	only[SwapUpload](t, m.c.Step(at(0), UploadRead{Record: completingBy(3, "other"), Epoch: oplog.Epoch{1}}))
}

// The first Complete is in doubt, a second one of the same parts failed for sure and opened
// the upload again: the first may land all the same.
func TestOtherPartsWaitThoughTheUploadIsOpenAgain(t *testing.T) { // U4
	op := completeOp(5, nil)
	again := completingBy(3, "other")
	again.State = UploadOpen
	m, eff := completing(t, op, again, someRow(lateComplete(3, "B")))
	none[SwapUpload](t, eff)
	m.swapped(Applied)
	eff = m.c.Step(at(0), UploadRead{Record: again, Epoch: oplog.Epoch{1}})
	none[SwapUpload](t, eff)
	only[Swap](t, eff) // taken back
	if res := only[Done](t, m.swapped(Applied)).Result; res.Kind != Failed || res.Code != codeSlowDown {
		t.Fatalf("got %+v", res)
	}
	for name, c := range map[string]struct {
		list string
		row  *oplog.Row
	}{"the same parts": {op.Chosen.List, someRow(lateComplete(3, "B"))}, "nothing in doubt": {"other", someRow()}} {
		open := completingBy(3, c.list)
		open.State = UploadOpen
		if _, eff := completing(t, op, open, c.row); len(eff) == 0 {
			t.Errorf("%s: nothing happens", name)
		} else {
			only[SwapUpload](t, eff)
		}
	}
}

func TestAnUploadTakesEffectOnce(t *testing.T) { // U1
	op := completeOp(5, nil)
	r := someRow()
	r.Cur.Ver, r.Done = 9, []oplog.Done{{ID: id(theUpload), Ver: 4, ETag: op.Chosen.Info.ETag}}
	m, eff := completing(t, op, completingBy(3, op.Chosen.List), r)
	none[Swap](t, eff)
	res := only[Done](t, eff).Result
	if res.Kind != Acked || res.Info.Ver != 4 || res.Info.ETag != op.Chosen.Info.ETag {
		t.Fatalf("got %+v", res)
	}
	if told := only[SwapUpload](t, eff).Record; told.State != UploadDone || told.Info.Ver != 4 {
		t.Fatalf("got %+v", told)
	}
	m.docSwapped(Applied)
	if !m.c.Over() {
		t.Error("not over")
	}

	r.Done[0].ETag = "0123456789abcdef0123456789abcdef-7"
	_, eff = completing(t, op, completingBy(3, "other"), r)
	if res := only[Done](t, eff).Result; res.Kind != Failed || res.Code != codeNoSuchUpload {
		t.Fatalf("completed with other parts: %+v", res)
	}
}

func TestACompleteThatStandsIsAnsweredUnderTheRule(t *testing.T) {
	op := completeOp(5, nil)
	cur := whole().Info
	cur.Ver = 4
	_, eff := completing(t, op, completingBy(3, op.Chosen.List), row(cur, object.NewReplicas("A"), entry(2, object.Tombstone, "A")))
	if res := only[Done](t, eff).Result; res.Kind != Doubt {
		t.Fatalf("no anchor: %+v", res)
	}
	_, eff = completing(t, op, completingBy(3, op.Chosen.List), row(cur, object.NewReplicas("A")))
	if res := only[Done](t, eff).Result; res.Kind != Acked || res.Info.Ver != 4 {
		t.Fatalf("got %+v", res)
	}
}

func TestADoneUploadIsAnsweredFromItsDocument(t *testing.T) {
	op := completeOp(5, nil)
	done := Remembered(completingBy(3, op.Chosen.List), oplog.Done{ID: id(theUpload), Ver: 4, ETag: "e"}, at(0))
	if again := Remembered(done, oplog.Done{}, at(0)); again != done {
		t.Error("it is remembered already")
	}
	_, eff := completing(t, op, done, nil)
	if res := only[Done](t, eff).Result; res.Kind != Acked || res.Info.ETag != "e" {
		t.Fatalf("got %+v", res)
	}
	for name, u := range map[string]*UploadRecord{
		"other list": Remembered(completingBy(3, "other"), oplog.Done{}, at(0)),
		"aborted":    openUpload("A").over(UploadAborted, at(0)),
		"none":       nil,
	} {
		_, eff := completing(t, op, u, nil)
		if res := only[Done](t, eff).Result; res.Kind != Failed || res.Code != codeNoSuchUpload {
			t.Errorf("%s: got %+v", name, res)
		}
	}
	// It was done behind the back of one that had its intent placed already.
	m, _ := completing(t, op, completingBy(3, op.Chosen.List), someRow())
	m.swapped(Applied)
	only[Swap](t, m.c.Step(at(0), UploadRead{Record: done, Epoch: oplog.Epoch{1}}))
	if res := only[Done](t, m.swapped(Applied)).Result; res.Kind != Acked || res.Info.ETag != "e" {
		t.Fatalf("got %+v", res)
	}
}

func TestAConditionOfAComplete(t *testing.T) {
	op := completeOp(5, func(object.Info) string { return "PreconditionFailed" })
	_, eff := completing(t, op, openUpload("A", "B"), someRow())
	if res := only[Done](t, eff).Result; res.Kind != Failed || res.Code != "PreconditionFailed" {
		t.Fatalf("got %+v", res)
	}
}

func TestTheDocumentIsToldAgain(t *testing.T) {
	m := let(t, completeOp(5, nil), someRow())
	m.says("A", Answer{ETag: whole().ETag})
	m.says("B", Answer{Class: No})
	m.shows("A", whole())
	only[SwapUpload](t, m.swapped(Applied))
	only[Sleep](t, m.docSwapped(Conflict))
	only[ReadUpload](t, m.c.Step(at(time.Second), Fired{TimerDoc}))
	only[SwapUpload](t, m.c.Step(at(time.Second), UploadRead{Record: completingBy(5, m.c.op.Chosen.List), Epoch: oplog.Epoch{4}}))
	only[Sleep](t, m.docSwapped(Unknown))
	only[ReadUpload](t, m.c.Step(at(time.Second), Fired{TimerDoc}))
	if m.c.Step(at(time.Second), UploadRead{Failed: true}); !m.c.Over() {
		t.Fatal("Repair does it") // docTries
	}
}

// ---- repair of what Completes leave

func TestAHelperNamesACompleteThatMayLand(t *testing.T) { // U8
	cfg := uploads() // A fences
	op := completeOp(5, nil)
	m := NewWrite(cfg, Op{ID: op.ID, Type: oplog.OpComplete, Upload: op.Upload, Info: op.Chosen.Info})
	m.Step(at(0), Begin{Up: cfg.Replicas})
	m.Step(at(0), RowRead{Row: someRow()})
	m.Step(at(0), Verified{Info: op.Chosen.Info})
	r := only[Swap](t, m.Step(at(0), RowRead{Row: someRow()})).Row
	for replica, named := range map[string]bool{"A": false, "B": true} {
		next := helped(r, object.NewReplicas(replica), whole(), cfg, at(0))
		if hasEntry(next.Unsettled, id(5), replica) != named || len(next.Done) != 1 {
			t.Errorf("%s: got %+v", replica, next)
		}
	}
}

func TestTheVersionEndsItsCompletesOnlyBehindAFence(t *testing.T) { // U8, found by the simulator
	cfg := uploads()
	cur := whole().Info
	cur.Ver = 8
	for replica, settled := range map[string]bool{"A": true, "B": false} {
		r := row(cur, cfg.Replicas, lateComplete(3, replica), lateComplete(5, replica))
		p, eff := visit(t, cfg, &Memory{}, at(0), r, map[string]object.Seen{"A": whole(), "B": whole()})
		if p.state == pFence {
			only[Fence](t, eff)
			only[ReadRow](t, p.Step(at(0), Fenced{Replica: replica, Upload: id(theUpload)}))
			p.Step(at(0), RowRead{Row: r})
			p.Step(at(0), Showed{Replica: "A", Seen: whole()})
			eff = p.Step(at(0), Showed{Replica: "B", Seen: whole()})
		}
		if !settled {
			none[Swap](t, eff)
			continue
		}
		if next := only[Swap](t, eff).Row; len(next.Unsettled) != 0 {
			t.Errorf("%s: got %+v", replica, next.Unsettled)
		}
	}
}

func TestAnAbortEndsACompleteOnlyWhereItFences(t *testing.T) { // U9
	cfg := uploads()
	shown := map[string]object.Seen{"A": seen(version(9)), "B": seen(version(9))}
	r := row(version(9), cfg.Replicas, lateComplete(3, "A"), lateComplete(3, "B"))
	p, eff := visit(t, cfg, &Memory{}, at(0), r, shown)
	if f := only[Fence](t, eff); f.Replica != "A" || f.Upload != id(theUpload) || f.Decided {
		t.Fatalf("got %+v", f)
	}
	only[ReadRow](t, p.Step(at(0), Fenced{Replica: "A", Upload: id(theUpload), OK: true}))
	p.Step(at(0), RowRead{Row: r})
	p.Step(at(0), Showed{Replica: "A", Seen: shown["A"]})
	next := only[Swap](t, p.Step(at(0), Showed{Replica: "B", Seen: shown["B"]})).Row
	if hasEntry(next.Unsettled, id(3), "A") || !hasEntry(next.Unsettled, id(3), "B") {
		t.Fatalf("got %+v", next.Unsettled)
	}
}

func TestMayFence(t *testing.T) {
	for name, c := range map[string]struct {
		u          *UploadRecord
		decided    bool
		send, over bool
	}{
		"no document":         {nil, false, false, true},
		"open":                {openUpload("A"), false, false, false},
		"completing":          {completingBy(3, ""), false, false, false},
		"completing, decided": {completingBy(3, ""), true, true, false},
		"done":                {openUpload("A").over(UploadDone, at(0)), false, true, false},
		"aborted":             {openUpload("A").over(UploadAborted, at(0)), false, true, false},
	} {
		if send, over := MayFence(c.u, Fence{Decided: c.decided}); send != c.send || over != c.over {
			t.Errorf("%s: %v %v", name, send, over)
		}
	}
}

func TestSlowRequestsSettleLater(t *testing.T) { // U10
	cfg := config("A")
	e := lateComplete(3, "A")
	e.Slow = 30 * time.Second
	mem := &Memory{}
	beats := func(from, to time.Duration) (settled bool) {
		for now := from; now <= to; now += time.Second {
			_, eff := visit(t, cfg, mem, at(now), row(version(9), cfg.Replicas, e), map[string]object.Seen{"A": seen(version(9))})
			for _, x := range eff {
				if s, ok := x.(Swap); ok && len(s.Row.Unsettled) == 0 {
					settled = true
				}
			}
		}
		return settled
	}
	if beats(0, 79*time.Second) {
		t.Error("settled before its time: 30 s it may wait and 30 s it may work, and T_settle")
	}
	if !beats(80*time.Second, 81*time.Second) {
		t.Error("not settled in its time")
	}
}

func TestRepairTellsTheDocuments(t *testing.T) {
	cfg := config("A")
	r := row(version(9), cfg.Replicas)
	r.Done = []oplog.Done{{ID: id(theUpload), Ver: 4}}
	shown := map[string]object.Seen{"A": seen(version(9))}
	p, eff := visit(t, cfg, &Memory{}, at(0), r, shown)
	if d := only[Remember](t, eff).Done; len(d) != 1 || d[0].ID != id(theUpload) {
		t.Fatalf("got %+v", d)
	}
	if next := only[Swap](t, p.Step(at(0), Recalled{OK: true})).Row; len(next.Done) != 0 {
		t.Fatalf("got %+v", next)
	}
	p, _ = visit(t, cfg, &Memory{}, at(2*time.Minute), r, shown)
	eff = p.Step(at(2*time.Minute), Recalled{})
	if only[Examined](t, eff).Report.Row == nil {
		t.Fatal("the row is dropped before the documents are told")
	}
}

// ---- upkeep

type tending struct {
	t *testing.T
	m *Tend
	n byte
}

func tend(t *testing.T, abort bool, u *UploadRecord, now Now) (*tending, []Effect) {
	t.Helper()
	m := &tending{t: t, m: NewTend(uploads(), TendOp{Upload: id(theUpload), Abort: abort})}
	only[ReadUpload](t, m.m.Step(now, Begin{}))
	return m, m.m.Step(now, UploadRead{Record: u, Epoch: oplog.Epoch{1}})
}

func (m *tending) swapped(now Now, out CAS) []Effect {
	m.n++
	return m.m.Step(now, UploadSwapped{Outcome: out, Epoch: oplog.Epoch{100 + m.n}})
}

func TestAbort(t *testing.T) {
	m, eff := tend(t, true, openUpload("A", "B"), at(0))
	if s := only[SwapUpload](t, eff); s.Record.State != UploadAborted {
		t.Fatalf("got %+v", s.Record)
	}
	asked := 0
	for _, e := range m.swapped(at(0), Applied) {
		if a, ok := e.(Abort); ok {
			if asked++; a.UploadID != "u-"+a.Replica {
				t.Errorf("got %+v", a)
			}
		}
	}
	if asked != 2 {
		t.Fatalf("%d asked", asked)
	}
	m.m.Step(at(0), Aborted{Replica: "A", OK: true})
	eff = m.m.Step(at(0), Aborted{Replica: "B"}) // it did not say
	if res := only[Done](t, eff).Result; res.Kind != Acked {
		t.Fatalf("got %+v", res)
	}
	if s := only[SwapUpload](t, eff); !s.Record.Gone.Equal(object.NewReplicas("A")) {
		t.Fatalf("got %+v", s.Record)
	}
	if only[Tended](t, m.swapped(at(0), Applied)).Gone || !m.m.Over() {
		t.Fatal("B is left to do")
	}
}

func TestAnAbortedUploadGoesWhenNothingIsLeft(t *testing.T) {
	u := openUpload("A", "B").over(UploadAborted, at(0))
	u.Gone = object.NewReplicas("A")
	m, eff := tend(t, false, u, at(time.Second))
	if a := only[Abort](t, eff); a.Replica != "B" {
		t.Fatalf("got %+v", a)
	}
	m.m.Step(at(time.Second), Aborted{Replica: "B", OK: true})
	if only[Tended](t, m.swapped(at(time.Second), Applied)).Gone {
		t.Fatal("a part may be on its way to the log")
	}
	u.Gone = object.NewReplicas("A", "B")
	m, eff = tend(t, false, u, at(time.Minute))
	only[DropParts](t, eff)
	if s := only[SwapUpload](t, m.m.Step(at(time.Minute), PartsDropped{OK: true})); s.Record != nil {
		t.Fatalf("got %+v", s.Record)
	}
	if !only[Tended](t, m.swapped(at(time.Minute), Applied)).Gone {
		t.Fatal("not gone")
	}
	m, _ = tend(t, false, u, at(time.Minute))
	only[Tended](t, m.m.Step(at(time.Minute), PartsDropped{})) // the log refused: later
	m, _ = tend(t, false, u, at(time.Minute))
	m.m.Step(at(time.Minute), PartsDropped{OK: true})
	if only[Tended](t, m.swapped(at(time.Minute), Unknown)).Gone {
		t.Fatal("taken for gone")
	}
}

func TestADoneUploadIsRememberedForItsTime(t *testing.T) {
	done := openUpload("A", "B").over(UploadDone, at(0))
	done.Gone = object.NewReplicas("A", "B")
	_, eff := tend(t, false, done, at(59*time.Minute))
	only[Tended](t, eff)
	_, eff = tend(t, false, done, at(61*time.Minute))
	only[DropParts](t, eff)
	_, eff = tend(t, true, done, at(0)) // a client's abort comes too late
	if res := only[Done](t, eff).Result; res.Kind != Failed || res.Code != codeNoSuchUpload {
		t.Fatalf("got %+v", res)
	}
	none[DropParts](t, eff)
	_, eff = tend(t, true, nil, at(0))
	if res := only[Done](t, eff).Result; res.Code != codeNoSuchUpload || !only[Tended](t, eff).Gone {
		t.Fatalf("got %+v", res)
	}
}

func TestAbandonedUploadsExpire(t *testing.T) {
	_, eff := tend(t, false, openUpload("A"), at(23*time.Hour))
	only[Tended](t, eff)
	_, eff = tend(t, false, openUpload("A"), at(25*time.Hour))
	if s := only[SwapUpload](t, eff); s.Record.State != UploadAborted {
		t.Fatalf("got %+v", s.Record)
	}
}

func TestAnAbortWaitsForACompleteOnItsWay(t *testing.T) { // U3
	m, eff := tend(t, true, completingBy(3, ""), at(0))
	only[ReadRow](t, eff)
	again := func(now Now, r *oplog.Row) []Effect {
		t.Helper()
		only[ReadUpload](t, m.m.Step(now, Fired{TimerWait}))
		only[ReadRow](t, m.m.Step(now, UploadRead{Record: completingBy(3, ""), Epoch: oplog.Epoch{1}}))
		return m.m.Step(now, RowRead{Row: r})
	}
	none[SwapUpload](t, m.m.Step(at(0), RowRead{Row: someRow()}))
	none[SwapUpload](t, again(at(7*time.Second), someRow()))
	if s := only[SwapUpload](t, again(at(8*time.Second), someRow())); s.Record.State != UploadAborted {
		t.Fatalf("a lease is over: %+v", s.Record)
	}
	only[Sleep](t, m.swapped(at(8*time.Second), Conflict))

	// It became a version.
	m, _ = tend(t, true, completingBy(3, ""), at(0))
	r := someRow()
	r.Done = []oplog.Done{{ID: id(theUpload), Ver: 4, ETag: "e"}}
	if s := only[SwapUpload](t, m.m.Step(at(0), RowRead{Row: r})); s.Record.State != UploadDone || s.Record.Info.ETag != "e" {
		t.Fatalf("got %+v", s.Record)
	}
	if res := only[Done](t, m.swapped(at(0), Applied)).Result; res.Kind != Failed || res.Code != codeNoSuchUpload {
		t.Fatalf("got %+v", res)
	}

	// Its owner is dead: the intent is resolved.
	m, _ = tend(t, true, completingBy(3, ""), at(0))
	r = someRow()
	r.Intent = &oplog.Intent{Op: id(3), ID: id(theUpload), Type: oplog.OpComplete, Nonce: id(33), Owner: "G9"}
	none[Resolve](t, m.m.Step(at(0), RowRead{Row: r}))
	if e := only[Resolve](t, again(at(8*time.Second), r)); e.Expired != id(33) {
		t.Fatalf("got %+v", e)
	}
	only[Sleep](t, m.m.Step(at(9*time.Second), Repaired{}))

	// A log that is down, for too long.
	m, _ = tend(t, true, completingBy(3, ""), at(0))
	only[Sleep](t, m.m.Step(at(0), RowRead{Failed: true}))
	m.m.Step(at(time.Minute), Fired{TimerWait})
	if res := only[Done](t, m.m.Step(at(time.Minute), UploadRead{Failed: true})).Result; res.Kind != Failed {
		t.Fatalf("got %+v", res)
	}

	// The one process of an exclusive log knows that another's Complete is dead.
	cfg := uploads()
	cfg.Exclusive = true
	x := NewTend(cfg, TendOp{Upload: id(theUpload), Abort: true})
	x.Step(at(0), Begin{})
	x.Step(at(0), UploadRead{Record: completingBy(3, "")})
	only[SwapUpload](t, x.Step(at(0), RowRead{Row: someRow()}))
}

func TestAClientIsNotKeptForReplicasThatHang(t *testing.T) {
	m, _ := tend(t, true, openUpload("A", "B"), at(0))
	m.swapped(at(0), Applied)
	if res := only[Done](t, m.m.Step(at(2*time.Second), Fired{TimerFloor})).Result; res.Kind != Acked || m.m.Over() {
		t.Fatalf("got %+v", res)
	}
	m.m.Step(at(3*time.Second), Aborted{Replica: "A"})
	eff := m.m.Step(at(3*time.Second), Aborted{Replica: "B"})
	none[Done](t, eff)
	only[Tended](t, eff)
}

func TestStrays(t *testing.T) {
	list := []BackendUpload{{"named", wall0}, {"young", wall0.Add(50 * time.Minute)}, {"stray", wall0}}
	if got := Strays(list, map[string]bool{"named": true}, wall0.Add(61*time.Minute), time.Hour); !slices.Equal(got, []string{"stray"}) {
		t.Errorf("got %v", got)
	}
}
