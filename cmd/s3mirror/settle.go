//go:build !failpoints

package main

import "time"

// minSettle is the least settle time that a configuration may ask for.
const minSettle = time.Second
