package probe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// wire sends what a careful client would never send: conditions, and bodies
// with a wrong signature. Everything else goes through backend.Remote, so that
// the probes see what the data path will.
type wire struct {
	o      backend.Options
	signer *sigv4.Signer
	client *http.Transport
}

func newWire(o backend.Options) *wire {
	return &wire{
		o: o, signer: sigv4.NewSigner(o.AccessKeyID, o.SecretAccessKey, o.Region),
		client: &http.Transport{
			DisableCompression: true, DisableKeepAlives: true,
			ResponseHeaderTimeout: callTimeout,
			TLSClientConfig:       &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
		},
	}
}

// answer is a status, and headers for the curious.
type answer struct {
	status int
	etag   string
}

// put sends an object with one more header, in one piece.
func (w *wire) put(ctx context.Context, bucket, key string, body []byte, name, value string) (answer, error) {
	sum := sha256.Sum256(body)
	r, err := w.request(ctx, bucket, key, bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return answer{}, err
	}
	if name != "" {
		r.Header.Set(name, value)
	}
	w.signer.Sign(r, r.URL.RawPath, "", hex.EncodeToString(sum[:]), time.Now())
	return w.send(r)
}

// putHeld is put, with body read from r while the request is under way; sum is
// the hash of all of it.
func (w *wire) putHeld(ctx context.Context, bucket, key string, body io.Reader, size int, sum [32]byte, name, value string) (answer, error) {
	r, err := w.request(ctx, bucket, key, body, int64(size))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set(name, value)
	w.signer.Sign(r, r.URL.RawPath, "", hex.EncodeToString(sum[:]), time.Now())
	return w.send(r)
}

// putForged sends signed chunks whose last signatures are of other data.
func (w *wire) putForged(ctx context.Context, bucket, key string, body []byte) (answer, error) {
	size := sigv4.EncodedLength(sigv4.Signed, int64(len(body)), len(body), "", 0)
	framed := &bytes.Buffer{}
	r, err := w.request(ctx, bucket, key, framed, size)
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("X-Amz-Decoded-Content-Length", itoa(len(body)))
	chunks := w.signer.Sign(r, r.URL.RawPath, "", sigv4.Signed.String(), time.Now())
	head := chunks.ChunkHeader(nil, len(body), sha256.Sum256([]byte("something else")))
	framed.Write(head)
	framed.Write(body)
	framed.WriteString(sigv4.CRLF)
	framed.Write(chunks.ChunkHeader(nil, 0, [32]byte{}))
	framed.WriteString(sigv4.CRLF)
	return w.send(r)
}

func (w *wire) request(ctx context.Context, bucket, key string, body io.Reader, size int64) (*http.Request, error) {
	u := &url.URL{Scheme: w.o.Endpoint.Scheme, Host: w.o.Endpoint.Host, Path: "/" + bucket + "/" + key}
	if w.o.VirtualHost {
		u.Host, u.Path = bucket+"."+u.Host, "/"+key
	}
	u.RawPath = sigv4.EscapePath(u.Path)
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, u.String(), struct{ io.Reader }{body}) // no length but the one given
	if err != nil {
		return nil, err
	}
	r.URL, r.Host, r.ContentLength, r.GetBody = u, u.Host, size, nil
	r.Header.Set("Content-Type", "application/octet-stream")
	return r, nil
}

func (w *wire) send(r *http.Request) (answer, error) {
	resp, err := w.client.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // what it says beside the status is not asked
	return answer{status: resp.StatusCode, etag: resp.Header.Get("ETag")}, nil
}
