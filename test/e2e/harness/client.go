package harness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// Client is a small S3 client that sends keys byte for byte, retries nothing
// and hides nothing. Any number of goroutines may use it.
type Client struct {
	Addr string
	Keys wire.Keys

	// PlainLists asks for keys as they are in XML, not percent-encoded:
	// versitygw leaves "+" alone when it encodes, and nobody can tell it from
	// a space then.
	PlainLists bool

	http *http.Client
}

// requestLimit ends a request that nobody answers, so that a test fails and
// does not hang. It is far above any pause that the gateway may make.
const requestLimit = time.Minute

// NewClient talks plain http to addr.
func NewClient(addr string, keys wire.Keys) *Client {
	return &Client{Addr: addr, Keys: keys, http: &http.Client{
		Timeout: requestLimit,
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 64,
			DisableCompression:  true,
			IdleConnTimeout:     5 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Put stores an object. A non-nil error means that no answer came, or none
// that was whole: the write may have taken effect or not.
func (c *Client) Put(ctx context.Context, bucket, key string, mode wire.Mode, body []byte, header ...wire.Field) (wire.Answer, error) {
	r, encoded := wire.Put{
		Keys: c.Keys, Host: c.Addr, Bucket: bucket, Key: key, Mode: mode, Body: body, Header: header, Now: time.Now(),
	}.Request()
	return c.send(ctx, r, encoded)
}

// Send stores an object or a part as p describes it; the client fills in where, who and when.
func (c *Client) Send(ctx context.Context, p wire.Put) (wire.Answer, error) {
	p.Keys, p.Host, p.Now = c.Keys, c.Addr, time.Now()
	r, encoded := p.Request()
	return c.send(ctx, r, encoded)
}

// Do sends any other request. Its body, if any, travels with its SHA-256.
func (c *Client) Do(ctx context.Context, method, bucket, key, query string, body []byte, header ...wire.Field) (wire.Answer, error) {
	sum := sha256.Sum256(body)
	r := wire.Request{Method: method, Host: c.Addr, Path: wire.Path(bucket, key), Query: query, Header: header}
	c.Keys.Sign(&r, fmt.Sprintf("%x", sum), time.Now())
	return c.send(ctx, r, body)
}

// Get reads a whole object.
func (c *Client) Get(ctx context.Context, bucket, key string, header ...wire.Field) (wire.Answer, error) {
	return c.Do(ctx, "GET", bucket, key, "", nil, header...)
}

// Delete removes an object.
func (c *Client) Delete(ctx context.Context, bucket, key string, header ...wire.Field) (wire.Answer, error) {
	return c.Do(ctx, "DELETE", bucket, key, "", nil, header...)
}

// send passes a signed request on as it is: no header is renamed, the path
// travels as it was signed.
func (c *Client) send(ctx context.Context, r wire.Request, body []byte) (wire.Answer, error) {
	req := (&http.Request{
		Method: r.Method, Host: r.Host, Header: http.Header{"User-Agent": nil},
		URL:   &url.URL{Scheme: "http", Host: r.Host, Opaque: r.Path, RawQuery: r.Query},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	for _, f := range r.Header {
		if !strings.EqualFold(f.Name, "Content-Length") {
			req.Header[f.Name] = append(req.Header[f.Name], f.Value)
		}
	}
	req.Body = http.NoBody
	if len(body) > 0 {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return wire.Answer{}, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return wire.Answer{}, fmt.Errorf("answer %d cut short: %w", resp.StatusCode, err)
	}
	a := wire.Answer{Status: resp.StatusCode, Header: resp.Header, Body: got}
	if resp.StatusCode >= 300 {
		a.Code, a.ID = wire.ParseError(got)
	}
	return a, nil
}

// Object is what a server holds or shows under a key.
type Object struct {
	Size   int
	Sum    [sha256.Size]byte
	ETag   string
	Header object.Headers // content headers, user metadata, checksums
	Stamp  string         // the hidden metadata; empty where none was shown
}

// Object reads a key with its checksums. An error that is a Missing says that
// the server answered 404.
func (c *Client) Object(ctx context.Context, bucket, key string) (Object, error) {
	a, err := c.Get(ctx, bucket, key, wire.Field{Name: "x-amz-checksum-mode", Value: "ENABLED"})
	switch {
	case err != nil:
		return Object{}, err
	case a.Status == http.StatusNotFound:
		return Object{}, Missing{a.Code}
	case a.Status != http.StatusOK:
		return Object{}, fmt.Errorf("GET answered %v", a)
	}
	if want := a.Header.Get("Content-Length"); want != strconv.Itoa(len(a.Body)) {
		return Object{}, fmt.Errorf("GET answered %d bytes, Content-Length %q", len(a.Body), want)
	}
	o := Object{Size: len(a.Body), Sum: sha256.Sum256(a.Body), ETag: a.Header.Get("ETag"), Header: object.Headers{}}
	for name, values := range a.Header {
		name = strings.ToLower(name)
		if name == object.StampHeader {
			o.Stamp = values[0]
		}
		if object.Stored(name) && (name != "x-amz-storage-class" || values[0] != "STANDARD") { // which some say and others imply
			o.Header[name] = strings.Join(values, ",")
		}
	}
	return o, nil
}

// Missing is the error of a 404; its text is the S3 code.
type Missing struct{ Code string }

func (m Missing) Error() string { return "404 " + m.Code }

// List returns every key of a bucket, page by page of the given size.
func (c *Client) List(ctx context.Context, bucket, prefix string, pageSize int) ([]string, error) {
	var keys []string
	token := ""
	for {
		pairs := []string{"list-type", "2", "max-keys", strconv.Itoa(pageSize), "prefix", prefix}
		if !c.PlainLists {
			pairs = append(pairs, "encoding-type", "url")
		}
		if token != "" {
			pairs = append(pairs, "continuation-token", token)
		}
		a, err := c.Do(ctx, "GET", bucket, "", wire.Query(pairs...), nil)
		if err != nil {
			return nil, err
		}
		if a.Status != http.StatusOK {
			return nil, fmt.Errorf("list answered %v", a)
		}
		var page struct {
			IsTruncated           bool
			NextContinuationToken string
			Contents              []struct{ Key string }
		}
		if err := xml.Unmarshal(a.Body, &page); err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
		for _, o := range page.Contents {
			key := o.Key
			if !c.PlainLists {
				if key, err = url.QueryUnescape(o.Key); err != nil {
					return nil, fmt.Errorf("list: %w", err)
				}
			}
			keys = append(keys, key)
		}
		if !page.IsTruncated {
			return keys, nil
		}
		if token = page.NextContinuationToken; token == "" {
			return nil, fmt.Errorf("list of %q is truncated and has no token", bucket)
		}
	}
}

// healthy asks a plain health path.
func healthy(addr, path string) error {
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get("http://" + addr + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 4096)) // only to say more
		return fmt.Errorf("%s answered %d: %s", path, resp.StatusCode, bytes.TrimSpace(body))
	}
	return nil
}
