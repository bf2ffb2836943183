package web

import (
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

// behind is what stands behind the console: a teapot.
var behind = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })

func ask(t *testing.T, h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPage(t *testing.T) {
	h := Over(behind)
	first, second := ask(t, h, "GET", "/"), ask(t, h, "GET", "/")
	nonce := regexp.MustCompile(`'nonce-([A-Z2-7]{26})'`)
	var nonces []string
	for _, w := range []*httptest.ResponseRecorder{first, second} {
		csp, body := w.Header().Get("Content-Security-Policy"), w.Body.String()
		found := nonce.FindStringSubmatch(csp)
		if w.Code != 200 || found == nil || !strings.Contains(body, `nonce="`+found[1]+`"`) || strings.Contains(body, placeholder) {
			t.Fatalf("%d %q\n%s", w.Code, csp, body)
		}
		nonces = append(nonces, found[1])
		for name, want := range map[string]string{
			"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin", "Content-Length": fmt.Sprint(len(body)),
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
	if nonces[0] == nonces[1] {
		t.Error("two pages share a nonce")
	}
	if w := ask(t, h, "HEAD", "/"); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD: %d, %d bytes", w.Code, w.Body.Len())
	}
}

// TestPolicy: no script of the page's own, no server but this one, no frame.
func TestPolicy(t *testing.T) {
	csp := ask(t, Over(behind), "GET", "/").Header().Get("Content-Security-Policy")
	directives := map[string]string{}
	for d := range strings.SplitSeq(csp, "; ") {
		name, value, _ := strings.Cut(d, " ")
		directives[name] = value
	}
	for name, want := range map[string]string{
		"default-src": "'none'", "script-src": "'self'", "connect-src": "'self'", "font-src": "'self'",
		"frame-ancestors": "'none'", "base-uri": "'none'", "form-action": "'none'",
	} {
		if directives[name] != want {
			t.Errorf("%s %s, want %s", name, directives[name], want)
		}
	}
	for _, word := range []string{"unsafe", "http:", "https:", "*"} {
		if strings.Contains(csp, word) {
			t.Errorf("%s in %s", word, csp)
		}
	}
	body := ask(t, Over(behind), "GET", "/").Body.String()
	if regexp.MustCompile(`<script[^>]*>[^<]`).MatchString(body) || strings.Contains(body, "<style") || strings.Contains(body, "style=") {
		t.Errorf("inline script or style:\n%s", body)
	}
}

// TestAssets asks for everything that is embedded, by the name that a page uses.
func TestAssets(t *testing.T) {
	h := Over(behind)
	seen := 0
	err := fs.WalkDir(dist, "dist/assets", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(file, ".br") {
			return err
		}
		seen++
		kept, err := fs.ReadFile(dist, file)
		if err != nil {
			return err
		}
		name := "/" + strings.TrimSuffix(strings.TrimPrefix(file, "dist/"), ".gz")
		if strings.HasSuffix(file, ".gz") {
			checkForms(t, h, name, kept)
		} else if w := ask(t, h, "GET", name, "Accept-Encoding", "br, gzip"); w.Body.String() != string(kept) || w.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s is another one", name)
		}
		if w := ask(t, h, "GET", name); w.Header().Get("Content-Type") == "application/octet-stream" ||
			w.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" || w.Header().Get("Vary") != "Accept-Encoding" ||
			w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", name, w.Header())
		}
		return nil
	})
	if err != nil || seen < 4 {
		t.Errorf("%d assets, %v", seen, err)
	}
}

