//go:build e2e

package differential

import (
	"crypto/md5" //nolint:gosec // S3's digest
	"encoding/base64"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// sweepFile holds the requests of the sweep, one a paragraph:
//
//	# its name; one that begins with "... " sees what the one before it has left
//	METHOD target, as it travels
//	header lines; that of Host may name another one than the address
//	! unsigned, ! skewed, ! no-length, ! payload VALUE
//	< its body
//
// In all of it {{text*n}} is a repetition (text as Go quotes it), {{md5}} the digest of the
// body, {{now}} and {{sha}} what a signature of no body would have, {{ETag}} that of the
// object a, {{upload}} the id of an upload of the key mp that each side began, {{domain}}
// the one below which virtual-host style works.
const sweepFile = "testdata/sweep.txt"

// odd is one request of the sweep.
type odd struct {
	name   string
	method string
	target string
	host   string // empty: the address
	header []wire.Field
	body   string

	follows, unsigned, skewed, noLength bool

	payload string // instead of the hash of the body
}

func readSweep(t *testing.T) []odd {
	t.Helper()
	data, err := os.ReadFile(sweepFile)
	if err != nil {
		t.Fatal(err)
	}
	var all []odd
	names := map[string]bool{}
	for paragraph := range strings.SplitSeq(strings.TrimSpace(string(data)), "\n\n") {
		o, err := parseOdd(paragraph)
		if err == nil && names[o.name] && !o.follows {
			err = fmt.Errorf("there are two of this name")
		}
		if err != nil {
			t.Fatalf("%s: %q: %v", sweepFile, paragraph, err)
		}
		names[o.name] = true
		all = append(all, o)
	}
	return all
}

func parseOdd(paragraph string) (o odd, err error) {
	lines := strings.Split(paragraph, "\n")
	if len(lines) < 2 || !strings.HasPrefix(lines[0], "# ") {
		return o, fmt.Errorf("a paragraph begins with a name and a request line")
	}
	o.name = strings.TrimPrefix(lines[0], "# ")
	_, o.follows = strings.CutPrefix(o.name, "... ")
	var ok bool
	if o.method, o.target, ok = strings.Cut(lines[1], " "); !ok {
		return o, fmt.Errorf("%q is no request line", lines[1])
	}
	for _, line := range lines[2:] {
		switch mark, rest, _ := strings.Cut(line, " "); mark {
		case "!":
			err = o.flag(rest)
		case "<":
			o.body = rest
		default:
			name, value, ok := strings.Cut(line, ":")
			if !ok {
				return o, fmt.Errorf("%q is no header", line)
			}
			if name == "Host" {
				o.host = strings.TrimSpace(value)
				continue
			}
			o.header = append(o.header, field(name, strings.TrimPrefix(value, " ")))
		}
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

func (o *odd) flag(text string) error {
	switch word, value, _ := strings.Cut(text, " "); word {
	case "unsigned":
		o.unsigned = true
	case "skewed":
		o.skewed = true
	case "no-length":
		o.noLength = true
	case "payload":
		o.payload = value
	default:
		return fmt.Errorf("%q is no flag", text)
	}
	return nil
}

var repetition = regexp.MustCompile(`\{\{(.+?)\*(\d+)\}\}`)

// fill puts values in the places of a text.
func fill(text string, values ...string) string {
	text = repetition.ReplaceAllStringFunc(text, func(s string) string {
		m := repetition.FindStringSubmatch(s)
		of, err := strconv.Unquote(`"` + m[1] + `"`)
		n, also := strconv.Atoi(m[2])
		if err != nil || also != nil {
			return s
		}
		return strings.Repeat(of, n)
	})
	return strings.NewReplacer(values...).Replace(text)
}

// send sends it to one side.
func (o odd) send(t *testing.T, s *side) wire.Answer {
	t.Helper()
	now := time.Now()
	values := []string{"{{now}}", now.UTC().Format("20060102T150405Z"), "{{sha}}", wire.Hash(nil), "{{ETag}}", etagOfA, "{{upload}}", s.ids["sweep"], "{{domain}}", harness.Domain}
	body := fill(o.body, values...)
	sum := md5.Sum([]byte(body)) //nolint:gosec // see above
	values = append(values, "{{md5}}", base64.StdEncoding.EncodeToString(sum[:]))
	r := wire.Request{Method: o.method, Host: s.client.Addr}
	r.Path, r.Query, _ = strings.Cut(fill(o.target, values...), "?")
	if o.host != "" {
		r.Host = fill(o.host, values...)
	}
	for _, f := range o.header {
		r.Header = append(r.Header, field(f.Name, fill(f.Value, values...)))
	}
	if !o.noLength && (body != "" || o.method == "PUT" || o.method == "POST") {
		r.Header = append(r.Header, field("Content-Length", strconv.Itoa(len(body))))
	}
	if o.skewed {
		now = now.Add(-16 * time.Minute)
	}
	payload := wire.Hash([]byte(body))
	if o.payload != "" {
		payload = o.payload
	}
	if !o.unsigned {
		s.client.Keys.Sign(&r, payload, now)
	}
	a, err := wire.Exchange(s.client.Addr, r.Method, wire.Message{Head: r.Head(), Body: []byte(body)}, wire.Wait, harness.Patience)
	if err != nil {
		t.Fatalf("%s: %s: %v", s.name, o.name, err)
	}
	return a
}
