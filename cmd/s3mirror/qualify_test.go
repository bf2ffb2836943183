package main

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/probe"
	"github.com/s3mirror/s3mirror/internal/s3"
)

func TestQualifyCommand(t *testing.T) {
	server := memory.New(memory.Options{AccessKeyID: "access", SecretAccessKey: "secret"})
	front := httptest.NewServer(server)
	defer front.Close()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"qualify", front.URL, "--access-key-id", "access", "--secret-access-key-file", file, "--brief"}

	code, stdout, stderr := command(t, environment(), append(args, "--output", "json")...)
	var rep probe.Report
	if err := json.Unmarshal([]byte(stdout), &rep); err != nil || code != exitDone || rep.Level != probe.LevelFenced || rep.PayloadMode != probe.ModeAuto {
		t.Errorf("exit %d, %v, level %s: %s", code, err, rep.Level, stderr)
	}
	if !strings.Contains(stderr, "read-after-write: yes\n") {
		t.Errorf("nothing is told meanwhile: %s", stderr)
	}
	if code, stdout, _ := command(t, environment(), args...); code != exitDone || !strings.Contains(stdout, "level F1, bodies framed as auto") || !strings.Contains(stdout, "cut-literal") {
		t.Errorf("exit %d: %s", code, stdout)
	}

	server.SetFaults(memory.Faults{TruncateRate: 1, Ops: []s3.OperationName{s3.PutObject}})
	if code, stdout, stderr := command(t, environment(), args...); code != exitFailed || !strings.Contains(stdout, "level refused") || !strings.Contains(stderr, "the endpoint is refused") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	server.SetFaults(memory.Faults{ErrorRate: 1, ErrorCode: s3.AccessDenied, Ops: []s3.OperationName{s3.DeleteBucket}})
	if code, stdout, stderr := command(t, environment(), args...); code != exitFailed || !strings.Contains(stdout, "level F1") || !strings.Contains(stderr, "could not be removed") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	server.SetFaults(memory.Faults{ErrorRate: 1, ErrorCode: s3.SignatureDoesNotMatch})
	if code, _, stderr := command(t, environment(), args...); code != exitFailed || !strings.Contains(stderr, "check access_key_id") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// TestQualifyUsage: everything that is wrong is said at once.
func TestQualifyUsage(t *testing.T) {
	for args, want := range map[string][]string{
		"":                 {"name one ENDPOINT"},
		"ftp://there":      {"ENDPOINT", "--access-key-id: is missing", "--secret-access-key: is missing"},
		"http://there/way": {"must end after the host"},
		"http://there --secret-access-key s --secret-access-key-file f": {"not both"},
		"http://there --secret-access-key-file /no/such/file":           {"no such file"},
		"http://there --ca-file /no/such/file":                          {"--ca-file"},
		"http://there --output xml":                                     {"--output"},
	} {
		code, _, stderr := command(t, environment(), append([]string{"qualify"}, strings.Fields(args)...)...)
		for _, w := range want {
			if code != exitUsage || !strings.Contains(stderr, w) {
				t.Errorf("%s: exit %d, want %q: %s", args, code, w, stderr)
			}
		}
	}
}
