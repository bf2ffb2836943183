package auth

import (
	"context"
	"net/netip"
)

// Entry is one line of the audit: somebody was refused, or changed who may do
// what.
type Entry struct {
	Act     string     // the S3 operation ("PutObject"), or what was done on the admin API ("user.update")
	Actor   string     // the login that was proved; empty: nobody was
	Claimed string     // the login or access key that a request without proof names; empty: none
	Client  netip.Addr // from where; invalid: not known
	Bucket  string     // of S3
	Key     string     // of S3
	Target  string     // the user that it is about
	Detail  string     // what of him was changed
	Refused string     // why not; empty: it was done
	Request string     // the id of the request
}

// Auditor keeps the audit. Note never blocks and never fails its caller: what
// cannot be kept is counted and told of in its stead.
type Auditor interface {
	Note(ctx context.Context, e Entry)
}
