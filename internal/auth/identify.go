package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
)

// Bearer implements Bearers: who an access token speaks for. Whoever was made
// inactive, changed his password or logged out is known within five seconds.
// Address and scopes are Authorize's to ask. ErrToken.
//
// Of a token of another issuer all that it says counts from the moment that the
// issuer's key is known, and his own limits if his login is stored here. ErrIssuer, and
// then it is not known who he is.
func (l *Logins) Bearer(ctx context.Context, token string) (Identity, error) {
	if i := l.issuerOf(token); i != nil {
		return l.foreigner(ctx, i, token)
	}
	c, err := l.open(ctx, token)
	if err != nil {
		return Identity{}, err
	}
	s, err := l.directory.sessions.get(ctx, c.session)
	if errors.Is(err, ErrNoSession) {
		return Identity{}, fmt.Errorf("%w: its session has ended", ErrToken)
	}
	if err != nil {
		return Identity{}, err
	}
	u, err := l.directory.User(ctx, c.login)
	if err != nil && !errors.Is(err, ErrNoUser) {
		return Identity{}, err
	}
	if s.Login != c.login || s.Tokens != c.tokens {
		return Identity{}, fmt.Errorf("%w: it is not of its session", ErrToken)
	}
	if err := goodFor(s, u, l.now()); err != nil {
		return Identity{}, err
	}
	return Identity{Login: u.Login, User: u, Session: s.ID, Expires: c.expires}, nil
}

// Trust has the tokens of other issuers taken too. It must be called before anything
// else is.
func (l *Logins) Trust(issuers ...*Issuer) { l.issuers = append(l.issuers, issuers...) }

// issuerOf is the other issuer that a token claims to be of; nil: none.
func (l *Logins) issuerOf(token string) *Issuer {
	if len(l.issuers) == 0 {
		return nil
	}
	id := untrustedIssuer(token)
	for _, i := range l.issuers {
		if id == i.o.ID {
			return i
		}
	}
	return nil
}

// foreigner is who a token of another issuer speaks for. Its signature is verified
// once, and then remembered for as long as the issuer has the key.
func (l *Logins) foreigner(ctx context.Context, i *Issuer, token string) (Identity, error) {
	sum := sha256.Sum256([]byte(token))
	l.mu.Lock()
	f, ok := l.foreign[sum]
	l.mu.Unlock()
	if ok && l.now().Before(f.expires) {
		if _, err := i.keys.key(ctx, f.key); err != nil {
			return Identity{}, err
		}
	} else {
		p, err := i.parse(token)
		if err != nil {
			return Identity{}, err
		}
		key, err := i.keys.key(ctx, p.kid)
		if err != nil {
			return Identity{}, err
		}
		if !key.verify(p.alg, p.signed, p.signature) {
			return Identity{}, refuseToken("its signature is wrong")
		}
		if f, err = i.read(p); err != nil {
			return Identity{}, err
		}
		l.mu.Lock()
		makeRoom(l.foreign, mostOpened, func(o foreign) bool { return l.now().Before(o.expires) })
		l.foreign[sum] = f
		l.mu.Unlock()
	}
	u, err := l.directory.User(ctx, f.login)
	switch {
	case errors.Is(err, ErrNoUser) && f.user == nil:
		return Identity{}, f.why
	case errors.Is(err, ErrNoUser):
		u = f.user
	case err != nil:
		return Identity{}, err
	case !u.Active:
		return Identity{}, refuseToken("%s is not active", f.login)
	}
	return Identity{Login: u.Login, User: u, Expires: f.expires}, nil
}

// makeRoom drops entries, in no order, until there is room for one more and no old one
// was met.
func makeRoom[T any](m map[[32]byte]T, most int, good func(T) bool) {
	for sum, entry := range m {
		if len(m) < most && good(entry) {
			return
		}
		delete(m, sum)
	}
}

// open verifies a token, or remembers that it was.
func (l *Logins) open(ctx context.Context, token string) (claims, error) {
	sum := sha256.Sum256([]byte(token))
	now := l.now()
	l.mu.Lock()
	c, ok := l.opened[sum]
	l.mu.Unlock()
	if ok && now.Before(c.expires) {
		return c, nil
	}
	c, err := openToken(token, now, func(name string) (ed25519.PublicKey, error) { return l.signers.public(ctx, name) })
	if err != nil {
		return claims{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	makeRoom(l.opened, mostOpened, func(o claims) bool { return now.Before(o.expires) })
	l.opened[sum] = c
	return c, nil
}

// Basic proves a user by HTTP Basic. A password that has been right once is
// recognised by a keyed hash that lives in this process alone, so that tools
// which poll do not pay for argon2id each time. Errors are as of Login; without
// credentials ErrLogin.
func (l *Logins) Basic(r *http.Request, client netip.Addr) (Identity, error) {
	login, password, ok := r.BasicAuth()
	if !ok {
		return Identity{}, fmt.Errorf("%w: no credentials", ErrLogin)
	}
	u, err := l.recognise(r.Context(), login, password, client)
	if u == nil && err == nil {
		u, err = l.check(r.Context(), login, password, client)
		if err == nil {
			l.remember(u, password)
		}
	}
	if err != nil {
		return Identity{}, err
	}
	return Identity{Login: u.Login, User: u}, nil
}

// recognise finds the user of a password that was right before, nil when it
// was not.
func (l *Logins) recognise(ctx context.Context, login, password string, client netip.Addr) (*User, error) {
	l.mu.Lock()
	known, ok := l.known[login]
	l.mu.Unlock()
	if !ok {
		return nil, nil
	}
	u, err := l.directory.User(ctx, login)
	if errors.Is(err, ErrNoUser) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	sum := l.passwordMAC(u, password)
	if !hmac.Equal(sum[:], known[:]) || !u.Active || !u.mayComeFrom(client) {
		return nil, nil
	}
	return u, nil
}

func (l *Logins) remember(u *User, password string) {
	sum := l.passwordMAC(u, password)
	l.mu.Lock()
	defer l.mu.Unlock()
	for other := range l.known {
		if len(l.known) < mostKnown {
			break
		}
		delete(l.known, other)
	}
	l.known[u.Login] = sum
}

// passwordMAC is good for as long as the password stays what it is.
func (l *Logins) passwordMAC(u *User, password string) [32]byte {
	return [32]byte(mac(l.key[:], u.PasswordHash+"\x00"+password))
}
