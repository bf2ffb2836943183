package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// MaxPolicyBytes bounds a policy's document, as on AWS.
const MaxPolicyBytes = 20 << 10

const (
	bucketARN = "arn:aws:s3:::"
	userARN   = "arn:aws:iam:::user/"
)

// malformed is what a policy is answered that means nothing, or something that this server
// cannot do. The words are AWS's where it has some.
func malformed(text string) error { return s3.Errorf(s3.MalformedPolicy, "%s", text) }

var (
	errPolicyJSON      = malformed("This policy contains invalid Json")
	errPolicyPrincipal = malformed("Invalid principal in policy")
	errPolicyAction    = malformed("Policy has invalid action")
	errPolicyResource  = malformed("Policy has invalid resource")
)

// ParseBucketPolicy reads the policy of a bucket. knows tells whether a login or an access
// key exists; its error is returned as it is. What is not understood is refused and never
// passed over. MalformedPolicy.
func ParseBucketPolicy(document []byte, bucket string, knows func(principal string) (bool, error)) (*BucketPolicy, error) {
	if len(document) == 0 || document[0] != '{' {
		return nil, malformed("Policies must be valid JSON and the first byte must be '{'")
	}
	top, err := fieldsOf(document)
	if err != nil {
		return nil, err
	}
	if err := onlyHas(top, "Version", "Id", "Statement"); err != nil {
		return nil, err
	}
	list, err := statementsOf(top)
	if err != nil {
		return nil, err
	}
	p := &BucketPolicy{}
	var raw []map[string]json.RawMessage
	for _, text := range list { // form first, meaning then: so AWS's checks are ordered
		fields, err := fieldsOf(text)
		if err != nil {
			return nil, err
		}
		s, err := formOf(fields)
		if err != nil {
			return nil, err
		}
		p.statements, raw = append(p.statements, s), append(raw, fields)
	}
	if err := checkVersion(top["Version"]); err != nil {
		return nil, err
	}
	for i := range p.statements {
		if err := p.statements[i].mean(raw[i], bucket, knows); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func checkVersion(text json.RawMessage) error {
	if text == nil {
		return nil
	}
	var version string
	if json.Unmarshal(text, &version) != nil || version != "2008-10-17" && version != "2012-10-17" {
		return malformed("The policy must contain a valid version string")
	}
	return nil
}

func statementsOf(top map[string]json.RawMessage) ([]json.RawMessage, error) {
	text := top["Statement"]
	if text == nil {
		return nil, malformed("Missing required field Statement")
	}
	var list []json.RawMessage
	if text[0] == '{' {
		list = []json.RawMessage{text}
	} else if json.Unmarshal(text, &list) != nil {
		return nil, errPolicyJSON
	}
	if len(list) == 0 {
		return nil, malformed("Could not parse the policy: Statement is empty!")
	}
	return list, nil
}

// formOf reads what of a statement can be read without knowing the bucket.
func formOf(fields map[string]json.RawMessage) (s statement, err error) {
	if err := onlyHas(fields, "Sid", "Effect", "Principal", "Action", "Resource", "Condition"); err != nil {
		return s, err
	}
	if s.principals, err = principalsOf(fields["Principal"]); err != nil {
		return s, err
	}
	if s.everyone = slices.Contains(s.principals, "*"); s.everyone {
		if len(s.principals) > 1 {
			return s, errPolicyPrincipal
		}
		s.principals = nil
	}
	s.actions, err = textsOf(fields["Action"])
	if err != nil || len(s.actions) == 0 || slices.ContainsFunc(s.actions, func(a string) bool { return !knownAction(a) }) {
		return s, errPolicyAction
	}
	s.resources, err = textsOf(fields["Resource"])
	if err != nil || len(s.resources) == 0 {
		return s, errPolicyResource
	}
	for i, r := range s.resources {
		name, ok := strings.CutPrefix(r, bucketARN)
		if !ok || name == "" || name[0] == '/' {
			return s, errPolicyResource
		}
		s.resources[i] = name
	}
	return s, nil
}

// mean reads what a statement says, and judges it for the bucket.
func (s *statement) mean(fields map[string]json.RawMessage, bucket string, knows func(string) (bool, error)) error {
	var effect string
	if text := fields["Effect"]; text != nil && json.Unmarshal(text, &effect) != nil {
		return errPolicyJSON
	}
	if effect != "Allow" && effect != "Deny" {
		return malformed("Invalid effect: " + effect)
	}
	s.deny = effect == "Deny"
	for i, p := range s.principals {
		s.principals[i] = loginOf(p)
		switch ok, err := knows(s.principals[i]); {
		case err != nil:
			return err
		case !ok:
			return errPolicyPrincipal
		}
	}
	for _, r := range s.resources {
		rest, ok := strings.CutPrefix(r, bucket)
		if !ok || rest != "" && rest[0] != '/' && rest[0] != '*' {
			return errPolicyResource
		}
		if strings.Contains(r, "${") {
			return errVariable
		}
	}
	if err := s.conditionsOf(fields["Condition"]); err != nil {
		return err
	}
	return s.apply()
}

// errVariable: a variable that was taken for what it is written as would let through what
// the policy means to stop.
var errVariable = malformed("Policy variables are not supported by this server")

// apply refuses actions that none of the statement's resources has.
func (s *statement) apply() error {
	objects := slices.ContainsFunc(s.resources, func(r string) bool { return strings.ContainsAny(r, "/*") })
	buckets := slices.ContainsFunc(s.resources, func(r string) bool { return !strings.Contains(r, "/") })
	for _, a := range s.actions {
		if a != everyAction && (ofObjects(a) && !objects || !ofObjects(a) && !buckets) {
			return malformed("Action does not apply to any resource(s) in statement")
		}
	}
	return nil
}

// conditionsOf reads a statement's conditions.
func (s *statement) conditionsOf(text json.RawMessage) error {
	if text == nil {
		return nil
	}
	block, err := fieldsOf(text)
	if err != nil {
		return err
	}
	for _, operator := range slices.Sorted(maps.Keys(block)) {
		keys, err := fieldsOf(block[operator])
		if err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			values, err := textsOf(keys[key])
			if err != nil {
				return err
			}
			c, wrong := conditionOf(operator, key, values)
			if wrong != "" {
				return malformed(wrong)
			}
			if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, "${") }) {
				return errVariable
			}
			with := conditionKeys[c.key]
			if with != nil && slices.ContainsFunc(s.actions, func(a string) bool { return !strings.ContainsAny(a, "*?") && !slices.Contains(with, a) }) {
				return malformed("Conditions do not apply to combination of actions and resources in statement")
			}
			s.conditions = append(s.conditions, c)
		}
	}
	return nil
}

