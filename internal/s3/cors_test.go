package s3

import (
	"net/http"
	"strings"
	"testing"
)

func TestCORSMatches(t *testing.T) {
	rules, err := ParseCORS(strings.NewReader(`<CORSConfiguration>
		<CORSRule><AllowedOrigin>https://a*z.test</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>X-Amz-*</AllowedHeader></CORSRule>
		<CORSRule><AllowedOrigin>https://b.test</AllowedOrigin><AllowedOrigin>*</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedHeader>*</AllowedHeader></CORSRule>
		<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		origin, method, headers, want string // Access-Control-Allow-Origin
	}{
		{"https://az.test", "GET", "", "https://az.test"},
		{"https://a.b.z.test", "GET", "x-amz-date", "https://a.b.z.test"},
		{"https://a.test", "GET", "", "*"}, // "a" and "z.test" overlap
		{"https://az.test", "GET", "range", ""},
		{"https://az.test", "DELETE", "", ""},
		{"https://b.test", "PUT", "a,B,c", "https://b.test"},
		{"null", "PUT", "authorization", "*"},
		{"HTTPS://B.test", "PUT", "", "*"},
	} {
		r := &http.Request{Method: "OPTIONS", Header: http.Header{}}
		r.Header.Set("Origin", c.origin)
		r.Header.Set("Access-Control-Request-Method", c.method)
		r.Header.Set("Access-Control-Request-Headers", c.headers)
		ask, err := ParseCORSRequest(r)
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		if ok := rules.SetHeaders(h, ask); ok != (c.want != "") || h.Get("Access-Control-Allow-Origin") != c.want {
			t.Errorf("%s %s %s: %v", c.origin, c.method, c.headers, h)
		}
		if credentials := h.Get("Access-Control-Allow-Credentials"); credentials == "true" && c.want == "*" {
			t.Errorf("%s: credentials for anyone", c.origin)
		}
	}
}

// TestCORSIsBounded: a hundred rules, 64 KiB.
func TestCORSIsBounded(t *testing.T) {
	const rule = "<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"
	for n, want := range map[int]Code{1: "", 100: "", 101: MalformedXML} {
		if _, err := ParseCORS(strings.NewReader("<CORSConfiguration>" + strings.Repeat(rule, n) + "</CORSConfiguration>")); codeOf(err) != want {
			t.Errorf("%d rules: %v", n, err)
		}
	}
	if _, err := ParseCORS(strings.NewReader("<CORSConfiguration>" + rule + strings.Repeat(" ", maxCORSBytes) + "</CORSConfiguration>")); codeOf(err) != MalformedXML {
		t.Errorf("too long: %v", err)
	}
}
