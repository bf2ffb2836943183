package backend

import (
	"net/http"
	"regexp"
	"strconv"
	"testing"
)

var (
	plainCount = regexp.MustCompile(`^[+-]?\d+$`)
	plainRange = regexp.MustCompile(`^bytes (\d+)-(\d+)/(\d+)$`)
)

// FuzzPartHead: what is taken of an answer about a part is a number of parts that
// there can be, and a size that the range confirms.
func FuzzPartHead(f *testing.F) {
	f.Add("3", "bytes 5-9/20", int64(5))
	f.Add("", "", int64(7))
	f.Add("10001", "bytes 0-0/1", int64(1))
	f.Add("1", "", int64(0))
	f.Add("2", "bytes 5-4/20", int64(0))
	f.Fuzz(func(t *testing.T, count, rng string, length int64) {
		if length < 0 {
			return
		}
		resp := &http.Response{ContentLength: length, Header: http.Header{"X-Amz-Mp-Parts-Count": {count}, "Content-Range": {rng}}}
		p, err := readPartHead(resp)
		switch {
		case count == "":
			if err != nil || p != (partHead{length, length, 0}) {
				t.Fatalf("no count: %+v, %v", p, err)
			}
		case err != nil:
		case !plainCount.MatchString(count) || p.count < 1 || p.count > 10_000:
			t.Fatalf("count %q: %+v", count, p)
		case length > 0:
			m := plainRange.FindStringSubmatch(rng)
			if m == nil {
				t.Fatalf("range %q: %+v", rng, p)
			}
			first, _ := strconv.ParseInt(m[1], 10, 64)
			last, _ := strconv.ParseInt(m[2], 10, 64)
			total, _ := strconv.ParseInt(m[3], 10, 64)
			if p.size != length || last-first+1 != length || p.total != total || last >= total {
				t.Fatalf("range %q of %d: %+v", rng, length, p)
			}
		}
	})
}
