package auth_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/argon2id"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

const alicePassword = "correct horse"

var here = netip.MustParseAddr("192.0.2.1")

// loginNode is a node whose users can log in.
type loginNode struct {
	node
	*auth.Logins
}

func newLoginNode(t testing.TB, log oplog.Log) loginNode {
	t.Helper()
	n := newNode(log)
	l, err := auth.NewLogins(t.Context(), n.directory, auth.NewPasswords(2), make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return loginNode{n, l}
}

// withAlice makes the user whom most tests are about.
func (n loginNode) withAlice(t testing.TB) loginNode {
	t.Helper()
	n.create(t, alice())
	n.give(t, alicePassword)
	return n
}

// give gives alice a password whose check costs next to nothing.
func (n loginNode) give(t testing.TB, password string) {
	t.Helper()
	hash, err := argon2id.CreateHash(password, &argon2id.Params{Memory: 8, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.accounts.Update(t.Context(), "alice", func(u *auth.User) error { u.PasswordHash = hash; return nil }); err != nil {
		t.Fatal(err)
	}
}

func (n loginNode) login(t testing.TB) auth.Grant {
	t.Helper()
	g, err := n.Login(t.Context(), "alice", alicePassword, here)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// speaks wants a token to speak for alice, or to be refused.
func (n loginNode) speaks(t *testing.T, token string, want bool) {
	t.Helper()
	who, err := n.Bearer(t.Context(), token)
	switch {
	case want && (err != nil || who.Login != "alice" || who.User.Login != "alice" || who.Session == "" || !who.Expires.After(time.Now())):
		t.Errorf("got %v, %v", who, err)
	case !want && !errors.Is(err, auth.ErrToken):
		t.Errorf("got %v, want ErrToken", err)
	}
}

func TestLogin(t *testing.T) {
	n := newLoginNode(t, memory.NewLog()).withAlice(t)
	g := n.login(t)
	if g.Login != "alice" || g.Life != 15*time.Minute {
		t.Errorf("%v for %v", g, g.Life)
	}
	n.speaks(t, g.Access, true)
	for name, token := range map[string]string{"refresh": g.Refresh, "nothing": "", "noise": "x.y.z", "Basic": "YWxpY2U6Y29ycmVjdCBob3JzZQ=="} {
		t.Run(name, func(t *testing.T) { n.speaks(t, token, false) })
	}
	if other := n.login(t); other.Access == g.Access || other.Refresh == g.Refresh {
		t.Error("two logins, one grant")
	}
	for _, kind := range []oplog.DocKind{oplog.DocSession, oplog.DocSigners, oplog.DocUser} {
		docs, err := n.log.Docs(t.Context(), kind, "", 10)
		if err != nil || len(docs) == 0 {
			t.Fatalf("%s: %v", kind, err)
		}
		for _, doc := range docs {
			for _, secret := range []string{g.Access, g.Refresh, alicePassword} {
				if bytes.Contains(doc.Body, []byte(secret)) {
					t.Errorf("%s keeps what opens", kind)
				}
			}
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(verb, g) + fmt.Sprintf(verb, n.Logins); strings.Contains(s, g.Access) || strings.Contains(s, g.Refresh) || len(s) > 100 {
			t.Errorf("%s prints %s", verb, s)
		}
	}
}

// TestLoginsThatFail: the same answer for all of them, whatever the cause.
func TestLoginsThatFail(t *testing.T) {
	n := newLoginNode(t, memory.NewLog()).withAlice(t)
	for login, spoil := range map[string]func(u *auth.User){
		"inactive":  func(u *auth.User) { u.Active = false },
		"elsewhere": func(u *auth.User) { u.AllowedIPs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} },
	} {
		u := alice()
		u.Login = login
		spoil(&u)
		if _, err := n.accounts.Create(t.Context(), u, alicePassword); err != nil {
			t.Fatal(err)
		}
	}
	keyOnly := alice()
	keyOnly.Login = "keyonly"
	n.create(t, keyOnly)
	text := ""
	for _, tc := range []struct{ login, password, why string }{
		{"alice", "wrong horse", "password"},
		{"alice", "", "password"},
		{"nobody", alicePassword, "no such user"},
		{"", "", "no such user"},
		{auth.RootLogin, alicePassword, "no password"},
		{"inactive", alicePassword, "not active"},
		{"elsewhere", alicePassword, "address"},
		{"keyonly", "", "no password"},
		{"keyonly", alicePassword, "no password"},
		{"Alice", alicePassword, "no such user"},
	} {
		g, err := n.Login(t.Context(), tc.login, tc.password, here)
		if !errors.Is(err, auth.ErrLogin) || g != (auth.Grant{}) || !strings.Contains(err.Error(), tc.why) {
			t.Errorf("%q: %v, want %s", tc.login, err, tc.why)
		}
		if text == "" {
			text = auth.ErrLogin.Error()
		}
	}
}

// TestRootLogsIn: with a password that was set anew his sessions end.
func TestRootLogsIn(t *testing.T) {
	log := memory.NewLog()
	start := func(hash string) *auth.Logins {
		n := newNode(log)
		d := auth.NewDirectory(auth.DirectoryOptions{
			Store: n.store, Vault: auth.NewVault(make([]byte, 32)), Root: auth.Root(testKey, testSecret), RootPasswordHash: hash, Now: time.Now,
		})
		l, err := auth.NewLogins(t.Context(), d, auth.NewPasswords(1), make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	hash := mustHash(t, "root's password")
	l := start(hash)
	g, err := l.Login(t.Context(), auth.RootLogin, "root's password", here)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		l  *auth.Logins
		ok bool
	}{{l, true}, {start(hash), true}, {start(mustHash(t, "another")), false}} {
		who, err := tc.l.Bearer(t.Context(), g.Access)
		if (err == nil) != tc.ok || tc.ok && who.User.Role != auth.RoleAdmin {
			t.Errorf("%v, %v", who, err)
		}
	}
}

func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLoginNode(t, memory.NewLog()).withAlice(t)
		g := n.login(t)
		first := g
		for range 10 { // a day each: the session goes on
			time.Sleep(24 * time.Hour)
			n.speaks(t, g.Access, false)
			next, err := n.Refresh(t.Context(), g.Refresh, here)
			if err != nil || next.Refresh == g.Refresh || next.Access == g.Access {
				t.Fatalf("%v", err)
			}
			n.speaks(t, next.Access, true)
			g = next
		}
		other := n.login(t)
		if _, err := n.Refresh(t.Context(), first.Refresh, here); !errors.Is(err, auth.ErrReused) || !errors.Is(err, auth.ErrToken) {
			t.Errorf("used again: %v", err)
		}
		n.speaks(t, g.Access, false)
		if _, err := n.Refresh(t.Context(), g.Refresh, here); !errors.Is(err, auth.ErrToken) {
			t.Errorf("after a reuse: %v", err)
		}
		n.speaks(t, other.Access, true) // another session is no thief's
	})
}

func TestRefreshRefuses(t *testing.T) {
	n := newLoginNode(t, memory.NewLog()).withAlice(t)
	g := n.login(t)
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(g.Refresh, "s3mr_"))
	if err != nil {
		t.Fatal(err)
	}
	forged := []string{"", "s3mr_", g.Access, "s3mr_" + strings.Repeat("A", 64), g.Refresh + "A", g.Refresh[:len(g.Refresh)-1], strings.ToLower(g.Refresh), g.Refresh[5:], g.Refresh + "\n", "s3mr_\n" + g.Refresh[5:]}
	for i := range raw {
		b := bytes.Clone(raw)
		b[i] ^= 1
		forged = append(forged, "s3mr_"+base64.RawURLEncoding.EncodeToString(b))
	}
	for _, token := range forged {
		if _, err := n.Refresh(t.Context(), token, here); !errors.Is(err, auth.ErrToken) || errors.Is(err, auth.ErrReused) {
			t.Errorf("%q: %v", token, err)
		}
		if err := n.LogoutRefresh(t.Context(), token); !errors.Is(err, auth.ErrToken) {
			t.Errorf("%q logs out: %v", token, err)
		}
	}
	n.speaks(t, g.Access, true) // none of them ended the session
	stranger, err := auth.NewLogins(t.Context(), n.directory, auth.NewPasswords(1), bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Refresh(t.Context(), g.Refresh, here); !errors.Is(err, auth.ErrToken) {
		t.Errorf("with another deployment's secret: %v", err)
	}
	if _, err := n.accounts.Update(t.Context(), "alice", func(u *auth.User) error {
		u.AllowedIPs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Refresh(t.Context(), g.Refresh, here); !errors.Is(err, auth.ErrToken) {
		t.Errorf("from elsewhere: %v", err)
	}
	if _, err := n.Refresh(t.Context(), g.Refresh, netip.MustParseAddr("10.1.1.1")); err != nil {
		t.Errorf("from where he may: %v", err)
	}
}

// TestRefreshRace: of many who use one refresh token at once at most one gets
// anything, and then nobody has a session.
func TestRefreshRace(t *testing.T) {
	log := memory.NewLog()
	n := newLoginNode(t, log).withAlice(t)
	nodes := []loginNode{n, newLoginNode(t, log)}
	g := n.login(t)
	var wg sync.WaitGroup
	grants := make(chan auth.Grant, 20)
	for i := range 20 {
		wg.Go(func() {
			if g, err := nodes[i%2].Refresh(context.Background(), g.Refresh, here); err == nil {
				grants <- g
			} else if !errors.Is(err, auth.ErrToken) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(grants) != 1 {
		t.Fatalf("%d grants", len(grants))
	}
	if _, err := n.Refresh(t.Context(), (<-grants).Refresh, here); !errors.Is(err, auth.ErrToken) {
		t.Errorf("the session goes on: %v", err)
	}
}

// TestRenew: the token before the present one is good for a moment, which ends, and
// then it is a thief's. No older one ever is.
func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLoginNode(t, memory.NewLog()).withAlice(t)
		first := n.login(t)
		renew := func(g auth.Grant) auth.Grant {
			t.Helper()
			next, err := n.Renew(t.Context(), g.Refresh, here)
			if err != nil {
				t.Fatal(err)
			}
			n.speaks(t, next.Access, true)
			return next
		}
		second := renew(first)
		time.Sleep(9 * time.Second)
		if again := renew(first); again.Refresh != second.Refresh || !again.Until.Equal(second.Until) {
			t.Error("two tabs do not share the session")
		}
		if _, err := n.Renew(t.Context(), first.Refresh, netip.MustParseAddr("10.0.0.1")); err != nil {
			t.Errorf("from elsewhere, where there is no limit: %v", err)
		}
		third := renew(second)
		time.Sleep(11 * time.Second)
		if _, err := n.Renew(t.Context(), second.Refresh, here); !errors.Is(err, auth.ErrReused) {
			t.Errorf("after the moment: %v", err)
		}
		n.speaks(t, third.Access, false)

		first = n.login(t)
		renew(renew(first))
		if _, err := n.Renew(t.Context(), first.Refresh, here); !errors.Is(err, auth.ErrReused) {
			t.Errorf("two steps back: %v", err)
		}
		// At the end of its month a session has no moment to give.
		g := n.login(t)
		for range 29 {
			time.Sleep(24 * time.Hour)
			g = renew(g)
		}
		renew(g)
		if _, err := n.Renew(t.Context(), g.Refresh, here); !errors.Is(err, auth.ErrReused) {
			t.Errorf("in its last days: %v", err)
		}
	})
}

// TestRenewRace: tabs that ask at once, on two nodes, all go on with one session.
func TestRenewRace(t *testing.T) {
	log := memory.NewLog()
	n := newLoginNode(t, log).withAlice(t)
	nodes := []loginNode{n, newLoginNode(t, log)}
	g := n.login(t)
	var wg sync.WaitGroup
	next := make(chan string, 20)
	for i := range 20 {
		wg.Go(func() {
			g, err := nodes[i%2].Renew(context.Background(), g.Refresh, here)
			if err != nil {
				t.Error(err)
			}
			next <- g.Refresh
		})
	}
	wg.Wait()
	close(next)
	first := <-next
	for other := range next {
		if other != first {
			t.Fatal("two tokens are good")
		}
	}
	if _, err := n.Renew(t.Context(), first, here); err != nil {
		t.Errorf("the session does not go on: %v", err)
	}
}

// TestSessionsEnd: after a week without use, and after a month whatever is used.
func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLoginNode(t, memory.NewLog()).withAlice(t)
		g := n.login(t)
		time.Sleep(7*24*time.Hour - time.Second)
		next, err := n.Refresh(t.Context(), g.Refresh, here)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * 24 * time.Hour)
		if _, err := n.Refresh(t.Context(), next.Refresh, here); !errors.Is(err, auth.ErrToken) {
			t.Errorf("after a week: %v", err)
		}
		began := time.Now()
		for g = n.login(t); ; time.Sleep(24 * time.Hour) {
			if g, err = n.Refresh(t.Context(), g.Refresh, here); err != nil {
				break
			}
		}
		if age := time.Since(began); !errors.Is(err, auth.ErrToken) || age < 29*24*time.Hour || age > 31*24*time.Hour {
			t.Errorf("ended after %v: %v", age, err)
		}
	})
}

