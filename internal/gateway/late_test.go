package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// TestALongAnswer keeps its client: the status and blanks come while the work goes
// on, then the result, or the error, which then stands in the body.
func TestALongAnswer(t *testing.T) {
	f := newFixture(t)
	f.handler.SetBlank(time.Millisecond)
	f.put(t, "/photos/from", "hello world")
	for name, fault := range map[string]error{"": nil, "SlowDown": s3.Err(s3.SlowDown), "InternalError": errors.New("broken")} {
		f.before = func(_ context.Context, method string) error {
			if method == "Copy" {
				for range 20 {
					time.Sleep(time.Millisecond) // the work
				}
				return fault
			}
			return nil
		}
		got := f.send(t, copyOf("/photos/to", "/photos/from"))
		declaration, rest, _ := strings.Cut(got.body, "\n")
		blanks := len(rest) - len(strings.TrimLeft(rest, " "))
		if got.status != 200 || !strings.HasPrefix(declaration, "<?xml ") || blanks == 0 || strings.Count(got.body, "<?xml") != 1 || got.code() != name {
			t.Errorf("%q: %s", name, got.raw)
		}
		if name == "" && !strings.Contains(rest, "<CopyObjectResult ") || name != "" && !strings.Contains(rest, "<RequestId>"+got.header.Get("X-Amz-Request-Id")) {
			t.Errorf("%q: %s", name, got.raw)
		}
		line := f.log.last(t)
		if code, _ := line["code"].(string); code != name || line["cut"] != nil {
			t.Errorf("%q: logged %v", name, line)
		}
	}
}

// TestBlanksLeaveWhileTheWorkGoesOn: the client reads status and blanks before the end that
// it waits for; kept until then they would keep no connection.
func TestBlanksLeaveWhileTheWorkGoesOn(t *testing.T) {
	f := newFixture(t)
	f.handler.SetBlank(time.Millisecond)
	f.put(t, "/photos/from", "hello world")
	seen := make(chan struct{})
	f.before = func(_ context.Context, method string) error {
		if method == "Copy" {
			<-seen // the work takes until the client has seen that it is waited for
		}
		return nil
	}
	c := f.dial(t) // with a deadline
	if _, err := io.WriteString(c, copyOf("/photos/to", "/photos/from").text(f.addr)); err != nil {
		t.Fatal(err)
	}
	var wire bytes.Buffer
	resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(c, &wire)), &http.Request{Method: http.MethodPut})
	close(seen) // the head came, and what came with it
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v, %v", resp, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.HasPrefix(string(body), xml.Header+" ") || !strings.Contains(string(body), "<CopyObjectResult ") {
		t.Errorf("%q, %v", body, err)
	}
	// The first chunk that left has the first blank, and not a buffer full of them.
	if _, chunks, _ := strings.Cut(wire.String(), "\r\n\r\n"); !strings.HasPrefix(chunks, fmt.Sprintf("%x\r\n", len(xml.Header)+1)) {
		t.Errorf("%.60q", chunks)
	}
}

// TestAnAnswerThatIsNotLong is one like any other.
func TestAnAnswerThatIsNotLong(t *testing.T) {
	f := newFixture(t)
	if got := f.send(t, copyOf("/photos/to", "/photos/none")); got.status != 404 || got.code() != "NoSuchKey" {
		t.Errorf("%s", got.raw)
	}
	f.before = func(_ context.Context, method string) error {
		if method == "Copy" {
			panic("broken")
		}
		return nil
	}
	f.put(t, "/photos/from", "hello world")
	if got := f.send(t, copyOf("/photos/to", "/photos/from")); got.status != 500 || got.code() != "InternalError" {
		t.Errorf("%s", got.raw)
	}
}
