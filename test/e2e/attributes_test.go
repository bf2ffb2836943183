//go:build e2e

package e2e

import (
	"encoding/xml"
	"fmt"
	"slices"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// partAttributes are the parts of a GetObjectAttributesResponse.
type partAttributes struct {
	Parts struct {
		PartsCount           int
		NextPartNumberMarker int
		IsTruncated          bool
		Part                 []struct {
			PartNumber, Size int
			ChecksumCRC32    string
		}
	} `xml:"ObjectParts"`
}

// partSums are the checksums of the parts of an object, asked for two at a time.
func partSums(t *testing.T, c *harness.Client, bucket, key string) (found []string) {
	t.Helper()
	for marker, pages := 0, 0; pages < 10; pages++ {
		a, err := c.Do(t.Context(), "GET", bucket, key, "attributes=", nil, wire.Field{Name: "x-amz-object-attributes", Value: "ObjectParts"},
			wire.Field{Name: "x-amz-max-parts", Value: "2"}, wire.Field{Name: "x-amz-part-number-marker", Value: fmt.Sprint(marker)})
		if err != nil || a.Status != 200 {
			t.Fatalf("attributes: %v, %v", a, err)
		}
		var page partAttributes
		if err := xml.Unmarshal(a.Body, &page); err != nil {
			t.Fatalf("%s: %v", a.Body, err)
		}
		for _, p := range page.Parts.Part {
			found = append(found, p.ChecksumCRC32)
			if p.PartNumber != len(found) || len(page.Parts.Part) > 2 {
				t.Fatalf("part %d at place %d: %s", p.PartNumber, len(found), a.Body)
			}
		}
		if !page.Parts.IsTruncated {
			return found
		}
		marker = page.Parts.NextPartNumberMarker
	}
	t.Fatal("pages of parts without end")
	return nil
}

// TestChecksumsOfParts: versitygw keeps none of them, and they are given all the same,
// whichever backend is there, and after the gateway was killed.
func TestChecksumsOfParts(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	g := harness.StartGateway(t, backends, harness.Options{Extra: uploadTimes})
	createBucket(t, g.Client, "proof")
	u := newUpload(g.Client, "proof", "object", 5)
	u.begin(t, wire.Field{Name: "x-amz-checksum-algorithm", Value: "CRC32"})
	var want []string
	for i, part := range u.parts {
		u.send(t, i+1)
		want = append(want, crc32Of(part))
	}
	a, err := u.c.Do(t.Context(), "POST", u.bucket, u.key, wire.Query("uploadId", u.id), []byte(u.summedList()))
	if err != nil || a.Status != 200 {
		t.Fatalf("complete: %v, %v", a, err)
	}
	if got := partSums(t, g.Client, "proof", "object"); !slices.Equal(got, want) {
		t.Errorf("checksums of parts %q, want %q", got, want)
	}
	part, err := g.Client.Do(t.Context(), "GET", "proof", "object", "partNumber=2", nil, wire.Field{Name: "x-amz-checksum-mode", Value: "ENABLED"})
	if got := part.Header.Get("x-amz-checksum-crc32"); err != nil || part.Status != 206 || got != want[1] {
		t.Errorf("the second part: %v, checksum %q, want %q: %v", part, got, want[1], err)
	}
	g.Converge(t)
	for _, b := range backends {
		b.Kill()
		if got := partSums(t, g.Client, "proof", "object"); !slices.Equal(got, want) {
			t.Errorf("without %s: checksums of parts %q, want %q", b.Name, got, want)
		}
		b.Start(t)
	}
	g.Kill()
	g.Start(t)
	if got := partSums(t, g.Client, "proof", "object"); !slices.Equal(got, want) {
		t.Errorf("after a restart: checksums of parts %q, want %q", got, want)
	}
	settled(t, g, "proof", backends, u)
}
