//go:build e2e

package conformance

import (
	"context"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// direct is a server alone. Its buckets are removed past it, locked objects too.
func direct(t *testing.T) target {
	t.Helper()
	b := harness.StartBackend(t, "alone", true)
	return target{name: "directly", client: b.Client, purge: func() error {
		entries, err := os.ReadDir(b.Dir)
		for _, e := range entries {
			if err := os.RemoveAll(filepath.Join(b.Dir, e.Name())); err != nil {
				return err
			}
		}
		return err
	}}
}

// behind is s3mirror over n servers.
func behind(t *testing.T, n int) target {
	t.Helper()
	g := harness.StartGateway(t, harness.StartBackends(t, n), harness.Options{Ack: "all"})
	name := fmt.Sprintf("over %d servers", n)
	if n == 1 {
		name = "over one server"
	}
	return through(t, name, g)
}

// behindTwoMakes is s3mirror over two versitygw and a MinIO.
func behindTwoMakes(t *testing.T) target {
	t.Helper()
	backends := append(harness.StartBackends(t, 2), harness.StartMinIO(t, "b-3"))
	return through(t, "over two makes", harness.StartGateway(t, backends, harness.Options{Ack: "all"}))
}

func through(t *testing.T, name string, g *harness.Gateway) target {
	return target{name: name, client: g.Client, purge: func() error { return empty(t, g.Client) }}
}

// empty removes every bucket with all that is in it.
func empty(t *testing.T, c *harness.Client) error {
	var last error
	harness.Eventually(t, "all buckets are removed", func() error {
		last = emptyOnce(t.Context(), c)
		return last
	})
	return last
}

func emptyOnce(ctx context.Context, c *harness.Client) error {
	buckets, err := c.Do(ctx, "GET", "", "", "", nil)
	if err != nil {
		return err
	}
	for _, bucket := range elements(buckets.Body, "Bucket", "Name") {
		keys, err := c.List(ctx, bucket, "", 1000)
		if err != nil {
			return err
		}
		for _, key := range keys {
			if _, err := c.Delete(ctx, bucket, key); err != nil {
				return err
			}
		}
		uploads, err := c.Do(ctx, "GET", bucket, "", "uploads=", nil)
		if err != nil {
			return err
		}
		ids := elements(uploads.Body, "Upload", "UploadId")
		for i, key := range elements(uploads.Body, "Upload", "Key") {
			if _, err := c.Do(ctx, "DELETE", bucket, key, wire.Query("uploadId", ids[i]), nil); err != nil {
				return err
			}
		}
		if a, err := c.Do(ctx, "DELETE", bucket, "", "", nil); err != nil || a.Status/100 != 2 && a.Status != 404 {
			return fmt.Errorf("bucket %s: %v, %v", bucket, a, err)
		}
	}
	return nil
}

// elements returns the texts of the children of that name, in the elements of that name.
func elements(document []byte, in, name string) []string {
	type node struct {
		XMLName xml.Name
		Text    string `xml:",chardata"`
		Nodes   []node `xml:",any"`
	}
	var root node
	if xml.Unmarshal(document, &root) != nil {
		return nil
	}
	var out []string
	var walk func(n node, inside bool)
	walk = func(n node, inside bool) {
		for _, child := range n.Nodes {
			if inside && child.XMLName.Local == name {
				out = append(out, child.Text)
			}
			walk(child, child.XMLName.Local == in)
		}
	}
	walk(root, false)
	return out
}
