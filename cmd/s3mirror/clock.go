//go:build !failpoints

package main

import "time"

// wallClock is the node's clock; nil: the machine's.
var wallClock func() time.Time
