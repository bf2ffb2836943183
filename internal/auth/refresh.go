package auth

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Refresh gives the next tokens for a refresh token, which is worth nothing
// from then on. ErrToken, ErrReused.
func (l *Logins) Refresh(ctx context.Context, token string, client netip.Addr) (Grant, error) {
	return l.refreshed(ctx, token, client, 0)
}

// Renew is Refresh for a browser, whose page may be loaded anew before it saw the
// answer, and whose tabs may ask at once: for a moment the token before the
// present one is answered with the present one. A thief of it is found out when
// the two who have it refresh the next time.
func (l *Logins) Renew(ctx context.Context, token string, client netip.Addr) (Grant, error) {
	g, err := l.refreshed(ctx, token, client, leeway)
	if errors.Is(err, ErrConflict) { // another tab was faster, so this is the token before
		g, err = l.refreshed(ctx, token, client, leeway)
	}
	return g, err
}

// refreshed is Refresh with a leeway. ErrConflict only when there is one.
func (l *Logins) refreshed(ctx context.Context, token string, client netip.Addr, leeway time.Duration) (Grant, error) {
	id, step, err := l.openRefresh(token)
	if err != nil {
		return Grant{}, err
	}
	s, u, err := l.session(ctx, id)
	if err != nil {
		return Grant{}, err
	}
	now := l.now()
	// In the last week of a session Expires says less: then there is no leeway.
	late := step+1 == s.Step && now.Before(s.Expires.Add(leeway-refreshLife))
	switch {
	case step != s.Step && !late:
		return Grant{}, l.reused(ctx, s)
	case !u.mayComeFrom(client):
		return Grant{}, fmt.Errorf("%w: %s may not come from this address", ErrToken, u.Login)
	case late:
		return l.grant(ctx, s)
	}
	old := s.Revision
	s.Revision, s.Step = NewRevision(), s.Step+1
	s.Expires = now.Add(refreshLife)
	if last := s.Created.Add(sessionLife); s.Expires.After(last) {
		s.Expires = last
	}
	err = l.directory.store.SwapSession(ctx, id, old, &s)
	if errors.Is(err, ErrConflict) && leeway == 0 { // somebody else was faster with the same token
		return Grant{}, l.reused(ctx, s)
	}
	if err != nil {
		return Grant{}, fmt.Errorf("refresh a session of %s: %w", s.Login, err)
	}
	l.directory.sessions.forget(id)
	return l.grant(ctx, s)
}

// session reads a session and its user, as they are kept at this moment. ErrToken
// when it has ended, or must.
func (l *Logins) session(ctx context.Context, id string) (Session, *User, error) {
	s, err := l.directory.store.Session(ctx, id)
	if errors.Is(err, ErrNoSession) {
		return s, nil, fmt.Errorf("%w: its session has ended", ErrToken)
	}
	if err != nil {
		return s, nil, err
	}
	l.directory.users.forget(s.Login) // what was changed a second ago counts
	u, err := l.directory.User(ctx, s.Login)
	if err != nil && !errors.Is(err, ErrNoUser) {
		return s, nil, err
	}
	if err := goodFor(s, u, l.now()); err != nil {
		return s, nil, err
	}
	return s, u, nil
}

// goodFor tells whether a session is still good for its user.
func goodFor(s Session, u *User, now time.Time) error {
	switch {
	case u == nil:
		return fmt.Errorf("%w: its user %s is gone", ErrToken, s.Login)
	case !u.Active:
		return fmt.Errorf("%w: %s is not active", ErrToken, s.Login)
	case u.Tokens != s.Tokens:
		return fmt.Errorf("%w: it was revoked with all tokens of %s", ErrToken, s.Login)
	case !now.Before(s.Expires):
		return fmt.Errorf("%w: its session has expired", ErrToken)
	}
	return nil
}

// reused ends a session of which a refresh token was used twice.
func (l *Logins) reused(ctx context.Context, s Session) error {
	if err := l.Logout(ctx, s.ID); err != nil {
		return err
	}
	return fmt.Errorf("%w (of %s)", ErrReused, s.Login)
}

// Logout ends a session, and with it all tokens that came of it. One that has
// ended is no error.
func (l *Logins) Logout(ctx context.Context, id string) error {
	defer l.directory.sessions.forget(id)
	for range maxTries {
		s, err := l.directory.store.Session(ctx, id)
		if errors.Is(err, ErrNoSession) {
			return nil
		}
		if err != nil {
			return err
		}
		err = l.directory.store.SwapSession(ctx, id, s.Revision, nil)
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			return fmt.Errorf("end a session of %s: %w", s.Login, err)
		}
	}
	return fmt.Errorf("end a session: %w", ErrConflict)
}

// LogoutRefresh ends the session of a refresh token. ErrToken when it is none.
func (l *Logins) LogoutRefresh(ctx context.Context, token string) error {
	id, _, err := l.openRefresh(token)
	if err != nil {
		return err
	}
	return l.Logout(ctx, id)
}

// A refresh token is the session's id, its step and a code over both, so that
// no secret of it is kept anywhere and a token that was made up ends nobody's
// session.
const (
	refreshPrefix = "s3mr_"
	refreshCode   = 24 // bytes
)

func (l *Logins) refreshToken(id string, step uint64) string {
	raw, err := hex.DecodeString(id)
	if err != nil {
		panic(err) // Login made it
	}
	b := binary.BigEndian.AppendUint64(raw, step)
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(append(b, l.refreshCode(b)...))
}

func (l *Logins) refreshCode(b []byte) []byte {
	return mac(l.refresh.Load()[:], string(b))[:refreshCode]
}

// openRefresh reads what refreshToken wrote. ErrToken.
func (l *Logins) openRefresh(token string) (id string, step uint64, err error) {
	text, ok := strings.CutPrefix(token, refreshPrefix)
	b, err := strictBase64.DecodeString(text)
	if !ok || err != nil || len(b) != 16+8+refreshCode || strings.ContainsAny(text, "\r\n") ||
		!hmac.Equal(b[24:], l.refreshCode(slices.Clone(b[:24]))) {
		return "", 0, fmt.Errorf("%w: it is no refresh token of ours", ErrToken)
	}
	return hex.EncodeToString(b[:16]), binary.BigEndian.Uint64(b[16:24]), nil
}
