package auth

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Access is one thing that somebody wants to do on S3, as it is going to be
// done: names decoded, final, and exactly those that the storage will see.
type Access struct {
	Operation s3.OperationName
	Bucket    string
	Key       string     // of the object; of a request that names its keys in the body, one of them, or empty
	Prefix    string     // of a list
	Source    object.Key // of a copy or a rename
	Client    netip.Addr // who is at the other end, as far as proxies can be trusted; invalid: not known

	Policy       *BucketPolicy // of Bucket; nil: it has none
	SourcePolicy *BucketPolicy // of the bucket of Source, likewise
	Restricted   bool          // RestrictPublicBuckets of Bucket: a policy for everybody is none for the anonymous
	Facts        Facts         // what is known of the request, for conditions; nil: nothing
}

// Facts is what a request says of itself.
type Facts interface {
	// Fact returns what is known under a name, empty for nothing: of a header of S3 that
	// begins with x-amz-, of delimiter, max-keys or versionid, of useragent, referer,
	// securetransport (true or false), currenttime (RFC 3339) or epochtime (seconds).
	Fact(name string) string
}

// Reason says which limit a refusal is about. It is a closed set.
type Reason string

// The reasons, in the order in which they are asked about.
const (
	ReasonInactive  Reason = "inactive"
	ReasonAddress   Reason = "address"
	ReasonOperation Reason = "operation"
	ReasonAnonymous Reason = "anonymous"
	ReasonScope     Reason = "scope"
	ReasonRole      Reason = "role"
	ReasonBucket    Reason = "bucket"
	ReasonSource    Reason = "source"
	ReasonExtension Reason = "extension"
	ReasonPolicy    Reason = "policy"
)

var reasons = map[Reason]string{
	ReasonInactive:  "the user is not active",
	ReasonAddress:   "the user may not come from this address",
	ReasonOperation: "this operation is not open to users",
	ReasonAnonymous: "nobody may do this without credentials",
	ReasonScope:     "the user's scopes do not include this operation",
	ReasonRole:      "this operation needs the role admin",
	ReasonBucket:    "the user's buckets do not include this one, or this part of it",
	ReasonSource:    "the user's buckets do not include the source",
	ReasonExtension: "the user may not write names with this extension",
	ReasonPolicy:    "a policy of the bucket denies it",
}

// Text is what a user who was proved may be told: which limit it is, and never
// what it is.
func (r Reason) Text() string { return reasons[r] }

// Denial is a refusal. It says which limit, and not what the limit is.
type Denial struct {
	Login  string
	Reason Reason
	Access Access
}

// Error is for the log.
func (d *Denial) Error() string {
	return fmt.Sprintf("%s may not %s: %s", d.Login, d.Access.Operation, d.Reason)
}

// Authorize is the one place that tells whether a user may do something on S3,
// whatever the proof of his identity: nil, or a *Denial. It is pure.
//
// What an operation needs is written in needs; an operation that is not there
// is refused. One whose keys come in the body (DeleteObjects, PostObject) is asked
// about without a key before the body is read, and then with each key. What a bucket's
// policy allows needs neither scope nor place of the user; what it denies is denied to
// all. Whoever has no credentials may do what a policy allows to everybody, and nothing
// else. Root may do everything.
func Authorize(u *User, a Access) error {
	if u == nil { // an identity that nobody vouches for
		u = &User{}
	}
	if u.root() {
		return nil
	}
	if reason := u.refuses(a); reason != "" {
		return &Denial{Login: u.Login, Reason: reason, Access: a}
	}
	return nil
}

// Enter tells whether a user may come in at all: nil, or a *Denial. Authorize
// asks the same first; it is for faces that have no operations of S3.
func Enter(u *User, client netip.Addr) error {
	switch {
	case u.root():
		return nil
	case !u.Active:
		return &Denial{Login: u.Login, Reason: ReasonInactive, Access: Access{Client: client}}
	case !u.mayComeFrom(client):
		return &Denial{Login: u.Login, Reason: ReasonAddress, Access: Access{Client: client}}
	}
	return nil
}

