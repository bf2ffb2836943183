package replica

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// ListRequest selects a page of a list.
type ListRequest struct {
	Bucket, Prefix string
	After          string // a key or a common prefix; what follows it is listed
	Delimiter      string // rolls up keys that have it after Prefix; empty for none
	Max            int    // entries and prefixes together; 0 gives an empty page
	MayBeStale     bool   // as in GetRequest
}

// ListPage is a page. Entries and Prefixes are each sorted by bytes. Its strings are
// parts of larger ones: whoever keeps one for long clones it.
type ListPage struct {
	Entries  []Entry
	Prefixes []string
	Next     string // After of the following page; empty when this is the last
	Stale    bool   // the log is away, and this is what one replica lists
}

// Entry is one listed object, with what a list tells of it.
type Entry = backend.Entry

// rowsAtOnce bounds how many rows one window of a list may hold: a window ends
// where so many rows end. fewRows is what a page begins with in a bucket that had
// few of them lately: rows are read before it is known where the page ends, and most
// buckets have none.
const (
	rowsAtOnce = 1000
	fewRows    = 32
)

// windowsAtOnce bounds how far one call looks for entries to fill its page with,
// where most of what a replica lists is deleted, or hidden.
const windowsAtOnce = 10

// List returns one page of a bucket, as the log and one current replica show it
// together (RELIABILITY R23). A page may be short, even empty, and yet not the
// last, when a long stretch of what a replica lists is deleted. NoSuchBucket, SlowDown.
func (s *Set) List(ctx context.Context, r ListRequest) (ListPage, error) {
	b, err := s.buckets.readable(ctx, r.Bucket)
	if r.MayBeStale {
		b, err = s.buckets.lastKnown(r.Bucket, b, err)
	}
	if err != nil {
		return ListPage{}, err
	}
	page, err := s.list(ctx, b, r)
	if r.MayBeStale && isUnavailable(err) && s.Away() {
		page, err = s.listStale(ctx, b, r)
	}
	s.metrics.read("list", err)
	return page, err
}

func (s *Set) list(ctx context.Context, b *bucket, r ListRequest) (ListPage, error) {
	return s.listBy(ctx, &lister{set: s, b: b, r: r, limit: min(max(fewRows, 2*int(b.rowsSeen.Load())), s.window)})
}

func (s *Set) listBy(ctx context.Context, l *lister) (ListPage, error) {
	b, r := l.b, l.r
	if l.ask = r.Max; r.Max <= 0 {
		return ListPage{}, nil
	}
	var items []commit.Item
	for range windowsAtOnce {
		more, until, err := l.window(ctx)
		if err != nil {
			return ListPage{}, unavailable(err)
		}
		if len(items) == 0 {
			items = more
		} else {
			items = append(items, more...)
		}
		b.rowsSeen.Store(int64(l.seen))
		if l.full {
			l.limit = min(2*l.limit, s.window)
		}
		l.r.After, l.ask = until, s3.MaxKeys
		if until == "" || len(items) >= r.Max {
			break
		}
	}
	return l.page(items), nil
}

// lister makes one page of a list.
type lister struct {
	set     *Set
	b       *bucket
	r       ListRequest // After moves from window to window
	ask     int         // how many entries a replica is asked for
	limit   int         // how many rows a window may hold
	seen    int         // rows of the last window
	full    bool        // it ended because there were more
	rowless bool        // the log is away: nobody asks it
	spare   []Entry     // empty: memory of a replica's page that was read
	cut     bool        // the rows below the common prefix that ends the window were too many to be read
}

// page cuts what was found to the size that was asked for.
func (l *lister) page(items []commit.Item) ListPage {
	page := ListPage{Next: l.r.After}
	if len(items) > l.r.Max {
		items = items[:l.r.Max]
		page.Next = items[len(items)-1].Name
	}
	page.Entries = slices.Grow(l.spare, len(items))
	for i := range items {
		if it := &items[i]; it.Prefix {
			page.Prefixes = append(page.Prefixes, it.Name)
		} else {
			page.Entries = append(page.Entries, Entry{Key: it.Name, ETag: it.ETag, Size: it.Size, ModTime: it.ModTime})
		}
	}
	return page
}

