package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

const (
	manualFile  = "../../docs/configuration.md"
	manualBegin = "<!-- The keys are made from the comments in cmd/s3mirror/config.go: go test ./cmd/s3mirror -run Manual -update -->\n"
	manualEnd   = "<!-- end of the keys -->\n"
)

// The manual of the configuration is the comments of its struct.
func TestManualIsMadeFromTheComments(t *testing.T) {
	text, err := os.ReadFile(manualFile)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(text), manualBegin)
	_, tail, ok2 := strings.Cut(rest, manualEnd)
	if !ok1 || !ok2 {
		t.Fatalf("%s lacks its two marks", manualFile)
	}
	example := defaultConfig()
	example.Backends = []BackendConfig{{}}
	example.Issuers = []IssuerConfig{{}}
	example.Log.Cassandra = &CassandraConfig{}
	example.setDefaults()
	example.Replication.ReplicaSet = nil // its default is said in words
	example.Buckets = map[string]BucketConfig{"NAME": {}}
	m := manual{comments: fieldComments(t, "config.go")}
	m.write(reflect.ValueOf(example), "")
	golden(t, manualFile, head+manualBegin+m.out.String()+manualEnd+tail)
}

// fieldComments maps Type.Field to the comment above the field.
func fieldComments(t *testing.T, file string) map[string]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	for _, decl := range parsed.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range gen.Specs {
			typ, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			fields, ok := typ.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, f := range fields.Fields.List {
				text := strings.Join(strings.Fields(f.Doc.Text()), " ")
				if text == "" {
					t.Errorf("%s.%s has no comment", typ.Name, f.Names[0])
				}
				comments[typ.Name.Name+"."+f.Names[0].Name] = text
			}
		}
	}
	return comments
}

type manual struct {
	comments map[string]string
	out      strings.Builder
}

// write adds every key of a struct, in the order of its fields.
func (m *manual) write(v reflect.Value, path string) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		key := strings.TrimPrefix(path+"."+field.Tag.Get("yaml"), ".")
		comment := m.comments[v.Type().Name()+"."+field.Name]
		value := v.Field(i)
		if value.Kind() == reflect.Pointer && value.IsNil() && value.Type().Elem().Kind() == reflect.Struct && value.Type() != reflect.TypeFor[*AckRule]() {
			value = reflect.New(value.Type().Elem())
		}
		value = reflect.Indirect(value)
		switch inner, suffix := section(value); {
		case inner.IsValid() && path == "":
			fmt.Fprintf(&m.out, "\n### `%s`\n\n%s\n\n", key+suffix, comment)
			m.write(inner, key+suffix)
		case inner.IsValid():
			fmt.Fprintf(&m.out, "- **`%s`**: %s\n", key, comment)
			m.write(inner, key+suffix)
		default:
			fmt.Fprintf(&m.out, "- **`%s`**%s: %s\n", key, defaultText(value), comment)
		}
	}
}

// section returns the struct in which the keys of a section stand.
func section(v reflect.Value) (reflect.Value, string) {
	leaf := []reflect.Type{reflect.TypeFor[AckRule](), reflect.TypeFor[Network]()}
	switch {
	case !v.IsValid() || slices.Contains(leaf, v.Type()):
	case v.Kind() == reflect.Struct:
		return v, ""
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct && !slices.Contains(leaf, v.Type().Elem()):
		return v.Index(0), "[]"
	case v.Kind() == reflect.Map && v.Type().Elem().Kind() == reflect.Struct:
		return v.MapIndex(reflect.ValueOf("NAME")), ".NAME"
	}
	return reflect.Value{}, ""
}

// defaultText is the default as it would stand in the file; nothing for none.
func defaultText(v reflect.Value) string {
	if !v.IsValid() || v.IsZero() && v.Kind() != reflect.Int && v.Kind() != reflect.Int64 && v.Kind() != reflect.Bool {
		return ""
	}
	text, err := yaml.Dump(v.Interface())
	if err != nil {
		panic(err)
	}
	return " (default `" + strings.Trim(strings.TrimSpace(string(text)), "'") + "`)"
}
