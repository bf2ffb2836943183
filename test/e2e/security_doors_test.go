//go:build e2e

package e2e

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// adminDoor is the admin API as a way to objects.
const adminDoor = "admin API"

// adminDoor asks for an object by the admin API, if what is asked can be asked
// there: the same path, behind the one that the API has for objects.
func (s *security) adminDoor(t *testing.T, p person, a ask) (wire.Answer, bool) {
	t.Helper()
	bucket, key, _ := strings.Cut(strings.TrimPrefix(a.path, "/"), "/")
	if key == "" || a.query != "" || len(a.header) > 0 || a.method != "GET" && a.method != "PUT" && a.method != "DELETE" {
		return wire.Answer{}, false
	}
	r := a.request(s)
	r.Host, r.Path = s.g.AdminAddr, "/api/v1/buckets/"+bucket+"/objects/"+key
	if a.method == "GET" {
		r.Query = "download=true"
	}
	r.Header = append(r.Header, wire.Field{Name: "Authorization", Value: "Bearer " + p.access})
	return s.exchangeWith(t, s.g.AdminAddr, a.method, wire.Message{Head: r.Head(), Body: []byte(a.body)}), true
}

// sts posts a form to the S3 port.
func (s *security) sts(t *testing.T, pairs ...string) (int, string) {
	t.Helper()
	form := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {"arn:aws:iam::1:role/any"}, "RoleSessionName": {"e2e"}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+s.g.S3Addr+"/", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode == 403 {
		s.ids = append(s.ids, resp.Header.Get("x-amz-request-id"))
	}
	return resp.StatusCode, string(body)
}

// assume gets temporary keys for an access token.
func (s *security) assume(t *testing.T, token string) (wire.Keys, string) {
	t.Helper()
	status, body := s.sts(t, "WebIdentityToken", token)
	var got struct {
		Result struct {
			Credentials struct{ AccessKeyId, SecretAccessKey, SessionToken string }
		} `xml:"AssumeRoleWithWebIdentityResult"`
	}
	if err := xml.Unmarshal([]byte(body), &got); err != nil || status != 200 {
		t.Fatalf("temporary keys: %d %v %s", status, err, body)
	}
	c := got.Result.Credentials
	s.secrets = append(s.secrets, c.SecretAccessKey, c.SessionToken)
	return wire.Keys{Access: c.AccessKeyId, Secret: c.SecretAccessKey, Region: s.g.Keys.Region}, c.SessionToken
}

// temporaryKeys: what gives none, and what makes them none.
func (s *security) temporaryKeys(t *testing.T) {
	s.person(t, "temp")
	p := s.who["temp"]
	for _, tc := range []struct {
		attack, want string
		pairs        []string
	}{
		{"keys for a forged token", "400 InvalidIdentityToken", []string{"WebIdentityToken", p.access + "x"}},
		{"keys for a refresh token", "400 InvalidIdentityToken", []string{"WebIdentityToken", p.refresh}},
		{"keys for a session token", "400 InvalidIdentityToken", []string{"WebIdentityToken", p.sessionToken}},
		{"keys for nothing", "400 MissingParameter", nil},
		{"keys for a week", "400 ValidationError", []string{"WebIdentityToken", p.access, "DurationSeconds", "604800"}},
		{"keys with a policy that is not looked at", "400 ValidationError", []string{"WebIdentityToken", p.access, "Policy", "{}"}},
		{"another action of STS", "400 InvalidAction", []string{"WebIdentityToken", p.access, "Action", "AssumeRole"}},
	} {
		status, body := s.sts(t, tc.pairs...)
		s.answers.WriteString(body)
		_, code, _ := strings.Cut(body, "<Code>")
		code, _, _ = strings.Cut(code, "</Code>")
		s.refused(t, "temporary key", tc.attack, fmt.Sprint(status, " ", code), tc.want)
	}

	send := doors[4].send
	put := ask{method: "PUT", path: "/proof/a/k.txt", body: "forged"}
	other := p
	other.sessionToken = s.who["boss"].sessionToken
	s.refused(t, "temporary key", "the session token of another key", send(s, t, other, put).String(), "400 InvalidToken")
	other = p
	other.temporary.Secret = s.who["boss"].temporary.Secret
	s.refused(t, "temporary key", "the secret of another key", send(s, t, other, put).String(), "403 SignatureDoesNotMatch")
	other = p
	other.keys = p.temporary
	s.refused(t, "temporary key", "no session token", doors[0].send(s, t, other, put).String(), "403 InvalidAccessKeyId")
	other = p
	other.temporary = p.keys
	s.refused(t, "temporary key", "a session token with a key for good", send(s, t, other, put).String(), "400 InvalidToken")

	if a := send(s, t, p, ask{method: "GET", path: "/proof/a/k.txt"}); a.Status != 200 {
		t.Fatalf("before the logout: %v", a)
	}
	if status, body := s.admin(t, p.access, "POST", "/api/v1/auth/logout", ""); status != 204 {
		t.Fatalf("logout: %d %s", status, body)
	}
	harness.Eventually(t, "the temporary key ends with its session", func() error {
		if a := send(s, t, p, ask{method: "GET", path: "/proof/a/k.txt"}); a.Status != 400 {
			return fmt.Errorf("answered %v", a)
		}
		return nil
	})
	s.refused(t, "temporary key", "a key whose session has ended", send(s, t, p, put).String(), "400 InvalidToken")
}

// transfers: who is shut out in the middle of an upload is refused within five
// seconds, whether he sends or waits, and nothing of it is kept.
func (s *security) transfers(t *testing.T) {
	for _, sends := range []bool{true, false} {
		login := fmt.Sprintf("uploader-%v", sends)
		s.person(t, login)
		p := s.who[login]
		reader, writer := io.Pipe()
		req, err := http.NewRequestWithContext(t.Context(), "PUT", "http://"+s.g.S3Addr+"/proof/a/long.txt", reader)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = 1 << 30
		req.Header.Set("Authorization", "Bearer "+p.access)
		answered := make(chan string, 1)
		go func() {
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				answered <- err.Error()
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body) // what could be read of it
			_, code, _ := strings.Cut(string(body), "<Code>")
			code, _, _ = strings.Cut(code, "</Code>")
			answered <- fmt.Sprint(resp.StatusCode, " ", code)
		}()
		piece := make([]byte, 1<<20)
		if _, err := writer.Write(piece); err != nil {
			t.Fatal(err)
		}
		s.cli(t, "user", "update", login, "--active=false")
		began := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for sends {
				if _, err := writer.Write(piece[:1000]); err != nil {
					return
				}
			}
		}()
		select {
		case got := <-answered:
			s.refused(t, "transfer", fmt.Sprintf("an upload goes on after its user was shut out, sending %v", sends), got, "403 AccessDenied")
			t.Logf("cut off after %s", time.Since(began))
		case <-time.After(time.Minute):
			t.Errorf("sending %v: an upload goes on after its user was shut out", sends)
		}
		reader.Close()
		writer.Close()
		<-done
	}
}
