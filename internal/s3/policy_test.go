package s3

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// policy runs CheckHeaders for a request with these header pairs.
func policy(t *testing.T, method, uri string, header ...string) error {
	t.Helper()
	r := request(method, uri, "", header...)
	op, err := Parse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return op.CheckHeaders(r.Header)
}

const (
	putK   = "PUT /photos/k"
	getK   = "GET /photos/k"
	headK  = "HEAD /photos/k"
	delK   = "DELETE /photos/k"
	create = "PUT /photos"
	listB  = "GET /photos"
)

func TestHeaderPolicy(t *testing.T) {
	targets := map[string][2]string{
		putK: {"PUT", "/photos/k"}, getK: {"GET", "/photos/k"}, headK: {"HEAD", "/photos/k"},
		delK: {"DELETE", "/photos/k"}, create: {"PUT", "/photos"}, listB: {"GET", "/photos?list-type=2"},
	}
	everywhere := []string{putK, getK, headK, delK, create, listB}
	cases := []struct {
		name, value string
		taken       []string // by these; NotImplemented by the others
	}{
		{"x-amz-date", "20260101T000000Z", everywhere},
		{"X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD", everywhere},
		{"x-amz-security-token", "t", everywhere},
		{"x-amz-request-payer", "requester", everywhere},
		{"x-amz-request-payer", "me", nil},
		{"x-amz-api-version", "2006-03-01", everywhere},
		{"x-amz-api-version", "2036-03-01", nil},
		{"User-Agent", "x", everywhere},
		{"amz-sdk-invocation-id", "x", everywhere},
		{"X-Amzn-Trace-Id", "Root=1", everywhere},
		{"X-Forwarded-For", "1.2.3.4", everywhere},
		{"x-amz-acl", "private", []string{putK, create}},
		{"x-amz-acl", "bucket-owner-full-control", []string{putK, create}},
		{"x-amz-storage-class", "STANDARD", []string{putK}},
		{"x-amz-tagging", "a=b", []string{putK}},
		{"x-amz-server-side-encryption", "AES256", nil},
		{"x-amz-server-side-encryption-customer-algorithm", "AES256", nil},
		{"x-amz-bucket-object-lock-enabled", "false", []string{create}},
		{"x-amz-bucket-object-lock-enabled", "true", nil},
		{"x-amz-object-ownership", "BucketOwnerEnforced", []string{create}},
		{"x-amz-object-ownership", "ObjectWriter", []string{create}},
		{"x-amz-expected-bucket-owner", "123", everywhere},
		{"x-amz-website-redirect-location", "/x", []string{putK}},
		{"x-amz-meta-a", "b", []string{putK}},
		{"x-amz-sdk-checksum-algorithm", "CRC32", []string{putK}},
		{"x-amz-checksum-crc32", "AAAAAA==", []string{putK, getK}}, // of nothing: AWS SDK for Java v2 on a GET
		{"x-amz-checksum-none", "AAAAAA==", []string{putK, getK}},  // ParseChecksum refuses it
		{"x-amz-checksum-type", "COMPOSITE", nil},
		{"x-amz-checksum-mode", "ENABLED", []string{getK, headK}},
		{"x-amz-checksum-mode", "other", nil},
		{"x-amz-te", "append-md5", []string{getK}},
		{"x-amz-write-offset-bytes", "5", nil},
		{"x-amz-mfa", "1 2", nil},
		{"x-amz-bypass-governance-retention", "true", []string{delK}},
		{"x-amz-bypass-governance-retention", "false", []string{delK}},
		{"x-amz-if-match-size", "5", []string{delK}},
		{"x-amz-optional-object-attributes", "RestoreStatus", nil},
		{"x-amz-something-new", "1", nil},
		{"If-Match", "e", []string{putK, delK, getK, headK, listB}},
		{"If-None-Match", "*", []string{putK, getK, headK, listB}},
		{"If-Modified-Since", "Thu, 01 Jan 2026 00:00:00 GMT", slices.Collect(maps.Keys(targets))},
		{"If-Unmodified-Since", "Thu, 01 Jan 2026 00:00:00 GMT", []string{getK, headK, listB}},
		{"Content-Range", "bytes 0-4/9", []string{getK, headK, listB}},
	}
	for _, c := range cases {
		for label, target := range targets {
			err := policy(t, target[0], target[1], c.name, c.value)
			if slices.Contains(c.taken, label) {
				if err != nil {
					t.Errorf("%s with %s: %s: %v", label, c.name, c.value, err)
				}
				continue
			}
			if codeOf(err) != NotImplemented || fieldOf(err, "Header") == "" {
				t.Errorf("%s with %s: %s: %v, want NotImplemented naming it", label, c.name, c.value, err)
			}
		}
	}
}

