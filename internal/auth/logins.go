package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// The lives of what a login gives.
const (
	accessLife  = 15 * time.Minute
	refreshLife = 7 * 24 * time.Hour  // of one refresh token
	sessionLife = 30 * 24 * time.Hour // then a password is asked for again
	// leeway is how long the refresh token before the present one still renews the
	// session of a browser: docs/decisions/0028.
	leeway = 10 * time.Second
)

var (
	// ErrLogin: nobody has that login and password. It is the same, and takes as
	// long, for an unknown login, a wrong password, a user who is not active and
	// one who may not come from there; which it was stands behind it, for the log.
	ErrLogin = errors.New("login or password is wrong")
	// ErrBusy: too many want to log in at this moment.
	ErrBusy = errors.New("too many logins at once")
	// ErrReused wraps ErrToken: a refresh token was used a second time, so one of
	// the two who used it is a thief. The session has been ended.
	ErrReused = fmt.Errorf("%w: it was used before, and its session is ended", ErrToken)
)

// Logins turns passwords into tokens and tokens into identities. It is safe for
// concurrent use. Passwords are checked a few at a time, and only so many a
// second, so that a storm of logins leaves the processor to the data path.
type Logins struct {
	directory *Directory
	passwords *Passwords
	signers   *signers
	throttle  *throttle
	now       func() time.Time
	refresh   [32]byte // key of the codes in refresh tokens
	nobody    string   // hash of a password that nobody has
	pace      *rate.Limiter
	waiting   chan struct{} // one for each that waits for its password to be checked
	turns     chan struct{} // one for each whose password is being checked

	mu     sync.Mutex          // guards what follows
	opened map[[32]byte]claims // tokens that were verified, by their hash
	known  map[string][32]byte // passwords that were right, by login: keyed hashes
	key    [32]byte            // of those
}

const (
	loginsASecond = 20
	mostWaiting   = 50
	mostOpened    = 20_000
	mostKnown     = 1000
)

// NewLogins joins a directory with what checks passwords. secret is the
// deployment's. It reads the keys of tokens, and makes them at the first start.
func NewLogins(ctx context.Context, d *Directory, passwords *Passwords, secret []byte) (*Logins, error) {
	l := &Logins{
		directory: d, passwords: passwords, now: d.now, throttle: newThrottle(d.now),
		signers: &signers{store: d.store, vault: d.vault, now: d.now},
		pace:    rate.NewLimiter(loginsASecond, loginsASecond), waiting: make(chan struct{}, mostWaiting),
		turns:  make(chan struct{}, cap(passwords.slots)),
		opened: map[[32]byte]claims{}, known: map[string][32]byte{},
	}
	rand.Read(l.key[:])
	l.refresh = [32]byte(mac(secret, "s3mirror refresh tokens v1"))
	var err error
	if l.nobody, err = passwords.Hash(ctx, rand.Text()); err != nil {
		return nil, err
	}
	_, err = l.signers.load(ctx)
	return l, err
}

// Format hides the keys from every verb of package fmt.
func (l *Logins) Format(f fmt.State, _ rune) { fmt.Fprint(f, "logins") }

