//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// quitLimit is what the demo promises for the time from Ctrl-C to its end.
const quitLimit = 5 * time.Second

// TestDemoStory is the story of the README: a write survives an endpoint that
// is off, and the endpoint catches up.
func TestDemoStory(t *testing.T) {
	t.Parallel()
	d := harness.StartDemo(t)
	if d.Said["endpoint"] != "http://"+d.S3Addr || !strings.Contains(d.Said["ui"], d.AdminAddr) || d.Said["user"] != "root" {
		t.Errorf("it says %v, and listens on %s and %s", d.Said, d.S3Addr, d.AdminAddr)
	}
	createBucket(t, d.Client, "story")
	l := newLoad(d.Client, "story", 40, 31)
	work := func(w *worker) {
		for _, k := range w.keys {
			w.put(t.Context(), k, small(w.rnd))
			w.read(t.Context(), k)
		}
	}
	l.run(4, work)()
	d.Converge(t)
	d.Switch(t, "off", "eu-2")
	l.run(4, work)()
	status := d.Status(t)
	if status.Converged {
		t.Error("status says converged while eu-2 is off and misses writes")
	}
	floor(t, "keys eu-2 misses", status.Backend("eu-2").LaggingKeys, 40)
	if code, _, _ := d.CLI(t, "status", "--wait-converged", "1s"); code != 3 {
		t.Errorf("status --wait-converged with an endpoint off: exit %d, want 3", code)
	}
	if code, _, _ := d.CLI(t, "status", "--check"); code != 3 {
		t.Errorf("status --check with an endpoint off: exit %d, want 3", code)
	}
	d.Switch(t, "on", "eu-2")
	d.Converge(t)
	if code, out, _ := d.CLI(t, "status"); code != 0 || !strings.Contains(out, "eu-2") {
		t.Errorf("status for people: exit %d\n%s", code, out)
	}
	// Only eu-2 is left to answer: it must have everything.
	d.Others(t, "off", "eu-2")
	l.run(4, func(w *worker) {
		for _, k := range w.keys {
			w.readSoon(t, k)
		}
	})()
	l.verdict(t)
	floor(t, "writes acknowledged", l.acked.Load(), 80)
	floor(t, "reads checked", l.reads.Load(), 120)
	if code, _, stderr := d.CLI(t, "demo", "off", "eu-9"); code == 0 || !strings.Contains(stderr, "eu-9") {
		t.Errorf("demo off of an unknown endpoint: exit %d, %s", code, stderr)
	}
	quits(t, d.Proc)
}

// TestDemoJSON: the same on demand for programs, and with another number of
// endpoints.
func TestDemoJSON(t *testing.T) {
	t.Parallel()
	s3, admin := harness.Addr(t), harness.Addr(t)
	bin, err := harness.Binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "demo", "--output", "json", "--backends", "5", "--dir", filepath.Join(t.TempDir(), "new"), "--s3-listen", s3, "--admin-listen", admin)
	cmd.Env = harness.CleanEnv(t)
	p := harness.Start(t, "demo", cmd)
	harness.Eventually(t, "the demo describes itself", func() error {
		for line := range strings.Lines(p.Output()) {
			var doc map[string]any
			if json.Unmarshal([]byte(line), &doc) == nil && doc["endpoint"] == "http://"+s3 {
				return nil
			}
		}
		return fmt.Errorf("no line of JSON has the endpoint:\n%s", p.Output())
	})
	quits(t, p)
}

// quits sends Ctrl-C and wants a clean end in time.
func quits(t *testing.T, p *harness.Process) {
	t.Helper()
	p.Signal(syscall.SIGINT)
	if code, err := p.Wait(quitLimit); err != nil || code != 0 {
		t.Errorf("Ctrl-C: exit %d, %v; want 0 within %v", code, err, quitLimit)
	}
}

