package admin

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// defaultLinkLife is how long a link lives whose maker did not say.
const defaultLinkLife = time.Hour

// linkable are the operations that links are for, by method.
var linkable = map[api.NewLinkMethod]s3.OperationName{api.LinkGet: s3.GetObject, api.LinkPut: s3.PutObject}

// PresignObject makes a link. Only one that its maker could use himself, now.
func (h face) PresignObject(ctx context.Context, r api.PresignObjectRequestObject) (api.PresignObjectResponseObject, error) {
	c, want := callOf(ctx), *r.Body
	t := c.about(r.Bucket, r.Params.Key)
	name, ok := linkable[want.Method]
	switch {
	case !ok:
		return nil, problem(http.StatusBadRequest, "bad-link", "There is no such link", "method %q: want GET or PUT", want.Method)
	case want.Download && want.Method != api.LinkGet:
		return nil, problem(http.StatusBadRequest, "bad-link", "There is no such link", "download is for GET")
	}
	if err := h.may(ctx, name, t); err != nil {
		return nil, err
	}
	o := auth.LinkOptions{
		Base: h.publicURL(c.r), Method: string(want.Method), Key: t.Key,
		Life: cmp.Or(time.Duration(want.ExpiresIn)*time.Second, defaultLinkLife),
	}
	if most := int(auth.MaxLinkLife / time.Second); want.ExpiresIn < 0 || want.ExpiresIn > most { // before it overflows
		return nil, problem(http.StatusBadRequest, "bad-link", "There is no such link", "expires_in: want 1 to %d", most)
	}
	if want.Download {
		o.Query = url.Values{"response-content-disposition": {"attachment"}}
	}
	link, expires, err := h.Logins.Link(c.who.User, o)
	var wrong *auth.InvalidError
	if errors.As(err, &wrong) {
		return nil, problem(http.StatusBadRequest, "bad-link", "There is no such link", "%v", wrong)
	}
	if err != nil {
		return nil, err
	}
	c.detail = string(want.Method) + " until " + expires.Format(time.RFC3339)
	return api.PresignObject201JSONResponse{URL: link, Method: string(want.Method), Expires: expires}, nil
}

// publicURL is where clients reach S3: as the configuration says, or else by the name by
// which the caller reached this listener.
func (h face) publicURL(r *http.Request) *url.URL {
	base := h.S3URL
	if base.Hostname() == "" {
		name, _, err := net.SplitHostPort(r.Host)
		if err != nil { // there is no port in it
			name = strings.Trim(r.Host, "[]")
		}
		base.Host = net.JoinHostPort(name, base.Port())
	}
	return &base
}