// TestWhatEndsTokens: on the node where it happens at once, on the others within
// five seconds.
func TestWhatEndsTokens(t *testing.T) {
	for name, end := range map[string]func(ctx context.Context, n loginNode, g auth.Grant) error{
		"logout": func(ctx context.Context, n loginNode, g auth.Grant) error {
			who, err := n.Bearer(ctx, g.Access)
			if err != nil {
				return err
			}
			return errors.Join(n.Logout(ctx, who.Session), n.Logout(ctx, who.Session)) // twice is fine
		},
		"logout by the refresh token": func(ctx context.Context, n loginNode, g auth.Grant) error { return n.LogoutRefresh(ctx, g.Refresh) },
		"inactive": func(ctx context.Context, n loginNode, _ auth.Grant) error {
			_, err := n.accounts.Update(ctx, "alice", func(u *auth.User) error { u.Active = false; return nil })
			return err
		},
		"inactive and active again": func(ctx context.Context, n loginNode, _ auth.Grant) error {
			_, err := n.accounts.Update(ctx, "alice", func(u *auth.User) error { u.Active = false; return nil })
			_, err2 := n.accounts.Update(ctx, "alice", func(u *auth.User) error { u.Active = true; return nil })
			return errors.Join(err, err2)
		},
		"password": func(ctx context.Context, n loginNode, _ auth.Grant) error {
			_, err := n.accounts.Update(ctx, "alice", func(u *auth.User) error { return n.accounts.SetPassword(ctx, u, "another horse") })
			return err
		},
		"deleted": func(ctx context.Context, n loginNode, _ auth.Grant) error { return n.accounts.Delete(ctx, "alice") },
		"deleted and made anew": func(ctx context.Context, n loginNode, _ auth.Grant) error {
			_, err := n.accounts.Create(ctx, alice(), alicePassword)
			if !errors.Is(err, auth.ErrExists) {
				return err
			}
			err = n.accounts.Delete(ctx, "alice")
			_, err2 := n.accounts.Create(ctx, alice(), alicePassword)
			return errors.Join(err, err2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := memory.NewLog()
				n := newLoginNode(t, log).withAlice(t)
				there := newLoginNode(t, log)
				g := n.login(t)
				n.speaks(t, g.Access, true)
				there.speaks(t, g.Access, true)
				if err := end(t.Context(), n, g); err != nil {
					t.Fatal(err)
				}
				n.speaks(t, g.Access, false)
				for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
					if _, err := there.Bearer(t.Context(), g.Access); errors.Is(err, auth.ErrToken) {
						break
					}
					if time.Since(began) > 5*time.Second {
						t.Fatal("speaks elsewhere after five seconds")
					}
				}
				for _, m := range []loginNode{n, there} {
					if _, err := m.Refresh(t.Context(), g.Refresh, here); !errors.Is(err, auth.ErrToken) {
						t.Errorf("refresh: %v", err)
					}
				}
			})
		})
	}
}

