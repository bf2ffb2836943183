package backend

import (
	"cmp"
	"context"
	"io"
	"time"

	"golang.org/x/time/rate"
)

// limitBurst is how many bytes may pass at once after a pause.
const limitBurst = 1 << 20

// Limits are token buckets for the traffic of one endpoint that must yield to
// clients: heal, resync, scrub. They may be changed while in use. Safe for
// concurrent use; shared by all Endpoints that Limit made with them.
type Limits struct {
	bytes    *rate.Limiter
	requests *rate.Limiter
}

// NewLimits returns limits of so many bytes and requests per second, to each
// endpoint and from it together; 0 means no limit.
func NewLimits(bytesPerSecond int64, requestsPerSecond float64) *Limits {
	l := &Limits{
		bytes:    rate.NewLimiter(rate.Inf, limitBurst),
		requests: rate.NewLimiter(rate.Inf, 1),
	}
	l.Set(bytesPerSecond, requestsPerSecond)
	return l
}

// Set changes the limits, for waiters that come after.
func (l *Limits) Set(bytesPerSecond int64, requestsPerSecond float64) {
	l.bytes.SetLimit(limitOf(float64(bytesPerSecond)))
	l.requests.SetLimit(limitOf(requestsPerSecond))
}

// Current returns the limits in force, 0 for none.
func (l *Limits) Current() (bytesPerSecond int64, requestsPerSecond float64) {
	if v := l.bytes.Limit(); v != rate.Inf {
		bytesPerSecond = int64(v)
	}
	if v := l.requests.Limit(); v != rate.Inf {
		requestsPerSecond = float64(v)
	}
	return bytesPerSecond, requestsPerSecond
}

func limitOf(perSecond float64) rate.Limit {
	if perSecond <= 0 {
		return rate.Inf
	}
	return rate.Limit(perSecond)
}

// spend waits for n bytes' worth of tokens.
func (l *Limits) spend(ctx context.Context, n int) error {
	for n > 0 {
		part := min(n, limitBurst)
		if err := l.bytes.WaitN(ctx, part); err != nil {
			return cmp.Or(context.Cause(ctx), err)
		}
		n -= part
	}
	return nil
}

// Limit returns e slowed down to l.
func Limit(e Endpoint, l *Limits) Endpoint {
	return limited{layer: layer{next: e, watch: turns{e.Name(), l}}, limits: l}
}

// turns makes requests wait for their turn. A caller that gives up while waiting
// has sent nothing.
type turns struct {
	name   string
	limits *Limits
}

func (t turns) before(ctx context.Context, op Op) (began time.Time, err error) {
	if err := t.limits.requests.Wait(ctx); err != nil {
		return began, &Error{Backend: t.name, Op: op, Outcome: NotSent, Err: cmp.Or(context.Cause(ctx), err)}
	}
	return began, nil
}

func (turns) after(context.Context, Op, time.Time, int, error) bool { return false }

type limited struct {
	layer
	limits *Limits
}

func (l limited) Put(ctx context.Context, r PutRequest) (PutResult, error) {
	r.Body = l.limits.body(r.Body)
	return l.layer.Put(ctx, r)
}

// body spends what the body of an upload has. What can be gathered still can.
func (l *Limits) body(b Body) Body {
	switch b := b.(type) {
	case nil:
		return nil
	case Gatherer:
		return gatherBody{limitedBody{b, l}, b}
	default:
		return limitedBody{b, l}
	}
}

func (l limited) Get(ctx context.Context, bucket, key string, o GetOptions) (*Object, error) {
	obj, err := l.layer.Get(ctx, bucket, key, o)
	if err == nil {
		obj.Body = limitedReader{obj.Body, ctx, l.limits}
	}
	return obj, err
}

type limitedBody struct {
	Body
	limits *Limits
}

func (b limitedBody) Next(ctx context.Context, limit int) ([]byte, error) {
	data, err := b.Body.Next(ctx, limit)
	if err == nil {
		err = b.limits.spend(ctx, len(data))
	}
	return data, err
}

// gatherBody is limitedBody where the body is a Gatherer.
type gatherBody struct {
	limitedBody
	many Gatherer
}

func (b gatherBody) Gather(ctx context.Context, limit int, wait bool, dst [][]byte) ([][]byte, error) {
	if !wait {
		return dst, nil // it might have to wait for the limit
	}
	at := len(dst)
	dst, err := b.many.Gather(ctx, limit, wait, dst)
	n := 0
	for _, p := range dst[at:] {
		n += len(p)
	}
	if err == nil {
		err = b.limits.spend(ctx, n)
	}
	return dst, err
}

type limitedReader struct {
	io.ReadCloser
	ctx    context.Context
	limits *Limits
}

func (r limitedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if serr := r.limits.spend(r.ctx, n); serr != nil && err == nil {
		err = serr
	}
	return n, err
}
