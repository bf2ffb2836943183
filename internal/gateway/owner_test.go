package gateway_test

import (
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/auth"
)

// TestOwnersAsTheyAreKnown: root sees the owner by the key that he signs with, nobody else
// does, and both ids are his when a list of access comes back.
func TestOwnersAsTheyAreKnown(t *testing.T) {
	f, who, _ := newUserFixture(t)
	rich := &auth.User{Login: "rich", Role: auth.RoleAdmin, Active: true, Scopes: []auth.Scope{auth.ScopeRead, auth.ScopeWrite}}
	ids := map[string]string{}
	for _, u := range []*auth.User{auth.RootUser(), rich} {
		who.become(u)
		f.put(t, "/photos/k", "x")
		for what, a := range map[string]ask{
			"acl": query("GET", "/photos", "acl"), "acl of an object": query("GET", "/photos/k", "acl"), "buckets": get("/"),
			"list": query("GET", "/photos", "list-type=2&fetch-owner=true"), "uploads": query("GET", "/photos", "uploads"),
		} {
			got := f.send(t, a)
			_, id, found := strings.Cut(got.body, "<Owner><ID>")
			id, _, _ = strings.Cut(id, "<")
			if got.status != 200 || !found && what != "uploads" || found && ids[u.Login] != "" && id != ids[u.Login] {
				t.Errorf("%s, %s: %s, the owner was %s", u.Login, what, got.raw, ids[u.Login])
			}
			if found {
				ids[u.Login] = id
			}
		}
	}
	if ids["root"] != testKey || len(ids["rich"]) != 64 {
		t.Fatalf("owners %q", ids)
	}
	set := func(id string) answer {
		return f.send(t, document("/photos", "acl", `<AccessControlPolicy><Owner><ID>`+id+`</ID></Owner><AccessControlList><Grant><Grantee><ID>`+id+
			`</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>`))
	}
	for _, c := range []struct {
		who  *auth.User
		id   string
		want string
	}{
		{auth.RootUser(), ids["root"], "200"}, {auth.RootUser(), ids["rich"], "200"}, {auth.RootUser(), "another", "400 InvalidArgument"},
		{rich, ids["rich"], "200"}, {rich, ids["root"], "400 InvalidArgument"},
	} {
		who.become(c.who)
		if got := set(c.id); got.String() != c.want {
			t.Errorf("%s sets the list of %s: %s, want %s", c.who.Login, c.id, got.raw, c.want)
		}
	}
}

// TestStorageClassIsTold where the servers tell it.
func TestStorageClassIsTold(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/k", "x", "x-amz-storage-class", "REDUCED_REDUNDANCY")
	for _, told := range []bool{false, true} {
		f.store.classTold = told
		for _, a := range []ask{get("/photos/k"), head("/photos/k")} {
			if got := f.send(t, a); got.status != 200 || (got.header.Get("x-amz-storage-class") == "STANDARD") != told {
				t.Errorf("told %v: %s", told, got.raw)
			}
		}
	}
	if got := f.send(t, upload("/photos/k", "x", "x-amz-storage-class", "DEEP_ARCHIVE")); got.String() != "400 InvalidStorageClass" {
		t.Errorf("%s", got.raw)
	}
}
