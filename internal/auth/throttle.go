package auth

import (
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// LockedError says that too many logins failed: further ones are not looked at
// until then. It does not tell whether there is such a user.
type LockedError struct{ Until time.Time }

func (e *LockedError) Error() string {
	return fmt.Sprintf("too many failed logins: try again after %s", e.Until.UTC().Format(time.RFC3339))
}

// The bounds of failed logins before a lock, by what they have in common. One
// who guesses at one login from one place is locked long before he can lock the
// login for everyone.
const (
	failsOfPair    = 5   // of one login from one network
	failsOfNetwork = 20  // from one network, whatever the login
	failsOfLogin   = 100 // of one login, from anywhere
	firstLock      = 30 * time.Second
	longestLock    = 15 * time.Minute // each failure after a lock doubles it up to here
	forgetFails    = time.Hour        // after the last one
	mostFails      = 20_000           // records in memory
)

// throttle counts failed logins on this node. A login counts whether there is
// such a user or not. It is safe for concurrent use.
type throttle struct {
	now func() time.Time

	mu    sync.Mutex // guards fails
	fails map[failKey]*fail
}

// failKey is what failures have in common: a login, a network, or both.
type failKey struct {
	login   string
	network netip.Prefix
}

type fail struct {
	count int
	last  time.Time
	until time.Time // locked until then
}

func newThrottle(now func() time.Time) *throttle {
	return &throttle{now: now, fails: map[failKey]*fail{}}
}

// networkOf is what one client can easily change about his address: of IPv6 he
// has a /64 to himself.
func networkOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // the zero Prefix for no address: all of those are one
	return p
}

// keysOf are the records that one attempt belongs to, with their bounds.
func keysOf(login string, client netip.Addr) map[failKey]int {
	login = bounded(login)
	network := networkOf(client)
	return map[failKey]int{
		{login, network}:        failsOfPair,
		{"", network}:           failsOfNetwork,
		{login, netip.Prefix{}}: failsOfLogin,
	}
}

// bounded is as much of a login as is kept.
func bounded(login string) string { return login[:min(len(login), 100)] }

// locked is nil, or says until when the login is not looked at from there.
func (t *throttle) locked(login string, client netip.Addr) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var until time.Time
	for key := range keysOf(login, client) {
		if f := t.fails[key]; f != nil && f.until.After(until) {
			until = f.until
		}
	}
	if until.After(t.now()) {
		return &LockedError{until}
	}
	return nil
}

// failed counts a failure, and tells whether it led to a lock.
func (t *throttle) failed(login string, client netip.Addr) (locked bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for key, bound := range keysOf(login, client) {
		f := t.fails[key]
		if f == nil || now.Sub(f.last) > forgetFails {
			t.makeRoom(now)
			f = &fail{}
			t.fails[key] = f
		}
		f.count++
		f.last = now
		if over := f.count - bound; over >= 0 {
			f.until = now.Add(min(firstLock<<min(over, 10), longestLock))
			locked = true
		}
	}
	return locked
}

// succeeded forgets what was counted of the login from there. The network's
// count stays: a guesser may have one login of his own.
func (t *throttle) succeeded(login string, client netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.fails, failKey{bounded(login), networkOf(client)})
	delete(t.fails, failKey{login: bounded(login)})
}

// locks are the logins that are locked from somewhere, and until when.
func (t *throttle) locks() map[string]time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	locks, now := map[string]time.Time{}, t.now()
	for key, f := range t.fails {
		if key.login != "" && f.until.After(now) && f.until.After(locks[key.login]) {
			locks[key.login] = f.until
		}
	}
	return locks
}

// unlock forgets all that was counted of a login.
func (t *throttle) unlock(login string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key := range t.fails {
		if key.login == login {
			delete(t.fails, key)
		}
	}
}

// makeRoom keeps the records bounded: the old ones go first, then any that
// locks nobody, then any. The caller holds mu.
func (t *throttle) makeRoom(now time.Time) {
	if len(t.fails) < mostFails {
		return
	}
	for key, f := range t.fails {
		if now.Sub(f.last) > forgetFails {
			delete(t.fails, key)
		}
	}
	for _, spare := range []bool{true, false} {
		for key, f := range t.fails {
			if len(t.fails) <= mostFails/4*3 { // not one by one: each look is at all of them
				return
			}
			if !spare || !f.until.After(now) {
				delete(t.fails, key)
			}
		}
	}
}
