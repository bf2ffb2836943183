package replica

import (
	"context"
	"crypto/md5" //nolint:gosec // ETags are made of it
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Comparison says how the replicas of a bucket are compared. The zero value is a scrub:
// those that serve are equals.
type Comparison struct {
	Deep bool // bytes are read and compared too, and tags

	// Target is a replica that is made like the others, which alone count: what it alone
	// holds is taken away.
	Target string
	// Beside is a replica that counts like those that serve, though it does not yet.
	Beside string
	// Prefer is whose object stands where two hold different ones. With it every replica counts.
	Prefer string
}

// trust is whose word counts for a bucket, and who is made like them.
func (c Comparison) trust(cfg commit.Config) (trust, fill object.Replicas) {
	switch {
	case c.Prefer != "":
		return cfg.Replicas, nil
	case c.Target != "":
		return cfg.Serving.Without(c.Target), object.NewReplicas(c.Target)
	case c.Beside != "":
		return cfg.Serving.With(c.Beside), nil
	}
	return cfg.Serving, nil
}

// Nominees are what the listings of a part of a bucket say.
type Nominees struct {
	Names  []string        // every key, in order
	Differ map[string]bool // of Names: those that are not listed alike everywhere
	Next   string          // After of the following part; empty: this was the last
	Silent map[string]error
}

// Nominate lists the replicas beside each other: one page of each, as far as all of them
// reach. It proves nothing of a key (H18): Compare does. Of a target that was left behind every
// key is named as one that differs: an older version of the same bytes is listed alike. SlowDown when no replica
// answers, or only one of those that count.
func (s *Set) Nominate(ctx context.Context, bucket string, c Comparison, after string, most int) (Nominees, error) {
	leave, err := s.enter()
	if err != nil {
		return Nominees{}, err
	}
	defer leave()
	b, err := s.buckets.readable(ctx, bucket)
	if err != nil {
		return Nominees{}, err
	}
	trust, fill := c.trust(b.config())
	n := Nominees{Differ: map[string]bool{}, Silent: map[string]error{}}
	pages := map[string]backend.ListPage{}
	var mu sync.Mutex // guards n and pages
	s.buckets.each(trust.Or(fill), func(replica string) {
		page, err := s.page(ctx, b, replica, after, most)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			n.Silent[replica] = err
			return
		}
		pages[replica] = page
	})
	// Who is to serve is compared with somebody: one that answers alone would pass, and be empty.
	if filled := c.Target + c.Beside; len(pages) == 0 || filled != "" && (n.Silent[filled] != nil || len(pages) == 1) {
		return n, unavailable(fmt.Errorf("replicas of bucket %s that can be compared: %w", bucket, anyOf(n.Silent)))
	}
	n.merge(pages)
	if rec := b.record(); rec.Behind.Has(c.Target) {
		for _, name := range n.Names {
			n.Differ[name] = true
		}
	}
	return n, nil
}

func anyOf(silent map[string]error) error {
	for _, err := range silent {
		return err
	}
	return errors.New("there is none")
}

func (s *Set) page(ctx context.Context, b *bucket, replica, after string, most int) (backend.ListPage, error) {
	at, err := s.at(ctx, b, replica, paced)
	if err != nil {
		return backend.ListPage{}, err
	}
	return at.list(ctx, backend.ListRequest{After: after, Max: most})
}

// merge reads the pages as far as each of them reaches.
func (n *Nominees) merge(pages map[string]backend.ListPage) {
	for _, p := range pages {
		n.Next = nearer(n.Next, p.Next)
	}
	type listed struct {
		backend.Entry
		times int
	}
	all := map[string]listed{}
	for _, p := range pages {
		for _, e := range p.Entries {
			if n.Next != "" && e.Key > n.Next || strings.HasPrefix(e.Key, object.ReservedPrefix) {
				continue
			}
			was, ok := all[e.Key]
			if ok && (was.ETag != e.ETag || was.Size != e.Size) {
				n.Differ[e.Key] = true
			}
			all[e.Key] = listed{e, was.times + 1}
		}
	}
	for key, l := range all {
		n.Names = append(n.Names, key)
		if l.times < len(pages) {
			n.Differ[key] = true
		}
	}
	slices.Sort(n.Names)
}

// What a comparison finds: commit's words, for those who may not import it.
const (
	Alike     = commit.Alike
	Pending   = commit.Pending
	Differs   = commit.Differs
	Undecided = commit.Undecided
	Unknowing = commit.Unknowing

	Missing   = commit.Missing
	Extra     = commit.Extra
	WrongTags = commit.WrongTags
)

// Wrong is commit's, for those who may not import it.
type Wrong = commit.Wrong

// Verdict is what a comparison of one key found.
type Verdict struct {
	commit.Verdict
	Bytes int64 // that were read
}

