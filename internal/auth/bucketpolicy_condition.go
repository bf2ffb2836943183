package auth

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// condition is one key of one operator of a statement: one of its values has to fit the
// request's.
type condition struct {
	key      string // lower case
	operator string // without what stands before and behind it
	every    bool   // it had ForAllValues: before it
	some     bool   // it had ForAnyValue: before it
	ifExists bool   // it had IfExists behind it
	values   []string
}

// conditionOf reads the name of an operator and of a key. The string says in AWS's words
// what is wrong.
func conditionOf(operator, key string, values []string) (condition, string) {
	c := condition{key: strings.ToLower(key), operator: operator, values: values}
	if name, ok := strings.CutPrefix(operator, "ForAllValues:"); ok {
		c.operator, c.every = name, true
	} else if name, ok := strings.CutPrefix(operator, "ForAnyValue:"); ok {
		c.operator, c.some = name, true
	}
	if name, ok := strings.CutSuffix(c.operator, "IfExists"); ok && name != "Null" {
		c.operator, c.ifExists = name, true
	}
	read, known := operators[c.operator]
	_, knownKey := conditionKeys[c.key]
	switch {
	case !known:
		return c, "Invalid Condition type : " + operator
	case !knownKey:
		return c, "Policy has an invalid condition key"
	case c.key == "aws:sourceip" && slices.ContainsFunc(values, func(v string) bool { return !isNetwork(v) }):
		return c, "Invalid IP address in Conditions"
	case slices.ContainsFunc(values, func(v string) bool { return !read(v) }):
		return c, "Invalid value for condition " + operator
	}
	return c, ""
}

// operators are those that a condition may have, with what reads one of its values.
var operators = map[string]func(value string) bool{
	"StringEquals": anyText, "StringNotEquals": anyText, "StringEqualsIgnoreCase": anyText, "StringNotEqualsIgnoreCase": anyText,
	"StringLike": anyText, "StringNotLike": anyText,
	"ArnEquals": anyText, "ArnNotEquals": anyText, "ArnLike": anyText, "ArnNotLike": anyText,
	"NumericEquals": isNumber, "NumericNotEquals": isNumber, "NumericLessThan": isNumber, "NumericLessThanEquals": isNumber,
	"NumericGreaterThan": isNumber, "NumericGreaterThanEquals": isNumber,
	"DateEquals": isDate, "DateNotEquals": isDate, "DateLessThan": isDate, "DateLessThanEquals": isDate,
	"DateGreaterThan": isDate, "DateGreaterThanEquals": isDate,
	"Bool": isBool, "Null": isBool, "IpAddress": isNetwork, "NotIpAddress": isNetwork,
}

func anyText(string) bool { return true }

func isNumber(v string) bool {
	_, err := strconv.ParseFloat(v, 64)
	return err == nil
}

func isBool(v string) bool { return strings.EqualFold(v, "true") || strings.EqualFold(v, "false") }

func isDate(v string) bool {
	_, ok := parseDate(v)
	return ok
}

func isNetwork(v string) bool {
	_, ok := parseNetwork(v)
	return ok
}

// parseDate reads a moment as policies write it: ISO 8601, or seconds since 1970.
func parseDate(v string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", time.DateOnly} {
		if t, err := time.Parse(layout, v); err == nil {
			return t, true
		}
	}
	seconds, err := strconv.ParseInt(v, 10, 64)
	return time.Unix(seconds, 0), err == nil
}

