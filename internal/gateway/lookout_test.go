package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
)

// presence is what became of the sender: nothing, until a test says so.
type presence struct {
	mu    sync.Mutex // guards what follows
	user  *auth.User
	err   error
	asked int
}

func (p *presence) Present(context.Context, auth.Identity) (*auth.User, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	return p.user, p.err
}

func (p *presence) become(u *auth.User, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.user, p.err = u, err
}

func (p *presence) looks() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// watched is bubble with a sender who is ann, and may do everything.
func watched(t *testing.T, test func(t *testing.T, f *fixture, c net.Conn, p *presence)) {
	bubble(t, func(t *testing.T, f *fixture, c net.Conn) {
		ann := &auth.User{Login: "ann", Active: true, Scopes: []auth.Scope{auth.ScopeRead, auth.ScopeWrite}}
		p := &presence{user: ann}
		f.handler.Presence = p
		f.handler.Verifier = auth.NewVerifier(&someone{user: ann}, time.Now)
		test(t, f, c, p)
	})
}

// what ends a transfer, and what it is called in the audit and in the answer.
var ends = map[string]struct {
	user *auth.User
	err  error
}{
	"made inactive":   {&auth.User{Login: "ann", Scopes: []auth.Scope{auth.ScopeRead, auth.ScopeWrite}}, nil},
	"lost the scope":  {&auth.User{Login: "ann", Active: true}, nil},
	"lost the bucket": {&auth.User{Login: "ann", Active: true, Scopes: []auth.Scope{auth.ScopeRead, auth.ScopeWrite}, AllowedBuckets: []auth.Place{{Bucket: "docs"}}}, nil},
	"gone":            {nil, auth.ErrNoUser},
	"lost the key":    {nil, fmt.Errorf("%w: taken", auth.ErrNoKey)},
	"logged out":      {nil, auth.ErrToken},
}

// soon is how long a change may take, less what a Directory takes to read it.
const soon = 3 * time.Second

// TestUploadOfWhoMayNoLonger is refused, whether bytes come or not, and nothing of
// it is stored.
func TestUploadOfWhoMayNoLonger(t *testing.T) {
	for name, end := range ends {
		for _, creeps := range []bool{false, true} {
			watched(t, func(t *testing.T, f *fixture, c net.Conn, p *presence) {
				text := upload("/photos/k", strings.Repeat("x", 1<<20)).text("h")
				io.WriteString(c, text[:len(text)-1<<20+1000])
				time.Sleep(10 * time.Second)
				p.become(end.user, end.err)
				done := make(chan struct{})
				go func() {
					defer close(done)
					for creeps {
						if _, err := io.WriteString(c, "x"); err != nil {
							return
						}
						time.Sleep(100 * time.Millisecond)
					}
				}()
				resp, took := within(t, c)
				body, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != 403 || !strings.Contains(string(body), "AccessDenied") || took > soon {
					t.Errorf("%s, creeps %v: after %v %v %s %v", name, creeps, took, resp, body, err)
				}
				if _, ok := f.snapshot()["photos/k"]; ok {
					t.Errorf("%s: stored", name)
				}
				c.Close()
				<-done
			})
		}
	}
}

// TestSmallUploadThatTookItsTime is looked at when it has ended.
func TestSmallUploadThatTookItsTime(t *testing.T) {
	for name, end := range ends {
		watched(t, func(t *testing.T, f *fixture, c net.Conn, p *presence) {
			text := upload("/photos/k", "hello world").text("h")
			io.WriteString(c, text[:len(text)-5])
			time.Sleep(10 * time.Second)
			p.become(end.user, end.err)
			io.WriteString(c, text[len(text)-5:])
			if resp, _ := within(t, c); resp.StatusCode != 403 {
				t.Errorf("%s: %v", name, resp)
			}
			if _, ok := f.snapshot()["photos/k"]; ok {
				t.Errorf("%s: stored", name)
			}
		})
	}
}

// TestDownloadOfWhoMayNoLonger is cut, also while the receiver takes nothing.
func TestDownloadOfWhoMayNoLonger(t *testing.T) {
	for name, end := range ends {
		watched(t, func(t *testing.T, f *fixture, c net.Conn, p *presence) {
			io.WriteString(c, get("/photos/old").text("h"))
			io.ReadFull(c, make([]byte, 200_000))
			time.Sleep(10 * time.Second)
			p.become(end.user, end.err)
			start := time.Now()
			time.Sleep(soon)
			synctest.Wait()
			rest, err := io.ReadAll(c)
			if len(rest) > 1<<19 || time.Since(start) > soon {
				t.Errorf("%s: %d bytes came, %v, %v", name, len(rest), err, time.Since(start))
			}
			if line := f.log.last(t); line["cut"] != true {
				t.Errorf("%s: %v", name, line)
			}
		})
	}
}

// TestWhatWasReleasedGoesOn: from the end of the body on nobody is looked after,
// whatever becomes of him.
func TestWhatWasReleasedGoesOn(t *testing.T) {
	watched(t, func(t *testing.T, f *fixture, c net.Conn, p *presence) {
		f.after = time.Minute
		go func() {
			time.Sleep(time.Second / 2)
			p.become(nil, auth.ErrNoUser)
		}()
		io.WriteString(c, upload("/photos/k", strings.Repeat("x", 1<<20)).text("h"))
		if resp, took := within(t, c); resp.StatusCode != 200 || took < time.Minute {
			t.Errorf("after %v %v", took, resp)
		}
		if got := f.snapshot()["photos/k"]; len(got) != 1<<20 {
			t.Errorf("stored %d bytes", len(got))
		}
	})
}

// TestWhoMayGoesOn: for as long as it takes, also while nobody knows; and the
// connection serves again.
func TestWhoMayGoesOn(t *testing.T) {
	watched(t, func(t *testing.T, f *fixture, c net.Conn, p *presence) {
		a := upload("/photos/k", strings.Repeat("x", 100_000))
		a.keep = true
		text := a.text("h")
		for i := 0; i < len(text); i += 10_000 {
			if i == 50_000 {
				p.become(nil, errors.New("the log is away"))
			}
			io.WriteString(c, text[i:min(len(text), i+10_000)])
			time.Sleep(10 * time.Second)
		}
		r := bufio.NewReader(c)
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != 200 || p.looks() < 50 {
			t.Fatalf("%v %v, %d looks", resp, err, p.looks())
		}
		time.Sleep(time.Minute)
		looks := p.looks()
		io.WriteString(c, get("/photos/k").text("h"))
		if resp, err = http.ReadResponse(r, nil); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%v %v", resp, err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); n != 100_000 || err != nil || p.looks() != looks {
			t.Errorf("%d bytes, %v; %d looks for nothing", n, err, p.looks()-looks)
		}
	})
}

// TestUploadThatAPolicyDenies: a policy is for those too whose body is under way.
func TestUploadThatAPolicyDenies(t *testing.T) {
	watched(t, func(t *testing.T, f *fixture, c net.Conn, p *presence) {
		text := upload("/photos/k", strings.Repeat("x", 1<<20)).text("h")
		io.WriteString(c, text[:len(text)-1<<20+1000])
		time.Sleep(10 * time.Second)
		f.store.mu.Lock()
		f.store.set["photos?policy"] = `{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::photos/*"}}`
		f.store.mu.Unlock()
		resp, took := within(t, c)
		if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 403 || !strings.Contains(string(body), "a policy of the bucket denies it") || took > soon {
			t.Errorf("after %v %v %s %v", took, resp, body, err)
		}
		if _, ok := f.snapshot()["photos/k"]; ok {
			t.Error("stored")
		}
	})
}
