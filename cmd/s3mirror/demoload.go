package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// The load of the demo: few enough operations to follow by eye, on few enough keys that
// they are written again and again.
const (
	demoBucket    = "demo"
	demoLoadEvery = 60 * time.Millisecond
	demoLoadKeys  = 40
)

// demoLoad is a client of the demo's own S3 port, which works while it is on. It is safe
// for concurrent use.
type demoLoad struct {
	signer               *sigv4.Signer
	client               *http.Client
	on                   atomic.Bool
	acknowledged, failed atomic.Int64
}

func newDemoLoad(keys rootKeys) *demoLoad {
	return &demoLoad{
		signer: sigv4.NewSigner(keys.AccessKeyID, keys.SecretAccessKey, "us-east-1"),
		client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 8}},
	}
}

// turn begins or ends the load.
func (l *demoLoad) turn(on bool) { l.on.Store(on) }

// run works until ctx ends: one operation at a time, so that a slow node is asked less.
func (l *demoLoad) run(ctx context.Context, endpoint string) {
	tick := time.NewTicker(demoLoadEvery)
	defer tick.Stop()
	made := false
	for n := 0; ; {
		select {
		case <-ctx.Done():
			l.client.CloseIdleConnections()
			return
		case <-tick.C:
		}
		if !l.on.Load() {
			continue
		}
		if !made {
			made = l.do(ctx, http.MethodPut, endpoint+"/"+demoBucket, nil) == nil
			continue
		}
		if err := l.step(ctx, endpoint, n); err == nil {
			l.acknowledged.Add(1)
		} else if ctx.Err() == nil {
			l.failed.Add(1)
		}
		n++
	}
}

// step is the n-th operation: mostly writes, with reads and now and then a delete.
func (l *demoLoad) step(ctx context.Context, endpoint string, n int) error {
	object := fmt.Sprintf("%s/%s/note-%02d.txt", endpoint, demoBucket, n*7%demoLoadKeys)
	switch {
	case n%11 == 10:
		return l.do(ctx, http.MethodDelete, object, nil)
	case n%4 == 3:
		return l.do(ctx, http.MethodGet, object, nil)
	}
	text := fmt.Appendf(nil, "note %d, written at %s\n", n, time.Now().Format(time.RFC3339))
	return l.do(ctx, http.MethodPut, object, bytes.Repeat(text, 1+n%97))
}

// do makes one request; that nothing is there is an answer.
func (l *demoLoad) do(ctx context.Context, method, target string, body []byte) error {
	u, err := url.Parse(target)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if method == http.MethodPut {
		r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	l.signer.Sign(r, u.EscapedPath(), "", sigv4.Unsigned.String(), time.Now())
	resp, err := l.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode/100 != 2 && resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusConflict {
		err = fmt.Errorf("%s %s: %s", method, target, resp.Status)
	}
	return err
}
