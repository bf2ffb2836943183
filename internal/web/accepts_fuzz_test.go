package web

import (
	"net/http"
	"strings"
	"testing"
)

// FuzzTakes: a coding is sent to who named it, or everything, and did not refuse it.
func FuzzTakes(f *testing.F) {
	for _, value := range []string{"gzip, deflate, br", "br;q=0, *", "*;q=0", "gzip;q=0.000,br; q = 1", "BR", ";,;q=", "br;q=nan", "br;q=-0"} {
		f.Add(value, "")
	}
	f.Add("gzip", "br")
	f.Fuzz(func(t *testing.T, first, second string) {
		h := http.Header{"Accept-Encoding": {first, second}}
		for _, coding := range []string{"br", "gzip"} {
			got := takes(h, coding)
			all := strings.ToLower(first + "," + second)
			if got && !strings.Contains(all, coding) && !strings.Contains(all, "*") {
				t.Errorf("%s is sent to %q, %q", coding, first, second)
			}
			plain := http.Header{"Accept-Encoding": {coding, first, second}}
			if !takes(plain, coding) {
				t.Errorf("%s is not sent to who names it first: %q, %q", coding, first, second)
			}
			if refusing := (http.Header{"Accept-Encoding": {coding + ";q=0", first, second}}); takes(refusing, coding) {
				t.Errorf("%s is sent to who refuses it first: %q, %q", coding, first, second)
			}
		}
	})
}
