package probe

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"time"
)

const (
	ifNoneMatch = "If-None-Match"
	ifMatch     = "If-Match"
)

// conditional makes a conditional PUT.
func (r *runner) conditional(ctx context.Context, key string, data []byte, name, value string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return r.wire.put(ctx, r.bucket, r.full(key), data, name, value)
}

// createOnce: whether If-None-Match: * creates an absent object and leaves one
// that stands alone.
func (r *runner) createOnce(ctx context.Context) (Result, string) {
	const key = "condition/once"
	first, second := pattern("once 1", 300), pattern("once 2", 300)
	switch a, err := r.conditional(ctx, key, first, ifNoneMatch, "*"); {
	case err != nil:
		return unknown(err)
	case a.status/100 != 2:
		return No, fmt.Sprintf("an absent object is answered %d", a.status)
	}
	a, err := r.conditional(ctx, key, second, ifNoneMatch, "*")
	if err != nil {
		return unknown(err)
	}
	switch same, err := r.holds(ctx, key, first); {
	case err != nil:
		return unknown(err)
	case !same:
		return No, fmt.Sprintf("it is overwritten in spite of the condition (%d)", a.status)
	case a.status != 412 && a.status != 409:
		return No, fmt.Sprintf("an object that stands is answered %d", a.status)
	}
	return Yes, ""
}

// ifMatch: whether If-Match lets the right ETag through, and nothing else.
func (r *runner) ifMatch(ctx context.Context) (Result, string) {
	const key = "condition/match"
	old, next := pattern("match 1", 300), pattern("match 2", 300)
	switch a, err := r.conditional(ctx, key, old, ifMatch, `"0123456789abcdef0123456789abcdef"`); {
	case err != nil:
		return unknown(err)
	case a.status/100 == 2:
		return No, "it creates an absent object"
	}
	placed, err := r.conditional(ctx, key, old, "", "")
	if err != nil || placed.status/100 != 2 {
		return unknown(fmt.Errorf("status %d, %w", placed.status, err))
	}
	if _, err := r.conditional(ctx, key, next, ifMatch, `"0123456789abcdef0123456789abcdef"`); err != nil {
		return unknown(err)
	}
	switch same, err := r.holds(ctx, key, old); {
	case err != nil:
		return unknown(err)
	case !same:
		return No, "another ETag overwrites it"
	}
	switch a, err := r.conditional(ctx, key, next, ifMatch, placed.etag); {
	case err != nil:
		return unknown(err)
	case a.status/100 != 2:
		return No, fmt.Sprintf("its own ETag is answered %d", a.status)
	}
	return Yes, ""
}

// heldWait is how long another write is given to get past a held one.
const heldWait = 3 * time.Second

// judgeWait is how long a server is given to judge the condition of a write that it has the
// head of, before another write makes it false.
const judgeWait = 150 * time.Millisecond

// heldCondition: whether a condition that becomes false while the body is on
// its way is judged at the end, and whether such a body keeps other writes out
// (RELIABILITY H10).
func (r *runner) heldCondition(ctx context.Context) (Result, string) {
	const key = "condition/held"
	old, held, between := pattern("held 0", 300), pattern("held 1", bodySize), pattern("held 2", 300)
	placed, err := r.conditional(ctx, key, old, "", "")
	if err != nil || placed.status/100 != 2 {
		return unknown(fmt.Errorf("status %d, %w", placed.status, err))
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	reader, writer := io.Pipe()
	defer writer.CloseWithError(errCut)
	type outcome struct {
		answer
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		a, err := r.wire.putHeld(ctx, r.bucket, r.full(key), reader, len(held), sha256.Sum256(held), ifMatch, placed.etag)
		reader.CloseWithError(errCut) // a writer waits for nobody
		done <- outcome{a, err}
	}()
	if _, err := writer.Write(held[:len(held)/2]); err != nil {
		o := <-done
		return No, fmt.Sprintf("a held body is answered %d, %v", o.status, o.err)
	}
	select { // a server that judges on arrival has judged by then
	case <-time.After(judgeWait):
	case <-ctx.Done():
	}
	brief, stop := context.WithTimeout(ctx, heldWait)
	other, err := r.wire.put(brief, r.bucket, r.full(key), between, "", "")
	stop()
	if err != nil || other.status/100 != 2 {
		return No, "a held conditional write keeps others out"
	}
	_, _ = writer.Write(held[len(held)/2:]) // an early answer may have closed it
	_ = writer.Close()                      // a pipe's never fails
	o := <-done
	switch same, err := r.holds(ctx, key, between); {
	case err != nil:
		return unknown(err)
	case !same:
		return No, fmt.Sprintf("a condition that became false on the way did not hold (%d)", o.status)
	}
	return Yes, "" // that the connection broke with the refusal is no matter
}

// heldBody is a Body whose second half comes when it is let go.
type heldBody struct {
	*repeated
	halfway chan struct{} // closed when the first half is taken
	letGo   chan struct{}
	half    int // bytes that are left then
}

func (b *heldBody) Next(ctx context.Context, limit int) ([]byte, error) {
	if left := b.left - b.half; left > 0 {
		return b.repeated.Next(ctx, min(limit, left))
	} else if left == 0 {
		close(b.halfway)
		select {
		case <-b.letGo:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return b.repeated.Next(ctx, limit)
}

// slowSize makes a body before which the endpoint is asked whether it may come:
// the answer proves that the write has begun there.
const slowSize = 3 << 19

// completion: whether of two overlapping writes the one that ends last stands;
// otherwise it is the one that began last (RELIABILITY R8, R13).
func (r *runner) completion(ctx context.Context) (Result, string) {
	const key = "order"
	quick := pattern("order 2", 300)
	slow, framing, _ := repeat(pattern("order 1", 64<<10), slowSize)
	b := &heldBody{repeated: slow, halfway: make(chan struct{}), letGo: make(chan struct{}), half: slowSize / 2}
	done := make(chan error, 1)
	go func() {
		_, err := r.upload(ctx, key, slowSize, b, framing, nil)
		done <- err
	}()
	select {
	case <-b.halfway:
	case err := <-done:
		return unknown(fmt.Errorf("an upload ended before its body: %w", err))
	}
	err := r.put(ctx, key, quick, nil)
	close(b.letGo)
	if slowErr := <-done; err != nil || slowErr != nil {
		return unknown(fmt.Errorf("overlapping writes: %w, %w", err, slowErr))
	}
	switch stands, err := r.length(ctx, key); {
	case err != nil:
		return unknown(err)
	case stands == slowSize:
		return Yes, "the write that ends last stands"
	}
	return No, "the write that begins last stands, and the other one is answered with success"
}