func (u *User) refuses(a Access) Reason {
	n, known := needs[a.Operation]
	granted, denied := a.ruling(u, n)
	switch {
	case !u.Active:
		return ReasonInactive
	case !u.mayComeFrom(a.Client):
		return ReasonAddress
	case !known:
		return ReasonOperation
	case u.Anonymous() && (n.named || n.admin || n.where == atService || a.Restricted && a.Policy.Public()):
		return ReasonAnonymous
	case denied:
		return ReasonPolicy
	case !granted.target && (len(u.Scopes) == 0 || n.scope != anyScope && !slices.Contains(u.Scopes, n.scope)),
		n.source && !n.moves && !granted.source && !slices.Contains(u.Scopes, ScopeRead):
		return ReasonScope
	case n.admin && u.Role != RoleAdmin:
		return ReasonRole
	case n.many && a.Key == "":
		if !granted.target && !u.Sees(a.Bucket) {
			return ReasonBucket
		}
	case !granted.target && !u.reaches(n.where, a):
		return ReasonBucket
	case n.source && !granted.source && !u.within(a.Source.Bucket, a.Source.Name):
		return ReasonSource
	case n.where == atObject && n.scope == ScopeWrite && !u.mayName(a.Key), n.moves && !u.mayName(a.Source.Name):
		return ReasonExtension
	}
	return ""
}

// Sees tells whether a bucket is in the user's list of buckets.
func (u *User) Sees(bucket string) bool {
	return len(u.AllowedBuckets) == 0 || slices.ContainsFunc(u.AllowedBuckets, func(p Place) bool { return p.Bucket == bucket })
}

func (u *User) root() bool { return u.Login == RootLogin }

// mayComeFrom tells whether an address is in one of the user's networks. An
// IPv4 address in its IPv6 form is the IPv4 address; a zone says through which of
// our interfaces a neighbour came, and nothing about who he is.
func (u *User) mayComeFrom(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return len(u.AllowedIPs) == 0 ||
		slices.ContainsFunc(u.AllowedIPs, func(p netip.Prefix) bool { return p.Contains(a) })
}

// reaches tells whether what is worked on lies in the user's places.
func (u *User) reaches(w where, a Access) bool {
	switch w {
	case atService:
		return true
	case nearBucket:
		return u.Sees(a.Bucket)
	case atBucket:
		return u.within(a.Bucket, "")
	case atList:
		return u.within(a.Bucket, a.Prefix)
	case atObject:
		return u.within(a.Bucket, a.Key)
	}
	return false
}

// within tells whether every name in the bucket that is, or begins with, name
// lies in one of the user's places: as it stands, and as a backend takes it that
// keeps keys as file names.
func (u *User) within(bucket, name string) bool {
	return len(u.AllowedBuckets) == 0 || slices.ContainsFunc(u.AllowedBuckets, func(p Place) bool {
		return p.Bucket == bucket && strings.HasPrefix(name, p.Prefix) && strings.HasPrefix(fold(name), p.Prefix)
	})
}

// mayName tells whether the last segment of a key ends in a dot and one of the
// user's extensions, and has a name before that. Bytes are compared as they
// stand but for the case of ASCII: whatever only looks like an extension (another
// alphabet, a combining mark, a space or a dot behind it) is not on the list, and
// what is not on the list is refused. "tar.gz" asks for both; "gz" takes
// "a.tar.gz" too.
func (u *User) mayName(key string) bool {
	if len(u.AllowedExtensions) == 0 {
		return true
	}
	name := lowerASCII(key[strings.LastIndexByte(key, '/')+1:])
	return slices.ContainsFunc(u.AllowedExtensions, func(e string) bool {
		stem, ok := strings.CutSuffix(name, "."+e)
		return ok && stem != ""
	})
}

// lowerASCII leaves every other letter alone: strings.ToLower would make a "k"
// of the Kelvin sign.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + ('a' - 'A')
		}
	}
	return string(b)
}
