package harness

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// CI tells whether this is a continuous-integration run, in which nothing may
// be skipped.
func CI() bool { return os.Getenv("CI") == "true" }

// Root is the top folder of the repository: the nearest above the working folder, which go test
// sets to the package's, that has a go.mod. What was compiled with -trimpath knows of no other.
var Root = sync.OnceValue(func() string {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		above := filepath.Dir(dir)
		if above == dir {
			err = fmt.Errorf("no go.mod above it")
		}
		dir = above
	}
	panic(fmt.Sprintf("the repository is not found from the working folder: %v", err))
})

var skipped struct {
	sync.Mutex
	lines []string // guarded by the mutex
}

// Lacking skips the test and says loudly why and what it wants; in CI it
// fails instead.
func Lacking(t testing.TB, what, wants string) {
	t.Helper()
	line := fmt.Sprintf("%s: %s is not here; it wants %s", t.Name(), what, wants)
	if CI() {
		t.Fatalf("CI=true allows no skips: %s", line)
	}
	skipped.Lock()
	skipped.lines = append(skipped.lines, line)
	skipped.Unlock()
	t.Skip(line)
}

// Tool finds a program: below .tools/ where scripts/tools.sh put it, or a
// system program by its bare name.
func Tool(t testing.TB, path, wants string) string {
	t.Helper()
	if !strings.Contains(path, "/") {
		found, err := exec.LookPath(path)
		if err != nil {
			Lacking(t, path, wants)
		}
		return found
	}
	full := filepath.Join(Root(), ".tools", path)
	if _, err := os.Stat(full); err != nil {
		Lacking(t, ".tools/"+path, wants)
	}
	return full
}

// Main runs the tests of a package and closes with the list of what was
// skipped, so that nobody mistakes a thin run for a whole one. It returns the
// exit code.
func Main(m *testing.M) int {
	code := m.Run()
	built.Lock()
	defer built.Unlock()
	for _, dir := range built.dirs {
		os.RemoveAll(dir)
	}
	skipped.Lock()
	defer skipped.Unlock()
	for _, line := range skipped.lines {
		fmt.Fprintln(os.Stderr, "SKIPPED", line)
	}
	return code
}

// built are the folders of the programs that this run made.
var built struct {
	sync.Mutex
	dirs []string // guarded by the mutex
}

// Binary is the path of the s3mirror program under test. It is built once per
// test run; S3MIRROR_BIN names one that is there already, and
// S3MIRROR_E2E_RACE=1 builds with the race detector.
var Binary = sync.OnceValues(func() (string, error) { return build("S3MIRROR_BIN", "s3mirror") })

// FailpointsBinary is Binary with the build tag failpoints;
// S3MIRROR_FAILPOINTS_BIN names one that is there already.
var FailpointsBinary = sync.OnceValues(func() (string, error) {
	return build("S3MIRROR_FAILPOINTS_BIN", "s3mirror-failpoints", "-tags", "failpoints")
})

// build returns the program that a variable names, or makes one.
func build(variable, name string, flags ...string) (string, error) {
	if bin := os.Getenv(variable); bin != "" {
		return filepath.Abs(bin)
	}
	dir, err := os.MkdirTemp("", "s3mirror-e2e-")
	if err != nil {
		return "", err
	}
	built.Lock()
	built.dirs = append(built.dirs, dir)
	built.Unlock()
	bin := filepath.Join(dir, name)
	args := append([]string{"build", "-o", bin}, flags...)
	env := os.Environ()
	if os.Getenv("S3MIRROR_E2E_RACE") == "1" {
		args, env = append(args, "-race"), append(env, "CGO_ENABLED=1") // which the race detector wants
	}
	cmd := exec.Command("go", append(args, "./cmd/s3mirror")...)
	cmd.Dir, cmd.Env = Root(), env
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build s3mirror: %w\n%s", err, out)
	}
	return bin, nil
}

// The ports of tests lie below the ones that operating systems hand out for outgoing
// connections, so that a server that is down does not lose its port to one of those.
// Packages are tested beside each other, and between the moment in which a port is found
// free and the one in which a server takes it another process must not give it to one of
// its own: each process has blocks to itself, as long as it listens on their first ports.
const (
	firstPort = 20000
	lastPort  = 30000
	portBlock = 250
)

var ports struct {
	mu         sync.Mutex // guards what follows
	next, last int        // of the block that is used up now
	claims     []net.Listener
}

// Addr returns a free loopback address, never the same twice in one process.
func Addr(t testing.TB) string {
	t.Helper()
	ports.mu.Lock()
	defer ports.mu.Unlock()
	for ports.next < ports.last || claimPorts() {
		addr := fmt.Sprintf("127.0.0.1:%d", ports.next)
		ports.next++
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		l.Close()
		return addr
	}
	t.Fatal("no free port on 127.0.0.1")
	return ""
}

// claimPorts takes the next block that no process has; false: there is none.
func claimPorts() bool {
	const blocks = (lastPort - firstPort) / portBlock
	for i := range blocks {
		first := firstPort + (os.Getpid()+i)%blocks*portBlock
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first))
		if err != nil {
			continue
		}
		ports.claims = append(ports.claims, l) // open until the process ends
		ports.next, ports.last = first+1, first+portBlock
		return true
	}
	return false
}
