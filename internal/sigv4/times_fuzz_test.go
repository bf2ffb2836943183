package sigv4

import (
	"net/http"
	"testing"
	"time"
)

// FuzzTimes: a time is read only in a spelling that gives it back, so that
// what is signed and what is compared with the clock are the same.
func FuzzTimes(f *testing.F) {
	for _, s := range []string{"20260304T050607Z", "20260304T050607.5Z", "20261304T050607Z", "Wed, 04 Mar 2026 05:06:07 GMT",
		"Wednesday, 04-Mar-26 05:06:07 GMT", "Wed Mar  4 05:06:07 2026", "00000101T000000Z", "99991231T235960Z", ""} {
		f.Add(s, "3600", s)
	}
	f.Add("20260304T050607Z", "604801", "")
	f.Add("20260304T050607Z", "0x10", "")
	f.Add("20260304T050607Z", "+1", "")
	f.Fuzz(func(t *testing.T, date, expires, header string) {
		if at, ok := parseTime(date); ok && (at.Format(timeLayout) != date || at.Location() != time.UTC) {
			t.Fatalf("%q is read as %v", date, at)
		}
		if at, ok := requestTime(&http.Request{Header: http.Header{"Date": {header}}}); ok {
			if again, ok := requestTime(&http.Request{Header: http.Header{"Date": {at.Format(http.TimeFormat)}}}); !ok || !again.Equal(at) {
				t.Fatalf("%q is read as %v, then as %v", header, at, again)
			}
		}
		now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		q := &Request{date: date[:min(8, len(date))]}
		if q.parseValidity(params{paramDate: date, paramExpires: expires}, now) != nil {
			return
		}
		if q.Time.After(now.Add(MaxSkew)) || q.Time.Before(now.Add(-MaxExpires)) {
			t.Fatalf("%q for %q is valid at %v", date, expires, now)
		}
	})
}
