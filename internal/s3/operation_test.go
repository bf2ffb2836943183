package s3

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/s3mirror/s3mirror/internal/object"
)

var testDomains = []string{"s3.example.org", "Example.org"}

// request makes what the server would hand us for this request line.
func request(method, uri, host string, header ...string) *http.Request {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	return &http.Request{Method: method, RequestURI: uri, Host: host, Header: h}
}

// codeOf names the outcome of a call that returns an *Error.
func codeOf(err error) Code {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	}
	return Code("not an *Error: " + err.Error())
}

// fieldOf returns an extra element of an *Error.
func fieldOf(err error, name string) string {
	var e *Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.Field(name)
}

func TestOperations(t *testing.T) {
	copied := []string{"x-amz-copy-source", "/b/k"}
	long := strings.Repeat("k", MaxKeyBytes)
	cases := []struct {
		method, uri, host string
		header            []string
	}{
		// service
		{method: "GET", uri: "/"},
		{method: "GET", uri: "/?x-id=ListBuckets&prefix=a"},
		{method: "GET", uri: "/?max-directory-buckets=2"},
		{method: "HEAD", uri: "/"},
		{method: "PUT", uri: "/"},
		{method: "POST", uri: "/"},
		{method: "OPTIONS", uri: "*"},
		// bucket
		{method: "PUT", uri: "/photos"},
		{method: "PUT", uri: "/photos/"},
		{method: "HEAD", uri: "/photos"},
		{method: "GET", uri: "/photos"},
		{method: "GET", uri: "/photos/?list-type=2&prefix=a+b%2Bc&delimiter=%2F"},
		{method: "GET", uri: "/photos?list-type=3"},
		{method: "GET", uri: "/photos?location"},
		{method: "GET", uri: "/photos?location="},
		{method: "GET", uri: "/photos?location=&x-id=GetBucketLocation"},
		{method: "DELETE", uri: "/photos"},
		{method: "POST", uri: "/photos"},
		{method: "POST", uri: "/photos?delete"},
		{method: "GET", uri: "/photos?delete"},
		{method: "GET", uri: "/photos?analytics"},
		{method: "GET", uri: "/photos?analytics&id=x"},
		{method: "GET", uri: "/photos?acl&policy"},
		{method: "GET", uri: "/photos?acl&acl"},
		{method: "PATCH", uri: "/photos"},
		{method: "PATCH", uri: "/photos?acl"},
		{method: "OPTIONS", uri: "/photos"},
		// object
		{method: "GET", uri: "/photos/cat.jpg"},
		{method: "GET", uri: "/photos/cat.jpg?x-id=GetObject&response-content-type=text%2Fplain&response-expires=Thu,+01+Jan"},
		{method: "HEAD", uri: "/photos/cat.jpg?response-content-type=a&response-content-type=b"},
		{method: "PUT", uri: "/photos/cat.jpg"},
		{method: "PUT", uri: "/photos/cat.jpg", header: copied},
		{method: "PUT", uri: "/photos/cat.jpg?partNumber=1&uploadId=u"},
		{method: "PUT", uri: "/photos/cat.jpg?uploadId=u&partNumber=1", header: copied},
		{method: "PUT", uri: "/photos/cat.jpg?partNumber=1"},
		{method: "PUT", uri: "/photos/cat.jpg?retention"},
		{method: "PUT", uri: "/photos/cat.jpg?append&position=5"},
		{method: "PUT", uri: "/photos/cat.jpg?location"},
		{method: "POST", uri: "/photos/cat.jpg?uploads"},
		{method: "POST", uri: "/photos/cat.jpg?uploadId=u"},
		{method: "POST", uri: "/photos/cat.jpg?select&select-type=2"},
		{method: "POST", uri: "/photos/cat.jpg"},
		{method: "DELETE", uri: "/photos/cat.jpg"},
		{method: "DELETE", uri: "/photos/cat.jpg?uploadId=u"},
		{method: "DELETE", uri: "/photos/cat.jpg?versionId=null"},
		{method: "GET", uri: "/photos/cat.jpg?versionId=1"},
		{method: "GET", uri: "/photos/cat.jpg?tagging&versionId=1"},
		{method: "GET", uri: "/photos/cat.jpg?partNumber=1"},
		{method: "HEAD", uri: "/photos/cat.jpg?tagging"},
		{method: "OPTIONS", uri: "/photos/cat.jpg"},
		// keys, byte for byte
		{method: "PUT", uri: "/photos//a//b/"},
		{method: "PUT", uri: "/photos/../b"},
		{method: "PUT", uri: "/photos/./%2e%2E/"},
		{method: "PUT", uri: "/photos/a%2Fb"},
		{method: "PUT", uri: "/photos%2Fa"},
		{method: "PUT", uri: "/photos/a+b%2bc%20d"},
		{method: "PUT", uri: "/photos/!*'();:@&=$,#[]\\\""},
		{method: "PUT", uri: "/photos/h\u00e9/%E2%82%AC/%F0%9F%98%80"},
		{method: "PUT", uri: "/photos/%01%1f%7f"},
		{method: "PUT", uri: "/photos/a%3Facl"},
		{method: "PUT", uri: "/photos/a%252Fb"},
		{method: "PUT", uri: "/photos/" + long},
		{method: "PUT", uri: "/photos/" + long + "k"},
		{method: "PUT", uri: "/photos/%00"},
		{method: "PUT", uri: "/photos/%ff"},
		{method: "PUT", uri: "/photos/%c0%ae%c0%ae"},
		{method: "PUT", uri: "/photos/%zz"},
		{method: "PUT", uri: "/photos/%2"},
		{method: "GET", uri: "/photos?prefix=%zz"},
		{method: "GET", uri: "/photos?prefix=%ff"},
		{method: "GET", uri: "/photos?prefix=a;b&delimiter=;"},
		{method: "GET", uri: "/photos?" + strings.Repeat("a&", maxQueryParams)},
		{method: "GET", uri: "/photos/k?response-content-type=a%0d%0aX-Evil:%201"},
		// the keys of s3mirror itself
		{method: "GET", uri: "/photos/.s3mirror/identity"},
		{method: "PUT", uri: "/photos/%2es3mirror%2fidentity"},
		{method: "DELETE", uri: "/photos/.s3mirror/"},
		{method: "POST", uri: "/photos/.s3mirror/x"},
		{method: "PATCH", uri: "/photos/.s3mirror/x"},
		{method: "OPTIONS", uri: "/photos/.s3mirror/x"},
		{method: "HEAD", uri: "/.s3mirror/x", host: "photos.s3.example.org"},
		{method: "PUT", uri: "/photos/.s3mirror/x?acl"},
		{method: "PUT", uri: "/photos/.s3mirror"},
		{method: "PUT", uri: "/photos//.s3mirror/x"},
		{method: "PUT", uri: "/photos/a/%2e././/.s3mirror"},
		{method: "PUT", uri: "/photos/.s3mirror/../x"},
		{method: "PUT", uri: "/photos/a/.s3mirror/x"},
		{method: "PUT", uri: "/photos/.s3mirrors/x"},
		// bucket names
		{method: "GET", uri: "/../k"},
		{method: "GET", uri: "//k"},
		{method: "GET", uri: "/UPPER/k"},
		{method: "GET", uri: "/ab"},
		{method: "GET", uri: "/192.168.1.1/"},
		// hosts
		{method: "GET", uri: "/", host: "photos.s3.example.org"},
		{method: "GET", uri: "/photos/cat.jpg", host: "photos.s3.example.org:9000"},
		{method: "GET", uri: "/k", host: "PHOTOS.S3.Example.ORG."},
		{method: "GET", uri: "/k", host: "my.photos.s3.example.org"},
		{method: "GET", uri: "/photos/k", host: "s3.example.org"},
		{method: "GET", uri: "/k", host: "s4x.example.org"},
		{method: "GET", uri: "/photos/k", host: "nots3.example.com"},
		{method: "GET", uri: "/photos/k", host: "[::1]:9000"},
		{method: "GET", uri: "/photos/k", host: ".s3.example.org"},
		{method: "GET", uri: "//k", host: "photos.s3.example.org"},
		// request lines
		{method: "GET", uri: "http://other/photos/k"},
		{method: "CONNECT", uri: "photos:443"},
		{method: "GET", uri: ""},
		{method: "GET", uri: "/photos/k?"},
		{method: "GET", uri: "/photos/k?&&=&x"},
	}
	var out bytes.Buffer
	for _, c := range cases {
		op, err := Parse(request(c.method, c.uri, c.host, c.header...), testDomains)
		fmt.Fprintf(&out, "%s %s", c.method, shorten(c.uri))
		if c.host != "" {
			fmt.Fprintf(&out, " host=%s", c.host)
		}
		if len(c.header) > 0 {
			fmt.Fprintf(&out, " %s", c.header[0])
		}
		out.WriteString("\n\t" + describe(op, err) + "\n")
	}
	golden(t, "operations.txt", out.Bytes())
}

