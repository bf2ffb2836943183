//go:build chaos

package chaos

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // S3's ETag
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

const bucket = "chaos"

// perKey and doubtPerKey bound the operations of one key, and those of unknown
// outcome, so that its history can be judged; another key takes its place then.
const (
	perKey      = 150
	doubtPerKey = 8
)

// clients are the load.
type clients struct {
	t       *testing.T
	target  *harness.Client
	hist    *history
	stop    chan struct{}
	running sync.WaitGroup
	flight  atomic.Int64 // requests under way
	serial  atomic.Int64

	failures [100]atomic.Int64 // by client: requests without an answer that says something

	mu     sync.Mutex // guards the rest
	missed []failure  // requests without an answer that says something
	bodies map[string]body
	turn   map[string]int // how often a place in the key space was replaced
	wrong  []string       // answers that no order of operations explains
}

// failure is a request without an answer that says something.
type failure struct {
	at   time.Duration
	text string
}

// failed takes note of one.
func (c *clients) failed(client int, what, key string, a wire.Answer, err error) {
	c.failures[client].Add(1)
	c.hist.tally(what)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.missed = append(c.missed, failure{time.Since(c.hist.began), fmt.Sprintf("%s of %s: %v (%v)", what, key, a, err)})
}

// failedSince are the failures after a moment of the history.
func (c *clients) failedSince(at time.Duration) (all []failure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.missed {
		if f.at >= at {
			all = append(all, f)
		}
	}
	return all
}

// body is how to make the bytes of a write again: a run has too many to keep.
type body struct {
	line string
	size int
}

func (b body) bytes() []byte { return bytes.Repeat([]byte(b.line), b.size/len(b.line)+1) }

func newClients(t *testing.T, target *harness.Client) *clients {
	return &clients{
		t: t, target: target, hist: newHistory(), stop: make(chan struct{}),
		bodies: map[string]body{}, turn: map[string]int{},
	}
}

