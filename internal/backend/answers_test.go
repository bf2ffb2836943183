package backend_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/s3"
)

func listAnswer(truncated bool, token string, parts ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<ListBucketResult><IsTruncated>%v</IsTruncated><NextContinuationToken>%s</NextContinuationToken><EncodingType>url</EncodingType>", truncated, token)
	for _, p := range parts {
		if key, ok := strings.CutPrefix(p, "k:"); ok {
			fmt.Fprintf(&b, "<Contents><Key>%s</Key><Size>1</Size><ETag>\"e\"</ETag><LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>", key)
		} else {
			fmt.Fprintf(&b, "<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>", p)
		}
	}
	return answerWith(200, "application/xml", b.String()+"</ListBucketResult>")
}

// errAny stands for an error without a name.
var errAny = errors.New("any")

// TestListings: what a server lists is believed only in order and within what
// was asked.
func TestListings(t *testing.T) {
	for name, test := range map[string]struct {
		answer   string
		request  backend.ListRequest
		keys     string
		prefixes string
		next     string
		err      error
	}{
		"in order":          {listAnswer(false, "", "k:a", "k:b%2Bc", "k:b%20"), backend.ListRequest{}, "", "", "", backend.ErrOrder},
		"decoded in order":  {listAnswer(false, "", "k:a", "k:b%20", "k:b%2Bc"), backend.ListRequest{}, "a b  b+c", "", "", nil},
		"twice the same":    {listAnswer(false, "", "k:a", "k:a"), backend.ListRequest{}, "", "", "", backend.ErrOrder},
		"another prefix":    {listAnswer(false, "", "k:a", "k:b"), backend.ListRequest{Prefix: "a"}, "", "", "", backend.ErrOrder},
		"prefixes":          {listAnswer(true, "t", "k:b", "a/", "c/"), backend.ListRequest{Delimiter: "/"}, "b", "a/ c/", "c/", nil},
		"unordered ones":    {listAnswer(false, "", "c/", "a/"), backend.ListRequest{Delimiter: "/"}, "", "", "", backend.ErrOrder},
		"without asking":    {listAnswer(false, "", "a/"), backend.ListRequest{}, "", "", "", backend.ErrOrder},
		"no prefix at all":  {listAnswer(false, "", "a"), backend.ListRequest{Delimiter: "/"}, "", "", "", backend.ErrOrder},
		"behind after":      {listAnswer(true, "t", "k:a", "k:b", "b/"), backend.ListRequest{After: "a", Delimiter: "/"}, "b", "b/", "b/", nil},
		"nothing, for ever": {listAnswer(true, "t", "k:a"), backend.ListRequest{After: "a"}, "", "", "", backend.ErrAnswer},
		"nothing, no token": {listAnswer(true, "", "k:a"), backend.ListRequest{After: "a"}, "", "", "", backend.ErrAnswer},
		"cut":               {strings.Replace(listAnswer(false, "", "k:a"), "</ListBucketResult>", "                   ", 1), backend.ListRequest{}, "", "", "", errAny},
		"an error with 200": {answerWith(200, "application/xml", "<Error><Code>InternalError</Code></Error>"), backend.ListRequest{}, "", "", "", s3.InternalError},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRemote(t, answering(t, true, test.answer).endpoint)
			page, err := r.List(bg, "bucket", test.request)
			if test.err != nil {
				if !errors.Is(err, test.err) && !errors.Is(test.err, errAny) || backend.OutcomeOf(err) != backend.Ambiguous {
					t.Errorf("%v, want %v", err, test.err)
				}
				return
			}
			var keys []string
			for _, e := range page.Entries {
				keys = append(keys, e.Key)
				if e.ETag != "e" || e.Size != 1 || !e.ModTime.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
					t.Errorf("%+v", e)
				}
			}
			if err != nil || strings.Join(keys, " ") != test.keys || strings.Join(page.Prefixes, " ") != test.prefixes || page.Next != test.next {
				t.Errorf("%+v, %v", page, err)
			}
		})
	}
}

