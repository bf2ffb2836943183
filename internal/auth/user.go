package auth

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// RootLogin is the login of the built-in user, who may do everything.
const RootLogin = "root"

// AnonymousLogin is the login of everybody without credentials. He is stored nowhere.
const AnonymousLogin = "anonymous"

// Anonymous tells whether the user is nobody in particular: what he may do is what policies
// of buckets allow to everybody.
func (u *User) Anonymous() bool { return u.Login == AnonymousLogin }

// User is one user and all that he may do. An empty list of limits is no
// limit: whoever must be kept out of everything is made inactive, or gets no
// scope.
type User struct {
	Revision Revision
	Login    string

	PasswordHash string   // of argon2id; empty: no password opens
	Tokens       Revision // what his tokens name; a fresh one revokes all that were given out

	Role              Role
	Scopes            []Scope
	AllowedIPs        []netip.Prefix // networks he may come from
	AllowedExtensions []string       // of the names that he may write: lower case, no leading dot
	AllowedBuckets    []Place        // where he may work
	Active            bool

	Issuer string // that says so of somebody who is not stored; empty: he is

	Keys    []AccessKey // by age, oldest first
	Created time.Time
	Changed time.Time // by an administrator or himself; a key's use does not count
}

// AccessKey is an S3 key of a user.
type AccessKey struct {
	ID      string
	Sealed  []byte // the secret; see Vault
	Created time.Time
	Expires time.Time // zero: never
}

// Expired tells whether the key no longer opens.
func (k AccessKey) Expired(now time.Time) bool { return !k.Expires.IsZero() && !now.Before(k.Expires) }

// Role says what a user may do on the admin API. It widens nothing on S3.
type Role string

// The roles.
const (
	RoleAdmin Role = "admin" // everything
	RoleUser  Role = "user"  // his own password and keys
)

// Scope is a kind of work on S3.
type Scope string

// The scopes.
const (
	ScopeRead  Scope = "read"
	ScopeWrite Scope = "write"
)

// Place is a bucket, or the keys in it that begin with a prefix.
type Place struct {
	Bucket string
	Prefix string // bytes as they stand: "2026" holds "2026-old" too, "2026/" does not
}

// String is the form that ParsePlace reads.
func (p Place) String() string {
	if p.Prefix == "" {
		return p.Bucket
	}
	return p.Bucket + "/" + p.Prefix
}

// ParsePlace reads "photos" or "photos/2026/".
func ParsePlace(s string) (Place, error) {
	var p Place
	p.Bucket, p.Prefix, _ = strings.Cut(s, "/")
	if s3.CheckBucketName(p.Bucket) != nil {
		return Place{}, fmt.Errorf("%q is not a bucket or a bucket/prefix", s)
	}
	if len(p.Prefix) > s3.MaxKeyBytes || !utf8.ValidString(p.Prefix) || strings.IndexByte(p.Prefix, 0) >= 0 {
		return Place{}, fmt.Errorf("%q: no key can begin like this", s)
	}
	if p.Prefix != fold(p.Prefix) {
		return Place{}, fmt.Errorf("%q: a prefix must not hold empty segments, `.` or `..`", s)
	}
	return p, nil
}

// ParseNetwork reads a network ("10.0.0.0/8", "2001:db8::/32") or one address.
// An IPv4 network in its IPv6 form is the IPv4 network. Zones and host bits
// behind the mask are refused: what they would mean is anyone's guess.
func ParseNetwork(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is not an address or a network, as in 10.0.0.0/8", s)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not an address or a network, as in 10.0.0.0/8", s)
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("%q is wider than all of IPv4: name IPv4 and IPv6 networks apart", s)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits behind its mask: the network is %s", s, p.Masked())
	}
	return p, nil
}

// ParseExtension reads "txt", ".TXT" or "tar.gz" and returns the one form in
// which extensions are kept.
func ParseExtension(s string) (string, error) {
	e := strings.ToLower(strings.TrimPrefix(s, "."))
	if !extension.MatchString(e) {
		return "", fmt.Errorf("%q is not an extension, as in txt or tar.gz: letters, digits, - and _ of ASCII", s)
	}
	return e, nil
}

