package commit

import (
	"slices"

	"github.com/s3mirror/s3mirror/internal/object"
)

// Mode says which replicas of a bucket take part in what its clients do
// (RELIABILITY 4.6, decision 0025). The zero value is active: all of them. With a
// Primary replication is disabled: the primary alone takes writes, is asked first
// by reads, and is healed; what the others miss stays in the rows, and they are
// healed when the bucket is active again.
//
// A machine keeps the mode that it began with. Nodes may know of a switch at
// different moments, and machines of both modes may work on one key: what makes
// that safe is that the mode chooses only whom a write is released to and who is
// asked first. What is known of a key is of the whole replica set in every mode:
// which replicas are good, when a row is quiet, what a repair looks at.
type Mode struct {
	Primary string `json:"primary,omitempty"` // empty: active
}

// Active tells whether all replicas take part.
func (m Mode) Active() bool { return m.Primary == "" }

// Targets are the replicas that take writes and are healed. A bucket that its
// primary does not hold is active.
func (c Config) Targets() object.Replicas {
	if c.disabled() {
		return object.NewReplicas(c.Mode.Primary)
	}
	return c.Replicas
}

func (c Config) disabled() bool { return c.Replicas.Has(c.Mode.Primary) }

// AckRule is the ack rule in force: where only one replica is written it is that one's yes.
func (c Config) AckRule() Rule {
	if c.disabled() && holds(R31Ack) {
		return Rule{Need: 1, Include: c.Targets()}
	}
	return c.Ack
}

// takes are the replicas that a client's write may be released to.
func (c Config) takes() object.Replicas {
	if !holds(R31Primary) {
		return c.Replicas
	}
	return c.Targets()
}

// heals are the replicas that a repair copies to.
func (c Config) heals() object.Replicas {
	if !holds(R31Heal) {
		return c.Replicas
	}
	return c.Targets()
}

// whole are the replicas whose state counts for a key: all of them.
func (c Config) whole() object.Replicas {
	if !holds(R31Whole) {
		return c.Targets()
	}
	return c.Replicas
}

// Kept are the replicas that a key's row waits for: all but those that were left behind,
// which are compared as a whole before they serve again.
func (c Config) Kept() object.Replicas {
	if !holds(R28Behind) {
		return c.whole()
	}
	return c.whole().Minus(c.Behind)
}

// First puts the primary before the others, as far as it may be asked.
func (c Config) First(order []string) []string {
	i := slices.Index(order, c.Mode.Primary)
	if !c.disabled() || i <= 0 {
		return order
	}
	return append([]string{c.Mode.Primary}, slices.Delete(slices.Clone(order), i, i+1)...)
}

// String is the mode in words.
func (m Mode) String() string {
	if m.Active() {
		return "active"
	}
	return "disabled, primary " + m.Primary
}
