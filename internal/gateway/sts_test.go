package gateway_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/gateway"
)

// assumer gives a key for the token "good".
type assumer struct{ life time.Duration }

func (a *assumer) Assume(_ context.Context, token string, life time.Duration, client netip.Addr) (auth.Temporary, error) {
	a.life = life
	switch {
	case token == "elsewhere":
		return auth.Temporary{Login: "ann"}, &auth.Denial{Login: "ann", Reason: auth.ReasonAddress}
	case token == "unknown":
		return auth.Temporary{}, errors.New("the log does not answer")
	case life > 12*time.Hour:
		return auth.Temporary{}, &auth.InvalidError{Err: errors.New("too long")}
	case token != "good" || !client.IsLoopback():
		return auth.Temporary{}, fmt.Errorf("%w: forged", auth.ErrToken)
	}
	return auth.Temporary{Login: "ann", AccessKeyID: "S3MTX", SecretAccessKey: "the secret", SessionToken: "the token", Expires: time.Unix(1e9, 0).UTC()}, nil
}

func form(pairs ...string) string {
	v := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "WebIdentityToken": {"good"}, "RoleArn": {"arn:aws:iam::1:role/any"}, "RoleSessionName": {"job"}}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

func stsAsk(body string) ask {
	return ask{method: "POST", path: "/", body: body, anonymous: true, header: header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")}
}

// TestAssumeRoleWithWebIdentity answers as the SDKs read it, and is audited; the
// secrets of it are in no log.
func TestAssumeRoleWithWebIdentity(t *testing.T) {
	f, _, audit := newUserFixture(t)
	keys := &assumer{}
	f.handler.Assumer = keys
	a := f.send(t, stsAsk(form("DurationSeconds", "7200")))
	var got struct {
		XMLName xml.Name
		Result  struct {
			SubjectFromWebIdentityToken string
			AssumedRoleUser             struct{ Arn string }
			Credentials                 struct{ AccessKeyId, SecretAccessKey, SessionToken, Expiration string }
		} `xml:"AssumeRoleWithWebIdentityResult"`
		ID string `xml:"ResponseMetadata>RequestId"`
	}
	if err := xml.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 {
		t.Fatalf("%v %s", err, a.raw)
	}
	c := got.Result.Credentials
	if got.XMLName.Local != "AssumeRoleWithWebIdentityResponse" || got.XMLName.Space != "https://sts.amazonaws.com/doc/2011-06-15/" ||
		c.AccessKeyId != "S3MTX" || c.SecretAccessKey != "the secret" || c.SessionToken != "the token" || c.Expiration != "2001-09-09T01:46:40Z" ||
		got.Result.SubjectFromWebIdentityToken != "ann" || !strings.HasSuffix(got.Result.AssumedRoleUser.Arn, "/job") || got.ID == "" || keys.life != 2*time.Hour {
		t.Errorf("%s, life %s", a.raw, keys.life)
	}
	if line := f.log.last(t); line["login"] != "ann" || line["operation"] != "AssumeRoleWithWebIdentity" || strings.Contains(fmt.Sprint(line), "the secret") || strings.Contains(fmt.Sprint(line), "the token") {
		t.Errorf("logged %v", line)
	}
	if e := audit.Take(); len(e) != 1 || e[0].Actor != "ann" || e[0].Detail != "S3MTX" || e[0].Refused != "" {
		t.Errorf("audited %+v", e)
	}
}

// TestAssumeRoleRefuses in the words of STS. What would narrow the keys is never
// passed over.
func TestAssumeRoleRefuses(t *testing.T) {
	f, _, audit := newUserFixture(t)
	f.handler.Assumer = &assumer{}
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"forged":         {form("WebIdentityToken", "bad"), 400, "InvalidIdentityToken"},
		"elsewhere":      {form("WebIdentityToken", "elsewhere"), 403, "AccessDenied"},
		"not known":      {form("WebIdentityToken", "unknown"), 500, "InternalFailure"},
		"too long":       {form("DurationSeconds", "99999"), 400, "ValidationError"},
		"no number":      {form("DurationSeconds", "an hour"), 400, "ValidationError"},
		"another action": {form("Action", "AssumeRole"), 400, "InvalidAction"},
		"no version":     {form("Version", ""), 400, "InvalidParameterValue"},
		"no token":       {form("WebIdentityToken", ""), 400, "MissingParameter"},
		"a policy":       {form("Policy", "{}"), 400, "ValidationError"},
		"policies":       {form("PolicyArns.member.1.arn", "x"), 400, "ValidationError"},
		"a token twice":  {form() + "&WebIdentityToken=bad", 400, "MalformedQueryString"},
		"no form":        {"%zz", 400, "MalformedQueryString"},
		"too large":      {form("Filler", strings.Repeat("x", 20<<10)), 400, "MalformedQueryString"},
	} {
		a := f.send(t, stsAsk(c.body))
		if a.status != c.status || !strings.Contains(a.body, "<Code>"+c.code+"</Code>") || !strings.Contains(a.body, "<ErrorResponse") {
			t.Errorf("%s: %s", name, a.raw)
		}
		if e := audit.Take(); c.status != 500 && (len(e) != 1 || e[0].Act != "AssumeRoleWithWebIdentity" || e[0].Refused == "") {
			t.Errorf("%s: audited %+v", name, e)
		}
	}
}

// TestWhatIsNoSTS goes the way of S3.
func TestWhatIsNoSTS(t *testing.T) {
	f := newFixture(t, func(o *gateway.Options) { o.Assumer = &assumer{} })
	signed := stsAsk(form())
	signed.anonymous = false
	inBucket := stsAsk(form())
	inBucket.path = "/photos"
	other := stsAsk(form())
	other.header = header("Content-Type", "multipart/form-data; boundary=x")
	for name, x := range map[string]ask{"signed": signed, "in a bucket": inBucket, "another form": other} {
		if a := f.send(t, x); a.status == 200 || strings.Contains(a.body, "ErrorResponse") {
			t.Errorf("%s: %s", name, a.raw)
		}
	}
	without := newFixture(t)
	if a := without.send(t, stsAsk(form())); a.status == 200 || strings.Contains(a.body, "ErrorResponse") {
		t.Errorf("without an assumer: %s", a.raw)
	}
}
