package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// fault is one thing that is wrong with a configuration file.
type fault struct {
	line int    // 1-based; 0 when the file as a whole is meant
	path string // replication.ack; empty when no key is meant
	text string
}

// configError lists every fault of a configuration file, in the order of its
// lines.
type configError struct {
	file   string
	faults []fault
}

// Error has one line per fault: s3mirror.yaml:12: replication.ack: ...
func (e *configError) Error() string {
	lines := make([]string, len(e.faults))
	for i, f := range e.faults {
		at := filepath.Base(e.file)
		if f.line > 0 {
			at = fmt.Sprintf("%s:%d", at, f.line)
		}
		if f.path != "" {
			at += ": " + f.path
		}
		lines[i] = at + ": " + f.text
	}
	return strings.Join(lines, "\n")
}

// maxConfigBytes bounds the file: a configuration is small, and the path that
// was given may be anything.
const maxConfigBytes = 1 << 20

// loadConfig reads, expands and checks a configuration file. It opens nothing
// but the file and the files of secrets that it names. A *configError lists
// everything that is wrong.
func loadConfig(file string, env environ) (*Config, error) {
	src, err := readBounded(file, maxConfigBytes)
	if err != nil {
		return nil, usageError{fmt.Errorf("configuration: %w", err)}
	}
	return parseConfig(file, src, env)
}

// parseConfig is loadConfig for a file whose content is at hand.
func parseConfig(file string, src []byte, env environ) (*Config, error) {
	l := loader{env: env, lines: map[string]int{}, paths: map[position]string{}}
	cfg := defaultConfig()
	if root := l.parse(src); root != nil {
		l.walk(root, "")
		if !l.repeated {
			l.decode(root, &cfg)
			l.readSecrets(&cfg)
			cfg.setDefaults()
			validate(&cfg, l.meaning())
		}
	}
	if len(l.faults) > 0 {
		slices.SortStableFunc(l.faults, func(a, b fault) int { return cmp.Compare(a.line, b.line) })
		return nil, &configError{file: file, faults: slices.Compact(l.faults)}
	}
	return &cfg, nil
}

type position struct{ line, column int }

// loader turns text into a Config and remembers where each key stands.
type loader struct {
	env    environ
	lines  map[string]int      // path of a key -> its line
	paths  map[position]string // place of a node -> its path
	faults []fault

	repeated bool // a key stands twice: the YAML package then reads nothing at all
}

// fault notes what is wrong with a key, at its line or at that of the nearest
// key above it.
func (l *loader) fault(path, format string, args ...any) {
	line := 0
	for at := path; at != ""; at = parentPath(at) {
		if n, ok := l.lines[at]; ok {
			line = n
			break
		}
	}
	l.faults = append(l.faults, fault{line, path, fmt.Sprintf(format, args...)})
}

// meaning returns the report of validate. What it finds wrong with a key whose
// form is wrong already is a consequence, and not noted.
func (l *loader) meaning() report {
	form := map[string]bool{}
	for _, f := range l.faults {
		form[f.path] = true
	}
	return func(path, format string, args ...any) {
		for at := path; at != ""; at = parentPath(at) {
			if form[at] {
				return
			}
		}
		l.fault(path, format, args...)
	}
}

// parentPath cuts the last key or index off.
func parentPath(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// parse returns the file's mapping, or nil after noting why there is none. A
// file without content is an empty mapping.
func (l *loader) parse(src []byte) *yaml.Node {
	empty := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	if onlyComments(src) {
		return empty
	}
	var doc yaml.Node
	err := yaml.Load(protect(src), &doc)
	var bad *yaml.LoadError
	switch {
	case errors.As(err, &bad):
		l.faults = append(l.faults, fault{line: bad.Mark.Line, text: strings.TrimPrefix(bad.Message, "yaml: ")})
		return nil
	case err != nil:
		l.faults = append(l.faults, fault{text: err.Error()})
		return nil
	case len(doc.Content) != 1:
		return empty
	case doc.Content[0].Kind != yaml.MappingNode:
		l.faults = append(l.faults, fault{line: doc.Content[0].Line, text: "want keys and values, as in \"data_dir: ./data\""})
		return nil
	}
	return doc.Content[0]
}

func onlyComments(src []byte) bool {
	for line := range bytes.Lines(src) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

// A reference to the environment stands in the parsed text between two runes of
// the private use area, for the braces of ${NAME} would be YAML's own in a flow
// mapping. It is expanded after parsing: a value of the environment is text, and
// cannot bring keys or structure into the file.
const (
	refOpen, refClose = "\uE000", "\uE001"
	refLiteral        = "\uE002" // what $${ stands for: the characters ${
)

var (
	reference = regexp.MustCompile(`\$?\$\{([A-Za-z_][A-Za-z0-9_]*\})?`)
	protected = regexp.MustCompile(refOpen + `[A-Za-z0-9_]*` + refClose)
)

// protect hides the braces of references from the YAML parser.
func protect(src []byte) []byte {
	return reference.ReplaceAllFunc(src, func(ref []byte) []byte {
		if rest, ok := bytes.CutPrefix(ref, []byte("$${")); ok {
			return append([]byte(refLiteral), rest...)
		}
		if name := bytes.TrimSuffix(ref[2:], []byte("}")); len(name) > 0 {
			return []byte(refOpen + string(name) + refClose)
		}
		return ref // not a reference: found out in expand
	})
}

// walk notes the place of every key and expands ${NAME} in every value.
func (l *loader) walk(n *yaml.Node, path string) {
	l.paths[position{n.Line, n.Column}] = path
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			key.Value = unprotect(key.Value)
			at := strings.TrimPrefix(path+"."+key.Value, ".")
			if first, ok := l.lines[at]; ok {
				l.faults = append(l.faults, fault{key.Line, at, fmt.Sprintf("stands on line %d already", first)})
				l.repeated = true
				continue
			}
			l.lines[at] = key.Line
			l.paths[position{key.Line, key.Column}] = at
			l.walk(value, at)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			at := fmt.Sprintf("%s[%d]", path, i)
			l.lines[at] = item.Line
			l.walk(item, at)
		}
	case yaml.ScalarNode:
		l.expand(n, path)
	default: // an alias: what it stands for is walked where it stands
	}
}

