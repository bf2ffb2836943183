//go:build e2e

package conformance

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// suiteTest is one test of versitygw's own suite.
type suiteTest struct{ group, name string }

// elsewhere are the groups that are not about what a client sees of S3: versioning has a
// server of its own, and users are made by another API.
var elsewhere = []string{"TestVersioning", "TestGatewayIAM"}

// readSuite returns the tests of the suite, group by group, as its source lists them.
func readSuite(t *testing.T) []suiteTest {
	t.Helper()
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/versity/versitygw")
	cmd.Dir = filepath.Join(harness.Root(), "test", "versitygw")
	dir, err := cmd.Output()
	if err != nil {
		t.Fatalf("where is the source of versitygw: %v", err)
	}
	file := filepath.Join(strings.TrimSpace(string(dir)), "tests", "integration", "group-tests.go")
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	groups := map[string]*ast.BlockStmt{}
	for _, d := range parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			groups[f.Name.Name] = f.Body
		}
	}
	var names []string
	for name := range called(groups["TestFullFlow"], "") {
		names = append(names, name)
	}
	names = append(names, "TestNotImplementedActions")
	var all []suiteTest
	seen := map[string]bool{}
	for _, group := range names {
		if groups[group] == nil || seen[group] || slices.Contains(elsewhere, group) {
			continue
		}
		seen[group] = true
		for name := range called(groups[group], "ts") {
			all = append(all, suiteTest{group, name})
		}
	}
	if len(all) < 700 {
		t.Fatalf("%d tests were found in %s; is it read right?", len(all), file)
	}
	return all
}

// called yields, in order, the functions that a group calls, or with a receiver those that
// it hands to a method of that.
func called(body *ast.BlockStmt, receiver string) func(func(string) bool) {
	return func(yield func(string) bool) {
		more := true
		ast.Inspect(body, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !more {
				return more
			}
			fun, direct := call.Fun.(*ast.Ident)
			method, _ := call.Fun.(*ast.SelectorExpr)
			switch {
			case receiver == "" && direct:
				more = yield(fun.Name)
			case receiver != "" && method != nil && len(call.Args) == 1:
				on, _ := method.X.(*ast.Ident)
				if arg, ok := call.Args[0].(*ast.Ident); ok && on != nil && on.Name == receiver {
					more = yield(arg.Name)
				}
			}
			return more
		})
	}
}

// target is a server that the suite is run against.
type target struct {
	name   string // "directly", or how many backends are behind the gateway
	client *harness.Client
	purge  func() error // removes what a failed test left: the next one makes the same buckets
	with   runner       // nil: versitygw's own
}

// runner runs one test in a process of its own, for some panic. The bool tells whether it
// passed, the text what it said at last.
type runner func(t *testing.T, g target, test suiteTest) (bool, string)

// testLimit bounds one test of the suite.
const testLimit = time.Minute

// run runs one test.
func (g target) run(t *testing.T, test suiteTest) (bool, string) {
	if g.with != nil {
		return g.with(t, g, test)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(harness.Root(), ".tools", "bin", "versitygw"),
		"test", "-a", g.client.Keys.Access, "-s", g.client.Keys.Secret, "-e", "http://"+g.client.Addr, test.name)
	cmd.Dir = t.TempDir()
	cmd.Env = append(harness.CleanEnv(t), "AWS_MAX_ATTEMPTS=1")
	out, err := cmd.CombinedOutput()
	text := string(out)
	ok := err == nil && strings.Contains(text, "PASS") && !strings.Contains(text, "FAIL")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return ok, lines[len(lines)-1]
}

// passes runs a test, once more if it fails: the suite has tests that fail on a busy
// machine. The error says that what it left could not be removed.
func (g target) passes(t *testing.T, test suiteTest) (ok bool, said string, err error) {
	for range 2 {
		if ok, said = g.run(t, test); ok {
			return true, "", nil
		}
		if err := g.purge(); err != nil {
			return false, said, err
		}
	}
	return false, said, nil
}
