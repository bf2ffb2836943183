package memory

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// names returns the buckets that l asks for, in order, and whether there are
// more.
func (s *store) names(l *s3.BucketsRequest, region string) ([]s3.BucketEntry, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []s3.BucketEntry
	if l.Region != "" && l.Region != region {
		return nil, false
	}
	for _, name := range slices.Sorted(maps.Keys(s.buckets)) {
		if name <= l.After || !strings.HasPrefix(name, l.Prefix) {
			continue
		}
		if len(out) == l.MaxBuckets {
			return out, true
		}
		out = append(out, s3.BucketEntry{Name: name, Created: s.buckets[name].created, Region: region})
	}
	return out, false
}

// list returns one page. With hides it leaves out what continues another object's key
// after a slash.
func (s *store) list(l *s3.ListRequest, hides bool) (*s3.ListPage, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, err := s.bucket(l.Bucket)
	if err != nil {
		return nil, err
	}
	page := &s3.ListPage{}
	i, _ := slices.BinarySearch(b.keys, max(l.ScanAfter(), l.Prefix))
	for i < len(b.keys) && strings.HasPrefix(b.keys[i], l.Prefix) {
		key := b.keys[i]
		if hides && b.below(key) {
			i++
			continue
		}
		p, rolled := l.CommonPrefix(key)
		if !rolled {
			p = key
		}
		if p > l.After {
			if len(page.Objects)+len(page.CommonPrefixes) == l.MaxKeys {
				page.Truncated = l.MaxKeys > 0
				break
			}
			page.Last = p
			if rolled {
				page.CommonPrefixes = append(page.CommonPrefixes, p)
			} else {
				page.Objects = append(page.Objects, b.objects[key].entry(key))
			}
		}
		i++
		if rolled {
			i += b.under(i, p)
		}
	}
	return page, nil
}

// under counts the keys from i on that begin with p.
func (b *bucket) under(i int, p string) int {
	n, _ := slices.BinarySearchFunc(b.keys[i:], p, func(key, p string) int {
		if strings.HasPrefix(key, p) {
			return -1
		}
		return cmp.Compare(key, p)
	})
	return n
}

func (o *stored) entry(key string) s3.ListEntry {
	return s3.ListEntry{Key: key, ETag: o.info.ETag, Size: o.info.Size, ModTime: o.info.ModTime}
}