// unprotect writes references as they stand in the file; keys have none.
func unprotect(s string) string {
	return strings.NewReplacer(refOpen, "${", refClose, "}", refLiteral, "$${").Replace(s)
}

// bareWord is a value that may become a number or a switch when it comes from
// the environment.
var bareWord = regexp.MustCompile(`^([0-9]+|true|false)$`)

// expand replaces ${NAME} by the variable's value, and $${ by ${ itself.
func (l *loader) expand(n *yaml.Node, path string) {
	if strings.Contains(n.Value, "${") {
		l.fault(path, "holds ${ without a name and }: write ${NAME} for an environment variable, or $${ for the characters themselves")
	}
	text := protected.ReplaceAllStringFunc(n.Value, func(ref string) string {
		name := strings.TrimSuffix(strings.TrimPrefix(ref, refOpen), refClose)
		value, ok := l.env(name)
		if !ok {
			l.fault(path, "environment variable %s is not set", name)
		}
		return value
	})
	text = strings.ReplaceAll(text, refLiteral, "${")
	if text == n.Value {
		return
	}
	n.Value, n.Tag = text, "!!str"
	if bareWord.MatchString(text) && n.Style == 0 {
		n.Tag = ""
	}
}

// decode lays the file over the defaults and notes every value that does not
// fit, unknown and repeated keys included.
func (l *loader) decode(root *yaml.Node, cfg *Config) {
	err := root.Load(cfg, yaml.WithKnownFields())
	var bad *yaml.LoadErrors
	if errors.As(err, &bad) {
		for _, e := range bad.Errors {
			path := l.paths[position{e.Mark.Line, e.Mark.Column}]
			l.faults = append(l.faults, fault{e.Mark.Line, path, plain(e.Message)})
		}
	} else if err != nil {
		l.faults = append(l.faults, fault{text: err.Error()})
	}
}

// plain says without Go's type names what the YAML package reports.
func plain(message string) string {
	if field, _, ok := strings.Cut(message, " not found in type "); ok && strings.HasPrefix(field, "field ") {
		return "unknown key"
	}
	message, into, ok := strings.Cut(message, " into ")
	if !ok {
		return message
	}
	kinds := map[string]string{"int": "a whole number", "bool": "true or false", "string": "text", "sigv4.Secret": "text"}
	want, ok := kinds[into]
	switch {
	case ok:
	case strings.HasPrefix(into, "[]"):
		want = "a list"
	default:
		want = "keys and values"
	}
	return "want " + want
}

// readSecrets takes the secrets whose files are named.
func (l *loader) readSecrets(cfg *Config) {
	for i := range cfg.Backends {
		b := &cfg.Backends[i]
		l.readSecret(fmt.Sprintf("backends[%d]", i), "secret_access_key", &b.SecretAccessKey, b.SecretAccessKeyFile)
	}
	if k := cfg.Log.Cassandra; k != nil {
		l.readSecret("log.cassandra", "password", &k.Password, k.PasswordFile)
	}
}

// readSecret takes one secret from its file, unless none is named.
func (l *loader) readSecret(at, key string, secret *sigv4.Secret, file string) {
	path := at + "." + key + "_file"
	if file == "" {
		return
	}
	if *secret != "" {
		l.fault(path, "give %s or %s_file, not both", key, key)
		return
	}
	text, err := readBounded(file, 64<<10)
	if err != nil {
		l.fault(path, "%v", err)
		return
	}
	*secret = sigv4.Secret(strings.TrimRight(string(text), "\r\n"))
}

// readBounded reads a file of at most limit bytes.
func readBounded(file string, limit int64) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a folder", file)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", file, limit)
	}
	return os.ReadFile(file)
}
