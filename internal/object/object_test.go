package object

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTickGrowsWhateverTheClockSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var last Version
		for range 20 {
			wall := time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "wall"))
			v := Tick(wall, last)
			if v <= last {
				t.Fatalf("%d after %d", v, last)
			}
			if v.Time().Before(wall.Truncate(time.Millisecond)) {
				t.Fatalf("%v is before the clock's %v", v.Time(), wall)
			}
			last = v
		}
	})
}

func TestIDs(t *testing.T) {
	id := NewID()
	if id.IsZero() || id == NewID() {
		t.Fatal("an id is zero, or was drawn twice")
	}
	back, err := ParseID(id.String())
	if err != nil || back != id {
		t.Fatalf("got %v, %v", back, err)
	}
	for _, bad := range []string{"", "xy", id.String()[1:], id.String() + "00", strings.Repeat("g", 32)} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("%q was taken for an id", bad)
		}
	}
}

func TestKeysCannotForgeLogLines(t *testing.T) {
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "key", Key{"b", "a\nlevel=ERROR msg=forged"})
	if strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("got %q", out.String())
	}
	if !(Key{"b", ".s3mirror/identity"}).Reserved() || (Key{"b", "x/.s3mirror/"}).Reserved() {
		t.Error("reserved keys are those that begin with the prefix")
	}
}

func TestStoredHeaders(t *testing.T) {
	for name, want := range map[string]bool{
		"content-type": true, "x-amz-meta-a": true, "x-amz-checksum-crc32c": true, "x-amz-checksum-type": true,
		"x-amz-meta-s3mirror-stamp": false, "x-amz-checksum-mode": false, "x-amz-checksum-algorithm": false,
		"content-length": false, "authorization": false, "etag": false,
	} {
		if Stored(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	h := Headers{"a": "1"}
	c := h.Clone()
	c["a"] = "2"
	if h["a"] != "1" || h.Equal(c) || !h.Equal(Headers{"a": "1"}) {
		t.Error("a clone shares its values, or comparison is off")
	}
}

func TestShows(t *testing.T) {
	cur := Info{ID: ID{1}, Kind: Present, ETag: "e", Size: 3}
	for name, c := range map[string]struct {
		change func(*Seen)
		want   bool
	}{
		"the same":      {func(*Seen) {}, true},
		"another id":    {func(s *Seen) { s.ID = ID{2} }, false},
		"another size":  {func(s *Seen) { s.Size = 2 }, false},
		"another ETag":  {func(s *Seen) { s.ETag = "f" }, false},
		"nothing there": {func(s *Seen) { *s = Seen{} }, false},
		"another place": {func(s *Seen) { s.Ver = 9 }, true},
	} {
		s := Seen{Info: cur}
		c.change(&s)
		if s.Shows(cur) != c.want {
			t.Errorf("%s: %v", name, !c.want)
		}
	}
	if !(Seen{}).Shows(Info{ID: ID{7}, Kind: Tombstone}) {
		t.Error("absence is a tombstone's")
	}
	if Present.String() != "object" || Tombstone.String() != "tombstone" {
		t.Error("kinds have other names")
	}
}

func TestReplicasAreSets(t *testing.T) {
	names := rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}))
	rapid.Check(t, func(t *rapid.T) {
		x, y := NewReplicas(names.Draw(t, "x")...), NewReplicas(names.Draw(t, "y")...)
		before := slices.Clone(x)
		for _, n := range []string{"a", "b", "c", "d", "e"} {
			in, also := x.Has(n), y.Has(n)
			if x.And(y).Has(n) != (in && also) || x.Or(y).Has(n) != (in || also) || x.Minus(y).Has(n) != (in && !also) {
				t.Fatalf("%v and %v disagree about %s", x, y, n)
			}
			if !x.With(n).Has(n) || x.Without(n).Has(n) || !x.With(n).Covers(x) {
				t.Fatalf("%v with and without %s", x, n)
			}
		}
		if x.Covers(y) != (len(y.Minus(x)) == 0) || !x.Equal(before) || !slices.IsSorted(x.Or(y)) {
			t.Fatalf("%v was changed, or is out of order", x)
		}
	})
}

