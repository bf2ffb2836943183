package admin_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/s3mirror/s3mirror/internal/admin"
)

type schema struct {
	Required   []string       `yaml:"required"`
	Properties map[string]any `yaml:"properties"`
}

type description struct {
	OpenAPI string                    `yaml:"openapi"`
	Paths   map[string]map[string]any `yaml:"paths"`
	Parts   struct {
		Schemas map[string]schema `yaml:"schemas"`
	} `yaml:"components"`
}

func describe(t *testing.T) description {
	t.Helper()
	var d description
	if err := yaml.Load(admin.OpenAPI(), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOpenAPIDescribesExactlyTheRoutes(t *testing.T) {
	d := describe(t)
	if !strings.HasPrefix(d.OpenAPI, "3.1.") {
		t.Errorf("openapi %q", d.OpenAPI)
	}
	var described []string
	for path, methods := range d.Paths {
		for method := range methods {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	routes := admin.Routes()
	slices.Sort(described)
	slices.Sort(routes)
	if !slices.Equal(described, routes) {
		t.Errorf("described %v\nrouted    %v", described, routes)
	}
}

func TestOpenAPISchemasAreTheDocuments(t *testing.T) {
	documents := map[string]any{
		"Version": admin.Version{}, "Count": admin.Count{}, "Backlog": admin.Backlog{}, "BackendStatus": admin.BackendStatus{},
		"BackendList": admin.BackendList{}, "Status": admin.Status{}, "Lag": admin.Lag{}, "BackendLag": admin.BackendLag{},
		"BucketLag": admin.BucketLag{}, "HistoryPage": admin.HistoryPage{}, "Event": admin.Event{},
		"SwitchState": admin.SwitchState{}, "Problem": admin.Problem{}, "Probe": admin.Probe{}, "Finding": admin.Finding{},
	}
	schemas := describe(t).Parts.Schemas
	for name, document := range documents {
		var fields, required []string
		typ := reflect.TypeOf(document)
		for i := range typ.NumField() {
			tag, options, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if tag == "" {
				continue
			}
			fields = append(fields, tag)
			if options != "omitempty" {
				required = append(required, tag)
			}
		}
		var properties []string
		for p := range schemas[name].Properties {
			properties = append(properties, p)
		}
		slices.Sort(fields)
		slices.Sort(properties)
		if !slices.Equal(fields, properties) {
			t.Errorf("%s: described %v, sent %v", name, properties, fields)
		}
		if got := schemas[name].Required; !slices.Equal(got, required) {
			t.Errorf("%s: required %v, always sent %v", name, got, required)
		}
	}
	for name := range schemas {
		if _, ok := documents[name]; !ok && name != "State" {
			t.Errorf("schema %s describes nothing", name)
		}
	}
}

func FuzzCursor(f *testing.F) {
	for _, s := range []string{"", "MS4y", "MTc2NzIyNTYwMDAwMDAwMDAwMC43", "LTEuMA", "!", "MS4yLjM"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text, err := admin.ParseCursor(s)
		if err != nil {
			return
		}
		if again, err := admin.ParseCursor(text); err != nil || again != text {
			t.Errorf("%q -> %q -> %q %v", s, text, again, err)
		}
	})
}
