//go:build e2e

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// TestSecretKeyIsChangedUnderKills: the process is killed while it seals the keys of
// two hundred users anew. Each start goes on, every key opens what it did, and what was
// stored before the first change is read.
func TestSecretKeyIsChangedUnderKills(t *testing.T) {
	t.Parallel()
	const users, kills = 200, 3
	backends := harness.StartBackends(t, 2)
	g := harness.StartGateway(t, backends, harness.Options{})
	createBucket(t, g.Client, "kept")
	if a, err := g.Client.Put(t.Context(), "kept", "k", wire.Literal, []byte("content")); err != nil || a.Status != 200 {
		t.Fatalf("%v, %v", a, err)
	}
	ask := func(method, path, body string) (int, string, error) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+g.AdminAddr+path, strings.NewReader(body))
		if err != nil {
			return 0, "", err
		}
		req.SetBasicAuth("root", g.Password)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text), err
	}
	var keys []wire.Keys
	for i := range users {
		login := fmt.Sprintf("user-%03d", i)
		if status, body, err := ask("POST", "/api/v1/users", fmt.Sprintf(`{"login":%q,"role":"user","scopes":["read"],"active":true}`, login)); status != 201 {
			t.Fatalf("%d %s %v", status, body, err)
		}
		status, body, err := ask("POST", "/api/v1/users/"+login+"/keys", "")
		if status != 201 {
			t.Fatalf("%d %s %v", status, body, err)
		}
		var key struct {
			ID     string `json:"access_key_id"`
			Secret string `json:"secret_access_key"`
		}
		decode(t, body, &key)
		keys = append(keys, wire.Keys{Access: key.ID, Secret: key.Secret, Region: g.Keys.Region})
	}
	file := g.SecretFile
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	inTheMiddle := int64(0)
	for round := range kills {
		done := make(chan error, 1)
		go func() {
			_, _, err := ask("POST", "/api/v1/secret-key/rotate", "")
			done <- err
		}()
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		harness.Eventually(t, "the file has another key", func() error {
			now, err := os.ReadFile(file)
			if err != nil || bytes.Equal(now, before) {
				return errors.Join(err, errors.New("it is the same"))
			}
			return nil
		})
		for i := range 10 * round { // so much later
			if a, err := harness.NewClient(g.S3Addr, keys[i]).Get(t.Context(), "kept", "k"); err != nil || a.Status != 200 {
				t.Errorf("key %d while it is changed: %v, %v", i, a, err)
			}
		}
		g.Kill()
		if <-done != nil { // it was not answered
			inTheMiddle++
		}
		g.Start(t)
		if text, err := os.ReadFile(file); err != nil || bytes.Contains(text, []byte("before")) || bytes.Equal(text, before) {
			t.Errorf("after the start the file is %d bytes, %v", len(text), err)
		}
	}
	floor(t, "changes of the secret key that were killed", inTheMiddle, 1)
	for i, key := range keys {
		if a, err := harness.NewClient(g.S3Addr, key).Get(t.Context(), "kept", "k"); err != nil || a.Status != 200 || string(a.Body) != "content" {
			t.Errorf("key %d: %v, %v", i, a, err)
		}
	}
	if status, body, err := ask("POST", "/api/v1/secret-key/rotate", ""); status != 200 {
		t.Errorf("%d %s %v", status, body, err)
	}

	// The first key opens nothing any more.
	g.Kill()
	if err := os.WriteFile(file, first, 0o600); err != nil {
		t.Fatal(err)
	}
	p := g.Launch(t)
	harness.Eventually(t, "a node with the first key refuses to serve", func() error {
		if !strings.Contains(p.Output(), "secret key is not the one") {
			return errors.New("it does not say so")
		}
		return nil
	})
}
