package admin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
)

const replicationPath = "/api/v1/replication"

// answer sends a request as root and reads the document of a 200.
func answer[T any](t *testing.T, f *fixture, method, path, body string) (document T) {
	t.Helper()
	var header []string
	if body != "" {
		header = []string{"Content-Type", "application/json"}
	}
	resp, text := f.send(t, method, path, "root", body, header...)
	if resp.StatusCode != 200 || json.Unmarshal([]byte(text), &document) != nil {
		t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	return document
}

// TestModes sets the mode of all and of a bucket, and every refusal.
func TestModes(t *testing.T) {
	f, e := newEngineFixture(t)
	f.status = admin.Status{Lagging: admin.Backlog{Keys: 7}}
	f.audit.Take()
	m := answer[api.Modes](t, f, "PUT", replicationPath+"/mode", `{"mode":"disabled","primary":"eu-2"}`)
	if m.Mode != api.ModeDisabled || m.Primary != "eu-2" || len(m.Buckets) != 0 {
		t.Errorf("%+v", m)
	}
	if a := f.audit.Take(); len(a) != 1 || a[0].Act != "setMode" || a[0].Actor != "root" || a[0].Target != "all buckets" || a[0].Detail != "disabled, primary eu-2" || a[0].Request == "" {
		t.Errorf("audited %+v", a)
	}
	f.put(t, photos+"/only", "x")
	if page := list(t, f, "root", ""); page.Objects[0].Replicas["eu-2"] != api.ReplicaCurrent || page.Objects[0].Replicas["eu-1"] != api.ReplicaLagging {
		t.Errorf("%+v", page.Objects)
	}
	m = answer[api.Modes](t, f, "PUT", replicationPath+"/mode", `{"mode":"active","bucket":"photos"}`)
	if m.Mode != api.ModeDisabled || len(m.Buckets) != 1 || m.Buckets[0] != (api.BucketMode{Bucket: "photos", Mode: api.ModeActive}) {
		t.Errorf("%+v", m)
	}
	if a := f.audit.Take(); a[len(a)-1].Target != "photos" || a[len(a)-1].Detail != "active" {
		t.Errorf("audited %+v", a)
	}
	r := answer[api.Replication](t, f, "GET", replicationPath, "")
	if r.Mode != api.ModeDisabled || r.Primary != "eu-2" || len(r.Buckets) != 1 || len(r.Paused) != 0 || len(r.Paces) != 3 || r.Lagging.Keys != 7 {
		t.Errorf("%+v", r)
	}
	m = answer[api.Modes](t, f, "PUT", replicationPath+"/mode", `{"mode":"active"}`)
	if again := answer[api.Modes](t, f, "GET", replicationPath+"/mode", ""); m.Mode != api.ModeActive || m.Primary != "" || fmt.Sprint(again) != fmt.Sprint(m) {
		t.Errorf("%+v, then %+v", m, again)
	}

	f.user(t, "ann", func(u *auth.User) { u.Role = auth.RoleUser })
	for _, c := range []struct {
		who, body string
		status    int
		kind      string
		says      string
	}{
		{"root", `{"mode":"standby"}`, 400, "bad-mode", "standby"},
		{"root", `{"mode":"disabled"}`, 400, "bad-mode", "needs a primary"},
		{"root", `{"mode":"active","primary":"eu-1"}`, 400, "bad-mode", "no primary"},
		{"root", `{"mode":"disabled","primary":"x"}`, 404, "unknown-backend", ""},
		{"root", `{"mode":"disabled","primary":"eu-1","bucket":"none"}`, 404, "no-such-bucket", ""},
		{"root", `{"mode":"active","colour":"red"}`, 400, "bad-body", "colour"},
		{"root", `mode`, 400, "bad-body", ""},
		{"ann", `{"mode":"active"}`, 403, "forbidden", ""},
		{"", `{"mode":"active"}`, 401, "login-refused", ""},
	} {
		resp, body := f.send(t, "PUT", replicationPath+"/mode", c.who, c.body, "Content-Type", "application/json")
		if resp.StatusCode != c.status || problemOf(t, body).Type != "urn:s3mirror:problem:"+c.kind || !strings.Contains(body, c.says) {
			t.Errorf("%s %s: %d %s", c.who, c.body, resp.StatusCode, body)
		}
	}
	if modes, err := e.set.Modes(t.Context()); err != nil || !modes.All.Active() {
		t.Errorf("a refusal changed %+v, %v", modes, err)
	}
}

// TestPauses pauses a backend, with an end and without, and resumes it.
func TestPauses(t *testing.T) {
	f, e := newEngineFixture(t)
	f.backends = []admin.BackendStatus{{Name: "eu-1", State: admin.Paused}}
	f.audit.Take()
	if b := answer[api.BackendDetail](t, f, "POST", "/api/v1/backends/eu-1/pause", ""); b.State != admin.Paused || b.Buckets == nil {
		t.Errorf("%+v", b)
	}
	if a := f.audit.Take(); len(a) != 1 || a[0].Act != "pauseBackend" || a[0].Target != "eu-1" || a[0].Detail != "" {
		t.Errorf("audited %+v", a)
	}
	f.put(t, photos+"/missed", "x")
	if page := list(t, f, "root", ""); page.Objects[0].Replicas["eu-1"] != api.ReplicaLagging {
		t.Errorf("%+v", page.Objects)
	}
	r := answer[api.Replication](t, f, "GET", replicationPath, "")
	if len(r.Paused) != 1 || r.Paused[0].Backend != "eu-1" || r.Paused[0].Until != nil || r.Paused[0].Since.IsZero() {
		t.Errorf("%+v", r.Paused)
	}
	// The rule asks for two of three.
	resp, body := f.do(t, "POST", "/api/v1/backends/eu-2/pause", "root")
	if resp.StatusCode != 409 || problemOf(t, body).Type != "urn:s3mirror:problem:unfitting" || !strings.Contains(body, "could not be written to without eu-1 and eu-2") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	answer[api.BackendDetail](t, f, "POST", "/api/v1/backends/eu-1/pause", `{"until":"`+until.Format(time.RFC3339)+`"}`)
	if r = answer[api.Replication](t, f, "GET", replicationPath, ""); len(r.Paused) != 1 || r.Paused[0].Until == nil || !r.Paused[0].Until.Equal(until) {
		t.Errorf("%+v", r.Paused)
	}
	if resp, body := f.send(t, "POST", "/api/v1/backends/eu-1/pause", "root", `{"until":"2001-01-01T00:00:00Z"}`, "Content-Type", "application/json"); resp.StatusCode != 409 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	answer[api.BackendDetail](t, f, "POST", "/api/v1/backends/eu-1/resume", "")
	if r = answer[api.Replication](t, f, "GET", replicationPath, ""); len(r.Paused) != 0 {
		t.Errorf("%+v", r.Paused)
	}
	for _, act := range []string{"pause", "resume"} {
		if resp, body := f.do(t, "POST", "/api/v1/backends/x/"+act, "root"); resp.StatusCode != 404 || problemOf(t, body).Type != "urn:s3mirror:problem:unknown-backend" {
			t.Errorf("%s: %d %s", act, resp.StatusCode, body)
		}
		if resp, _ := f.do(t, "GET", "/api/v1/backends/eu-1/"+act, "root"); resp.StatusCode != 405 {
			t.Errorf("GET %s: %d", act, resp.StatusCode)
		}
	}
	if len(e.set.Pauses()) != 0 {
		t.Errorf("%+v", e.set.Pauses())
	}
}

// TestPaces limits heals, of one backend and of all, and takes it back.
func TestPaces(t *testing.T) {
	f, _ := newEngineFixture(t)
	f.audit.Take()
	want := func(p api.Paces, of ...api.Pace) {
		t.Helper()
		if fmt.Sprint(p.Backends) != fmt.Sprint(of) {
			t.Errorf("%+v, want %+v", p.Backends, of)
		}
	}
	all := func(bytes int64, requests float64) (out []api.Pace) {
		for _, name := range []string{"eu-1", "eu-2", "ru-1"} {
			out = append(out, api.Pace{Backend: name, BytesPerSecond: bytes, RequestsPerSecond: requests})
		}
		return out
	}
	path := replicationPath + "/pace"
	want(answer[api.Paces](t, f, "GET", path, ""), all(0, 0)...)
	want(answer[api.Paces](t, f, "PUT", path, `{"bytes_per_second":1048576,"requests_per_second":2.5}`), all(1<<20, 2.5)...)
	if a := f.audit.Take(); len(a) != 1 || a[0].Act != "setPace" || a[0].Target != "all backends" || a[0].Detail != "1048576 bytes and 2.5 requests a second" {
		t.Errorf("audited %+v", a)
	}
	one := all(1<<20, 2.5)
	one[1] = api.Pace{Backend: "eu-2"}
	want(answer[api.Paces](t, f, "PUT", path, `{"backend":"eu-2","bytes_per_second":0,"requests_per_second":0}`), one...)
	one[0] = api.Pace{Backend: "eu-1"}
	want(answer[api.Paces](t, f, "DELETE", path+"?backend=eu-1", ""), one...)
	want(answer[api.Paces](t, f, "DELETE", path, ""), all(0, 0)...)
	for body, kind := range map[string]string{
		`{"bytes_per_second":-1,"requests_per_second":0}`:              "bad-pace",
		`{"bytes_per_second":0,"requests_per_second":-0.5}`:            "bad-pace",
		`{"backend":"x","bytes_per_second":0,"requests_per_second":0}`: "unknown-backend",
	} {
		if resp, text := f.send(t, "PUT", path, "root", body, "Content-Type", "application/json"); problemOf(t, text).Type != "urn:s3mirror:problem:"+kind {
			t.Errorf("%s: %d %s", body, resp.StatusCode, text)
		}
	}
	if resp, text := f.do(t, "DELETE", path+"?backend=x", "root"); resp.StatusCode != 404 {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
}

// TestReplicationThatCanNotBeTold: an error of the status is none of the client's.
func TestReplicationThatCanNotBeTold(t *testing.T) {
	f, _ := newEngineFixture(t)
	f.err = errors.New("inner detail")
	if resp, body := f.do(t, "GET", replicationPath, "root"); resp.StatusCode != 500 || strings.Contains(body, "inner") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	f.err = nil
}
