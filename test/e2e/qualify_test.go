//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"flag"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

var qualifyWhole = flag.Bool("qualify.whole", false, "TestQualify: every probe, over versitygw and MinIO, which takes more than a minute each")

// qualified is the document of `s3mirror qualify --output json`, as far as it is a contract.
type qualified struct {
	Endpoint    string   `json:"endpoint"`
	Level       string   `json:"level"`
	PayloadMode string   `json:"payload_mode"`
	Reasons     []string `json:"reasons"`
	Probes      []struct {
		Name, Result, Detail string
	} `json:"probes"`
}

// qualify runs the command, with the secret in a file.
func qualify(t *testing.T, endpoint, access, secret string, more ...string) (code int, rep qualified, stderr string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"qualify", endpoint, "--access-key-id", access, "--secret-access-key-file", file, "--output", "json"}
	code, stdout, stderr := harness.RunBinary(t, harness.CleanEnv(t), append(args, more...)...)
	if stdout != "" {
		if err := json.Unmarshal([]byte(stdout), &rep); err != nil {
			t.Fatalf("%v in %s", err, stdout)
		}
	}
	return code, rep, stderr
}

// TestQualify: real servers are found fit, without a gateway, and nothing of the probes is left.
func TestQualify(t *testing.T) {
	t.Parallel()
	servers := map[string]func() *harness.Backend{
		"versitygw": func() *harness.Backend { return harness.StartBackend(t, "versitygw", true) },
	}
	more := []string{"--brief"}
	if *qualifyWhole {
		more = nil
		servers["minio"] = func() *harness.Backend { return harness.StartMinIO(t, "minio") }
	}
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			b := start()
			code, rep, stderr := qualify(t, "http://"+b.Addr, b.Keys.Access, b.Keys.Secret, more...)
			if code != 0 || rep.Endpoint != "http://"+b.Addr || !slices.Contains([]string{"F0", "F1", "F2"}, rep.Level) || rep.PayloadMode == "" || rep.Reasons == nil {
				t.Errorf("exit %d, %+v\n%s", code, rep, stderr)
			}
			for _, p := range rep.Probes {
				t.Logf("%-30s %-8s %s", p.Name, p.Result, p.Detail)
				if p.Result == "unknown" {
					t.Errorf("%s was not answered: %s", p.Name, p.Detail)
				}
			}
			if least := 38; len(rep.Probes) < least {
				t.Errorf("%d probes, want %d or more", len(rep.Probes), least)
			}
			requireNoBuckets(t, b)
		})
	}
}

// requireNoBuckets wants a server as empty as it was.
func requireNoBuckets(t *testing.T, b *harness.Backend) {
	t.Helper()
	a, err := b.Client.Do(t.Context(), "GET", "", "", "", nil)
	if err != nil || a.Status != 200 || strings.Contains(string(a.Body), "<Name>") {
		t.Errorf("buckets are left: %d, %v\n%s", a.Status, err, a.Body)
	}
}

// TestQualifyInterrupted: a run that is ended by SIGINT removes what it wrote.
func TestQualifyInterrupted(t *testing.T) {
	t.Parallel()
	b := harness.StartBackend(t, "b-1", true)
	bin, err := harness.Binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "qualify", "http://"+b.Addr, "--access-key-id", b.Keys.Access, "--secret-access-key", b.Keys.Secret)
	cmd.Env = harness.CleanEnv(t)
	p := harness.Start(t, "qualify", cmd)
	harness.Eventually(t, "a finding is told", func() error {
		if !strings.Contains(p.Output(), ": yes") {
			return errors.New("none yet")
		}
		return nil
	})
	p.Signal(syscall.SIGINT)
	code, err := p.Wait(20 * time.Second)
	if err != nil || code != 1 || !strings.Contains(p.Output(), "interrupted") {
		t.Errorf("exit %d, %v:\n%s", code, err, p.Output())
	}
	requireNoBuckets(t, b)
}

// TestQualifyRefuses: an endpoint that keeps what was cut is refused with the reason and exit
// 1; who cannot be asked, or asked for nonsense, is told what to do.
func TestQualifyRefuses(t *testing.T) {
	t.Parallel()
	crooked := httptest.NewServer(memory.New(memory.Options{
		AccessKeyID: "access", SecretAccessKey: "secret",
		Personality: memory.Personality{Wrongs: memory.Wrongs{KeepsCut: true}},
	}))
	defer crooked.Close()
	code, rep, stderr := qualify(t, crooked.URL, "access", "secret", "--brief")
	if code != 1 || rep.Level != "refused" || rep.PayloadMode != "" || len(rep.Reasons) == 0 || !strings.Contains(stderr, "refused") {
		t.Errorf("exit %d, %+v\n%s", code, rep, stderr)
	}

	for _, c := range []struct {
		endpoint, access, secret string
		code                     int
		want                     string
	}{
		{crooked.URL, "access", "wrong", 1, "credentials"},
		{"http://" + harness.Addr(t), "access", "secret", 1, "is it running"},
		{"ftp://somewhere", "access", "secret", 2, "is not a URL"},
		{crooked.URL, "", "secret", 2, "--access-key-id"},
		{crooked.URL, "access", "", 2, "--secret-access-key"},
	} {
		if code, _, stderr := qualify(t, c.endpoint, c.access, c.secret); code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%+v: exit %d: %s", c, code, stderr)
		}
	}
}
