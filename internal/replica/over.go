package replica

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
)

// overFor is how long this node remembers that an upload became a version. The record says
// so shortly after the client was told; until then nobody may be shown the upload who was.
const overFor = time.Minute

// became notes that an upload became a version that its client was told of.
func (u *uploads) became(id object.ID, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for old, at := range u.over {
		if now.Sub(at) > overFor {
			delete(u.over, old)
		}
	}
	if u.over == nil {
		u.over = map[object.ID]time.Time{}
	}
	u.over[id] = now
}

// isOver tells whether an upload became a version here.
func (u *uploads) isOver(id object.ID) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ok := u.over[id]
	return ok
}
