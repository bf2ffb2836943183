package gateway

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// Within tells whether another face can have the operation done.
func Within(name s3.OperationName) bool {
	_, ok := within[name]
	return ok
}

// SetBlank is how often a client that waits is told that we live.
func (h *Handler) SetBlank(every time.Duration) { h.blank = every }
