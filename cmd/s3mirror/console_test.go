package main

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestConsole: it is served at the root of the admin listener and below the path
// of a proxy, where it finds its files and the API beside itself.
func TestConsole(t *testing.T) {
	cfg := testConfig(t, endpoint(t))
	cfg.Admin.Path = "/tools/s3mirror"
	r := start(t, cfg, newFakeEngine())
	script := regexp.MustCompile(`src="\./(assets/[^"]+\.js)"`)
	for _, root := range []string{r.Admin, r.Admin + "/tools/s3mirror"} {
		code, page := get(t, root+"/")
		found := script.FindStringSubmatch(page)
		if code != http.StatusOK || found == nil {
			t.Fatalf("%s/: %d %s", root, code, page)
		}
		if code, text := get(t, root+"/"+found[1]); code != http.StatusOK || len(text) < 10_000 {
			t.Errorf("%s: %d, %d bytes", found[1], code, len(text))
		}
		for path, want := range map[string]int{"/healthz": 200, "/version": 200, "/api/v1/status": 401, "/nothing": 401, "/assets/none.js": 404} {
			if code, _ := get(t, root+path); code != want {
				t.Errorf("%s%s: %d, want %d", root, path, code, want)
			}
		}
		checkSession(t, root)
	}
	if code, _ := get(t, r.Admin+"/tools/s3mirrors/healthz"); code != 401 {
		t.Errorf("another path: %d", code)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(r.Admin + "/tools/s3mirror")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusPermanentRedirect || resp.Header.Get("Location") != "/tools/s3mirror/" {
		t.Errorf("without its slash: %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	r.stop()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

// checkSession logs a browser in at a root.
func checkSession(t *testing.T, root string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, root+"/api/v1/auth/session", strings.NewReader(`{"login":"root","password":"PW"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-S3mirror-Session", "1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK || len(resp.Cookies()) != 1 || err != nil {
		t.Errorf("session at %s: %d %s %v", root, resp.StatusCode, body, err)
	}
}

func TestValidatePath(t *testing.T) {
	for path, ok := range map[string]bool{
		"": true, "/s3mirror": true, "/a/b-c/d.e~f": true, "/": false, "s3mirror": false, "/a/": false, "//a": false, "/a/../b": false,
		"/a b": false, "/%61": false, "/a?b": false, "/api": false, "/assets/x": false, "/metrics": false, "/apis": true, "/.well-known": false,
	} {
		said := 0
		validatePath("admin.path", path, func(string, string, ...any) { said++ })
		if (said == 0) != ok || said > 1 {
			t.Errorf("%q: %d complaints", path, said)
		}
	}
}
