package admin

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
)

// self wants the caller to be an administrator, or the user that it is about.
// Whoever may not ask does not learn whether there is such a user.
func self(ctx context.Context, login string) error {
	who := callOf(ctx).who
	if who.User.Role == auth.RoleAdmin || who.Login == login {
		return nil
	}
	return forbidden("this is about another user than you")
}

// mutable refuses changes of the built-in user.
func mutable(login string) error {
	if login != auth.RootLogin {
		return nil
	}
	return problem(http.StatusConflict, "root-is-built-in", "root cannot be changed here",
		"his keys and his password come from the environment of the server; what others are to do is for users of their own")
}

// ListUsers answers one page, with root before all others.
func (h face) ListUsers(ctx context.Context, r api.ListUsersRequestObject) (api.ListUsersResponseObject, error) {
	limit, err := limitOf(r.Params.Limit)
	if err != nil {
		return nil, err
	}
	locks := h.Logins.Locks()
	page := api.UserPage{Users: []api.User{}}
	after, err := base64.RawURLEncoding.DecodeString(value(r.Params.Cursor))
	switch {
	case err != nil:
		return nil, problem(http.StatusBadRequest, "bad-parameter", "Wrong parameter", "cursor: this is not a cursor of an earlier page")
	case len(after) == 0:
		page.Users = append(page.Users, userDocument(*auth.RootUser(), locks))
	}
	users, err := h.Accounts.Users(ctx, string(after), limit-len(page.Users)+1)
	if err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	for _, u := range users {
		if len(page.Users) == limit {
			last := page.Users[limit-1].Login
			if last == auth.RootLogin { // who stands before the first
				last = "\x00"
			}
			page.Cursor = base64.RawURLEncoding.EncodeToString([]byte(last))
			break
		}
		page.Users = append(page.Users, userDocument(u, locks))
	}
	return api.ListUsers200JSONResponse(page), nil
}

// GetUser shows one user.
func (h face) GetUser(ctx context.Context, r api.GetUserRequestObject) (api.GetUserResponseObject, error) {
	if err := self(ctx, r.Login); err != nil {
		return nil, err
	}
	if r.Login == auth.RootLogin {
		return api.GetUser200JSONResponse{UserJSONResponse: api.UserJSONResponse(userDocument(*auth.RootUser(), h.Logins.Locks()))}, nil
	}
	u, err := h.Accounts.User(ctx, r.Login)
	if err != nil {
		return nil, err
	}
	return api.GetUser200JSONResponse{UserJSONResponse: api.UserJSONResponse(userDocument(u, h.Logins.Locks()))}, nil
}

// CreateUser makes a user. What is not said is no limit.
func (h face) CreateUser(ctx context.Context, r api.CreateUserRequestObject) (api.CreateUserResponseObject, error) {
	b := r.Body
	callOf(ctx).target = short(b.Login)
	u := auth.User{Login: b.Login, Role: auth.RoleUser, Scopes: []auth.Scope{auth.ScopeRead, auth.ScopeWrite}, Active: true}
	change := api.UserChange{Scopes: b.Scopes, AllowedIps: &b.AllowedIps, AllowedExtensions: &b.AllowedExtensions, AllowedBuckets: &b.AllowedBuckets, Active: b.Active}
	if b.Role != "" {
		change.Role = &b.Role
	}
	if err := apply(change, &u); err != nil {
		return nil, err
	}
	u, err := h.Accounts.Create(ctx, u, b.Password)
	if err != nil {
		return nil, err
	}
	return api.CreateUser201JSONResponse{UserJSONResponse: api.UserJSONResponse(userDocument(u, h.Logins.Locks()))}, nil
}

// UpdateUser changes what is given. Everyone may change his own password.
func (h face) UpdateUser(ctx context.Context, r api.UpdateUserRequestObject) (api.UpdateUserResponseObject, error) {
	c := callOf(ctx)
	c.detail = strings.Join(changed(*r.Body), ", ")
	if err := h.mayUpdate(ctx, r.Login, *r.Body); err != nil {
		return nil, err
	}
	u, err := h.Accounts.Update(ctx, r.Login, func(u *auth.User) error {
		if r.Body.Password != nil {
			if err := h.Accounts.SetPassword(ctx, u, *r.Body.Password); err != nil {
				return err
			}
		}
		return apply(*r.Body, u)
	})
	if err != nil {
		return nil, err
	}
	return api.UpdateUser200JSONResponse{UserJSONResponse: api.UserJSONResponse(userDocument(u, h.Logins.Locks()))}, nil
}