func checkForms(t *testing.T, h http.Handler, name string, packed []byte) {
	t.Helper()
	unpack, err := gzip.NewReader(strings.NewReader(string(packed)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unpack)
	if err != nil {
		t.Fatal(err)
	}
	for accept, want := range map[string]string{
		"": "", "identity": "", "gzip": "gzip", "gzip, deflate": "gzip", "gzip, deflate, br, zstd": "br", "br": "br", "*": "br",
		"br;q=0, gzip;q=0.5": "gzip", "br;q=0,*": "gzip", "gzip;q=0, br;q=0.000": "", "*;q=0": "", "GZIP": "gzip", "deflate": "",
	} {
		var header []string
		if accept != "" {
			header = []string{"Accept-Encoding", accept}
		}
		w := ask(t, h, "GET", name, header...)
		if got := w.Header().Get("Content-Encoding"); w.Code != 200 || got != want {
			t.Errorf("%s with %q: %d %q, want %q", name, accept, w.Code, got, want)
		}
		body := w.Body.String()
		if want == "gzip" && body != string(packed) || want == "" && body != string(text) {
			t.Errorf("%s with %q: %d bytes", name, accept, len(body))
		}
		if length := w.Header().Get("Content-Length"); want != "" && length != fmt.Sprint(len(body)) || want == "" && length != "" {
			t.Errorf("%s with %q: Content-Length %q of %d", name, accept, length, len(body))
		}
		if head := ask(t, h, "HEAD", name, header...); head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Encoding") != want {
			t.Errorf("HEAD %s with %q: %d", name, accept, head.Code)
		}
	}
}

// TestPageNamesWhatThereIs: everything that the page loads is served, from where
// the page is: it may stand below any path.
func TestPageNamesWhatThereIs(t *testing.T) {
	h := Over(behind)
	page := ask(t, h, "GET", "/").Body.String()
	names := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(names) < 3 {
		t.Fatalf("the page loads %q", names)
	}
	for _, n := range names {
		rest, ok := strings.CutPrefix(n[1], "./")
		if w := ask(t, h, "GET", "/"+rest); !ok || w.Code != 200 {
			t.Errorf("%s: %d", n[1], w.Code)
		}
	}
}

func TestOnlyItsOwn(t *testing.T) {
	h := Over(behind)
	for _, tc := range []struct {
		method, target string
		want           int
	}{
		{"GET", "/api/v1/status", 418}, {"GET", "/healthz", 418}, {"GET", "/index.html", 418}, {"GET", "/assets", 418},
		{"POST", "/", 418}, {"PUT", "/assets/x.js", 418}, {"OPTIONS", "/", 418}, {"GET", "/web.go", 418},
		{"GET", "/assets/", 404}, {"GET", "/assets/none.js", 404}, {"GET", "/assets/../index.html", 404}, {"GET", "/assets/%2e%2e/index.html", 404},
		{"GET", "/assets//", 404}, {"GET", "/assets/a%00b", 404},
	} {
		w := ask(t, h, tc.method, tc.target)
		if w.Code != tc.want {
			t.Errorf("%s %s: %d, want %d", tc.method, tc.target, w.Code, tc.want)
		}
		if w.Code == 404 && w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", tc.target, w.Header())
		}
	}
	entries, err := fs.ReadDir(dist, "dist/assets")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if ending := path.Ext(e.Name()); ending == ".br" || ending == ".gz" {
			if w := ask(t, h, "GET", "/assets/"+e.Name()); w.Code != 404 {
				t.Errorf("a form is a file: %s", e.Name())
			}
		}
	}
}

// TestBrokenBuild: what scripts/web.sh cannot have made is found at the start, or
// answered as not there.
func TestBrokenBuild(t *testing.T) {
	if _, err := over(fstest.MapFS{}, behind); err == nil {
		t.Error("no page")
	}
	if _, err := over(fstest.MapFS{"index.html": {Data: []byte("<html>")}}, behind); err == nil {
		t.Error("no place for a nonce")
	}
	c, err := over(fstest.MapFS{"index.html": {Data: []byte(placeholder)}, "assets/x.js.gz": {Data: []byte("not gzip")}, "assets/y.bin": {Data: []byte("y")}}, behind)
	if err != nil {
		t.Fatal(err)
	}
	if w := ask(t, c, "GET", "/assets/x.js"); w.Code != 404 {
		t.Errorf("a broken form: %d", w.Code)
	}
	if w := ask(t, c, "GET", "/assets/y.bin"); w.Code != 200 || w.Header().Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}
