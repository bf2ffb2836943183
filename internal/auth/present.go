package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Presence knows what became of somebody who was proved a while ago. It is safe
// for concurrent use.
type Presence interface {
	// Present returns the user as he is now, never older than five seconds: active or
	// not, for Authorize to judge. ErrNoUser, ErrNoKey or ErrToken when what proved him
	// opens nothing any more; any other error means that the answer is not known now.
	Present(ctx context.Context, who Identity) (*User, error)
}

// Present implements Presence. That an access token has expired meanwhile does not
// count: it was good when the request began.
func (l *Logins) Present(ctx context.Context, who Identity) (*User, error) {
	u, err := l.directory.User(ctx, who.Login)
	if errors.Is(err, ErrNoUser) && who.User != nil && who.User.Issuer != "" {
		return who.User, nil // of whom only his issuer knows
	}
	if err != nil {
		return nil, err
	}
	if who.Login != RootLogin && who.AccessKeyID != "" && !strings.HasPrefix(who.AccessKeyID, temporaryPrefix) {
		switch key, ok := u.Key(who.AccessKeyID); {
		case !ok:
			return nil, fmt.Errorf("%w: it was taken from %s", ErrNoKey, who.Login)
		case key.Expired(l.now()):
			return nil, fmt.Errorf("%w: this one of %s has expired", ErrNoKey, who.Login)
		}
	}
	if who.Session == "" {
		return u, nil
	}
	s, err := l.directory.sessions.get(ctx, who.Session)
	if errors.Is(err, ErrNoSession) {
		return nil, fmt.Errorf("%w: its session has ended", ErrToken)
	}
	if err != nil {
		return nil, err
	}
	if u.Tokens != s.Tokens {
		return nil, fmt.Errorf("%w: it was revoked with all tokens of %s", ErrToken, u.Login)
	}
	return u, nil
}
