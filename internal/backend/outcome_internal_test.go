package backend

import (
	"errors"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/s3"
)

func TestOutcomeWords(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range Outcomes {
		if seen[o.String()] {
			t.Errorf("%v twice", o)
		}
		seen[o.String()] = true
		if o.Definitive() == (o == Ambiguous) {
			t.Errorf("%v: definitive %v", o, o.Definitive())
		}
	}
	if OutcomeOf(nil) != OK || OutcomeOf(errors.New("other")) != Ambiguous || OutcomeOf(errors.Join(failure(Absent))) != Absent {
		t.Error("outcomes of errors")
	}
	if IsAbsent(nil) || IsMisconfigured(errors.New("other")) {
		t.Error("absent or misconfigured for no reason")
	}
}

func TestErrorTexts(t *testing.T) {
	cause := errors.New("cause")
	for want, e := range map[string]*Error{
		"put on backend eu-1: not_sent: cause":                                     {Op: OpPut, Outcome: NotSent, Err: cause},
		"list buckets on backend eu-1: ambiguous: HTTP status 502 Bad Gateway":     {Op: OpListBuckets, Outcome: Ambiguous, Status: 502},
		"get on backend eu-1: refused, misconfigured: AccessDenied: Access Denied": {Op: OpGet, Outcome: Refused, Misconfigured: true, Status: 403, S3: s3.Err(s3.AccessDenied)},
	} {
		e.Backend = "eu-1"
		if !strings.HasPrefix(e.Error(), want) {
			t.Errorf("%q, want %q", e.Error(), want)
		}
	}
	both := &Error{S3: s3.Err(s3.SlowDown), Err: cause}
	if !errors.Is(both, cause) || !errors.Is(both, s3.SlowDown) || errors.Is(&Error{}, cause) {
		t.Error("causes")
	}
}
