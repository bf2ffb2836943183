package auth

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// MaxLinkLife is how long a link may live: as long as any presigned URL.
const MaxLinkLife = sigv4.MaxExpires

// linkRegion stands in the scope of links: any region is taken.
const linkRegion = "us-east-1"

// LinkOptions say what a link is for. All but Query are required.
type LinkOptions struct {
	Base   *url.URL // where clients reach S3: scheme and host
	Method string
	Key    object.Key
	Query  url.Values    // beside the signature
	Life   time.Duration // a second to MaxLinkLife
}

// Link makes a presigned URL of S3 for a user, and tells when it ends: whoever has it
// may do with it what it is for, as far as the user may when it is used.
//
// It is signed by a temporary key that nobody gets to know, which ends with all tokens
// of the user, but not with a session. *InvalidError for a life out of bounds.
func (l *Logins) Link(u *User, o LinkOptions) (link string, expires time.Time, err error) {
	if u.Issuer != "" {
		return "", time.Time{}, invalid("user: %s is not stored here, and makes no links", u.Login)
	}
	if o.Life < time.Second || o.Life > MaxLinkLife {
		return "", time.Time{}, invalid("life: %s: want 1s to %s", o.Life, MaxLinkLife)
	}
	now := l.now().UTC().Truncate(time.Second)
	t := l.temporary(u, "", now.Add(o.Life))
	query := "X-Amz-Security-Token=" + sigv4.EscapeQuery(t.SessionToken)
	if len(o.Query) > 0 {
		query += "&" + strings.ReplaceAll(o.Query.Encode(), "+", "%20")
	}
	path := sigv4.EscapePath("/" + o.Key.Bucket + "/" + o.Key.Name)
	signer := sigv4.NewSigner(t.AccessKeyID, t.SecretAccessKey, linkRegion)
	r := &http.Request{Method: o.Method, Host: o.Base.Host}
	return o.Base.Scheme + "://" + o.Base.Host + path + "?" + signer.Presign(r, path, query, o.Life, now), t.Expires, nil
}
