package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"sync"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// backends are the stacks of all endpoints.
type backends struct {
	stacks []*backend.Stack // of the configuration, in its order
	places

	build   func(backend.Options) (built, error)
	metrics *backend.Metrics
	first   []built // the same as stacks
	logger  *slog.Logger

	mu      sync.Mutex // guards what follows
	added   map[string]addition
	left    []built       // nothing new is asked of them; their idle connections go by themselves
	changed chan struct{} // has room for one: run looks again
}

// built is an endpoint and what is around it.
type built struct {
	stack  *backend.Stack
	remote *backend.Remote
}

// openBackends builds the stack of every endpoint. It opens no connection: that
// a backend is away is no reason not to start.
func openBackends(cfg *Config, stamps object.StampKey, metrics *backend.Metrics, tracer trace.Tracer, log *slog.Logger) (*backends, error) {
	b := &backends{added: map[string]addition{}, changed: make(chan struct{}, 1), metrics: metrics, logger: log}
	b.build = func(o backend.Options) (built, error) {
		remote, err := backend.NewRemote(o)
		if err != nil {
			return built{}, err
		}
		return built{remote: remote, stack: backend.Wrap(remote, backend.WrapOptions{
			Breaker: backend.BreakerOptions{Probe: reach, Log: log},
			Limits:  backend.NewLimits(int64(cfg.Heal.BytesPerSecond), float64(cfg.Heal.RequestsPerSecond)),
			Metrics: metrics, Tracer: tracer,
		})}, nil
	}
	for _, c := range cfg.Backends {
		o, err := remoteOptions(c, stamps)
		if err != nil {
			return nil, err
		}
		one, err := b.build(o)
		if err != nil {
			return nil, err
		}
		b.places.set(c.Name, spoken{options: o, mode: c.PayloadMode})
		b.first = append(b.first, one)
		b.stacks = append(b.stacks, one.stack)
	}
	return b, nil
}

func remoteOptions(c BackendConfig, stamps object.StampKey) (o backend.Options, err error) {
	endpoint, err := url.Parse(c.Endpoint)
	if err != nil {
		return o, fmt.Errorf("backend %s: %w", c.Name, err)
	}
	o = backend.Options{
		Name: c.Name, Endpoint: endpoint, Region: c.Region,
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey,
		StampKey: stamps, VirtualHost: !*c.PathStyle, StorageClass: c.StorageClass,
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return o, fmt.Errorf("backend %s: %w", c.Name, err)
		}
		o.RootCAs = x509.NewCertPool()
		o.RootCAs.AppendCertsFromPEM(pem)
	}
	return o, nil
}

// close ends the idle connections. Nothing may use the backends any more.
func (b *backends) close() error {
	var errs []error
	for _, one := range append(b.living(), b.left...) {
		errs = append(errs, one.remote.Close())
	}
	return errors.Join(errs...)
}

// reach asks the cheapest question that proves address, clock and credentials.
// Who may not list buckets has proved them all the same.
func reach(ctx context.Context, e backend.Endpoint) error {
	_, err := e.ListBuckets(ctx)
	if errors.Is(err, s3.AccessDenied) {
		return nil
	}
	return err
}

// greetTimeout bounds the first contact.
const greetTimeout = 5 * time.Second

// greet asks every backend once, all at the same time, and says what to do
// about each that cannot be used. Such a backend's breaker is opened, so that no
// write waits for it; the breaker's probe brings it back.
func (b *backends) greet(ctx context.Context) {
	var wg sync.WaitGroup
	for _, one := range b.first {
		wg.Go(func() { b.greetOne(ctx, one) })
	}
	wg.Wait()
}

func (b *backends) greetOne(ctx context.Context, one built) {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	if err := reach(ctx, one.remote); err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		one.stack.Breaker.Open(err)
		b.logger.WarnContext(ctx, "backend cannot be used", "backend", one.stack.Name(), "endpoint", b.options(one.stack.Name()).Endpoint.Redacted(),
			"todo", advice(err), "error", err)
	}
}

// advice says what a person has to do about the error of a backend.
func advice(err error) string {
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	var dns *net.DNSError
	var unknownCA x509.UnknownAuthorityError
	var wrongHost x509.HostnameError
	var netErr net.Error
	switch {
	case is(s3.InvalidAccessKeyID, s3.SignatureDoesNotMatch, s3.ExpiredToken, s3.InvalidToken):
		return "its credentials are wrong: check access_key_id and secret_access_key"
	case is(s3.RequestTimeTooSkewed):
		return "the clocks differ: set the clock of this host, or of the endpoint"
	case is(s3.AuthorizationHeaderMalformed, s3.PermanentRedirect, s3.TemporaryRedirect, s3.IllegalLocationConstraint):
		return "it is in another region: check region and endpoint"
	case is(s3.NoSuchBucket):
		return "a bucket is missing there: create it, or map its name in buckets.NAME.names"
	case is(s3.AccessDenied):
		return "its credentials may not do this: check their permissions on the bucket"
	case errors.As(err, &unknownCA), errors.As(err, &wrongHost):
		return "its certificate is not trusted: check endpoint and ca_file"
	case errors.As(err, &dns):
		return "its host name is not known: check endpoint"
	case is(syscall.ECONNREFUSED):
		return "it cannot be reached, the connection is refused: is it running, and is endpoint right?"
	case is(context.DeadlineExceeded, backend.ErrStalled), errors.As(err, &netErr) && netErr.Timeout():
		return "it cannot be reached in time: is it running, and is the network open?"
	case backend.IsMisconfigured(err):
		return "what answers there is not an S3 server that takes these requests: check endpoint, region and credentials"
	}
	return "it cannot be reached or fails: is it running?"
}
