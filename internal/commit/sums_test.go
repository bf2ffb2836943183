package commit

import (
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

const crc = object.ChecksumPrefix + "crc32c"

// lossyConfig is a bucket of which some replicas keep no CRC32C.
func lossyConfig(lossy object.Replicas, replicas ...string) Config {
	cfg := config(replicas...)
	cfg.Lossy = map[string]object.Replicas{"crc32c": lossy}
	return cfg
}

// summed is a version with a checksum, and other headers.
func summed(n byte) object.Info {
	v := version(n)
	v.Headers = object.Headers{crc: "AAAAAA==", "x-amz-checksum-type": "FULL_OBJECT", "content-type": "text/plain"}
	return v
}

// plain tells whether of the headers only those are left that are no checksums.
func plain(h object.Headers) bool { return len(h) == 1 && h["content-type"] == "text/plain" }

func TestTheRowStaysWhereAReplicaKeepsNoChecksum(t *testing.T) { // C1
	cfg := lossyConfig(object.NewReplicas("B", "elsewhere"), "A", "B")
	stays := decide(row(version(1), cfg.Replicas), evidence{info: summed(2), good: cfg.Replicas, typ: oplog.OpPut}, cfg, at(0))
	if !stays.Sumless.Equal(object.NewReplicas("B")) || !stays.IsMap() || !stays.Quiet(cfg.Replicas) {
		t.Fatalf("got %+v", stays)
	}
	p := NewRepair(cfg)
	p.Step(at(time.Hour), Examine{Memory: &Memory{}})
	only[Examined](t, p.Step(at(time.Hour), RowRead{Row: stays}))
	for name, c := range map[string]struct {
		cfg  Config
		info object.Info
	}{
		"a version without a checksum": {cfg, version(3)},
		"one of another kind":          {cfg, object.Info{Kind: object.Present, Headers: object.Headers{object.ChecksumPrefix + "sha1": "x"}}},
		"a tombstone":                  {cfg, absent(3)},
		"all keep it":                  {config("A", "B"), summed(3)},
	} {
		if next := decide(stays, evidence{info: c.info, good: cfg.Replicas}, c.cfg, at(0)); next.IsMap() {
			t.Errorf("%s: got %+v", name, next)
		}
	}
}

// A row that was decided before it was known that B keeps no checksums stays too.
func TestARowIsNotDroppedForTheChecksumThatItAloneHas(t *testing.T) { // C1
	cfg := lossyConfig(object.NewReplicas("B"), "A", "B")
	r := row(summed(2), cfg.Replicas)
	_, eff := visit(t, cfg, &Memory{}, at(2*time.Minute), r, showAll(cfg, 2))
	next := only[Swap](t, eff).Row
	if next == nil || !next.Sumless.Equal(object.NewReplicas("B")) || next.Changed != r.Changed {
		t.Fatalf("got %+v", next)
	}
	_, eff = visit(t, config("A", "B"), &Memory{}, at(2*time.Minute), r, showAll(cfg, 2))
	if next := only[Swap](t, eff).Row; next != nil {
		t.Fatalf("where all keep it the row goes: %+v", next)
	}
}

func TestWithoutARowOnlyCommonChecksumsCount(t *testing.T) { // C2
	cfg := lossyConfig(object.NewReplicas("B"), "A", "B")
	old := object.Seen{Info: summed(2), Flag: object.FlagSmall, Uploaded: wall0.Add(-time.Hour)}
	young := old
	young.Uploaded = wall0

	_, eff := look(t, cfg, at(0), nil, old)
	if s := only[Serve](t, eff); !plain(s.Info.Headers) || len(old.Headers) != 3 {
		t.Errorf("a quiet key: %+v", s.Info)
	}
	m, _ := look(t, cfg, at(0), nil, young)
	if s := only[Serve](t, m.Step(at(0), RowRead{})); !plain(s.Info.Headers) {
		t.Errorf("after the second look: %+v", s.Info)
	}
	_, eff = look(t, config("A", "B"), at(0), nil, old)
	if s := only[Serve](t, eff); len(s.Info.Headers) != 3 {
		t.Errorf("where all keep it: %+v", s.Info)
	}

	open := &oplog.Row{Epoch: oplog.Epoch{1}, Open: true, Good: cfg.Replicas, Intent: &oplog.Intent{Op: id(9), ID: id(9), Ver: 9, Kind: object.Present, Reps: cfg.Replicas}}
	m, _ = look(t, cfg, at(0), open, old)
	if s := only[Serve](t, m.Step(at(0), RowRead{Row: open})); !plain(s.Info.Headers) {
		t.Errorf("an open base: %+v", s.Info)
	}

	m, _ = look(t, cfg, at(0), nil, object.Seen{})
	m.Step(at(0), RowRead{})
	if next := only[Swap](t, m.Step(at(0), Showed{Replica: "B", Seen: young})).Row; !plain(next.Cur.Headers) {
		t.Errorf("a dispute: %+v", next)
	}

	s := NewStale(cfg)
	s.Step(at(0), Look{Order: []string{"A"}})
	if got := only[Serve](t, s.Step(at(0), Showed{Replica: "A", Seen: old})); !plain(got.Info.Headers) {
		t.Errorf("a stale read: %+v", got.Info)
	}

	d, eff := begin(t, cfg, Op{ID: id(3), Type: oplog.OpPut, If: func(object.Info) string { return "" }}, at(0), nil)
	only[Accept](t, d.w.Step(at(0), Showed{Replica: only[Head](t, eff).Replica, Seen: old}))
	d.w.Step(at(0), Verified{Info: object.Info{Size: 10}})
	asked := only[Head](t, d.w.Step(at(0), RowRead{})).Replica
	if next := only[Swap](t, d.w.Step(at(0), Showed{Replica: asked, Seen: old})).Row; !plain(next.Cur.Headers) || next.IsMap() {
		t.Errorf("the base of a conditional write: %+v", next)
	}

	cfg.Bare = nil
	g := NewTag(cfg, TagOp{ID: id(4), Tags: red})
	g.Step(at(0), Begin{Up: cfg.Replicas})
	asked = only[Head](t, g.Step(at(0), RowRead{})).Replica
	if next := only[Swap](t, g.Step(at(0), Showed{Replica: asked, Seen: old})).Row; !plain(next.Cur.Headers) {
		t.Errorf("the base of a change of tags: %+v", next)
	}
}

func TestAResolvedBaseHasCommonChecksums(t *testing.T) { // C2
	cfg := lossyConfig(object.NewReplicas("B"), "A", "B")
	in := &oplog.Intent{Op: id(9), ID: id(9), Ver: 9, Kind: object.Present, Type: oplog.OpPut, Owner: "G2#a", Nonce: id(9), Reps: cfg.Replicas}
	shown := map[string]object.Seen{"A": seen(summed(2)), "B": seen(version(2))}
	for name, r := range map[string]*oplog.Row{
		"an open base":               {Epoch: oplog.Epoch{1}, Open: true, Good: cfg.Replicas, Intent: in, Sumless: cfg.Replicas},
		"what stands there together": {Epoch: oplog.Epoch{1}, Cur: summed(1), Good: cfg.Replicas, Intent: in, Sumless: cfg.Replicas},
	} {
		p := NewRepair(cfg)
		p.Step(at(0), Examine{Memory: &Memory{}, Expired: id(9)})
		p.Step(at(0), RowRead{Row: r})
		p.Step(at(0), Showed{Replica: "A", Seen: shown["A"]})
		next := only[Swap](t, p.Step(at(0), Showed{Replica: "B", Seen: shown["B"]})).Row
		if next.Cur.ID != id(2) || !plain(next.Cur.Headers) || len(next.Sumless) > 0 {
			t.Errorf("%s: %+v", name, next)
		}
	}
}

func TestAScrubsRowHasCommonChecksums(t *testing.T) { // C2
	cfg := lossyConfig(object.NewReplicas("B"), "A", "B", "C")
	s := NewScrub(cfg)
	s.Step(at(0), Inspect{Act: true, Trust: cfg.Replicas})
	s.Step(at(0), RowRead{})
	s.Step(at(0), Showed{Replica: "A", Seen: seen(summed(2))})
	s.Step(at(0), Showed{Replica: "B", Seen: seen(version(2))})
	eff := s.Step(at(0), Showed{Replica: "C", Seen: object.Seen{}})
	only[ReadRow](t, eff)
	if next := only[Swap](t, s.Step(at(0), RowRead{})).Row; !plain(next.Cur.Headers) {
		t.Errorf("got %+v", next)
	}
}

// Of a version that nobody was told about the row says as much as some replica shows.
func TestWhatIsRolledForwardKeepsTheChecksumThatSomeoneShows(t *testing.T) {
	cfg := lossyConfig(object.NewReplicas("A"), "A", "B")
	r := row(version(2), cfg.Replicas, entry(3, object.Present, "A"), entry(3, object.Present, "B"))
	_, eff := visit(t, cfg, &Memory{}, at(0), r, map[string]object.Seen{"A": seen(version(3)), "B": seen(summed(3))})
	next := only[Swap](t, eff).Row
	if next.Cur.ID != id(3) || next.Cur.Headers[crc] == "" || !next.Sumless.Equal(object.NewReplicas("A")) {
		t.Fatalf("got %+v", next)
	}
}
