//go:build failpoints

package main

import "time"

// minSettle lets a run of test/chaos show that without a settle time
// acknowledged writes are lost. No build that ships has it.
const minSettle = time.Duration(0)
