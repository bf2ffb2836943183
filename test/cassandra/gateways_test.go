//go:build cassandra

package cassandra

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// testGateways runs two of the built program on one log: clients hop between them,
// what was begun at one goes on at the other, one is killed and comes back, and in
// the end the backends hold the same.
func testGateways(t *testing.T, n *node) {
	backends := harness.StartMemories(t, 3)
	options := harness.Options{Log: n.section("gateways"), Lease: 6 * time.Second, Retention: 30 * time.Second}
	a := harness.NewGateway(t, backends, options)
	options.Sibling, options.DataDir = a, t.TempDir()
	b := harness.NewGateway(t, backends, options)
	if code, stdout, stderr := a.CLI(t, "migrate", "--config", a.Config); code != 0 {
		t.Fatalf("migrate: exit %d\n%s%s", code, stdout, stderr)
	}
	a.Start(t)
	b.Start(t)
	both := []*harness.Gateway{a, b}
	ctx := t.Context()
	if r, err := b.Client.Do(ctx, "HEAD", bucket, "", "", nil); err != nil || r.Status != 404 {
		t.Fatalf("HEAD of a bucket that is not there: %v, %v", r, err)
	}
	if r, err := a.Client.Do(ctx, "PUT", bucket, "", "", nil); err != nil || r.Status != 200 {
		t.Fatalf("create bucket: %v, %v", r, err)
	}

	t.Run("each knows of the other", func(t *testing.T) {
		for _, g := range both {
			var status struct {
				Nodes []struct {
					Name, Address string
					Lease         float64 `json:"lease_seconds"`
				}
			}
			code, stdout, stderr := g.CLI(t, "status", "--output", "json")
			if err := json.Unmarshal([]byte(stdout), &status); code != 0 || err != nil {
				t.Fatalf("status: exit %d, %v\n%s", code, err, stderr)
			}
			if n := status.Nodes; len(n) != 2 || n[0].Lease <= 0 || n[0].Address == n[1].Address || n[0].Name == n[1].Name {
				t.Errorf("nodes %+v", n)
			}
			resp, err := http.Get("http://" + g.AdminAddr + "/metrics")
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			for _, want := range []string{"\ns3mirror_nodes 2\n", "\ns3mirror_node_lease_seconds ", "\ns3mirror_node_clock_apart_seconds "} {
				if err != nil || !strings.Contains(string(text), want) {
					t.Errorf("metrics lack %q, %v", want, err)
				}
			}
		}
	})

	hop, all := &hopping{both: both}, t // whose end is the gateways'
	for i := range 20 {
		hop.keys = append(hop.keys, &harness.Key{Name: fmt.Sprintf("hop/%02d", i)})
	}
	t.Run("clients hop", func(t *testing.T) { hop.round(t, 60) })
	t.Run("an upload goes on at the other", func(t *testing.T) { testUploadHops(t, a, b) })
	t.Run("a list goes on at the other", func(t *testing.T) { testListHops(t, a, b) })
	t.Run("a link goes on at the other", func(t *testing.T) { testLinkHops(t, a, b) })
	t.Run("a session goes on at the other", func(t *testing.T) { testSessionHops(t, a, b) })
	t.Run("what is set at one holds at the other", func(t *testing.T) {
		if code, _, stderr := a.CLI(t, "mode", "disabled", "--primary", "eu-2"); code != 0 {
			t.Fatalf("mode: exit %d\n%s", code, stderr)
		}
		if code, stdout, stderr := b.CLI(t, "mode", "--output", "json"); code != 0 || !strings.Contains(stdout, `"eu-2"`) {
			t.Errorf("mode at the other: exit %d\n%s%s", code, stdout, stderr)
		}
		if code, _, stderr := b.CLI(t, "mode", "active"); code != 0 {
			t.Errorf("mode: exit %d\n%s", code, stderr)
		}
	})
	t.Run("one is killed", func(t *testing.T) {
		b.Kill()
		hop.both = both[:1]
		hop.round(t, 30) // beside a node that nobody has buried yet
		b.Start(all)     // its folder says that it is over
		hop.both = both
		hop.round(t, 30)
	})
	t.Run("one stands still past its lease", func(t *testing.T) {
		b.Process().Stop(t)
		hop.both = both[:1]
		hop.round(t, 20)
		harness.Eventually(t, "the other one buries it", func() error {
			if !strings.Contains(a.Process().Output(), "node is dead") {
				return errors.New("it does not say so")
			}
			return nil
		})
		b.Process().Signal(syscall.SIGCONT)
		harness.Eventually(t, "it joins anew", b.Ready)
		hop.both = both
		hop.round(t, 30)
	})

	t.Run("clocks are apart", func(t *testing.T) { testClocks(t, backends, options, both) })

	hop.check(t)
	a.Converge(t)
	held := harness.RequireEqual(t, a, bucket, backends...)
	harness.RequireModel(t, "the backends", held, hop.keys)
	for _, g := range both {
		stop(t, g)
	}
	if nodes := n.count(t, "SELECT COUNT(*) FROM gateways.document WHERE kind = 'node' ALLOW FILTERING"); nodes != 0 {
		t.Errorf("%d records of nodes are left", nodes)
	}
}