// TestEmptyPagesAreFollowed: a server may send pages with nothing in them, and
// only its own token leads on.
func TestEmptyPagesAreFollowed(t *testing.T) {
	s := newScript(t, func(s *script, _ int, c net.Conn) {
		r := bufio.NewReader(c)
		for n := 0; ; n++ {
			if _, err := s.request(r); err != nil {
				return
			}
			if n < 3 {
				io.WriteString(c, listAnswer(true, fmt.Sprintf("t/%d", n)))
			} else {
				io.WriteString(c, listAnswer(false, "", "k:z"))
			}
		}
	})
	page, err := newRemote(t, s.endpoint).List(bg, "bucket", backend.ListRequest{After: "a b", Max: 7})
	if err != nil || len(page.Entries) != 1 {
		t.Errorf("%+v, %v", page, err)
	}
	if want := []string{
		"GET /bucket?encoding-type=url&list-type=2&max-keys=7&start-after=a%20b",
		"GET /bucket?continuation-token=t%2F0&encoding-type=url&list-type=2&max-keys=7",
		"GET /bucket?continuation-token=t%2F1&encoding-type=url&list-type=2&max-keys=7",
		"GET /bucket?continuation-token=t%2F2&encoding-type=url&list-type=2&max-keys=7",
	}; !slices.Equal(s.seen(), want) {
		t.Errorf("%q", s.seen())
	}
}

// TestRangesAreHeldToTheirWord: the wrong bytes at the right place would be a
// corrupt object.
func TestRangesAreHeldToTheirWord(t *testing.T) {
	partial := func(contentRange, body string) string {
		return fmt.Sprintf("HTTP/1.1 206 X\r\nContent-Range: %s\r\nContent-Length: %d\r\n\r\n%s", contentRange, len(body), body)
	}
	part := backend.GetOptions{Offset: 2, Length: 3}
	for name, test := range map[string]struct {
		answer string
		o      backend.GetOptions
		good   bool
	}{
		"as asked":          {partial("bytes 2-4/9", "cde"), part, true},
		"shorter, at end":   {partial("bytes 2-3/4", "cd"), part, true},
		"ignored":           {answerWith(200, "text/plain", "abcdefghi"), part, false},
		"whole is the part": {answerWith(200, "text/plain", "abc"), backend.GetOptions{Length: 3}, true},
		"whole is more":     {answerWith(200, "text/plain", "abcd"), backend.GetOptions{Length: 3}, false},
		"another start":     {partial("bytes 3-5/9", "def"), part, false},
		"another end":       {partial("bytes 2-3/9", "cd"), part, false},
		"another length":    {partial("bytes 2-4/9", "cd"), part, false},
		"no range":          {answerWith(206, "text/plain", "cde"), part, false},
		"an odd range":      {partial("bytes 2-4/*", "cde"), part, false},
		"not asked for":     {partial("bytes 0-2/3", "abc"), backend.GetOptions{}, false},
		"another status":    {answerWith(202, "text/plain", "abc"), backend.GetOptions{}, false},
		"to the end":        {partial("bytes 2-3/4", "cd"), backend.GetOptions{Offset: 2}, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRemote(t, answering(t, true, test.answer).endpoint)
			obj, err := r.Get(bg, "bucket", "key", test.o)
			if (err == nil) != test.good {
				t.Fatalf("%v", err)
			}
			if err != nil {
				if !errors.Is(err, backend.ErrAnswer) || backend.OutcomeOf(err) != backend.Ambiguous {
					t.Errorf("%v", err)
				}
				return
			}
			data, err := io.ReadAll(obj.Body)
			if err != nil || int64(len(data)) != obj.Length || obj.Offset != test.o.Offset {
				t.Errorf("%q, %v, %+v", data, err, obj)
			}
			obj.Body.Close()
		})
	}
}

