package auth

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func wantLocked(t *testing.T, th *throttle, login, client string, want time.Duration) {
	t.Helper()
	err := th.locked(login, addr(client))
	var locked *LockedError
	switch {
	case want == 0 && err != nil:
		t.Errorf("%s from %s: %v", login, client, err)
	case want != 0 && (!errors.As(err, &locked) || time.Until(locked.Until) != want):
		t.Errorf("%s from %s: %v, want a lock for %v", login, client, err, want)
	}
}

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(time.Now)
		here, there := "192.0.2.1", "192.0.2.2"
		for i := range failsOfPair {
			wantLocked(t, th, "alice", here, 0)
			if got := th.failed("alice", addr(here)); got != (i == failsOfPair-1) {
				t.Errorf("failure %d locks: %v", i, got)
			}
		}
		wantLocked(t, th, "alice", here, firstLock)
		wantLocked(t, th, "alice", there, 0)
		wantLocked(t, th, "bob", here, 0)
		if until := th.locks()["alice"]; time.Until(until) != firstLock {
			t.Errorf("locks %v", th.locks())
		}
		for i := range 10 { // one more after each lock
			wait := min(firstLock<<i, longestLock)
			wantLocked(t, th, "alice", here, wait)
			time.Sleep(wait)
			wantLocked(t, th, "alice", here, 0)
			th.failed("alice", addr(here))
		}
		th.succeeded("alice", addr(here))
		wantLocked(t, th, "alice", here, 0)
		if len(th.locks()) != 0 {
			t.Errorf("locks %v", th.locks())
		}
	})
}

// TestThrottleNetworks: what a client can change about himself does not help.
func TestThrottleNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(time.Now)
		for i := range failsOfPair {
			th.failed("alice", addr(fmt.Sprintf("2001:db8:0:1::%x%%eth%d", i+1, i)))
		}
		wantLocked(t, th, "alice", "2001:db8:0:1:ffff::1", firstLock)
		wantLocked(t, th, "alice", "2001:db8:0:2::1", 0)
		for range failsOfPair {
			th.failed("bob", addr("::ffff:192.0.2.1"))
		}
		wantLocked(t, th, "bob", "192.0.2.1", firstLock)

		for i := range failsOfNetwork { // many logins from one place
			th.failed(fmt.Sprint("user", i), addr("192.0.2.9"))
		}
		wantLocked(t, th, "carol", "192.0.2.9", firstLock)
		th.succeeded("carol", addr("192.0.2.9"))
		wantLocked(t, th, "carol", "192.0.2.9", firstLock)

		for i := range failsOfLogin { // one login from many places
			th.failed("dave", addr(fmt.Sprintf("198.51.100.%d", i)))
		}
		wantLocked(t, th, "dave", "203.0.113.1", firstLock)
		th.unlock("dave")
		wantLocked(t, th, "dave", "203.0.113.1", 0)
	})
}

func TestThrottleForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(time.Now)
		for range failsOfPair - 1 {
			th.failed("alice", addr("192.0.2.1"))
		}
		time.Sleep(forgetFails + time.Second)
		if th.failed("alice", addr("192.0.2.1")) {
			t.Error("remembers for ever")
		}
	})
}

func TestThrottleIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(time.Now)
		for range failsOfPair {
			th.failed("alice", addr("192.0.2.1"))
		}
		for i := range mostFails {
			th.failed(fmt.Sprint(i), addr(fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff)))
		}
		if len(th.fails) > mostFails {
			t.Errorf("%d records", len(th.fails))
		}
		wantLocked(t, th, "alice", "192.0.2.1", firstLock) // is not pushed out by who is not locked
		for i := range 2 * mostFails {
			for range failsOfPair {
				th.failed(fmt.Sprint(i), addr("192.0.2.7"))
			}
		}
		if len(th.fails) > mostFails {
			t.Errorf("%d records, all locked", len(th.fails))
		}
		long := fmt.Sprintf("%01000d", 7)
		for range failsOfPair {
			th.failed(long, addr("192.0.2.8"))
		}
		for key := range th.fails {
			if len(key.login) > 100 {
				t.Errorf("keeps a login of %d bytes", len(key.login))
			}
		}
		th.succeeded(long, addr("192.0.2.8"))
		wantLocked(t, th, long, "192.0.2.8", 0)
	})
}
