package probe

import (
	"fmt"
	"slices"
	"time"
)

// Edition is the edition of the probes. Reports of another one are not used.
const Edition = 4

// Result is what a probe found, in one word.
type Result string

// The results. What each means for a probe stands in its detail.
const (
	Yes     Result = "yes"
	No      Result = "no"
	Unsafe  Result = "unsafe"  // data may be lost or altered
	Unknown Result = "unknown" // the endpoint gave no usable answer
)

// The names of the probes.
const (
	BodyLiteral   = "body-literal"
	BodyTrailer   = "body-trailer-crc32c"
	BodySigned    = "body-signed-chunks"
	ETagMD5       = "etag-is-md5"
	ChecksumEcho  = "checksum-kept"
	HeadersKept   = "headers-kept"
	ReadYourWrite = "read-after-write"
	CreateOnce    = "if-none-match-put"
	IfMatch       = "if-match-put"
	CreateRace    = "if-none-match-race"
	HeldCondition = "if-match-while-held"
	Completion    = "order-is-completion"
	CopyMatch     = "copy-if-source-matches"
	TagsKept      = "tags-kept"
	SumProbe      = "checksum-" // followed by an algorithm
	KeyProbe      = "key-"      // followed by the rule: object.KeyRules
)

// Probe is one finding.
type Probe struct {
	Name   string `json:"name"`
	Result Result `json:"result"`
	Detail string `json:"detail,omitempty"`
}

// The values of Report.PayloadMode: the words of the configuration.
const (
	ModeAuto    = "auto" // literal hash where the client gave one, else trailer
	ModeTrailer = "unsigned-trailer"
	ModeSigned  = "signed-chunked"
)

// Levels of fencing (RELIABILITY 4.7). Refused: not to be used at all.
const (
	LevelPlain   = "F0"
	LevelFenced  = "F1"
	LevelRefused = "refused"
)

// Report is what is known of an endpoint.
type Report struct {
	Edition  int       `json:"edition"`
	Endpoint string    `json:"endpoint"`
	Region   string    `json:"region"`
	Taken    time.Time `json:"taken"`

	Level       string   `json:"level"`
	PayloadMode string   `json:"payload_mode"` // empty when refused
	Reasons     []string `json:"reasons"`      // why it is refused, or gets no higher level
	Probes      []Probe  `json:"probes"`
}

// Result of a probe; Unknown for one that was not made.
func (r *Report) Result(name string) Result {
	i := slices.IndexFunc(r.Probes, func(p Probe) bool { return p.Name == name })
	if i < 0 {
		return Unknown
	}
	return r.Probes[i].Result
}

func (r *Report) detail(name string) string {
	i := slices.IndexFunc(r.Probes, func(p Probe) bool { return p.Name == name })
	if i < 0 {
		return "not probed"
	}
	return r.Probes[i].Detail
}

// Whole tells whether every probe got an answer.
func (r *Report) Whole() bool {
	return len(r.Probes) > 0 && !slices.ContainsFunc(r.Probes, func(p Probe) bool { return p.Result == Unknown })
}

// Sums are the algorithms that the endpoint keeps checksums of, among those that were
// asked about: see s3.Recent.
func (r *Report) Sums() []string {
	var kept []string
	for _, algorithm := range recentSums {
		if r.Result(SumProbe+algorithm) == Yes {
			kept = append(kept, algorithm)
		}
	}
	return kept
}

// judge draws the conclusions.
func (r *Report) judge() {
	r.Reasons = []string{}
	refuse := func(format string, args ...any) {
		r.Level, r.PayloadMode = LevelRefused, ""
		r.Reasons = append(r.Reasons, fmt.Sprintf(format, args...))
	}
	r.Level = LevelPlain
	literal, trailer, signed := r.Result(BodyLiteral), r.Result(BodyTrailer), r.Result(BodySigned)
	switch {
	case trailer == Yes && literal == Yes:
		r.PayloadMode = ModeAuto
	case trailer == Yes:
		r.PayloadMode = ModeTrailer
	case signed == Yes:
		r.PayloadMode = ModeSigned
	default:
		refuse("it refuses no damaged body whatever the framing: literal hash: %s; trailer: %s; signed chunks: %s",
			r.detail(BodyLiteral), r.detail(BodyTrailer), r.detail(BodySigned))
	}
	if r.Result(ReadYourWrite) == Unsafe {
		refuse("it does not read its own writes: %s", r.detail(ReadYourWrite))
	}
	if r.Level == LevelRefused {
		return
	}
	fences := []string{CreateOnce, IfMatch, CreateRace, HeldCondition}
	for _, name := range fences {
		if got := r.Result(name); got != Yes {
			r.Reasons = append(r.Reasons, fmt.Sprintf("no fence by conditions: %s: %s", name, r.detail(name)))
		}
	}
	if len(r.Reasons) == 0 {
		r.Level = LevelFenced
	}
}
