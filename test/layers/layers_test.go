package layers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/s3mirror/s3mirror"

// anything marks a package that may import every other one of ours.
const anything = "*"

// table says, for every package below internal, which others of ours it may
// import. Whatever is not named here is forbidden. The layers, from the words
// that all speak to the faces that the world sees:
var table = map[string][]string{
	// words
	"object": {},
	"sigv4":  {},
	"web":    {},
	"s3":     {"object"},
	"crew":   {}, // goroutines that are kept
	// contracts
	"backend": {"object", "s3", "sigv4"},
	"probe":   {"object", "s3", "sigv4", "backend"},
	"auth":    {"object", "s3", "sigv4"},
	"oplog":   {"object"},
	// adapters, which never see each other
	"pebble":    {"crew", "object", "oplog", "auth"},
	"cassandra": {"object", "oplog", "auth"},
	"document":  {"oplog", "auth"},
	"archive":   {"object", "oplog"}, // a log as a file
	"memory":    {"object", "s3", "sigv4", "oplog", "auth", "backend"},
	// engine
	"commit":  {"object", "oplog"},
	"replica": {"crew", "object", "s3", "backend", "oplog", "commit"},
	"heal":    {"object", "oplog", "replica"},
	"rebuild": {"object", "backend", "oplog", "commit", "replica"},
	// faces
	"gateway": {"object", "s3", "auth", "replica"},
	"admin":   {"object", "s3", "auth", "oplog", "replica", "heal", "admin/api"},
	// generated from openapi.yaml
	"admin/api": {},
	// for tests only: nothing that ships may import these
	"backend/backendtest": {anything},
	"oplog/oplogtest":     {anything},
	"auth/authtest":       {anything},
	"sim":                 {anything},
	"explore":             {"object", "oplog", "commit"},
}

// forTests are the packages that exist for tests: they may import testing,
// and nothing that ships may import them.
var forTests = []string{"backend/backendtest", "oplog/oplogtest", "auth/authtest", "sim", "explore"}

// pure are packages without clock, goroutine, socket or randomness, and the
// standard packages that would bring those.
var pure = map[string][]string{
	"commit": {"net", "os", "syscall", "math/rand", "crypto/rand", "sync", "context", "log", "runtime", "testing"},
}

// pkg is what `go list -json` says of one package, production code only.
type pkg struct {
	ImportPath string
	Standard   bool
	Imports    []string
}

// name is the path below internal; ok is false for packages that are not there.
func name(importPath string) (rest string, ok bool) {
	return strings.CutPrefix(importPath, module+"/internal/")
}

// breaches lists what the packages do that the table forbids.
func breaches(pkgs []pkg) []string {
	var found []string
	for _, p := range pkgs {
		if p.ImportPath != module && !strings.HasPrefix(p.ImportPath, module+"/") {
			continue
		}
		found = append(found, breachesOf(p)...)
	}
	return found
}

func breachesOf(p pkg) []string {
	var found []string
	breach := func(format string, args ...any) {
		found = append(found, strings.TrimPrefix(p.ImportPath, module+"/")+" "+fmt.Sprintf(format, args...))
	}
	self, internal := name(p.ImportPath)
	may, placed := table[self]
	switch {
	case !internal && !strings.HasPrefix(p.ImportPath, module+"/cmd/"):
		breach("ships, but lies outside internal and cmd")
	case !internal:
		may = []string{anything}
	case !placed:
		breach("has no place in the table of test/layers")
	}
	tests := slices.Contains(forTests, self)
	for _, imported := range p.Imports {
		other, ours := name(imported)
		switch {
		case imported == "testing" || strings.HasPrefix(imported, "testing/"):
			if !tests {
				breach("imports %s, and is no test", imported)
			}
		case ours && slices.Contains(forTests, other) && !tests:
			breach("imports internal/%s, which is for tests", other)
		case ours && placed && !slices.Contains(may, other) && !slices.Contains(may, anything):
			breach("may not import internal/%s", other)
		case strings.HasPrefix(imported, module+"/") && !ours:
			breach("imports %s", imported)
		}
		for _, banned := range pure[self] {
			if imported == banned || strings.HasPrefix(imported, banned+"/") {
				breach("imports %s, and must stay pure", imported)
			}
		}
	}
	return found
}

func TestLayers(t *testing.T) {
	pkgs := list(t)
	ours := 0
	for _, p := range pkgs {
		if strings.HasPrefix(p.ImportPath, module+"/") {
			ours++
		}
	}
	t.Logf("%d packages of ours, %d in all", ours, len(pkgs))
	if ours < 5 {
		t.Errorf("go list shows only %d packages of ours: the test looks at nothing", ours)
	}
	for _, b := range breaches(pkgs) {
		t.Error(b)
	}
}

// list asks the go command, offline, for all that ships and all it stands on.
func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,Imports", "./internal/...", "./cmd/...")
	cmd.Dir = path.Join("..", "..")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var pkgs []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// TestBreachesAreNoticed makes one of each kind.
func TestBreachesAreNoticed(t *testing.T) {
	in := func(of string, imports ...string) pkg {
		for i, s := range imports {
			imports[i] = strings.Replace(s, "~", module+"/internal/", 1)
		}
		return pkg{ImportPath: module + "/" + of, Imports: imports}
	}
	for _, tc := range []struct {
		p    pkg
		want int
	}{
		{in("internal/object", "fmt", "time"), 0},
		{in("internal/object", "~s3"), 1},
		{in("internal/heal", "~object", "~oplog", "~replica", "golang.org/x/time/rate"), 0},
		{in("internal/heal", "~commit", "~gateway"), 2},
		{in("internal/pebble", "~cassandra"), 1},
		{in("internal/memory", "testing"), 1},
		{in("internal/memory", "~backend/backendtest"), 1},
		{in("internal/backend/backendtest", "testing", "testing/synctest", "~memory"), 0},
		{in("internal/commit", "~object", "~oplog", "time", "errors", "slices"), 0},
		{in("internal/commit", "net/http", "sync/atomic", "math/rand/v2"), 3},
		{in("internal/newcomer", "~object"), 1},
		{in("internal/gateway", module+"/cmd/s3mirror"), 1},
		{in("cmd/s3mirror", "~gateway", "~pebble", "net/http"), 0},
		{in("cmd/s3mirror", "~sim"), 1},
		{in("pkg/thing"), 1},
		{pkg{ImportPath: "golang.org/x/sync/errgroup", Imports: []string{"testing"}}, 0},
		{pkg{ImportPath: module + "like/internal/object", Imports: []string{"testing"}}, 0},
	} {
		if got := breaches([]pkg{tc.p}); len(got) != tc.want {
			t.Errorf("%s importing %v: %d breaches %q, want %d", tc.p.ImportPath, tc.p.Imports, len(got), got, tc.want)
		}
	}
}
