package harness

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// The harness judges the product, so its own judgement is tested here: what
// is equal passes, and each single difference is noticed.

func written(op string) (Write, Object) {
	w := NewWrite(op, 100, rand.New(rand.NewPCG(1, 1)))
	return w, Object{Size: 100, Sum: sha256.Sum256(w.Body), ETag: `"tag-` + op + `"`, Header: w.Header.Clone()}
}

func TestKeySaw(t *testing.T) {
	one, oneSeen := written("1")
	two, twoSeen := written("2")
	three, threeSeen := written("3")
	gone := Missing{"NoSuchKey"}

	k := &Key{Name: "k"}
	sees := func(what string, o Object, err error, want bool) {
		t.Helper()
		if got := k.Saw(o, err); (got == nil) != want {
			t.Errorf("%s: allowed %v, want %v (%v)", what, got == nil, want, got)
		}
	}
	sees("absent at first", Object{}, gone, true)
	sees("something at first", oneSeen, nil, false)
	k.Wrote(one.Version, Acked)
	sees("the acknowledged", oneSeen, nil, true)
	sees("absent after the ack", Object{}, gone, false)
	k.Wrote(two.Version, Refused)
	sees("the refused", twoSeen, nil, false)
	k.Wrote(two.Version, NotSent)
	sees("the one never sent", twoSeen, nil, false)
	k.Wrote(two.Version, Unknown)
	k.Wrote(Version{Op: "delete"}, Unknown)
	k.Wrote(three.Version, Unknown)
	sees("the certain one beside three in doubt", oneSeen, nil, true)
	sees("one in doubt", twoSeen, nil, true)
	sees("what it overwrote", oneSeen, nil, false)
	sees("another in doubt", Object{}, gone, true)
	sees("back again", twoSeen, nil, false)
	k.Wrote(one.Version, Acked)
	sees("one in doubt after a later ack", threeSeen, nil, false)
	sees("the later ack", oneSeen, nil, true)
	sees("no answer", Object{}, errors.New("cut"), false)
}

func TestVersionDiffers(t *testing.T) {
	w, seen := written("1")
	w.ETag = seen.ETag
	if diff := w.differs(seen, true); diff != "" {
		t.Fatalf("the object itself differs: %s", diff)
	}
	for what, change := range map[string]func(*Object){
		"bytes":           func(o *Object) { o.Sum[0]++ },
		"size":            func(o *Object) { o.Size++ },
		"etag":            func(o *Object) { o.ETag = `"other"` },
		"metadata lost":   func(o *Object) { delete(o.Header, "x-amz-meta-op") },
		"metadata value":  func(o *Object) { o.Header["x-amz-meta-spaces"] = "two spaces" },
		"metadata forged": func(o *Object) { o.Header["x-amz-meta-more"] = "1" },
		"framing kept":    func(o *Object) { o.Header["content-encoding"] = "aws-chunked" },
	} {
		o := seen
		o.Header = seen.Header.Clone()
		change(&o)
		if w.differs(o, true) == "" {
			t.Errorf("%s: not noticed", what)
		}
	}
}

func TestJudge(t *testing.T) {
	refused := fmt.Errorf("dial: %w", syscall.ECONNREFUSED)
	for _, tc := range []struct {
		status int
		err    error
		want   Outcome
	}{
		{200, nil, Acked}, {204, nil, Acked}, {412, nil, Refused}, {403, nil, Refused},
		{503, nil, Unknown}, {500, nil, Unknown}, {0, io.EOF, Unknown}, {0, refused, NotSent}, {307, nil, Unknown},
	} {
		if got := Judge(wire.Answer{Status: tc.status}, tc.err); got != tc.want {
			t.Errorf("%d, %v: judged %v, want %v", tc.status, tc.err, got, tc.want)
		}
	}
}

func TestDifferences(t *testing.T) {
	key := object.NewStampKey([]byte("secret"))
	at := object.Key{Bucket: "b", Name: "k"}
	stamp := func(id byte) string {
		return key.Seal(at, object.Stamp{ID: object.ID{id}, Flag: object.FlagSmall, Uploaded: time.UnixMilli(int64(id))})
	}
	base := func() Object {
		_, o := written("1")
		o.Stamp = stamp(1)
		return o
	}
	for what, change := range map[string]func(map[string]Object, *Object){
		"missing":       func(m map[string]Object, _ *Object) { delete(m, "k") },
		"bytes":         func(_ map[string]Object, o *Object) { o.Sum[0]++ },
		"etag":          func(_ map[string]Object, o *Object) { o.ETag = "x" },
		"headers":       func(_ map[string]Object, o *Object) { o.Header["cache-control"] = "x" },
		"other write":   func(_ map[string]Object, o *Object) { o.Stamp = stamp(2) },
		"no stamp":      func(_ map[string]Object, o *Object) { o.Stamp = "" },
		"forged stamp":  func(_ map[string]Object, o *Object) { o.Stamp = "A" + o.Stamp[1:len(o.Stamp)-1] + "A" },
		"one more key":  func(m map[string]Object, o *Object) { m["l"] = *o },
		"copied object": func(m map[string]Object, o *Object) { m["copy"] = *o; delete(m, "k") },
	} {
		for place := range 3 {
			copies := []Snapped{{Backend: "b-1"}, {Backend: "b-2"}, {Backend: "b-3"}}
			for i := range copies {
				copies[i].Objects = map[string]Object{"k": base()}
			}
			if diffs := Differences(copies, key, "b"); diffs != nil {
				t.Fatalf("equal copies differ: %v", diffs)
			}
			m, o := maps.Clone(copies[place].Objects), base()
			change(m, &o)
			if _, ok := m["k"]; ok {
				m["k"] = o
			}
			copies[place].Objects = m
			if Differences(copies, key, "b") == nil {
				t.Errorf("%s on the backend at place %d: not noticed", what, place)
			}
		}
	}
	// The same write stamped at another time, as a healed copy is, is equal.
	healed := base()
	healed.Stamp = key.Seal(at, object.Stamp{ID: object.ID{1}, Flag: object.FlagStream, Uploaded: time.UnixMilli(99)})
	if d := Differences([]Snapped{{Backend: "b-1", Objects: map[string]Object{"k": base()}}, {Backend: "b-2", Objects: map[string]Object{"k": healed}}}, key, "b"); d != nil {
		t.Errorf("a healed copy counts as different: %v", d)
	}
}

func TestBody(t *testing.T) {
	if a, b := Body("1", 1000), Body("2", 1000); string(a) == string(b) || !strings.HasPrefix(string(a), "op 1\n") {
		t.Error("bodies of two ops are equal, or do not say whose they are")
	}
	again := Body("1", 500)
	if len(Body("1", 0)) != 0 || len(Body("1", 1)) != 1 || !bytes.Equal(Body("1", 500), again) {
		t.Error("a body has another size than asked for, or changes")
	}
}
