package gateway_test

import (
	"strings"
	"testing"
)

// TestWordsOfRefusals: what suites compare, beside status and code.
func TestWordsOfRefusals(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/k", "old")
	long := strings.Repeat("d", 8<<10)
	unsigned := func(a ask) ask { a.anonymous = true; return a }
	chunked := func(q string) ask {
		return ask{method: "PUT", path: "/photos", query: q, mode: "STREAMING-UNSIGNED-PAYLOAD-TRAILER", body: "0\r\n\r\n",
			header: header("X-Amz-Decoded-Content-Length", "0")}
	}
	for name, c := range map[string]struct {
		ask  ask
		want string
		text string // in the document
	}{
		"part that no object has":            {query("GET", "/photos/none", "partNumber=0"), "400 InvalidArgument", "Part number must be"},
		"likewise of HEAD":                   {query("HEAD", "/photos/none", "partNumber=0"), "400", ""},
		"a part of no object":                {query("GET", "/photos/none", "partNumber=1"), "404 NoSuchKey", ""},
		"attributes of no bucket":            {query("GET", "/nowhere/k", "attributes"), "404 NoSuchBucket", ""},
		"no attribute":                       {query("GET", "/photos/k", "attributes"), "400 InvalidRequest", ""},
		"a part of a source that is none":    {query("PUT", "/nowhere/k", "partNumber=1&uploadId=u", "X-Amz-Copy-Source", "source"), "404 NoSuchBucket", ""},
		"a source that climbs":               {query("PUT", "/photos/k", "", "X-Amz-Copy-Source", "photos/a/../../b"), "400 InvalidArgument", "Invalid copy source object key"},
		"a source that is its bucket":        {query("PUT", "/photos/k", "", "X-Amz-Copy-Source", "photos/a/.."), "400 InvalidArgument", "Invalid copy source object key"},
		"a copy of nothing to itself":        {query("PUT", "/photos/none", "", "X-Amz-Copy-Source", "photos/none"), "404 NoSuchKey", ""},
		"a copy of something to itself":      {query("PUT", "/photos/k", "", "X-Amz-Copy-Source", "photos/k"), "400 InvalidRequest", "to itself"},
		"tags without a document":            {query("PUT", "/photos", "tagging"), "400 MissingRequestBodyError", "Request Body is empty"},
		"a batch without a document":         {query("POST", "/photos", "delete", "Content-Md5", "1B2M2Y8AsgTpgAmY7PhCfg=="), "400 MissingRequestBodyError", "Request Body is empty"},
		"another thing to itself":            {query("PUT", "/photos/k", "", "X-Amz-Copy-Source", "photos/k", "X-Amz-Copy-Source-If-Match", "other"), "412 PreconditionFailed", ""},
		"part of no bucket":                  {query("GET", "/nowhere/k", "partNumber=0"), "404 NoSuchBucket", ""},
		"marker below zero":                  {query("GET", "/photos/k", "uploadId=u&part-number-marker=-4"), "400 InvalidArgument", "Argument -4 must be an integer between 0 and 2147483647"},
		"marker that is none":                {query("GET", "/photos/k", "uploadId=u&part-number-marker=x"), "400 InvalidArgument", "Provided x not an integer or within integer range"},
		"long headers":                       {query("PUT", "/photos/k", "", "X-Amz-Custom", long), "400 RequestHeaderSectionTooLarge", "<MaxSizeAllowed>8192<"},
		"a long token":                       {query("PUT", "/photos/k", "", "X-Amz-Security-Token", long), "400 InvalidToken", ""},
		"chunks where none are taken":        {chunked("cors"), "400 InvalidRequest", "The value of x-amz-content-sha256 header is invalid."},
		"chunks for what is not done":        {chunked("versioning"), "400 InvalidRequest", "The value of x-amz-content-sha256 header is invalid."},
		"one's own key as owner":             {query("GET", "/photos/k", "", "X-Amz-Expected-Bucket-Owner", testKey), "200", ""},
		"another owner":                      {query("GET", "/photos/k", "", "X-Amz-Expected-Bucket-Owner", "AKOTHER"), "403 AccessDenied", ""},
		"a bucket of nobody":                 {unsigned(query("PUT", "/new", "")), "403 AccessDenied", "Anonymous users cannot invoke this API. Please authenticate."},
		"an upload of nobody":                {unsigned(query("POST", "/photos/k", "uploads")), "403 AccessDenied", "Anonymous users cannot initiate multipart uploads. Please authenticate."},
		"an object of nobody":                {unsigned(query("GET", "/photos/k", "")), "403 AccessDenied", "Access Denied."},
		"a POST that asks for nothing":       {query("POST", "/photos/k", ""), "405 MethodNotAllowed", "<ResourceType>SERVICE<"},
		"the last bytes of an empty object":  {query("GET", "/photos/empty", "", "Range", "bytes=-1"), "200", ""},
		"the first bytes of an empty object": {query("GET", "/photos/empty", "", "Range", "bytes=0-0"), "416 InvalidRange", ""},
		"a checksum of no algorithm":         {query("PUT", "/photos/k", "", "X-Amz-Checksum-Crc16", "AAAA"), "400 InvalidRequest", "The algorithm type you specified in x-amz-checksum- header is invalid."},
	} {
		if strings.Contains(c.ask.path, "empty") {
			f.put(t, "/photos/empty", "")
		}
		if got := f.send(t, c.ask); got.String() != c.want || !strings.Contains(got.body, c.text) {
			t.Errorf("%s: %s, want %s %q", name, got.raw, c.want, c.text)
		}
	}
}
