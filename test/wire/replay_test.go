package wire

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/s3"
)

var update = flag.Bool("update", false, "capture the clients anew and rewrite the goldens")

// A cut says how many bytes of a request come next.
type cut func(rest []byte) int

// cuts are the ways in which a request can arrive. What it means must not
// depend on that.
var cuts = []struct {
	name  string
	short bool // with -short too
	make  func() cut
}{
	{"whole", true, func() cut { return func(rest []byte) int { return len(rest) } }},
	{"lines", true, func() cut { return atLines(0) }},
	{"before the end of lines", false, func() cut { return atLines(1) }},
	{"in the end of lines", false, func() cut { return atLines(-1) }},
	{"single bytes of the head", false, headBytes},
	{"pieces 1", true, func() cut { return pieces(1) }},
	{"pieces 2", false, func() cut { return pieces(2) }},
}

// atLines cuts so many bytes before the start of a line, while there are short
// lines.
func atLines(before int) cut {
	return func(rest []byte) int {
		i := bytes.Index(rest[1:], []byte("\r\n"))
		if i < 0 {
			return len(rest)
		}
		return max(1, min(len(rest), i+3-2*before))
	}
}

func headBytes() cut {
	inHead := true
	var last [4]byte
	rng := rand.New(rand.NewPCG(3, 3))
	return func(rest []byte) int {
		if inHead {
			copy(last[:], last[1:])
			last[3] = rest[0]
			inHead = string(last[:]) != "\r\n\r\n"
			return 1
		}
		return 1 + rng.IntN(1000)
	}
}

func pieces(seed uint64) cut {
	rng := rand.New(rand.NewPCG(seed, 4))
	return func([]byte) int { return 1 + rng.IntN(1<<(1+rng.IntN(14))) }
}

// TestReplay feeds every captured session to a gateway of its own, once for
// each way to cut it, and compares what comes of it with the goldens.
func TestReplay(t *testing.T) {
	sessions, err := filepath.Glob("testdata/*/*")
	if err != nil || len(sessions) < 10 {
		t.Fatalf("%d sessions, %v: five clients over http and https are wanted", len(sessions), err)
	}
	for _, dir := range sessions {
		files, err := filepath.Glob(filepath.Join(dir, "*.http"))
		if err != nil || len(files) < 8 {
			t.Fatalf("%s: %d requests, %v", dir, len(files), err)
		}
		for _, c := range cuts {
			if testing.Short() && !c.short {
				continue
			}
			t.Run(filepath.ToSlash(dir)+"/"+c.name, func(t *testing.T) {
				s := newStation(t)
				l := newPipes()
				s.serve(t, l, nil)
				for _, file := range files {
					raw, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					compare(t, strings.TrimSuffix(file, ".http")+".golden", s.replay(t, l, raw, c.make()))
				}
			})
		}
	}
}

func compare(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n--- got\n%s--- want\n%s", file, got, want)
	}
}

// replay sends one captured request, cut, and tells what came of it.
func (s *station) replay(t *testing.T, l *pipes, raw []byte, next cut) string {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	op, err := s3.Parse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.clock.Store(signedAt(t, r).Unix())
	conn := l.dial()
	defer conn.Close()
	go func() { // the answer may come before the end of the request
		for rest := raw; len(rest) > 0; {
			n := min(len(rest), next(rest))
			if _, err := conn.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
	}()
	conn.SetDeadline(time.Now().Add(time.Minute))
	resp, err := finalAnswer(bufio.NewReader(conn), r)
	if err != nil {
		t.Fatalf("%s: %v", op.Name, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", op.Name, err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d\n", op.Name, resp.StatusCode)
	describe(&b, resp.Header, body)
	if op.Key != "" && (op.Name == s3.PutObject || op.Name == s3.DeleteObject) {
		fmt.Fprintf(&b, "stored %s\n", s.stored(t, op.Bucket, op.Key))
	}
	return b.String()
}

// finalAnswer skips "100 Continue".
func finalAnswer(br *bufio.Reader, r *http.Request) (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(br, r)
		if err != nil || resp.StatusCode != http.StatusContinue {
			return resp, err
		}
	}
}

// signedAt is the time that the client signed, in a header or in the query.
func signedAt(t *testing.T, r *http.Request) time.Time {
	t.Helper()
	value := r.Header.Get("X-Amz-Date")
	if value == "" {
		value = r.URL.Query().Get("X-Amz-Date")
	}
	at, err := time.Parse("20060102T150405Z", value)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// volatile are the parts of an answer that differ each time.
var volatile = []struct {
	re *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`<(RequestId|HostId|LastModified|CreationDate)>[^<]*<`), "<$1>*<"},
}

// changing are the headers whose values do; that they are there is compared.
var changing = []string{"Date", "Last-Modified", "X-Amz-Request-Id", "X-Amz-Id-2", "X-Amz-Replication-Status"}

func describe(b *strings.Builder, h http.Header, body []byte) {
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for n := range h {
			if !yield(n) {
				return
			}
		}
	}) {
		value := strings.Join(h[name], " | ")
		if slices.Contains(changing, name) {
			value = "*"
		}
		fmt.Fprintf(b, "%s: %s\n", name, value)
	}
	text := string(body)
	if !strings.HasPrefix(text, "<?xml") {
		fmt.Fprintf(b, "body of %d bytes, sha256 %x\n", len(body), sha256.Sum256(body))
		return
	}
	for _, v := range volatile {
		text = v.re.ReplaceAllString(text, v.by)
	}
	fmt.Fprintf(b, "%s\n", strings.TrimSpace(text))
}

// stored is what every server holds under the key; all must hold the same.
func (s *station) stored(t *testing.T, bucket, key string) string {
	t.Helper()
	held := map[string]bool{}
	for _, remote := range s.remotes {
		obj, err := remote.Get(t.Context(), bucket, key, backend.GetOptions{})
		if errors.Is(err, s3.NoSuchKey) {
			held["nothing"] = true
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(obj.Body)
		obj.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		held[fmt.Sprintf("%d bytes, sha256 %x", len(data), sha256.Sum256(data))] = true
	}
	var all []string
	for h := range held {
		all = append(all, h)
	}
	slices.Sort(all)
	return strings.Join(all, " and elsewhere ")
}

// pipes is a listener whose connections are pipes in memory: what is written
// in pieces arrives in those pieces.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { close(p.done); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// TestCapturesAreClean: nothing of the machine that captured them.
func TestCapturesAreClean(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*/*.http")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d captures, %v", len(files), err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
		if !regexp.MustCompile(`(?mi)^host: 127\.0\.0\.1:\d+\r$`).Match(append(head, '\r')) {
			t.Errorf("%s: another host than loopback", file)
		}
		for _, word := range []string{"/home/", "/root/", "/tmp/", "/work", "/usr/", " " + host} {
			if bytes.Contains(head, []byte(word)) {
				t.Errorf("%s names %q", file, word)
			}
		}
	}
}
