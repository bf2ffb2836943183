package backend

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
)

// headBuffers hold the heads of requests while they are sent.
var headBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// appendHead writes the head of a request as it travels. What could end a line
// where none ends is an error: it would be another request.
func appendHead(b *bytes.Buffer, r *http.Request) error {
	target := r.URL.RawPath
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	for _, s := range [...]string{r.Method, target, r.Host} {
		if !bare(s) {
			return fmt.Errorf("%w: %q stands in its first lines", ErrRequest, s)
		}
	}
	b.WriteString(r.Method)
	b.WriteByte(' ')
	b.WriteString(target)
	b.WriteString(" HTTP/1.1\r\nHost: ")
	b.WriteString(r.Host)
	b.WriteString("\r\n")
	for name, values := range r.Header {
		for _, v := range values {
			if !token(name) || !printable(v) {
				return fmt.Errorf("%w: header %q", ErrRequest, name)
			}
			line(b, name, v)
		}
	}
	if r.ContentLength > 0 || r.Method == http.MethodPut || r.Method == http.MethodPost {
		line(b, "Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	b.WriteString("\r\n")
	return nil
}

func line(b *bytes.Buffer, name, value string) {
	b.WriteString(name)
	b.WriteString(": ")
	b.WriteString(value)
	b.WriteString("\r\n")
}

// bare tells whether s has neither blanks nor control characters.
func bare(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return s != ""
}

// address is where to connect for a request, and the name that the certificate
// must bear.
func address(r *http.Request) (addr, serverName string) {
	host, port := r.URL.Hostname(), r.URL.Port()
	if port == "" {
		port = "80"
		if r.URL.Scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(host, port), host
}
