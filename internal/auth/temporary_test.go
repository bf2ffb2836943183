package auth_test

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// signs sends a GET with the key, as a client does.
func signs(t *testing.T, v *auth.Verifier, id string, secret sigv4.Secret, token string) (*auth.Verified, error) {
	t.Helper()
	r := &http.Request{Method: "GET", Host: "s3.test", Header: http.Header{}}
	if token != "" {
		r.Header.Set("X-Amz-Security-Token", token)
	}
	sigv4.NewSigner(id, secret, "eu").Sign(r, "/b/k", "", "UNSIGNED-PAYLOAD", time.Now())
	return v.Verify(receive(t, r, nil, 0))
}

// TestTemporaryKey opens S3 on every node for as long as it lives, and with its
// own session token only.
func TestTemporaryKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memory.NewLog()
		n := newLoginNode(t, log).withAlice(t)
		there := newLoginNode(t, log)
		v := auth.NewVerifier(there.directory, time.Now).WithBearers(there.Logins)
		g := n.login(t)
		a, err := n.Assume(t.Context(), g.Access, time.Hour, here)
		if err != nil {
			t.Fatal(err)
		}
		b, err := n.Assume(t.Context(), g.Access, time.Hour, here)
		if err != nil {
			t.Fatal(err)
		}
		who, err := signs(t, v, a.AccessKeyID, a.SecretAccessKey, a.SessionToken)
		if err != nil || who.Login != "alice" || who.AccessKeyID != a.AccessKeyID || who.Session == "" || who.User.Role != auth.RoleUser {
			t.Fatalf("%+v %v", who, err)
		}
		if strings.Contains(strings.Join([]string{a.SessionToken, a.AccessKeyID}, " "), string(a.SecretAccessKey)) {
			t.Error("the token shows the secret")
		}
		last := a.SessionToken[:len(a.SessionToken)-1]
		for name, c := range map[string]struct {
			id     string
			secret sigv4.Secret
			token  string
			want   error
		}{
			"another key's token":           {a.AccessKeyID, a.SecretAccessKey, b.SessionToken, s3.InvalidToken},
			"another key's secret":          {a.AccessKeyID, b.SecretAccessKey, a.SessionToken, s3.SignatureDoesNotMatch},
			"a token that was cut":          {a.AccessKeyID, a.SecretAccessKey, last, s3.InvalidToken},
			"a token that was changed":      {a.AccessKeyID, a.SecretAccessKey, "A" + a.SessionToken[1:], s3.InvalidToken},
			"a token that is too long":      {a.AccessKeyID, a.SecretAccessKey, a.SessionToken + strings.Repeat("A", 4000), s3.InvalidToken},
			"no token":                      {a.AccessKeyID, a.SecretAccessKey, "", s3.InvalidAccessKeyID},
			"the token with root's key":     {testKey, testSecret, a.SessionToken, s3.InvalidToken},
			"a token that is no base64":     {a.AccessKeyID, a.SecretAccessKey, "!!!", s3.InvalidToken},
			"the access token in its place": {a.AccessKeyID, a.SecretAccessKey, g.Access, s3.InvalidToken},
		} {
			_, err := signs(t, v, c.id, c.secret, c.token)
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
			if told := s3.ForClient(err); strings.Contains(told.Field("CanonicalRequest"), a.SessionToken) || told.Field("CanonicalRequestBytes") != "" {
				t.Errorf("%s: the answer shows the session token", name)
			}
		}
		plain := auth.NewVerifier(there.directory, time.Now)
		if _, err := signs(t, plain, a.AccessKeyID, a.SecretAccessKey, a.SessionToken); !errors.Is(err, s3.InvalidToken) {
			t.Errorf("without temporary keys: %v", err)
		}
		time.Sleep(time.Until(a.Expires) - time.Second)
		if _, err := signs(t, v, a.AccessKeyID, a.SecretAccessKey, a.SessionToken); err != nil {
			t.Errorf("shortly before its end: %v", err)
		}
		time.Sleep(time.Second)
		if _, err := signs(t, v, a.AccessKeyID, a.SecretAccessKey, a.SessionToken); !errors.Is(err, s3.ExpiredToken) {
			t.Errorf("after its end: %v", err)
		}
	})
}