// Run rotates the keys of tokens until ctx ends.
func (l *Logins) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := l.signers.rotate(ctx); err != nil && ctx.Err() == nil {
			l.directory.log.WarnContext(ctx, "keys of tokens could not be rotated", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Grant is what a login gives.
type Grant struct {
	Login   string
	Access  string        // opens S3 and the admin API
	Refresh string        // opens the next Grant, once
	Life    time.Duration // of Access
	Until   time.Time     // the end of Refresh
}

// Format shows whose it is, whatever the verb.
func (g Grant) Format(f fmt.State, _ rune) { fmt.Fprint(f, "grant of "+g.Login) }

// Login proves a user by his password. ErrLogin, ErrBusy, *LockedError; any
// other error means that it cannot be known now.
func (l *Logins) Login(ctx context.Context, login, password string, client netip.Addr) (Grant, error) {
	u, err := l.check(ctx, login, password, client)
	if err != nil {
		return Grant{}, err
	}
	now := l.now()
	var id [16]byte
	rand.Read(id[:])
	s := Session{
		Revision: NewRevision(), ID: hex.EncodeToString(id[:]), Login: u.Login, Tokens: u.Tokens,
		Step: 1, Created: now, Expires: now.Add(refreshLife),
	}
	if err := l.directory.store.SwapSession(ctx, s.ID, Revision{}, &s); err != nil {
		return Grant{}, fmt.Errorf("begin a session of %s: %w", login, err)
	}
	return l.grant(ctx, s)
}

// Confirm proves a user, who is logged in, by his password once more. Errors are
// as of Login.
func (l *Logins) Confirm(ctx context.Context, login, password string, client netip.Addr) error {
	_, err := l.check(ctx, login, password, client)
	return err
}

// grant makes the tokens of a session's present step.
func (l *Logins) grant(ctx context.Context, s Session) (Grant, error) {
	key, err := l.signers.current(ctx)
	if err != nil {
		return Grant{}, err
	}
	now := l.now()
	access := signToken(claims{
		login: s.Login, session: s.ID, tokens: s.Tokens, issued: now, expires: now.Add(accessLife), signedBy: key.name,
	}, key.private)
	return Grant{Login: s.Login, Access: access, Refresh: l.refreshToken(s.ID, s.Step), Life: accessLife, Until: s.Expires}, nil
}

// check finds the user who has this login and password and may come from there.
func (l *Logins) check(ctx context.Context, login, password string, client netip.Addr) (*User, error) {
	if err := l.throttle.locked(login, client); err != nil {
		return nil, err
	}
	u, err := l.directory.User(ctx, login)
	if err != nil && !errors.Is(err, ErrNoUser) {
		return nil, err
	}
	hash, why := l.nobody, ""
	switch {
	case u == nil:
		why = "there is no such user"
	case u.PasswordHash == "":
		why = "the user has no password"
	default:
		hash = u.PasswordHash
	}
	match, err := l.match(ctx, password, hash, func() error { return l.throttle.locked(login, client) })
	switch {
	case err != nil:
		return nil, err
	case why != "":
	case !match:
		why = "the password is wrong"
	case !u.Active:
		why = "the user is not active"
	case !u.mayComeFrom(client):
		why = "the user may not come from this address"
	default:
		l.throttle.succeeded(login, client)
		return u, nil
	}
	if l.throttle.failed(login, client) {
		why += "; further ones are locked out for a time"
	}
	return nil, fmt.Errorf("%w: %s", ErrLogin, why)
}

// match compares a password with a hash, in turn. still is asked when the turn
// has come: of many guesses at once no more are looked at than of those that come
// one by one. ErrBusy.
func (l *Logins) match(ctx context.Context, password, hash string, still func() error) (bool, error) {
	select {
	case l.waiting <- struct{}{}:
		defer func() { <-l.waiting }()
	default:
		return false, ErrBusy
	}
	select {
	case l.turns <- struct{}{}:
		defer func() { <-l.turns }()
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	if err := still(); err != nil {
		return false, err
	}
	if !l.pace.AllowN(l.now(), 1) {
		return false, ErrBusy
	}
	return l.passwords.Check(ctx, password, hash)
}

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

// Bearer implements Bearers: who an access token speaks for. Whoever was made
// inactive, changed his password or logged out is known within five seconds.
// Address and scopes are Authorize's to ask. ErrToken.
func (l *Logins) Bearer(ctx context.Context, token string) (Identity, error) {
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
	for other, o := range l.opened { // in no order: any goes
		if len(l.opened) < mostOpened && now.Before(o.expires) {
			break
		}
		delete(l.opened, other)
	}
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

// Locks are the logins that this node has locked out from somewhere, and until
// when.
func (l *Logins) Locks() map[string]time.Time { return l.throttle.locks() }

// Unlock lets a login try again at once, on this node.
func (l *Logins) Unlock(login string) { l.throttle.unlock(login) }

// JWKS are the public keys of access tokens.
func (l *Logins) JWKS(ctx context.Context) ([]JWK, error) { return l.signers.jwks(ctx) }

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

func (l *Logins) refreshCode(b []byte) []byte { return mac(l.refresh[:], string(b))[:refreshCode] }

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

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