// principalsOf reads who a statement is about: names, or {"AWS": names}. Services and
// identities of others are nobody here.
func principalsOf(text json.RawMessage) ([]string, error) {
	if len(text) > 0 && text[0] == '{' {
		fields, err := fieldsOf(text)
		if err != nil {
			return nil, err
		}
		if onlyHas(fields, "AWS") != nil {
			return nil, errPolicyPrincipal
		}
		text = fields["AWS"]
	}
	names, err := textsOf(text)
	if err != nil || len(names) == 0 || slices.Contains(names, "") {
		return nil, errPolicyPrincipal
	}
	return names, nil
}

var userName = regexp.MustCompile(`^arn:aws:iam::[0-9]*:user/([^/]+)$`)

// loginOf is the name in a user's ARN, whatever the account; else the principal itself.
func loginOf(principal string) string {
	if m := userName.FindStringSubmatch(principal); m != nil {
		return m[1]
	}
	return principal
}

// textsOf reads one value or a list of them. Numbers and booleans are taken as they are
// written.
func textsOf(text json.RawMessage) ([]string, error) {
	if text == nil {
		return nil, nil
	}
	list := []json.RawMessage{text}
	if text[0] == '[' && json.Unmarshal(text, &list) != nil {
		return nil, errPolicyJSON
	}
	texts := make([]string, 0, len(list))
	for _, one := range list {
		var s string
		switch {
		case json.Unmarshal(one, &s) == nil && one[0] == '"':
			texts = append(texts, s)
		case one[0] == '{', one[0] == '[', one[0] == 'n': // an object, a list, null
			return nil, errPolicyJSON
		default:
			texts = append(texts, string(one))
		}
	}
	return texts, nil
}

// fieldsOf reads an object. A name that stands there twice is refused: others might read
// the other one.
func fieldsOf(text json.RawMessage) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errPolicyJSON
	}
	fields := map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, errPolicyJSON
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errPolicyJSON
		}
		if _, twice := fields[name.(string)]; twice { //nolint:forcetypeassert // of an object's names there is no other kind
			return nil, errPolicyJSON
		}
		fields[name.(string)] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errPolicyJSON
	}
	if _, err := d.Token(); err == nil || !errors.Is(err, io.EOF) {
		return nil, errPolicyJSON
	}
	return fields, nil
}

// onlyHas refuses fields of other names.
func onlyHas(fields map[string]json.RawMessage, names ...string) error {
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(names, field) {
			return malformed("Unknown field " + field)
		}
	}
	return nil
}
