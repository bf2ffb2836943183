package s3

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// answer writes the error as a handler would and shows it as the wire does.
func answer(r *http.Request, set http.Header, err error) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	maps.Copy(w.Header(), set)
	WriteError(w, r, "4442587FB7D0A2F9", err)
	return w
}

func TestErrorDocuments(t *testing.T) {
	get := request("GET", "/photos/a%20b?acl", "")
	errs := []error{
		errors.New("secret detail"),
		nil,
		fmt.Errorf("wrapped: %w", Err(NoSuchKey).With("Key", "a b")),
		fmt.Errorf("wrapped: %w", NoSuchBucket),
		Err(AccessDenied).Because(errors.New("secret detail")),
		Err(InvalidRange).With("RangeRequested", "bytes=9-").With("ActualObjectSize", "5"),
		Errorf(InvalidArgument, "odd %q & <bad>", "\x01\xff\u00e9\r\n").With("ArgumentName", "a\x00b"),
		&Error{Code: RequestTimeTooSkewed, Message: "backend's", Status: 403, Fields: []Field{{"StringToSign", "secret detail"}}},
		fmt.Errorf("put on eu-1: %w", &Error{Code: NoSuchBucket, Status: 404}),
		Err(ServiceUnavailable).Because(&Error{Code: NoSuchBucket, Status: 404}),
		methodNotAllowed("PATCH", kindBucket),
		methodNotAllowed("POST", kindObject),
		methodNotAllowed("PUT", kindService),
		Err(NotModified),
		&Error{Code: "Unheard"},
	}
	var out bytes.Buffer
	for _, err := range errs {
		w := answer(get, nil, err)
		fmt.Fprintf(&out, "%v\n\t%d", err, w.Code)
		for _, name := range slices.Sorted(maps.Keys(w.Header())) {
			fmt.Fprintf(&out, "\n\t%s: %s", name, w.Header().Get(name))
		}
		fmt.Fprintf(&out, "\n%s\n\n", w.Body)
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%v: a cause reached the client: %s", err, w.Body)
		}
	}
	golden(t, "errors.txt", out.Bytes())
}

// Every code has a status and a text, and its document is well-formed and
// carries the request id of the header.
func TestEveryCodeHasADocument(t *testing.T) {
	r := request("PUT", "/photos/\"<&'\u00e9", "")
	for code, info := range codes {
		if info.status < 300 || info.status > 599 || info.text == "" {
			t.Errorf("%s: %+v", code, info)
		}
		if code == NotModified {
			continue
		}
		w := answer(r, nil, Err(code))
		var doc struct {
			XMLName                                    xml.Name
			Code, Message, Resource, RequestId, HostId string //nolint:revive // the document's names
		}
		if err := xml.Unmarshal(w.Body.Bytes(), &doc); err != nil {
			t.Fatalf("%s: %v", code, err)
		}
		if w.Code != code.Status() || doc.Code != string(code) || doc.Message != code.Text() ||
			doc.XMLName.Local != "Error" || doc.XMLName.Space != "" || doc.Resource != "/photos/\"<&'\u00e9" ||
			doc.RequestId != w.Header().Get("x-amz-request-id") || doc.HostId != w.Header().Get("x-amz-id-2") {
			t.Errorf("%s: %d %+v", code, w.Code, doc)
		}
	}
}

func TestErrorOnHeadHasNoBody(t *testing.T) {
	w := answer(request("HEAD", "/photos/k", ""), nil, Err(NoSuchKey))
	if w.Code != 404 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != "" || w.Header().Get("x-amz-request-id") == "" {
		t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
	}
}

func TestErrorTakesObjectHeadersBack(t *testing.T) {
	set := func() http.Header {
		h := http.Header{"ETag": {`"e"`}, "x-amz-meta-a": {"b"}}
		for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Range", "Last-Modified", "Cache-Control",
			"Expires", "Accept-Ranges", "x-amz-checksum-crc32", "x-amz-bucket-region", "Server"} {
			h.Set(name, "1")
		}
		return h
	}
	names := func(h http.Header) string { return strings.Join(slices.Sorted(maps.Keys(h)), " ") }

	w := answer(request("GET", "/photos/k", ""), set(), Err(NoSuchKey))
	if got, want := names(w.Header()), "Content-Length Content-Type Server X-Amz-Bucket-Region X-Amz-Id-2 X-Amz-Request-Id"; got != want {
		t.Errorf("404 carries %s", got)
	}
	w = answer(request("GET", "/photos/k", ""), set(), Err(NotModified))
	if got, want := names(w.Header()), "Cache-Control Content-Type ETag Expires Last-Modified Server X-Amz-Bucket-Region X-Amz-Id-2 X-Amz-Request-Id"; got != want || w.Body.Len() != 0 {
		t.Errorf("304 carries %s, body %q", got, w.Body)
	}
}

// A 304 has its ETag on the wire and neither type nor length nor body.
func TestNotModifiedOnTheWire(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["ETag"] = []string{`"e"`}
		WriteError(w, r, "id", Err(NotModified))
	}))
	defer s.Close()
	res, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 304 || res.Header.Get("ETag") != `"e"` || res.Header.Get("Content-Type") != "" || res.ContentLength > 0 {
		t.Errorf("%s %v", res.Status, res.Header)
	}
}

func TestErrorIs(t *testing.T) {
	cause := errors.New("cause")
	err := fmt.Errorf("act: %w", Err(NoSuchKey).Because(cause))
	if !errors.Is(err, NoSuchKey) || !errors.Is(err, Err(NoSuchKey)) || !errors.Is(err, cause) || errors.Is(err, NoSuchBucket) {
		t.Errorf("wrong: %v", err)
	}
	if e := Errorf(InvalidURI, "bad: %w", cause); !errors.Is(e, cause) || e.Message != "bad: cause" {
		t.Errorf("wrong: %+v", e)
	}
	a := Err(NoSuchKey)
	b := a.With("A", "1")
	b.With("B", "2")
	if len(a.Fields) != 0 || len(b.Fields) != 1 || b.Field("A") != "1" || b.Field("B") != "" {
		t.Errorf("With changes its receiver: %v %v", a.Fields, b.Fields)
	}
}

func TestResourceIsBounded(t *testing.T) {
	w := answer(request("GET", "/"+strings.Repeat("a", 100000), ""), nil, Err(InvalidURI))
	if w.Body.Len() > maxResourceBytes+1024 {
		t.Errorf("document of %d bytes", w.Body.Len())
	}
}

func TestWriteXML(t *testing.T) {
	w := httptest.NewRecorder()
	WriteXML(w, LocationDocument("eu-1"))
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/xml" ||
		w.Header().Get("Content-Length") != fmt.Sprint(w.Body.Len()) || !strings.Contains(w.Body.String(), "eu-1") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}