// window finds what stands in the part of the key space that one page of a
// replica and one scan of rows both cover: rows, the page, rows again. until is
// where it ends, "" for the end of the list.
func (l *lister) window(ctx context.Context) (items []commit.Item, until string, err error) {
	l.cut = false
	before, end, err := l.rows(ctx, "", l.limit) // R23
	if err != nil {
		return nil, "", err
	}
	listed, err := l.asked(ctx)
	if err != nil {
		return nil, "", err
	}
	until = nearer(end, listed.Next)
	after, end, err := l.rows(ctx, until, l.enough(before, until))
	if err != nil {
		return nil, "", err
	}
	until = nearer(until, end)
	l.full = end != "" && until == end
	l.seen = within(after, until)
	views := commit.Views(before, after)
	if err := l.resolve(ctx, views, until); err != nil {
		return nil, "", err
	}
	w := commit.Window{Prefix: l.r.Prefix, Delimiter: l.r.Delimiter, After: l.r.After, Until: until}
	items, doubtful := commit.Overlay(l.items(listed, w), views, w)
	items, doubtful, until = l.whole(items, doubtful, w)
	dead, err := l.probe(ctx, doubtful)
	if err != nil {
		return nil, "", err
	}
	return without(items, dead), until, nil
}

// without drops common prefixes that stand for nothing, and what is our own.
func without(items []commit.Item, dead map[string]bool) []commit.Item {
	drop := func(it *commit.Item) bool {
		return it.Prefix && dead[it.Name] || strings.HasPrefix(it.Name, object.ReservedPrefix)
	}
	kept := 0
	for i := range items {
		if drop(&items[i]) {
			continue
		}
		if kept < i {
			items[kept] = items[i]
		}
		kept++
	}
	return items[:kept]
}

// within is how many rows are of keys up to until, or below it.
func within(rows []oplog.KeyRow, until string) int {
	if until == "" {
		return len(rows)
	}
	n, _ := slices.BinarySearchFunc(rows, until, func(kr oplog.KeyRow, until string) int {
		if kr.Key.Name <= until || strings.HasPrefix(kr.Key.Name, until) {
			return -1
		}
		return 1
	})
	return n
}

// enough is how many rows are read again, of a window that had these before: those up to
// its end, and some that came since. With more of them the window ends earlier.
func (l *lister) enough(before []oplog.KeyRow, until string) int {
	n := within(before, until)
	return min(n+n/4+fewRows/2, l.limit)
}

// nearer is the earlier of two ends of a window; "" is the end of all.
func nearer(a, b string) string {
	if a == "" || b != "" && b < a {
		return b
	}
	return a
}

// beyond tells whether a name of the page lies behind the window's end.
func beyond(name string, w commit.Window) bool { return w.Until != "" && name > w.Until }

// whole makes the window end between names of the list, not inside a common
// prefix: only a look below such a prefix tells whether a key is left there, and
// then all of it belongs to this page.
func (l *lister) whole(items []commit.Item, doubtful []string, w commit.Window) ([]commit.Item, []string, string) {
	for i := range items {
		if it := &items[i]; it.Prefix && it.Name != object.ReservedPrefix && strings.HasPrefix(object.ReservedPrefix, it.Name) {
			doubtful = append(doubtful, it.Name) // it may stand for nothing but our own objects
		}
	}
	p, inside := l.rolled(w.Until)
	if !inside || p == w.Until && !l.cut {
		return items, doubtful, w.Until
	}
	if !slices.ContainsFunc(items, func(it commit.Item) bool { return it.Name == p }) {
		i, _ := slices.BinarySearchFunc(items, p, func(it commit.Item, name string) int { return strings.Compare(it.Name, name) })
		items = slices.Insert(items, i, commit.Item{Name: p, Prefix: true})
	}
	return items, append(doubtful, p), p
}

// rolled is the common prefix that a name lies in or is.
func (l *lister) rolled(name string) (string, bool) {
	if name == "" || !strings.HasPrefix(name, l.r.Prefix) {
		return "", false
	}
	return (&s3.ListRequest{Prefix: l.r.Prefix, Delimiter: l.r.Delimiter}).CommonPrefix(name)
}

