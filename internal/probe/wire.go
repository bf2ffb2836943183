package probe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// wire sends what a careful client would never send: conditions, bodies with a wrong
// signature, and bodies that break off. Everything else goes through backend.Remote, so that
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

// answer is what came back, of the body the beginning.
type answer struct {
	status int
	etag   string
	header http.Header
	body   []byte
}

// maxAnswer is how much is read of an answer's body.
const maxAnswer = 64 << 10

// put sends an object with one more header, in one piece.
func (w *wire) put(ctx context.Context, bucket, key string, body []byte, name, value string) (answer, error) {
	return w.ask(ctx, http.MethodPut, bucket, key, "", body, name, value)
}

// ask sends a request with one more header; an empty name stands for none. query is as
// it is signed: escaped and sorted.
func (w *wire) ask(ctx context.Context, method, bucket, key, query string, body []byte, name, value string) (answer, error) {
	r, err := w.request(ctx, method, bucket, key, query)
	if err != nil {
		return answer{}, err
	}
	if name != "" {
		r.Header.Set(name, value)
	}
	sum := sha256.Sum256(body)
	w.sign(r, hex.EncodeToString(sum[:]))
	return w.send(r, body)
}

// putHeld is put, with body read from r while the request is under way; sum is
// the hash of all of it.
func (w *wire) putHeld(ctx context.Context, bucket, key string, body io.Reader, size int, sum [32]byte, name, value string) (answer, error) {
	r, err := w.request(ctx, http.MethodPut, bucket, key, "")
	if err != nil {
		return answer{}, err
	}
	r.Header.Set(name, value)
	w.sign(r, hex.EncodeToString(sum[:]))
	return w.stream(r, body, int64(size))
}

// putForged sends signed chunks whose last signatures are of other data.
func (w *wire) putForged(ctx context.Context, bucket, key string, body []byte) (answer, error) {
	r, err := w.request(ctx, http.MethodPut, bucket, key, "")
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("X-Amz-Decoded-Content-Length", itoa(len(body)))
	chunks := w.sign(r, sigv4.Signed.String())
	framed := chunks.ChunkHeader(nil, len(body), sha256.Sum256([]byte("something else")))
	framed = append(framed, body...)
	framed = append(framed, sigv4.CRLF...)
	framed = chunks.ChunkHeader(framed, 0, [32]byte{})
	return w.send(r, append(framed, sigv4.CRLF...))
}

// request is one without a body yet; an empty key is the bucket.
func (w *wire) request(ctx context.Context, method, bucket, key, query string) (*http.Request, error) {
	u := &url.URL{Scheme: w.o.Endpoint.Scheme, Host: w.o.Endpoint.Host, Path: "/" + bucket, RawQuery: query}
	if w.o.VirtualHost {
		u.Host, u.Path = bucket+"."+u.Host, ""
	}
	if key != "" || u.Path == "" {
		u.Path += "/" + key
	}
	u.RawPath = sigv4.EscapePath(u.Path)
	r, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.URL, r.Host = u, u.Host
	if method == http.MethodPut && query == "" {
		r.Header.Set("Content-Type", "application/octet-stream")
	}
	return r, nil
}

func (w *wire) sign(r *http.Request, payloadHash string) *sigv4.ChunkSigner {
	return w.signer.Sign(r, r.URL.RawPath, r.URL.RawQuery, payloadHash, time.Now())
}

func (w *wire) send(r *http.Request, body []byte) (answer, error) {
	if len(body) == 0 {
		return w.stream(r, nil, 0)
	}
	return w.stream(r, bytes.NewReader(body), int64(len(body)))
}

func (w *wire) stream(r *http.Request, body io.Reader, size int64) (answer, error) {
	if body != nil {
		r.Body, r.ContentLength = io.NopCloser(struct{ io.Reader }{body}), size // no length but the one given
	}
	resp, err := w.client.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	return read(resp), nil
}

func read(resp *http.Response) answer {
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // what is missing is not what was asked for
	return answer{status: resp.StatusCode, etag: resp.Header.Get("ETag"), header: resp.Header, body: body}
}

// line is a connection on which a request is written by hand.
type line struct {
	net.Conn          // TLS where the endpoint has it
	tcp      net.Conn // below it
}

// open connects, and writes the head of a request whose body has size bytes. The caller
// closes the line; ctx ends it, too.
func (w *wire) open(ctx context.Context, r *http.Request, size int) (*line, error) {
	host, port := r.URL.Hostname(), r.URL.Port()
	if port == "" {
		port = r.URL.Scheme
	}
	tcp, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, err
	}
	l := &line{Conn: tcp, tcp: tcp}
	if r.URL.Scheme == "https" {
		config := w.client.TLSClientConfig.Clone()
		config.ServerName = host
		l.Conn = tls.Client(tcp, config)
	}
	if at, ok := ctx.Deadline(); ok {
		_ = l.SetDeadline(at) // an open connection takes it
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nConnection: close\r\n", r.Method, r.URL.RequestURI(), r.Host, size)
	_ = r.Header.Write(&head) // a buffer takes it
	head.WriteString(sigv4.CRLF)
	if _, err := l.Write(head.Bytes()); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// reset ends the line at once: what was not read yet is lost with it.
func (l *line) reset() {
	if tcp, ok := l.tcp.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // an open connection takes it
	}
	_ = l.tcp.Close() // nothing is written any more
}

// answer reads what comes back on the line.
func (l *line) answer(r *http.Request) (answer, error) {
	resp, err := http.ReadResponse(bufio.NewReader(l), r)
	if err != nil {
		return answer{}, err
	}
	return read(resp), nil
}

// putCut sends the first bytes of a body of size bytes and no more: it ends its side of the
// connection and hears what the endpoint says to that, or resets the connection. The
// status is zero when nothing was said.
func (w *wire) putCut(ctx context.Context, r *http.Request, sent []byte, size int, polite bool) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	l, err := w.open(ctx, r, size)
	if err != nil {
		return 0, err
	}
	defer l.reset()
	if _, err := l.Write(sent); err != nil || !polite {
		return 0, nil //nolint:nilerr // an endpoint may refuse what it sees coming
	}
	half, ok := l.Conn.(interface{ CloseWrite() error })
	if !ok {
		return 0, errors.New("connection has no half to close")
	}
	if err := half.CloseWrite(); err != nil {
		return 0, nil //nolint:nilerr // it was closed from there
	}
	a, _ := l.answer(r) // or nothing is said to it
	return a.status, nil
}
