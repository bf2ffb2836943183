package backend

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

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
	// StorageClass is that of what is written here under no other one, in the endpoint's
	// own words; empty: the endpoint's default. It is this endpoint's alone: an answer
	// does not show it, so that a version has the same headers whichever replica tells.
	StorageClass string
	// DeclareChunked sends Content-Encoding: aws-chunked with chunked bodies.
	// Most endpoints go by x-amz-content-sha256 alone, and some would store the
	// token with the object.
	DeclareChunked bool

	Dial DialFunc                                  // nil: TCP
	Wire func(http.RoundTripper) http.RoundTripper // nil: nothing around an exchange; what it gives and gets has no request body
	Now  func() time.Time                          // nil: time.Now
}

// Remote is an S3 endpoint reached over HTTP/1.1: the one S3 client of this
// program. It implements Endpoint. Each method makes one attempt.
//
// Its HTTP is its own (docs/decisions/0017): requests are written past any
// buffer, and it is known exactly which byte left. What repeats a request: a kept
// connection that turns out dead is replaced by a fresh one, once, if not a byte
// of the request left; of a GET or HEAD, if not a byte of an answer came. So a
// mutation reaches an endpoint at most once. Put does the same when no byte of a
// body was asked for.
type Remote struct {
	o      Options
	signer *sigv4.Signer
	pool   *pool
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
	return &Remote{o: o, signer: sigv4.NewSigner(o.AccessKeyID, o.SecretAccessKey, o.Region), pool: newPool(o)}, nil
}

func checkEndpoint(u *url.URL) error {
	switch {
	case u == nil || u.Host == "":
		return errors.New("no endpoint")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("endpoint %s is neither http nor https", u.Redacted())
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "", u.User != nil:
		return fmt.Errorf("endpoint %s is more than scheme and host", u.Redacted())
	case !bare(u.Host) || strings.ContainsFunc(u.Host, func(r rune) bool { return r > unicode.MaxASCII }):
		return fmt.Errorf("endpoint %s: write its host in ASCII, as in xn--", u.Redacted())
	}
	return nil
}

// Name implements Backend.
func (r *Remote) Name() string { return r.o.Name }

// Close closes idle connections. Operations that run go on.
func (r *Remote) Close() error {
	r.pool.close()
	return nil
}
