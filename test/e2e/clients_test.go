//go:build e2e

package e2e

import (
	"bytes"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// site is an endpoint as a client is told of it.
type site struct {
	scheme, addr string
	keys         wire.Keys
	ca           string // certificate file, for https
}

func (s site) url() string { return s.scheme + "://" + s.addr }

// env is what AWS tools take from the environment. One attempt only: a retry
// would hide what we came to see.
func (s site) env(t *testing.T) []string {
	env := append(harness.CleanEnv(t), "AWS_ACCESS_KEY_ID="+s.keys.Access, "AWS_SECRET_ACCESS_KEY="+s.keys.Secret,
		"AWS_DEFAULT_REGION="+s.keys.Region, "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "AWS_RETRY_MODE=standard",
		"PYTHONDONTWRITEBYTECODE=1")
	if s.ca != "" {
		env = append(env, "AWS_CA_BUNDLE="+s.ca)
	}
	return env
}

// fileKeys are keys that a server over a file system can hold too.
var fileKeys = []string{
	"plain", "a b", "a+b", "a%2Fb", "é", "!*'()", "dir/object", "semi;colon", "a&b=c?d#e", "emoji 😀", "%zz", "~tilde", "$,:@=",
}

// run runs a client program and fails the test unless it exits 0.
func run(t *testing.T, env []string, stdin string, args ...string) string {
	t.Helper()
	code, out := tryRun(t, env, stdin, args...)
	if code != 0 {
		t.Fatalf("%s: exit %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

func tryRun(t *testing.T, env []string, stdin string, args ...string) (int, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env, cmd.Stdin = env, strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		return code, out.String() + errs.String()
	}
	return 0, out.String()
}

// file makes a file with bytes of its own.
func file(t *testing.T, name string, size int) (path string, body []byte) {
	t.Helper()
	path, body = filepath.Join(t.TempDir(), name), harness.Body(name, size)
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, body
}

// sameFile fails the test unless the file holds these bytes.
func sameFile(t *testing.T, path string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes that are not the %d written, %v", filepath.Base(path), len(got), len(want), err)
	}
}

func boto3(t *testing.T, s site, bucket string) int {
	return boto3With(t, s, bucket, fileKeys)
}

var passed = regexp.MustCompile(`(\d+) checks passed`)

// parseScript reads how much a suite of test/clients checked, and what it left.
func parseScript(t *testing.T, least int64, out string) sums {
	t.Helper()
	m := passed.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("it says nothing of its checks:\n%s", out)
	}
	n, _ := strconv.ParseInt(m[1], 10, 64) // digits, by the pattern
	floor(t, "checks", n, least)
	_, text, found := strings.Cut(out, "\nLEFT ")
	if !found {
		return nil
	}
	left := sums{}
	if err := json.Unmarshal([]byte(text), &left); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return left
}

func boto3With(t *testing.T, s site, bucket string, keys []string) int {
	python := harness.Tool(t, "py-aws/bin/python", "python3 with venv; then scripts/tools.sh")
	text, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	env := append(s.env(t), "ENDPOINT="+s.url(), "BUCKET="+bucket, "KEYS="+string(text), "CA="+s.ca)
	out := run(t, env, "", python, filepath.Join(harness.Root(), "test", "clients", "boto3_suite.py"))
	parseScript(t, 500, out)
	const others = 1 + 1 + 3 + 22 // reads, conditional, checksums, lists
	return (len(keys)+1)/2 + others
}

func awsCLI(t *testing.T, s site, bucket string) int {
	aws := harness.Tool(t, "py-aws/bin/aws", "python3 with venv; then scripts/tools.sh")
	env := s.env(t)
	call := func(args ...string) string {
		t.Helper()
		return run(t, env, "", append([]string{aws, "--endpoint-url", s.url()}, args...)...)
	}
	at := "s3://" + bucket + "/"
	call("s3", "mb", "s3://"+bucket)
	small, smallBody := file(t, "small", 1000)
	large, largeBody := file(t, "large", 7<<20) // just below the multipart threshold
	call("s3", "cp", small, at+"dir/a b+c é.txt")
	call("s3", "cp", large, at+"large")
	back := filepath.Join(t.TempDir(), "back")
	call("s3", "cp", at+"dir/a b+c é.txt", back)
	sameFile(t, back, smallBody)
	call("s3", "cp", at+"large", back)
	sameFile(t, back, largeBody)
	if s.scheme == "https" {
		return 2 // the rest frames no body in another way, and each call takes a second
	}
	run(t, env, string(smallBody), aws, "--endpoint-url", s.url(), "s3", "cp", "-", at+"stdin")
	if out := call("s3", "cp", at+"stdin", "-"); out != string(smallBody) {
		t.Errorf("s3 cp to stdout: %d bytes", len(out))
	}
	call("s3api", "put-object", "--bucket", bucket, "--key", "a%2Fb", "--body", small, "--metadata", "op=cli")
	if out := call("s3api", "head-object", "--bucket", bucket, "--key", "a%2Fb"); !strings.Contains(out, `"op": "cli"`) ||
		!strings.Contains(out, fmt.Sprintf("%x", md5.Sum(smallBody))) {
		t.Errorf("head-object:\n%s", out)
	}
	if out := call("s3", "ls", "--recursive", "s3://"+bucket); strings.Count(out, "\n") != 4 || !strings.Contains(out, "7340032 large") {
		t.Errorf("s3 ls:\n%s", out)
	}
	awsSync(t, call, at+"sync")
	call("s3", "cp", small, at+"batch/1")
	if out := call("s3api", "delete-objects", "--bucket", bucket, "--delete", `{"Objects":[{"Key":"batch/1"},{"Key":"batch/none"}]}`); strings.Count(out, `"Key"`) != 2 || strings.Contains(out, "Errors") {
		t.Errorf("delete-objects:\n%s", out)
	}
	call("s3", "mv", at+"large", at+"moved/large é")
	call("s3", "cp", at+"moved/large é", back)
	sameFile(t, back, largeBody)
	call("s3", "mv", at+"moved/large é", at+"large")
	call("s3", "rm", at+"large")
	if code, out := tryRun(t, env, "", aws, "--endpoint-url", s.url(), "s3", "cp", at+"large", back); code == 0 {
		t.Errorf("a removed object can be read:\n%s", out)
	}
	return 3
}

// awsSync uploads a folder; doing so again finds nothing to do, because sizes
// and times are listed as they are.
func awsSync(t *testing.T, call func(...string) string, to string) {
	t.Helper()
	folder, old := t.TempDir(), time.Now().Add(-time.Hour)
	for i := range 5 {
		name := filepath.Join(folder, fmt.Sprintf("f%d", i))
		if err := os.WriteFile(name, harness.Body("sync", 100+i), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	call("s3", "sync", folder, to)
	if out := call("s3", "sync", folder, to); strings.Contains(out, "upload:") {
		t.Errorf("a second sync copies again:\n%s", out)
	}
	if err := os.Remove(filepath.Join(folder, "f1")); err != nil {
		t.Fatal(err)
	}
	if out := call("s3", "sync", "--delete", folder, to); strings.Count(out, "delete:") != 1 || !strings.Contains(out, "f1") {
		t.Errorf("a sync that deletes:\n%s", out)
	}
	if out := call("s3", "ls", to+"/"); strings.Count(out, "\n") != 4 {
		t.Errorf("what is left:\n%s", out)
	}
	call("s3", "rm", "--recursive", to)
}

func curl(t *testing.T, s site, bucket string) int {
	return curlWith(t, s, bucket, fileKeys)
}

// curlWith signs with curl itself. Its version 4 signer sends no payload
// hash of its own in older versions, so the header is given.
func curlWith(t *testing.T, s site, bucket string, keys []string) int {
	bin := harness.Tool(t, "curl", "the Debian package curl")
	args := []string{bin, "--silent", "--show-error", "--fail", "--path-as-is", "--aws-sigv4", "aws:amz:us-east-1:s3",
		"--user", s.keys.Access + ":" + s.keys.Secret, "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"}
	if s.ca != "" {
		args = append(args, "--cacert", s.ca)
	}
	call := func(more ...string) string {
		t.Helper()
		return run(t, harness.CleanEnv(t), "", append(slices.Clone(args), more...)...)
	}
	url := func(key string) string { return s.url() + wire.Path(bucket, key) }
	call("-X", "PUT", s.url()+"/"+bucket)
	for i, key := range keys {
		path, body := file(t, "body", 1+i%12*(i%12)*20000)
		call("-T", path, "-H", "Content-Type: text/x-curl", "-H", "x-amz-meta-op: curl", url(key))
		if out := call(url(key)); out != string(body) {
			t.Errorf("%q: read back %d bytes that are not the %d written", key, len(out), len(body))
		}
		head := strings.ToLower(call("--head", url(key)))
		for _, want := range []string{"content-type: text/x-curl", "x-amz-meta-op: curl", fmt.Sprintf("etag: \"%x\"", md5.Sum(body))} {
			if !strings.Contains(head, want) {
				t.Errorf("%q: HEAD lacks %s:\n%s", key, want, head)
			}
		}
	}
	if out := call(s.url() + "/" + bucket + "?list-type=2"); strings.Count(out, "<Key>") != len(keys) {
		t.Errorf("list shows other than %d keys:\n%s", len(keys), out)
	}
	call("-X", "DELETE", url(keys[0]))
	if code, out := tryRun(t, harness.CleanEnv(t), "", append(slices.Clone(args), url(keys[0]))...); code != 22 {
		t.Errorf("a deleted key: curl exits %d, want 22 for the 404\n%s", code, out)
	}
	return len(keys) - 1
}

// rclone uses single PUTs below its cutoff of 200 MiB. Its providers differ in
// how they list and check. For AWS over http it insists on a payload hash that
// it then cannot compute, so it is told not to.
func rclone(provider string) func(*testing.T, site, string) int {
	return func(t *testing.T, s site, bucket string) int {
		bin, env := rcloneRemote(t, s, provider)
		call := func(args ...string) string {
			t.Helper()
			return run(t, env, "", append([]string{bin}, args...)...)
		}
		at := "r:" + bucket + "/"
		large, largeBody := file(t, "large", 11<<20)
		call("mkdir", "r:"+bucket)
		call("copyto", large, at+"dir/large a+b é")
		if out := call("cat", at+"dir/large a+b é"); out != string(largeBody) {
			t.Errorf("cat: %d bytes that are not the %d written", len(out), len(largeBody))
		}
		folder := t.TempDir()
		for i := range 8 {
			name := filepath.Join(folder, fmt.Sprintf("sub%d", i%3), fmt.Sprintf("f %d", i))
			if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, harness.Body(name, i*i*10000), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		call("copy", folder, at+"tree")
		call("check", folder, at+"tree")
		call("check", "--download", folder, at+"tree")
		if out := call("lsf", "-R", "--files-only", "r:"+bucket); strings.Count(out, "\n") != 9 {
			t.Errorf("lsf shows other than 9 files:\n%s", out)
		}
		if out := call("ls", at+"dir"); !strings.Contains(out, "11534336 large a+b é") {
			t.Errorf("ls:\n%s", out)
		}
		call("moveto", at+"dir/large a+b é", at+"moved/large")
		if out := call("cat", at+"moved/large"); out != string(largeBody) {
			t.Errorf("moved: %d bytes that are not the %d written", len(out), len(largeBody))
		}
		call("copyto", at+"moved/large", at+"dir/large a+b é")
		call("deletefile", at+"moved/large")
		call("deletefile", at+"dir/large a+b é")
		call("delete", at+"tree/sub0")
		if out := call("lsf", "-R", "--files-only", "r:"+bucket); strings.Count(out, "\n") != 5 {
			t.Errorf("lsf after the deletes shows other than 5 files:\n%s", out)
		}
		return 5
	}
}

// rcloneRemote is the environment of a remote r: one attempt at everything.
func rcloneRemote(t *testing.T, s site, provider string) (bin string, env []string) {
	t.Helper()
	bin = harness.Tool(t, "py-rclone/bin/rclone", "python3 with venv; then scripts/tools.sh")
	env = append(harness.CleanEnv(t), "RCLONE_CONFIG_R_TYPE=s3", "RCLONE_CONFIG_R_PROVIDER="+provider,
		"RCLONE_CONFIG_R_ACCESS_KEY_ID="+s.keys.Access, "RCLONE_CONFIG_R_SECRET_ACCESS_KEY="+s.keys.Secret,
		"RCLONE_CONFIG_R_ENDPOINT="+s.url(), "RCLONE_CONFIG_R_REGION="+s.keys.Region, "RCLONE_CONFIG_R_FORCE_PATH_STYLE=true",
		"RCLONE_RETRIES=1", "RCLONE_LOW_LEVEL_RETRIES=1", "RCLONE_CONFIG="+filepath.Join(t.TempDir(), "none"))
	if s.ca != "" {
		env = append(env, "RCLONE_CA_CERT="+s.ca)
	}
	if s.scheme == "http" && provider == "AWS" {
		env = append(env, "RCLONE_CONFIG_R_USE_UNSIGNED_PAYLOAD=true")
	}
	return bin, env
}

// rcloneChunks uploads whatever is larger than a chunk in parts. rclone
// computes the ETag that the parts must have, and compares.
func rcloneChunks(t *testing.T, s site, bucket string) sums {
	bin, env := rcloneRemote(t, s, "Minio")
	env = append(env, "RCLONE_S3_UPLOAD_CUTOFF=5Mi", "RCLONE_S3_CHUNK_SIZE=5Mi", "RCLONE_S3_COPY_CUTOFF=5Mi", "RCLONE_S3_UPLOAD_CONCURRENCY=4")
	call := func(args ...string) string {
		t.Helper()
		return run(t, env, "", append([]string{bin}, args...)...)
	}
	at := "r:" + bucket + "/"
	folder, left := tree(t, "tree/")
	call("sync", folder, at+"tree")
	call("check", "--download", folder, at+"tree")
	if out := call("sync", "--dry-run", "--log-format=", "--use-json-log=false", "--verbose", folder, at+"tree"); strings.Contains(out, "Skipped") {
		t.Errorf("a second sync copies again:\n%s", out)
	}
	run(t, env, string(harness.Body("piped", 12<<20)), bin, "rcat", "--streaming-upload-cutoff=0", at+"piped")
	left.add("piped", harness.Body("piped", 12<<20))
	call("copyto", at+"tree/sub/parts", at+"copied é") // by parts of the server's own
	left["copied é"] = left["tree/sub/parts"]
	call("move", at+"tree/sub", at+"moved")
	for key, sum := range left {
		if name, below := strings.CutPrefix(key, "tree/sub/"); below {
			left["moved/"+name] = sum
			delete(left, key)
		}
	}
	back := t.TempDir()
	call("copy", "--multi-thread-cutoff=5Mi", "--multi-thread-streams=4", at, back)
	sameFile(t, filepath.Join(back, "moved", "parts"), harness.Body("sub/parts", 17<<20+3))
	return left
}
