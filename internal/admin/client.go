package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// Client speaks to the admin API of one node: the generated client with a login
// and errors that are *Problem. The zero value with BaseURL set is ready; a Client
// is safe for concurrent use and needs no closing.
type Client struct {
	BaseURL  string // http://127.0.0.1:9001
	User     string // HTTP Basic, with Password
	Password string
	HTTP     *http.Client // nil: one that follows no redirect

	// Token returns a bearer token, for each request anew; nil: User and Password
	// prove who asks.
	Token func(context.Context) (string, error)
}

// maxDocument bounds what is read of an answer.
const maxDocument = 64 << 20

// Do carries out one operation and reads its document. ask calls the operation
// of the generated client; T is the document that the description names for it,
// or struct{} where there is none. An error of the API is a *Problem.
func Do[T any](ctx context.Context, c *Client, ask func(*api.Client) (*http.Response, error)) (document T, err error) {
	wire, err := api.NewClient(c.BaseURL, api.WithHTTPClient(c.client()), api.WithRequestEditorFn(c.authorize))
	if err != nil {
		return document, err
	}
	resp, err := ask(wire)
	if err != nil {
		return document, err
	}
	defer resp.Body.Close()
	what := resp.Request.Method + " " + resp.Request.URL.Path
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err != nil {
		return document, fmt.Errorf("read the answer to %s: %w", what, err)
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusAccepted:
	case http.StatusNoContent:
		return document, nil
	default:
		return document, refusal(resp, body)
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "application/json" {
		return document, fmt.Errorf("%s is not the admin API of s3mirror: it answers with %q", c.BaseURL, kind)
	}
	if err := json.Unmarshal(body, &document); err != nil {
		return document, fmt.Errorf("read the answer to %s: %w", what, err)
	}
	return document, nil
}

func (c *Client) authorize(ctx context.Context, req *http.Request) error {
	req.Header.Set("Accept", "application/json")
	switch {
	case c.Token != nil:
		token, err := c.Token(ctx)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	case c.User != "":
		req.SetBasicAuth(c.User, c.Password)
	}
	return nil
}

// Status gets the status document.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return Do[Status](ctx, c, func(a *api.Client) (*http.Response, error) { return a.Status(ctx) })
}

// Lag gets the lag document.
func (c *Client) Lag(ctx context.Context) (Lag, error) {
	return Do[Lag](ctx, c, func(a *api.Client) (*http.Response, error) { return a.Lag(ctx) })
}

// Backends gets the backends in the order of the configuration.
func (c *Client) Backends(ctx context.Context) ([]BackendStatus, error) {
	list, err := Do[BackendList](ctx, c, func(a *api.Client) (*http.Response, error) { return a.Backends(ctx) })
	return list.Backends, err
}

// HistoryFilter selects events; zero fields select all.
type HistoryFilter struct {
	Bucket, Prefix string
	Since, Until   time.Time
	Op             string
	Actor          string
	Result         string
	Limit          int    // events on the page; 0: the server's default
	Cursor         string // of the page before
}

// History gets one page of history, newest first.
func (c *Client) History(ctx context.Context, f HistoryFilter) (HistoryPage, error) {
	params := &api.HistoryParams{Bucket: given(f.Bucket), Prefix: given(f.Prefix), Limit: given(f.Limit), Cursor: given(f.Cursor), Op: given(f.Op), Actor: given(f.Actor), Result: given(f.Result)}
	if !f.Until.IsZero() {
		until := f.Until.UTC()
		params.Until = &until
	}
	if !f.Since.IsZero() {
		since := f.Since.UTC()
		params.Since = &since
	}
	return Do[HistoryPage](ctx, c, func(a *api.Client) (*http.Response, error) { return a.History(ctx, params) })
}

// given is nil for the zero value.
func given[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// Switch turns an endpoint of `s3mirror demo` off or on.
func (c *Client) Switch(ctx context.Context, name string, on bool) (SwitchState, error) {
	return Do[SwitchState](ctx, c, func(a *api.Client) (*http.Response, error) {
		if on {
			return a.DemoOn(ctx, name)
		}
		return a.DemoOff(ctx, name)
	})
}

// Corrupt changes a byte of the newest object of an endpoint of `s3mirror demo`.
func (c *Client) Corrupt(ctx context.Context, name string) (DemoState, error) {
	return Do[DemoState](ctx, c, func(a *api.Client) (*http.Response, error) { return a.DemoCorrupt(ctx, name) })
}

// refusal turns any other answer into a *Problem, whoever sent it.
func refusal(resp *http.Response, body []byte) error {
	p := &Problem{}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/problem+json" || json.Unmarshal(body, &p.Problem) != nil || p.Type == "" {
		return &Problem{Problem: api.Problem{Type: "about:blank", Title: resp.Status, Status: resp.StatusCode}}
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