func shorten(s string) string {
	if len(s) > 200 {
		return fmt.Sprintf("%s...(%d bytes)", s[:40], len(s))
	}
	return s
}

// describe is one line about the outcome of Parse.
func describe(op *Operation, err error) string {
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return "NOT AN S3 ERROR " + err.Error()
		}
		return fmt.Sprintf("%d %s %s", e.Code.Status(), e.Code, shorten(fmt.Sprint(e.Fields)))
	}
	s := string(op.Name)
	if !op.Implemented() {
		s += " (501)"
	}
	if op.Unsupported != "" {
		s += " unsupported=" + op.Unsupported
	}
	if op.Bucket != "" {
		s += " bucket=" + op.Bucket
	}
	if op.Key != "" {
		s += fmt.Sprintf(" key=%s", shorten(fmt.Sprintf("%+q", op.Key)))
	}
	if op.VirtualHost {
		s += " virtual"
	}
	for _, p := range op.Query {
		s += fmt.Sprintf(" %q=%q", p.Name, p.Value)
	}
	for _, name := range slices.Sorted(maps.Keys(op.Overrides)) {
		s += fmt.Sprintf(" override:%s=%q", name, op.Overrides[name])
	}
	return s
}

// Every sub-resource that S3 knows, with every verb and on everything that it
// can be put on, is the operation that S3 defines or 501: it never falls through
// to the plain operation.
func TestSubresourcesNeverFallThrough(t *testing.T) {
	plain := []OperationName{ListBuckets, CreateBucket, HeadBucket, DeleteBucket, ListObjects, ListObjectsV2,
		PutObject, GetObject, HeadObject, DeleteObject}
	for sub := range subresources {
		for _, method := range append([]string{"PATCH", "OPTIONS"}, methods...) {
			for _, path := range []string{"/", "/photos", "/photos/k"} {
				for _, value := range []string{"", "=", "=1"} {
					uri := path + "?" + sub + value
					op, err := Parse(request(method, uri, ""), nil)
					if err != nil {
						if code := codeOf(err); code != MethodNotAllowed && code != InvalidRequest && code != InvalidArgument {
							t.Errorf("%s %s: %v", method, uri, err)
						}
						continue
					}
					if sub == "partNumber" && (op.Name == GetObject || op.Name == HeadObject) {
						continue // it reads a part of the object
					}
					if op.Implemented() && slices.Contains(plain, op.Name) {
						t.Errorf("%s %s is %s", method, uri, op.Name)
					}
					if want := routes[op.kind()][sub].of(method); op.Implemented() && op.Name != want {
						t.Errorf("%s %s counts as implemented: %s, want %s", method, uri, op.Name, want)
					}
					status := 501
					if sub == "versionId" && slices.Contains(versioned, op.Name) {
						status = 400 // there is no such version
					}
					if !op.Implemented() && op.NotImplemented().Code.Status() != status {
						t.Errorf("%s %s: %v", method, uri, op.NotImplemented())
					}
				}
			}
		}
	}
}

