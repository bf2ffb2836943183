package authtest

import (
	"context"
	"sync"

	"github.com/s3mirror/s3mirror/internal/auth"
)

// Auditor is an auth.Auditor that keeps what it is told. The zero Auditor is
// ready and safe for concurrent use.
type Auditor struct {
	mu      sync.Mutex // guards entries
	entries []auth.Entry
}

// Note implements auth.Auditor.
func (a *Auditor) Note(_ context.Context, e auth.Entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.entries = append(a.entries, e)
}

// Take returns what was told since the last time.
func (a *Auditor) Take() []auth.Entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	taken := a.entries
	a.entries = nil
	return taken
}
