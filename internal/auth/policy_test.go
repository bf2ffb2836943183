package auth_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

var update = flag.Bool("update", false, "rewrite testdata/policy.txt")

// clerk is a user with every limit; ask is what he may do.
func clerk() *auth.User {
	return &auth.User{
		Login: "clerk", Role: auth.RoleAdmin, Active: true,
		Scopes:            []auth.Scope{auth.ScopeRead, auth.ScopeWrite},
		AllowedIPs:        []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		AllowedExtensions: []string{"txt"},
		AllowedBuckets:    []auth.Place{{Bucket: "photos"}, {Bucket: "logs", Prefix: "2026/"}},
	}
}

func ask(op s3.OperationName) auth.Access {
	return auth.Access{
		Operation: op, Bucket: "photos", Key: "a/b.txt", Prefix: "a/",
		Source: object.Key{Bucket: "photos", Name: "c.txt"}, Client: netip.MustParseAddr("10.1.2.3"),
	}
}

// limits are what a user can be limited by, each with what is against it.
var limits = []struct {
	name  string
	spoil func(u *auth.User, a *auth.Access)
}{
	{"none", func(*auth.User, *auth.Access) {}},
	{"inactive", func(u *auth.User, _ *auth.Access) { u.Active = false }},
	{"address", func(_ *auth.User, a *auth.Access) { a.Client = netip.MustParseAddr("11.0.0.1") }},
	{"no-scope", func(u *auth.User, _ *auth.Access) { u.Scopes = nil }},
	{"read-only", func(u *auth.User, _ *auth.Access) { u.Scopes = []auth.Scope{auth.ScopeRead} }},
	{"write-only", func(u *auth.User, _ *auth.Access) { u.Scopes = []auth.Scope{auth.ScopeWrite} }},
	{"user", func(u *auth.User, _ *auth.Access) { u.Role = auth.RoleUser }},
	{"bucket", func(_ *auth.User, a *auth.Access) { a.Bucket = "others" }},
	{"in-prefix", func(_ *auth.User, a *auth.Access) { a.Bucket, a.Key, a.Prefix = "logs", "2026/b.txt", "2026/" }},
	{"off-prefix", func(_ *auth.User, a *auth.Access) { a.Bucket, a.Key, a.Prefix = "logs", "2027/b.txt", "2027/" }},
	{"extension", func(_ *auth.User, a *auth.Access) { a.Key = "a/b.exe" }},
	{"keyless", func(_ *auth.User, a *auth.Access) { a.Key = "" }},
	{"keyless-bucket", func(_ *auth.User, a *auth.Access) { a.Bucket, a.Key = "others", "" }},
	{"source-bucket", func(_ *auth.User, a *auth.Access) { a.Source.Bucket = "others" }},
	{"source-ext", func(_ *auth.User, a *auth.Access) { a.Source.Name = "c.exe" }},
	{"no-source", func(_ *auth.User, a *auth.Access) { a.Source = object.Key{} }},
}

