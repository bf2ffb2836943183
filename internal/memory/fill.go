package memory

import (
	"crypto/md5" //nolint:gosec // S3's ETag
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Fill puts n objects that all hold the data into a bucket that stands, under the names
// that name gives in rising order, behind those that are there. It is how a measurement
// gets a million of them: they share everything but their names.
func (s *Server) Fill(bucket string, n int, data []byte, name func(i int) string) error {
	sum := md5.Sum(data) //nolint:gosec // see above
	o := &stored{data: slabs{data}}
	o.info = object.Info{ETag: s.o.etag(hex.EncodeToString(sum[:])), Size: int64(len(data)), Headers: object.Headers{"content-type": s3.DefaultContentType}}
	s.date(o)
	if err := s.store.reserve(int64(n) * o.info.Size); err != nil {
		return err
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	b, err := s.store.bucket(bucket)
	i := 0
	for ; err == nil && i < n; i++ {
		key := name(i)
		if last := len(b.keys); last > 0 && key <= b.keys[last-1] {
			err = fmt.Errorf("name %q comes after %q", key, b.keys[last-1])
			break
		}
		b.keys = append(b.keys, key)
		b.objects[key] = o
	}
	s.store.bytes -= int64(n-i) * o.info.Size // what did not come
	return err
}

// Rot changes the last byte of an object, and nothing that the server says of it, as a
// disk does that fails silently. NoSuchKey, NoSuchBucket; an empty object cannot rot.
func (s *Server) Rot(bucket, key string) error {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	b, err := s.store.bucket(bucket)
	if err != nil {
		return err
	}
	was := b.objects[key]
	if was == nil || was.info.Size == 0 {
		return s3.Err(s3.NoSuchKey)
	}
	rotten := *was
	rotten.rotten = true
	rotten.data = slices.Clone(was.data)
	last := slices.Clone(rotten.data[len(rotten.data)-1])
	last[len(last)-1] ^= 1
	rotten.data[len(rotten.data)-1] = last
	b.objects[key] = &rotten
	return nil
}

// RotNewest is Rot of the object that was written last, those of replication itself left
// out. NoSuchKey: there is none.
func (s *Server) RotNewest() (bucket, key string, err error) {
	if bucket, key = s.newest(); key == "" {
		return "", "", s3.Err(s3.NoSuchKey)
	}
	return bucket, key, s.Rot(bucket, key)
}

func (s *Server) newest() (bucket, key string) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	var last uint64
	for name, b := range s.store.buckets {
		for k, o := range b.objects {
			if o.started > last && o.info.Size > 0 && !o.rotten && !strings.HasPrefix(k, object.ReservedPrefix) {
				bucket, key, last = name, k, o.started
			}
		}
	}
	return bucket, key
}

// Rotten tells whether an object is still as Rot left it.
func (s *Server) Rotten(bucket, key string) bool {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	b, err := s.store.bucket(bucket)
	return err == nil && b.objects[key] != nil && b.objects[key].rotten
}
