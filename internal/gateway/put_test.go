package gateway_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// framed is an upload in one of the chunked modes, with a checksum trailer
// where the mode has one, signed as a whole.
func framed(path, body string, mode sigv4.Mode, headers ...string) ask {
	h := header(headers...)
	h.Set("X-Amz-Decoded-Content-Length", fmt.Sprint(len(body)))
	if mode.Trailing() {
		h.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
	}
	return ask{method: "PUT", path: path, header: h, mode: mode.String(), body: body}
}

// encode frames the body once the head is signed, as the signature of a chunk
// begins with that of the head.
func (a ask) encode(host, wireTransfer string) string {
	mode, _, _ := sigv4.ParseMode(a.mode)
	r := &http.Request{Method: a.method, Host: host, Header: a.header.Clone()}
	signer := sigv4.NewSigner(testKey, testSecret, "eu").Sign(r, a.path, "", a.mode, time.Now())
	var b []byte
	for data := []byte(a.body); ; {
		n := min(64<<10, len(data))
		if mode.ChunksSigned() {
			b = signer.ChunkHeader(b, n, sha256.Sum256(data[:n]))
		} else {
			b = sigv4.ChunkHeader(b, n)
		}
		if n == 0 {
			break
		}
		b = append(append(b, data[:n]...), sigv4.CRLF...)
		data = data[n:]
	}
	switch sum := checksum(a.body); mode {
	case sigv4.SignedTrailer:
		b = signer.Trailer(b, "x-amz-checksum-crc32", sum)
	case sigv4.UnsignedTrailer:
		b = sigv4.Trailer(b, "x-amz-checksum-crc32", sum)
	default:
		b = append(b, sigv4.CRLF...)
	}
	signed := a
	signed.anonymous, signed.header, signed.body = true, r.Header, string(b)
	if wireTransfer != "" {
		signed.header.Set("Transfer-Encoding", wireTransfer)
		signed.body = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(b), b)
	}
	return signed.text(host)
}

func checksum(body string) string {
	h := crc32.NewIEEE()
	io.WriteString(h, body)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// TestModes: each payload mode, plain and in the chunks of HTTP, is the same
// object, and the checksum that came with it is told back.
func TestModes(t *testing.T) {
	f := newFixture(t)
	for _, size := range []int{0, 1, 65536, 300_000} {
		body := strings.Repeat("0123456789", size/10+1)[:size]
		want := func(name string, a answer, sum string) {
			t.Helper()
			if a.status != 200 || a.header.Get("x-amz-checksum-crc32") != sum || (a.header.Get("x-amz-checksum-type") != "") != (sum != "") {
				t.Errorf("%s, %d bytes: %s", name, size, a.raw)
			}
			if got := f.snapshot()["photos/k"]; got != body {
				t.Errorf("%s: %d bytes are %d", name, size, len(got))
			}
			f.replace("photos", "k", "old")
		}
		want("literal", f.send(t, upload("/photos/k", body)), "")
		want("literal, checksum", f.send(t, upload("/photos/k", body, "X-Amz-Checksum-Crc32", checksum(body))), checksum(body))
		plain := upload("/photos/k", body)
		plain.mode = "UNSIGNED-PAYLOAD"
		want("unsigned", f.send(t, plain), "")
		for _, mode := range []sigv4.Mode{sigv4.UnsignedTrailer, sigv4.Signed, sigv4.SignedTrailer} {
			sum := ""
			if mode.Trailing() {
				sum = checksum(body)
			}
			for _, transfer := range []string{"", "chunked"} {
				text := framed("/photos/k", body, mode).encode(f.addr, transfer)
				want(mode.String()+" "+transfer, parse(t, "PUT", f.raw(t, text)), sum)
			}
		}
	}
}

// TestChunksBelongToUploads: no other operation takes them.
func TestChunksBelongToUploads(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/k", "v")
	for _, mode := range []sigv4.Mode{sigv4.UnsignedTrailer, sigv4.Signed, sigv4.SignedTrailer} {
		for _, a := range []ask{get("/photos/k"), head("/photos/k"), remove("/photos/k"), get("/photos"), get("/"), {method: "PUT", path: "/more"}, remove("/photos")} {
			a.mode = mode.String()
			got := f.send(t, a)
			if got.status != 400 || a.method != "HEAD" && got.code() != "InvalidRequest" {
				t.Errorf("%s %s %v: %s", a.method, a.path, mode, got.raw)
			}
		}
	}
	if got := f.snapshot(); len(got) != 2 {
		t.Errorf("now there is %v", got)
	}
}

// TestWhatIsRefusedBeforeTheBody: a client that waits for leave to send is
// told at once, and none is given.
func TestWhatIsRefusedBeforeTheBody(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/k", "hello world")
	for name, tc := range map[string]struct {
		ask  ask
		want string
	}{
		"no such bucket":        {upload("/nothing/k", ""), "404 NoSuchBucket"},
		"reserved key":          {upload("/photos/.s3mirror/k", ""), "403 AccessDenied"},
		"condition":             {upload("/photos/k", "", "If-None-Match", "*"), "412 PreconditionFailed"},
		"malformed condition":   {upload("/photos/k", "", "If-None-Match", `"x"`), "501 NotImplemented"},
		"too much metadata":     {upload("/photos/k", "", "X-Amz-Meta-A", strings.Repeat("m", 4096)), "400 MetadataTooLarge"},
		"malformed MD5":         {upload("/photos/k", "", "Content-Md5", "x"), "400 InvalidDigest"},
		"malformed checksum":    {upload("/photos/k", "", "X-Amz-Checksum-Crc32", "x"), "400 InvalidRequest"},
		"tag twice":             {upload("/photos/k", "", "X-Amz-Tagging", "a=b&a=c"), "400 InvalidArgument"},
		"eleven tags":           {upload("/photos/k", "", "X-Amz-Tagging", "a&b&c&d&e&f&g&h&i&j&k"), "400 BadRequest"},
		"tag of AWS":            {upload("/photos/k", "", "X-Amz-Tagging", "aws%3Aa=b"), "400 InvalidTag"},
		"part":                  {ask{method: "PUT", path: "/photos/k", query: "uploadId=u&partNumber=1"}, "404 NoSuchUpload"},
		"part 0":                {ask{method: "PUT", path: "/photos/k", query: "uploadId=u&partNumber=0"}, "400 InvalidArgument"},
		"copied part":           {ask{method: "PUT", path: "/photos/k", query: "uploadId=u&partNumber=1", header: header("X-Amz-Copy-Source", "/b/k")}, "400 InvalidRequest"},
		"anonymous":             {ask{method: "PUT", path: "/photos/k", anonymous: true}, "403 AccessDenied"},
		"a body where none was": {ask{method: "DELETE", path: "/photos/k"}, "400 InvalidRequest"},
		"too large a document":  {ask{method: "PUT", path: "/more"}, "400 MaxMessageLengthExceeded"},
	} {
		for _, length := range []string{"300000", "3000000000"} {
			a := tc.ask
			a.keep, a.mode = true, "UNSIGNED-PAYLOAD"
			a.header = header("Content-Length", length, "Expect", "100-continue")
			for k, v := range tc.ask.header {
				a.header[k] = v
			}
			got := parse(t, "PUT", f.raw(t, a.text(f.addr)))
			if got.String() != tc.want || !got.last {
				t.Errorf("%s, %s bytes: %s", name, length, got.raw)
			}
		}
	}
}

// TestLeaveToSend is given when all that can be known before is in order.
func TestLeaveToSend(t *testing.T) {
	f := newFixture(t)
	c := f.dial(t)
	text := upload("/photos/k", "hello world", "Expect", "100-continue").text(f.addr)
	headText, body, _ := strings.Cut(text, "\r\n\r\n")
	io.WriteString(c, headText+"\r\n\r\n")
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	r.ReadString('\n')
	io.WriteString(c, body)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("%v, %v", resp, err)
	}
}

