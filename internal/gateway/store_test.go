package gateway_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/gateway"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// testTime is when everything in a store was written.
var testTime = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// store is the Replicas of the tests: one copy in memory, and hooks for bad
// days.
type store struct {
	classTold bool       // what replica.Version.ClassTold says
	mu        sync.Mutex // guards buckets and calls
	buckets   map[string]map[string]*stored
	set       map[string]string // settings, by bucket and name
	calls     []string          // of methods, in order
	uploads   uploads

	before func(ctx context.Context, method string) error // runs before each call, and may refuse it
	body   func(io.Reader) io.Reader                      // stands between an object and its reader
	after  time.Duration                                  // how long a Put takes once it has its body
}

type stored struct {
	info object.Info
	data []byte
}

var _ gateway.Replicas = (*store)(nil)

func newStore(buckets ...string) *store {
	s := &store{buckets: map[string]map[string]*stored{}, set: map[string]string{}}
	for _, b := range buckets {
		s.buckets[b] = map[string]*stored{}
	}
	return s
}

// begin notes a call and returns why it must fail.
func (s *store) begin(ctx context.Context, method string) error {
	s.mu.Lock()
	s.calls = append(s.calls, method)
	s.mu.Unlock()
	if s.before != nil {
		return s.before(ctx, method)
	}
	return nil
}

// called returns the calls since it was asked last.
func (s *store) called() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// snapshot is what a test compares to know that nothing was changed.
func (s *store) snapshot() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := maps.Clone(s.set)
	for b, objects := range s.buckets {
		all[b] = ""
		for k, o := range objects {
			all[b+"/"+k] = string(o.data) + s3.TaggingHeader(o.info.Tags)
		}
	}
	return all
}

// find returns the object, or a tombstone.
func (s *store) find(key object.Key) (*stored, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	objects, ok := s.buckets[key.Bucket]
	if !ok {
		return nil, s3.Err(s3.NoSuchBucket).With("BucketName", key.Bucket)
	}
	if o := objects[key.Name]; o != nil {
		return o, nil
	}
	return &stored{}, nil
}

func (s *store) present(key object.Key) (*stored, error) {
	o, err := s.find(key)
	if err == nil && o.info.Kind == object.Tombstone {
		return nil, s3.Err(s3.NoSuchKey).With("Key", key.Name)
	}
	return o, err
}

func (s *store) Put(ctx context.Context, r replica.PutRequest) (object.Info, error) {
	if err := s.begin(ctx, "Put"); err != nil {
		return object.Info{}, err
	}
	old, err := s.find(r.Key)
	if err != nil {
		return object.Info{}, err
	}
	if err := r.If.Check(old.info); err != nil {
		return object.Info{}, err
	}
	r.Body.ComputeMD5()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return object.Info{}, err
	}
	o := &stored{data: data, info: object.Info{
		Kind: object.Present, ETag: hex.EncodeToString(r.Body.MD5()), Size: int64(len(data)),
		ModTime: testTime, Headers: r.Headers.Clone(), Tags: r.Tags,
	}}
	if algorithm, value := r.Body.Checksum(); algorithm != "" {
		o.info.Headers[object.ChecksumPrefix+algorithm] = value
	}
	if err := slow(s.after)(ctx, "Put"); err != nil {
		return object.Info{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets[r.Key.Bucket][r.Key.Name] = o
	return o.info, nil
}

func (s *store) Delete(ctx context.Context, r replica.DeleteRequest) error {
	if err := s.begin(ctx, "Delete"); err != nil {
		return err
	}
	old, err := s.find(r.Key)
	if err != nil {
		return err
	}
	if err := r.If.Check(old.info); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.buckets[r.Key.Bucket], r.Key.Name)
	return nil
}