// Compare asks every replica for a key, and compares. With act, what differs has a row
// afterwards, and is healed. NoSuchBucket, SlowDown.
func (s *Set) Compare(ctx context.Context, key object.Key, c Comparison, act bool) (Verdict, error) {
	leave, err := s.enter()
	if err != nil {
		return Verdict{}, err
	}
	defer leave()
	b, err := s.buckets.readable(ctx, key.Bucket)
	if err != nil {
		return Verdict{}, err
	}
	cfg := b.config()
	trust, fill := c.trust(cfg)
	p := s.newProcess(ctx, b, key, commit.NewScrub(cfg))
	p.pace = paced
	var v Verdict
	done := false
	p.other = func(e commit.Effect) {
		switch e := e.(type) {
		case commit.Sum:
			p.asks.Go(func() {
				sum, n := s.sum(p.ctx, b, key, e)
				p.post(func() { v.Bytes += n; p.step(sum) })
			})
		case commit.Inspected:
			v.Verdict, done = e.Verdict, true
		default:
			panic(fmt.Sprintf("replica: effect %T of a scrub", e))
		}
	}
	if !p.run(commit.Inspect{Deep: c.Deep, Act: act, Trust: trust, Fill: fill, Prefer: c.Prefer}) || !done {
		return v, unavailable(context.Cause(ctx))
	}
	if p.restless() {
		s.unquiet(key)
	}
	return v, nil
}

// sum reads an object to its end.
func (s *Set) sum(ctx context.Context, b *bucket, key object.Key, e commit.Sum) (commit.Summed, int64) {
	failed := commit.Summed{Replica: e.Replica, Failed: true}
	at, err := s.at(ctx, b, e.Replica, paced)
	if err != nil {
		return failed, 0
	}
	obj, err := at.get(ctx, key.Name, backend.GetOptions{Checksums: true})
	if err != nil {
		return failed, 0
	}
	defer obj.Body.Close()
	if !obj.Shows(e.Seen.Info) {
		return failed, 0
	}
	var sizes []int64
	if strings.Contains(obj.ETag, "-") {
		sizes, _ = at.PartSizes(ctx, at.bucket, key.Name, obj.ETag) // without them the bytes prove less
	}
	w := newWitness(obj.Info, sizes)
	n, err := io.Copy(w, obj.Body)
	if err != nil || n != obj.Size {
		s.o.Logger.InfoContext(ctx, "object can not be read to its end", "key", key, "backend", e.Replica, "bytes", n, "error", err)
		return failed, n
	}
	return commit.Summed{Replica: e.Replica, Sum: hex.EncodeToString(w.whole.Sum(nil)), Proof: w.proof()}, n
}

// witness is what the bytes of an object say of it.
type witness struct {
	whole hash.Hash // MD5
	info  object.Info

	stored hash.Hash // of the algorithm of the stored checksum; nil: there is none of the whole
	want   string    // its value, base64

	parts []int64 // bytes of those to come; empty: they are not known
	part  hash.Hash
	left  int64
	md5s  []byte // of the parts so far
	n     int
}

func newWitness(info object.Info, sizes []int64) *witness {
	w := &witness{whole: md5.New(), info: info, parts: sizes} //nolint:gosec // see above
	for name, value := range info.Headers {
		algorithm, ok := strings.CutPrefix(name, object.ChecksumPrefix)
		if !ok || strings.Contains(value, "-") { // of parts
			continue
		}
		if h, err := backend.NewChecksum(algorithm); err == nil {
			w.stored, w.want = h, value
		}
	}
	w.nextPart()
	return w
}

func (w *witness) nextPart() {
	w.part = nil
	if len(w.parts) > 0 {
		w.part, w.left, w.parts = md5.New(), w.parts[0], w.parts[1:] //nolint:gosec // see above
	}
}

// Write implements io.Writer.
func (w *witness) Write(p []byte) (int, error) {
	w.whole.Write(p)
	if w.stored != nil {
		w.stored.Write(p)
	}
	for rest := p; len(rest) > 0 && w.part != nil; {
		n := min(int64(len(rest)), w.left)
		w.part.Write(rest[:n])
		rest, w.left = rest[n:], w.left-n
		if w.left == 0 {
			w.md5s, w.n = w.part.Sum(w.md5s), w.n+1
			w.nextPart()
		}
	}
	return len(p), nil
}

// proof compares the bytes with the stored checksum, or with an ETag that is made of them.
// An ETag of another form proves nothing: not every server makes it of the bytes.
func (w *witness) proof() commit.Proof {
	if w.stored != nil {
		if base64.StdEncoding.EncodeToString(w.stored.Sum(nil)) == w.want {
			return commit.Proved
		}
		return commit.Disproved
	}
	composed := md5.Sum(w.md5s) //nolint:gosec // see above
	if w.info.ETag == hex.EncodeToString(w.whole.Sum(nil)) || w.n > 0 && w.info.ETag == fmt.Sprintf("%x-%d", composed, w.n) {
		return commit.Proved
	}
	return commit.Unproved
}

// IsGone tells whether an error says that the bucket is not there any more.
func IsGone(err error) bool { return errors.Is(err, s3.NoSuchBucket) }