// TestAssumeRefuses what opens nothing itself, and lives that are none.
func TestAssumeRefuses(t *testing.T) {
	n := newLoginNode(t, memory.NewLog()).withAlice(t)
	g := n.login(t)
	if _, err := n.Assume(t.Context(), g.Access+"x", time.Hour, here); !errors.Is(err, auth.ErrToken) {
		t.Errorf("forged: %v", err)
	}
	if _, err := n.Assume(t.Context(), g.Refresh, time.Hour, here); !errors.Is(err, auth.ErrToken) {
		t.Errorf("the refresh token: %v", err)
	}
	var wrong *auth.InvalidError
	for _, life := range []time.Duration{0, time.Minute, 13 * time.Hour} {
		if _, err := n.Assume(t.Context(), g.Access, life, here); !errors.As(err, &wrong) {
			t.Errorf("%s: %v", life, err)
		}
	}
	if _, err := n.accounts.Update(t.Context(), "alice", func(u *auth.User) error {
		u.AllowedIPs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var denial *auth.Denial
	if _, err := n.Assume(t.Context(), g.Access, time.Hour, here); !errors.As(err, &denial) || denial.Reason != auth.ReasonAddress {
		t.Errorf("from elsewhere: %v", err)
	}
}

// TestWhatEndsTemporaryKeys, and transfers under way, on every node within five
// seconds.
func TestWhatEndsTemporaryKeys(t *testing.T) {
	change := func(n loginNode, edit func(u *auth.User)) error {
		_, err := n.accounts.Update(context.Background(), "alice", func(u *auth.User) error { edit(u); return nil })
		return err
	}
	for name, c := range map[string]struct {
		end  func(n loginNode, g auth.Grant) error
		ends bool // and if not, Authorize is asked about what changed
	}{
		"logout":   {func(n loginNode, g auth.Grant) error { return n.LogoutRefresh(context.Background(), g.Refresh) }, true},
		"inactive": {func(n loginNode, _ auth.Grant) error { return change(n, func(u *auth.User) { u.Active = false }) }, true},
		"password": {func(n loginNode, _ auth.Grant) error {
			_, err := n.accounts.Update(context.Background(), "alice", func(u *auth.User) error { return n.accounts.SetPassword(context.Background(), u, "another horse") })
			return err
		}, true},
		"deleted": {func(n loginNode, _ auth.Grant) error { return n.accounts.Delete(context.Background(), "alice") }, true},
		"scopes":  {func(n loginNode, _ auth.Grant) error { return change(n, func(u *auth.User) { u.Scopes = nil }) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := memory.NewLog()
				n := newLoginNode(t, log).withAlice(t)
				there := newLoginNode(t, log)
				v := auth.NewVerifier(there.directory, time.Now).WithBearers(there.Logins)
				g := n.login(t)
				k, err := n.Assume(t.Context(), g.Access, time.Hour, here)
				if err != nil {
					t.Fatal(err)
				}
				who, err := signs(t, v, k.AccessKeyID, k.SecretAccessKey, k.SessionToken)
				if err != nil {
					t.Fatal(err)
				}
				if err := c.end(n, g); err != nil {
					t.Fatal(err)
				}
				over := func() bool {
					_, err := signs(t, v, k.AccessKeyID, k.SecretAccessKey, k.SessionToken)
					u, err2 := there.Present(t.Context(), who.Identity)
					if c.ends {
						return errors.Is(err, s3.InvalidToken) && (errors.Is(err2, auth.ErrToken) || errors.Is(err2, auth.ErrNoUser))
					}
					return err == nil && err2 == nil && len(u.Scopes) == 0
				}
				for began := time.Now(); !over(); time.Sleep(100 * time.Millisecond) {
					if time.Since(began) > 5*time.Second {
						t.Fatal("after five seconds nothing has changed")
					}
				}
			})
		})
	}
}

