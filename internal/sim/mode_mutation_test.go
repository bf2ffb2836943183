//go:build mutation

package sim

import (
	"testing"

	"github.com/s3mirror/s3mirror/internal/commit"
)

// TestMutationsOfModes plays schedules with switches of the mode that break when a
// clause of R31 is off. They are not in the table, whose schedules have no
// switches. R31 ack and R31 first keep writes and reads going, and directed tests
// hold them alone.
func TestMutationsOfModes(t *testing.T) {
	for clause, seed := range map[commit.Clause]uint64{commit.R31Primary: 1, commit.R31Heal: 1, commit.R31Whole: 3} {
		commit.Off(clause)
		broken := Run(Options{Seed: seed, Modes: true})
		commit.Off("")
		whole := Run(Options{Seed: seed, Modes: true})
		if broken.Err == nil || whole.Err != nil {
			t.Errorf("%s, schedule %d: without it %v, with it %v", clause, seed, broken.Err, whole.Err)
		}
	}
}
