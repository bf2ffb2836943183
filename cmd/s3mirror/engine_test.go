package main

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

func TestEngineTakesWhatTheConfigurationSays(t *testing.T) {
	cfg, err := loadConfig("testdata/config/everything.yaml", environment("EU1_KEY", "k", "EU1_SECRET", "s", "RPS", "1"))
	if err != nil {
		t.Fatal(err)
	}
	o := replicaOptions(parts{cfg: cfg, node: "node-1", backends: &backends{}})
	both := object.NewReplicas("eu-1", "ru-1")
	if o.Node != "node-1" || !o.Exclusive || o.Memory != 3<<29 || o.PerUpload != 2<<20 {
		t.Errorf("options %+v", o)
	}
	if d := o.Defaults; !d.Replicas.Equal(both) || d.Ack.Need != 1 || !d.Ack.Include.Equal(object.NewReplicas("eu-1")) || d.AssumeEqual {
		t.Errorf("defaults %+v", d)
	}
	if p := o.Buckets["photos"]; !p.Replicas.Equal(both) || p.Ack.Need != 2 || p.Names["ru-1"] != "photos-ru" || !p.AssumeEqual {
		t.Errorf("photos %+v", p)
	}
	if p := o.Buckets["a.b"]; !p.Replicas.Equal(object.NewReplicas("eu-1")) || p.Ack.Need != 1 {
		t.Errorf("a.b %+v", p)
	}
	if o.Payload["eu-1"] != replica.PayloadSigned || o.Payload["ru-1"] != replica.PayloadAuto {
		t.Errorf("payload %v", o.Payload)
	}
	want := commit.Times{
		Lease: 8 * time.Second, Margin: 3200 * time.Millisecond, Settle: 20 * time.Minute, Gap: 6 * time.Second, Retention: 2 * time.Hour,
		Keep: time.Minute, LockWait: 10 * time.Second, Grace: 2 * time.Second, HelpWait: 50 * time.Millisecond, UploadAge: 7 * 24 * time.Hour, Remember: 24 * time.Hour, Refused: time.Hour,
	}
	if o.Times != want {
		t.Errorf("times %+v, want %+v", o.Times, want)
	}
}

// s3Client signs requests as root of the environment that options gives.
type s3Client struct {
	t    *testing.T
	base string
}

func (c s3Client) do(method, path, body string) (int, string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Close = true
	sigv4.NewSigner("AK", "SK", "us-east-1").Sign(req, path, "", sigv4.Unsigned.String(), time.Now())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// The whole server over three endpoints: a write while one is off, a read, the
// catching up, and what the operator sees of it.
func TestServeTellsTheWholeStory(t *testing.T) {
	ends, err := startEndpoints(t.Context(), demoNames[:3])
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := ends.stop(); err != nil {
			t.Error(err)
		}
	}()
	cfg := demoConfig(demoFlags{s3Listen: "127.0.0.1:0", adminListen: "127.0.0.1:0"}, t.TempDir(), ends)
	r := start(t, cfg, newFakeEngine(), func(o *serveOptions) { o.build = openEngine })
	env := environment("S3MIRROR_ADDR", r.Admin, "S3MIRROR_USER", "root", "S3MIRROR_PASSWORD", "PW")
	c := s3Client{t, r.S3}
	step := func(method, path, body string, status int) string {
		t.Helper()
		code, text := c.do(method, path, body)
		if code != status {
			t.Fatalf("%s %s: %d %s, want %d\n%s", method, path, code, text, status, r.log)
		}
		return text
	}

	step("PUT", "/photos", "", 200)
	step("PUT", "/photos/a", "first", 200)
	if err := ends.Switch("eu-2", false); err != nil {
		t.Fatal(err)
	}
	step("PUT", "/photos/a", "second", 200)
	if got := step("GET", "/photos/a", "", 200); got != "second" {
		t.Errorf("read %q", got)
	}
	if code, stdout, _ := command(t, env, "status", "--wait-converged", "0s"); code != exitNotConverged {
		t.Errorf("converged without eu-2: exit %d\n%s", code, stdout)
	}
	if err := ends.Switch("eu-2", true); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := command(t, env, "status", "--wait-converged", "60s"); code != 0 {
		t.Fatalf("exit %d\n%s%s\n%s", code, stdout, stderr, r.log)
	}
	for _, name := range []string{"eu-1", "ru-1"} {
		if err := ends.Switch(name, false); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) { // until the breakers have noticed
		if code, text := c.do("GET", "/photos/a", ""); code == 200 {
			if text != "second" {
				t.Errorf("eu-2 alone gives %q", text)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("eu-2 alone gives nothing\n%s", r.log)
		}
	}
	for _, name := range []string{"eu-1", "ru-1"} {
		if err := ends.Switch(name, true); err != nil {
			t.Fatal(err)
		}
	}
	step("PUT", "/photos/a", "x", 200)
	if code, body := get(t, r.Admin+"/metrics"); code != 200 || !strings.Contains(body, "s3mirror_heals_total") || !strings.Contains(body, `s3mirror_backend_`) {
		t.Errorf("metrics %d", code)
	}
	foreign := slices.DeleteFunc(metricNames(t, r.Admin), func(n string) bool { return strings.HasPrefix(n, "s3mirror_") })
	if len(foreign) > 0 {
		t.Errorf("metrics that do not begin with s3mirror_: %v", foreign)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	r.stop()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

func metricNames(t *testing.T, base string) (names []string) {
	t.Helper()
	_, body := get(t, base+"/metrics")
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, "#") {
			name, _, _ := strings.Cut(line, " ")
			names = append(names, name)
		}
	}
	return names
}

func TestEngineThatCannotOpen(t *testing.T) {
	cfg := testConfig(t, endpoint(t))
	cfg.S3.PerUpload = 1 // validate would not let it through
	err := serve(t.Context(), cfg, serveOptions{
		env: options(newFakeEngine(), io.Discard).env, logger: options(newFakeEngine(), io.Discard).logger,
		say: func(string, string) {}, finish: time.Second, started: func(addresses) {},
		build: func(ctx context.Context, p parts) (*engine, error) { return openEngine(ctx, p) },
	})
	if err == nil || !strings.Contains(err.Error(), "replicas") {
		t.Errorf("got %v", err)
	}
}