// TestPresent: what opened keeps whoever it opened for in, until it opens nothing
// any more.
func TestPresent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLoginNode(t, memory.NewLog()).withAlice(t)
		id, _ := n.newKey(t, "alice")
		who := auth.Identity{Login: "alice", AccessKeyID: id}
		if u, err := n.Present(t.Context(), who); err != nil || u.Login != "alice" {
			t.Errorf("%v %v", u, err)
		}
		if u, err := n.Present(t.Context(), auth.Identity{Login: auth.RootLogin, AccessKeyID: testKey}); err != nil || u.Login != auth.RootLogin {
			t.Errorf("root: %v %v", u, err)
		}
		if _, err := n.Present(t.Context(), auth.Identity{Login: "nobody"}); !errors.Is(err, auth.ErrNoUser) {
			t.Errorf("nobody: %v", err)
		}
		if err := n.accounts.DeleteKey(t.Context(), "alice", id); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Present(t.Context(), who); !errors.Is(err, auth.ErrNoKey) {
			t.Errorf("without the key: %v", err)
		}
		key, _, err := n.accounts.NewKey(t.Context(), "alice", time.Now().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, err := n.Present(t.Context(), auth.Identity{Login: "alice", AccessKeyID: key.ID}); !errors.Is(err, auth.ErrNoKey) {
			t.Errorf("with a key that expired: %v", err)
		}
	})
}

// TestRotateKey: one change makes the new key and ends the old one, now or later.
func TestRotateKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLoginNode(t, memory.NewLog()).withAlice(t)
		v := auth.NewVerifier(n.directory, time.Now)
		opens := func(id string, secret sigv4.Secret) bool {
			_, err := signs(t, v, id, secret, "")
			if err != nil && !errors.Is(err, s3.InvalidAccessKeyID) {
				t.Fatal(err)
			}
			return err == nil
		}
		id, text := n.newKey(t, "alice")
		secret := sigv4.Secret(text)
		next, nextSecret, err := n.accounts.RotateKey(t.Context(), "alice", id, 0)
		if err != nil || opens(id, secret) || !opens(next.ID, nextSecret) || !next.Expires.IsZero() {
			t.Fatalf("%+v %v: the old one opens %v, the new one %v", next, err, opens(id, secret), opens(next.ID, nextSecret))
		}
		if _, _, err := n.accounts.RotateKey(t.Context(), "alice", id, 0); !errors.Is(err, auth.ErrNoKey) {
			t.Errorf("twice: %v", err)
		}
		if _, _, err := n.accounts.RotateKey(t.Context(), "nobody", id, 0); !errors.Is(err, auth.ErrNoUser) {
			t.Errorf("of nobody: %v", err)
		}
		var wrong *auth.InvalidError
		for _, grace := range []time.Duration{-1, 31 * 24 * time.Hour} {
			if _, _, err := n.accounts.RotateKey(t.Context(), "alice", next.ID, grace); !errors.As(err, &wrong) {
				t.Errorf("grace %s: %v", grace, err)
			}
		}
		last, lastSecret, err := n.accounts.RotateKey(t.Context(), "alice", next.ID, time.Hour)
		if err != nil || !opens(next.ID, nextSecret) || !opens(last.ID, lastSecret) {
			t.Fatalf("%v: with an hour to go the old one does not open", err)
		}
		time.Sleep(time.Hour)
		if opens(next.ID, nextSecret) || !opens(last.ID, lastSecret) {
			t.Error("the old one opens after its hour")
		}
		if _, _, err := n.accounts.RotateKey(t.Context(), "alice", next.ID, 0); !errors.Is(err, auth.ErrNoKey) {
			t.Errorf("one that has expired: %v", err)
		}
		end := time.Now().Add(24 * time.Hour)
		short, _, err := n.accounts.NewKey(t.Context(), "alice", end)
		if err != nil {
			t.Fatal(err)
		}
		heir, _, err := n.accounts.RotateKey(t.Context(), "alice", short.ID, 48*time.Hour)
		if err != nil || !heir.Expires.Equal(short.Expires) {
			t.Errorf("%v: ends %s, the old one %s", err, heir.Expires, short.Expires)
		}
		if u, err := n.accounts.User(t.Context(), "alice"); err != nil {
			t.Error(err)
		} else if k, _ := u.Key(short.ID); !k.Expires.Equal(short.Expires) {
			t.Errorf("the old one lives longer than before: %s", k.Expires)
		}
	})
}
