package admin_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// members keeps what it was asked for, and answers err.
type members struct {
	asked []string
	err   error
}

func (m *members) Add(_ context.Context, b api.NewBackend) error {
	m.asked = append(m.asked, fmt.Sprint("add ", b.Name, " ", b.Endpoint, " ", *b.PathStyle))
	return m.err
}

func (m *members) Change(_ context.Context, name string, c api.BackendChange) error {
	m.asked = append(m.asked, fmt.Sprint("change ", name, " ", *c.Endpoint, " ", c.Region == nil))
	return m.err
}

func (m *members) Remove(_ context.Context, name string) error {
	m.asked = append(m.asked, "remove "+name)
	return m.err
}

const newBackend = `{"name":"eu-9","endpoint":"http://eu-9.test","access_key_id":"k","secret_access_key":"top-secret"}`

// TestBackendsAreAdded adds, changes and removes one, and tells every error apart.
func TestBackendsAreAdded(t *testing.T) {
	m := &members{}
	f := newFixture(t, func(o *admin.Options) { o.Backends = m })
	f.backends = []admin.BackendStatus{{Name: "eu-9", State: admin.Up}}
	f.user(t, "ann", func(u *auth.User) { u.Role = auth.RoleUser })
	f.audit.Take()
	send := func(who, method, path, body string) (int, string) {
		t.Helper()
		resp, text := f.send(t, method, "/api/v1/backends"+path, who, body, "Content-Type", "application/json")
		if strings.Contains(text, "top-secret") {
			t.Errorf("%s %s tells the secret: %s", method, path, text)
		}
		return resp.StatusCode, text
	}
	if status, text := send("root", "POST", "", strings.Replace(newBackend, `"name"`, `"path_style":false,"name"`, 1)); status != 201 || !strings.Contains(text, `"name":"eu-9"`) {
		t.Errorf("%d %s", status, text)
	}
	if status, text := send("root", "PATCH", "/eu-9", `{"endpoint":"http://other.test"}`); status != 200 || !strings.Contains(text, `"name":"eu-9"`) {
		t.Errorf("%d %s", status, text)
	}
	if status, text := send("root", "DELETE", "/eu-9", ""); status != 204 || text != "" {
		t.Errorf("%d %s", status, text)
	}
	if got, want := strings.Join(m.asked, "; "), "add eu-9 http://eu-9.test false; change eu-9 http://other.test true; remove eu-9"; got != want {
		t.Errorf("asked for %s", got)
	}
	if a := f.audit.Take(); len(a) != 3 || a[0].Act != "addBackend" || a[0].Target != "eu-9" || a[0].Detail != "http://eu-9.test" || a[1].Act != "changeBackend" || a[2].Act != "removeBackend" {
		t.Errorf("audited %+v", a)
	}
	if strings.Contains(f.log.String(), "top-secret") {
		t.Error("the secret is in the log")
	}

	full := strings.Replace(newBackend, `"name"`, `"path_style":true,"name"`, 1)
	for _, c := range []struct {
		err    error
		status int
		kind   string
		says   string
	}{
		{&admin.WrongBackend{Err: errors.New("endpoint: is missing")}, 400, "bad-backend", "endpoint: is missing"},
		{&admin.RefusedBackend{Probe: admin.Probe{Level: "refused", Reasons: []string{"it keeps what is cut", "it lies"}}}, 422, "backend-refused", `"detail":"it keeps what is cut; it lies"`},
		{&admin.RefusedBackend{Probe: admin.Probe{Level: "refused"}}, 422, "backend-refused", `"probe":{"level":"refused"`},
		{replica.ErrBackendExists, 409, "backend-exists", ""},
		{replica.ErrOfFile, 409, "backend-configured", "configuration of every node"},
		{replica.ErrUnknownBackend, 404, "unknown-backend", ""},
		{fmt.Errorf("%w: its credentials are wrong", admin.ErrBackendAway), 503, "backend-away", `"detail":"its credentials are wrong"`},
		{auth.ErrConflict, 409, "changed-meanwhile", ""},
		{errors.New("what nobody may know"), 500, "internal", ""},
	} {
		m.err = fmt.Errorf("wrapped: %w", c.err)
		for _, r := range [][3]string{{"POST", "", full}, {"PATCH", "/eu-9", `{"endpoint":"http://other.test"}`}, {"DELETE", "/eu-9", ""}} {
			if status, text := send("root", r[0], r[1], r[2]); status != c.status || problemOf(t, text).Type != "urn:s3mirror:problem:"+c.kind || !strings.Contains(text, c.says) || strings.Contains(text, "nobody may know") {
				t.Errorf("%s, %v: %d %s", r[0], c.err, status, text)
			}
		}
	}
	for _, c := range []struct {
		who, body string
		status    int
	}{{"ann", newBackend, 403}, {"", newBackend, 401}, {"root", `{"name":"eu-9","colour":"red"}`, 400}} {
		if status, text := send(c.who, "POST", "", c.body); status != c.status {
			t.Errorf("%s %s: %d %s", c.who, c.body, status, text)
		}
	}
	without := newFixture(t)
	for _, r := range [][3]string{{"POST", "", newBackend}, {"PATCH", "/eu-9", `{}`}, {"DELETE", "/eu-9", ""}} {
		if resp, text := without.send(t, r[0], "/api/v1/backends"+r[1], "root", r[2], "Content-Type", "application/json"); resp.StatusCode != 404 {
			t.Errorf("%s without: %d %s", r[0], resp.StatusCode, text)
		}
	}
}

