//go:build e2e

package e2e

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// refusals are the S3 errors that each fault may be answered with. Where more
// than one stands, S3 servers differ and clients treat them alike.
var refusals = map[wire.Fault][]string{
	wire.CutAtStart:             {"400 IncompleteBody", "400 RequestTimeout"},
	wire.CutHalf:                {"400 IncompleteBody", "400 RequestTimeout"},
	wire.CutLate:                {"400 IncompleteBody", "400 RequestTimeout"},
	wire.WrongSHA256:            {"400 XAmzContentSHA256Mismatch"},
	wire.WrongMD5:               {"400 BadDigest"},
	wire.WrongHeadChecksum:      {"400 BadDigest"},
	wire.FirstChunkSignature:    {"403 SignatureDoesNotMatch"},
	wire.LastDataChunkSignature: {"403 SignatureDoesNotMatch"},
	wire.FinalChunkSignature:    {"403 SignatureDoesNotMatch"},
	wire.WrongTrailer:           {"400 BadDigest"},
	wire.MissingTrailer:         {"400 MalformedTrailerError", "400 IncompleteBody"},
	wire.MalformedTrailer:       {"400 MalformedTrailerError"},
	wire.TrailerSignature:       {"403 SignatureDoesNotMatch"},
	wire.DecodedLengthLong:      {"400 IncompleteBody"},
	wire.DecodedLengthShort:     {"400 IncompleteBody"},
	wire.ExtraBytes:             {"400 IncompleteBody", "400 MalformedTrailerError"},
}

// attempt is one body that must not land.
type attempt struct {
	size  int
	mode  wire.Mode
	fault wire.Fault
	end   wire.End
}

func (a attempt) String() string {
	end := map[wire.End]string{wire.Wait: "waits", wire.Close: "closes", wire.Reset: "resets"}[a.end]
	return fmt.Sprintf("%d bytes, %s, %s, client %s", a.size, a.mode, a.fault, end)
}

// attempts are every fault in every mode at every size; whoever goes away
// does so politely (FIN) and rudely (RST).
func attempts() []attempt {
	var all []attempt
	for _, size := range []int{1 << 10, 300 << 10, 9 << 20} {
		for _, mode := range wire.Modes {
			for _, fault := range mode.Faults() {
				if !fault.Cut() {
					all = append(all, attempt{size, mode, fault, wire.Wait})
					continue
				}
				all = append(all, attempt{size, mode, fault, wire.Close}, attempt{size, mode, fault, wire.Reset})
			}
		}
	}
	return all
}

// answerLimit is how long a raw request may take: far more than any needs.
const answerLimit = 30 * time.Second

// TestBodiesThatMustNotLand sends broken bodies over old objects. The old
// object stands on every backend, and the client is told what was wrong.
func TestBodiesThatMustNotLand(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	g := harness.StartGateway(t, backends, harness.Options{})
	createBucket(t, g.Client, "proof")

	all := attempts()
	olds := make([]harness.Write, len(all))
	rnd := newRand(3)
	for i, a := range all {
		olds[i] = harness.NewWrite(fmt.Sprintf("old-%d", i), 1000+i, rnd)
		mustPut(t, g.Client, keyOf(i), a.mode, &olds[i])
	}
	before := harness.RequireEqual(t, g, "proof", backends...)

	answered := 0
	var wrong []string
	for i, a := range all {
		p := wire.Put{
			Keys: g.Keys, Host: g.S3Addr, Bucket: "proof", Key: keyOf(i), Mode: a.mode, Fault: a.fault, Now: time.Now(),
			Body: harness.Body(fmt.Sprintf("broken-%d", i), a.size), Header: []wire.Field{{Name: "x-amz-meta-op", Value: "broken"}},
		}
		answer, err := wire.Exchange(g.S3Addr, "PUT", p.Message(), a.end, answerLimit)
		switch {
		case err != nil:
			t.Errorf("%v: %v", a, err)
		case a.end == wire.Reset:
		case !slices.Contains(refusals[a.fault], answer.String()):
			wrong = append(wrong, fmt.Sprintf("%v: answered %v, want one of %q", a, answer, refusals[a.fault]))
		default:
			answered++
		}
	}
	if len(wrong) > 0 {
		t.Errorf("%d wrong answers:\n%s", len(wrong), harness.Abridged(wrong, 20))
	}

	// Whatever is still on its way must have come to rest before we look.
	g.Converge(t)
	after := harness.RequireEqual(t, g, "proof", backends...)
	for i, a := range all {
		old, held := before[keyOf(i)], after[keyOf(i)]
		if held.Stamp != old.Stamp || held.Sum != old.Sum {
			t.Errorf("%v: the old object of %d bytes is gone, the backends hold %d bytes of op %q",
				a, old.Size, held.Size, held.Header["x-amz-meta-op"])
		}
		if o, err := g.Client.Object(t.Context(), "proof", keyOf(i)); err != nil || o.Sum != olds[i].Sum {
			t.Errorf("%v: the gateway no longer shows the old object: %d bytes, %v", a, o.Size, err)
		}
	}
	if len(after) != len(all) {
		t.Errorf("the backends hold %d objects, %d were written", len(after), len(all))
	}
	floor(t, "bodies that must not land", int64(len(all)), 180)
	floor(t, "of them answered with the right error", int64(answered), 135)
	wholeBodiesLand(t, g, backends)
}

// wholeBodiesLand is the control: the same bodies without a fault are stored,
// over keys that have just seen the faults, so the refusals were about those.
func wholeBodiesLand(t *testing.T, g *harness.Gateway, backends []*harness.Backend) {
	t.Helper()
	landed := map[string]harness.Write{}
	for i, a := range attempts() {
		if a.size > 1<<20 && a.fault != wire.CutHalf {
			continue // a few of the large ones will do
		}
		p := wire.Put{
			Keys: g.Keys, Host: g.S3Addr, Bucket: "proof", Key: keyOf(i), Mode: a.mode, Now: time.Now(),
			MD5: i%2 == 0, CRC: i%3 == 0 && !a.mode.Trailer(), Body: harness.Body(fmt.Sprintf("whole-%d", i), a.size),
		}
		answer, err := wire.Exchange(g.S3Addr, "PUT", p.Message(), wire.Wait, answerLimit)
		if err != nil || answer.Status != 200 {
			t.Errorf("%d bytes, %s, without a fault: %v, %v", a.size, a.mode, answer, err)
			continue
		}
		landed[keyOf(i)] = harness.Write{Version: harness.Version{Sum: sha256.Sum256(p.Body)}}
	}
	g.Converge(t)
	held := harness.RequireEqual(t, g, "proof", backends...)
	for key, w := range landed {
		if held[key].Sum != w.Sum {
			t.Errorf("%s: the whole body was acknowledged, the backends hold other bytes", key)
		}
	}
	floor(t, "whole bodies that landed", int64(len(landed)), 120)
}

func keyOf(i int) string { return fmt.Sprintf("body/%03d", i) }

// mustPut stores a write or fails the test.
func mustPut(t *testing.T, c *harness.Client, key string, mode wire.Mode, w *harness.Write) {
	t.Helper()
	a, err := c.Put(t.Context(), "proof", key, mode, w.Body, w.Fields...)
	if err != nil || a.Status != 200 {
		t.Fatalf("put %s: %v, %v", key, a, err)
	}
	w.ETag = harness.ETagOf(a)
}
