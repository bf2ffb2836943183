package backend

import "testing"

// TestWhatIsLimitedIsStillGathered: the body of an object and of a part alike.
func TestWhatIsLimitedIsStillGathered(t *testing.T) {
	l := NewLimits(0, 0)
	if _, ok := l.body(gathering{}).(Gatherer); !ok {
		t.Error("a body that can be gathered no longer can")
	}
	if _, ok := l.body(&stepBody{}).(Gatherer); ok {
		t.Error("a body that cannot be gathered says that it can")
	}
	if l.body(nil) != nil {
		t.Error("no body became one")
	}
}
