package object

import (
	"strings"
	"testing"
)

func TestTags(t *testing.T) {
	tags := Tags{"b": "2", "a": "1", "c": ""}
	var got strings.Builder
	for key, value := range tags.Sorted() {
		got.WriteString(key + "=" + value + ";")
	}
	if got.String() != "a=1;b=2;c=;" {
		t.Error(got.String())
	}
	for key := range tags.Sorted() {
		if key != "a" {
			t.Errorf("went on behind a break to %q", key)
		}
		break
	}
	other := tags.Clone()
	if !other.Equal(tags) || !Tags(nil).Equal(Tags{}) || Tags(nil).Clone() != nil {
		t.Error("equal sets differ")
	}
	other["a"] = "2"
	if other.Equal(tags) || tags["a"] != "1" || tags.Equal(nil) {
		t.Error("different sets are equal, or share")
	}
}
