package commit

import (
	"reflect"
	"testing"

	"github.com/s3mirror/s3mirror/internal/object"
)

// What a replica has is served; absence is told only when nobody who answers has it.
func TestStale(t *testing.T) {
	has := object.Seen{Info: object.Info{Kind: object.Present, ETag: `"e"`, Size: 3}}
	lacks := object.Seen{Info: object.Info{Kind: object.Tombstone}}
	for name, c := range map[string]struct {
		shown []Showed // by the replicas in order
		want  Effect
	}{
		"the first has it":      {[]Showed{{Seen: has}}, Serve{Replica: "a", Info: has.Info}},
		"the first lacks it":    {[]Showed{{Seen: lacks}, {Seen: has}}, Serve{Replica: "b", Info: has.Info}},
		"the first fails":       {[]Showed{{Failed: true}, {Seen: has}}, Serve{Replica: "b", Info: has.Info}},
		"nobody has it":         {[]Showed{{Seen: lacks}, {Failed: true}}, Absent{}},
		"nobody answers":        {[]Showed{{Failed: true}, {Failed: true}}, Unavailable{}},
		"c is no replica of it": {[]Showed{{Seen: lacks}, {Seen: lacks}}, Absent{}},
	} {
		ab := object.NewReplicas("a", "b")
		s := NewStale(Config{Replicas: ab, Serving: ab})
		out := s.Step(Now{}, Look{Order: []string{"a", "c", "b"}})
		for i, ev := range c.shown {
			ev.Replica = []string{"a", "b"}[i]
			if want := []Effect{Get{Replica: ev.Replica}}; !reflect.DeepEqual(out, want) {
				t.Fatalf("%s: %v, want %v", name, out, want)
			}
			if more := s.Step(Now{}, Showed{Replica: "c", Seen: has}); more != nil {
				t.Errorf("%s: who was not asked is heard: %v", name, more)
			}
			out = s.Step(Now{}, ev)
		}
		if !reflect.DeepEqual(out, []Effect{c.want}) || !s.Over() {
			t.Errorf("%s: %v, want %v", name, out, c.want)
		}
	}
}