// TestPolicyTable: every operation against every limit. The table is in
// testdata/policy.txt, to be read; a dash is a yes.
func TestPolicyTable(t *testing.T) {
	var table bytes.Buffer
	line := func(cells ...string) {
		text := fmt.Sprintf("%-48s", cells[0])
		for _, c := range cells[1:] {
			text += fmt.Sprintf(" %-14s", c)
		}
		table.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	head := []string{"operation"}
	for _, l := range limits {
		head = append(head, l.name)
	}
	line(head...)
	for _, op := range s3.Operations() {
		cells := []string{string(op)}
		for _, l := range limits {
			u, a := clerk(), ask(op)
			l.spoil(u, &a)
			cells = append(cells, verdict(t, u, a))
			free := &auth.User{Login: "free", Active: true, Role: auth.RoleAdmin, Scopes: []auth.Scope{auth.ScopeRead, auth.ScopeWrite}}
			if err := auth.Authorize(free, a); err != nil && verdict(t, free, a) != "operation" && a.Key != "" {
				t.Errorf("%s, %s: a user without limits: %v", op, l.name, err)
			}
			if err := auth.Authorize(auth.RootUser(), a); err != nil {
				t.Errorf("%s, %s: root: %v", op, l.name, err)
			}
		}
		line(cells...)
	}
	const file = "testdata/policy.txt"
	if *update {
		if err := os.WriteFile(file, table.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(want, table.Bytes()) {
		t.Errorf("the table differs from %s (%v): look at the diff after -update", file, err)
	}
}

func verdict(t *testing.T, u *auth.User, a auth.Access) string {
	t.Helper()
	err := auth.Authorize(u, a)
	if err == nil {
		return "-"
	}
	var d *auth.Denial
	if !errors.As(err, &d) || d.Login != u.Login || d.Access != a || d.Reason == "" {
		t.Fatalf("%v is no whole denial", err)
	}
	return string(d.Reason)
}

// TestPolicyOfUnknownOperations: what nobody thought of is refused.
func TestPolicyOfUnknownOperations(t *testing.T) {
	for _, op := range []s3.OperationName{"", "GetObjectTomorrow", s3.Invalid} {
		if got := verdict(t, clerk(), ask(op)); got != "operation" {
			t.Errorf("%q: %s", op, got)
		}
	}
}

func TestExtensions(t *testing.T) {
	for _, tc := range []struct {
		allowed string
		yes, no []string
	}{
		{"txt",
			[]string{"a.txt", "a.TXT", "d/a.txt", "a.exe.txt", "a.b.c.txt", ".a.txt", "a..txt", "ä.txt", "a .txt", "d.exe/a.txt", " .txt", "\u202Efdp.txt"},
			[]string{
				"a", "a.exe", "a.EXE", "a.txt.exe", "a.txt.", "a.txt ", "a.txt\u00a0", "a.txt/", "d.txt/a", "d.txt/", "a.txt/.", "a.txt/..", ".txt", "d/.txt",
				"txt", "atxt", "a.txt\t", "a.txt\n", "a.txt\x00", "a.txt;.exe", "a.txt::$DATA", "a.exe%20", "a%2etxt", "a.t xt",
				"a．txt", "a․txt", "a.tхt", "a.ｔxt", "a.txt\u0301", "a.\u0301txt", "a.tx\u200bt", "a.txt\u200b", "a.txt\u202e", "a.txt\\b", "a.txt?x", "a.txt#x",
			}},
		{"tar.gz", []string{"a.tar.gz", "a.TAR.Gz", "a.x.tar.gz"}, []string{"a.gz", "a.tar", "tar.gz", ".tar.gz", "atar.gz", "a.tar.gz.", "a.tar .gz", "a.tgz"}},
		{"gz", []string{"a.gz", "a.tar.gz"}, []string{"a.tar", ".gz"}},
		{"k", []string{"a.k", "a.K"}, []string{"a.\u212a"}}, // the Kelvin sign
	} {
		u := clerk()
		u.AllowedExtensions = []string{"zip", tc.allowed}
		for _, names := range []struct {
			keys []string
			want string
		}{{tc.yes, "-"}, {tc.no, "extension"}} {
			for _, key := range names.keys {
				a := ask(s3.PutObject)
				a.Key = key
				if got := verdict(t, u, a); got != names.want {
					t.Errorf("%s, %q: %s, want %s", tc.allowed, key, got, names.want)
				}
			}
		}
	}
}

func TestPlaces(t *testing.T) {
	u := clerk()
	u.AllowedExtensions = nil
	for _, tc := range []struct {
		bucket, key string
		want        string
	}{
		{"photos", "anything", "-"},
		{"photos", "../logs/x", "-"}, // a key of photos, whatever it looks like
		{"photo", "x", "bucket"},
		{"photos2", "x", "bucket"},
		{"logs", "2026/a", "-"},
		{"logs", "2026/", "-"},
		{"logs", "2026//a", "-"},
		{"logs", "2026/a/../b", "-"},
		{"logs", "2026", "bucket"},
		{"logs", "20260/a", "bucket"},
		{"logs", "/2026/a", "bucket"},
		{"logs", "2026/../2025/a", "bucket"},
		{"logs", "2026/..", "bucket"},
		{"logs", "2026/.", "bucket"},
		{"logs", "./2026/a", "bucket"},
		{"logs", "2025/../2026/a", "bucket"},
		{"logs", "2026\\a", "bucket"},
		{"logs", "２０２６/a", "bucket"},
	} {
		a := ask(s3.GetObject)
		a.Bucket, a.Key = tc.bucket, tc.key
		if got := verdict(t, u, a); got != tc.want {
			t.Errorf("%s/%s: %s, want %s", tc.bucket, tc.key, got, tc.want)
		}
	}
	for prefix, want := range map[string]string{"": "bucket", "2": "bucket", "2026": "bucket", "2026/": "-", "2026/a": "-", "2026/../": "bucket"} {
		a := ask(s3.ListObjectsV2)
		a.Bucket, a.Prefix = "logs", prefix
		if got := verdict(t, u, a); got != want {
			t.Errorf("list of %q: %s, want %s", prefix, got, want)
		}
	}
	for bucket, want := range map[string]bool{"photos": true, "logs": true, "others": false} {
		if u.Sees(bucket) != want {
			t.Errorf("%s is seen: %v", bucket, !want)
		}
	}
}

func TestAddresses(t *testing.T) {
	u := clerk()
	for _, tc := range []struct {
		allowed, client string
		want            string
	}{
		{"10.0.0.0/8", "10.255.0.1", "-"},
		{"10.0.0.0/8", "::ffff:10.0.0.1", "-"},
		{"10.0.0.0/8", "11.0.0.1", "address"},
		{"10.0.0.0/8", "::ffff:11.0.0.1", "address"},
		{"10.0.0.0/8", "::10.0.0.1", "address"},
		{"10.0.0.0/8", "2001:db8::1", "address"},
		{"::ffff:10.0.0.0/104", "10.0.0.1", "-"},
		{"0.0.0.0/0", "1.2.3.4", "-"},
		{"0.0.0.0/0", "2001:db8::1", "address"},
		{"::/0", "2001:db8::1", "-"},
		{"::/0", "1.2.3.4", "address"},
		{"2001:db8:0:1::/64", "2001:db8:0:1:ffff::9", "-"},
		{"2001:db8:0:1::/64", "2001:db8:0:2::9", "address"},
		{"fe80::/10", "fe80::1%eth0", "-"},
		{"fe80::/10", "fe00::1%eth0", "address"},
		{"10.1.2.3", "10.1.2.3", "-"},
		{"10.1.2.3", "10.1.2.4", "address"},
		{"2001:db8::1", "2001:db8::1", "-"},
		{"2001:db8::1", "2001:db8::2", "address"},
	} {
		network, err := auth.ParseNetwork(tc.allowed)
		if err != nil {
			t.Fatal(err)
		}
		u.AllowedIPs = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), network}
		a := ask(s3.GetObject)
		a.Client = netip.MustParseAddr(tc.client)
		if got := verdict(t, u, a); got != tc.want {
			t.Errorf("%s from %s: %s, want %s", tc.allowed, tc.client, got, tc.want)
		}
	}
	a := ask(s3.GetObject)
	a.Client = netip.Addr{}
	if got := verdict(t, u, a); got != "address" {
		t.Errorf("from nowhere: %s", got)
	}
	u.AllowedIPs = nil
	if got := verdict(t, u, a); got != "-" {
		t.Errorf("from nowhere, without a limit: %s", got)
	}
}

// FuzzExtension: a name is let through only when its last segment, lower case of
// ASCII, ends in a dot and an extension of the list and has a name before it; and
// what is appended to such a name closes the door, unless it is such an end itself.
func FuzzExtension(f *testing.F) {
	for _, key := range []string{"a.txt", "a/b.TXT", ".txt", "a.txt/", "a.txt.", "a.exe", "a.t\u0445t", "a.tar.gz", "gz", "a/../b.txt", "a.txt\x00", "\u212a.txt", ""} {
		f.Add(key)
	}
	u := &auth.User{Login: "a", Active: true, Scopes: []auth.Scope{auth.ScopeWrite}, AllowedExtensions: []string{"txt", "tar.gz"}}
	may := func(key string) bool {
		return auth.Authorize(u, auth.Access{Operation: s3.PutObject, Bucket: "b", Key: key}) == nil
	}
	f.Fuzz(func(t *testing.T, key string) {
		name := key[strings.LastIndexByte(key, '/')+1:]
		want := false
		for _, e := range []string{".txt", ".tar.gz"} {
			if n := len(name) - len(e); n > 0 {
				same := true
				for i := range e {
					c := name[n+i]
					same = same && (c == e[i] || 'A' <= c && c <= 'Z' && c+'a'-'A' == e[i])
				}
				want = want || same
			}
		}
		if may(key) != want {
			t.Errorf("%q: %v", key, !want)
		}
		if may(key + "/") {
			t.Errorf("%q and a slash is let through", key)
		}
		if !may(key+"x.txt") || may(key+".exe") {
			t.Errorf("%q is not judged by its end", key)
		}
	})
}
