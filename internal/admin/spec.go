package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
)

// operation is what the description says of one method of one path, as far as
// the chain acts upon it.
type operation struct {
	id     string
	path   string
	role   auth.Role // that the caller must have at least; empty: anyone may
	params []string  // of the query
	fields []string  // of the body; nil: it takes none

	// streams: bodies of any size go through, for as long as they make progress.
	streams bool
	// patient: it may take minutes, and its document may be a long one.
	patient bool
	// audited: it is a change that is in no history by itself.
	audited bool
	// object: it is about a bucket or an object, and what it does is in the history
	// already.
	object bool
}

// The parts of openapi.yaml that the chain reads. A parameter is either here or
// a reference, whose last part is its name in components.
type (
	description struct {
		Security []map[string][]string           `yaml:"security"`
		Paths    map[string]map[string]yaml.Node `yaml:"paths"`
		Parts    struct {
			Parameters map[string]parameter `yaml:"parameters"`
			Schemas    map[string]struct {
				Properties map[string]any `yaml:"properties"`
			} `yaml:"schemas"`
		} `yaml:"components"`
	}
	described struct {
		ID         string                 `yaml:"operationId"`
		Tags       []string               `yaml:"tags"`
		Streams    bool                   `yaml:"x-streams"`
		Patient    bool                   `yaml:"x-patient"`
		Audited    bool                   `yaml:"x-audited"`
		Security   *[]map[string][]string `yaml:"security"`
		Parameters []parameter            `yaml:"parameters"`
		Body       struct {
			Content map[string]struct {
				Schema parameter `yaml:"schema"` // a reference
			} `yaml:"content"`
		} `yaml:"requestBody"`
	}
	parameter struct {
		Ref  string `yaml:"$ref"`
		Name string `yaml:"name"`
		In   string `yaml:"in"`
	}
)

// operations are those of the description by the pattern under which ServeMux
// knows them.
func operations() (map[string]operation, error) {
	var d description
	if err := yaml.Load(api.Description, &d); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	ops := map[string]operation{}
	for path, methods := range d.Paths {
		for method, node := range methods {
			if method == "parameters" { // of the path itself
				continue
			}
			var o described
			if err := node.Load(&o); err != nil {
				return nil, fmt.Errorf("openapi.yaml: %s %s: %w", method, path, err)
			}
			security := d.Security
			if o.Security != nil {
				security = *o.Security
			}
			op := operation{id: o.ID, path: path, role: roleOf(security), streams: o.Streams, patient: o.Patient, object: slices.Contains(o.Tags, "objects")}
			op.audited = o.Audited || !op.object
			for _, p := range o.Parameters {
				if p.Ref != "" {
					p = d.Parts.Parameters[p.Ref[strings.LastIndexByte(p.Ref, '/')+1:]]
				}
				if p.In == "query" {
					op.params = append(op.params, p.Name)
				}
			}
			if body, ok := o.Body.Content["application/json"]; ok {
				ref := body.Schema.Ref
				op.fields = []string{}
				for name := range d.Parts.Schemas[ref[strings.LastIndexByte(ref, '/')+1:]].Properties {
					op.fields = append(op.fields, name)
				}
			}
			ops[strings.ToUpper(method)+" "+path] = op
		}
	}
	return ops, nil
}

// roleOf is the role that every scheme of a security requirement names: admin
// unless all of them say user. No requirement at all is nobody's role.
func roleOf(security []map[string][]string) auth.Role {
	if len(security) == 0 {
		return ""
	}
	for _, schemes := range security {
		for _, roles := range schemes {
			if !slices.Equal(roles, []string{string(auth.RoleUser)}) {
				return auth.RoleAdmin
			}
		}
	}
	return auth.RoleUser
}

// value is what stands in the path for a parameter of it, empty when it has
// none. ServeMux tells it only once it serves.
func (op operation) value(r *http.Request, parameter string) string {
	segments := strings.Split(r.URL.EscapedPath(), "/")
	for i, name := range strings.Split(op.path, "/") {
		if name == "{"+parameter+"}" && i < len(segments) {
			value, _ := url.PathUnescape(segments[i]) // net/http has refused what cannot be
			return value
		}
	}
	return ""
}

// checkQuery refuses parameters that the operation does not have, so that a
// mistyped filter is not taken for none.
func (op operation) checkQuery(r *http.Request) error {
	for name, values := range r.URL.Query() {
		if !slices.Contains(op.params, name) {
			return problem(http.StatusBadRequest, "bad-parameter", "Wrong parameter", "%s: there is no such parameter", name)
		}
		if len(values) > 1 {
			return problem(http.StatusBadRequest, "bad-parameter", "Wrong parameter", "%s: given twice", name)
		}
	}
	return nil
}

// checkBody refuses fields that the operation does not have, so that a mistyped
// limit is not taken for none, and leaves the body to be read again.
func (op operation) checkBody(r *http.Request) error {
	if op.streams {
		return nil
	}
	bad := func(format string, args ...any) error {
		return problem(http.StatusBadRequest, "bad-body", "Wrong body", format, args...)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if len(body) == 0 {
		return nil
	}
	if op.fields == nil {
		return bad("this operation takes none")
	}
	if kind := r.Header.Get("Content-Type"); kind != "" {
		if kind, _, err := mime.ParseMediaType(kind); err != nil || kind != "application/json" {
			return problem(http.StatusUnsupportedMediaType, "bad-body", "Wrong body", "want application/json")
		}
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return bad("want a JSON object")
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		var value json.RawMessage
		if err == nil && ok {
			err = d.Decode(&value)
		}
		switch {
		case err != nil:
			return bad("want a JSON object: %v", err)
		case !slices.Contains(op.fields, name):
			return bad("%s: there is no such field", name)
		case seen[name]:
			return bad("%s: given twice", name)
		case string(value) == "null":
			return bad("%s: null means nothing here: leave it out", name)
		}
		seen[name] = true
	}
	if _, err := d.Token(); err != nil || len(bytes.TrimSpace(body[d.InputOffset():])) > 0 {
		return bad("want one JSON object")
	}
	return nil
}
