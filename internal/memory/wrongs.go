package memory

import (
	"context"
	"crypto/md5" //nolint:gosec // what S3 makes ETags of
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Wrongs are what makes a server unfit, or worth less than it says. Each was seen in
// servers of the world.
type Wrongs struct {
	// KeepsCut stores what came of a body that broke off.
	KeepsCut bool
	// IgnoresConditions writes whatever the conditions of the write are.
	IgnoresConditions bool
	// JudgesEarly judges the conditions of a write before its body, and never again.
	JudgesEarly bool
	// LocksEarly keeps other writes of the key out while the body of a conditional one
	// is on its way.
	LocksEarly bool
	// IgnoresIfModified answers a conditional read with the object, never 304.
	IgnoresIfModified bool
	// TellsClass says STANDARD of objects, as versitygw does.
	TellsClass bool
	// ShowsLate is how long what was written before is still read.
	ShowsLate time.Duration
	// IdleLimit is how long a body may take to arrive; zero: for ever.
	IdleLimit time.Duration
}

// keyLocks keep the writes of a key apart.
type keyLocks struct {
	mu   sync.Mutex // guards held
	held map[object.Key]chan struct{}
}

// lock waits for the key; false when ctx ends first.
func (l *keyLocks) lock(ctx context.Context, key object.Key) bool {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[object.Key]chan struct{}{}
	}
	room := l.held[key]
	if room == nil {
		room = make(chan struct{}, 1)
		l.held[key] = room
	}
	l.mu.Unlock()
	select {
	case room <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *keyLocks) unlock(key object.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	<-l.held[key]
}

// conditions are those of a write that are judged before its body, and those that are judged
// when it takes effect. unlock is called at its end.
func (s *Server) conditions(q *request) (early, final s3.WriteConditions, unlock func(), err error) {
	unlock = func() {}
	cond, err := s3.ParseWriteConditions(q.Header)
	if err != nil || s.o.IgnoresConditions {
		return s3.WriteConditions{}, s3.WriteConditions{}, unlock, err
	}
	if key := q.op.ObjectKey(); s.o.LocksEarly {
		if !s.locks.lock(q.Context(), key) {
			return cond, cond, unlock, errAborted
		}
		unlock = func() { s.locks.unlock(key) }
		if q.Header.Get("If-Match") == "" && q.Header.Get("If-None-Match") == "" { // it comes after who is there, and keeps nobody out
			unlock()
			unlock = func() {}
		}
	}
	if s.o.JudgesEarly {
		return cond, s3.WriteConditions{}, unlock, nil
	}
	return cond, cond, unlock, nil
}

// take reads a body as receive does, as far as this server minds how it ends.
func (s *Server) take(q *request, b *auth.Body) (slabs, error) {
	if s.o.IdleLimit > 0 {
		_ = http.NewResponseController(q.w).SetReadDeadline(time.Now().Add(s.o.IdleLimit)) // a listener's connection takes it
	}
	if !s.o.KeepsCut {
		return receive(b)
	}
	var data slabs
	for left := b.Size(); left > 0; {
		slab := make([]byte, min(left, slabSize))
		n, err := io.ReadFull(b, slab)
		if data = append(data, slab[:n]); errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			break
		} else if err != nil && !errors.Is(err, s3.IncompleteBody) {
			return nil, whole(err)
		}
		left -= int64(len(slab))
	}
	return data, nil
}

// cutShort makes o the object of what came of its body.
func (s *Server) cutShort(o *stored) {
	sum := md5.New() //nolint:gosec // see above
	o.info.Size = 0
	for _, slab := range o.data {
		o.info.Size += int64(len(slab))
	}
	o.info.ETag = s.o.etag(hex.EncodeToString(o.data.hash(sum)))
	s.date(o)
}

// shown is what a read sees: of what was written a moment ago what stood before, nil for
// nothing.
func (s *Server) shown(o *stored) *stored {
	if s.o.ShowsLate > 0 && s.o.Now().Before(o.shows) {
		return o.before
	}
	return o
}