// The names of S3's sub-resources are written down here a second time, from
// the documentation of the API, so that one cannot get lost from the table.
func TestSubresourcesAreComplete(t *testing.T) {
	known := strings.Fields(`abac accelerate acl analytics attributes cors delete encryption intelligent-tiering
		inventory legal-hold lifecycle location logging metadataConfiguration metadataInventoryTable
		metadataJournalTable metadataTable metrics notification object-lock ownershipControls partNumber policy
		policyStatus publicAccessBlock renameObject replication requestPayment restore retention select
		select-type session tagging torrent uploadId uploads versionId versioning versions website append`)
	slices.Sort(known)
	if got := slices.Sorted(maps.Keys(subresources)); !slices.Equal(got, known) {
		t.Errorf("sub-resources:\n got %v\nwant %v", got, known)
	}
}

func TestRoutesNameEveryOperationOnce(t *testing.T) {
	seen := map[OperationName]string{}
	for kind, table := range routes {
		for sub, v := range table {
			for _, method := range methods {
				name := v.of(method)
				if name == "" {
					continue
				}
				at := fmt.Sprintf("%s %s?%s", method, kind, sub)
				if before, ok := seen[name]; ok {
					t.Errorf("%s is both %s and %s", name, before, at)
				}
				seen[name] = at
			}
		}
	}
	for _, name := range ImplementedOperations() {
		if seen[name] == "" && !slices.Contains([]OperationName{ListObjectsV2, CopyObject, UploadPartCopy}, name) { // told apart by refine
			t.Errorf("%s is implemented but has no route", name)
		}
	}
}

