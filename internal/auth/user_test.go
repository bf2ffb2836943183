package auth_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/auth"
)

func TestParseNetwork(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", "10.1.2.3": "10.1.2.3/32", "::1": "::1/128", "2001:DB8::/32": "2001:db8::/32",
		"::ffff:10.0.0.0/104": "10.0.0.0/8", "::ffff:10.1.2.3": "10.1.2.3/32", "0.0.0.0/0": "0.0.0.0/0", "::/0": "::/0",
		"": "", "10.0.0.1/8": "", "10.0.0.0/33": "", "10.0.0.0/": "", "10.0.0.0/08": "", "10.0.0": "", "010.0.0.1": "", "example.org": "",
		"fe80::1%eth0": "", "fe80::%eth0/10": "", "::ffff:0:0/90": "", "::/96x": "", "10.0.0.0/8 ": "", "10.0.0.1-10.0.0.9": "",
	} {
		got, err := auth.ParseNetwork(text)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%q: %v, %v; want %q", text, got, err, want)
		}
		if err != nil && got != (netip.Prefix{}) {
			t.Errorf("%q: refused with %v", text, got)
		}
	}
}

func TestParseExtension(t *testing.T) {
	for text, want := range map[string]string{
		"txt": "txt", ".txt": "txt", "TXT": "txt", "tar.gz": "tar.gz", ".tar.gz": "tar.gz", "7z": "7z", "x_y-z": "x_y-z",
		"": "", ".": "", "..txt": "", "txt.": "", "a..b": "", "t xt": "", "txt ": "", "*": "", "*.txt": "", "тхт": "", "ﬁ": "", "tx\u0301t": "",
		"a/b": "", "a.b.c.d.e": "", strings.Repeat("x", 33): "",
	} {
		if got, err := auth.ParseExtension(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestParsePlace(t *testing.T) {
	for text, want := range map[string]auth.Place{
		"photos": {Bucket: "photos"}, "photos/": {Bucket: "photos"}, "photos/2026/": {"photos", "2026/"},
		"photos/2026": {"photos", "2026"}, "photos/a b/ä": {"photos", "a b/ä"},
		"": {}, "/": {}, "/photos": {}, "Photos": {}, "ab": {}, "..": {}, "photos//a": {}, "photos/../a": {}, "photos/./a": {}, "photos/..": {},
		"photos/a/..": {}, "photos/\xff": {}, "photos/\x00": {}, "photos/" + strings.Repeat("x", 1025): {}, "*": {}, "s3://photos": {},
	} {
		got, err := auth.ParsePlace(text)
		if got != want || (err == nil) != (want != auth.Place{}) {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
		if err == nil && got.String() != strings.TrimSuffix(text, "/") && got.String() != text {
			t.Errorf("%q is written %q", text, got)
		}
	}
}

func TestLogins(t *testing.T) {
	for login, ok := range map[string]bool{
		"alice": true, "a": true, "0": true, "ci-bot_1": true, "a.b@example.org": true, "a+b": true, strings.Repeat("a", 64): true,
		"": false, "root": false, "anonymous": false, "Alice": false, "-a": false, ".a": false, "a b": false, "a\n": false, "älice": false, "аlice": false,
		"a/b": false, "a:b": false, "a\x00": false, strings.Repeat("a", 65): false,
	} {
		if err := auth.CheckLogin(login); (err == nil) != ok {
			t.Errorf("%q: %v", login, err)
		}
	}
}

// TestCheckTellsEverything: each fault names its field.
func TestCheckTellsEverything(t *testing.T) {
	u := clerk()
	if err := u.Check(); err != nil {
		t.Fatal(err)
	}
	u.Login, u.Role, u.Scopes = "A", "boss", []auth.Scope{"read", "read", "delete"}
	u.AllowedIPs = make([]netip.Prefix, 101)
	u.AllowedBuckets = make([]auth.Place, 101)
	u.AllowedExtensions = make([]string, 101)
	u.Keys = make([]auth.AccessKey, 21)
	err := u.Check()
	if err == nil {
		t.Fatal("nothing is wrong with it")
	}
	var fields []string
	for line := range strings.Lines(err.Error()) {
		field, _, _ := strings.Cut(line, ":")
		fields = append(fields, field)
	}
	slices.Sort(fields)
	want := []string{"allowed_buckets", "allowed_extensions", "allowed_ips", "keys", "login", "role", "scopes", "scopes"}
	if !slices.Equal(fields, want) {
		t.Errorf("got %q, want %q\n%v", fields, want, err)
	}
}

func TestUsersAreNotPrinted(t *testing.T) {
	u := clerk()
	u.PasswordHash, u.Keys = "THE-HASH", []auth.AccessKey{{ID: "AK", Sealed: []byte("SEALED")}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		for _, text := range []string{fmt.Sprintf(verb, u), fmt.Sprintf(verb, *u), fmt.Sprintf(verb, []auth.User{*u})} {
			if strings.Contains(text, "HASH") || strings.Contains(text, "SEALED") || !strings.Contains(text, "clerk") {
				t.Errorf("%s prints %q", verb, text)
			}
		}
	}
	if u.LogValue().String() != "clerk" {
		t.Errorf("log shows %v", u.LogValue())
	}
}

func TestCloneSharesNothing(t *testing.T) {
	u := clerk()
	u.Keys = []auth.AccessKey{{ID: "AK", Sealed: []byte{1}}}
	c := u.Clone()
	c.Scopes[0], c.AllowedIPs[0], c.AllowedExtensions[0], c.AllowedBuckets[0], c.Keys[0].Sealed[0] = "", netip.Prefix{}, "", auth.Place{}, 2
	if u.Scopes[0] == "" || !u.AllowedIPs[0].IsValid() || u.AllowedExtensions[0] == "" || u.AllowedBuckets[0].Bucket == "" || u.Keys[0].Sealed[0] == 2 {
		t.Error("the clone shares")
	}
}
