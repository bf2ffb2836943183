package harness

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"syscall"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// Version is one state that a key may be in. The zero Version is absence.
type Version struct {
	Op      string // which write made it; also its x-amz-meta-op
	Present bool
	Size    int
	Sum     [sha256.Size]byte
	Header  object.Headers // what the client sent of content headers and metadata
	ETag    string         // what the acknowledgement said; empty when there was none
}

func (v Version) String() string {
	if !v.Present {
		return fmt.Sprintf("absent (op %q)", v.Op)
	}
	return fmt.Sprintf("%d bytes of op %q", v.Size, v.Op)
}

// Body makes the bytes of a write: never the same for two ops, and telling in
// clear text whose they are where they are long enough.
func Body(op string, size int) []byte {
	body := make([]byte, size)
	sum := sha256.Sum256([]byte(op))
	rand.NewChaCha8(sum).Read(body)
	copy(body, "op "+op+"\n")
	return body
}

// Write is a PUT to be: its version, and what to send.
type Write struct {
	Version
	Body   []byte
	Fields []wire.Field
}

// NewWrite makes a body and a header that only this op has. Every few ops
// carry content headers, as real clients do.
func NewWrite(op string, size int, rnd *rand.Rand) Write {
	w := Write{Body: Body(op, size), Fields: []wire.Field{
		{Name: "x-amz-meta-op", Value: op},
		{Name: "x-amz-meta-spaces", Value: "two  spaces"},
	}}
	if rnd.IntN(3) == 0 {
		w.Fields = append(w.Fields, wire.Field{Name: "content-type", Value: "text/x-" + op},
			wire.Field{Name: "cache-control", Value: "max-age=60"})
	}
	if rnd.IntN(5) == 0 {
		w.Fields = append(w.Fields, wire.Field{Name: "content-disposition", Value: `attachment; filename="` + op + `"`},
			wire.Field{Name: "content-language", Value: "en"}, wire.Field{Name: "content-encoding", Value: "gzip"})
	}
	w.Version = Version{Op: op, Present: true, Size: size, Sum: sha256.Sum256(w.Body), Header: object.Headers{}}
	for _, f := range w.Fields {
		w.Header[f.Name] = f.Value
	}
	return w
}

// Key is what a client that writes a key alone, one request after the other,
// may expect to find there.
type Key struct {
	Name    string
	Certain Version   // the last one acknowledged or seen
	Maybe   []Version // later writes whose answer was lost or not definitive
}

// Outcome is what an answer says about a write.
type Outcome int

const (
	Acked   Outcome = iota // it took effect
	Refused                // it did not and never will
	Unknown                // either; it may still take effect until a later write is acknowledged
	NotSent                // nobody listened: it never left the client
)

// Judge reads the outcome of a write from its answer: only a 4xx proves that
// it was not applied.
func Judge(a wire.Answer, err error) Outcome {
	switch {
	case err == nil && a.Status >= 200 && a.Status < 300:
		return Acked
	case err == nil && a.Status >= 400 && a.Status < 500:
		return Refused
	case errors.Is(err, syscall.ECONNREFUSED):
		return NotSent
	}
	return Unknown
}

// Wrote records the outcome of a write.
func (k *Key) Wrote(v Version, o Outcome) {
	switch o {
	case Acked:
		k.Certain, k.Maybe = v, nil
	case Unknown:
		k.Maybe = append(k.Maybe, v)
	}
}

// Saw checks what a read returned, and records it: once seen, a write that
// was in doubt took effect, and what stood there before must not come back.
func (k *Key) Saw(o Object, err error) error {
	if _, missing := err.(Missing); err != nil && !missing {
		return err
	}
	var why []string
	for i, v := range append([]Version{k.Certain}, k.Maybe...) {
		diff := v.differs(o, err == nil)
		if diff == "" {
			if i > 0 {
				k.Certain = v
				k.Maybe = append(k.Maybe[:i-1:i-1], k.Maybe[i:]...)
			}
			return nil
		}
		why = append(why, fmt.Sprintf("%v: %s", v, diff))
	}
	return fmt.Errorf("key %q shows what it may not: %s", k.Name, strings.Join(why, "; or "))
}

// differs tells what in a reading is not this version; "" means nothing.
func (v Version) differs(o Object, present bool) string {
	switch {
	case present && !v.Present:
		return fmt.Sprintf("found %d bytes of op %q", o.Size, o.Header["x-amz-meta-op"])
	case !present && v.Present:
		return "found nothing"
	case !present:
		return ""
	case o.Size != v.Size || o.Sum != v.Sum:
		return fmt.Sprintf("found other bytes: %d of op %q", o.Size, o.Header["x-amz-meta-op"])
	case v.ETag != "" && o.ETag != v.ETag:
		return fmt.Sprintf("found ETag %s, acknowledged %s", o.ETag, v.ETag)
	}
	for name, want := range v.Header {
		if got := o.Header[name]; got != want {
			return fmt.Sprintf("found %s %q, want %q", name, got, want)
		}
	}
	for name := range o.Header {
		_, sent := v.Header[name]
		if !sent && (strings.HasPrefix(name, object.MetaPrefix) || name == "content-encoding") {
			return fmt.Sprintf("found %s %q, which nobody sent", name, o.Header[name])
		}
	}
	return ""
}

// ETagOf is the entity tag of an answer.
func ETagOf(a wire.Answer) string {
	if a.Header == nil {
		return ""
	}
	return http.Header(a.Header).Get("ETag")
}
