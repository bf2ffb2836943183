package memory

import (
	"slices"
	"strings"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Files is how a server keeps objects that stores them as files.
type Files uint8

const (
	// NoFiles holds every key apart from every other one.
	NoFiles Files = iota
	// RefusingFiles takes "a//b" and "a/./b" for "a/b" and "a/../b" for "b", and refuses a
	// key beside one that continues it after a slash, a segment of more than 255 bytes, and
	// data in an object whose key ends in a slash. (versitygw over a file system.)
	RefusingFiles
	// HidingFiles takes "a//b" for "a/b", refuses "." and ".." as segments, and takes a key
	// that continues another object's after a slash, but does not list it. (MinIO.)
	HidingFiles
)

// asFiles makes the request one for the key that a server with files takes it for, or
// refuses it.
func (s *Server) asFiles(q *request) error {
	if s.o.Files == NoFiles || q.op.Key == "" {
		return nil
	}
	var err error
	if q.op.Key, err = s.o.Files.path(q.op.Key); err != nil {
		return err
	}
	switch q.op.Name { //nolint:exhaustive // those that make an object
	case s3.PutObject, s3.CopyObject, s3.CreateMultipartUpload:
	default:
		return nil
	}
	if slices.ContainsFunc(strings.Split(q.op.Key, "/"), func(s string) bool { return len(s) > object.MaxSegment }) {
		return s3.Err(s3.KeyTooLong)
	}
	if s.o.Files == HidingFiles {
		return nil
	}
	return s.store.beside(q.op.ObjectKey())
}

// path is the key that a file's path stands for.
func (f Files) path(key string) (string, error) {
	if f == NoFiles {
		return key, nil
	}
	var out []string
	for segment := range strings.SplitSeq(key, "/") {
		switch {
		case segment == "":
		case segment != "." && segment != "..":
			out = append(out, segment)
		case f == HidingFiles:
			return "", s3.Err(s3.InvalidArgument)
		case segment == ".." && len(out) > 0:
			out = out[:len(out)-1]
		}
	}
	path := strings.Join(out, "/")
	if strings.HasSuffix(key, "/") && path != "" {
		path += "/"
	}
	if path == "" {
		return "", s3.Err(s3.InvalidArgument)
	}
	return path, nil
}

// beside refuses a key that cannot be a file because of others that stand.
func (s *store) beside(key object.Key) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, err := s.bucket(key.Bucket)
	if err != nil {
		return err
	}
	if b.below(key.Name) {
		return s3.Err(s3.ObjectParentIsFile)
	}
	folder := strings.TrimSuffix(key.Name, "/") + "/"
	i, _ := slices.BinarySearch(b.keys, folder)
	if i < len(b.keys) && strings.HasPrefix(b.keys[i], folder) && key.Name != folder {
		return s3.Err(s3.ExistingObjectIsDirectory)
	}
	return nil
}

// below tells whether an object stands under a key that this one continues.
func (b *bucket) below(key string) bool {
	for i := range len(key) {
		if key[i] == '/' && b.find(key[:i]) != nil {
			return true
		}
	}
	return false
}
