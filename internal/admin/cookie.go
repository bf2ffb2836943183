package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
)

// The session of a browser: what a script may see of it is the access token, for
// a quarter of an hour. The refresh token is in a cookie that no script can read
// and that no other site makes the browser send. docs/decisions/0028.
const (
	sessionCookie = "s3mirror_session"
	// guard is a header that a page of another origin cannot send unless this
	// one allows it, and it allows nothing.
	guard = "X-S3mirror-Session"
)

// BeginSession is Login for a browser.
func (h face) BeginSession(ctx context.Context, r api.BeginSessionRequestObject) (api.BeginSessionResponseObject, error) {
	c := callOf(ctx)
	if err := guarded(r.Params.Guard); err != nil {
		return nil, err
	}
	grant, err := h.login(ctx, r.Body)
	if err != nil {
		return nil, err
	}
	return api.BeginSession200JSONResponse{SessionJSONResponse: c.session(grant)}, nil
}

// RenewSession is Refresh for a browser.
func (h face) RenewSession(ctx context.Context, r api.RenewSessionRequestObject) (api.RenewSessionResponseObject, error) {
	c := callOf(ctx)
	if err := guarded(r.Params.Guard); err != nil {
		return nil, err
	}
	if r.Params.Cookie == "" {
		return api.RenewSession204Response{}, nil
	}
	grant, err := h.Logins.Renew(ctx, r.Params.Cookie, c.client)
	if errors.Is(err, auth.ErrToken) {
		c.cookie = c.setCookie("", time.Time{})
	}
	if err != nil {
		return nil, err
	}
	c.who.Login = grant.Login
	return api.RenewSession200JSONResponse{SessionJSONResponse: c.session(grant)}, nil
}

// EndSession is Logout for a browser.
func (h face) EndSession(ctx context.Context, r api.EndSessionRequestObject) (api.EndSessionResponseObject, error) {
	c := callOf(ctx)
	if err := guarded(r.Params.Guard); err != nil {
		return nil, err
	}
	// A token that is none any more has no session to end: the cookie goes all the same.
	if err := h.Logins.LogoutRefresh(ctx, r.Params.Cookie); err != nil && !errors.Is(err, auth.ErrToken) {
		return nil, err
	}
	return api.EndSession204Response{Headers: api.EndSession204ResponseHeaders{SetCookie: c.setCookie("", time.Time{})}}, nil
}

func guarded(g api.Guard) error {
	if g != api.GuardOne {
		return problem(http.StatusBadRequest, "bad-parameter", "Wrong parameter", "%s: want 1", guard)
	}
	return nil
}

// session is a grant as a browser gets it.
func (c *call) session(g auth.Grant) api.SessionJSONResponse {
	return api.SessionJSONResponse{
		Body:    api.AccessToken{AccessToken: g.Access, TokenType: "Bearer", ExpiresIn: int(g.Life / time.Second)},
		Headers: api.SessionResponseHeaders{SetCookie: c.setCookie(g.Refresh, g.Until)},
	}
}

// setCookie is the header that sets the session's cookie, or removes it when the
// token is "". It names no Path: the browser takes the folder that it asked, which
// only it knows when a proxy puts the console below a path of its own.
func (c *call) setCookie(token string, until time.Time) string {
	cookie := http.Cookie{ //nolint:gosec // Secure as soon as the browser came by HTTPS
		Name: sessionCookie, Value: token, Expires: until, HttpOnly: true, Secure: c.secure, SameSite: http.SameSiteStrictMode,
	}
	if token == "" {
		cookie.MaxAge = -1
	}
	return cookie.String()
}

// overTLS tells whether the browser speaks HTTPS, with this listener or with the
// proxy before it: then it says so in Origin. Who lies gets a cookie of his own
// that goes where he said.
func overTLS(r *http.Request) bool {
	return r.TLS != nil || strings.HasPrefix(r.Header.Get("Origin"), "https://")
}
