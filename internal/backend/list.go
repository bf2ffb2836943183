package backend

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// emptyPages bounds how many pages without anything new are followed by the
// endpoint's own token, which is the only way past them.
const emptyPages = 100

// List implements Backend. It pages by key (start-after), never by the
// endpoint's token, so that another endpoint can go on.
func (r *Remote) List(ctx context.Context, bucket string, l ListRequest) (ListPage, error) {
	if l.Max <= 0 {
		l.Max = s3.MaxKeys
	}
	token := ""
	for range emptyPages {
		listing, err := r.list(ctx, bucket, l, token)
		if err != nil {
			return ListPage{}, err
		}
		page, err := l.page(listing)
		if err != nil {
			return ListPage{}, &Error{Backend: r.o.Name, Op: OpList, Outcome: Ambiguous, Misconfigured: true, Err: err}
		}
		if !listing.Truncated || page.Next != "" {
			return page, nil
		}
		if token = listing.NextToken; token == "" {
			break
		}
	}
	return ListPage{}, &Error{Backend: r.o.Name, Op: OpList, Outcome: Ambiguous, Misconfigured: true,
		Err: fmt.Errorf("%w: a listing that goes on without anything in it", ErrAnswer)}
}

func (r *Remote) list(ctx context.Context, bucket string, l ListRequest, token string) (listing *s3.Listing, err error) {
	c := call{op: OpList, method: http.MethodGet, bucket: bucket, query: l.query(token)}
	err = r.run(ctx, c, func(resp *http.Response) (err error) {
		listing, err = s3.DecodeListing(resp.Body)
		return err
	})
	return listing, err
}

// query builds the parameters, in the order in which they are signed.
func (l ListRequest) query(token string) string {
	var b strings.Builder
	add := func(name, value string) {
		if value != "" {
			if b.Len() > 0 {
				b.WriteByte('&')
			}
			b.WriteString(name + "=" + sigv4.EscapeQuery(value))
		}
	}
	add("continuation-token", token)
	add("delimiter", l.Delimiter)
	add("encoding-type", "url") // XML can not carry every key
	add("list-type", "2")
	add("max-keys", strconv.Itoa(l.Max))
	add("prefix", l.Prefix)
	if token == "" {
		scan := s3.ListRequest{Prefix: l.Prefix, Delimiter: l.Delimiter, After: l.After}
		add("start-after", scan.ScanAfter())
	}
	return b.String()
}

// page checks a listing against the request and drops what After hides. The entries stay
// in the listing's memory.
func (l ListRequest) page(in *s3.Listing) (ListPage, error) {
	out := ListPage{Entries: in.Objects[:0]}
	last := ""
	for _, o := range in.Objects {
		if !strings.HasPrefix(o.Key, l.Prefix) || o.Key <= last && last != "" {
			return ListPage{}, fmt.Errorf("%w: key %q after %q, prefix %q", ErrOrder, o.Key, last, l.Prefix)
		}
		last = o.Key
		if o.Key > l.After {
			o.ModTime = o.ModTime.UTC()
			out.Entries = append(out.Entries, o)
		}
	}
	next := last
	last = ""
	for _, p := range in.CommonPrefixes {
		if !strings.HasPrefix(p, l.Prefix) || l.Delimiter == "" || !strings.HasSuffix(p, l.Delimiter) || p <= last && last != "" {
			return ListPage{}, fmt.Errorf("%w: prefix %q after %q, prefix %q", ErrOrder, p, last, l.Prefix)
		}
		last = p
		if p > l.After {
			out.Prefixes = append(out.Prefixes, p)
		}
	}
	if in.Truncated {
		out.Next = max(next, last)
		if out.Next <= l.After {
			out.Next = ""
		}
	}
	out.Prefixes = slices.Clip(out.Prefixes)
	return out, nil
}
