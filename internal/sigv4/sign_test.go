package sigv4_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

func TestSignLeavesOutWhatMayChange(t *testing.T) {
	r := &http.Request{Method: "PUT", URL: &url.URL{Host: "backend:80"}, Header: http.Header{}}
	for _, name := range []string{"Accept-Encoding", "User-Agent", "Expect", "Connection", "Content-Length", "Transfer-Encoding", "Te", "Trailer", "Upgrade", "X-Amzn-Trace-Id", "Authorization"} {
		r.Header.Set(name, "x")
	}
	r.Header.Set("Content-Type", "text/plain")
	r.Header["x-amz-date"] = []string{"stale"}
	r.Header["authorization"] = []string{"stale"}
	r.Header["X-Empty"] = nil
	sigv4.NewSigner(testKey, testSecret, testRegion).Sign(r, "", "", sigv4.Unsigned.String(), testTime)
	got := r.Header.Get("Authorization")
	if !strings.Contains(got, "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date,") {
		t.Errorf("got %s", got)
	}
	for name, values := range r.Header {
		if len(values) > 0 && values[0] == "stale" {
			t.Errorf("a stale %s is left", name)
		}
	}
	if r.URL.Host != "backend:80" || r.URL.Path != "" || r.Host != "" {
		t.Errorf("the request's target was changed: %v", r.URL)
	}
	// An empty path is signed as the root that will be requested; the port is kept.
	r.Host, r.RequestURI = "backend:80", "/"
	verified(t, r, testTime, testSecret)
}

func TestSignerCrossesMidnight(t *testing.T) {
	s := sigv4.NewSigner(testKey, testSecret, testRegion)
	midnight := time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC)
	for _, now := range []time.Time{midnight.Add(-time.Second), midnight, midnight.Add(-time.Second), midnight.In(time.FixedZone("x", 3600))} {
		r := &http.Request{Method: "GET", Host: "h", Header: http.Header{}, RequestURI: "/"}
		s.Sign(r, "/", "", emptyHash, now)
		verified(t, r, now, testSecret)
	}
}

func TestSignerIsShared(t *testing.T) {
	s := sigv4.NewSigner(testKey, testSecret, testRegion)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				now := testTime.Add(time.Duration(i*j) * time.Hour)
				r := &http.Request{Method: "GET", Host: "h", Header: http.Header{}, RequestURI: "/"}
				s.Sign(r, "/", "", emptyHash, now)
				q, err := sigv4.Parse(r, now)
				if err == nil {
					err = q.Verify(testSecret)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestSecretDoesNotPrint(t *testing.T) {
	type config struct{ Key sigv4.Secret }
	c := config{testSecret}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", testSecret, "config", c)
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	signer := sigv4.NewSigner(testKey, testSecret, testRegion)
	for _, got := range []string{
		fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %s %q %x %d", c, c, c, c, testSecret, testSecret, testSecret),
		testSecret.String(), string(asJSON), log.String(),
		fmt.Sprintf("%v %+v %#v %s ***", signer, signer, signer, signer),
	} {
		if strings.Contains(got, string(testSecret)) || strings.Contains(got, fmt.Sprintf("%x", string(testSecret))) {
			t.Errorf("the secret shows in %s", got)
		}
		if !strings.Contains(got, "***") {
			t.Errorf("no *** in %s", got)
		}
	}
}

func TestModes(t *testing.T) {
	for _, tc := range []struct {
		mode                     sigv4.Mode
		chunked, signed, trailer bool
	}{
		{sigv4.Literal, false, false, false}, {sigv4.Unsigned, false, false, false}, {sigv4.UnsignedTrailer, true, false, true},
		{sigv4.Signed, true, true, false}, {sigv4.SignedTrailer, true, true, true},
	} {
		if tc.mode.Chunked() != tc.chunked || tc.mode.ChunksSigned() != tc.signed || tc.mode.Trailing() != tc.trailer {
			t.Errorf("%v: %v %v %v", tc.mode, tc.mode.Chunked(), tc.mode.ChunksSigned(), tc.mode.Trailing())
		}
		if tc.mode == sigv4.Literal {
			continue
		}
		if got, _, err := sigv4.ParseMode(tc.mode.String()); err != nil || got != tc.mode {
			t.Errorf("%v came back as %v, %v", tc.mode, got, err)
		}
	}
	if got := sigv4.Literal.String(); got != "literal" {
		t.Errorf("got %q", got)
	}
	if mode, sum, err := sigv4.ParseMode(hexSum([]byte("x"))); err != nil || mode != sigv4.Literal || fmt.Sprintf("%x", sum) != hexSum([]byte("x")) {
		t.Errorf("got %v %x %v", mode, sum, err)
	}
}