// TestStorageClasses: those that are read like STANDARD are taken, and are no part of the
// version; an archive is not.
func TestStorageClasses(t *testing.T) {
	for class, code := range map[string]Code{
		"STANDARD": "", "standard": "", "REDUCED_REDUNDANCY": "", "STANDARD_IA": "", "ONEZONE_IA": "", "INTELLIGENT_TIERING": "", "GLACIER_IR": "",
		"GLACIER": InvalidStorageClass, "DEEP_ARCHIVE": InvalidStorageClass, "INVALID_STORAGE_CLASS": InvalidStorageClass, "": InvalidStorageClass,
	} {
		if err := policy(t, "PUT", "/photos/k", "x-amz-storage-class", class); codeOf(err) != code {
			t.Errorf("%q: %v, want %q", class, err, code)
		}
		h, err := VersionHeaders(http.Header{"X-Amz-Storage-Class": {class}})
		if _, kept := h["x-amz-storage-class"]; err != nil || kept {
			t.Errorf("%q: %v, %v", class, h, err)
		}
	}
	if err := policy(t, "GET", "/photos/k", "x-amz-storage-class", "STANDARD"); codeOf(err) != NotImplemented {
		t.Errorf("of a GET: %v", err)
	}
}

// A copy source must not be overlooked wherever it stands.
func TestCopySourceIsNeverIgnored(t *testing.T) {
	for _, name := range []string{"x-amz-copy-source", "X-Amz-Copy-Source", "x-amz-meta-a", "x-amz-acl"} {
		if err := policy(t, "PUT", "/photos/k?"+name+"=private"); codeOf(err) != NotImplemented {
			t.Errorf("query %s: %v", name, err)
		}
	}
	signed := "/photos/k?X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Date=c&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Signature=d"
	if err := policy(t, "PUT", signed); err != nil {
		t.Errorf("presigned: %v", err)
	}
}

func TestRepeatedHeader(t *testing.T) {
	err := policy(t, "PUT", "/photos/k", "x-amz-acl", "private", "x-amz-acl", "private")
	if codeOf(err) != InvalidArgument {
		t.Errorf("%v", err)
	}
	if err := policy(t, "PUT", "/photos/k", "x-amz-meta-a", "1", "x-amz-meta-a", "2"); err != nil {
		t.Errorf("%v", err)
	}
}

// No bucket has object lock: a version that asks for it is refused as on AWS, and what is no
// version cannot ask.
func TestObjectLockHeaders(t *testing.T) {
	for _, name := range []string{"x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date", "x-amz-object-lock-legal-hold"} {
		for _, uri := range []string{"/photos/k", "/photos/k?x-id=PutObject"} {
			if err := policy(t, "PUT", uri, name, "ON"); codeOf(err) != InvalidRequest || !strings.Contains(err.Error(), "ObjectLockConfiguration") {
				t.Errorf("PUT %s with %s: %v", uri, name, err)
			}
		}
		if err := policy(t, "POST", "/photos/k?uploads", name, "ON"); codeOf(err) != InvalidRequest {
			t.Errorf("an upload with %s: %v", name, err)
		}
		if err := policy(t, "GET", "/photos/k", name, "ON"); codeOf(err) != NotImplemented {
			t.Errorf("GET with %s: %v", name, err)
		}
	}
}

