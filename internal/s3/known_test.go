package s3_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// TestOperationsAreAll reads the constants of the source.
func TestOperationsAreAll(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "operations.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []s3.OperationName
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "OperationName" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			declared = append(declared, s3.OperationName(text))
		}
		return true
	})
	declared = slices.DeleteFunc(declared, func(name s3.OperationName) bool { return name == s3.Invalid }) // no Operation has it
	slices.Sort(declared)
	if len(declared) < 100 {
		t.Fatalf("only %d constants found", len(declared))
	}
	if got := s3.Operations(); !slices.Equal(got, declared) {
		t.Errorf("operations\n got %q\nwant %q", got, declared)
	}
}
