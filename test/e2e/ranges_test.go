//go:build e2e

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// TestRangesWhileTheirBackendDies: a multipart object is downloaded in ranges at the same
// time, each bound to its ETag, as clients do with large files. While all are under way one
// backend is killed, and then another, so that whoever served them dies. Every range goes
// on at the same byte.
func TestRangesWhileTheirBackendDies(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	g := harness.StartGateway(t, backends, harness.Options{Extra: uploadTimes})
	createBucket(t, g.Client, "proof")
	u := newUpload(g.Client, "proof", "object", 20)
	ctx := t.Context()
	if err := errors.Join(u.create(ctx), u.putAll(ctx, 4), u.complete(ctx)); err != nil {
		t.Fatal(err)
	}
	g.Converge(t)
	const ranges = 4
	whole := bytes.Join(u.parts, nil)
	piece := (len(whole) + ranges - 1) / ranges
	client := site{scheme: "http", addr: g.S3Addr, keys: g.Keys}.sdk(t)

	var begun, over sync.WaitGroup
	begun.Add(ranges)
	die := make(chan struct{})
	for i := range ranges {
		from, to := i*piece, min((i+1)*piece, len(whole))
		over.Go(func() {
			got, err := client.GetObject(ctx, &s3.GetObjectInput{
				Bucket: aws.String("proof"), Key: aws.String("object"), IfMatch: aws.String(`"` + u.etag() + `"`),
				Range: aws.String(fmt.Sprintf("bytes=%d-%d", from, to-1)),
			})
			if err != nil {
				begun.Done()
				t.Errorf("range %d: %v", i, err)
				return
			}
			defer got.Body.Close()
			head := make([]byte, 64<<10)
			_, err = io.ReadFull(got.Body, head)
			begun.Done()
			if err != nil {
				t.Errorf("range %d: %v", i, err)
				return
			}
			<-die
			rest, err := io.ReadAll(got.Body)
			if err != nil || !bytes.Equal(append(head, rest...), whole[from:to]) {
				t.Errorf("range %d: %d bytes that are not its %d: %v", i, len(head)+len(rest), to-from, err)
			}
		})
	}
	begun.Wait()
	backends[0].Kill()
	backends[1].Kill()
	close(die)
	over.Wait()
	floor(t, "bodies that went on with another backend", int64(metric(t, g, "s3mirror_read_failovers_total")), 1)
	backends[0].Start(t)
	backends[1].Start(t)
	settled(t, g, "proof", backends, u)
}

// metric is the value of a counter without labels.
func metric(t *testing.T, g *harness.Gateway, name string) float64 {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+g.AdminAddr+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if after, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(after), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}
