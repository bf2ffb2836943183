package s3

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

const signature = "X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Date=c&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Signature=d&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&X-Amz-Security-Token=t"

func hoisted(t *testing.T, query string, h http.Header) (http.Header, error) {
	t.Helper()
	r := httptest.NewRequest("PUT", "/photos/k?"+query, nil)
	op, err := Parse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return op.Hoisted(h)
}

func TestHoisted(t *testing.T) {
	sent := http.Header{"X-Amz-Acl": {"private"}, "Content-Type": {"a/b"}}
	for _, tc := range []struct {
		name, query string
		want        http.Header // beside sent
	}{
		{"nothing", signature, nil},
		{"a header-signed request", "x-amz-meta-a=b", nil},
		{"metadata", signature + "&x-amz-meta-a=b&X-Amz-Meta-C=", http.Header{"X-Amz-Meta-A": {"b"}, "X-Amz-Meta-C": {""}}},
		{"the same as sent", signature + "&x-amz-acl=private", nil},
		{"copy source", signature + "&x-amz-copy-source=%2Fa%2Fb", http.Header{"X-Amz-Copy-Source": {"/a/b"}}},
		{"others", signature + "&prefix=x&amz-x=1&xx-amz-acl=1", nil},
		{"a promise made before there was a body", signature + "&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32", nil},
		{"a promise", signature + "&x-amz-checksum-crc32=AAAAAQ%3D%3D&x-amz-sdk-checksum-algorithm=CRC32", http.Header{"X-Amz-Checksum-Crc32": {"AAAAAQ=="}}},
		{"mode", signature + "&x-amz-checksum-mode=ENABLED", http.Header{"X-Amz-Checksum-Mode": {"ENABLED"}}},
	} {
		before := sent.Clone()
		got, err := hoisted(t, tc.query, sent)
		want := sent.Clone()
		maps.Copy(want, tc.want)
		if err != nil || !maps.EqualFunc(got, want, func(a, b []string) bool { return a[0] == b[0] && len(a) == 1 }) {
			t.Errorf("%s: %v, %v", tc.name, got, err)
		}
		if !maps.EqualFunc(sent, before, func(a, b []string) bool { return a[0] == b[0] }) {
			t.Fatalf("%s: the headers sent became %v", tc.name, sent)
		}
	}
	for _, query := range []string{"x-amz-acl=public-read", "x-amz-meta-a=b%0D%0AX:%20y", "x-amz-meta-a%20b=c", "x-amz-meta-a%3A=c", "x-amz-meta-%C3%A9=c", "x-amz-meta-a=1&x-amz-meta-a=2"} {
		if h, err := hoisted(t, signature+"&"+query, sent); codeOf(err) != InvalidArgument {
			t.Errorf("%s: %v, %v", query, h, err)
		}
	}
	if h, err := hoisted(t, signature+"&x-amz-meta-a=b", nil); err != nil || h.Get("X-Amz-Meta-A") != "b" {
		t.Errorf("no headers at all: %v, %v", h, err)
	}
}

// TestEmptySums: signers put the checksum of an empty body into every URL.
func TestEmptySums(t *testing.T) {
	for algorithm, known := range map[string]string{
		"crc32": "AAAAAA==", "crc64nvme": "AAAAAAAAAAA=", "sha1": "2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
		"sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "md5": "1B2M2Y8AsgTpgAmY7PhCfg==",
	} {
		if !promisesNothing("x-amz-checksum-"+algorithm, known) {
			t.Errorf("%s: %s is not taken for nothing", algorithm, known)
		}
	}
	for algorithm := range algorithms {
		h := http.Header{}
		h.Set("x-amz-checksum-"+algorithm, checksumOf(algorithm, nil))
		if got, err := ParseChecksum(h); err != nil || len(got.Value) != algorithms[algorithm].size {
			t.Errorf("%s: %v, %v", algorithm, got, err)
		}
	}
	for name, value := range map[string]string{
		"x-amz-checksum-crc32": "AAAAAQ==", "x-amz-checksum-none": "", "x-amz-checksum-crc32c": "", "x-amz-meta-crc32": "AAAAAA==",
	} {
		if promisesNothing(name, value) {
			t.Errorf("%s: %s is taken for nothing", name, value)
		}
	}
}

// TestHoistedHeadersAreChecked: what moved into the query gets no other rules.
func TestHoistedHeadersAreChecked(t *testing.T) {
	for query, want := range map[string]Code{
		"x-amz-meta-a=b":                        "",
		"x-amz-acl=private":                     "",
		"x-amz-acl=public-read":                 AccessControlListNotSupported,
		"x-amz-copy-source=%2Fa%2Fb":            NotImplemented,
		"x-amz-tagging=a%3Db":                   "",
		"x-amz-server-side-encryption=AES256":   NotImplemented,
		"x-amz-checksum-crc32=AAAAAA%3D%3D":     "",
		"x-amz-meta-a=1&X-Amz-Meta-A=2":         InvalidArgument,
		"x-amz-object-lock-mode=GOVERNANCE&x=1": InvalidRequest,
	} {
		if err := policy(t, "PUT", "/photos/k?"+signature+"&"+query); codeOf(err) != want {
			t.Errorf("%s: %v, want %s", query, err, want)
		}
	}
}

// FuzzHoisted: whatever stands in the query of a presigned URL, the headers sent
// stay, none of the new ones could break a line, and to do it again changes
// nothing.
func FuzzHoisted(f *testing.F) {
	f.Add("x-amz-meta-a", "b", "X-Amz-Acl", "private")
	f.Add("X-AMZ-META-a b", "\r\n", "x-amz-checksum-crc32", "AAAAAA==")
	f.Add("x-amz-", "", "x-amz-é", "\x7f")
	f.Fuzz(func(t *testing.T, name, value, name2, value2 string) {
		op := &Operation{Name: PutObject, Query: Query{{"X-Amz-Signature", "s"}, {name, value}, {name2, value2}}}
		sent := http.Header{"X-Amz-Acl": {"private"}, "Content-Type": {"a/b"}}
		got, err := op.Hoisted(sent)
		if err != nil {
			if codeOf(err) != InvalidArgument {
				t.Fatal(err)
			}
			return
		}
		if len(sent) != 2 {
			t.Fatalf("the headers sent became %v", sent)
		}
		for field, values := range got {
			if before, ok := sent[field]; ok {
				if !slices.Equal(before, values) {
					t.Fatalf("%s became %q", field, values)
				}
				continue
			}
			if !strings.HasPrefix(strings.ToLower(field), "x-amz-") || len(values) != 1 || strings.ContainsAny(field+values[0], "\r\n\x00\x7f") ||
				strings.ContainsAny(field, " :\t") {
				t.Fatalf("header %q: %q", field, values)
			}
			if values[0] != value && values[0] != value2 {
				t.Fatalf("header %q: %q, which nobody wrote", field, values)
			}
		}
		again, err := op.Hoisted(got)
		if err != nil || !maps.EqualFunc(again, got, slices.Equal) {
			t.Fatalf("again: %v, %v", again, err)
		}
	})
}