// TestLoginsWhileTheLogIsDown: not known is not refused, and what is known
// serves for a while.
func TestLoginsWhileTheLogIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memory.NewFaultyLog(memory.NewLog(), nil)
		n := newLoginNode(t, log).withAlice(t)
		g := n.login(t)
		n.speaks(t, g.Access, true)
		log.SetDown(true)
		n.speaks(t, g.Access, true)
		time.Sleep(5 * time.Second)
		_, bearer := n.Bearer(t.Context(), g.Access)
		_, login := n.Login(t.Context(), "alice", alicePassword, here)
		_, refresh := n.Refresh(t.Context(), g.Refresh, here)
		logout := n.LogoutRefresh(t.Context(), g.Refresh)
		for what, err := range map[string]error{"bearer": bearer, "login": login, "refresh": refresh, "logout": logout} {
			if err == nil || errors.Is(err, auth.ErrToken) || errors.Is(err, auth.ErrLogin) {
				t.Errorf("%s: %v", what, err)
			}
		}
		log.SetDown(false)
		n.speaks(t, g.Access, true)
	})
}

// TestGuessing: five guesses, then the answer does not depend on the password
// any more, for a user that exists and for one that does not alike; nor does it
// help to guess all at once.
func TestGuessing(t *testing.T) {
	for _, atOnce := range []bool{false, true} {
		for _, login := range []string{"alice", "nobody"} {
			synctest.Test(t, func(t *testing.T) {
				n := newLoginNode(t, memory.NewLog()).withAlice(t)
				var mu sync.Mutex // guards looked
				looked := 0
				var wg sync.WaitGroup
				guess := func() {
					_, err := n.Login(context.Background(), login, "a guess", here)
					var locked *auth.LockedError
					mu.Lock()
					defer mu.Unlock()
					switch {
					case errors.Is(err, auth.ErrLogin):
						looked++
					case !errors.As(err, &locked):
						t.Errorf("got %v", err)
					}
				}
				for range 15 {
					if atOnce {
						wg.Go(guess)
					} else {
						guess()
					}
				}
				wg.Wait()
				if looked < 5 || looked > 5+2 { // two are checked at the same time
					t.Errorf("%s, at once %v: %d guesses were looked at", login, atOnce, looked)
				}
				var locked *auth.LockedError
				if _, err := n.Login(t.Context(), login, alicePassword, here); !errors.As(err, &locked) || n.Locks()[login].IsZero() {
					t.Errorf("%s: %v, locks %v", login, err, n.Locks())
				}
				if _, err := n.Login(t.Context(), login, alicePassword, netip.MustParseAddr("192.0.2.2")); (err == nil) != (login == "alice") || errors.As(err, &locked) {
					t.Errorf("%s from elsewhere: %v", login, err)
				}
				n.Unlock(login)
				if _, err := n.Login(t.Context(), login, alicePassword, here); (err == nil) != (login == "alice") || errors.As(err, &locked) {
					t.Errorf("%s, unlocked: %v", login, err)
				}
			})
		}
	}
}