// With several faults the same one is named on every run.
func TestPolicyIsStable(t *testing.T) {
	for range 50 {
		err := policy(t, "PUT", "/photos/k", "x-amz-torrent", "a", "x-amz-mfa", "b", "x-amz-object-attributes", "c")
		if got := fieldOf(err, "Header"); got != "x-amz-mfa" {
			t.Fatal(got)
		}
	}
}

func TestWantsChecksums(t *testing.T) {
	if WantsChecksums(http.Header{}) || !WantsChecksums(http.Header{"X-Amz-Checksum-Mode": {"enabled"}}) {
		t.Error("wrong")
	}
}

// TestHeaderPolicyBehindTheGateway: the headers of the operations that only a
// server there does yet.
func TestHeaderPolicyBehindTheGateway(t *testing.T) {
	requests := map[OperationName]*http.Request{
		PutObject:               request("PUT", "/photos/k", ""),
		GetObject:               request("GET", "/photos/k", ""),
		CreateMultipartUpload:   request("POST", "/photos/k?uploads", ""),
		UploadPart:              request("PUT", "/photos/k?uploadId=u&partNumber=1", ""),
		UploadPartCopy:          request("PUT", "/photos/k?uploadId=u&partNumber=1", "", "x-amz-copy-source", "/b/k"),
		CompleteMultipartUpload: request("POST", "/photos/k?uploadId=u", ""),
		AbortMultipartUpload:    request("DELETE", "/photos/k?uploadId=u", ""),
		CopyObject:              request("PUT", "/photos/k", "", "x-amz-copy-source", "/b/k"),
		DeleteObjects:           request("POST", "/photos?delete", ""),
		GetObjectAttributes:     request("GET", "/photos/k?attributes", ""),
		PutObjectTagging:        request("PUT", "/photos/k?tagging", ""),
	}
	makers := []OperationName{PutObject, CopyObject, CreateMultipartUpload}
	for _, c := range []struct {
		name, value string
		taken       []OperationName
	}{
		{"x-amz-meta-a", "b", makers},
		{"x-amz-tagging", "a=b", makers},
		{"x-amz-storage-class", "STANDARD", makers},
		{"x-amz-website-redirect-location", "/x", makers},
		{"x-amz-acl", "private", makers},
		{"x-amz-checksum-algorithm", "CRC32", append(slices.Clip(makers), UploadPart, CompleteMultipartUpload)},
		{"x-amz-checksum-type", "COMPOSITE", []OperationName{CreateMultipartUpload, CompleteMultipartUpload}},
		{"x-amz-mp-object-size", "5", []OperationName{CompleteMultipartUpload}},
		{"x-amz-checksum-crc64nvme", "AAAAAAAAAAA=", []OperationName{GetObject, PutObject, UploadPart, CompleteMultipartUpload, DeleteObjects, PutObjectTagging}},
		{"x-amz-sdk-checksum-algorithm", "CRC32", []OperationName{PutObject, UploadPart, DeleteObjects, PutObjectTagging}},
		{"x-amz-trailer", "x-amz-checksum-crc32", []OperationName{PutObject, UploadPart}},
		{"x-amz-decoded-content-length", "5", []OperationName{PutObject, UploadPart}},
		{"x-amz-copy-source", "/b/k", []OperationName{CopyObject, UploadPartCopy}},
		{"x-amz-copy-source-if-match", "e", []OperationName{CopyObject, UploadPartCopy}},
		{"x-amz-copy-source-range", "bytes=0-1", []OperationName{UploadPartCopy}},
		{"x-amz-metadata-directive", "COPY", []OperationName{CopyObject}},
		{"x-amz-tagging-directive", "COPY", []OperationName{CopyObject}},
		{"x-amz-object-attributes", "ETag", []OperationName{GetObjectAttributes}},
		{"x-amz-max-parts", "1", []OperationName{GetObjectAttributes}},
		{"x-amz-bypass-governance-retention", "false", []OperationName{DeleteObjects}},
		{"x-amz-server-side-encryption", "AES256", nil},
		{"x-amz-copy-source-server-side-encryption-customer-algorithm", "AES256", nil},
		{"x-amz-if-match-initiated-time", "x", []OperationName{AbortMultipartUpload}},
		{"x-amz-source-expected-bucket-owner", "x", []OperationName{CopyObject, UploadPartCopy}},
		{"If-None-Match", "*", []OperationName{PutObject, CopyObject, CompleteMultipartUpload, GetObject, GetObjectAttributes}},
		{"If-Match", "e", []OperationName{PutObject, CopyObject, CompleteMultipartUpload, GetObject, GetObjectAttributes}},
	} {
		for name, r := range requests {
			op, err := ParseBackend(r, nil)
			if err != nil || op.Name != name {
				t.Fatalf("%s: %+v, %v", name, op, err)
			}
			h := r.Header.Clone()
			h.Set(c.name, c.value)
			want := Code("")
			if !slices.Contains(c.taken, name) {
				want = NotImplemented
			}
			if _, own := r.Header[http.CanonicalHeaderKey(c.name)]; own {
				want = "" // it made the operation
			}
			if err := op.CheckHeaders(h); codeOf(err) != want {
				t.Errorf("%s of %s: %v, want %q", c.name, name, err, want)
			}
		}
	}
}

