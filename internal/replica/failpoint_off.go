//go:build !failpoints

package replica

import (
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
)

// trace knows where in the protocol a process is, in builds with the tag
// failpoints: there is nothing of it in this one.
type trace struct{}

func traceOf(machine) trace { return trace{} }

func (*trace) writes(object.ID)                  {}
func (*trace) beforeSwap(commit.Swap)            {}
func (*trace) afterSwap(commit.Swap, commit.CAS) {}
func (*trace) release(bool, func(func()))        {}
func (*trace) answered()                         {}