func parseNetwork(v string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(v); err == nil {
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(v)
	if err != nil {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), true
}

// conditionKeys are those that a condition may have, in lower case, with the actions that
// they go with; nil: every one. What is not here this server cannot know of a request, and
// a policy that asks for it is refused: a denial that never holds would be worse.
var conditionKeys = func() map[string][]string {
	lists := []string{"s3:ListBucket", "s3:ListBucketVersions"}
	writes := []string{"s3:PutObject"}
	acls := []string{"s3:PutObject", "s3:PutObjectAcl", "s3:PutObjectVersionAcl", "s3:PutBucketAcl"}
	return map[string][]string{
		"aws:sourceip": nil, "aws:securetransport": nil, "aws:currenttime": nil, "aws:epochtime": nil,
		"aws:useragent": nil, "aws:referer": nil, "aws:username": nil, "aws:userid": nil, "aws:principalarn": nil,

		"s3:prefix": lists, "s3:delimiter": lists, "s3:max-keys": lists,

		"s3:x-amz-acl": acls, "s3:x-amz-copy-source": writes, "s3:x-amz-metadata-directive": writes,
		"s3:x-amz-server-side-encryption": writes, "s3:x-amz-storage-class": writes,

		"s3:versionid": {
			"s3:GetObjectVersion", "s3:DeleteObjectVersion", "s3:GetObjectVersionAcl", "s3:PutObjectVersionAcl",
			"s3:GetObjectVersionAttributes", "s3:GetObjectVersionTagging", "s3:PutObjectVersionTagging", "s3:DeleteObjectVersionTagging",
		},
	}
}()

// fact is what the gateway knows of the request under a name in lower case; empty:
// nothing.
func (a *Access) fact(name string) string {
	if a.Facts == nil {
		return ""
	}
	return a.Facts.Fact(name)
}

// value is the request's value of a key; empty: it has none.
func (c condition) value(u *User, a *Access) string {
	switch c.key {
	case "aws:sourceip":
		if !a.Client.IsValid() {
			return ""
		}
		return a.Client.Unmap().WithZone("").String()
	case "aws:username", "aws:userid", "aws:principalarn":
		switch {
		case u.Anonymous():
			return ""
		case c.key == "aws:principalarn":
			return userARN + u.Login
		}
		return u.Login
	case "s3:prefix":
		return a.Prefix
	}
	return a.fact(strings.TrimPrefix(strings.TrimPrefix(c.key, "aws:"), "s3:"))
}

// holds tells whether the condition holds. A key that the request has no value of makes
// every operator fail but those that deny, IfExists and Null.
func (c condition) holds(u *User, a *Access) bool {
	value := c.value(u, a)
	if c.operator == "Null" {
		return slices.ContainsFunc(c.values, func(v string) bool { return strings.EqualFold(v, "true") == (value == "") })
	}
	positive, negated := c.positive()
	if value == "" && (c.key != "s3:prefix" || !slices.Contains(c.values, "")) { // a list without a prefix has the empty one
		return c.every || (negated || c.ifExists) && !c.some
	}
	fits := slices.ContainsFunc(c.values, func(want string) bool { return fits(positive, want, value) })
	return fits != negated
}

// positive is the operator without its "not".
func (c condition) positive() (operator string, negated bool) {
	operator = strings.Replace(c.operator, "Not", "", 1)
	return operator, operator != c.operator
}

// narrows tells whether the condition keeps a statement for everybody from being for
// everybody: it is about who or where somebody is.
func (c condition) narrows() bool {
	_, negated := c.positive()
	return !negated && !c.ifExists && !c.every && c.operator != "Null" &&
		slices.Contains([]string{"aws:sourceip", "aws:username", "aws:userid", "aws:principalarn"}, c.key) &&
		!slices.ContainsFunc(c.values, func(v string) bool {
			network, ok := parseNetwork(v)
			return strings.Trim(v, "*") == "" || ok && network.Bits() == 0
		})
}

// fits compares one value of a condition with the request's.
func fits(operator, want, value string) bool {
	switch operator {
	case "StringEquals":
		return want == value
	case "StringEqualsIgnoreCase":
		return strings.EqualFold(want, value)
	case "StringLike", "ArnEquals", "ArnLike":
		return matches(want, value)
	case "Bool":
		return strings.EqualFold(want, value)
	case "IpAddress":
		network, _ := parseNetwork(want) // it was read before
		address, err := netip.ParseAddr(value)
		return err == nil && network.Contains(address)
	}
	if how, ok := strings.CutPrefix(operator, "Numeric"); ok {
		w, _ := strconv.ParseFloat(want, 64) // it was read before
		v, err := strconv.ParseFloat(value, 64)
		return err == nil && ordered(how, cmp.Compare(v, w))
	}
	if how, ok := strings.CutPrefix(operator, "Date"); ok {
		w, _ := parseDate(want) // it was read before
		v, ok := parseDate(value)
		return ok && ordered(how, v.Compare(w))
	}
	return false
}

func ordered(how string, compared int) bool {
	switch how {
	case "Equals":
		return compared == 0
	case "LessThan":
		return compared < 0
	case "LessThanEquals":
		return compared <= 0
	case "GreaterThan":
		return compared > 0
	case "GreaterThanEquals":
		return compared >= 0
	}
	return false
}
