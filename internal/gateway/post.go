package gateway

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// formed tells whether a request may be a browser's form, whose credentials
// stand in its fields: it has none where every other request has them.
func formed(r *request) bool {
	return r.op.Name == s3.PostObject && !auth.Claims(r.Request)
}

// postObject answers a POST to a bucket that is no form, or whose credentials do
// not stand in the form.
func (h *Handler) postObject(_ http.ResponseWriter, r *request) error {
	if _, err := s3.ReadForm(r.Request); err != nil {
		return err
	}
	return s3.Errorf(s3.InvalidRequest, "The credentials of a form stand in its fields.")
}

// postForm is the chain from 5 on for a browser's form. The fields, of which
// there are few KiB, are read before anything is known of who sends them; the
// file is not touched until he is proved, may write that very key, and the policy
// allows it. Then it is a PutObject.
func (h *Handler) postForm(a *answer, r *request) error {
	form, err := s3.ReadForm(r.Request)
	if err != nil {
		return err
	}
	if h.Anonymous && auth.BareForm(form.Fields) && auth.Bare(r.Request) { // 5
		r.sender, err = auth.Anonymous(nil)
	} else {
		r.sender, err = h.Verifier.VerifyForm(r.Context(), form.Fields)
	}
	if err != nil {
		return err
	}
	h.watch(a, r)
	defer r.lookout.end()
	key, err := form.Key()
	if err != nil {
		return err
	}
	if r.op, err = r.op.At(key); err != nil {
		return err
	}
	r.form = form.Fields
	if err := h.authorize(r); err != nil { // 6
		return err
	}
	var policy *s3.PostPolicy // nil: nobody signed one
	if !r.nameless() {
		if policy, err = s3.ParsePostPolicy(form.Fields["policy"]); err != nil {
			return err
		}
		if err := policy.Check(form, r.op.Bucket, key, time.Now()); err != nil {
			return err
		}
	}
	if r.Header, err = form.Headers(); err != nil { // 7
		return err
	}
	if err := r.op.AsPut().CheckHeaders(r.Header); err != nil {
		return err
	}
	return h.putForm(a, r, form, policy) // 8
}

// putForm writes the file.
func (h *Handler) putForm(w http.ResponseWriter, r *request, form *s3.Form, policy *s3.PostPolicy) error {
	file, size, err := form.File()
	if err != nil {
		return connectionError(err)
	}
	if policy != nil {
		if err := policy.CheckSize(size); err != nil {
			return err
		}
	}
	put := *r.Request
	put.Body, put.ContentLength = io.NopCloser(file), size
	put.Header = r.Header
	put.Header.Set("Content-Length", strconv.FormatInt(size, 10))
	info, sum, err := h.put(r, &put)
	if err != nil {
		return err
	}
	header := w.Header()
	s3.WrittenHeaders(header, object.Info{ETag: info.ETag, Headers: sum})
	location := address(r)
	if to := cmp.Or(form.Fields["success_action_redirect"], form.Fields["redirect"]); to != "" {
		if u, err := url.Parse(to); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
			header.Set("Location", redirectTo(u, r.op, info.ETag))
			return empty(w, http.StatusSeeOther)
		}
	}
	header.Set("Location", location)
	switch form.Fields["success_action_status"] {
	case "200":
		return empty(w, http.StatusOK)
	case "201":
		document := s3.PostDocument(location, r.op.Bucket, r.op.Key, info.ETag)
		header.Set("Content-Type", "application/xml")
		header.Set("Content-Length", strconv.Itoa(len(document)))
		w.WriteHeader(http.StatusCreated)
		_, err := w.Write(document) //nolint:gosec // XML, escaped
		return err
	}
	return empty(w, http.StatusNoContent)
}

// redirectTo is the page that the form names, with what was written in its query.
func redirectTo(u *url.URL, op *s3.Operation, etag string) string {
	with := "bucket=" + s3.EscapeQuery(op.Bucket) + "&key=" + s3.EscapeQuery(op.Key) + "&etag=" + s3.EscapeQuery(s3.QuoteETag(etag))
	if u.RawQuery != "" {
		with = u.RawQuery + "&" + with
	}
	u.RawQuery = with
	return u.String()
}

// connectionError is what a body that breaks off is called.
func connectionError(err error) error {
	var known *s3.Error
	if errors.As(err, &known) {
		return err
	}
	return s3.Err(s3.IncompleteBody).Because(err)
}
