package auth

import (
	"errors"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/s3"
)

func TestErrorsThatAreNoRefusal(t *testing.T) {
	cause := errors.New("out of memory")
	if err := asS3(cause); err.Code != s3.InternalError || !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

// A login that nobody has is checked at the cost of one that somebody has.
func TestHashOfNone(t *testing.T) {
	p := NewPasswords(1)
	real, err := p.Hash(t.Context(), "horse")
	if err != nil {
		t.Fatal(err)
	}
	a, b := hashOfNone(), hashOfNone()
	if a == b || len(a) != len(real) || a[:strings.LastIndex(a, "p=")] != real[:strings.LastIndex(real, "p=")] {
		t.Errorf("%s, %s and %s", a, b, real)
	}
	if ok, err := p.Check(t.Context(), "horse", a); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}
