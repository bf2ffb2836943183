package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client speaks to the admin API of one node. The zero value with BaseURL set
// is ready; a Client is safe for concurrent use and needs no closing.
type Client struct {
	BaseURL  string // http://127.0.0.1:9001
	User     string // HTTP Basic, with Password
	Password string
	Token    string       // a bearer token; wins over User
	HTTP     *http.Client // nil: http.DefaultClient without redirects
}

// maxDocument bounds what is read of an answer.
const maxDocument = 64 << 20

// Status gets the status document.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return call[Status](ctx, c, http.MethodGet, "/api/v1/status")
}

// Lag gets the lag document.
func (c *Client) Lag(ctx context.Context) (Lag, error) {
	return call[Lag](ctx, c, http.MethodGet, "/api/v1/replication/lag")
}

// Backends gets the backends in the order of the configuration.
func (c *Client) Backends(ctx context.Context) ([]BackendStatus, error) {
	list, err := call[BackendList](ctx, c, http.MethodGet, "/api/v1/backends")
	return list.Backends, err
}

// HistoryFilter selects events; zero fields select all.
type HistoryFilter struct {
	Bucket, Prefix string
	Since          time.Time
	Limit          int    // events on the page; 0: the server's default
	Cursor         string // of the page before
}

// History gets one page of history, newest first.
func (c *Client) History(ctx context.Context, f HistoryFilter) (HistoryPage, error) {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("bucket", f.Bucket)
	set("prefix", f.Prefix)
	set("cursor", f.Cursor)
	if !f.Since.IsZero() {
		q.Set("since", f.Since.UTC().Format(time.RFC3339Nano))
	}
	if f.Limit != 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	path := "/api/v1/history"
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return call[HistoryPage](ctx, c, http.MethodGet, path)
}

// Switch turns an endpoint of `s3mirror demo` off or on.
func (c *Client) Switch(ctx context.Context, name string, on bool) (SwitchState, error) {
	to := map[bool]string{true: "on", false: "off"}[on]
	return call[SwitchState](ctx, c, http.MethodPost, "/api/v1/demo/backends/"+url.PathEscape(name)+"/"+to)
}

// call asks for one document. An error of the API is a *Problem.
func call[T any](ctx context.Context, c *Client, method, path string) (document T, err error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.BaseURL, "/")+path, http.NoBody)
	if err != nil {
		return document, err
	}
	req.Header.Set("Accept", "application/json")
	switch {
	case c.Token != "":
		req.Header.Set("Authorization", "Bearer "+c.Token)
	case c.User != "":
		req.SetBasicAuth(c.User, c.Password)
	}
	resp, err := c.client().Do(req)
	if err != nil {
		return document, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err != nil {
		return document, fmt.Errorf("read the answer to %s %s: %w", method, path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return document, refusal(resp, body)
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "application/json" {
		return document, fmt.Errorf("%s is not the admin API of s3mirror: it answers with %q", c.BaseURL, kind)
	}
	if err := json.Unmarshal(body, &document); err != nil {
		return document, fmt.Errorf("read the answer to %s %s: %w", method, path, err)
	}
	return document, nil
}

// refusal turns an answer that is not 200 into a *Problem, whoever sent it.
func refusal(resp *http.Response, body []byte) error {
	p := &Problem{}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/problem+json" || json.Unmarshal(body, p) != nil || p.Type == "" {
		return &Problem{Type: "about:blank", Title: resp.Status, Status: resp.StatusCode}
	}
	return p
}

var errRedirect = errors.New("the server redirects: give the address of the admin API itself")

// client never follows a redirect: it would carry the credentials along.
func (c *Client) client() *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect }}
}
