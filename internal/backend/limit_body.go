package backend

import (
	"context"
	"io"
	"sync"
	"time"
)

// own counts open bodies, too.
type own struct {
	layer
	limits *Limits
}

func (o own) Get(ctx context.Context, bucket, key string, opts GetOptions) (*Object, error) {
	obj, err := o.layer.Get(ctx, bucket, key, opts)
	if err == nil {
		o.limits.own.Add(1)
		obj.Body = &ownBody{ReadCloser: obj.Body, limits: o.limits}
	}
	return obj, err
}

type ownBody struct {
	io.ReadCloser
	limits *Limits
	once   sync.Once
}

func (b *ownBody) Close() error {
	b.once.Do(func() { b.limits.own.Add(-1) })
	return b.ReadCloser.Close()
}

// breath makes a body take its tokens piece by piece, and pause for clients.
type breath struct {
	limits *Limits
	last   time.Time // when the last pause was over
}

// breathShort is how long pieces may take together before there is a pause.
const breathShort = 10 * time.Millisecond

// take is called after a piece of n bytes.
func (b *breath) take(ctx context.Context, n int) error {
	if err := b.limits.spend(ctx, n); err != nil {
		return err
	}
	now := time.Now()
	if b.last.IsZero() {
		b.last = now
	}
	worked := now.Sub(b.last)
	if worked < breathShort {
		return nil
	}
	defer func() { b.last = time.Now() }()
	if !b.limits.busy() {
		return nil
	}
	defer b.limits.tell(waitedForClients, now)
	timer := time.NewTimer(min(yieldShare*worked, yieldMost))
	defer timer.Stop()
	tick := time.NewTicker(yieldLook)
	defer tick.Stop()
	for b.limits.busy() {
		select {
		case <-timer.C:
			return nil
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

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
	slow := limitedBody{b, &breath{limits: l}}
	switch b := b.(type) {
	case nil:
		return nil
	case Gatherer:
		return gatherBody{slow, b}
	default:
		return slow
	}
}

func (l limited) Get(ctx context.Context, bucket, key string, o GetOptions) (*Object, error) {
	obj, err := l.layer.Get(ctx, bucket, key, o)
	if err == nil {
		obj.Body = limitedReader{obj.Body, ctx, &breath{limits: l.limits}}
	}
	return obj, err
}

// Urgent is a Body whose rest may have to go without delay: its tail, once it is
// released.
type Urgent interface{ Urgent() bool }

type limitedBody struct {
	Body
	breath *breath
}

func (b limitedBody) take(ctx context.Context, n int) error {
	if u, ok := b.Body.(Urgent); ok && u.Urgent() {
		return nil
	}
	return b.breath.take(ctx, n)
}

func (b limitedBody) Next(ctx context.Context, limit int) ([]byte, error) {
	data, err := b.Body.Next(ctx, limit)
	if err == nil {
		err = b.take(ctx, len(data))
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
		err = b.take(ctx, n)
	}
	return dst, err
}

type limitedReader struct {
	io.ReadCloser
	ctx    context.Context
	breath *breath
}

func (r limitedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if serr := r.breath.take(r.ctx, n); serr != nil && err == nil {
		err = serr
	}
	return n, err
}
