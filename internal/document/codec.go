package document

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// The stored forms: JSON, so that what a later version adds is passed over by
// this one. The login, the id and the revision are the document's own name and
// epoch.

type userForm struct {
	PasswordHash string         `json:"password_hash,omitempty"`
	Tokens       []byte         `json:"tokens"`
	Role         auth.Role      `json:"role"`
	Scopes       []auth.Scope   `json:"scopes"`
	IPs          []netip.Prefix `json:"allowed_ips,omitempty"`
	Extensions   []string       `json:"allowed_extensions,omitempty"`
	Places       []placeForm    `json:"allowed_buckets,omitempty"`
	Active       bool           `json:"active"`
	Keys         []keyForm      `json:"keys,omitempty"`
	Created      time.Time      `json:"created"`
	Changed      time.Time      `json:"changed"`
}

type placeForm struct {
	Bucket string `json:"bucket"`
	Prefix string `json:"prefix,omitempty"`
}

type keyForm struct {
	ID      string    `json:"id"`
	Sealed  []byte    `json:"sealed_secret"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
}

type holderForm struct {
	Login    string    `json:"login"`
	LastUsed time.Time `json:"last_used,omitzero"`
}

type sessionForm struct {
	Login   string    `json:"login"`
	Tokens  []byte    `json:"tokens"`
	Step    uint64    `json:"step"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

type signersForm struct {
	Keys []signerForm `json:"keys"`
}

type signerForm struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Public  []byte    `json:"public"`
	Sealed  []byte    `json:"sealed_seed"`
}

// moment is a time as it is kept: UTC, in milliseconds.
func moment(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func encodeUser(u *auth.User) any {
	f := userForm{
		PasswordHash: u.PasswordHash, Tokens: u.Tokens[:], Role: u.Role, Scopes: u.Scopes, IPs: u.AllowedIPs,
		Extensions: u.AllowedExtensions, Active: u.Active, Created: moment(u.Created), Changed: moment(u.Changed),
	}
	for _, p := range u.AllowedBuckets {
		f.Places = append(f.Places, placeForm(p))
	}
	for _, k := range u.Keys {
		f.Keys = append(f.Keys, keyForm{k.ID, k.Sealed, moment(k.Created), moment(k.Expires)})
	}
	return f
}

func decodeUser(doc oplog.Doc) (auth.User, error) {
	var f userForm
	if err := decode(doc, &f); err != nil {
		return auth.User{}, err
	}
	u := auth.User{
		Revision: auth.Revision(doc.Epoch), Login: doc.Name, PasswordHash: f.PasswordHash, Role: f.Role, Scopes: f.Scopes,
		AllowedIPs: f.IPs, AllowedExtensions: f.Extensions, Active: f.Active, Created: f.Created, Changed: f.Changed,
	}
	for _, p := range f.Places {
		u.AllowedBuckets = append(u.AllowedBuckets, auth.Place(p))
	}
	for _, k := range f.Keys {
		u.Keys = append(u.Keys, auth.AccessKey(k))
	}
	var err error
	u.Tokens, err = revision(doc, f.Tokens)
	return u, err
}

func encodeHolder(h *auth.Holder) any { return holderForm{h.Login, moment(h.LastUsed)} }

func decodeHolder(doc oplog.Doc) (auth.Holder, error) {
	var f holderForm
	err := decode(doc, &f)
	return auth.Holder{Revision: auth.Revision(doc.Epoch), Login: f.Login, LastUsed: f.LastUsed}, err
}

func encodeSession(s *auth.Session) any {
	return sessionForm{s.Login, s.Tokens[:], s.Step, moment(s.Created), moment(s.Expires)}
}

func decodeSession(doc oplog.Doc) (auth.Session, error) {
	var f sessionForm
	if err := decode(doc, &f); err != nil {
		return auth.Session{}, err
	}
	tokens, err := revision(doc, f.Tokens)
	return auth.Session{
		Revision: auth.Revision(doc.Epoch), ID: doc.Name, Login: f.Login, Tokens: tokens,
		Step: f.Step, Created: f.Created, Expires: f.Expires,
	}, err
}

func encodeSigners(s *auth.Signers) any {
	var f signersForm
	for _, k := range s.Keys {
		f.Keys = append(f.Keys, signerForm{k.ID, moment(k.Created), k.Public, k.Sealed})
	}
	return f
}

func decodeSigners(doc oplog.Doc) (auth.Signers, error) {
	var f signersForm
	err := decode(doc, &f)
	s := auth.Signers{Revision: auth.Revision(doc.Epoch)}
	for _, k := range f.Keys {
		s.Keys = append(s.Keys, auth.SignerKey(k))
	}
	return s, err
}

func decode(doc oplog.Doc, form any) error {
	if err := json.Unmarshal(doc.Body, form); err != nil {
		return fmt.Errorf("%s %q: %w", doc.Kind, doc.Name, err)
	}
	return nil
}

func revision(doc oplog.Doc, b []byte) (auth.Revision, error) {
	if len(b) != len(auth.Revision{}) {
		return auth.Revision{}, fmt.Errorf("%s %q: a revision of %d bytes", doc.Kind, doc.Name, len(b))
	}
	return auth.Revision(b), nil
}