// TestLoginStorm: no more than so many a second are looked at.
func TestLoginStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLoginNode(t, memory.NewLog())
		looked, busy := 0, 0
		for i := range 200 {
			client := netip.AddrFrom4([4]byte{10, 0, byte(i), 1})
			_, err := n.Login(t.Context(), fmt.Sprint("user", i), "a guess", client)
			switch {
			case errors.Is(err, auth.ErrLogin):
				looked++
			case errors.Is(err, auth.ErrBusy):
				busy++
			default:
				t.Fatal(err)
			}
		}
		if looked != 20 || busy != 180 {
			t.Errorf("%d were looked at, %d sent away", looked, busy)
		}
		time.Sleep(time.Second)
		if _, err := n.Login(t.Context(), "user", "a guess", here); !errors.Is(err, auth.ErrLogin) {
			t.Errorf("a second later: %v", err)
		}
	})
}

func TestBasic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memory.NewLog()
		n := newLoginNode(t, log).withAlice(t)
		basic := func(login, password string, client netip.Addr) error {
			r := &http.Request{Header: http.Header{}}
			r.SetBasicAuth(login, password)
			who, err := n.Basic(r.WithContext(t.Context()), client)
			if err == nil && (who.Login != login || who.User.Login != login || who.Session != "") {
				t.Errorf("%v", who)
			}
			return err
		}
		if _, err := n.Basic((&http.Request{Header: http.Header{}}).WithContext(t.Context()), here); !errors.Is(err, auth.ErrLogin) {
			t.Errorf("no credentials: %v", err)
		}
		for range 200 { // far more than may be checked in this moment
			if err := basic("alice", alicePassword, here); err != nil {
				t.Fatal(err)
			}
		}
		for _, tc := range []struct{ login, password string }{{"alice", "wrong horse"}, {"nobody", alicePassword}, {"", ""}} {
			if err := basic(tc.login, tc.password, here); !errors.Is(err, auth.ErrLogin) {
				t.Errorf("%v: %v", tc, err)
			}
		}
		time.Sleep(time.Minute)
		for name, step := range map[string]struct {
			change func(u *auth.User) error
			undo   func(u *auth.User) error
		}{
			"inactive": {func(u *auth.User) error { u.Active = false; return nil }, func(u *auth.User) error { u.Active = true; return nil }},
			"elsewhere": {func(u *auth.User) error {
				u.AllowedIPs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
				return nil
			}, func(u *auth.User) error { u.AllowedIPs = nil; return nil }},
			"password": {func(u *auth.User) error { return n.accounts.SetPassword(t.Context(), u, "another horse") }, func(u *auth.User) error { return n.accounts.SetPassword(t.Context(), u, alicePassword) }},
		} {
			for i, change := range []func(u *auth.User) error{step.change, step.undo} {
				if _, err := n.accounts.Update(t.Context(), "alice", change); err != nil {
					t.Fatal(err)
				}
				if err := basic("alice", alicePassword, here); (err == nil) != (i == 1) {
					t.Errorf("%s, step %d: %v", name, i, err)
				}
			}
		}
		n.Unlock("alice")
		for range 5 {
			if err := basic("alice", "wrong horse", here); !errors.Is(err, auth.ErrLogin) {
				t.Fatal(err)
			}
		}
		var locked *auth.LockedError
		if err := basic("alice", "wrong horse", here); !errors.As(err, &locked) {
			t.Errorf("a guesser is not locked out: %v", err)
		}
		if err := basic("alice", alicePassword, here); err != nil {
			t.Errorf("a tool that knows the password is locked out by a guesser: %v", err)
		}
		if err := n.accounts.Delete(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
		if err := basic("alice", alicePassword, netip.MustParseAddr("192.0.2.77")); !errors.Is(err, auth.ErrLogin) {
			t.Errorf("deleted: %v", err)
		}
	})
}

