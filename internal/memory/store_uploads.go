package memory

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// upload is one that is under way. Its parts change under the store's lock.
type upload struct {
	key, id   string
	initiated time.Time
	object    *stored // without data, size and ETag
	sum       s3.UploadChecksum
	parts     map[int]*part
}

// part is one part of an upload. It never changes.
type part struct {
	s3.Part
	data slabs
}

func (u *upload) size() (n int64) {
	for _, p := range u.parts {
		n += p.Size
	}
	return n
}

func newUploadID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// completed remembers the results of uploads for those who ask again.
type completed struct {
	results map[string]s3.Completed // by id
	order   []string
}

// maxCompleted bounds what is remembered.
const maxCompleted = 10_000

func (c *completed) add(id string, result s3.Completed) {
	if c.results == nil {
		c.results = map[string]s3.Completed{}
	}
	if len(c.order) == maxCompleted {
		delete(c.results, c.order[0])
		c.order = c.order[1:]
	}
	c.results[id] = result
	c.order = append(c.order, id)
}

// upload is called with mu held. The id of another key's upload is none.
func (s *store) upload(key object.Key, id string) (*bucket, *upload, error) {
	b, err := s.bucket(key.Bucket)
	if err != nil {
		return nil, nil, err
	}
	u := b.uploads[id]
	if u == nil || u.key != key.Name {
		return b, nil, s3.NoUpload(id)
	}
	return b, u, nil
}

func (s *store) begin(bucket string, u *upload) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(bucket)
	if err != nil {
		return err
	}
	b.uploads[u.id] = u
	return nil
}

// checksumOf returns what the upload wants of the checksums of its parts.
func (s *store) checksumOf(key object.Key, id string) (s3.UploadChecksum, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, u, err := s.upload(key, id)
	if err != nil {
		return s3.UploadChecksum{}, err
	}
	return u.sum, nil
}

// putPart stores the part, whose bytes are reserved, in place of one of the same
// number; or loses it.
func (s *store) putPart(key object.Key, id string, p *part, lose bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, u, err := s.upload(key, id)
	if err != nil || lose {
		s.bytes -= p.Size
		return err
	}
	if old := u.parts[p.Number]; old != nil {
		s.bytes -= old.Size
	}
	u.parts[p.Number] = p
	return nil
}

// complete makes an object of the parts that c names and frees the others.
func (s *store) complete(key object.Key, id string, c *s3.Complete, cond s3.WriteConditions, srv *Server, startOrdered bool) (s3.Completed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, u, err := s.upload(key, id)
	if err != nil {
		if result, ok := b.again(key, id); ok && !srv.o.ForgetsCompleted {
			return result, nil
		}
		return s3.Completed{}, err
	}
	if err := cond.Check(b.info(key.Name)); err != nil {
		return s3.Completed{}, err
	}
	parts, checksum, err := c.Select(s3.UploadParts{ID: id, Checksum: u.sum, MinPart: srv.o.MinPartBytes, Part: u.part})
	if err != nil {
		return s3.Completed{}, err
	}
	o := u.assemble(parts)
	o.info.ETag = srv.o.multipartETag(parts)
	srv.date(o)
	srv.sum(o, u.sum.Algorithm, checksum, u.sum.Type)
	result := s3.Completed{Bucket: key.Bucket, Key: key.Name, ETag: o.info.ETag, Checksums: o.info.Headers}
	s.bytes += o.info.Size - u.size() // the parts' bytes become the object's
	delete(b.uploads, id)
	b.completed.add(id, result)
	s.set(b, key.Name, o, startOrdered)
	return result, nil
}

// again finds the result of an upload that was completed before.
func (b *bucket) again(key object.Key, id string) (s3.Completed, bool) {
	if b == nil {
		return s3.Completed{}, false
	}
	result, ok := b.completed.results[id]
	return result, ok && result.Key == key.Name
}

func (u *upload) part(number int) (s3.Part, bool) {
	p, ok := u.parts[number]
	if !ok {
		return s3.Part{}, false
	}
	return p.Part, true
}

func (u *upload) assemble(parts []s3.Part) *stored {
	o := *u.object
	o.info.Headers = o.info.Headers.Clone()
	for _, p := range parts {
		o.info.Size += p.Size
		o.info.Parts = append(o.info.Parts, p.Size)
		o.data = append(o.data, u.parts[p.Number].data...)
		if u.sum.Algorithm != "" {
			o.partSums = append(o.partSums, p.Checksum)
		}
	}
	return &o
}

// multipartETag is made of the parts' ETags, as far as those are MD5s.
func (p Personality) multipartETag(parts []s3.Part) string {
	var etags []string
	for _, one := range parts {
		etags = append(etags, one.ETag)
	}
	if etag, ok := s3.MultipartETag(etags); ok {
		return p.etag(etag)
	}
	return p.etag(strings.Join(etags, " "))
}

func (s *store) abort(key object.Key, id string, anything bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, u, err := s.upload(key, id)
	if err != nil {
		if b != nil && anything {
			return nil
		}
		return err
	}
	s.bytes -= u.size()
	delete(b.uploads, id)
	return nil
}

func (s *store) listParts(p *s3.PartsRequest) (*s3.PartsPage, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, u, err := s.upload(object.Key{Bucket: p.Bucket, Name: p.Key}, p.UploadID)
	if err != nil {
		return nil, err
	}
	page := &s3.PartsPage{Checksum: u.sum}
	for _, number := range slices.Sorted(maps.Keys(u.parts)) {
		if number <= p.After {
			continue
		}
		if len(page.Parts) == p.Max {
			page.Truncated = p.Max > 0
			break
		}
		page.Parts = append(page.Parts, u.parts[number].Part)
	}
	return page, nil
}

func (s *store) listUploads(r *s3.UploadsRequest) (*s3.UploadsPage, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return nil, err
	}
	page := &s3.UploadsPage{}
	passed := r.AfterID == "" // the marker among the uploads of its key
	for _, u := range b.sortedUploads() {
		if !strings.HasPrefix(u.key, r.Prefix) || u.key < r.AfterKey || u.key == r.AfterKey && r.AfterKey != "" && r.AfterID == "" {
			continue
		}
		if u.key == r.AfterKey && !passed {
			passed = u.id == r.AfterID
			continue
		}
		p, rolled := r.CommonPrefix(u.key)
		if rolled && (p == page.LastKey || p <= r.AfterKey) {
			continue
		}
		if len(page.Uploads)+len(page.CommonPrefixes) == r.Max {
			page.Truncated = r.Max > 0
			break
		}
		if rolled {
			page.CommonPrefixes = append(page.CommonPrefixes, p)
			page.LastKey, page.LastID = p, ""
			continue
		}
		page.Uploads = append(page.Uploads, s3.Upload{Key: u.key, ID: u.id, Initiated: u.initiated, Checksum: u.sum})
		page.LastKey, page.LastID = u.key, u.id
	}
	return page, nil
}

func (b *bucket) sortedUploads() []*upload {
	return slices.SortedFunc(maps.Values(b.uploads), func(x, y *upload) int {
		return cmp.Or(cmp.Compare(x.key, y.key), x.initiated.Compare(y.initiated), cmp.Compare(x.id, y.id))
	})
}
