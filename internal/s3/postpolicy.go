package s3

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// PostPolicy is what the signer of a form allows: until when, and what the fields
// and the file may be.
type PostPolicy struct {
	expires    time.Time
	conditions []postCondition
}

// postCondition is one line of a policy.
type postCondition struct {
	op       string // eq, starts-with or content-length-range
	field    string // lower case
	value    string
	min, max int64  // of the file, in bytes
	text     string // for the answer
}

func badPolicy(format string, args ...any) *Error {
	return Errorf(InvalidPolicyDocument, "Invalid Policy: "+format, args...)
}

func againstPolicy(format string, args ...any) *Error {
	return Errorf(AccessDenied, "Invalid according to Policy: "+format, args...)
}

// ParsePostPolicy reads the base64 of a policy document. InvalidPolicyDocument.
func ParsePostPolicy(encoded string) (*PostPolicy, error) {
	encoded = strings.TrimSpace(encoded)
	if encoded == "" {
		return nil, badPolicy("Expecting '{' but found End-of-Input")
	}
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return nil, badPolicy("invalid Base64 encoding.")
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, badPolicy("Invalid JSON.")
	}
	expiration, ok := fields["expiration"]
	if !ok {
		return nil, badPolicy("Policy missing expiration.")
	}
	list, ok := fields["conditions"]
	if !ok {
		return nil, badPolicy("Policy missing conditions.")
	}
	for name := range fields {
		if name != "expiration" && name != "conditions" {
			return nil, badPolicy("Unexpected: %q", name)
		}
	}
	var when string
	if err := json.Unmarshal(expiration, &when); err != nil {
		return nil, badPolicy("Invalid JSON.")
	}
	p := &PostPolicy{}
	if p.expires, err = time.Parse(time.RFC3339, when); err != nil {
		return nil, badPolicy("Invalid 'expiration' value: '%s'", when)
	}
	var conditions []json.RawMessage
	if err := json.Unmarshal(list, &conditions); err != nil || conditions == nil {
		return nil, badPolicy("Invalid 'conditions' value: must be a List.")
	}
	for _, raw := range conditions {
		c, err := parsePostCondition(raw)
		if err != nil {
			return nil, err
		}
		p.conditions = append(p.conditions, c)
	}
	return p, nil
}

func parsePostCondition(raw json.RawMessage) (postCondition, error) {
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		return parseSimpleCondition(raw)
	}
	var args []json.RawMessage
	if err := json.Unmarshal(raw, &args); err != nil {
		return postCondition{}, badPolicy("Invalid condition test: must be a List or Object.")
	}
	if len(args) == 0 {
		return postCondition{}, badPolicy("Invalid Condition: missing operation identifier.")
	}
	c := postCondition{text: string(raw)}
	if err := json.Unmarshal(args[0], &c.op); err != nil {
		return c, badPolicy("Invalid JSON.")
	}
	named := c.op
	switch c.op = strings.ToLower(c.op); c.op { // in any case, as the names of fields
	case "eq", "starts-with", "content-length-range":
	default:
		return c, badPolicy("Invalid Condition: unknown operation '%s'.", named)
	}
	if len(args) != 3 {
		return c, badPolicy("Invalid %s: wrong number of arguments.", c.op)
	}
	if c.op == "content-length-range" {
		var ok, also bool
		c.min, ok = formLength(args[1])
		c.max, also = formLength(args[2])
		if !ok || !also {
			return c, badPolicy("Invalid JSON.")
		}
		return c, nil
	}
	if err := json.Unmarshal(args[1], &c.field); err != nil {
		return c, badPolicy("Invalid JSON.")
	}
	if err := json.Unmarshal(args[2], &c.value); err != nil {
		return c, badPolicy("Invalid JSON.")
	}
	name, ok := strings.CutPrefix(c.field, "$")
	if !ok || strings.TrimSpace(name) == "" {
		return c, againstPolicy("Policy Condition failed: %s", c.text)
	}
	c.field = strings.ToLower(name)
	return c, nil
}

// parseSimpleCondition reads {"field": "value"}.
func parseSimpleCondition(raw json.RawMessage) (postCondition, error) {
	var one map[string]any
	if err := json.Unmarshal(raw, &one); err != nil || len(one) != 1 {
		return postCondition{}, badPolicy("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
	}
	for name, value := range one {
		text, ok := value.(string)
		if !ok {
			break
		}
		name = strings.ToLower(name)
		return postCondition{op: "eq", field: name, value: text, text: fmt.Sprintf(`["eq", "$%s", "%s"]`, name, text)}, nil
	}
	return postCondition{}, badPolicy("Invalid Simple-Condition: value must be a string.")
}

// formLength is a length, which some write as a number and some as a text.
func formLength(raw json.RawMessage) (int64, bool) {
	text := strings.Trim(string(raw), `"`)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(text, 64)
		if ferr != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return 0, false
		}
		n = int64(f)
	}
	return n, true
}

// Check tells whether the form is one that the policy allows: nothing stands in
// it that no condition speaks of, every condition holds, and one of them names
// the bucket. key is the final one. AccessDenied.
func (p *PostPolicy) Check(f *Form, bucket, key string, now time.Time) error {
	if now.After(p.expires) {
		return againstPolicy("Policy expired.")
	}
	named := map[string]bool{}
	for _, c := range p.conditions {
		named[c.field] = true
	}
	for name := range f.Fields {
		switch {
		case name == "policy", name == "x-amz-signature", name == "signature", name == "awsaccesskeyid",
			strings.HasPrefix(name, "x-ignore-"), named[name]:
		default:
			return againstPolicy("Extra input fields: %s", name)
		}
	}
	for _, c := range p.conditions {
		value, ok := f.Fields[c.field]
		switch c.field {
		case "bucket":
			value, ok = bucket, true
		case "key":
			value, ok = key, true
		}
		if c.op != "content-length-range" && (!ok || !c.holds(value)) {
			return againstPolicy("Policy Condition failed: %s", c.text)
		}
	}
	if !named["bucket"] {
		return againstPolicy("Extra input fields: bucket")
	}
	return nil
}

func (c *postCondition) holds(value string) bool {
	if c.op == "eq" {
		return value == c.value
	}
	if c.field != "content-type" {
		return strings.HasPrefix(value, c.value)
	}
	for part := range strings.SplitSeq(value, ",") { // a list of types: each of them
		if !strings.HasPrefix(strings.TrimSpace(part), c.value) {
			return false
		}
	}
	return true
}

// CheckSize tells whether a file of that many bytes may come: EntityTooSmall,
// EntityTooLarge.
func (p *PostPolicy) CheckSize(size int64) error {
	for _, c := range p.conditions {
		switch {
		case c.op != "content-length-range":
		case size > c.max:
			return Err(EntityTooLarge).With("ProposedSize", strconv.FormatInt(size, 10)).With("MaxSizeAllowed", strconv.FormatInt(c.max, 10))
		case size < c.min:
			return Err(EntityTooSmall).With("ProposedSize", strconv.FormatInt(size, 10)).With("MinSizeAllowed", strconv.FormatInt(c.min, 10))
		}
	}
	return nil
}
