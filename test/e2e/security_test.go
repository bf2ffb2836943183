//go:build e2e

package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth/authtest"
	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

var updateSecurity = flag.Bool("security.update", false, "rewrite docs/security.md from what the tests do")

// TestSecurity is the table of docs/security.md: each case attacks the built
// binary, is answered 4xx, and leaves every replica as it was.
func TestSecurity(t *testing.T) {
	t.Parallel()
	s := newSecurity(t)
	t.Run("Anonymous", s.anonymous)
	t.Run("Users", s.users)
	t.Run("Addresses", s.addresses)
	t.Run("Tokens", s.tokens)
	t.Run("TokensOfAnotherIssuer", s.foreignTokens)
	t.Run("Links", s.links)
	t.Run("Proofs", s.proofs)
	t.Run("Sessions", s.sessions)
	t.Run("Logins", s.logins)
	t.Run("Keys", s.keys)
	t.Run("AdminAPI", s.adminAPI)
	t.Run("TemporaryKeys", s.temporaryKeys)
	t.Run("Transfers", s.transfers)
	s.untouched(t)
	t.Run("Audit", s.audit)
	t.Run("Secrets", s.leaks)
	floor(t, "attacks refused", s.tried, 400)
	s.document(t)
}

// security is a gateway with users, and what was tried on it.
type security struct {
	g        *harness.Gateway
	issuer   *authtest.Issuer // another one, whose tokens are taken
	backends []*harness.Backend
	before   map[string]harness.Object
	who      map[string]person
	table    map[[3]string][]string // of docs/security.md: what, attack, answer -> by which proofs
	tried    int64
	answers  bytes.Buffer
	secrets  []string
	ids      []string // of refused requests
}

// person is a user with every proof of his identity.
type person struct {
	login, password string
	keys            wire.Keys
	access, refresh string
	temporary       wire.Keys // for the access token, by AssumeRoleWithWebIdentity
	sessionToken    string    // of temporary
}

const proofBucket = "proof"

func newSecurity(t *testing.T) *security {
	t.Helper()
	s := &security{backends: harness.StartBackends(t, 3), issuer: authtest.NewIssuer(t), who: map[string]person{}, table: map[[3]string][]string{}}
	s.g = harness.StartGateway(t, s.backends, harness.Options{
		S3: "trusted_proxies: [127.0.0.0/8]",
		Extra: fmt.Sprintf("issuers:\n- {issuer: %q, audience: [%q], jwks_url: %q, algorithms: [RS256, ES256, EdDSA], claims: {scopes: scope, buckets: buckets}}\n",
			foreignIssuer, foreignAudience, s.issuer.URL),
		Prep: func(c *exec.Cmd) { c.Args = append(c.Args, "--log-level", "debug", "--log-format", "json") },
	})
	createBucket(t, s.g.Client, proofBucket)
	createBucket(t, s.g.Client, "private")
	for _, key := range []string{"a/k.txt", "b/k.txt", "k.exe"} {
		if a, err := s.g.Client.Put(t.Context(), proofBucket, key, wire.Literal, []byte("as it was")); err != nil || a.Status != 200 {
			t.Fatalf("put %s: %v, %v", key, a, err)
		}
	}
	s.person(t, "ann", "--allow-bucket", proofBucket+"/a/", "--allow-extension", "txt", "--allow-ip", "127.0.0.0/8,::1")
	s.person(t, "reader", "--scopes", "read")
	s.person(t, "writer", "--scopes", "write")
	s.person(t, "nothing", "--scopes", "")
	s.person(t, "elsewhere", "--scopes", "read,write")
	s.person(t, "off")
	s.cli(t, "user", "update", "elsewhere", "--allow-ip", "10.0.0.0/8,2001:db8::/32")
	s.cli(t, "user", "update", "off", "--active=false")
	s.person(t, "boss", "--role", "admin")
	s.person(t, "alice", "--role", "admin") // for whom tokens of the other issuer are
	s.g.Converge(t)
	s.before = harness.RequireEqual(t, s.g, proofBucket, s.backends...)
	root := s.g.Keys
	s.secrets = append(s.secrets, root.Secret, s.g.Password)
	return s
}

// cli runs a verb as root and wants it to succeed.
func (s *security) cli(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := s.g.CLI(t, args...)
	if code != 0 {
		t.Fatalf("%q: exit %d\n%s%s", args, code, stdout, stderr)
	}
	return stdout
}

// person makes a user with a password and a key, and logs him in.
func (s *security) person(t *testing.T, login string, limits ...string) {
	t.Helper()
	p := person{login: login, password: "the password of " + login}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(p.password), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cli(t, append([]string{"user", "create", login, "--password-file", file}, limits...)...)
	var key struct {
		ID     string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
	}
	decode(t, s.cli(t, "key", "create", login, "--output", "json"), &key)
	p.keys = wire.Keys{Access: key.ID, Secret: key.Secret, Region: s.g.Keys.Region}
	s.secrets = append(s.secrets, p.password, p.keys.Secret)
	p = s.logIn(t, p)
	p.temporary, p.sessionToken = s.assume(t, p.access)
	s.who[login] = p
}

