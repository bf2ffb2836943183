package main

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Duration is a time span as Go writes it ("1h30m"), or whole days or weeks
// ("30d", "2w"). A bare number has no unit and is refused, but for 0.
type Duration time.Duration

// ParseDuration reads what String writes, and days and weeks.
func ParseDuration(s string) (Duration, error) {
	fail := fmt.Errorf("%q is not a time span: write a number and a unit, as in 500ms, 10s, 5m, 1h, 30d", s)
	unit := map[byte]time.Duration{'d': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if s == "" {
		return 0, fail
	}
	if one, ok := unit[s[len(s)-1]]; ok {
		n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
		if err != nil || n > uint64(math.MaxInt64/one) {
			return 0, fail
		}
		return Duration(time.Duration(n) * one), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fail
	}
	return Duration(d), nil
}

// String is the shortest form: 1h rather than 1h0m0s.
func (d Duration) String() string {
	const day = 24 * time.Hour
	t := time.Duration(d)
	if t >= day && t%day == 0 {
		return strconv.FormatInt(int64(t/day), 10) + "d"
	}
	s := t.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// UnmarshalYAML reads one scalar.
func (d *Duration) UnmarshalYAML(n *yaml.Node) (err error) {
	if n.Kind != yaml.ScalarNode {
		return errors.New("want a time span, as in 10s")
	}
	*d, err = ParseDuration(n.Value)
	return err
}

// MarshalYAML writes the form of String.
func (d Duration) MarshalYAML() (any, error) { return d.String(), nil }

// Size is a number of bytes: plain, or with KiB, MiB, GiB, TiB (powers of
// 1024) or KB, MB, GB, TB (powers of 1000).
type Size int64

// sizeUnits is ordered so that no unit is a suffix of an earlier one.
var sizeUnits = []struct {
	suffix string
	bytes  float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// ParseSize reads what String writes; fractions ("1.5GiB") are rounded down.
func ParseSize(s string) (Size, error) {
	number, unit := s, 1.0
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			number, unit = strings.TrimRight(rest, " "), u.bytes
			break
		}
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(f) || f < 0 || f*unit >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is not a size: write bytes, or a number and a unit, as in 64KiB, 96MiB, 1GiB", s)
	}
	return Size(f * unit), nil
}

// String uses the largest power of 1024 that divides the size.
func (s Size) String() string {
	for i := 3; i >= 0 && s > 0; i-- {
		if one := Size(sizeUnits[i].bytes); s%one == 0 {
			return strconv.FormatInt(int64(s/one), 10) + sizeUnits[i].suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// UnmarshalYAML reads one scalar.
func (s *Size) UnmarshalYAML(n *yaml.Node) (err error) {
	if n.Kind != yaml.ScalarNode {
		return errors.New("want a size, as in 96MiB")
	}
	*s, err = ParseSize(n.Value)
	return err
}

// MarshalYAML writes the form of String.
func (s Size) MarshalYAML() (any, error) { return s.String(), nil }

// AckRule is what must hold before a client gets its 200: the word any, quorum
// or all, or at least so many replicas which include the named ones.
type AckRule struct {
	Word    string   // any | quorum | all; empty when AtLeast is given
	AtLeast int      // replicas; 0 with a Word
	Include []string // backends that must be among them
}

// Need is the number of replicas that must hold a write, of n.
func (a AckRule) Need(n int) int {
	switch a.Word {
	case "any":
		return 1
	case "quorum":
		return n/2 + 1
	case "all":
		return n
	}
	return max(a.AtLeast, len(a.Include), 1)
}

// String is the form that the configuration takes.
func (a AckRule) String() string {
	if a.Word != "" {
		return a.Word
	}
	return fmt.Sprintf("{at_least: %d, include: [%s]}", a.AtLeast, strings.Join(a.Include, ", "))
}

const ackForms = "want any, quorum, all, or {at_least: 2, include: [eu-1]}"

// UnmarshalYAML reads a word or a mapping.
func (a *AckRule) UnmarshalYAML(n *yaml.Node) error {
	*a = AckRule{}
	switch n.Kind {
	case yaml.ScalarNode:
		switch n.Value {
		case "any", "quorum", "all":
			a.Word = n.Value
			return nil
		}
		return fmt.Errorf("%q is not an ack rule: %s", n.Value, ackForms)
	case yaml.MappingNode:
		var m struct {
			AtLeast int      `yaml:"at_least"`
			Include []string `yaml:"include"`
		}
		if err := n.Load(&m, yaml.WithKnownFields()); err != nil {
			return errors.New(ackForms)
		}
		if m.AtLeast < 0 || m.AtLeast == 0 && len(m.Include) == 0 {
			return errors.New("at_least must be 1 or more")
		}
		a.AtLeast, a.Include = m.AtLeast, m.Include
		return nil
	default:
		return errors.New(ackForms)
	}
}

// MarshalYAML writes what UnmarshalYAML reads.
func (a AckRule) MarshalYAML() (any, error) {
	if a.Word != "" {
		return a.Word, nil
	}
	return map[string]any{"at_least": a.AtLeast, "include": a.Include}, nil
}

// Network is a range of addresses: a CIDR, or one address.
type Network netip.Prefix

// UnmarshalYAML reads one scalar.
func (n *Network) UnmarshalYAML(node *yaml.Node) error {
	p, err := netip.ParsePrefix(node.Value)
	if a, e := netip.ParseAddr(node.Value); e == nil {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	if node.Kind != yaml.ScalarNode || err != nil || p.Addr().Is4In6() || p.Masked() != p {
		return fmt.Errorf("%q is not a network, as in 10.0.0.0/8 or 192.0.2.1", node.Value)
	}
	*n = Network(p)
	return nil
}

// MarshalYAML writes the form with a length.
func (n Network) MarshalYAML() (any, error) { return netip.Prefix(n).String(), nil }
