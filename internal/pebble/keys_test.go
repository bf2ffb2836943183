package pebble

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"pgregory.net/rapid"
)

func anyText() *rapid.Generator[string] {
	return rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 200), func(b []byte) string { return string(b) })
}

func TestRowKeysReadOneWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := object.Key{Bucket: anyText().Draw(t, "bucket"), Name: anyText().Draw(t, "name")}
		b := object.Key{Bucket: anyText().Draw(t, "bucket"), Name: anyText().Draw(t, "name")}
		ka, kb := rowKey(nil, a), rowKey(nil, b)
		if got, ok := parseRowKey(ka); !ok || got != a {
			t.Fatalf("%q reads as %q", a, got)
		}
		if bytes.Equal(ka, kb) != (a == b) {
			t.Fatalf("%q and %q have the keys %x and %x", a, b, ka, kb)
		}
		if a.Bucket == b.Bucket && cmp.Compare(a.Name, b.Name) != bytes.Compare(ka, kb) {
			t.Fatalf("%q and %q are out of order", a.Name, b.Name)
		}
		if got := rowOfShardKey(nil, shardKey(nil, 7, ka)); !bytes.Equal(got, ka) {
			t.Fatalf("a place in the index names %x, want %x", got, ka)
		}
	})
	for _, bad := range [][]byte{nil, {familyRow}, {familyRow, 9, 'a'}, {familyRow, 0xff}} {
		if key, ok := parseRowKey(bad); ok {
			t.Errorf("%x reads as %v", bad, key)
		}
	}
}

func TestPlacesSortAsTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func() place {
			at := time.Unix(rapid.Int64Range(math.MinInt64/4, math.MaxInt64/4).Draw(t, "sec"), rapid.Int64Range(0, 3).Draw(t, "ns"))
			return placeOf(at, rapid.Uint64Range(0, 3).Draw(t, "seq"))
		}
		a, b := draw(), draw()
		if rapid.Bool().Draw(t, "close") {
			b.sec = a.sec
		}
		if got, ok := parsePlace(a.append(nil)); !ok || got != a {
			t.Fatalf("%v reads as %v", a, got)
		}
		if a.before(b) != (bytes.Compare(a.append(nil), b.append(nil)) < 0) {
			t.Fatalf("%v and %v are out of order", a, b)
		}
		hour := hourOf(a.sec)
		if hour*3600 > a.sec || (hour+1)*3600 <= a.sec {
			t.Fatalf("second %d is in hour %d", a.sec, hour)
		}
		if !bytes.HasPrefix(eventKey("b", a), hourKey(nil, familyEvent, hour)) {
			t.Fatal("an event is not in its hour")
		}
	})
	if _, ok := parsePlace(make([]byte, placeBytes-1)); ok {
		t.Error("a cut place was read")
	}
	if _, err := hourOfKey([]byte{familyEvent}); err == nil {
		t.Error("a key without hour was read")
	}
}

func TestEndIsTheFirstKeyBeyondThePrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := append([]byte{familyRow}, anyText().Draw(t, "prefix")...)
		inside := append(slices.Clone(prefix), anyText().Draw(t, "rest")...)
		e := end(prefix)
		if bytes.Compare(inside, e) >= 0 {
			t.Fatalf("%x is not before the end %x of %x", inside, e, prefix)
		}
		if bytes.HasPrefix(e, prefix) {
			t.Fatalf("the end %x is inside %x", e, prefix)
		}
	})
	if got := end([]byte{0xff, 0xff}); got != nil {
		t.Errorf("end of ffff is %x, want none", got)
	}
}
