package probe

import (
	"fmt"
	"slices"
	"time"
)

// Edition is the edition of the probes. Reports of another one are not used.
const Edition = 7

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
	CutLiteral    = "cut-literal"
	CutTrailer    = "cut-trailer-crc32c"
	CutSigned     = "cut-signed-chunks"
	ETagMD5       = "etag-is-md5"
	MultipartETag = "multipart-etag-is-md5-of-md5s"
	ChecksumEcho  = "checksum-kept"
	HeadersKept   = "headers-kept"
	ReadYourWrite = "read-after-write"
	CreateOnce    = "if-none-match-put"
	IfMatch       = "if-match-put"
	CreateRace    = "if-none-match-race"
	MatchRace     = "if-match-race"
	HeldCondition = "if-match-while-held"
	DeleteMatch   = "if-match-delete"
	Completion    = "order-is-completion"
	WriteRace     = "race-of-writes"
	Late          = "late-writes"
	Idle          = "idle-upload-ends"
	CopyMatch     = "copy-if-source-matches"
	PartCopy      = "part-copy"
	PartSize      = "part-least-size"
	PartNumbers   = "part-numbers"
	PartSizes     = "part-sizes-told"
	TagsKept      = "tags-kept"
	HeadAsGet     = "head-as-get"
	ClassUntold   = "storage-class-untold"
	NotModified   = "not-modified"
	Metadata      = "metadata-2048-bytes"
	OperationName = "operation-in-query"
	Clock         = "clock"
	Versions      = "versions-by-id"
	SumProbe      = "checksum-" // followed by an algorithm
	KeyProbe      = "key-"      // followed by the rule: object.KeyRules
)

// Probe is one finding.
type Probe struct {
	Name   string `json:"name"`
	Result Result `json:"result"`
	Detail string `json:"detail"`
}

// The values of Report.PayloadMode: the words of the configuration.
const (
	ModeAuto    = "auto" // literal hash where the client gave one, else trailer
	ModeTrailer = "unsigned-trailer"
	ModeSigned  = "signed-chunked"
)

// Levels of fencing (RELIABILITY 4.7). Refused: not to be used at all.
const (
	LevelPlain    = "F0"
	LevelFenced   = "F1"
	LevelVersions = "F2"
	LevelRefused  = "refused"
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
	literal, trailer, signed := r.safe(BodyLiteral, CutLiteral), r.safe(BodyTrailer, CutTrailer), r.safe(BodySigned, CutSigned)
	switch {
	case trailer && literal:
		r.PayloadMode = ModeAuto
	case trailer:
		r.PayloadMode = ModeTrailer
	case signed:
		r.PayloadMode = ModeSigned
	default:
		refuse("it refuses no damaged body whatever the framing: literal hash: %s; trailer: %s; signed chunks: %s",
			r.harm(BodyLiteral, CutLiteral), r.harm(BodyTrailer, CutTrailer), r.harm(BodySigned, CutSigned))
	}
	if r.Result(ReadYourWrite) == Unsafe {
		refuse("it does not read its own writes: %s", r.detail(ReadYourWrite))
	}
	if r.Result(WriteRace) == Unsafe {
		refuse("it does not keep one of several writes: %s", r.detail(WriteRace))
	}
	if r.Level != LevelRefused {
		r.fence()
	}
}

// safe tells whether the endpoint refuses damaged bodies that travel in one way.
func (r *Report) safe(body, cut string) bool {
	return r.Result(body) == Yes && (r.Result(cut) == Yes || !r.probed(cut))
}

func (r *Report) probed(name string) bool {
	return slices.ContainsFunc(r.Probes, func(p Probe) bool { return p.Name == name })
}

// harm says why one way is not safe.
func (r *Report) harm(body, cut string) string {
	if r.Result(body) == Yes {
		return r.detail(cut)
	}
	return r.detail(body)
}

// fence finds the level of an endpoint that is not refused.
func (r *Report) fence() {
	for _, name := range []string{CreateOnce, IfMatch, CreateRace, MatchRace, HeldCondition} {
		if got := r.Result(name); got != Yes && (r.probed(name) || name != MatchRace) { // a brief report has none
			r.Reasons = append(r.Reasons, fmt.Sprintf("no fence by conditions: %s: %s", name, r.detail(name)))
		}
	}
	if len(r.Reasons) == 0 {
		r.Level = LevelFenced
	}
	if r.Result(Versions) == Yes {
		r.Level = LevelVersions
		r.Reasons = append(r.Reasons, "a fence by versions needs a bucket that keeps them; s3mirror makes no use of it yet")
	}
}
