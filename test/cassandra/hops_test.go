//go:build cassandra

package cassandra

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// testListHops reads a list page by page, each at another gateway.
func testListHops(t *testing.T, a, b *harness.Gateway) {
	ctx := t.Context()
	var want []string
	for i := range 7 {
		key := fmt.Sprint("pages/", i)
		want = append(want, key)
		if r, err := a.Client.Put(ctx, bucket, key, wire.Modes[0], []byte("x")); err != nil || r.Status != 200 {
			t.Fatalf("PUT: %v, %v", r, err)
		}
	}
	var got []string
	token, both := "", []*harness.Gateway{a, b}
	for i := 0; ; i++ {
		query := []string{"list-type", "2", "max-keys", "2", "prefix", "pages/"}
		if token != "" {
			query = append(query, "continuation-token", token)
		}
		r, err := both[i%2].Client.Do(ctx, "GET", bucket, "", wire.Query(query...), nil)
		if err != nil || r.Status != 200 {
			t.Fatalf("page %d: %v, %v", i, r, err)
		}
		var page struct {
			NextContinuationToken string
			Contents              []struct{ Key string }
		}
		if err := xml.Unmarshal(r.Body, &page); err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			got = append(got, o.Key)
		}
		if token = page.NextContinuationToken; token == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
	for _, key := range want { // the model knows nothing of them
		if r, err := b.Client.Delete(ctx, bucket, key); err != nil || r.Status != 204 {
			t.Fatalf("DELETE: %v, %v", r, err)
		}
	}
}

// testLinkHops has a link made at one gateway that the other answers, as behind a load
// balancer: both have one name.
func testLinkHops(t *testing.T, a, b *harness.Gateway) {
	there := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, b.S3Addr)
	}}}
	defer there.CloseIdleConnections()
	body := []byte("by a link")
	for _, method := range []string{"PUT", "GET"} {
		args := []string{"object", "link", bucket + "/link"}
		if method == "PUT" {
			args = append(args, "--put")
		}
		code, link, stderr := a.CLI(t, args...)
		if code != 0 {
			t.Fatalf("link: exit %d\n%s", code, stderr)
		}
		req, err := http.NewRequest(method, strings.TrimSpace(link), nil)
		if err != nil {
			t.Fatal(err)
		}
		if method == "PUT" {
			req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		resp, err := there.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || method == "GET" && !bytes.Equal(got, body) {
			t.Errorf("%s by a link of the other gateway: %s, %q, %v", method, resp.Status, got, err)
		}
	}
	if r, err := b.Client.Delete(t.Context(), bucket, "link"); err != nil || r.Status != 204 { // the model knows nothing of it
		t.Fatalf("DELETE: %v, %v", r, err)
	}
}

// testSessionHops begins a session at one gateway, refreshes it at the other, and ends it
// at the first.
func testSessionHops(t *testing.T, a, b *harness.Gateway) {
	ask := func(g *harness.Gateway, path, token, body string) (int, []byte) {
		t.Helper()
		req, err := http.NewRequest("POST", "http://"+g.AdminAddr+"/api/v1/auth/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
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
		return resp.StatusCode, answer
	}
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	must := func(status int, answer []byte) {
		t.Helper()
		if err := json.Unmarshal(answer, &tokens); status != 200 || err != nil || tokens.Access == "" || tokens.Refresh == "" {
			t.Fatalf("%d %s: %v", status, answer, err)
		}
	}
	must(ask(a, "login", "", fmt.Sprintf(`{"login":"root","password":%q}`, a.Password)))
	first := tokens
	must(ask(b, "refresh", "", fmt.Sprintf(`{"refresh_token":%q}`, first.Refresh)))
	for _, g := range []*harness.Gateway{a, b} {
		for _, token := range []string{first.Access, tokens.Access} {
			if status, answer := ask(g, "validate", token, ""); status != 200 {
				t.Errorf("a session of both: %d %s", status, answer)
			}
		}
		req, err := http.NewRequest("GET", "http://"+g.S3Addr+"/"+bucket+"?list-type=2", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+tokens.Access)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("its token on the S3 port: %s", resp.Status)
		}
	}
	if status, answer := ask(a, "logout", tokens.Access, fmt.Sprintf(`{"refresh_token":%q}`, tokens.Refresh)); status/100 != 2 {
		t.Fatalf("logout: %d %s", status, answer)
	}
	if status, answer := ask(b, "refresh", "", fmt.Sprintf(`{"refresh_token":%q}`, tokens.Refresh)); status/100 != 4 {
		t.Errorf("a session that was ended at the other gateway is refreshed: %d %s", status, answer)
	}
}

// testClocks: a gateway whose clock is two seconds off does not join; when the clocks of
// those that serve come apart, none serves until they are right again.
func testClocks(t *testing.T, backends []*harness.Backend, o harness.Options, both []*harness.Gateway) {
	program, err := harness.FailpointsBinary()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "clock")
	set := func(ahead string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(ahead), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	o.Sibling, o.DataDir, o.Program = both[0], t.TempDir(), program
	third := harness.NewGateway(t, backends, o)
	third.Env = []string{"S3MIRROR_CLOCK_FILE=" + file}
	const says = "clocks of the nodes differ"
	for _, ahead := range []string{"2s", "-2s"} {
		set(ahead)
		p := third.Launch(t)
		if code, err := p.Wait(harness.Patience); err != nil || code != 1 || !strings.Contains(p.Output(), says) {
			t.Errorf("a clock that is %s ahead: exit %d, %v\n%s", ahead, code, err, p.Output())
		}
	}
	set("0s")
	third.Start(t)
	all := append(slices.Clone(both), third)
	apart := func(want bool) {
		t.Helper()
		for i, g := range all {
			harness.Eventually(t, fmt.Sprintf("gateway %d serves: %v", i, !want), func() error {
				r, err := g.Client.Do(t.Context(), "GET", bucket, "", "list-type=2", nil)
				w, writeErr := g.Client.Put(t.Context(), bucket, "clock", wire.Modes[0], []byte("x"))
				ready := g.Ready()
				switch {
				case err != nil || writeErr != nil:
					return errors.Join(err, writeErr)
				case want && (r.Status != 503 || w.Status != 503 || ready == nil || !strings.Contains(ready.Error(), "clocks")):
					return fmt.Errorf("read %v, write %v, ready: %w", r, w, ready)
				case !want && (r.Status != 200 || w.Status != 200 || ready != nil):
					return fmt.Errorf("read %v, write %v, ready: %w", r, w, ready)
				}
				return nil
			})
		}
	}
	apart(false)
	set("2s")
	apart(true)
	set("0s")
	apart(false)
	if r, err := both[0].Client.Delete(t.Context(), bucket, "clock"); err != nil || r.Status != 204 { // the model knows nothing of it
		t.Errorf("DELETE: %v, %v", r, err)
	}
	stop(t, third)
}