// Some SDKs send one header for each attribute.
func TestRepeatedAttributes(t *testing.T) {
	h := header("x-amz-object-attributes", "ETag", "x-amz-object-attributes", "Checksum")
	op := backendOp(t, "GET", "/photos/k?attributes")
	if err := op.CheckHeaders(h); err != nil {
		t.Error(err)
	}
	if err := op.CheckHeaders(header("x-amz-max-parts", "1", "x-amz-max-parts", "2")); codeOf(err) != InvalidArgument {
		t.Errorf("%v", err)
	}
}

// TestACLHeaders: the one list that there is may be asked for, every other one is
// refused as AWS refuses it, and never overlooked.
func TestACLHeaders(t *testing.T) {
	for _, c := range []struct {
		target, name, value string
		want                Code
	}{
		{"/photos/k", "x-amz-acl", "private", ""},
		{"/photos", "x-amz-acl", "private", ""},
		{"/photos/k", "x-amz-acl", "bucket-owner-full-control", ""},
		{"/photos/k", "x-amz-acl", "public-read", AccessControlListNotSupported},
		{"/photos", "x-amz-acl", "public-read-write", InvalidBucketACLWithOwnership},
		{"/photos/k", "x-amz-acl", "", InvalidArgument},
		{"/photos/k", "x-amz-acl", "Private", InvalidArgument},
		{"/photos", "x-amz-acl", "everybody", InvalidArgument},
		{"/photos/k", "x-amz-grant-read", "id=1", AccessControlListNotSupported},
		{"/photos", "x-amz-grant-full-control", "id=1", InvalidBucketACLWithOwnership},
		{"/photos/k?tagging", "x-amz-acl", "private", NotImplemented},
		{"/photos/k?tagging", "x-amz-grant-read", "id=1", NotImplemented},
	} {
		if err := policy(t, "PUT", c.target, c.name, c.value); codeOf(err) != c.want {
			t.Errorf("%s with %s: %s: %v, want %s", c.target, c.name, c.value, err, c.want)
		}
	}
	if err := policy(t, "GET", "/photos/k", "x-amz-acl", "private"); codeOf(err) != NotImplemented {
		t.Errorf("of a read: %v", err)
	}
}