// TestLargeBodyThatIsRefused: the client that sends and does not read gets its
// answer all the same, and the connection ends.
func TestLargeBodyThatIsRefused(t *testing.T) {
	f := newFixture(t)
	a := upload("/photos/k", strings.Repeat("x", 1<<20))
	a.keep = true
	a.mode = "UNSIGNED-PAYLOAD"
	for _, anonymous := range []bool{true, false} {
		a.anonymous = anonymous
		want := "404 NoSuchBucket"
		if a.path = "/nothing/k"; anonymous {
			want = "403 AccessDenied"
		}
		c := f.dial(t)
		if _, err := io.WriteString(c, a.text(f.addr)); err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(c)
		if got := parse(t, "PUT", string(raw)); err != nil || got.String() != want || !got.last {
			t.Errorf("%s, then %v", got.raw, err)
		}
	}
}

// TestSmallBodyThatIsRefused costs no connection.
func TestSmallBodyThatIsRefused(t *testing.T) {
	f := newFixture(t)
	c := f.dial(t)
	r := bufio.NewReader(c)
	refused := upload("/nothing/k", strings.Repeat("x", 100_000))
	for _, a := range []ask{refused, upload("/photos/k", "x"), refused, get("/photos/k")} {
		a.keep = true
		io.WriteString(c, a.text(f.addr))
		resp, err := http.ReadResponse(r, &http.Request{Method: a.method})
		if err != nil {
			t.Fatalf("%s %s: %v", a.method, a.path, err)
		}
		io.Copy(io.Discard, resp.Body)
		if (resp.StatusCode == 404) != (a.path == "/nothing/k") || resp.Close {
			t.Errorf("%s %s: %v", a.method, a.path, resp)
		}
	}
}

// TestBodyThatIsCut leaves what was there.
func TestBodyThatIsCut(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/k", "old")
	text := upload("/photos/k", strings.Repeat("x", 100_000)).text(f.addr)
	c := f.dial(t)
	io.WriteString(c, text[:len(text)-1])
	c.(interface{ CloseWrite() error }).CloseWrite()
	raw, err := io.ReadAll(c)
	if a := parse(t, "PUT", string(raw)); err != nil || a.String() != "400 IncompleteBody" {
		t.Errorf("%s, %v", a.raw, err)
	}
	if got := f.snapshot()["photos/k"]; got != "old" {
		t.Errorf("now there is %d bytes", len(got))
	}
}

// TestConnectionServesTheNextUpload: the outer framing is read to its end, so
// nothing of it is taken for the next request.
func TestConnectionServesTheNextUpload(t *testing.T) {
	f := newFixture(t)
	c := f.dial(t)
	r := bufio.NewReader(c)
	for i := range 5 {
		a := framed(fmt.Sprintf("/photos/%d", i), "hello world", sigv4.UnsignedTrailer)
		a.keep = true
		io.WriteString(c, a.encode(f.addr, "chunked"))
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != 200 || resp.Close {
			t.Fatalf("upload %d: %v, %v", i, resp, err)
		}
	}
}

// A body of no bytes that waits for leave to be sent gets it: botocore misses
// the answer to its next request on a connection on which it did not.
func TestContinueBeforeNothing(t *testing.T) {
	f := newFixture(t)
	got := f.raw(t, ask{method: "PUT", path: "/photos/none", mode: "UNSIGNED-PAYLOAD", header: header("Content-Length", "0", "Expect", "100-continue")}.text(f.addr))
	if !strings.HasPrefix(got, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n") {
		t.Errorf("answered:\n%s", got)
	}
}