// hopping is a client that sends each request to another gateway.
type hopping struct {
	both  []*harness.Gateway
	keys  []*harness.Key
	steps int
}

func (h *hopping) any(rnd *rand.Rand) *harness.Client { return h.both[rnd.IntN(len(h.both))].Client }

// round sends so many mutations, each followed by a read at some gateway.
func (h *hopping) round(t *testing.T, n int) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(8, uint64(h.steps)))
	acked := 0
	for range n {
		h.steps++
		k, op := h.keys[rnd.IntN(len(h.keys))], fmt.Sprint("hop-", h.steps)
		var a wire.Answer
		var err error
		v := harness.Version{Op: op}
		if rnd.IntN(4) == 0 {
			a, err = h.any(rnd).Delete(t.Context(), bucket, k.Name)
		} else {
			w := harness.NewWrite(op, rnd.IntN(300<<10), rnd)
			a, err = h.any(rnd).Put(t.Context(), bucket, k.Name, wire.Modes[rnd.IntN(len(wire.Modes))], w.Body, w.Fields...)
			w.ETag, v = harness.ETagOf(a), w.Version
			v.ETag = w.ETag
		}
		o := harness.Judge(a, err)
		k.Wrote(v, o)
		switch o {
		case harness.Acked:
			acked++
		case harness.Refused:
			t.Errorf("a correct request was refused: %v", a)
		}
		h.read(t, h.any(rnd), k)
	}
	if acked < n*8/10 {
		t.Errorf("%d of %d writes were acknowledged", acked, n)
	}
}

func (h *hopping) read(t *testing.T, c *harness.Client, k *harness.Key) {
	t.Helper()
	harness.Eventually(t, "key "+k.Name+" answers", func() error {
		o, err := c.Object(t.Context(), bucket, k.Name)
		if _, missing := err.(harness.Missing); err != nil && !missing {
			return err
		}
		if err := k.Saw(o, err); err != nil {
			t.Error(err)
		}
		return nil
	})
}

// check reads every key at every gateway.
func (h *hopping) check(t *testing.T) {
	t.Helper()
	for _, k := range h.keys {
		for _, g := range h.both {
			h.read(t, g.Client, k)
		}
	}
}

// testUploadHops begins an upload at one gateway, sends its parts to both, lists
// them at the other one, and completes it there.
func testUploadHops(t *testing.T, a, b *harness.Gateway) {
	const key = "upload"
	ctx := t.Context()
	r, err := a.Client.Do(ctx, "POST", bucket, key, "uploads=", nil)
	if err != nil || r.Status != 200 {
		t.Fatalf("create: %v, %v", r, err)
	}
	var created struct{ UploadId string }
	if err := xml.Unmarshal(r.Body, &created); err != nil {
		t.Fatal(err)
	}
	id := "uploadId=" + created.UploadId
	var list strings.Builder
	var whole []byte
	for i, g := range []*harness.Gateway{b, a, b} {
		part := harness.Body(fmt.Sprint("part-", i), 5<<20)
		whole = append(whole, part...)
		r, err := g.Client.Do(ctx, "PUT", bucket, key, fmt.Sprintf("partNumber=%d&%s", i+1, id), part)
		if err != nil || r.Status != 200 {
			t.Fatalf("part %d: %v, %v", i+1, r, err)
		}
		fmt.Fprintf(&list, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, r.Header.Get("ETag"))
	}
	if r, err := a.Client.Do(ctx, "GET", bucket, key, id, nil); err != nil || r.Status != 200 || strings.Count(string(r.Body), "<Part>") != 3 {
		t.Errorf("list of parts at the other: %v, %v", r, err)
	}
	r, err = b.Client.Do(ctx, "POST", bucket, key, id, []byte("<CompleteMultipartUpload>"+list.String()+"</CompleteMultipartUpload>"))
	if err != nil || r.Status != 200 {
		t.Fatalf("complete: %v, %v", r, err)
	}
	for _, g := range []*harness.Gateway{a, b} {
		if r, err := g.Client.Get(ctx, bucket, key); err != nil || r.Status != 200 || string(r.Body) != string(whole) {
			t.Errorf("GET: status %v, %d bytes, %v", r.Status, len(r.Body), err)
		}
	}
	if r, err := a.Client.Delete(ctx, bucket, key); err != nil || r.Status != 204 { // the model knows nothing of it
		t.Errorf("DELETE: %v, %v", r, err)
	}
}