var (
	extension = regexp.MustCompile(`^[a-z0-9_-]{1,32}(\.[a-z0-9_-]{1,32}){0,3}$`)
	loginForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._@+-]{0,63}$`)
)

// Bounds of one user. They bound the record that every node holds in memory.
const (
	MaxKeys   = 20
	maxLimits = 100 // of each list
)

// Check returns everything that is wrong with a user at once, joined; each part
// names the field of the admin API.
func (u *User) Check() error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", field, fmt.Errorf(format, args...)))
	}
	if err := CheckLogin(u.Login); err != nil {
		errs = append(errs, err)
	}
	if u.Role != RoleAdmin && u.Role != RoleUser {
		bad("role", "%q: want %s or %s", u.Role, RoleAdmin, RoleUser)
	}
	for i, s := range u.Scopes {
		if s != ScopeRead && s != ScopeWrite {
			bad("scopes", "%q: want %s or %s", s, ScopeRead, ScopeWrite)
		} else if slices.Contains(u.Scopes[:i], s) {
			bad("scopes", "%q stands there twice", s)
		}
	}
	for field, n := range map[string]int{
		"allowed_ips": len(u.AllowedIPs), "allowed_extensions": len(u.AllowedExtensions), "allowed_buckets": len(u.AllowedBuckets),
	} {
		if n > maxLimits {
			bad(field, "%d entries: at most %d", n, maxLimits)
		}
	}
	if len(u.Keys) > MaxKeys {
		bad("keys", "%d: at most %d", len(u.Keys), MaxKeys)
	}
	return errors.Join(errs...)
}

// CheckLogin wants 1 to 64 of a-z, 0-9 and ._@+-, beginning with a letter or a
// digit. Upper case is refused, so that no login looks like another. RootLogin
// and AnonymousLogin are nobody's to take.
func CheckLogin(login string) error {
	if !loginForm.MatchString(login) {
		return fmt.Errorf("login: %q: want 1 to 64 of a-z, 0-9 and ._@+-, beginning with a letter or digit", login)
	}
	if login == RootLogin {
		return fmt.Errorf("login: %s is the built-in user", RootLogin)
	}
	if login == AnonymousLogin {
		return fmt.Errorf("login: %s is whoever has no credentials", AnonymousLogin)
	}
	return nil
}

// Key returns the access key of this id.
func (u *User) Key(id string) (AccessKey, bool) {
	i := slices.IndexFunc(u.Keys, func(k AccessKey) bool { return k.ID == id })
	if i < 0 {
		return AccessKey{}, false
	}
	return u.Keys[i], true
}

// Clone returns a copy that shares nothing.
func (u *User) Clone() *User {
	c := *u
	c.Scopes = slices.Clone(u.Scopes)
	c.AllowedIPs = slices.Clone(u.AllowedIPs)
	c.AllowedExtensions = slices.Clone(u.AllowedExtensions)
	c.AllowedBuckets = slices.Clone(u.AllowedBuckets)
	c.Keys = slices.Clone(u.Keys)
	for i := range c.Keys {
		c.Keys[i].Sealed = slices.Clone(c.Keys[i].Sealed)
	}
	return &c
}

// Format shows whose record it is, whatever the verb: the rest is nobody's
// business in a log.
func (u User) Format(f fmt.State, _ rune) { fmt.Fprint(f, "user "+u.Login) }

// LogValue is the same for package slog.
func (u User) LogValue() slog.Value { return slog.StringValue(u.Login) }

// fold is the key as a backend that keeps keys as file names takes it: empty
// segments, `.` and `..` are resolved, a slash at the end stays.
func fold(key string) string {
	folded := strings.TrimPrefix(path.Clean("/"+key), "/")
	if strings.HasSuffix(key, "/") && folded != "" {
		folded += "/"
	}
	return folded
}
