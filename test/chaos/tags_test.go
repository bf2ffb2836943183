//go:build chaos

package chaos

import (
	"context"
	"crypto/md5" //nolint:gosec // Content-MD5
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// newTags are tags that nobody else gives, in the form of x-amz-tagging, which is also what
// stands for them in a history.
func (c *clients) newTags() string { return fmt.Sprintf("by=%d", c.serial.Add(1)) }

// tag changes the tags of what stands under a key, or takes them away.
func (c *clients) tag(ctx context.Context, client int, rnd *rand.Rand, key string) {
	in := call{verb: verbTag}
	method, body := "DELETE", ""
	if rnd.IntN(4) > 0 {
		in.value = c.newTags()
		name, value, _ := strings.Cut(in.value, "=")
		method = "PUT"
		body = "<Tagging><TagSet><Tag><Key>" + name + "</Key><Value>" + value + "</Value></Tag></TagSet></Tagging>"
	}
	sum := md5.Sum([]byte(body)) //nolint:gosec // see above
	digest := wire.Field{Name: "Content-MD5", Value: base64.StdEncoding.EncodeToString(sum[:])}
	a, began, err := c.ask(ctx, func() (wire.Answer, error) {
		return c.target.Do(ctx, method, bucket, key, "tagging=", []byte(body), digest)
	})
	if err == nil && a.Status/100 == 2 {
		c.hist.tally("tagged")
	}
	c.wrote(client, key, in, a, err, began)
}

// readTags records what tags something under a key has.
func (c *clients) readTags(ctx context.Context, client int, key string) {
	a, began, err := c.ask(ctx, func() (wire.Answer, error) {
		return c.target.Do(ctx, "GET", bucket, key, "tagging=", nil)
	})
	out := result{}
	switch {
	case err != nil || a.Status/100 == 5:
		c.failures[client].Add(1)
		c.hist.tally("read failed")
		return
	case a.Status == 200:
		out.present = true
		if out.value, err = tagsIn(a.Body); err != nil {
			c.blame("tags of %s: %v", key, err)
			return
		}
	case a.Status != 404:
		c.blame("a read of tags of %s is answered %v", key, a)
		return
	}
	c.hist.tally("read answered")
	c.hist.add(client, key, call{verb: verbTags}, out, began)
}

// tagsIn are the tags of a document, in the form of newTags.
func tagsIn(body []byte) (string, error) {
	var doc struct {
		TagSet struct{ Tag []struct{ Key, Value string } }
	}
	if err := xml.Unmarshal(body, &doc); err != nil {
		return "", fmt.Errorf("%s: %w", body, err)
	}
	var tags []string
	for _, tag := range doc.TagSet.Tag {
		tags = append(tags, tag.Key+"="+tag.Value)
	}
	return strings.Join(tags, "&"), nil
}

// tagsAt are the tags of an object on a server.
func tagsAt(ctx context.Context, server *harness.Client, key string) (string, error) {
	a, err := server.Do(ctx, "GET", bucket, key, "tagging=", nil)
	if err != nil || a.Status != 200 && a.Code != "NoSuchTagSet" {
		return "", fmt.Errorf("tags of %s are answered %v (%v)", key, a, err) //nolint:errorlint // there may be none
	}
	if a.Status != 200 {
		return "", nil
	}
	return tagsIn(a.Body)
}

// tagged fails while the tags of an object differ from what the gateway says, or a
// backend that keeps none has some.
func (w *world) tagged(key string) error {
	want, err := tagsAt(w.t.Context(), w.clients.target, key)
	if err != nil {
		return err
	}
	for _, b := range w.backends {
		got, err := tagsAt(w.t.Context(), b.Client, key)
		if err != nil {
			return fmt.Errorf("%s: %w", b.Name, err)
		}
		if w.bare[b.Name] && got == "" {
			continue
		}
		if got != want {
			return fmt.Errorf("%s has the tags %q of %s, the gateway %q", b.Name, got, key, want)
		}
	}
	return nil
}
