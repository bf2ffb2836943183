package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
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
	issuers   []*Issuer // other ones; does not change once somebody asks
	throttle  *throttle
	now       func() time.Time
	refresh   atomic.Pointer[[32]byte] // key of the codes in refresh tokens
	nobody    string                   // hash of a password that nobody has
	pace      *rate.Limiter
	waiting   chan struct{} // one for each that waits for its password to be checked
	turns     chan struct{} // one for each whose password is being checked

	mu      sync.Mutex           // guards what follows
	opened  map[[32]byte]claims  // tokens that were verified, by their hash
	foreign map[[32]byte]foreign // tokens of other issuers that were, by their hash
	known   map[string][32]byte  // passwords that were right, by login: keyed hashes
	key     [32]byte             // of those
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
		opened: map[[32]byte]claims{}, foreign: map[[32]byte]foreign{}, known: map[string][32]byte{},
	}
	rand.Read(l.key[:])
	l.setRefreshKey(secret)
	l.nobody = hashOfNone()
	_, err := l.signers.load(ctx)
	return l, err
}

// setRefreshKey derives the key of the codes in refresh tokens.
func (l *Logins) setRefreshKey(secret []byte) {
	key := [32]byte(mac(secret, "s3mirror refresh tokens v1"))
	l.refresh.Store(&key)
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

// Locks are the logins that this node has locked out from somewhere, and until
// when.
func (l *Logins) Locks() map[string]time.Time { return l.throttle.locks() }

// Unlock lets a login try again at once, on this node.
func (l *Logins) Unlock(login string) { l.throttle.unlock(login) }

// JWKS are the public keys of access tokens.
func (l *Logins) JWKS(ctx context.Context) ([]JWK, error) { return l.signers.jwks(ctx) }

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
