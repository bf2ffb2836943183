package s3

import (
	"fmt"
	"net/http"
	"testing"
)

func TestParseRange(t *testing.T) {
	const whole, no = "whole", "InvalidRange"
	for _, c := range []struct {
		header string
		size   int64
		want   string // offset+length, whole, or the code
	}{
		{"", 10, whole},
		{"bytes=0-0", 10, "0+1"},
		{"bytes=2-5", 10, "2+4"},
		{"bytes=0-9", 10, "0+10"},
		{"bytes=5-100", 10, "5+5"},
		{"bytes=5-", 10, "5+5"},
		{"bytes=0-", 10, "0+10"},
		{"Bytes =2-5 ", 10, "2+4"},
		{"bytes=-3", 10, "7+3"},
		{"bytes=-100", 10, "0+10"},
		{"bytes=-0", 10, no},
		{"bytes=10-", 10, no},
		{"bytes=10-20", 10, no},
		{"bytes=0-99999999999999999999", 10, "0+10"},
		{"bytes=-99999999999999999999", 10, "0+10"},
		{"bytes=99999999999999999999-", 10, no},
		{"bytes=0-1,4-5", 10, whole},
		{"bytes=0-1,", 10, whole},
		{"bytes=5-2", 10, whole},
		{"bytes=-", 10, whole},
		{"bytes=", 10, whole},
		{"bytes", 10, whole},
		{"bytes=a-b", 10, whole},
		{"bytes=+1-2", 10, whole},
		{"bytes=1--2", 10, whole},
		{"bytes=1 -2", 10, whole},
		{"items=0-1", 10, whole},
		{"bytes=0-0", 0, no},
		{"bytes=0-", 0, no},
		{"bytes=-5", 0, whole},
		{"bytes=40-50", 0, no},
		{"junk", 0, whole},
	} {
		r, err := ParseRange(c.header, c.size)
		got := fmt.Sprintf("%d+%d", r.Offset, r.Length)
		switch {
		case err != nil:
			got = string(codeOf(err))
			if fieldOf(err, "ActualObjectSize") != fmt.Sprint(c.size) || fieldOf(err, "RangeRequested") != c.header {
				t.Errorf("%q: %v", c.header, err)
			}
		case !r.Partial:
			got = whole
			if r != (Range{Length: c.size, Size: c.size}) {
				t.Errorf("%q: %+v", c.header, r)
			}
		}
		if got != c.want {
			t.Errorf("%q of %d: %s, want %s", c.header, c.size, got, c.want)
		}
	}
}

func TestRangeHeaders(t *testing.T) {
	for _, c := range []struct {
		header string
		status int
		want   http.Header
	}{
		{"", 200, http.Header{"Content-Length": {"20000"}}},
		{"bytes=-5", 206, http.Header{"Content-Length": {"5"}, "Content-Range": {"bytes 19995-19999/20000"}}},
	} {
		r, err := ParseRange(c.header, 20000)
		h := http.Header{}
		if status := r.SetHeaders(h); err != nil || status != c.status || fmt.Sprint(h) != fmt.Sprint(c.want) {
			t.Errorf("%q: %d %v %v", c.header, status, h, err)
		}
	}
}

func FuzzRange(f *testing.F) {
	f.Add("bytes=0-1", int64(5))
	f.Add("bytes=-5", int64(0))
	f.Add("bytes=9223372036854775807-9223372036854775807", int64(9223372036854775807))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		r, err := ParseRange(header, size)
		if err != nil {
			if codeOf(err) != InvalidRange {
				t.Fatal(err)
			}
			return
		}
		if r.Offset < 0 || r.Length < 0 || r.Offset > size-r.Length || r.Size != size ||
			r.Partial && r.Length == 0 || !r.Partial && r.Length != size {
			t.Fatalf("%q of %d: %+v", header, size, r)
		}
	})
}