var stampKey = NewStampKey([]byte("0123456789abcdef0123456789abcdef"))

func TestStampsAreOpenedOnlyWhereTheyWereSealed(t *testing.T) {
	key := Key{"bucket", "a/b"}
	s := Stamp{ID: ID{1, 2}, Flag: FlagSmall, Uploaded: time.UnixMilli(1234).UTC(), Ver: 77, ETag: "abc"}
	text := stampKey.Seal(key, s)
	got, err := stampKey.Open(key, text)
	if err != nil || got != s {
		t.Fatalf("got %+v, %v", got, err)
	}
	for _, other := range []Key{{"bucket", "a/c"}, {"bucke", "ta/b"}, {"bucketa", "/b"}} {
		if _, err := stampKey.Open(other, text); err == nil {
			t.Errorf("a stamp of %v opens on %v", key, other)
		}
	}
	if _, err := NewStampKey([]byte("another")).Open(key, text); err == nil {
		t.Error("another deployment's stamp opens")
	}
	for i := range len(text) {
		b := []byte(text)
		if b[i] == 'A' {
			b[i] = 'B'
		} else {
			b[i] = 'A'
		}
		if got, err := stampKey.Open(key, string(b)); err == nil && string(b) != text {
			t.Errorf("a stamp with byte %d changed opens as %+v", i, got)
		}
	}
	for _, s := range []Stamp{{ID: ID{1}}, {ID: ID{1}, Flag: FlagMultipart + 1}, {Flag: FlagSmall}} {
		if _, err := stampKey.Open(key, stampKey.Seal(key, s)); err == nil {
			t.Errorf("%+v is no stamp", s)
		}
	}
}

func FuzzStampOpen(f *testing.F) {
	key := Key{"b", "k"}
	f.Add(stampKey.Seal(key, Stamp{ID: ID{1}, Flag: FlagStream}))
	f.Add("")
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := stampKey.Open(key, text); err == nil && stampKey.Seal(key, s) != text {
			t.Errorf("%q opens and does not seal again", text)
		}
	})
}

// FuzzStamp seals anything and opens it again: where it was sealed, and with no
// byte changed.
func FuzzStamp(f *testing.F) {
	f.Add("b", "k", make([]byte, 16), uint8(FlagSmall), int64(0), uint64(1), "etag", uint16(0), "other")
	f.Add("bucket", "a/b\x00\xff", []byte{1}, uint8(FlagStream), int64(-1), uint64(1<<63), "", uint16(40), "")
	f.Fuzz(func(t *testing.T, bucket, name string, id []byte, flag uint8, uploaded int64, ver uint64, etag string, at uint16, other string) {
		key := Key{bucket, name}
		s := Stamp{Flag: Flag(flag), Uploaded: time.UnixMilli(uploaded).UTC(), Ver: Version(ver), ETag: etag}
		copy(s.ID[:], id)
		text := stampKey.Seal(key, s)
		got, err := stampKey.Open(key, text)
		sound := !s.ID.IsZero() && s.Flag != FlagNone && s.Flag <= FlagMultipart
		if sound != (err == nil) || sound && (got.ID != s.ID || got.Flag != s.Flag || got.Ver != s.Ver || got.ETag != s.ETag || !got.Uploaded.Equal(s.Uploaded)) {
			t.Fatalf("%+v opens as %+v, %v", s, got, err)
		}
		b := []byte(text)
		i := int(at) % len(b)
		for _, c := range []byte{'A', 'B', '_', '=', 0, b[i] ^ 0x80} {
			if changed := string(b[:i]) + string(c) + string(b[i+1:]); changed != text {
				if got, err := stampKey.Open(key, changed); err == nil {
					t.Fatalf("changed at %d it opens as %+v", i, got)
				}
			}
		}
		for _, k := range []Key{{other, name}, {bucket, other}, {bucket + name, ""}, {"", bucket + name}} {
			if _, err := stampKey.Open(k, text); err == nil && k != key {
				t.Fatalf("a stamp of %v opens on %v", key, k)
			}
		}
	})
}
