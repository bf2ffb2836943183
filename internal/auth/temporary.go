package auth

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// Temporary is an S3 key that ends by itself, with the session token that goes
// with every request of it.
type Temporary struct {
	Login           string
	AccessKeyID     string
	SecretAccessKey sigv4.Secret
	SessionToken    string
	Expires         time.Time
}

// Format shows whose it is, whatever the verb.
func (t Temporary) Format(f fmt.State, _ rune) { fmt.Fprint(f, "temporary key of "+t.Login) }

// ErrExpired wraps ErrToken: the token was good once.
var ErrExpired = fmt.Errorf("%w: it has expired", ErrToken)

// The life of a temporary key, as AWS has it.
const (
	DefaultTemporaryLife = time.Hour
	MinTemporaryLife     = 15 * time.Minute
	MaxTemporaryLife     = 12 * time.Hour
)

const (
	temporaryPrefix = "S3MT"
	// maxSessionToken is the longest session token that is looked at, in bytes.
	maxSessionToken = 2 << 10
)

// temporaryForm is what a session token holds, sealed: nothing of a temporary key
// is kept anywhere, so that none fills the log and every node knows each at once.
type temporaryForm struct {
	Login   string   `json:"l"`
	Session string   `json:"s"` // ends with it; empty: with none, as of a link
	Tokens  Revision `json:"t"` // User.Tokens: ends with all tokens of the user
	Secret  string   `json:"k"`
	Expires int64    `json:"e"` // Unix time
}

func temporaryUse(accessKeyID string) string { return "temporary key " + accessKeyID }

// Assume gives a temporary key for an access token. It ends after life, with the
// session of the token, and with all tokens of its user, whichever is first. ErrToken,
// *Denial when the user may not come from there, *InvalidError for a life out of
// bounds.
func (l *Logins) Assume(ctx context.Context, token string, life time.Duration, client netip.Addr) (Temporary, error) {
	who, err := l.Bearer(ctx, token)
	if err != nil {
		return Temporary{}, err
	}
	if err := Enter(who.User, client); err != nil {
		return Temporary{Login: who.Login}, err
	}
	if who.User.Issuer != "" {
		return Temporary{Login: who.Login}, refuseToken("%s is not stored here, and gets no keys", who.Login)
	}
	if life < MinTemporaryLife || life > MaxTemporaryLife {
		return Temporary{Login: who.Login}, invalid("life: %s: want %s to %s", life, MinTemporaryLife, MaxTemporaryLife)
	}
	return l.temporary(who.User, who.Session, l.now().Add(life).UTC().Truncate(time.Second)), nil
}

// temporary makes a key that ends at expires, with the session unless that is empty,
// and with all tokens of the user.
func (l *Logins) temporary(u *User, session string, expires time.Time) Temporary {
	b := make([]byte, 10)
	rand.Read(b)
	_, secret := NewAccessKey()
	t := Temporary{Login: u.Login, AccessKeyID: temporaryPrefix + base32.StdEncoding.EncodeToString(b), SecretAccessKey: secret, Expires: expires}
	text, err := json.Marshal(temporaryForm{Login: t.Login, Session: session, Tokens: u.Tokens, Secret: string(secret), Expires: expires.Unix()})
	if err != nil {
		panic(err) // strings and numbers only
	}
	t.SessionToken = base64.RawURLEncoding.EncodeToString(l.directory.vault.Seal(temporaryUse(t.AccessKeyID), text))
	return t
}

// Temporary implements Temporaries.
func (l *Logins) Temporary(ctx context.Context, accessKeyID, sessionToken string) (sigv4.Secret, Identity, error) {
	bad := func(why string) (sigv4.Secret, Identity, error) {
		return "", Identity{}, fmt.Errorf("%w: %s", ErrToken, why)
	}
	if !strings.HasPrefix(accessKeyID, temporaryPrefix) || len(sessionToken) > maxSessionToken || strings.ContainsAny(sessionToken, "\r\n") {
		return bad("it is no session token of ours")
	}
	sealed, err := strictBase64.DecodeString(sessionToken)
	if err != nil {
		return bad("it is no session token of ours")
	}
	text, err := l.directory.vault.Open(temporaryUse(accessKeyID), sealed)
	if err != nil {
		return bad("it is not the session token of this key")
	}
	var form temporaryForm
	if err := json.Unmarshal(text, &form); err != nil {
		return bad("it is of another version")
	}
	expires := time.Unix(form.Expires, 0)
	if !l.now().Before(expires) {
		return "", Identity{}, fmt.Errorf("%w (of %s)", ErrExpired, form.Login)
	}
	who := Identity{Login: form.Login, AccessKeyID: accessKeyID, Session: form.Session, Expires: expires}
	u, err := l.Present(ctx, who)
	switch {
	case errors.Is(err, ErrNoUser):
		return bad("its user " + form.Login + " is gone")
	case err != nil:
		return "", Identity{}, err
	case u.Tokens != form.Tokens:
		return bad("it was revoked with all tokens of " + form.Login)
	}
	who.User = u
	return sigv4.Secret(form.Secret), who, nil
}
