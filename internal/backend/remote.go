package backend

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// Options of a Remote. Zero durations take the defaults named.
type Options struct {
	Name            string
	Endpoint        *url.URL // scheme and host; nothing else
	Region          string
	AccessKeyID     string
	SecretAccessKey sigv4.Secret
	StampKey        object.StampKey

	// VirtualHost puts the bucket into the host name instead of the path.
	VirtualHost bool
	// RootCAs verify the endpoint's certificate; nil: the system's.
	RootCAs *x509.CertPool
	// MaxConns bounds the open connections; 0: not bounded. Whoever waits for one
	// waits within its context.
	MaxConns int

	// AnswerTimeout is how long after its last byte a mutation waits for the
	// answer (60 s, RELIABILITY T_keep).
	AnswerTimeout time.Duration
	// ReadTimeout is how long a read waits for its answer (15 s).
	ReadTimeout time.Duration
	// StallTimeout is how long a body may give nothing (30 s).
	StallTimeout time.Duration

	// ThrottleSafe: qualification proved that this endpoint, having answered
	// 503 SlowDown or 507 to a whole request, does nothing any more.
	ThrottleSafe bool
	// NoChecksums: the endpoint refuses the headers x-amz-checksum-* and their
	// kin. They are not sent, and none come back.
	NoChecksums bool
	// DeclareChunked sends Content-Encoding: aws-chunked with chunked bodies.
	// Most endpoints go by x-amz-content-sha256 alone, and some would store the
	// token with the object.
	DeclareChunked bool

	Dial DialFunc                                  // nil: TCP
	Wire func(http.RoundTripper) http.RoundTripper // nil: nothing around the transport
	Now  func() time.Time                          // nil: time.Now
}

// Remote is an S3 endpoint reached over HTTP/1.1: the one S3 client of this
// program. It implements Endpoint. Each method makes one attempt.
//
// On net/http's own retries: a Transport repeats a request when the kept
// connection that it took turns out dead. For what has no body it does so
// after a failed read of the answer too, but only for GET and HEAD; anything
// else only when not a byte of it was written. So a DELETE, and a PUT without a
// body, reach an endpoint at most once. A PUT with a body is never repeated by
// the Transport, because it has no GetBody; Put itself takes a fresh connection
// once, when a kept one died before the body was touched.
type Remote struct {
	o         Options
	signer    *sigv4.Signer
	transport transports
	wire      http.RoundTripper
}

// NewRemote returns a Remote. It opens no connection.
func NewRemote(o Options) (*Remote, error) {
	if err := checkEndpoint(o.Endpoint); err != nil {
		return nil, fmt.Errorf("backend %s: %w", o.Name, err)
	}
	setDefault(&o.AnswerTimeout, 60*time.Second)
	setDefault(&o.ReadTimeout, 15*time.Second)
	setDefault(&o.StallTimeout, 30*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &Remote{
		o:         o,
		signer:    sigv4.NewSigner(o.AccessKeyID, o.SecretAccessKey, o.Region),
		transport: newTransports(o),
	}
	r.wire = r.transport
	if o.Wire != nil {
		r.wire = o.Wire(r.transport)
	}
	return r, nil
}

func checkEndpoint(u *url.URL) error {
	switch {
	case u == nil || u.Host == "":
		return errors.New("no endpoint")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("endpoint %s is neither http nor https", u.Redacted())
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "", u.User != nil:
		return fmt.Errorf("endpoint %s is more than scheme and host", u.Redacted())
	}
	return nil
}

// transports are two, because net/http bounds the time to an answer for a whole
// Transport: the slow one leaves it to the context.
type transports struct{ fast, slow *http.Transport }

func newTransports(o Options) transports {
	t := transports{newTransport(o), newTransport(o)}
	t.slow.ResponseHeaderTimeout = 0
	return t
}

// RoundTrip implements http.RoundTripper.
func (t transports) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Context().Value(slow{}) != nil {
		return t.slow.RoundTrip(r)
	}
	return t.fast.RoundTrip(r)
}

// slow marks the context of a request to be patient with.
type slow struct{}

func patience(ctx context.Context, c call) context.Context {
	if !c.slow {
		return ctx
	}
	return context.WithValue(ctx, slow{}, true)
}

// newTransport has one pool for one endpoint. Its buffers are small: bodies are
// read and written past them, and there may be hundreds of connections.
func newTransport(o Options) *http.Transport {
	return &http.Transport{
		DialContext:         dialer(o.Dial),
		MaxConnsPerHost:     o.MaxConns,
		MaxIdleConnsPerHost: 256, // net/http's 2 would open a connection for nearly every request
		IdleConnTimeout:     55 * time.Second,

		ResponseHeaderTimeout: o.AnswerTimeout,
		ExpectContinueTimeout: time.Second,
		TLSHandshakeTimeout:   5 * time.Second,
		TLSClientConfig: &tls.Config{
			RootCAs:            o.RootCAs,
			MinVersion:         tls.VersionTLS12,
			ClientSessionCache: tls.NewLRUClientSessionCache(64),
		},

		// A stored gzip object must come back as it is.
		DisableCompression: true,
		// One HTTP/2 connection would make all uploads wait for one another.
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
		// No Proxy: what the environment says is about other traffic.
		WriteBufferSize: 16 << 10,
		ReadBufferSize:  16 << 10,

		MaxResponseHeaderBytes: 64 << 10, // S3 allows 8 KiB
	}
}

// Name implements Backend.
func (r *Remote) Name() string { return r.o.Name }

// Close closes idle connections. Operations that run go on.
func (r *Remote) Close() error {
	r.transport.fast.CloseIdleConnections()
	r.transport.slow.CloseIdleConnections()
	return nil
}
