package oplog_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// DocKinds names every constant of its type: what it does not name is left behind
// when a log moves, and not looked for when one must be empty.
func TestDocKindsNamesAll(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "oplog.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := map[oplog.DocKind]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "DocKind" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			want[oplog.DocKind(text)] = true
		}
		return true
	})
	for _, kind := range oplog.DocKinds {
		if !want[kind] {
			t.Errorf("%s is no constant, or stands there twice", kind)
		}
		delete(want, kind)
	}
	for kind := range want {
		t.Errorf("%s is missing", kind)
	}
}
