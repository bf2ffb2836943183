package probe

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
)

// race makes one conditional PUT per racer, all at the same time, each of a body of its own.
func (r *runner) race(ctx context.Context, key, name, value string) (bodies [][]byte, answers []answer, err error) {
	var wg sync.WaitGroup
	n := r.effort.Racers
	errs := make([]error, n)
	bodies, answers = make([][]byte, n), make([]answer, n)
	for i := range n {
		bodies[i] = pattern(key+itoa(i), 300)
		wg.Go(func() { answers[i], errs[i] = r.conditional(ctx, key, bodies[i], name, value) })
	}
	wg.Wait()
	for _, e := range errs {
		if e != nil {
			return nil, nil, e
		}
	}
	return bodies, answers, nil
}

// oneWins: whether exactly one racer is answered with success, and it is his bytes that stand.
func (r *runner) oneWins(ctx context.Context, key, name, value string) (Result, string) {
	bodies, answers, err := r.race(ctx, key, name, value)
	if err != nil {
		return unknown(err)
	}
	winners, last := 0, -1
	for i, a := range answers {
		if a.status/100 == 2 {
			winners, last = winners+1, i
		}
	}
	if winners != 1 {
		return No, fmt.Sprintf("%d of %d writers were answered with success", winners, len(answers))
	}
	switch same, err := r.holds(ctx, key, bodies[last]); {
	case err != nil:
		return unknown(err)
	case !same:
		return No, "another writer's bytes stand"
	}
	return Yes, ""
}

// createRace: of many creators one wins.
func (r *runner) createRace(ctx context.Context) (Result, string) {
	return r.oneWins(ctx, "condition/race", ifNoneMatch, "*")
}

// matchRace: of many who replace the same ETag one wins.
func (r *runner) matchRace(ctx context.Context) (Result, string) {
	const key = "condition/match-race"
	placed, err := r.conditional(ctx, key, pattern("match race", 300), "", "")
	if err != nil || placed.status/100 != 2 {
		return unknown(fmt.Errorf("status %d, %w", placed.status, err))
	}
	return r.oneWins(ctx, key, ifMatch, placed.etag)
}

// writeRace: of many who write the same key one stands afterwards, whole, and GET, HEAD and
// LIST agree on which. Unsafe: something else stands. S3 answers all of them with success,
// and so may an endpoint: who lost is found out by looking (RELIABILITY R13).
func (r *runner) writeRace(ctx context.Context) (Result, string) {
	const key = "race"
	bodies, answers, err := r.race(ctx, key, "", "")
	if err != nil {
		return unknown(err)
	}
	refused := 0
	for _, a := range answers {
		if a.status/100 != 2 {
			refused++
		}
	}
	got, obj, err := r.get(ctx, key)
	if err != nil {
		return unknown(err)
	}
	if !slices.ContainsFunc(bodies, func(b []byte) bool { return bytes.Equal(b, got) }) {
		return Unsafe, "what stands afterwards is what none of the writers sent"
	}
	if disagree, err := r.disagree(ctx, key, obj); err != nil {
		return unknown(err)
	} else if disagree != "" {
		return Unsafe, disagree
	}
	if refused > 0 {
		return Yes, fmt.Sprintf("%d of %d writers were told that they lost", refused, len(answers))
	}
	return Yes, "who loses a race is answered with success"
}

// disagree says in what HEAD and LIST differ from what a GET has shown, or nothing.
func (r *runner) disagree(ctx context.Context, key string, obj *backend.Object) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	seen, err := r.remote.Head(ctx, r.bucket, r.prefix+key)
	switch {
	case err != nil:
		return "", err
	case seen.Kind != object.Present:
		return "HEAD does not show what GET shows", nil
	case seen.ETag != obj.ETag || seen.Size != obj.Size:
		return fmt.Sprintf("GET shows ETag %q of %d bytes, HEAD %q of %d", obj.ETag, obj.Size, seen.ETag, seen.Size), nil
	}
	page, err := r.remote.List(ctx, r.bucket, backend.ListRequest{Prefix: r.prefix + key})
	if err != nil {
		return "", err
	}
	at := slices.IndexFunc(page.Entries, func(e backend.Entry) bool { return e.Key == r.prefix+key })
	if at < 0 {
		return "LIST does not show what GET shows", nil
	}
	if e := page.Entries[at]; e.ETag != obj.ETag || e.Size != obj.Size {
		return fmt.Sprintf("GET shows ETag %q of %d bytes, LIST %q of %d", obj.ETag, obj.Size, e.ETag, e.Size), nil
	}
	return "", nil
}
