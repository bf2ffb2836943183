package memory

import (
	"slices"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// store is the state of a server. Every change happens whole, under one lock.
// Keys are a sorted slice: fine for the hundred thousand of a demo or a test.
type store struct {
	mu      sync.RWMutex // guards what follows
	buckets map[string]*bucket
	bytes   int64 // of bodies stored and reserved
	max     int64
	clock   uint64 // counts requests in the order of their start
}

type bucket struct {
	created time.Time
	objects map[string]*stored
	keys    []string // of objects, sorted

	// deleted are the starts of the deletes that a start-ordered server
	// remembers, by key.
	deleted map[string]uint64

	uploads   map[string]*upload // by id
	completed completed
}

// stored is one object. It never changes.
type stored struct {
	info     object.Info
	internal map[string]string // metadata of the gateway's own; lower-case names
	tags     object.Tags
	partSums []string // the checksums of the parts; nil when they have none
	data     slabs
	started  uint64
	rotten   bool // see Rot

	shows  time.Time // when reads see it, and until then before
	before *stored
}

func newStore(maxBytes int64) *store {
	return &store{buckets: map[string]*bucket{}, max: maxBytes}
}

// tick returns the place of a request in the order of starts.
func (s *store) tick() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock++
	return s.clock
}

func (s *store) wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.buckets {
		s.bytes -= b.size()
	}
	s.buckets = map[string]*bucket{}
}

func (s *store) stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := Stats{Buckets: len(s.buckets), Bytes: s.bytes}
	for _, b := range s.buckets {
		st.Objects += len(b.keys)
		st.Uploads += len(b.uploads)
	}
	return st
}

// size is the bytes of all that is in the bucket, uploads under way included.
func (b *bucket) size() (n int64) {
	for _, o := range b.objects {
		n += o.info.Size
	}
	for _, u := range b.uploads {
		n += u.size()
	}
	return n
}

// reserve takes n bytes of the budget; InsufficientStorage. What is reserved is
// given back by release, or becomes the object's by put.
func (s *store) reserve(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > s.max-s.bytes {
		return s3.Err(s3.InsufficientStorage)
	}
	s.bytes += n
	return nil
}

func (s *store) release(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes -= n
}

// bucket is called with mu held.
func (s *store) bucket(name string) (*bucket, error) {
	if b := s.buckets[name]; b != nil {
		return b, nil
	}
	return nil, s3.Err(s3.NoSuchBucket).With("BucketName", name)
}

// put stores the object, whose bytes are reserved, if cond holds. startOrdered
// makes it a server that orders by the start of requests: a write that began
// before what stands there succeeds and changes nothing.
func (s *store) put(key object.Key, o *stored, cond s3.WriteConditions, startOrdered bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(key.Bucket)
	if err == nil {
		err = cond.Check(b.info(key.Name))
	}
	if err != nil {
		s.bytes -= o.info.Size
		return err
	}
	s.set(b, key.Name, o, startOrdered)
	return nil
}

// set makes o, whose bytes are reserved, the object of the key. It is called
// with mu held.
func (s *store) set(b *bucket, key string, o *stored, startOrdered bool) {
	if startOrdered && b.overtaken(key, o.started) {
		s.bytes -= o.info.Size
		return
	}
	if old := b.find(key); old != nil {
		s.bytes -= old.info.Size
		if !o.shows.IsZero() {
			was := *old
			was.before, o.before = nil, &was
		}
	} else {
		i, _ := slices.BinarySearch(b.keys, key)
		b.keys = slices.Insert(b.keys, i, key)
	}
	b.objects[key] = o
	delete(b.deleted, key)
}

// remove deletes the object if cond holds. Absence is success.
func (s *store) remove(key object.Key, started uint64, cond s3.WriteConditions, startOrdered bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(key.Bucket)
	if err != nil {
		return err
	}
	if err := cond.Check(b.info(key.Name)); err != nil {
		return err
	}
	s.unset(b, key.Name, started, startOrdered)
	return nil
}

// unset removes the object of the key. It is called with mu held.
func (s *store) unset(b *bucket, key string, started uint64, startOrdered bool) {
	if startOrdered {
		if b.overtaken(key, started) {
			return
		}
		b.deleted[key] = started
	}
	old := b.find(key)
	if old == nil {
		return
	}
	s.bytes -= old.info.Size
	delete(b.objects, key)
	i, _ := slices.BinarySearch(b.keys, key)
	b.keys = slices.Delete(b.keys, i, i+1)
}

func (s *store) get(key object.Key) (*stored, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, err := s.bucket(key.Bucket)
	if err != nil {
		return nil, err
	}
	if o := b.find(key.Name); o != nil {
		return o, nil
	}
	return nil, s3.Err(s3.NoSuchKey).With("Key", key.Name)
}

// check judges a condition without changing anything.
func (s *store) check(key object.Key, cond s3.WriteConditions) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, err := s.bucket(key.Bucket)
	if err != nil {
		return err
	}
	return cond.Check(b.info(key.Name))
}

// find returns nil when there is no bucket, too.
func (b *bucket) find(key string) *stored {
	if b == nil {
		return nil
	}
	return b.objects[key]
}

func (b *bucket) info(key string) object.Info {
	if o := b.objects[key]; o != nil {
		return o.info
	}
	return object.Info{}
}

// overtaken tells whether the key was written or deleted by a request that
// started later.
func (b *bucket) overtaken(key string, started uint64) bool {
	o := b.objects[key]
	return o != nil && o.started > started || b.deleted[key] > started
}

func (s *store) create(name string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[name] != nil {
		return s3.Err(s3.BucketAlreadyOwnedByYou).With("BucketName", name)
	}
	s.buckets[name] = &bucket{created: now, objects: map[string]*stored{}, deleted: map[string]uint64{}, uploads: map[string]*upload{}}
	return nil
}

func (s *store) drop(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(name)
	if err != nil {
		return err
	}
	if len(b.keys) > 0 {
		return s3.Err(s3.BucketNotEmpty).With("BucketName", name)
	}
	s.bytes -= b.size() // uploads under way go with it
	delete(s.buckets, name)
	return nil
}

func (s *store) has(name string) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, err := s.bucket(name)
	return err
}
