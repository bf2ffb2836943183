package layers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// impure are the calls by which a pure package would look at the world though
// it imports nothing forbidden.
var impure = []string{
	"time.Now", "time.Since", "time.Until", "time.After", "time.AfterFunc", "time.Sleep", "time.NewTimer", "time.NewTicker",
	"time.Tick", "object.NewID",
}

// impurities lists goroutines, channels' selects and impure calls in a file.
func impurities(fset *token.FileSet, file *ast.File) []string {
	var found []string
	note := func(n ast.Node, what string) {
		found = append(found, fset.Position(n.Pos()).String()+": "+what)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			note(n, "starts a goroutine")
		case *ast.SelectStmt:
			note(n, "selects")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && slices.Contains(impure, x.Name+"."+n.Sel.Name) {
				note(n, "uses "+x.Name+"."+n.Sel.Name)
			}
		}
		return true
	})
	return found
}

// TestPure reads the source of the packages that take every decision: they
// must be replayable from their inputs alone.
func TestPure(t *testing.T) {
	for of := range pure {
		files, err := filepath.Glob(filepath.Join("..", "..", "internal", of, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			seen++
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, what := range impurities(fset, file) {
				t.Error(what)
			}
		}
		if seen == 0 {
			t.Errorf("internal/%s has no source: the test looks at nothing", of)
		}
	}
}

func TestImpuritiesAreNoticed(t *testing.T) {
	const source = `package p
import ("time"; "object")
func f(c chan int, now time.Time) {
	_ = now.Add(time.Second)
	go f(c, now)
	select { case <-c: }
	_ = time.Now()
	g(time.Now)
	_ = object.NewID()
}`
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "p.go", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	if got := impurities(fset, file); len(got) != 5 {
		t.Errorf("%d noticed, want 5: %q", len(got), got)
	}
}
