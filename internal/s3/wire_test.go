package s3

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Through a real server, a key is the bytes on the request line: no ServeMux
// and no url.URL has touched it.
func TestParseOverTheWire(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op, err := Parse(r, testDomains)
		if err != nil {
			WriteError(w, r, "id", err)
			return
		}
		fmt.Fprintf(w, "%s %s %q", op.Name, op.Bucket, op.Key)
	}))
	defer s.Close()
	for line, want := range map[string]string{
		"GET /photos//a//b HTTP/1.1":                      `GetObject photos "/a//b"`,
		"GET /photos/./a/../b HTTP/1.1":                   `GetObject photos "./a/../b"`,
		"GET /photos/a%2Fb%2e HTTP/1.1":                   `GetObject photos "a/b."`,
		"GET /photos/a+b;c?x=1;y HTTP/1.1":                `GetObject photos "a+b;c"`,
		"GET /photos/\xc3\xa9%C3%A9#f HTTP/1.1":           `GetObject photos "éé#f"`,
		"GET /photos/\\..\\x HTTP/1.1":                    `GetObject photos "\\..\\x"`,
		"GET http://other/photos/k HTTP/1.1":              "<Code>InvalidURI</Code>",
		"GET //other/photos/k HTTP/1.1":                   "<Code>InvalidBucketName</Code>",
		"GET /photos/%ff HTTP/1.1":                        "<Code>InvalidURI</Code>",
		"GET /photos/%2es3mirror/../.s3mirror/x HTTP/1.1": "<Code>AccessDenied</Code>",
		"PATCH /photos/k HTTP/1.1":                        "<Code>MethodNotAllowed</Code>",
	} {
		if got := exchange(t, s.Listener.Addr().String(), line); !strings.Contains(got, want) {
			t.Errorf("%q: %s", line, got)
		}
	}
}

// exchange sends one request as raw bytes and returns the body of the answer.
func exchange(t *testing.T, addr, line string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s\r\nHost: localhost\r\nConnection: close\r\n\r\n", line)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
