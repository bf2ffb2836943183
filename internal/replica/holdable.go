package replica

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// keyTrouble is what a backend was found to do with kinds of keys.
type keyTrouble struct {
	refuses object.KeyRules // it says no
	mixes   object.KeyRules // it takes them for another key, or hides them
}

func (k keyTrouble) any() object.KeyRules { return k.refuses | k.mixes }

// folderFor is how long a key that stood for no object counts as a folder. This node
// notices by itself when it writes an object there.
const folderFor = 10 * time.Second

// folders are keys that were seen to be no objects, because others continue them.
type folders struct {
	mu   sync.Mutex // guards seen
	seen map[object.Key]time.Duration
}

func (f *folders) has(key object.Key, now time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.seen[key]
	return ok && now-at < folderFor
}

func (f *folders) add(key object.Key, now time.Duration) {
	const most = 10000
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen == nil || len(f.seen) >= most {
		f.seen = map[object.Key]time.Duration{}
	}
	f.seen[key] = now
}

func (f *folders) drop(key object.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.seen, key)
}

// holdable refuses, before anything is sent, an object of so many bytes (negative: not
// known yet) under a key that some replica of the bucket is known to refuse, to hide or
// to mix up with another one: InvalidArgument, which is 400. What only the server finds
// out becomes a refusal in the row. SlowDown when nobody can say.
func (s *Set) holdable(ctx context.Context, b *bucket, key object.Key, size int64) error {
	trouble, look := s.qualities.trouble(b.record().Replicas)
	if trouble == 0 {
		return nil
	}
	if of := object.KeyRulesOf(key.Name, size) & trouble; of != 0 {
		return s3.Errorf(s3.InvalidArgument, "A key with %s cannot be stored in this bucket: not every server that holds it keeps such a key apart from others.", of.Words()).
			With("ArgumentName", "key").With("ArgumentValue", key.Name)
	}
	if !look {
		return nil // every replica refuses by itself what must not stand side by side
	}
	return s.besides(ctx, b, key)
}

// besides refuses a key that continues another object's after a slash, or that another
// one continues. Two that are written at the same time may both pass: then it is up to
// the servers.
func (s *Set) besides(ctx context.Context, b *bucket, key object.Key) error {
	for i := 1; i < len(key.Name)-1; i++ {
		if key.Name[i] != '/' || key.Name[i-1] == '/' {
			continue
		}
		if err := s.isFolder(ctx, object.Key{Bucket: key.Bucket, Name: key.Name[:i]}); err != nil {
			return err
		}
	}
	if parent, ok := strings.CutSuffix(key.Name, "/"); ok {
		return s.isFolder(ctx, object.Key{Bucket: key.Bucket, Name: parent})
	}
	row, err := s.o.Log.Row(ctx, key)
	if err == nil && row.Cur.Kind == object.Present {
		return nil // it stands already
	}
	if err != nil && !errors.Is(err, oplog.ErrNoRow) {
		s.logFailed(callRead, err)
		return unavailable(err)
	}
	s.folders.drop(key)
	page, err := s.list(ctx, b, ListRequest{Bucket: key.Bucket, Prefix: key.Name + "/", Max: 1})
	if err != nil {
		return err
	}
	if len(page.Entries) > 0 || page.Next != "" {
		return errBeside(key, "Keys that continue it after a slash are there already")
	}
	return nil
}

// isFolder refuses a key that an object stands under.
func (s *Set) isFolder(ctx context.Context, key object.Key) error {
	now := s.o.Boot()
	if key.Name == "" || s.folders.has(key, now) {
		return nil
	}
	_, err := s.Head(ctx, key)
	switch {
	case err == nil:
		return errBeside(key, "An object stands there already")
	case !errors.Is(err, s3.NoSuchKey):
		return err
	}
	s.folders.add(key, now)
	return nil
}

func errBeside(key object.Key, why string) error {
	return s3.Errorf(s3.InvalidArgument, "%s, and not every server that holds this bucket keeps an object beside others whose keys continue its own.", why).
		With("ArgumentName", "key").With("ArgumentValue", key.Name)
}