// mayUpdate tells whether the caller may make the change. With a token alone
// nobody sets his own password: who has found the token must not get the user.
func (h face) mayUpdate(ctx context.Context, login string, change api.UserChange) error {
	if err := self(ctx, login); err != nil {
		return err
	}
	if err := mutable(login); err != nil {
		return err
	}
	c := callOf(ctx)
	names := changed(change)
	if c.who.User.Role != auth.RoleAdmin && !slices.Equal(names, []string{"password"}) {
		return forbidden("of yourself you may change the password only")
	}
	if c.who.Login != login || !slices.Contains(names, "password") || c.token == "" { // the password proves him
		return nil
	}
	if change.CurrentPassword == nil {
		return problem(http.StatusBadRequest, "bad-user", "The present password is needed", "give it in current_password")
	}
	err := h.Logins.Confirm(ctx, login, *change.CurrentPassword, c.client)
	if errors.Is(err, auth.ErrLogin) {
		p := forbidden("current_password is wrong")
		p.cause = err
		return p
	}
	return err
}

// changed names the fields that a change gives, but for the present password.
func changed(c api.UserChange) []string {
	var names []string
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"password", c.Password != nil}, {"role", c.Role != nil}, {"scopes", c.Scopes != nil}, {"allowed_ips", c.AllowedIps != nil},
		{"allowed_extensions", c.AllowedExtensions != nil}, {"allowed_buckets", c.AllowedBuckets != nil}, {"active", c.Active != nil},
	} {
		if f.given {
			names = append(names, f.name)
		}
	}
	return names
}

// apply writes a change into a user, and tells all that is wrong with it. Of the
// password it knows nothing.
func apply(c api.UserChange, u *auth.User) error {
	var errs []error
	if c.Role != nil {
		u.Role = auth.Role(*c.Role)
	}
	if c.Scopes != nil {
		u.Scopes = []auth.Scope{}
		for _, s := range *c.Scopes {
			u.Scopes = append(u.Scopes, auth.Scope(s))
		}
	}
	if c.AllowedIps != nil {
		u.AllowedIPs = parsed("allowed_ips", *c.AllowedIps, auth.ParseNetwork, &errs)
	}
	if c.AllowedExtensions != nil {
		u.AllowedExtensions = parsed("allowed_extensions", *c.AllowedExtensions, auth.ParseExtension, &errs)
	}
	if c.AllowedBuckets != nil {
		u.AllowedBuckets = parsed("allowed_buckets", *c.AllowedBuckets, auth.ParsePlace, &errs)
	}
	if c.Active != nil {
		u.Active = *c.Active
	}
	if err := errors.Join(errs...); err != nil {
		return &auth.InvalidError{Err: err}
	}
	return nil
}

func parsed[T comparable](field string, texts []string, parse func(string) (T, error), errs *[]error) (list []T) {
	for _, text := range texts {
		x, err := parse(text)
		if err != nil {
			*errs = append(*errs, fmt.Errorf("%s: %w", field, err))
		} else if !slices.Contains(list, x) {
			list = append(list, x)
		}
	}
	return list
}

// DeleteUser removes a user.
func (h face) DeleteUser(ctx context.Context, r api.DeleteUserRequestObject) (api.DeleteUserResponseObject, error) {
	if err := mutable(r.Login); err != nil {
		return nil, err
	}
	return api.DeleteUser204Response{}, h.Accounts.Delete(ctx, r.Login)
}

// UnlockUser lets a login that was locked out try again. It does not ask whether
// there is such a user: the lock does not either.
func (h face) UnlockUser(_ context.Context, r api.UnlockUserRequestObject) (api.UnlockUserResponseObject, error) {
	h.Logins.Unlock(r.Login)
	return api.UnlockUser204Response{}, nil
}

// ListKeys shows the keys of a user.
func (h face) ListKeys(ctx context.Context, r api.ListKeysRequestObject) (api.ListKeysResponseObject, error) {
	u, err := h.ownerOf(ctx, r.Login)
	if err != nil {
		return nil, err
	}
	list := api.KeyList{Keys: []api.Key{}}
	for _, k := range u.Keys {
		key, err := h.keyDocument(ctx, k)
		if err != nil {
			return nil, err
		}
		list.Keys = append(list.Keys, key)
	}
	return api.ListKeys200JSONResponse(list), nil
}

