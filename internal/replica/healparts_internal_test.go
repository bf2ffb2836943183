package replica

import (
	"testing"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// TestEvenParts: an object whose part sizes nobody tells is cut so that every server takes the
// parts: none is empty, over 5 GiB or, but for the last, under 5 MiB, there are at most 10,000,
// and together they are the object.
func TestEvenParts(t *testing.T) {
	const mib, gib, tib = int64(1) << 20, int64(1) << 30, int64(1) << 40
	for size, parts := range map[int64]int{
		1: 1, 512 * mib: 1, 512*mib + 1: 2, 5*gib + 1: 11, 6 * gib: 12, 100 * gib: 200, 5 * tib: 5120, 5*tib - 1: 5120,
	} {
		got := evenParts(size)
		sum := int64(0)
		for i, part := range got {
			if part < 1 || part > s3.MaxPartBytes || i < len(got)-1 && (part < s3.MinPartBytes || part != got[0]) || part > got[0] {
				t.Errorf("%d bytes: part %d has %d", size, i+1, part)
			}
			sum += part
		}
		if sum != size || len(got) != parts || len(got) > s3.MaxParts {
			t.Errorf("%d bytes: %d parts of %d bytes together, want %d", size, len(got), sum, parts)
		}
	}
}
