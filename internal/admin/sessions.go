package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
)

// Login gives tokens for a password.
func (h face) Login(ctx context.Context, r api.LoginRequestObject) (api.LoginResponseObject, error) {
	grant, err := h.login(ctx, r.Body)
	if err != nil {
		return nil, err
	}
	return api.Login200JSONResponse{TokensJSONResponse: tokens(grant)}, nil
}

// login proves the caller by his password.
func (h face) login(ctx context.Context, given *api.Credentials) (auth.Grant, error) {
	c := callOf(ctx)
	c.claimed = short(given.Login)
	grant, err := h.Logins.Login(ctx, given.Login, given.Password, c.client)
	if err != nil {
		return auth.Grant{}, err
	}
	c.claimed, c.who.Login = "", grant.Login
	return grant, nil
}

// Refresh gives the next tokens.
func (h face) Refresh(ctx context.Context, r api.RefreshRequestObject) (api.RefreshResponseObject, error) {
	c := callOf(ctx)
	grant, err := h.Logins.Refresh(ctx, r.Body.RefreshToken, c.client)
	if err != nil {
		return nil, err
	}
	c.who.Login = grant.Login
	return api.Refresh200JSONResponse{TokensJSONResponse: tokens(grant)}, nil
}

func tokens(g auth.Grant) api.TokensJSONResponse {
	return api.TokensJSONResponse{AccessToken: g.Access, RefreshToken: g.Refresh, TokenType: "Bearer", ExpiresIn: int(g.Life / time.Second)}
}

// Logout ends the session of the refresh token, or else of the access token.
func (h face) Logout(ctx context.Context, r api.LogoutRequestObject) (api.LogoutResponseObject, error) {
	if r.Body != nil {
		return api.Logout204Response{}, h.Logins.LogoutRefresh(ctx, r.Body.RefreshToken)
	}
	c := callOf(ctx)
	if c.token == "" {
		return nil, problem(http.StatusUnauthorized, "unauthorized", "No session", "give the refresh token of the session, or its access token")
	}
	who, err := h.Logins.Bearer(ctx, c.token)
	if err != nil {
		return nil, err
	}
	c.who = who
	if who.Session == "" { // of another issuer
		return nil, problem(http.StatusUnauthorized, "unauthorized", "No session", "log out where the token is from")
	}
	return api.Logout204Response{}, h.Logins.Logout(ctx, who.Session)
}

// Validate tells the caller who he is.
func (face) Validate(ctx context.Context, _ api.ValidateRequestObject) (api.ValidateResponseObject, error) {
	return api.Validate200JSONResponse{WhoamiJSONResponse: whoami(callOf(ctx).who)}, nil
}

// ValidatePost is Validate.
func (face) ValidatePost(ctx context.Context, _ api.ValidatePostRequestObject) (api.ValidatePostResponseObject, error) {
	return api.ValidatePost200JSONResponse{WhoamiJSONResponse: whoami(callOf(ctx).who)}, nil
}

func whoami(who auth.Identity) api.WhoamiJSONResponse {
	return api.WhoamiJSONResponse{
		Login: who.Login, Role: api.Role(who.User.Role), Scopes: scopesOf(who.User.Scopes), Expires: moment(who.Expires),
	}
}

// Jwks are the keys that verify access tokens.
func (h face) Jwks(ctx context.Context, _ api.JwksRequestObject) (api.JwksResponseObject, error) {
	keys, err := h.Logins.JWKS(ctx)
	if err != nil {
		return nil, err
	}
	set := api.Jwks200JSONResponse{Keys: []api.PublicKey{}}
	for _, k := range keys {
		set.Keys = append(set.Keys, api.PublicKey{Kty: k.KeyType, Crv: k.Curve, X: k.X, Kid: k.KeyID, Alg: k.Alg, Use: k.Use})
	}
	return set, nil
}

// moment is a time as documents show it; nil for none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
