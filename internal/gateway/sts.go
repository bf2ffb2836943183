package gateway

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Assumer gives temporary keys for tokens: *auth.Logins.
type Assumer interface {
	Assume(ctx context.Context, token string, life time.Duration, client netip.Addr) (auth.Temporary, error)
}

// assumeRole is the one operation of AWS STS that this port answers. It has no
// signature: the token in it is the proof.
const assumeRole s3.OperationName = "AssumeRoleWithWebIdentity"

const (
	stsVersion = "2011-06-15"
	stsXMLNS   = "https://sts.amazonaws.com/doc/2011-06-15/"

	maxForm = 16 << 10 // bytes
)

// isSTS tells whether a request is for STS: a form that is posted to the root, by
// nobody that has proved himself. A form that uploads an object is of another kind.
func isSTS(r *http.Request) bool {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	if r.Method != http.MethodPost || path != "/" || len(r.Header.Values("Authorization")) > 0 || strings.Contains(query, "X-Amz-Signature") {
		return false
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/x-www-form-urlencoded"
}

// stsError is an error in the words of STS; behind it stands ours, for the log.
type stsError struct {
	code string
	err  *s3.Error
}

func (e *stsError) Error() string { return e.code + ": " + e.err.Error() }
func (e *stsError) Unwrap() error { return e.err }

// assume answers AssumeRoleWithWebIdentity. Roles are nobody's here: the keys may do
// what the user may. What would narrow that is refused and never passed over.
func (h *Handler) assume(w http.ResponseWriter, r *request) error {
	r.op = &s3.Operation{Name: assumeRole}
	form, err := stsForm(r)
	if err != nil {
		return err
	}
	bad := func(code, format string, args ...any) error {
		return &stsError{code, s3.Errorf(s3.InvalidArgument, format, args...)}
	}
	life := auth.DefaultTemporaryLife
	if text := form.Get("DurationSeconds"); text != "" {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return bad("ValidationError", "DurationSeconds is no number of seconds.")
		}
		life = time.Duration(n) * time.Second
	}
	switch {
	case form.Get("Action") != string(assumeRole):
		return bad("InvalidAction", "The only action here is %s.", assumeRole)
	case form.Get("Version") != stsVersion:
		return bad("InvalidParameterValue", "The version is %s.", stsVersion)
	case form.Get("WebIdentityToken") == "":
		return bad("MissingParameter", "The request must contain the parameter WebIdentityToken.")
	}
	for name := range form {
		if strings.HasPrefix(name, "Policy") {
			return &stsError{"ValidationError", s3.Errorf(s3.InvalidArgument, "The parameter %s is not implemented.", name)}
		}
	}
	t, err := h.Assumer.Assume(r.Context(), form.Get("WebIdentityToken"), life, r.client)
	if err != nil {
		return asSTS(err)
	}
	r.sender = &auth.Verified{Identity: auth.Identity{Login: t.Login}}
	if h.Audit != nil {
		h.Audit.Note(r.Context(), auth.Entry{Act: string(assumeRole), Actor: t.Login, Client: r.client, Request: r.id, Target: t.Login, Detail: t.AccessKeyID})
	}
	s3.WriteXML(w, stsAnswer(t, form, r.id))
	return nil
}

// stsForm reads the parameters, each of which may stand there once.
func stsForm(r *request) (url.Values, error) {
	bad := func(code s3.Code) error { return &stsError{"MalformedQueryString", s3.Err(code)} }
	text, err := io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	switch {
	case err != nil:
		return nil, &stsError{"IncompleteBody", s3.Err(s3.IncompleteBody).Because(err)}
	case len(text) > maxForm:
		return nil, bad(s3.MaxMessageLengthExceeded)
	}
	form, err := url.ParseQuery(string(text))
	if err != nil {
		return nil, bad(s3.InvalidArgument)
	}
	for _, values := range form {
		if len(values) > 1 {
			return nil, bad(s3.InvalidArgument)
		}
	}
	return form, nil
}

// asSTS tells why there is no key.
func asSTS(err error) error {
	var denial *auth.Denial
	var invalid *auth.InvalidError
	switch {
	case errors.As(err, &denial):
		return &stsError{"AccessDenied", s3.Errorf(s3.AccessDenied, "Access Denied: %s.", denial.Reason.Text()).Because(err)}
	case errors.As(err, &invalid):
		return &stsError{"ValidationError", s3.Errorf(s3.InvalidArgument, "DurationSeconds is out of bounds: %v.", err)}
	case errors.Is(err, auth.ErrToken):
		return &stsError{"InvalidIdentityToken", s3.Errorf(s3.InvalidToken, "The web identity token that was passed is not valid, or not any more.").Because(err)}
	}
	return &stsError{"InternalFailure", s3.Err(s3.InternalError).Because(err)}
}

// stsAnswer is the document that the SDKs read.
func stsAnswer(t auth.Temporary, form url.Values, requestID string) []byte {
	type user struct{ Arn, AssumedRoleId string }                                            //nolint:revive,staticcheck // the names of the document
	type credentials struct{ AccessKeyId, SecretAccessKey, SessionToken, Expiration string } //nolint:revive,staticcheck // as above
	type result struct {
		SubjectFromWebIdentityToken, Audience, Provider string
		AssumedRoleUser                                 user
		Credentials                                     credentials
	}
	session := form.Get("RoleSessionName")
	text, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"AssumeRoleWithWebIdentityResponse"`
		XMLNS   string   `xml:"xmlns,attr"`
		Result  result   `xml:"AssumeRoleWithWebIdentityResult"`
		ID      string   `xml:"ResponseMetadata>RequestId"`
	}{
		XMLNS: stsXMLNS, ID: requestID,
		Result: result{
			SubjectFromWebIdentityToken: t.Login, Audience: "s3mirror", Provider: "s3mirror",
			AssumedRoleUser: user{"arn:aws:sts:::assumed-role/" + t.Login + "/" + session, t.Login + ":" + session},
			Credentials:     credentials{t.AccessKeyID, string(t.SecretAccessKey), t.SessionToken, t.Expires.Format(time.RFC3339)},
		},
	})
	if err != nil {
		panic(err) // strings only
	}
	return append([]byte(xml.Header), text...)
}

// writeSTSError answers with an error of STS.
func writeSTSError(w http.ResponseWriter, requestID string, e *stsError) {
	fault := "Sender"
	if e.err.Code == s3.InternalError {
		fault = "Receiver"
	}
	type told struct{ Type, Code, Message string }
	text, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"ErrorResponse"`
		XMLNS   string   `xml:"xmlns,attr"`
		Error   told
		ID      string `xml:"RequestId"`
	}{XMLNS: stsXMLNS, Error: told{fault, e.code, e.err.Message}, ID: requestID})
	if err != nil {
		panic(err) // strings only
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(e.err.Code.Status())
	_, _ = w.Write(append([]byte(xml.Header), text...)) // a client that is gone cannot be told
}