// TestChecksumsOfAPart: a checksum of the whole says nothing of a part.
func TestChecksumsOfAPart(t *testing.T) {
	r := newRemote(t, answering(t, true, "HTTP/1.1 206 X\r\nContent-Range: bytes 2-4/9\r\nContent-Length: 3\r\n"+
		"x-amz-checksum-crc32: AAAAAA==\r\nx-amz-meta-a: b\r\n\r\ncde").endpoint)
	obj, err := r.Get(bg, "bucket", "key", backend.GetOptions{Offset: 2, Length: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer obj.Body.Close()
	if obj.Headers["x-amz-checksum-crc32"] != "" || obj.Headers["x-amz-meta-a"] != "b" || obj.Size != 9 {
		t.Errorf("%+v", obj)
	}
}

// TestShortBody: an answer that breaks off is no end.
func TestShortBody(t *testing.T) {
	s := newScript(t, func(s *script, _ int, c net.Conn) {
		if _, err := s.request(bufio.NewReader(c)); err == nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
		}
	})
	obj, err := newRemote(t, s.endpoint).Get(bg, "bucket", "key", backend.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer obj.Body.Close()
	if data, err := io.ReadAll(obj.Body); !errors.Is(err, io.ErrUnexpectedEOF) || string(data) != "abc" || !strings.Contains(err.Error(), "7 bytes short") {
		t.Errorf("%q, %v", data, err)
	}
}

// TestForeignHeaders: what other servers make of headers is read alike.
func TestForeignHeaders(t *testing.T) {
	r := newRemote(t, answering(t, true, "HTTP/1.1 200 OK\r\nETag: W/\"abc\"\r\nContent-Length: 3\r\n"+
		"Content-Encoding: gzip,aws-chunked\r\nx-amz-meta-a: =?UTF-8?q?h=C3=A9?=\r\nx-amz-meta-b: h\xc3\xa9\r\n"+
		"x-amz-meta-s3mirror-stamp: forged\r\nx-amz-storage-class: STANDARD\r\nx-amz-request-id: 1\r\n\r\nabc").endpoint)
	seen, err := r.Head(bg, "bucket", "key")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"content-encoding": "gzip", "x-amz-meta-a": "hé", "x-amz-meta-b": "hé", "content-type": "binary/octet-stream",
	}
	if seen.ETag != "abc" || seen.Size != 3 || !seen.ID.IsZero() || len(seen.Headers) != len(want) {
		t.Errorf("%+v", seen)
	}
	for name, value := range want {
		if seen.Headers[name] != value {
			t.Errorf("%s: %q, want %q", name, seen.Headers[name], value)
		}
	}
}

// TestBuckets: the constraint that AWS wants, errors that are none, and lists
// in pages.
func TestBuckets(t *testing.T) {
	var bodies []string
	s := newScript(t, func(s *script, _ int, c net.Conn) {
		r := bufio.NewReader(c)
		for {
			req, err := s.request(r)
			if err != nil {
				return
			}
			body, _ := io.ReadAll(req.Body)
			s.mu.Lock()
			bodies = append(bodies, string(body))
			s.mu.Unlock()
			switch {
			case req.RequestURI == "/":
				io.WriteString(c, answerWith(200, "application/xml", bucketList("zoo", "t t")))
			case strings.HasPrefix(req.RequestURI, "/?"):
				io.WriteString(c, answerWith(200, "application/xml", bucketList("ape", "")))
			default:
				io.WriteString(c, xmlAnswer(409, "BucketAlreadyOwnedByYou"))
			}
		}
	})
	sent := func(i int) string {
		s.mu.Lock()
		defer s.mu.Unlock()
		return bodies[i]
	}
	r := newRemote(t, s.endpoint, func(o *backend.Options) { o.Region = "eu-1" })
	if err := r.CreateBucket(bg, "bucket"); err != nil {
		t.Error(err)
	}
	if want := `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>eu-1</LocationConstraint></CreateBucketConfiguration>`; sent(0) != want {
		t.Errorf("sent %s", sent(0))
	}
	if err := newRemote(t, s.endpoint).CreateBucket(bg, "bucket"); err != nil || sent(1) != "" {
		t.Errorf("%v, sent %q", err, sent(1))
	}
	list, err := r.ListBuckets(bg)
	if err != nil || len(list) != 2 || list[0].Name != "ape" || list[1].Name != "zoo" || list[0].Created.Year() != 2026 {
		t.Errorf("%+v, %v", list, err)
	}
	if last := s.seen()[3]; last != "GET /?continuation-token=t%20t" {
		t.Error(last)
	}
	other := newRemote(t, answering(t, true, xmlAnswer(409, "BucketAlreadyExists")).endpoint)
	want{backend.Refused, false}.check(t, "somebody else's bucket", other.CreateBucket(bg, "bucket"))
	for _, answer := range []string{"<html>", "", bucketList("x", "again")} {
		odd := newRemote(t, answering(t, true, answerWith(200, "application/xml", answer)).endpoint)
		if _, err := odd.ListBuckets(bg); !errors.Is(err, backend.ErrAnswer) {
			t.Errorf("%q: %v", answer, err)
		}
	}
}

func bucketList(name, token string) string {
	return "<ListAllMyBucketsResult><Buckets><Bucket><Name>" + name + "</Name><CreationDate>2026-01-02T03:04:05.000Z</CreationDate></Bucket></Buckets>" +
		"<ContinuationToken>" + token + "</ContinuationToken></ListAllMyBucketsResult>"
}

func TestEndpointsThatAreNone(t *testing.T) {
	for _, u := range []*url.URL{
		nil, {}, {Scheme: "ftp", Host: "h"}, {Scheme: "http", Host: "h", Path: "/base"}, {Scheme: "http", Host: "h", RawQuery: "q"},
		{Scheme: "http", Host: "h", User: url.UserPassword("u", "secret")},
	} {
		_, err := backend.NewRemote(backend.Options{Name: "eu-1", Endpoint: u})
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "eu-1") {
			t.Errorf("%v: %v", u, err)
		}
	}
	if _, err := backend.NewRemote(backend.Options{Endpoint: &url.URL{Scheme: "https", Host: "h", Path: "/"}}); err != nil {
		t.Error(err)
	}
}