// TestBucketsAtBackends makes buckets on some of the backends, and every refusal.
func TestBucketsAtBackends(t *testing.T) {
	f, e := newEngineFixture(t)
	f.user(t, "ann", func(u *auth.User) {
		u.Role = auth.RoleUser
	})
	send := func(who, method, path, body string) (int, string) {
		t.Helper()
		resp, text := f.send(t, method, "/api/v1/buckets"+path, who, body, "Content-Type", "application/json")
		return resp.StatusCode, text
	}
	if status, text := send("root", "POST", "", `{"name":"two","replica_set":["ru-1","eu-1"],"names":{"ru-1":"two-there"},"assume_equal":true}`); status != 201 || !strings.Contains(text, `"name":"two-there"`) || strings.Contains(text, "eu-2") {
		t.Errorf("%d %s", status, text)
	}
	if status, text := send("root", "PUT", "/also", `{"replica_set":["eu-2","eu-1"]}`); status != 201 || strings.Contains(text, "ru-1") {
		t.Errorf("%d %s", status, text)
	}
	for _, c := range []struct {
		who, body string
		status    int
		kind      string
	}{
		{"ann", `{"name":"new","replica_set":["eu-1","eu-2"]}`, 403, "forbidden"},
		{"root", `{"name":"new","replica_set":["eu-1","eu-2","x"]}`, 409, "unfitting"},
		{"root", `{"name":"new","replica_set":["eu-1"]}`, 409, "unfitting"}, // the rule needs two
		{"root", `{"name":"new","replica_set":[]}`, 400, "bad-replica-set"},
		{"root", `{"name":"new","replica_set":["eu-1","eu-1"]}`, 400, "bad-replica-set"},
		{"root", `{"name":"new","replica_set":["eu-1","eu-2"],"names":{"ru-1":"there"}}`, 400, "bad-replica-set"},
		{"root", `{"name":"new","replica_set":["eu-1","eu-2"],"names":{"eu-1":"a/b"}}`, 400, "bad-replica-set"},
		{"root", `{"name":"new","replica_set":["eu-1","eu-2"],"names":{"eu-1":"photos"}}`, 409, "unfitting"},
		{"root", `{"name":"new","names":{"eu-1":"there"}}`, 400, "bad-replica-set"},
		{"root", `{"name":"new","assume_equal":true}`, 400, "bad-replica-set"},
		{"root", `{"name":"N","replica_set":["eu-1","eu-2"]}`, 400, "invalid-bucket-name"},
		{"root", `{"name":"two","replica_set":["eu-1","eu-2"]}`, 409, "bucket-already-owned-by-you"},
	} {
		if status, text := send(c.who, "POST", "", c.body); status != c.status || problemOf(t, text).Type != "urn:s3mirror:problem:"+c.kind {
			t.Errorf("%s %s: %d %s", c.who, c.body, status, text)
		}
	}
	if status, text := send("root", "PATCH", "/two", `{"assume_equal":true}`); status != 200 {
		t.Errorf("%d %s", status, text)
	}
	if status, text := send("root", "PATCH", "/none", `{"assume_equal":true}`); status != 404 {
		t.Errorf("%d %s", status, text)
	}
	for _, c := range []struct {
		who, body string
		status    int
		kind      string
	}{
		{"ann", `{"replica_set":["eu-1","eu-2","ru-1"]}`, 403, "forbidden"},
		{"root", `{"replica_set":["eu-1"]}`, 409, "unfitting"},
		{"root", `{"replica_set":["eu-1","eu-2","x"]}`, 409, "unfitting"},
		{"root", `{"replica_set":[]}`, 400, "bad-replica-set"},
		{"root", `{"names":{"ru-1":"there"}}`, 400, "bad-replica-set"},
		{"root", `{"replica_set":["eu-1","eu-2"],"names":{"ru-1":"there"}}`, 400, "bad-replica-set"},
	} {
		if status, text := send(c.who, "PATCH", "/two", c.body); status != c.status || problemOf(t, text).Type != "urn:s3mirror:problem:"+c.kind {
			t.Errorf("%s %s: %d %s", c.who, c.body, status, text)
		}
	}
	if status, text := send("root", "PATCH", "/two", `{"replica_set":["eu-1","eu-2","ru-1"],"names":{"ru-1":"two-there"}}`); status != 200 || !strings.Contains(text, `"two-there"`) {
		t.Errorf("%d %s", status, text)
	}
	if all, err := e.set.Buckets(t.Context()); err != nil || len(all) != 3 {
		t.Errorf("%+v, %v", all, err)
	}
}