// TestSigningKeysRotate: a token is good to its end through every rotation, on
// every node, and keys that nobody needs go.
func TestSigningKeysRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memory.NewLog()
		nodes := []loginNode{newLoginNode(t, log).withAlice(t), newLoginNode(t, log)}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, n := range nodes {
			wg.Go(func() {
				if err := n.Run(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		names := map[string]bool{}
		const step = 14 * time.Minute
		for i := range 95 * 24 * 60 / 14 {
			// Now and then, and at every step around the rotations.
			if i%13 == 0 || (i+50)%(30*24*60/14) < 100 {
				g := nodes[i%2].login(t)
				name := kid(t, g.Access)
				names[name] = true
				for _, n := range nodes {
					n.speaks(t, g.Access, true)
				}
				time.Sleep(step)
				for _, n := range nodes {
					n.speaks(t, g.Access, true)
					set, err := n.JWKS(t.Context())
					if err != nil || len(set) < 1 || len(set) > 2 || !verifies(t, set, g.Access) {
						t.Fatalf("JWKS of %d keys, %v", len(set), err)
					}
				}
				continue
			}
			time.Sleep(step)
		}
		cancel()
		wg.Wait()
		if len(names) != 4 {
			t.Errorf("%d keys signed in 95 days", len(names))
		}
		s, err := nodes[0].store.Signers(t.Context())
		if err != nil || len(s.Keys) > 2 {
			t.Errorf("%d keys are kept, %v", len(s.Keys), err)
		}
		for _, k := range s.Keys {
			if len(k.Sealed) < 60 {
				t.Error("a key is not sealed")
			}
		}
	})
}

// TestKeysOfTheFirstStart: nodes that start at once agree on one key.
func TestKeysOfTheFirstStart(t *testing.T) {
	log := memory.NewLog()
	nodes := make([]loginNode, 8)
	var wg sync.WaitGroup
	for i := range nodes {
		wg.Go(func() { nodes[i] = newLoginNode(t, log) })
	}
	wg.Wait()
	g := nodes[0].withAlice(t).login(t)
	for _, n := range nodes {
		n.speaks(t, g.Access, true)
	}
	if s, err := nodes[0].store.Signers(t.Context()); err != nil || len(s.Keys) != 1 {
		t.Errorf("%d keys, %v", len(s.Keys), err)
	}
}

// TestForgedKeysAskTheLogRarely: whatever keys a storm of tokens names.
func TestForgedKeysAskTheLogRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		log := memory.NewFaultyLog(memory.NewLog(), func(_ uint64, change bool) memory.LogFate {
			if !change {
				reads++
			}
			return memory.LogPass
		})
		n := newLoginNode(t, log).withAlice(t)
		g := n.login(t)
		before := reads
		for i := range 1000 {
			head := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":"EdDSA","kid":"%d","typ":"at+jwt"}`, i))
			n.speaks(t, head+g.Access[strings.IndexByte(g.Access, '.'):], false)
			time.Sleep(time.Millisecond)
		}
		if n := reads - before; n > 2 {
			t.Errorf("%d reads in a second", n)
		}
	})
}

func kid(t *testing.T, token string) string {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(head)
	var h struct{ Kid string }
	if err != nil || json.Unmarshal(b, &h) != nil {
		t.Fatal(err)
	}
	return h.Kid
}

// verifies checks a token as somebody would who has the JWKS only.
func verifies(t *testing.T, set []auth.JWK, token string) bool {
	t.Helper()
	i := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range set {
		x, err := base64.RawURLEncoding.DecodeString(k.X)
		if err != nil || k.KeyType != "OKP" || k.Curve != "Ed25519" || k.Alg != "EdDSA" || k.Use != "sig" {
			t.Fatalf("%+v", k)
		}
		if k.KeyID == kid(t, token) {
			return ed25519.Verify(x, []byte(token[:i]), signature)
		}
	}
	return false
}