// TestPeculiarEndpoints: what an endpoint does not want is not sent.
func TestPeculiarEndpoints(t *testing.T) {
	heads := make(chan map[string][]string, 1)
	s := newScript(t, func(s *script, _ int, c net.Conn) {
		r := bufio.NewReader(c)
		for {
			req, err := s.request(r)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			heads <- req.Header
			io.WriteString(c, okEmpty)
		}
	})
	data := []byte("data")
	send := func(change func(*backend.Options)) map[string][]string {
		req := putRequest(data, literal(data))
		req.Headers = map[string]string{"x-amz-checksum-crc32": "rfPzYw==", "x-amz-checksum-type": "FULL_OBJECT", "content-encoding": "gzip"}
		if _, err := newRemote(t, s.endpoint, change).Put(bg, req); err != nil {
			t.Error(err)
		}
		return <-heads
	}
	plain := send(func(*backend.Options) {})
	if plain["X-Amz-Checksum-Crc32"] == nil || plain["X-Amz-Sdk-Checksum-Algorithm"] == nil || plain["X-Amz-Checksum-Type"] != nil {
		t.Errorf("%v", plain)
	}
	bare := send(func(o *backend.Options) { o.NoChecksums = true })
	if bare["X-Amz-Checksum-Crc32"] != nil || bare["X-Amz-Sdk-Checksum-Algorithm"] != nil {
		t.Errorf("%v", bare)
	}
	r := newRemote(t, s.endpoint, func(o *backend.Options) { o.NoChecksums = true })
	if _, err := r.Head(bg, "bucket", "key"); err != nil {
		t.Error(err)
	}
	if h := <-heads; h["X-Amz-Checksum-Mode"] != nil {
		t.Errorf("%v", h)
	}
	req := putRequest(data, backend.Framing{Mode: 3})
	req.Headers = map[string]string{"content-encoding": "gzip"}
	if _, err := newRemote(t, s.endpoint, func(o *backend.Options) { o.DeclareChunked = true }).Put(bg, req); err != nil {
		t.Error(err)
	}
	if h := <-heads; !slices.Equal(h["Content-Encoding"], []string{"aws-chunked,gzip"}) {
		t.Errorf("%v", h)
	}
}
