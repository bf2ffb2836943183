package wire

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The examples of the S3 documentation, "Signature Calculations for the
// Authorization Header".
var (
	exampleKeys = Keys{Access: "AKIAIOSFODNN7EXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", Region: "us-east-1"}
	exampleTime = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
)

func TestSignExamples(t *testing.T) {
	for _, tc := range []struct {
		r    Request
		want string
	}{
		{Request{Method: "GET", Host: "examplebucket.s3.amazonaws.com", Path: "/test.txt",
			Header: []Field{{"Range", "bytes=0-9"}}}, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
		{Request{Method: "GET", Host: "examplebucket.s3.amazonaws.com", Path: "/", Query: "max-keys=2&prefix=J"},
			"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
		{Request{Method: "GET", Host: "examplebucket.s3.amazonaws.com", Path: "/", Query: "lifecycle"},
			"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
	} {
		if got := exampleKeys.Sign(&tc.r, Hash(nil), exampleTime).Signature; got != tc.want {
			t.Errorf("%s %s?%s: signature %s, want %s", tc.r.Method, tc.r.Path, tc.r.Query, got, tc.want)
		}
	}
}

func TestSignChunksExample(t *testing.T) {
	body := bytes.Repeat([]byte("a"), 66560)
	p := Put{
		Keys: exampleKeys, Host: "s3.amazonaws.com", Bucket: "examplebucket", Key: "chunkObject.txt", Mode: SignedChunks,
		Header: []Field{{"x-amz-storage-class", "REDUCED_REDUNDANCY"}}, Body: body, Now: exampleTime,
	}
	m := p.Message()
	for _, sig := range []string{
		"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
		"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
		"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
		"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
	} {
		if !bytes.Contains(append(m.Head, m.Body...), []byte(sig)) {
			t.Errorf("signature %s is not in the message", sig)
		}
	}
	if len(m.Body) != 66824 {
		t.Errorf("encoded length %d, want 66824", len(m.Body))
	}
}

// TestMessagesAreHTTP parses every message, whole ones and broken ones: the
// faults are in the body, the head is sound and the length is the one sent
// unless the client goes away.
func TestMessagesAreHTTP(t *testing.T) {
	for _, mode := range Modes {
		for _, size := range []int{0, 1, 1000, chunkSize, chunkSize + 1} {
			for _, fault := range append(mode.Faults(), None) {
				p := Put{Keys: exampleKeys, Host: "h", Bucket: "b", Key: "k", Mode: mode, Body: make([]byte, size), Fault: fault, Now: exampleTime}
				m := p.Message()
				r, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(m.Head), bytes.NewReader(m.Body))))
				if err != nil {
					t.Fatalf("%s, %d bytes, %s: %v", mode, size, fault, err)
				}
				got, err := io.ReadAll(r.Body)
				cut := fault.Cut() && r.ContentLength > 0
				if (err != nil) != cut || !bytes.Equal(got, m.Body) || !cut && int64(len(got)) != r.ContentLength {
					t.Errorf("%s, %d bytes, %s: read %d of %d bytes, %v", mode, size, fault, len(got), r.ContentLength, err)
				}
			}
		}
	}
}

// TestFaultsDiffer: a fault that changes nothing would prove nothing.
func TestFaultsDiffer(t *testing.T) {
	for _, mode := range Modes {
		p := Put{Keys: exampleKeys, Host: "h", Bucket: "b", Key: "k", Mode: mode, Body: make([]byte, 3*chunkSize+5), MD5: true, Now: exampleTime}
		seen := map[string]Fault{}
		for _, fault := range append(mode.Faults(), None) {
			p.Fault = fault
			m := p.Message()
			text := fmt.Sprint(len(m.Body)) + string(m.Head) + string(m.Body)
			if other, ok := seen[text]; ok {
				t.Errorf("%s: %q and %q are the same message", mode, fault, other)
			}
			seen[text] = fault
		}
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"a b+c/é": "a%20b%2Bc/%C3%A9", "//": "//", "~._-": "~._-", "%2F": "%252F", "!*'()": "%21%2A%27%28%29",
	} {
		if got := Path("b", in); got != "/b/"+want {
			t.Errorf("path of %q is %q, want %q", in, got, "/b/"+want)
		}
	}
	if got := Query("prefix", "a/b c", "list-type", "2"); got != "prefix=a%2Fb%20c&list-type=2" {
		t.Errorf("query %q", got)
	}
}

func TestParseError(t *testing.T) {
	doc := `<?xml version="1.0" encoding="UTF-8"?><Error><Code>NoSuchKey</Code><RequestId>7</RequestId></Error>`
	if code, id := ParseError([]byte(doc)); code != "NoSuchKey" || id != "7" {
		t.Errorf("read %q, %q", code, id)
	}
	for _, doc := range []string{"", "404 page not found", "<ListBucketResult/>"} {
		if code, _ := ParseError([]byte(doc)); code != "" {
			t.Errorf("%q read as the S3 error %q", doc, code)
		}
	}
	if got := (Answer{Status: 404, Code: "NoSuchKey"}).String(); got != "404 NoSuchKey" {
		t.Errorf("answer reads %q", got)
	}
	if got := (Answer{}).String(); !strings.Contains(got, "no answer") {
		t.Errorf("no answer reads %q", got)
	}
}