func (s *store) Copy(ctx context.Context, r replica.CopyRequest) (object.Info, error) {
	if err := s.begin(ctx, "Copy"); err != nil {
		return object.Info{}, err
	}
	from, err := s.present(r.Source)
	if err != nil {
		return object.Info{}, err
	}
	if err := r.Check(from.info); err != nil {
		return object.Info{}, err
	}
	old, err := s.find(r.Key)
	if err != nil {
		return object.Info{}, err
	}
	if err := r.If.Check(old.info); err != nil {
		return object.Info{}, err
	}
	to := &stored{data: from.data, info: from.info}
	to.info.Headers, to.info.Tags = r.Headers(from.info.Headers), r.Tags(from.info.Tags)
	if v := from.info.Headers["x-amz-checksum-crc32"]; v != "" && (r.Algorithm == "" || r.Algorithm == "crc32") {
		to.info.Headers["x-amz-checksum-crc32"] = v
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets[r.Key.Bucket][r.Key.Name] = to
	return to.info, nil
}

func (s *store) DeleteMany(ctx context.Context, r replica.DeleteManyRequest) ([]error, error) {
	if err := s.begin(ctx, "DeleteMany"); err != nil {
		return nil, err
	}
	var results []error
	for _, o := range r.Objects {
		old, err := s.find(object.Key{Bucket: r.Bucket, Name: o.Name})
		if err != nil {
			return nil, err
		}
		if err = o.If.Check(old.info); err == nil {
			s.mu.Lock()
			delete(s.buckets[r.Bucket], o.Name)
			s.mu.Unlock()
		}
		results = append(results, err)
	}
	return results, nil
}

func (s *store) version(o *stored) replica.Version {
	return replica.Version{Info: o.info, Replica: "eu-1", Status: "PENDING", TagCount: len(o.info.Tags), ClassTold: s.classTold}
}

func (s *store) Head(ctx context.Context, key object.Key) (replica.Version, error) {
	if err := s.begin(ctx, "Head"); err != nil {
		return replica.Version{}, err
	}
	o, err := s.present(key)
	if err != nil {
		return replica.Version{}, err
	}
	return s.version(o), nil
}

func (s *store) Peek(ctx context.Context, key object.Key) (replica.Version, error) {
	return s.Head(ctx, key)
}

func (s *store) Get(ctx context.Context, r replica.GetRequest) (*replica.Object, error) {
	if err := s.begin(ctx, "Get"); err != nil {
		return nil, err
	}
	o, err := s.present(r.Key)
	if err != nil {
		return nil, err
	}
	if err := r.Check(o.info); err != nil {
		return nil, err
	}
	part := s3.Range{Length: o.info.Size, Size: o.info.Size}
	if r.RangeApplies == nil || r.RangeApplies(o.info) {
		if part, err = s3.ParseRange(r.Range, o.info.Size); err != nil {
			return nil, err
		}
	}
	var body io.Reader = bytes.NewReader(o.data[part.Offset : part.Offset+part.Length])
	if s.body != nil {
		body = s.body(body)
	}
	return &replica.Object{Version: s.version(o), Range: part, Body: io.NopCloser(body)}, nil
}

func (s *store) List(ctx context.Context, r replica.ListRequest) (replica.ListPage, error) {
	if err := s.begin(ctx, "List"); err != nil {
		return replica.ListPage{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	objects, ok := s.buckets[r.Bucket]
	if !ok {
		return replica.ListPage{}, s3.Err(s3.NoSuchBucket)
	}
	var page replica.ListPage
	last := ""
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		name, rolled := key, false
		if !strings.HasPrefix(key, r.Prefix) {
			continue
		}
		if r.Delimiter != "" {
			if i := strings.Index(key[len(r.Prefix):], r.Delimiter); i >= 0 {
				name, rolled = key[:len(r.Prefix)+i+len(r.Delimiter)], true
			}
		}
		if name <= r.After || rolled && name == last {
			continue
		}
		if len(page.Entries)+len(page.Prefixes) == r.Max {
			page.Next = last
			break
		}
		last = name
		if rolled {
			page.Prefixes = append(page.Prefixes, name)
		} else {
			info := objects[key].info
			page.Entries = append(page.Entries, replica.Entry{Key: key, ETag: info.ETag, Size: info.Size, ModTime: info.ModTime})
		}
	}
	return page, nil
}

func (s *store) Buckets(ctx context.Context) ([]replica.Bucket, error) {
	if err := s.begin(ctx, "Buckets"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []replica.Bucket
	for name := range s.buckets {
		all = append(all, replica.Bucket{Name: name, Created: testTime})
	}
	return all, nil
}

// BucketSetting is no call of the replicas: it asks the log alone.
func (s *store) BucketSetting(_ context.Context, name, setting string) (string, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.buckets[name]; !ok {
		return "", false, s3.Err(s3.NoSuchBucket).With("BucketName", name)
	}
	document, ok := s.set[name+"?"+setting]
	return document, ok, nil
}

// keep and drop change a setting behind the gateway's back.
func (s *store) keep(bucket, setting, document string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set[bucket+"?"+setting] = document
}

func (s *store) drop(bucket, setting string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.set, bucket+"?"+setting)
}

func (s *store) GlanceSetting(ctx context.Context, name, setting string) (string, bool, error) {
	return s.BucketSetting(ctx, name, setting)
}

func (s *store) SetBucketSetting(ctx context.Context, name, setting string, document *string, _, _ string) error {
	if err := s.HeadBucket(ctx, name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if document == nil {
		delete(s.set, name+"?"+setting)
	} else {
		s.set[name+"?"+setting] = *document
	}
	return nil
}

func (s *store) CreateBucket(ctx context.Context, name, _, _ string, settings ...replica.Setting) error {
	if err := s.begin(ctx, "CreateBucket"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.buckets[name]; ok {
		return s3.Err(s3.BucketAlreadyOwnedByYou).With("BucketName", name)
	}
	s.buckets[name] = map[string]*stored{}
	for _, setting := range settings {
		s.set[name+"?"+setting.Name] = setting.Document
	}
	return nil
}

func (s *store) HeadBucket(ctx context.Context, name string) error {
	if err := s.begin(ctx, "HeadBucket"); err != nil {
		return err
	}
	_, err := s.find(object.Key{Bucket: name})
	return err
}

func (s *store) DeleteBucket(ctx context.Context, name, _, _ string) error {
	if err := s.begin(ctx, "DeleteBucket"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	objects, ok := s.buckets[name]
	switch {
	case !ok:
		return s3.Err(s3.NoSuchBucket)
	case len(objects) > 0:
		return s3.Err(s3.BucketNotEmpty)
	}
	delete(s.buckets, name)
	return nil
}

// slow is a hook that takes its time, unless the caller goes away.
func slow(d time.Duration) func(context.Context, string) error {
	return func(ctx context.Context, _ string) error {
		if d == 0 {
			return nil
		}
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *store) Tags(ctx context.Context, key object.Key) (object.Tags, object.Info, error) {
	if err := s.begin(ctx, "Tags"); err != nil {
		return nil, object.Info{}, err
	}
	o, err := s.present(key)
	if err != nil {
		return nil, object.Info{}, err
	}
	return o.info.Tags, o.info, nil
}

func (s *store) PutTags(ctx context.Context, r replica.TagRequest) error {
	if err := s.begin(ctx, "PutTags"); err != nil {
		return err
	}
	o, err := s.present(r.Key)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o.info.Tags = r.Tags
	return nil
}