func TestObjectKey(t *testing.T) {
	op, err := Parse(request("GET", "/photos/a%20b", ""), nil)
	if err != nil || op.ObjectKey() != (object.Key{Bucket: "photos", Name: "a b"}) {
		t.Errorf("%+v, %v", op, err)
	}
}

func TestParseBackendTakesReservedKeys(t *testing.T) {
	r := request("PUT", "/photos/.s3mirror/identity", "")
	if op, err := ParseBackend(r, nil); err != nil || op.Key != ".s3mirror/identity" || op.Name != PutObject {
		t.Errorf("%+v, %v", op, err)
	}
	if _, err := ParseBackend(request("PUT", "/photos/%ff", ""), nil); codeOf(err) != InvalidURI {
		t.Errorf("%v", err)
	}
}

// TestNotBehindEither: nobody does these, the gateway or a server behind it.
func TestNotBehindEither(t *testing.T) {
	for _, c := range []struct {
		method, uri string
		name        OperationName
	}{
		{"GET", "/photos/k?partNumber=1&versionId=2", GetObject},
		{"DELETE", "/photos/k?partNumber=1", DeleteObject},
		{"GET", "/photos?partNumber=1", ListObjects},
		{"GET", "/photos/k?uploadId=u&versionId=1", ListParts},
		{"GET", "/photos?policy&versionId=null", GetBucketPolicy},
		{"POST", "/photos/k?restore", RestoreObject},
	} {
		for _, parse := range []func(*http.Request, []string) (*Operation, error){Parse, ParseBackend} {
			op, err := parse(request(c.method, c.uri, ""), nil)
			if err != nil || op.Name != c.name || op.Implemented() || codeOf(op.NotImplemented()) != NotImplemented {
				t.Errorf("%s %s: %+v, %v", c.method, c.uri, op, err)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"/", "/photos", "/photos/", "/photos/a%2Fb//..?acl", "/photos/h%C3%A9?prefix=a+b&&x=%zz",
		"/.s3mirror/x", "/photos/.s3mirror/x", "*", "http://h/b/k", "/photos/k?versionId=1&partNumber=2&uploadId=u"} {
		f.Add("GET", s, "photos.s3.example.org", false)
		f.Add("PUT", s, "localhost:9000", true)
	}
	f.Fuzz(func(t *testing.T, method, uri, host string, copied bool) {
		r := request(method, uri, host)
		if copied {
			r.Header.Set("x-amz-copy-source", "/b/k")
		}
		op, err := Parse(r, testDomains)
		if err != nil {
			if status := codeOf(err).Status(); status < 400 || status > 499 {
				t.Fatalf("%q: %v", uri, err)
			}
			return
		}
		if len(op.Key) > MaxKeyBytes || !utf8.ValidString(op.Key) || strings.Contains(op.Key, "\x00") || reserved(op.Key) {
			t.Fatalf("%q: illegal key %q", uri, op.Key)
		}
		if op.Bucket != "" && CheckBucketName(op.Bucket) != nil || op.Bucket == "" && op.Key != "" {
			t.Fatalf("%q: bucket %q, key %q", uri, op.Bucket, op.Key)
		}
		if op.Implemented() {
			for _, p := range op.Query {
				named := routes[op.kind()][p.Name].of(method) == op.Name || p.Name == "versionId" && p.Value == NullVersion
				if subresources[p.Name] && !named {
					t.Fatalf("%q is %s in spite of %s", uri, op.Name, p.Name)
				}
			}
			if copied && op.Name == PutObject {
				t.Fatalf("%q: a copy became a PutObject", uri)
			}
		}
		if op.Key == "" || op.VirtualHost || op.Name == Preflight {
			return
		}
		again, err := Parse(request(method, "/"+op.Bucket+"/"+EscapeKey(op.Key), ""), nil)
		if err == nil && (again.Bucket != op.Bucket || again.Key != op.Key) {
			t.Fatalf("%q: %q/%q is not %q/%q", uri, again.Bucket, again.Key, op.Bucket, op.Key)
		}
	})
}

// TestMisplaced: what S3 refuses for what it is, before it asks who sends it.
func TestMisplaced(t *testing.T) {
	for _, c := range []struct {
		method, uri string
		copied      bool
		want        Code
	}{
		{"PUT", "/photos/k?partNumber=1", false, InvalidArgument}, // an UploadPart that lost its upload is no PutObject
		{"PUT", "/photos/k?uploadId=u", false, MethodNotAllowed},
		{"PUT", "/photos/k?uploadId=u&partNumber=1", false, ""},
		{"PUT", "/photos/k?uploadId=u&partNumber=1", true, ""},
		{"GET", "/photos/k?uploads", false, InvalidRequest},
		{"GET", "/photos?uploads", false, ""},
		{"GET", "/photos/k?versions", false, InvalidRequest},
		{"GET", "/photos?versions", false, ""},
		{"GET", "/photos/k", true, InvalidArgument},
		{"HEAD", "/photos/k", true, InvalidArgument},
		{"DELETE", "/photos/k", true, InvalidArgument},
		{"GET", "/photos", true, InvalidArgument},
		{"POST", "/photos/k?uploadId=u", true, InvalidArgument},
		{"PUT", "/photos/k", true, ""},
	} {
		r := request(c.method, c.uri, "")
		if c.copied {
			r.Header.Set("x-amz-copy-source", "/b/k")
		}
		for _, parse := range []func(*http.Request, []string) (*Operation, error){Parse, ParseBackend} {
			if _, err := parse(r, nil); codeOf(err) != c.want {
				t.Errorf("%s %s, copy %v: %v, want %s", c.method, c.uri, c.copied, err, c.want)
			}
		}
	}
}
