package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// lateAfter is how late a write may show whose sender is gone and yet count as prompt.
const lateAfter = time.Second

// look is the pause between two looks.
const look = 10 * time.Millisecond

// late: how late a write shows whose sender went away as soon as the last byte was sent.
// That is what the settle time has to cover (RELIABILITY A3); what is measured here is
// an idle endpoint, and a loaded one takes longer.
func (r *runner) late(ctx context.Context) (Result, string) {
	var mu sync.Mutex // guards the results
	var delays []time.Duration
	var never []string
	var group errgroup.Group
	group.SetLimit(cutsAtOnce)
	for i := range r.effort.Late {
		group.Go(func() error {
			key := "late/" + itoa(i)
			delay, shown, err := r.abandon(ctx, key)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && shown {
				delays = append(delays, delay)
			} else if err == nil {
				never = append(never, key)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return unknown(err)
	}
	pause(ctx, r.effort.Watch-r.effort.LateWait)
	later := 0
	for _, key := range never {
		absent, err := r.absent(ctx, key)
		if err != nil {
			return unknown(err)
		}
		if !absent {
			later++
		}
	}
	slices.Sort(delays)
	detail := fmt.Sprintf("of %d writes whose sender went away %d were applied", r.effort.Late, len(delays)+later)
	if n := len(delays); n > 0 {
		detail += fmt.Sprintf(", half of them within %s, all but %d within %s", delays[n/2].Round(time.Millisecond), later, delays[n-1].Round(time.Millisecond))
	}
	if later > 0 || len(delays) > 0 && delays[len(delays)-1] > lateAfter {
		return No, detail + ": the settle time must cover what comes later still"
	}
	return Yes, detail
}

// abandon sends a whole write and resets the connection, and waits for the object.
func (r *runner) abandon(ctx context.Context, key string) (delay time.Duration, shown bool, err error) {
	if err := r.abandoned(ctx, key); err != nil {
		return 0, false, err
	}
	gone := time.Now()
	for {
		absent, err := r.absent(ctx, key)
		if err != nil {
			return 0, false, err
		}
		if since := time.Since(gone); !absent || since > r.effort.LateWait {
			return since, !absent, nil
		}
		if pause(ctx, look); ctx.Err() != nil {
			return 0, false, context.Cause(ctx)
		}
	}
}

func (r *runner) abandoned(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, body, _, err := r.wire.framed(ctx, CutLiteral, r.bucket, r.full(key), pattern(key, 1000))
	if err != nil {
		return err
	}
	l, err := r.wire.open(ctx, req, len(body))
	if err != nil {
		return err
	}
	defer l.reset()
	_, err = l.Write(body)
	return err
}

// idle: whether an upload that brings nothing more is ended by the endpoint, and when. That
// ends, too, what a gateway that was stopped holds open (RELIABILITY 4.7), and it is the
// longest that a tail can be held back without a byte.
func (r *runner) idle(ctx context.Context) (Result, string) {
	const key = "idle"
	data := pattern(key, bodySize)
	limit, cancel := context.WithTimeout(ctx, r.effort.Idle+callTimeout)
	defer cancel()
	req, body, tail, err := r.wire.framed(limit, CutLiteral, r.bucket, r.full(key), data)
	if err != nil {
		return unknown(err)
	}
	l, err := r.wire.open(limit, req, len(body))
	if err != nil {
		return unknown(err)
	}
	defer l.reset()
	defer context.AfterFunc(ctx, l.reset)()
	if _, err := l.Write(body[:len(body)-tail]); err != nil {
		return unknown(err)
	}
	began := time.Now()
	_ = l.SetReadDeadline(began.Add(r.effort.Idle)) // an open connection takes it
	var one [1]byte
	n, err := l.Read(one[:])
	took := time.Since(began).Round(time.Second)
	var timeout interface{ Timeout() bool }
	switch {
	case ctx.Err() != nil:
		return unknown(context.Cause(ctx))
	case n > 0 || err != nil && !(errors.As(err, &timeout) && timeout.Timeout()):
		return Yes, fmt.Sprintf("an upload without a byte for %s is ended", took)
	}
	_ = l.SetReadDeadline(time.Now().Add(callTimeout)) // likewise
	if _, err := l.Write(body[len(body)-tail:]); err != nil {
		return Yes, fmt.Sprintf("an upload without a byte for %s is ended", took)
	}
	a, err := l.answer(req)
	if err != nil || a.status/100 != 2 {
		return Yes, fmt.Sprintf("an upload without a byte for %s fails at its end (%d)", took, a.status)
	}
	return No, fmt.Sprintf("an upload without a byte for %s goes on", took)
}
