package sigv4

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const ringSecret, ringDecoy = Secret("ring secret"), Secret("nobody's")

var ringTime = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// ringRequest is parsed afresh: a Request is verified once.
func ringRequest(t testing.TB, region string, day int) *Request {
	t.Helper()
	at := ringTime.AddDate(0, 0, day)
	r := &http.Request{Method: "GET", Host: "h", Header: http.Header{}, RequestURI: "/b/k"}
	NewSigner("AK", ringSecret, region).Sign(r, "/b/k", "", EmptySHA256, at)
	q, err := Parse(r, at)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func isMismatch(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == codeSignatureMismatch
}

func TestKeyringRemembersWhatWasRight(t *testing.T) {
	k := NewKeyring(ringDecoy)
	for _, wrong := range []Secret{"wrong", ringDecoy} {
		if err := k.Verify(ringRequest(t, "eu", 0), wrong); !isMismatch(err) || len(k.keys) != 0 {
			t.Fatalf("a wrong secret: %v, %d keys", err, len(k.keys))
		}
	}
	for range 3 {
		if err := k.Verify(ringRequest(t, "eu", 0), ringSecret); err != nil {
			t.Fatal(err)
		}
	}
	if len(k.keys) != 2 {
		t.Errorf("%d keys, want that of the secret and that of the decoy", len(k.keys))
	}
	for d, key := range k.keys {
		if !bytes.Equal(key.bytes, signingKey(d.secret, d.date, d.region).bytes) {
			t.Errorf("%s in %s: another key", d.date, d.region)
		}
	}
	// What is remembered opens nothing but what it is for.
	for _, wrong := range []Secret{"wrong", ringDecoy} {
		if err := k.Verify(ringRequest(t, "eu", 0), wrong); !isMismatch(err) {
			t.Errorf("a wrong secret afterwards: %v", err)
		}
	}
	for i, q := range []*Request{ringRequest(t, "us", 0), ringRequest(t, "eu", 1)} {
		if err := k.Verify(q, ringSecret); err != nil || len(k.keys) != 4+2*i {
			t.Errorf("another scope: %v, %d keys", err, len(k.keys))
		}
	}
}

func TestKeyringIsBounded(t *testing.T) {
	k := NewKeyring(ringDecoy)
	for i := range maxDerived {
		k.keys[derivation{date: fmt.Sprint(i)}] = &macKey{}
	}
	if err := k.Verify(ringRequest(t, "eu", 0), ringSecret); err != nil || len(k.keys) != 2 {
		t.Errorf("%v, %d keys", err, len(k.keys))
	}
}

// A key that is not ready any more is not derived anew, and what is remembered of keys is
// bounded as well.
func TestKeyringKeepsWhatKeysAreMadeOf(t *testing.T) {
	k := NewKeyring(ringDecoy)
	if err := k.Verify(ringRequest(t, "eu", 0), ringSecret); err != nil {
		t.Fatal(err)
	}
	clear(k.keys)
	for d := range k.kept {
		if key, known := k.ready(d); known || &key.bytes[0] != &k.kept[d][0] {
			t.Errorf("a key that was kept is ready (%v) or derived anew", known)
		}
	}
	if err := k.Verify(ringRequest(t, "eu", 0), "wrong"); !isMismatch(err) || len(k.keys) != 0 {
		t.Errorf("a wrong secret: %v, %d keys", err, len(k.keys))
	}
	if err := k.Verify(ringRequest(t, "eu", 0), ringSecret); err != nil || len(k.keys) != 2 || len(k.kept) != 2 {
		t.Errorf("%v, %d keys, %d kept", err, len(k.keys), len(k.kept))
	}
	for i := range maxKept {
		k.kept[derivation{date: fmt.Sprint(i)}] = []byte{1}
	}
	if err := k.Verify(ringRequest(t, "us", 0), ringSecret); err != nil || len(k.kept) != 2 {
		t.Errorf("%v, %d are kept", err, len(k.kept))
	}
}

func TestKeyringIsShared(t *testing.T) {
	k := NewKeyring(ringDecoy)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for day := range 20 {
				if err := k.Verify(ringRequest(t, "eu", day), ringSecret); err != nil {
					t.Error(err)
				}
				if err := k.Verify(ringRequest(t, fmt.Sprint(i), day), "wrong"); !isMismatch(err) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if len(k.keys) != 40 {
		t.Errorf("%d keys, want 40", len(k.keys))
	}
}

func TestKeyringDoesNotPrint(t *testing.T) {
	k := NewKeyring(ringDecoy)
	if err := k.Verify(ringRequest(t, "eu", 0), ringSecret); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%v %+v %#v %s", k, k, k, []any{k}); strings.Contains(got, "secret") || strings.Contains(got, "nobody") || strings.Contains(got, "map[") {
		t.Error(got)
	}
}

func BenchmarkKeyring(b *testing.B) {
	k := NewKeyring(ringDecoy)
	q := ringRequest(b, "eu", 0)
	for b.Loop() {
		if err := k.Verify(q, ringSecret); err != nil {
			b.Fatal(err)
		}
	}
}
