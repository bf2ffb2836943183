package web

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// dist is what scripts/web.sh built: index.html, and below assets files whose
// names change with their content. Of a text both compressed forms are kept and
// not the text itself.
//
//go:embed all:dist
var dist embed.FS

// placeholder stands in index.html where the nonce of a page belongs.
const placeholder = "__NONCE__"

// policy is the Content-Security-Policy of the page, whose styles of its own
// (those of the component library) bear the nonce.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-%s'; img-src 'self' data: blob:; " +
	"font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// console serves the files and hands on what is none of them.
type console struct {
	files fs.FS
	page  []byte
	next  http.Handler
}

// Over answers GET and HEAD of the page, at /, and of its files, below /assets/.
// Everything else is for next.
func Over(next http.Handler) http.Handler {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	c, err := over(files, next)
	if err != nil {
		panic(err)
	}
	return c
}

func over(files fs.FS, next http.Handler) (*console, error) {
	page, err := fs.ReadFile(files, "index.html")
	if err == nil && !bytes.Contains(page, []byte(placeholder)) {
		err = errors.New("index.html has no place for a nonce")
	}
	return &console{files, page, next}, err
}

func (c *console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, asset := strings.CutPrefix(r.URL.Path, "/assets/")
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		c.next.ServeHTTP(w, r)
	case r.URL.Path == "/":
		c.servePage(w, r)
	case asset:
		c.serveAsset(w, r, name)
	default:
		c.next.ServeHTTP(w, r)
	}
}

// harden sets what every answer of the console bears.
func harden(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// servePage answers with the page, each time with a nonce of its own: it is
// small, and is the only thing that has to be asked for again.
func (c *console) servePage(w http.ResponseWriter, r *http.Request) {
	nonce := rand.Text()
	page := bytes.ReplaceAll(c.page, []byte(placeholder), []byte(nonce))
	h := w.Header()
	harden(h)
	h.Set("Content-Security-Policy", fmt.Sprintf(policy, nonce))
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(page)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(page) // the client went away: nobody is left to tell
	}
}

// serveAsset answers with a file in the best form that the client takes.
func (c *console) serveAsset(w http.ResponseWriter, r *http.Request, name string) {
	h := w.Header()
	harden(h)
	file, coding, err := c.open(path.Join("assets", path.Clean("/"+name)), r.Header)
	if err != nil {
		h.Set("Cache-Control", "no-store") // it may be of the version that a balancer asks next
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	defer func() { _ = file.Close() }() // embedded: it cannot fail
	h.Set("Content-Type", typeOf(name))
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	if coding != "" {
		h.Set("Content-Encoding", coding)
	}
	if info, err := file.Stat(); err == nil && info.Size() >= 0 {
		h.Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	}
	if r.Method == http.MethodGet {
		_, _ = io.Copy(w, file) // the client went away: nobody is left to tell
	}
}

// open finds a file and how it is coded; "" is as it is. The caller closes it.
func (c *console) open(name string, h http.Header) (fs.File, string, error) {
	for _, form := range []struct{ coding, ending string }{{"br", ".br"}, {"gzip", ".gz"}} {
		if takes(h, form.coding) {
			if f, err := c.file(name + form.ending); err == nil {
				return f, form.coding, nil
			}
		}
	}
	if strings.HasSuffix(name, ".br") || strings.HasSuffix(name, ".gz") {
		return nil, "", fs.ErrNotExist // forms are not files of their own
	}
	if f, err := c.file(name); err == nil {
		return f, "", nil
	}
	f, err := c.file(name + ".gz")
	if err != nil {
		return nil, "", err
	}
	text, err := gzip.NewReader(f)
	if err != nil {
		return nil, "", errors.Join(err, f.Close())
	}
	return unpacked{f, text}, "", nil
}

func (c *console) file(name string) (fs.File, error) {
	f, err := c.files.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return nil, errors.Join(fs.ErrNotExist, err, f.Close())
	}
	return f, nil
}

// unpacked is a compressed file read as the text that it holds.
type unpacked struct {
	fs.File
	text io.Reader
}

func (u unpacked) Read(p []byte) (int, error) { return u.text.Read(p) }

// Stat has no answer: how long the text is, only reading tells.
func (u unpacked) Stat() (fs.FileInfo, error) { return nil, errors.ErrUnsupported }

// takes tells whether a client takes a content coding (RFC 9110, 12.5.3).
func takes(h http.Header, coding string) bool {
	taken := false
	for _, value := range h.Values("Accept-Encoding") {
		for item := range strings.SplitSeq(value, ",") {
			name, weight, _ := strings.Cut(strings.TrimSpace(item), ";")
			yes := !refused(weight)
			switch name = strings.ToLower(strings.TrimSpace(name)); name {
			case coding:
				return yes
			case "*":
				taken = yes
			}
		}
	}
	return taken
}

// refused tells whether a weight is zero: `q=0`, `q=0.000`.
func refused(weight string) bool {
	value, ok := strings.CutPrefix(strings.ToLower(strings.ReplaceAll(weight, " ", "")), "q=")
	q, err := strconv.ParseFloat(value, 64)
	return ok && err == nil && q == 0
}

// typeOf is by the ending, from here and not from the machine.
func typeOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	case ".md", ".txt":
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}