func decode(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// logIn gives the person new tokens.
func (s *security) logIn(t *testing.T, p person) person {
	t.Helper()
	status, body := s.admin(t, "", "POST", "/api/v1/auth/login", fmt.Sprintf(`{"login":%q,"password":%q}`, p.login, p.password))
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if status != 200 {
		t.Fatalf("login of %s: %d %s", p.login, status, body)
	}
	decode(t, body, &tokens)
	p.access, p.refresh = tokens.Access, tokens.Refresh
	s.secrets = append(s.secrets, p.access, p.refresh)
	return p
}

// admin sends a request to the admin API with a bearer token, unless it is
// empty; a token with a colon is a login and a password.
func (s *security) admin(t *testing.T, token, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.g.AdminAddr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if login, password, ok := strings.Cut(token, ":"); ok {
		req.SetBasicAuth(login, password)
	} else if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// exchange sends one raw request to the S3 port.
func (s *security) exchange(t *testing.T, method string, m wire.Message) wire.Answer {
	t.Helper()
	return s.exchangeWith(t, s.g.S3Addr, method, m)
}

func (s *security) exchangeWith(t *testing.T, addr, method string, m wire.Message) wire.Answer {
	t.Helper()
	a, err := wire.Exchange(addr, method, m, wire.Wait, answerLimit)
	if err != nil {
		t.Fatalf("%.200s: %v", m.Head, err)
	}
	s.answers.Write(a.Body)
	if id := a.Header.Get("x-amz-request-id"); a.Status == 401 || a.Status == 403 {
		s.ids = append(s.ids, id)
	}
	return a
}

// refused wants an attack to be answered with one of these, and writes it into
// the table.
func (s *security) refused(t *testing.T, group, attack, got string, want ...string) {
	t.Helper()
	if !slices.Contains(want, got) {
		t.Errorf("%s: %s: answered %s, want one of %q", group, attack, got, want)
	}
	s.tried++
	what, by, _ := strings.Cut(group, ", by ")
	line := [3]string{what, strings.NewReplacer("|", "\\|", "\n", " ").Replace(attack), got}
	if !slices.Contains(s.table[line], by) {
		s.table[line] = append(s.table[line], by)
	}
}

// ask is one thing that somebody wants to do on S3.
type ask struct {
	method, path, query, body string // path percent-encoded, as it travels
	header                    []wire.Field
}

// A door is a way to prove who asks for something.
type door struct {
	name string
	send func(s *security, t *testing.T, p person, a ask) wire.Answer
	body bool // it is about the framing of a body: only requests with one differ
}

var doors = []door{
	{name: "header", send: func(s *security, t *testing.T, p person, a ask) wire.Answer {
		r := a.request(s)
		r.Path = canonical(a.path)
		p.keys.Sign(&r, wire.Hash([]byte(a.body)), time.Now())
		r.Path = a.path
		return s.exchange(t, a.method, wire.Message{Head: r.Head(), Body: []byte(a.body)})
	}},
	{name: "unsigned payload", body: true, send: func(s *security, t *testing.T, p person, a ask) wire.Answer {
		r := a.request(s)
		r.Path = canonical(a.path)
		p.keys.Sign(&r, "UNSIGNED-PAYLOAD", time.Now())
		r.Path = a.path
		return s.exchange(t, a.method, wire.Message{Head: r.Head(), Body: []byte(a.body)})
	}},
	{name: "presigned", send: func(s *security, t *testing.T, p person, a ask) wire.Answer {
		r := a.request(s)
		presign(&r, p.keys, time.Now())
		return s.exchange(t, a.method, wire.Message{Head: r.Head(), Body: []byte(a.body)})
	}},
	{name: "bearer", send: func(s *security, t *testing.T, p person, a ask) wire.Answer {
		r := a.request(s)
		r.Header = append(r.Header, wire.Field{Name: "Authorization", Value: "Bearer " + p.access})
		return s.exchange(t, a.method, wire.Message{Head: r.Head(), Body: []byte(a.body)})
	}},
	{name: "temporary key", send: func(s *security, t *testing.T, p person, a ask) wire.Answer {
		r := a.request(s)
		r.Path = canonical(a.path)
		r.Header = append(r.Header, wire.Field{Name: "x-amz-security-token", Value: p.sessionToken})
		p.temporary.Sign(&r, wire.Hash([]byte(a.body)), time.Now())
		r.Path = a.path
		return s.exchange(t, a.method, wire.Message{Head: r.Head(), Body: []byte(a.body)})
	}},
}

// chunkDoors are the aws-chunked ones, for uploads.
var chunkDoors = []wire.Mode{wire.SignedChunks, wire.UnsignedTrailer, wire.SignedTrailer}

func (a ask) request(s *security) wire.Request {
	r := wire.Request{Method: a.method, Host: s.g.S3Addr, Path: a.path, Query: a.query, Header: slices.Clone(a.header)}
	if a.body != "" || a.method == "PUT" {
		r.Header = append(r.Header, wire.Field{Name: "Content-Length", Value: fmt.Sprint(len(a.body))})
	}
	return r
}

// canonical is the one spelling of a path that is signed, whichever travels.
func canonical(path string) string { return "/" + wire.Escape(unescape(path[1:]), "/") }

// presign moves the signature into the query.
func presign(r *wire.Request, k wire.Keys, now time.Time) {
	date := now.UTC().Format("20060102T150405Z")
	scope := date[:8] + "/" + k.Region + "/s3/aws4_request"
	params := []string{
		"X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Credential=" + wire.Escape(k.Access+"/"+scope, ""), "X-Amz-Date=" + date,
		"X-Amz-Expires=600", "X-Amz-SignedHeaders=host",
	}
	if r.Query != "" {
		params = append(params, strings.Split(r.Query, "&")...)
	}
	for i, p := range params {
		if !strings.Contains(p, "=") {
			params[i] = p + "="
		}
	}
	sorted := slices.Sorted(slices.Values(params))
	canonical := strings.Join([]string{r.Method, canonical(r.Path), strings.Join(sorted, "&"), "host:" + r.Host, "", "host", "UNSIGNED-PAYLOAD"}, "\n")
	key := []byte("AWS4" + k.Secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = hmacSHA256(key, part)
	}
	sum := sha256.Sum256([]byte(canonical))
	sig := hex.EncodeToString(hmacSHA256(key, "AWS4-HMAC-SHA256\n"+date+"\n"+scope+"\n"+hex.EncodeToString(sum[:])))
	r.Query = strings.Join(params, "&") + "&X-Amz-Signature=" + sig
}

func hmacSHA256(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// everyDoor asks for the same by every proof and returns the answers by door.
func (s *security) everyDoor(t *testing.T, p person, a ask) map[string]wire.Answer {
	t.Helper()
	answers := map[string]wire.Answer{}
	for _, d := range doors {
		if !d.body || a.body != "" {
			answers[d.name] = d.send(s, t, p, a)
		}
	}
	if answer, ok := s.adminDoor(t, p, a); ok {
		answers[adminDoor] = answer
	}
	if a.method != "PUT" || a.body == "" || a.query != "" || len(a.header) > 0 {
		return answers
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(a.path, "/"), "/")
	for _, mode := range chunkDoors {
		put := wire.Put{Keys: p.keys, Host: s.g.S3Addr, Bucket: bucket, Mode: mode, Body: []byte(a.body), Now: time.Now()}
		if put.Key = unescape(key); wire.Path(bucket, put.Key) != a.path {
			continue // this spelling of the path cannot be written by it
		}
		answers[string(mode)] = s.exchange(t, "PUT", put.Message())
	}
	return answers
}

func unescape(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '%' {
			if v, err := hex.DecodeString(path[i+1 : i+3]); err == nil {
				b.Write(v)
				i += 2
				continue
			}
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

// users: every limit, on every operation that there is, through every door.
func (s *security) users(t *testing.T) {
	put := func(path string) ask { return ask{method: "PUT", path: path, body: "forged"} }
	get := func(path string) ask { return ask{method: "GET", path: path} }
	del := func(path string) ask { return ask{method: "DELETE", path: path} }
	copyTo := func(path, query, source string) ask {
		return ask{method: "PUT", path: path, query: query, header: []wire.Field{{Name: "x-amz-copy-source", Value: source}}}
	}
	list := func(query string) ask { return ask{method: "GET", path: "/proof", query: query} }
	for _, tc := range []struct {
		attack string
		login  string
		ask    ask
	}{
		{"write to another bucket", "ann", put("/private/k.txt")},
		{"read another bucket", "ann", get("/private/k.txt")},
		{"look whether another bucket is there", "ann", ask{method: "HEAD", path: "/private"}},
		{"make a bucket", "ann", ask{method: "PUT", path: "/squatted"}},
		{"delete the bucket of the prefix", "ann", del("/proof")},
		{"write beside the prefix", "ann", put("/proof/b/k.txt")},
		{"read beside the prefix", "ann", get("/proof/b/k.txt")},
		{"delete beside the prefix", "ann", del("/proof/b/k.txt")},
		{"a prefix without its slash", "ann", put("/proof/ab/k.txt")},
		{"out of the prefix by ..", "ann", put("/proof/a/../b/k.txt")},
		{"out of the prefix by %2e%2e", "ann", put("/proof/a/%2e%2e/b/k.txt")},
		{"out of the prefix by %2F..%2F", "ann", put("/proof/a%2F..%2Fb%2Fk.txt")},
		{"a slash before the prefix", "ann", put("/proof//a/k.txt")},
		{"list without a prefix", "ann", list("list-type=2")},
		{"list another prefix", "ann", list("list-type=2&prefix=b%2F")},
		{"list a prefix that holds the own one", "ann", list("list-type=2&prefix=")},
		{"list by a second prefix parameter", "ann", list("list-type=2&prefix=b%2F&prefix=a%2F")},
		{"list out of the prefix by ..", "ann", list("list-type=2&prefix=a%2F..%2F")},
		{"extension .exe", "ann", put("/proof/a/k.exe")},
		{"extension .EXE", "ann", put("/proof/a/k.EXE")},
		{"extension .txt.exe", "ann", put("/proof/a/k.txt.exe")},
		{"extension with a dot behind it", "ann", put("/proof/a/k.txt.")},
		{"extension with a space behind it", "ann", put("/proof/a/k.txt%20")},
		{"extension with a slash behind it", "ann", put("/proof/a/k.txt/")},
		{"extension with a newline behind it", "ann", put("/proof/a/k.txt%0A")},
		{"extension behind an encoded dot", "ann", put("/proof/a/k%2eexe")},
		{"extension with a Cyrillic letter", "ann", put("/proof/a/k.t%D1%85t")},
		{"extension in full width", "ann", put("/proof/a/k.%EF%BD%94%EF%BD%98%EF%BD%94")},
		{"extension with a combining mark (NFD)", "ann", put("/proof/a/k.txt%CC%81")},
		{"extension behind a full-width dot", "ann", put("/proof/a/k%EF%BC%8Etxt")},
		{"extension with a zero-width space", "ann", put("/proof/a/k.tx%E2%80%8Bt")},
		{"extension and no name", "ann", put("/proof/a/.txt")},
		{"no extension", "ann", put("/proof/a/k")},
		{"a forbidden extension deleted", "ann", del("/proof/a/k.exe")},
		{"a forbidden extension begun as a multipart upload", "ann", ask{method: "POST", path: "/proof/a/k.exe", query: "uploads"}},
		{"a forbidden extension as a part", "ann", ask{method: "PUT", path: "/proof/a/k.exe", query: "partNumber=1&uploadId=u", body: "x"}},
		{"a forbidden extension completed", "ann", ask{method: "POST", path: "/proof/a/k.exe", query: "uploadId=u", body: "<x/>"}},
		{"a forbidden extension tagged", "ann", ask{method: "PUT", path: "/proof/a/k.exe", query: "tagging", body: "<x/>"}},
		{"copy from another bucket", "ann", copyTo("/proof/a/k.txt", "", "/private/x")},
		{"copy from another bucket, encoded", "ann", copyTo("/proof/a/k.txt", "", "private%2Fx")},
		{"copy from beside the prefix", "ann", copyTo("/proof/a/k.txt", "", "/proof/b/k.txt")},
		{"copy to a forbidden extension", "ann", copyTo("/proof/a/k.exe", "", "/proof/a/k.txt")},
		{"copy a part from another bucket", "ann", copyTo("/proof/a/k.txt", "partNumber=1&uploadId=u", "/private/x")},
		{"copy without the scope read", "writer", copyTo("/proof/a/k.txt", "", "/proof/b/k.txt")},
		{"copy without the scope write", "reader", copyTo("/proof/a/k.txt", "", "/proof/b/k.txt")},
		{"write without the scope", "reader", put("/proof/a/k.txt")},
		{"delete without the scope", "reader", del("/proof/a/k.txt")},
		{"make a bucket without the scope", "reader", ask{method: "PUT", path: "/squatted"}},
		{"begin an upload without the scope", "reader", ask{method: "POST", path: "/proof/a/k.txt", query: "uploads"}},
		{"batch delete without the scope", "reader", ask{method: "POST", path: "/proof", query: "delete", body: "<Delete/>"}},
		{"read without the scope", "writer", get("/proof/a/k.txt")},
		{"head without the scope", "writer", ask{method: "HEAD", path: "/proof/a/k.txt"}},
		{"list without the scope", "writer", list("list-type=2")},
		{"list buckets without the scope", "writer", get("/")},
		{"anything without a scope", "nothing", get("/")},
		{"change a bucket's policy without the role", "writer", ask{method: "PUT", path: "/proof", query: "policy", body: "{}"}},
		{"ask for a session", "reader", ask{method: "GET", path: "/proof", query: "session"}},
		{"a sub-resource of tomorrow", "reader", ask{method: "GET", path: "/proof/a/k.txt", query: "renameObject"}},
		{"a user who was shut out", "off", put("/proof/a/k.txt")},
		{"a user who was shut out, reading", "off", get("/proof/a/k.txt")},
		{"from an address that is not the user's", "elsewhere", put("/proof/a/k.txt")},
		{"from an address that is not the user's, reading", "elsewhere", get("/proof/a/k.txt")},
		{"a reserved key", "boss", put("/proof/.s3mirror/x")},
		{"a reserved key by //", "boss", put("/proof//.s3mirror/x")},
	} {
		answers := s.everyDoor(t, s.who[tc.login], tc.ask)
		for _, name := range slices.Sorted(maps.Keys(answers)) {
			a, want := answers[name], []string{"403 AccessDenied"}
			if tc.ask.method == "HEAD" {
				want = []string{"403"}
			}
			switch { // being shut out ended the session
			case name == adminDoor && tc.login == "off":
				want = []string{"401"}
			case name == adminDoor:
				want = []string{"403"}
			case name == "bearer" && tc.login == "off":
				want = []string{"401 Unauthorized"}
			case name == "temporary key" && tc.login == "off":
				want = []string{"400 InvalidToken"}
				if tc.ask.method == "HEAD" {
					want = []string{"400"}
				}
			}
			s.refused(t, "limits, by "+name, tc.attack, a.String(), want...)
		}
	}

	// The same users may do what they may, through every door, or a refusal proves
	// nothing.
	for _, tc := range []struct {
		login string
		ask   ask
	}{
		{"ann", put("/proof/a/ann.txt")}, {"ann", get("/proof/a/k.txt")}, {"ann", list("list-type=2&prefix=a%2F")}, {"ann", ask{method: "HEAD", path: "/proof"}},
		{"ann", put("/proof/a/ann.TXT")}, {"ann", del("/proof/a/none.txt")}, {"ann", get("/")},
		{"reader", get("/private")}, {"writer", put("/proof/a/writer.exe")}, {"writer", del("/proof/a/writer.exe")}, {"boss", put("/private/x")},
	} {
		for name, a := range s.everyDoor(t, s.who[tc.login], tc.ask) {
			if a.Status/100 != 2 {
				t.Errorf("%s may %s %s?%s, and by %s gets %v\n%s", tc.login, tc.ask.method, tc.ask.path, tc.ask.query, name, a, a.Body)
			}
		}
	}
	for _, key := range []string{"a/ann.txt", "a/ann.TXT"} {
		if a, err := s.g.Client.Delete(t.Context(), proofBucket, key); err != nil || a.Status != 204 {
			t.Errorf("clean up %s: %v, %v", key, a, err)
		}
	}
	if a := s.everyDoor(t, s.who["ann"], get("/"))["header"]; !bytes.Contains(a.Body, []byte("<Name>proof<")) || bytes.Contains(a.Body, []byte("private")) {
		t.Errorf("ann sees %s", a.Body)
	}
}

// addresses: only the proxy's word counts, and of that the last hop.
func (s *security) addresses(t *testing.T) {
	for _, tc := range []struct {
		attack, login string
		header        wire.Field
	}{
		{"X-Forwarded-For names an allowed address before the real one", "elsewhere", wire.Field{Name: "X-Forwarded-For", Value: "10.1.1.1, 192.0.2.7"}},
		{"X-Forwarded-For in two headers", "elsewhere", wire.Field{Name: "x-forwarded-for", Value: "10.1.1.1,192.0.2.7"}},
		{"Forwarded", "elsewhere", wire.Field{Name: "Forwarded", Value: "for=10.1.1.1"}},
		{"X-Real-IP", "elsewhere", wire.Field{Name: "X-Real-IP", Value: "10.1.1.1"}},
		{"True-Client-IP", "elsewhere", wire.Field{Name: "True-Client-IP", Value: "10.1.1.1"}},
		{"garbage before the real address", "elsewhere", wire.Field{Name: "X-Forwarded-For", Value: "10.1.1.1, what, 192.0.2.7"}},
		{"IPv4 as IPv6, not allowed", "elsewhere", wire.Field{Name: "X-Forwarded-For", Value: "::ffff:192.0.2.7"}},
		{"IPv4-compatible IPv6", "elsewhere", wire.Field{Name: "X-Forwarded-For", Value: "::10.1.1.1"}},
		{"an IPv6 of another network", "elsewhere", wire.Field{Name: "X-Forwarded-For", Value: "2001:db9::1"}},
		{"a zone", "elsewhere", wire.Field{Name: "X-Forwarded-For", Value: "fe80::1%10.1.1.1"}},
		{"the loopback of another host", "ann", wire.Field{Name: "X-Forwarded-For", Value: "127.0.0.1, 192.0.2.7"}},
	} {
		a := ask{method: "PUT", path: "/proof/a/k.txt", body: "forged", header: []wire.Field{tc.header}}
		for name, answer := range s.everyDoor(t, s.who[tc.login], a) {
			s.refused(t, "address, by "+name, tc.attack, answer.String(), "403 AccessDenied")
		}
	}
	for _, from := range []string{"10.1.1.1", "1.2.3.4, 10.1.1.1", "::ffff:10.1.1.1", "2001:db8::7", "[2001:db8::7]:4711", "10.1.1.1:80", "10.1.1.1, 127.0.0.9"} {
		a := ask{method: "GET", path: "/proof/a/k.txt", header: []wire.Field{{Name: "X-Forwarded-For", Value: from}}}
		for name, answer := range s.everyDoor(t, s.who["elsewhere"], a) {
			if answer.Status != 200 {
				t.Errorf("from %s by %s: %v", from, name, answer)
			}
		}
	}
}

// tokens: every forgery of a token, on both ports.
func (s *security) tokens(t *testing.T) {
	p := s.who["boss"]
	parts := strings.Split(p.access, ".")
	part := func(i int) string {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	head, claims := part(0), part(1)
	b64 := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	var set struct{ Keys []struct{ X, Kid string } }
	_, jwks := s.admin(t, "", "GET", "/.well-known/jwks.json", "")
	decode(t, jwks, &set)
	public, err := base64.RawURLEncoding.DecodeString(set.Keys[0].X)
	if err != nil {
		t.Fatal(err)
	}
	kid := set.Keys[0].Kid
	hs256 := func(key []byte) string {
		text := b64(`{"alg":"HS256","kid":"`+kid+`","typ":"at+jwt"}`) + "." + parts[1]
		return text + "." + base64.RawURLEncoding.EncodeToString(hmacSHA256(key, text))
	}
	other := strings.Split(s.who["reader"].access, ".")
	for _, tc := range []struct{ attack, token string }{
		{"alg none", b64(`{"alg":"none","kid":"`+kid+`","typ":"at+jwt"}`) + "." + parts[1] + "."},
		{"alg NoNe", b64(`{"alg":"NoNe","kid":"`+kid+`","typ":"at+jwt"}`) + "." + parts[1] + "."},
		{"alg none, with the signature", b64(strings.Replace(head, "EdDSA", "none", 1)) + "." + parts[1] + "." + parts[2]},
		{"HS256 with the public key", hs256(public)},
		{"HS256 with the JWKS", hs256([]byte(jwks))},
		{"HS256 with nothing", hs256(nil)},
		{"kid is a path", b64(strings.Replace(head, kid, "../../dev/null", 1)) + "." + parts[1] + "." + parts[2]},
		{"kid is SQL", b64(strings.Replace(head, kid, "x' OR 1=1 --", 1)) + "." + parts[1] + "." + parts[2]},
		{"kid is a URL", b64(strings.Replace(head, kid, "http://127.0.0.1/", 1)) + "." + parts[1] + "." + parts[2]},
		{"jku in the header", b64(strings.Replace(head, "{", `{"jku":"http://127.0.0.1/",`, 1)) + "." + parts[1] + "." + parts[2]},
		{"jwk in the header", b64(strings.Replace(head, "{", `{"jwk":{"kty":"OKP"},`, 1)) + "." + parts[1] + "." + parts[2]},
		{"x5u in the header", b64(strings.Replace(head, "{", `{"x5u":"http://127.0.0.1/",`, 1)) + "." + parts[1] + "." + parts[2]},
		{"crit and b64", b64(strings.Replace(head, "{", `{"b64":false,"crit":["b64"],`, 1)) + "." + parts[1] + "." + parts[2]},
		{"another subject", parts[0] + "." + b64(strings.Replace(claims, `"boss"`, `"root"`, 1)) + "." + parts[2]},
		{"a later end", parts[0] + "." + b64(strings.Replace(claims, `"exp":1`, `"exp":9`, 1)) + "." + parts[2]},
		{"another audience", parts[0] + "." + b64(strings.Replace(claims, `"aud":"s3mirror"`, `"aud":"other"`, 1)) + "." + parts[2]},
		{"the signature of another token", parts[0] + "." + parts[1] + "." + other[2]},
		{"no signature", parts[0] + "." + parts[1] + "."},
		{"two parts", parts[0] + "." + parts[1]},
		{"five parts", p.access + ".x.y"},
		{"a refresh token", p.refresh},
		{"huge", parts[0] + "." + strings.Repeat("A", 30_000) + "." + parts[2]},
		{"noise", "nonsense"},
	} {
		a := doors[3].send(s, t, person{access: tc.token}, ask{method: "PUT", path: "/proof/a/k.txt", body: "forged"})
		s.refused(t, "token, by S3 port", tc.attack, a.String(), "401 Unauthorized")
		status, _ := s.admin(t, tc.token, "GET", "/api/v1/users", "")
		s.refused(t, "token, by admin API", tc.attack, fmt.Sprint(status), "401")
	}
}

// proofs: two at once, or none.
func (s *security) proofs(t *testing.T) {
	p := s.who["boss"]
	bearer := wire.Field{Name: "Authorization", Value: "Bearer " + p.access}
	base := ask{method: "PUT", path: "/proof/a/k.txt", body: "forged"}
	send := func(change func(r *wire.Request)) string {
		r := base.request(s)
		change(&r)
		return s.exchange(t, "PUT", wire.Message{Head: r.Head(), Body: []byte(base.body)}).String()
	}
	sign := func(r *wire.Request) { p.keys.Sign(r, wire.Hash([]byte(base.body)), time.Now()) }
	s.refused(t, "proof", "none", send(func(*wire.Request) {}), "403 AccessDenied")
	s.refused(t, "proof", "a token and a signature", send(func(r *wire.Request) { sign(r); r.Header = append(r.Header, bearer) }), "400 InvalidRequest")
	s.refused(t, "proof", "a token and a presigned URL", send(func(r *wire.Request) { presign(r, p.keys, time.Now()); r.Header = append(r.Header, bearer) }), "400 InvalidRequest")
	s.refused(t, "proof", "two tokens", send(func(r *wire.Request) { r.Header = append(r.Header, bearer, bearer) }), "400 InvalidRequest")
	s.refused(t, "proof", "a token in the query", send(func(r *wire.Request) { r.Query = "access_token=" + p.access }), "403 AccessDenied")
	s.refused(t, "proof", "a password on the S3 port", send(func(r *wire.Request) {
		r.Header = append(r.Header, wire.Field{Name: "Authorization", Value: "Basic " + base64.StdEncoding.EncodeToString([]byte(p.login+":"+p.password))})
	}), "400 InvalidArgument")
	for _, mode := range []string{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-TOMORROW"} {
		s.refused(t, "proof", "a token with payload mode "+mode, send(func(r *wire.Request) {
			r.Header = append(r.Header, bearer, wire.Field{Name: "x-amz-content-sha256", Value: mode})
		}), "400 InvalidRequest", "400 InvalidArgument")
	}
	s.refused(t, "proof", "a token with the hash of another body", send(func(r *wire.Request) {
		r.Header = append(r.Header, bearer, wire.Field{Name: "x-amz-content-sha256", Value: wire.Hash([]byte("another"))})
	}), "400 XAmzContentSHA256Mismatch")
	s.refused(t, "proof", "a token with the MD5 of another body", send(func(r *wire.Request) {
		r.Header = append(r.Header, bearer, wire.Field{Name: "Content-MD5", Value: "1B2M2Y8AsgTpgAmY7PhCfg=="})
	}), "400 BadDigest")
	s.refused(t, "proof", "a key of root with the secret of another", send(func(r *wire.Request) {
		k := p.keys
		k.Access = s.g.Keys.Access
		k.Sign(r, wire.Hash([]byte(base.body)), time.Now())
	}), "403 SignatureDoesNotMatch")
	s.refused(t, "proof", "an access key that nobody has", send(func(r *wire.Request) {
		k := p.keys
		k.Access = "S3MRAAAAAAAAAAAAAAAA"
		k.Sign(r, wire.Hash([]byte(base.body)), time.Now())
	}), "403 InvalidAccessKeyId")
}

// sessions: what ends one ends its tokens, on connections that are open too.
func (s *security) sessions(t *testing.T) {
	for attack, end := range map[string]func(p person){
		"after a logout": func(p person) {
			if status, body := s.admin(t, p.access, "POST", "/api/v1/auth/logout", ""); status != 204 {
				t.Errorf("logout: %d %s", status, body)
			}
		},
		"after the user was shut out": func(p person) { s.cli(t, "user", "update", p.login, "--active=false") },
		"after the user was shut out and let in again": func(p person) {
			s.cli(t, "user", "update", p.login, "--active=false")
			s.cli(t, "user", "update", p.login, "--active")
		},
		"after a new password": func(p person) {
			file := filepath.Join(t.TempDir(), "p")
			if err := os.WriteFile(file, []byte("another password"), 0o600); err != nil {
				t.Fatal(err)
			}
			s.cli(t, "user", "password", p.login, "--password-file", file)
		},
		"after the user was deleted": func(p person) { s.cli(t, "user", "delete", p.login) },
		"after a refresh token was used twice": func(p person) {
			for range 2 {
				s.admin(t, "", "POST", "/api/v1/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, p.refresh))
			}
		},
	} {
		login := "session-" + strings.ReplaceAll(attack[6:10], " ", "") + fmt.Sprint(len(attack))
		s.person(t, login)
		p := s.who[login]
		client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
		reused := 0
		put := func() (int, error) {
			trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
				if i.Reused {
					reused++
				}
			}}
			req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", "http://"+s.g.S3Addr+"/proof/a/k.txt", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+p.access)
			resp, err := client.Do(req)
			if err != nil {
				return 0, err
			}
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)
			return resp.StatusCode, err
		}
		if status, err := put(); err != nil || status != 200 {
			t.Fatalf("%s: before %d, %v", attack, status, err)
		}
		end(p)
		harness.Eventually(t, attack+" the token ends", func() error {
			if status, err := put(); err != nil || status != 401 {
				return fmt.Errorf("answered %d, %v", status, err)
			}
			return nil
		})
		if reused == 0 {
			t.Errorf("%s: not on the open connection", attack)
		}
		client.CloseIdleConnections()
		a := doors[3].send(s, t, p, ask{method: "PUT", path: "/proof/a/k.txt", body: "forged"})
		s.refused(t, "session", "a token "+attack, a.String(), "401 Unauthorized")
		status, _ := s.admin(t, "", "POST", "/api/v1/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, p.refresh))
		s.refused(t, "session", "a refresh token "+attack, fmt.Sprint(status), "401")
	}
}

// keys that were taken, have expired, or whose user is gone.
func (s *security) keys(t *testing.T) {
	put := ask{method: "PUT", path: "/proof/a/k.txt", body: "forged"}
	for attack, end := range map[string]func(p person){
		"a key that was deleted":      func(p person) { s.cli(t, "key", "delete", p.login, p.keys.Access) },
		"a key of a user who is gone": func(p person) { s.cli(t, "user", "delete", p.login) },
		"a key of a user who was made anew": func(p person) {
			s.cli(t, "user", "delete", p.login)
			s.cli(t, "user", "create", p.login)
		},
	} {
		login := "key" + fmt.Sprint(len(attack))
		s.person(t, login)
		p := s.who[login]
		if a := doors[0].send(s, t, p, ask{method: "GET", path: "/proof/a/k.txt"}); a.Status != 200 {
			t.Errorf("%s, before: %v", attack, a)
		}
		end(p)
		for _, name := range []int{0, 2} {
			s.refused(t, "key, by "+doors[name].name, attack, doors[name].send(s, t, p, put).String(), "403 InvalidAccessKeyId")
		}
	}
	var key struct {
		ID     string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
	}
	decode(t, s.cli(t, "key", "create", "boss", "--expires", time.Now().Add(2*time.Second).UTC().Format(time.RFC3339), "--output", "json"), &key)
	s.secrets = append(s.secrets, key.Secret)
	p := person{keys: wire.Keys{Access: key.ID, Secret: key.Secret, Region: s.g.Keys.Region}}
	harness.Eventually(t, "the key expires", func() error {
		if a := doors[0].send(s, t, p, ask{method: "GET", path: "/proof/a/k.txt"}); a.Status != 403 {
			return fmt.Errorf("answered %v", a)
		}
		return nil
	})
	s.refused(t, "key, by header", "a key that has expired", doors[0].send(s, t, p, put).String(), "403 InvalidAccessKeyId")
}

// logins: guesses are answered alike, and then not at all.
func (s *security) logins(t *testing.T) {
	from := func(n int) map[string]string {
		return map[string]string{"X-Forwarded-For": fmt.Sprintf("198.51.100.%d", n)}
	}
	guess := func(login string, header map[string]string) (int, string, http.Header) {
		req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+s.g.AdminAddr+"/api/v1/auth/login", strings.NewReader(fmt.Sprintf(`{"login":%q,"password":"a guess"}`, login)))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range header {
			req.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		var p struct{ Type, Title, Detail string }
		decode(t, string(body), &p)
		return resp.StatusCode, p.Type + p.Title + p.Detail, resp.Header
	}
	texts := map[string]bool{}
	for i, login := range []string{"ann", "off", "nobody", "root", "elsewhere"} {
		for range 5 {
			status, text, _ := guess(login, from(10+i))
			texts[text] = true
			s.refused(t, "login", "a wrong password for "+login, fmt.Sprint(status), "401")
		}
		status, _, header := guess(login, from(10+i))
		s.refused(t, "login", "a sixth guess for "+login, fmt.Sprint(status), "429")
		if header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
	}
	if len(texts) != 1 {
		t.Errorf("guesses are answered differently: %q", slices.Collect(maps.Keys(texts)))
	}
	if out := s.cli(t, "user", "list"); !strings.Contains(out, "locked out") {
		t.Errorf("nobody is shown as locked out:\n%s", out)
	}
}

// adminAPI: what a user may not do there.
func (s *security) adminAPI(t *testing.T) {
	p := s.logIn(t, s.who["reader"])
	for _, tc := range []struct{ attack, method, path, body, want string }{
		{"give himself a role", "PATCH", "/api/v1/users/reader", `{"role":"admin"}`, "403"},
		{"give himself a scope", "PATCH", "/api/v1/users/reader", `{"scopes":["read","write"]}`, "403"},
		{"lift his limits", "PATCH", "/api/v1/users/reader", `{"allowed_ips":[]}`, "403"},
		{"set a password without the present one", "PATCH", "/api/v1/users/reader", `{"password":"taken over!"}`, "400"},
		{"set a password with a guess", "PATCH", "/api/v1/users/reader", `{"password":"taken over!","current_password":"a guess"}`, "403"},
		{"set another's password", "PATCH", "/api/v1/users/ann", `{"password":"taken over!"}`, "403"},
		{"make himself a key of another", "POST", "/api/v1/users/boss/keys", "", "403"},
		{"look at another's keys", "GET", "/api/v1/users/boss/keys", "", "403"},
		{"look whether there is a user", "GET", "/api/v1/users/nobody", "", "403"},
		{"list the users", "GET", "/api/v1/users", "", "403"},
		{"make a user", "POST", "/api/v1/users", `{"login":"x"}`, "403"},
		{"delete a user", "DELETE", "/api/v1/users/ann", "", "403"},
		{"read the history", "GET", "/api/v1/history", "", "403"},
		{"read the status", "GET", "/api/v1/status", "", "403"},
		{"a login that is a path", "GET", "/api/v1/users/..%2f..%2froot", "", "403"},
	} {
		for _, proof := range []struct{ name, token string }{{"token", p.access}, {"password", p.login + ":" + p.password}} {
			if proof.name == "password" && tc.attack == "set a password without the present one" {
				continue // the password is the proof
			}
			if proof.name == "password" && tc.attack == "set a password with a guess" {
				continue
			}
			status, body := s.admin(t, proof.token, tc.method, tc.path, tc.body)
			s.answers.WriteString(body)
			s.refused(t, "admin API, by "+proof.name, tc.attack, fmt.Sprint(status), tc.want)
		}
	}
	for _, tc := range []struct{ attack, method, path, body, want string }{
		{"a mistyped limit", "POST", "/api/v1/users", `{"login":"typo","allowed_ip":["10.0.0.0/8"]}`, "400"},
		{"a limit given twice", "POST", "/api/v1/users", `{"login":"typo","scopes":[],"scopes":["read"]}`, "400"},
		{"the login of root", "POST", "/api/v1/users", `{"login":"root"}`, "400"},
		{"a login that looks like another", "POST", "/api/v1/users", `{"login":"b\u043ess"}`, "400"},
		{"shut root out", "PATCH", "/api/v1/users/root", `{"active":false}`, "409"},
	} {
		status, body := s.admin(t, s.who["boss"].access, tc.method, tc.path, tc.body)
		s.answers.WriteString(body)
		s.refused(t, "admin API, by an administrator", tc.attack, fmt.Sprint(status), tc.want)
	}
}

// untouched wants every replica to hold what it held before, and nothing else.
func (s *security) untouched(t *testing.T) {
	t.Helper()
	s.g.Converge(t)
	after := harness.RequireEqual(t, s.g, proofBucket, s.backends...)
	for key, was := range s.before {
		if now, ok := after[key]; !ok || now.Sum != was.Sum || now.ETag != was.ETag {
			t.Errorf("%q was touched", key)
		}
	}
	if len(after) != len(s.before) {
		t.Errorf("there are %q, and were %q", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(s.before)))
	}
	for _, b := range s.backends {
		if a, err := b.Client.Do(t.Context(), "HEAD", "squatted", "", "", nil); err != nil || a.Status != 404 {
			t.Errorf("%s has a bucket that nobody may have made: %v, %v", b.Name, a, err)
		}
	}
}

// audit: each refusal on S3 stands in the log with its request id, and the
// history has refusals and changes.
func (s *security) audit(t *testing.T) {
	noted := map[string]bool{}
	for line := range strings.Lines(s.g.Process().Output()) {
		var e struct {
			Msg     string `json:"msg"`
			Request string `json:"request_id"`
			Result  string `json:"result"`
			Client  string `json:"client"`
		}
		if json.Unmarshal([]byte(line), &e) == nil && e.Msg == "audit" && e.Client != "" {
			noted[e.Request] = noted[e.Request] || e.Result == "refused"
		}
	}
	missing := 0
	for _, id := range s.ids {
		if !noted[id] {
			missing++
		}
	}
	if missing > 0 {
		t.Errorf("of %d refusals on S3 %d are not in the audit", len(s.ids), missing)
	}
	floor(t, "refusals in the audit", int64(len(noted)), 150)
	var page struct {
		Events []struct{ Op, Actor, Result, Detail, Client string }
	}
	harness.Eventually(t, "the history has refusals and changes", func() error {
		decode(t, s.cli(t, "history", "--limit", "100000", "--output", "json"), &page)
		found := map[string]bool{}
		for _, e := range page.Events {
			if e.Client != "" {
				found[e.Op+" "+e.Result] = true
			}
		}
		for _, want := range []string{"PutObject refused", "createUser done", "updateUser done", "deleteKey done", "login refused", "refresh refused"} {
			if !found[want] {
				return errors.New(want + " is missing")
			}
		}
		return nil
	})
}

// leaks: nothing that was secret in this run stands in what the server said.
func (s *security) leaks(t *testing.T) {
	_, metrics := s.admin(t, "", "GET", "/metrics", "")
	said := map[string]string{
		"the log, at level debug": s.g.Process().Output(), "metrics": metrics, "answers": s.answers.String(),
		"the history": s.cli(t, "history", "--limit", "100000", "--output", "json"), "the list of users": s.cli(t, "user", "list", "--output", "json"),
		"status": s.cli(t, "status", "--output", "json"),
	}
	for _, b := range s.backends {
		s.secrets = append(s.secrets, b.Keys.Secret)
	}
	for what, text := range said {
		if len(text) < 20 {
			t.Errorf("%s is %q", what, text)
		}
		for _, secret := range s.secrets {
			if len(secret) < 8 {
				t.Errorf("secret %q is too short to look for", secret)
			}
			if strings.Contains(text, secret) {
				t.Errorf("%s holds the secret %s", what, secret)
			}
		}
		if strings.Contains(text, "$argon2id$") {
			t.Errorf("%s holds a password's hash", what)
		}
	}
	err := filepath.WalkDir(s.g.DataDir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, secret := range s.secrets {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s holds the secret %s", path, secret)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	floor(t, "secrets looked for", int64(len(s.secrets)), 40)
}

// document compares docs/security.md with what was tried.
func (s *security) document(t *testing.T) {
	t.Helper()
	if t.Failed() {
		return
	}
	var lines []string
	for line, by := range s.table {
		slices.Sort(by)
		lines = append(lines, fmt.Sprintf("| %s | %s | %s | %s |", line[0], line[1], strings.Join(by, ", "), line[2]))
	}
	slices.Sort(lines)
	text := `# Security cases

Each line is an attack that ` + "`make e2e`" + ` makes on the built binary over three S3 servers, and what it is answered.
Afterwards every replica is what it was, each refusal on S3 is in the audit with its request id, and no secret of
the run (passwords, keys, tokens) stands in the log at level debug, the metrics, the answers, the history or the
data folder. Made by ` + "`go test -tags e2e ./test/e2e -run TestSecurity -security.update`" + `.

More of docs/reliability.md 6.6 is in TestMalformedRequests, TestPresigned, TestBodies and TestProxyProtocolAndForwardedFor of the
same folder, and, for tokens that only this deployment could sign, in internal/auth.

| limit | attack | through | answer |
|---|---|---|---|
` + strings.Join(lines, "\n") + "\n"
	file := filepath.Join(harness.Root(), "docs", "security.md")
	if *updateSecurity {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	}
	if was, err := os.ReadFile(file); err != nil || string(was) != text {
		t.Errorf("docs/security.md is not what was tried (%v): run with -security.update and look at the diff", err)
	}
}
