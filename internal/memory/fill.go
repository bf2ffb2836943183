package memory

import (
	"crypto/md5" //nolint:gosec // S3's ETag
	"encoding/hex"
	"fmt"
	"slices"

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
	rotten.data = slices.Clone(was.data)
	last := slices.Clone(rotten.data[len(rotten.data)-1])
	last[len(last)-1] ^= 1
	rotten.data[len(rotten.data)-1] = last
	b.objects[key] = &rotten
	return nil
}