// readSoon reads until an answer comes: breakers need a moment to notice that
// the endpoints they knew are gone.
func (w *worker) readSoon(t *testing.T, k *harness.Key) {
	for range 100 {
		before := w.readErrors.Load()
		w.read(t.Context(), k)
		if w.readErrors.Load() == before {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.blame(k, "cannot be read")
}

// oddKeys are legal keys that software gets wrong. A file system cannot hold
// all of them, the endpoints of the demo can.
func oddKeys() []string {
	return []string{
		"a b", "a+b", "a%2Fb", "a%20b", "é", "e\u0301", "!*'()", "//", "/", "a//b", "/lead", "./z", "x/../y", ".", "..", "...",
		"dir/", "dir/object", "both", "both/below", "~tilde", "semi;colon", "a&b=c?d#e", "emoji 😀", "%", "%zz", "back\\slash",
		"tab\there", "line\nbreak", "quote\"<>&", "trailing.", "trailing ", " leading", "UPPER", "upper", "$,:@=", "[]{}|^`",
		"control\x01", "del\x7f", strings.Repeat("k", 1024), strings.Repeat("é/", 341),
	}
}

// TestOddKeys writes such keys, misses some on one endpoint, and reads all of
// them from each endpoint alone.
func TestOddKeys(t *testing.T) {
	t.Parallel()
	d := harness.StartDemo(t)
	createBucket(t, d.Client, "odd")
	l := &load{client: d.Client, bucket: "odd", seed: 33}
	for _, name := range oddKeys() {
		l.keys = append(l.keys, &harness.Key{Name: name})
	}
	writeAll := func(w *worker) {
		for _, k := range w.keys {
			w.put(t.Context(), k, 100+w.rnd.IntN(2000))
			w.read(t.Context(), k)
		}
	}
	l.run(4, writeAll)()
	d.Switch(t, "off", "eu-2")
	l.run(4, func(w *worker) {
		for i, k := range w.keys {
			if i%4 == 0 {
				w.delete(t.Context(), k)
			} else {
				w.put(t.Context(), k, 100+w.rnd.IntN(2000))
			}
		}
	})()
	listsExactly(t, d.Client, l)
	d.Switch(t, "on", "eu-2")
	d.Converge(t)
	for _, alone := range d.Endpoints(t) {
		d.Others(t, "off", alone)
		l.run(4, func(w *worker) {
			for _, k := range w.keys {
				w.readSoon(t, k)
			}
		})()
		d.Others(t, "on", alone)
		d.Converge(t) // all are seen to be up before the next is left alone
	}
	listsExactly(t, d.Client, l)
	l.verdict(t)
	floor(t, "odd keys", int64(len(l.keys)), 40)
	floor(t, "reads from each endpoint alone", l.reads.Load()-int64(len(l.keys)), int64(3*len(l.keys)))

	tooLong, err := d.Client.Put(t.Context(), "odd", strings.Repeat("k", 1025), wire.Literal, []byte("x"))
	if err != nil || tooLong.String() != "400 KeyTooLongError" {
		t.Errorf("a key of 1,025 bytes: %v, %v", tooLong, err)
	}
	for _, method := range []string{"PUT", "GET", "HEAD", "DELETE"} {
		a, err := d.Client.Do(t.Context(), method, "odd", ".s3mirror/identity", "", nil)
		if err != nil || a.Status != http.StatusForbidden {
			t.Errorf("%s of a reserved key: %v, %v", method, a, err)
		}
	}
	s := site{scheme: "http", addr: d.S3Addr, keys: d.Keys}
	t.Run("boto3", func(t *testing.T) {
		// Its HTTP library cleans dot segments away before it sends a path.
		boto3With(t, s, "odd-boto3", slices.DeleteFunc(oddKeys(), func(k string) bool {
			return slices.Contains([]string{".", "..", "./z", "x/../y"}, k)
		}))
	})
	t.Run("curl", func(t *testing.T) {
		curlWith(t, s, "odd-curl", slices.DeleteFunc(oddKeys(), func(k string) bool {
			// XML has no place for the first, and the list is asked for plain;
			// to a URL that ends with a slash or a dot segment curl adds the name
			// of the file.
			return strings.Contains(k, "\x01") || strings.HasSuffix(k, "/") || k == "." || k == ".."
		}))
	})
	d.Converge(t)
	quits(t, d.Proc)
}

// listsExactly compares a listing by small pages with the model.
func listsExactly(t *testing.T, c *harness.Client, l *load) {
	t.Helper()
	var want []string
	for _, k := range l.keys {
		if k.Certain.Present {
			want = append(want, k.Name)
		}
	}
	slices.Sort(want)
	harness.Eventually(t, "the list is right", func() error {
		got, err := c.List(t.Context(), l.bucket, "", 5)
		if err == nil && !slices.Equal(got, want) {
			t.Fatalf("the list shows\n%q\nwant\n%q", got, want)
		}
		return err
	})
}