// names of the key space: one hot key, some warm, many cold.
func (c *clients) key(rnd *rand.Rand) string {
	place := "hot"
	switch d := rnd.IntN(10); {
	case d >= 7:
		place = fmt.Sprintf("cold-%d", rnd.IntN(100))
	case d >= 2:
		place = fmt.Sprintf("warm-%d", rnd.IntN(12))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	name := fmt.Sprintf("%s/%d", place, c.turn[place])
	if all, doubt := c.hist.size(name); all >= perKey || doubt >= doubtPerKey {
		c.turn[place]++
		name = fmt.Sprintf("%s/%d", place, c.turn[place])
	}
	return name
}

// body is unique, and names its writer all along.
func (c *clients) body(client int, rnd *rand.Rand) (data []byte, etag string) {
	size := 1 + rnd.IntN(20<<10)
	if rnd.IntN(8) == 0 {
		size = 300<<10 + rnd.IntN(900<<10) // a stream, with a held tail
	}
	b := body{fmt.Sprintf("client %d write %d;", client, c.serial.Add(1)), size}
	data = b.bytes()
	sum := md5.Sum(data) //nolint:gosec // S3's ETag
	etag = hex.EncodeToString(sum[:])
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies[etag] = b
	return data, etag
}

// written is the body of an ETag; ok is false when nobody wrote it.
func (c *clients) written(etag string) (b body, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok = c.bodies[etag]
	return b, ok
}

func (c *clients) blame(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
}

func (c *clients) start(n int, seed uint64) {
	for i := range n {
		rnd := rand.New(rand.NewPCG(seed, uint64(i)))
		c.running.Go(func() {
			last := map[string]string{} // ETags that this client saw
			rest := time.Duration(0)
			for {
				select {
				case <-c.stop:
					return
				case <-time.After(rest):
				}
				c.flight.Add(1)
				answered := c.step(i, rnd, last)
				c.flight.Add(-1)
				if answered {
					rest = 0
				} else { // as SDKs do
					rest = min(max(2*rest, 100*time.Millisecond), 2*time.Second)
				}
			}
		})
	}
}

// requestLimit is how long a client waits; then it hangs up.
const requestLimit = 20 * time.Second

// step does one operation, and tells whether it was answered.
func (c *clients) step(client int, rnd *rand.Rand, last map[string]string) bool {
	key := c.key(rnd)
	failed := c.failures[client].Load()
	ctx, cancel := context.WithTimeout(context.Background(), requestLimit)
	defer cancel()
	switch d := rnd.IntN(100); {
	case d < 24:
		c.put(ctx, client, rnd, key, call{verb: verbWrite})
	case d < 30:
		mine := c.newTags()
		c.put(ctx, client, rnd, key, call{verb: verbWrite, tags: mine}, wire.Field{Name: "x-amz-tagging", Value: mine})
	case d < 38:
		c.put(ctx, client, rnd, key, call{verb: verbCreate}, wire.Field{Name: "If-None-Match", Value: "*"})
	case d < 46 && last[key] != "":
		c.put(ctx, client, rnd, key, call{verb: verbReplace, old: last[key]}, wire.Field{Name: "If-Match", Value: `"` + last[key] + `"`})
	case d < 50: // hangs up half-way
		early, hangUp := context.WithTimeout(ctx, time.Duration(rnd.IntN(30))*time.Millisecond)
		defer hangUp()
		c.put(early, client, rnd, key, call{verb: verbWrite, hasty: true})
	case d < 55:
		c.remove(ctx, client, key)
	case d < 58:
		c.removeMany(ctx, client, key, c.key(rnd), c.key(rnd))
	case d < 62:
		c.copy(ctx, client, rnd, key)
	case d < 65:
		c.upload(ctx, client, rnd, key)
	case d < 69:
		c.tag(ctx, client, rnd, key)
	case d < 73:
		c.readTags(ctx, client, key)
	case d < 84:
		last[key] = c.get(ctx, client, rnd, key)
	case d < 92:
		last[key] = c.head(ctx, client, key)
	default:
		c.list(ctx, client, key)
	}
	return c.failures[client].Load() == failed
}

// ask sends a request, again while nobody listens: then nothing was sent. It
// returns when the attempt that counts began.
func (c *clients) ask(ctx context.Context, send func() (wire.Answer, error)) (a wire.Answer, began int64, err error) {
	for {
		began = c.hist.now()
		a, err = send()
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return a, began, err
		}
		select {
		case <-ctx.Done():
			return a, began, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (c *clients) put(ctx context.Context, client int, rnd *rand.Rand, key string, in call, header ...wire.Field) {
	data, etag := c.body(client, rnd)
	in.value = etag
	mode := wire.Modes[rnd.IntN(len(wire.Modes))]
	a, began, err := c.ask(ctx, func() (wire.Answer, error) { return c.target.Put(ctx, bucket, key, mode, data, header...) })
	if err == nil && a.Status == 200 && strings.Trim(a.Header.Get("ETag"), `"`) != etag {
		c.blame("PUT %s: its ETag is %s, not %s", key, a.Header.Get("ETag"), etag)
	}
	c.wrote(client, key, in, a, err, began)
}

func (c *clients) remove(ctx context.Context, client int, key string) {
	a, began, err := c.ask(ctx, func() (wire.Answer, error) { return c.target.Delete(ctx, bucket, key) })
	c.wrote(client, key, call{verb: verbWrite}, a, err, began)
}

// removeMany deletes keys with one request; each has a result, and a history, of its own.
func (c *clients) removeMany(ctx context.Context, client int, keys ...string) {
	slices.Sort(keys)
	keys = slices.Compact(keys)
	var doc strings.Builder
	for _, key := range keys {
		doc.WriteString("<Object><Key>" + key + "</Key></Object>")
	}
	body := "<Delete>" + doc.String() + "</Delete>"
	sum := md5.Sum([]byte(body)) //nolint:gosec // Content-MD5
	digest := wire.Field{Name: "Content-MD5", Value: base64.StdEncoding.EncodeToString(sum[:])}
	a, began, err := c.ask(ctx, func() (wire.Answer, error) {
		return c.target.Do(ctx, "POST", bucket, "", "delete=", []byte(body), digest)
	})
	for _, key := range keys {
		own := a
		if err == nil && a.Status == 200 && !bytes.Contains(a.Body, []byte("<Deleted><Key>"+key+"</Key></Deleted>")) {
			own.Status = 503 // an Error that names it
		}
		c.wrote(client, key, call{verb: verbWrite}, own, err, began)
	}
	c.hist.tally("batch deleted")
}

// copy writes the bytes of an object that this client has put elsewhere before, and that
// nobody changes.
func (c *clients) copy(ctx context.Context, client int, rnd *rand.Rand, key string) {
	data, etag := c.body(client, rnd)
	source := fmt.Sprintf("source/%s", etag)
	a, _, err := c.ask(ctx, func() (wire.Answer, error) { return c.target.Put(ctx, bucket, source, wire.Literal, data) })
	if err != nil || a.Status != 200 {
		return // it is not copied, and nobody reads it
	}
	header := []wire.Field{{Name: "x-amz-copy-source", Value: "/" + bucket + "/" + source}}
	in := call{verb: verbWrite, value: etag}
	if rnd.IntN(2) == 0 {
		in.tags = c.newTags()
		header = append(header, wire.Field{Name: "x-amz-tagging-directive", Value: "REPLACE"}, wire.Field{Name: "x-amz-tagging", Value: in.tags})
	}
	a, began, err := c.ask(ctx, func() (wire.Answer, error) { return c.target.Do(ctx, "PUT", bucket, key, "", nil, header...) })
	switch {
	case err == nil && a.Status == 200 && !bytes.Contains(a.Body, []byte("<CopyObjectResult")):
		a.Status = 503 // an Error after blanks
	case err == nil && a.Status == 200 && !bytes.Contains(a.Body, []byte(etag)):
		c.blame("a copy to %s has another ETag than its source, %s: %s", key, etag, a.Body)
	}
	if err == nil && a.Status == 200 {
		c.hist.tally("copied")
	}
	c.wrote(client, key, in, a, err, began)
}

// wrote records a mutation by its answer. Whatever is not a success or a
// condition's refusal may have taken effect, or will, unless nobody listened.
func (c *clients) wrote(client int, key string, in call, a wire.Answer, err error, began int64) {
	out := result{}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		c.failed(client, "not sent", key, a, err)
		return
	case err != nil && in.hasty:
		c.hist.tally("hung up")
	case err != nil || a.Status/100 == 5:
		c.failed(client, "write in doubt", key, a, err)
	case a.Status/100 == 2:
		out.known = true
		c.hist.tally("write acknowledged")
	case a.Status == 412 || a.Status == 404 && (in.verb == verbReplace || in.verb == verbTag):
		out.known, out.refused = true, true
		c.hist.tally("condition refused")
	default:
		c.blame("a write of %s is answered %v", key, a)
	}
	c.hist.add(client, key, in, out, began)
}

func (c *clients) get(ctx context.Context, client int, rnd *rand.Rand, key string) string {
	var header []wire.Field
	from, to := 0, -1
	if rnd.IntN(3) == 0 {
		from = rnd.IntN(2000)
		to = from + rnd.IntN(3000)
		header = append(header, wire.Field{Name: "Range", Value: fmt.Sprintf("bytes=%d-%d", from, to)})
	}
	a, began, err := c.ask(ctx, func() (wire.Answer, error) { return c.target.Get(ctx, bucket, key, header...) })
	if err == nil && a.Status == 416 {
		return "" // it says nothing of which version
	}
	etag := c.read(client, key, a, err, began)
	if etag == "" {
		return ""
	}
	b, _ := c.written(etag)
	want := b.bytes()
	if to >= 0 && a.Status == 206 {
		want = want[min(from, len(want)):min(to+1, len(want))]
	}
	if !bytes.Equal(a.Body, want) {
		c.blame("GET %s: %d bytes are not those of its ETag %s", key, len(a.Body), etag)
	}
	return etag
}

func (c *clients) head(ctx context.Context, client int, key string) string {
	a, began, err := c.ask(ctx, func() (wire.Answer, error) { return c.target.Do(ctx, "HEAD", bucket, key, "", nil) })
	return c.read(client, key, a, err, began)
}

// read records what a GET or HEAD saw. One without an answer saw nothing.
func (c *clients) read(client int, key string, a wire.Answer, err error, began int64) string {
	out := result{}
	switch {
	case err != nil || a.Status/100 == 5:
		c.failed(client, "read failed", key, a, err)
		return ""
	case a.Status/100 == 2:
		out.value = strings.Trim(a.Header.Get("ETag"), `"`)
		if _, ok := c.written(out.value); !ok {
			c.blame("%s shows an ETag that nobody wrote: %s", key, out.value)
			return ""
		}
	case a.Status != 404:
		c.blame("a read of %s is answered %v", key, a)
		return ""
	}
	c.hist.tally("read answered")
	c.hist.add(client, key, call{verb: verbRead}, out, began)
	return out.value
}

func (c *clients) list(ctx context.Context, client int, key string) {
	a, began, err := c.ask(ctx, func() (wire.Answer, error) {
		return c.target.Do(ctx, "GET", bucket, "", wire.Query("list-type", "2", "prefix", key), nil)
	})
	if err != nil || a.Status/100 == 5 {
		c.failed(client, "read failed", key, a, err)
		return
	}
	if a.Status != 200 {
		c.blame("a LIST is answered %v", a)
		return
	}
	c.hist.tally("read answered")
	present := bytes.Contains(a.Body, []byte("<Key>"+key+"</Key>"))
	c.hist.add(client, key, call{verb: verbPresence}, result{present: present}, began)
}