// GetKey shows one key.
func (h face) GetKey(ctx context.Context, r api.GetKeyRequestObject) (api.GetKeyResponseObject, error) {
	u, err := h.ownerOf(ctx, r.Login)
	if err != nil {
		return nil, err
	}
	k, ok := u.Key(r.ID)
	if !ok {
		return nil, auth.ErrNoKey
	}
	key, err := h.keyDocument(ctx, k)
	return api.GetKey200JSONResponse(key), err
}

// ownerOf is the user whose keys the caller asks for. The key of root comes from
// the environment and is not shown.
func (h face) ownerOf(ctx context.Context, login string) (auth.User, error) {
	if err := self(ctx, login); err != nil {
		return auth.User{}, err
	}
	if login == auth.RootLogin {
		return *auth.RootUser(), nil
	}
	return h.Accounts.User(ctx, login)
}

// CreateKey makes a key. Its secret is shown here and never again.
func (h face) CreateKey(ctx context.Context, r api.CreateKeyRequestObject) (api.CreateKeyResponseObject, error) {
	if err := self(ctx, r.Login); err != nil {
		return nil, err
	}
	if err := mutable(r.Login); err != nil {
		return nil, err
	}
	var expires time.Time
	if r.Body != nil {
		expires = value(r.Body.Expires)
	}
	key, secret, err := h.Accounts.NewKey(ctx, r.Login, expires)
	if err != nil {
		return nil, err
	}
	callOf(ctx).detail = key.ID
	return api.CreateKey201JSONResponse{
		AccessKeyID: key.ID, SecretAccessKey: string(secret), Created: key.Created, Expires: moment(key.Expires),
	}, nil
}

// RotateKey makes a key in the place of another.
func (h face) RotateKey(ctx context.Context, r api.RotateKeyRequestObject) (api.RotateKeyResponseObject, error) {
	c := callOf(ctx)
	c.detail = short(r.ID)
	if err := self(ctx, r.Login); err != nil {
		return nil, err
	}
	if err := mutable(r.Login); err != nil {
		return nil, err
	}
	grace := int64(0)
	if r.Body != nil {
		grace = min(max(r.Body.GraceSeconds, -1), math.MaxInt32) // what is out of bounds stays so
	}
	key, secret, err := h.Accounts.RotateKey(ctx, r.Login, r.ID, time.Duration(grace)*time.Second)
	if err != nil {
		return nil, err
	}
	c.detail += " -> " + key.ID
	return api.RotateKey201JSONResponse{
		AccessKeyID: key.ID, SecretAccessKey: string(secret), Created: key.Created, Expires: moment(key.Expires),
	}, nil
}

// DeleteKey takes a key from its user.
func (h face) DeleteKey(ctx context.Context, r api.DeleteKeyRequestObject) (api.DeleteKeyResponseObject, error) {
	callOf(ctx).detail = short(r.ID)
	if err := self(ctx, r.Login); err != nil {
		return nil, err
	}
	if err := mutable(r.Login); err != nil {
		return nil, err
	}
	return api.DeleteKey204Response{}, h.Accounts.DeleteKey(ctx, r.Login, r.ID)
}

func (h face) keyDocument(ctx context.Context, k auth.AccessKey) (api.Key, error) {
	used, err := h.Accounts.LastUsed(ctx, k.ID)
	if err != nil && !errors.Is(err, auth.ErrNoKey) {
		return api.Key{}, fmt.Errorf("last use of %s: %w", k.ID, err)
	}
	return api.Key{AccessKeyID: k.ID, Created: k.Created, Expires: moment(k.Expires), LastUsed: moment(used)}, nil
}

// userDocument shows a user; nothing of it is secret.
func userDocument(u auth.User, locks map[string]time.Time) api.User {
	return api.User{
		Login: u.Login, Role: api.Role(u.Role), Scopes: scopesOf(u.Scopes), Active: u.Active,
		AllowedIps:        texts(u.AllowedIPs, netip.Prefix.String),
		AllowedExtensions: texts(u.AllowedExtensions, func(s string) string { return s }),
		AllowedBuckets:    texts(u.AllowedBuckets, auth.Place.String),
		HasPassword:       u.PasswordHash != "" || u.Login == auth.RootLogin, Keys: len(u.Keys),
		Created: moment(u.Created), Changed: moment(u.Changed), LockedUntil: moment(locks[u.Login]),
	}
}

func scopesOf(scopes []auth.Scope) []api.Scope {
	return texts(scopes, func(s auth.Scope) api.Scope { return api.Scope(s) })
}

// texts never returns nil, which JSON would show as no list at all.
func texts[T, S any](list []T, text func(T) S) []S {
	out := make([]S, len(list))
	for i, x := range list {
		out[i] = text(x)
	}
	return out
}