// rows reads the rows of the window: up to until, or up to limit of them, then end is
// the last one's name.
func (l *lister) rows(ctx context.Context, until string, limit int) (rows []oplog.KeyRow, end string, err error) {
	if l.rowless {
		return nil, "", nil
	}
	ctx, cancel := l.set.hurried(ctx)
	defer cancel()
	scan := s3.ListRequest{Prefix: l.r.Prefix, Delimiter: l.r.Delimiter, After: l.r.After}
	rows, err = l.set.o.Log.Range(ctx, l.r.Bucket, l.r.Prefix, scan.ScanAfter(), limit)
	if err != nil {
		l.set.logFailed("read", err)
		return nil, "", err
	}
	if len(rows) == limit {
		end = rows[len(rows)-1].Key.Name
	}
	if until != "" && end > until {
		p, inside := l.rolled(until)
		l.cut = inside && p == until && strings.HasPrefix(end, until)
		end = ""
	}
	return rows, end, nil
}

// asked is one page of a replica: the sticky one while it can, so that a list
// does not see times of modification jump.
func (l *lister) asked(ctx context.Context) (page backend.ListPage, err error) {
	err = errors.New("no replica that may be listed is up")
	cfg := l.b.config()
	for _, replica := range cfg.First(l.set.up(l.b)) {
		if !cfg.Serving.Has(replica) {
			continue
		}
		at, placeErr := l.set.at(ctx, l.b, replica, clients)
		if placeErr != nil {
			err = placeErr
			continue
		}
		page, listErr := at.list(ctx, backend.ListRequest{Prefix: l.r.Prefix, After: l.r.After, Delimiter: l.r.Delimiter, Max: min(l.ask, s3.MaxKeys)})
		if listErr == nil {
			return page, nil
		}
		if err = listErr; ctx.Err() != nil {
			break
		}
	}
	return backend.ListPage{}, err
}

// spareItems is room for what rows put on a page.
const spareItems = 32

// items are those of a replica's page up to the window's end. What the page is kept in is
// free then.
func (l *lister) items(page backend.ListPage, w commit.Window) []commit.Item {
	items := make([]commit.Item, 0, len(page.Entries)+len(page.Prefixes)+spareItems)
	for i := range page.Entries {
		if e := &page.Entries[i]; !beyond(e.Key, w) {
			items = append(items, commit.Item{Name: e.Key, ETag: e.ETag, Size: e.Size, ModTime: e.ModTime})
		}
	}
	for _, p := range page.Prefixes {
		if !beyond(p, w) {
			items = append(items, commit.Item{Name: p, Prefix: true})
		}
	}
	l.spare = page.Entries[:0]
	return items
}

// readsAtOnce bounds the reads that one page of a list asks for at a time.
const readsAtOnce = 8

// resolve reads the keys of the window of which the log does not know yet what
// stands there.
func (l *lister) resolve(ctx context.Context, views []commit.View, until string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for i := range views {
		if name := views[i].Name; !views[i].Open || until != "" && name > until && !strings.HasPrefix(name, until) {
			continue
		}
		group.Go(func() error {
			v, err := l.set.Head(ctx, object.Key{Bucket: l.r.Bucket, Name: views[i].Name})
			switch {
			case errors.Is(err, s3.NoSuchKey):
				views[i].Info = object.Info{Kind: object.Tombstone}
			case err != nil:
				return err
			default:
				views[i].Info = v.Info
			}
			views[i].Open = false
			return nil
		})
	}
	return group.Wait()
}

// probe finds out which common prefixes stand for nothing: no key below them is
// left.
func (l *lister) probe(ctx context.Context, prefixes []string) (dead map[string]bool, err error) {
	dead = map[string]bool{}
	for _, p := range prefixes {
		alive, err := l.anyBelow(ctx, p)
		if err != nil {
			return nil, err
		}
		dead[p] = !alive
	}
	return dead, nil
}

// anyBelow tells whether a key with the prefix is left.
func (l *lister) anyBelow(ctx context.Context, prefix string) (bool, error) {
	ask := ListRequest{Bucket: l.r.Bucket, Prefix: prefix, Max: s3.MaxKeys}
	if prefix == "." { // MinIO refuses to look for what begins with a dot: the names that follow the last one in front of it tell
		ask.Prefix, ask.After = "", string('.'-1)+string(utf8.MaxRune)
	}
	list := l.set.list
	if l.rowless {
		list = l.set.listStale
	}
	for {
		page, err := list(ctx, l.b, ask)
		if err != nil || len(page.Entries) > 0 {
			return err == nil && strings.HasPrefix(page.Entries[0].Key, prefix), err
		}
		if ask.After = page.Next; ask.After == "" {
			return false, nil
		}
	}
}
