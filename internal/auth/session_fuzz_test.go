package auth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
)

// FuzzSessionToken: the session token of a temporary key opens that key alone, as it was given.
func FuzzSessionToken(f *testing.F) {
	n := newLoginNode(f, memory.NewLog()).withAlice(f)
	access := n.login(f).Access
	given := map[string]string{}
	var tokens []string
	for range 2 {
		key, err := n.Assume(f.Context(), access, time.Hour, here)
		if err != nil {
			f.Fatal(err)
		}
		given[key.AccessKeyID] = key.SessionToken
		tokens = append(tokens, key.SessionToken)
	}
	for id := range given {
		for _, token := range tokens {
			f.Add(id, token)
			f.Add(id, token+"=")
			f.Add(id, token[1:])
			f.Add(strings.ToLower(id), token)
		}
	}
	f.Add("", "")
	f.Fuzz(func(t *testing.T, id, token string) {
		switch _, who, err := n.Temporary(t.Context(), id, token); {
		case err == nil && (given[id] != token || token == "" || who.AccessKeyID != id):
			t.Errorf("%q opens %q for %s", token, id, who.Login)
		case err != nil && given[id] == token && token != "":
			t.Errorf("the token of %q: %v", id, err)
		}
	})
}
