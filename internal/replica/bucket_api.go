package replica

import "time"

// Bucket is one bucket as clients see it.
type Bucket struct {
	Name    string
	Created time.Time
}
