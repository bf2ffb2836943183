package auth_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// knowsClerk knows nobody but clerk and one key.
func knowsClerk(principal string) (bool, error) {
	return principal == "clerk" || principal == "S3MKEYOFCLERK", nil
}

func mustPolicy(t *testing.T, statements string) *auth.BucketPolicy {
	t.Helper()
	p, err := auth.ParseBucketPolicy([]byte(`{"Version":"2012-10-17","Statement":[`+statements+`]}`), "photos", knowsClerk)
	if err != nil {
		t.Fatalf("%s: %v", statements, err)
	}
	return p
}

// told is a statement, with a condition or without.
func told(effect, principal, action, resource string, condition ...string) string {
	text := fmt.Sprintf(`{"Effect":%q,"Principal":%s,"Action":%s,"Resource":%s`, effect, principal, action, resource)
	for _, c := range condition {
		text += `,"Condition":` + c
	}
	return text + "}"
}

const (
	allObjects = `"arn:aws:s3:::photos/*"`
	theBucket  = `"arn:aws:s3:::photos"`
	allOfIt    = `["arn:aws:s3:::photos","arn:aws:s3:::photos/*"]`
)

// TestBucketPolicyDecides: what policies allow and deny to somebody who may read and write
// "photos" by himself, and to somebody who may nothing.
func TestBucketPolicyDecides(t *testing.T) {
	for name, c := range map[string]struct {
		policy  string
		op      s3.OperationName
		change  func(a *auth.Access)
		limited auth.Reason // of clerk, who may do it by himself
		poor    auth.Reason // of somebody without scopes and buckets
	}{
		"no statement fits":                  {told("Allow", `"*"`, `"s3:PutObject"`, allObjects), s3.GetObject, nil, "", auth.ReasonScope},
		"allowed to all":                     {told("Allow", `"*"`, `"s3:GetObject"`, allObjects), s3.GetObject, nil, "", ""},
		"allowed to a login":                 {told("Allow", `{"AWS":"clerk"}`, `"s3:GetObject"`, allObjects), s3.GetObject, nil, "", ""},
		"allowed to a key":                   {told("Allow", `{"AWS":["S3MKEYOFCLERK"]}`, `"s3:GetObject"`, allObjects), s3.GetObject, nil, "", ""},
		"allowed to an ARN":                  {told("Allow", `{"AWS":"arn:aws:iam::123456789012:user/clerk"}`, `"s3:GetObject"`, allObjects), s3.GetObject, nil, "", ""},
		"HEAD is a GET":                      {told("Allow", `"*"`, `"s3:GetObject"`, allObjects), s3.HeadObject, nil, "", ""},
		"by a pattern of actions":            {told("Allow", `"*"`, `"s3:Get*"`, allObjects), s3.GetObjectTagging, nil, "", ""},
		"by a part of the bucket":            {told("Allow", `"*"`, `"s3:GetObject"`, `"arn:aws:s3:::photos/a/*"`), s3.GetObject, nil, "", ""},
		"another part of the bucket":         {told("Allow", `"*"`, `"s3:GetObject"`, `"arn:aws:s3:::photos/b/*"`), s3.GetObject, nil, "", auth.ReasonScope},
		"one character":                      {told("Allow", `"*"`, `"s3:GetObject"`, `"arn:aws:s3:::photos/a/?.txt"`), s3.GetObject, nil, "", ""},
		"denied to all":                      {told("Deny", `"*"`, `"s3:GetObject"`, allObjects), s3.GetObject, nil, auth.ReasonPolicy, auth.ReasonPolicy},
		"denial wins over what stands after": {told("Deny", `"*"`, `"s3:*"`, allOfIt) + "," + told("Allow", `"*"`, `"s3:*"`, allOfIt), s3.PutObject, nil, auth.ReasonPolicy, auth.ReasonPolicy},
		"denial wins over what stands first": {told("Allow", `"*"`, `"s3:*"`, allOfIt) + "," + told("Deny", `"*"`, `"s3:*"`, allOfIt), s3.PutObject, nil, auth.ReasonPolicy, auth.ReasonPolicy},
		"a denial of another action":         {told("Deny", `"*"`, `"s3:PutObject"`, allObjects), s3.GetObject, nil, "", auth.ReasonScope},
		"lists":                              {told("Allow", `"*"`, `"s3:ListBucket"`, theBucket), s3.ListObjectsV2, nil, "", ""},
		"lists of a prefix":                  {told("Allow", `"*"`, `"s3:ListBucket"`, theBucket, `{"StringLike":{"s3:prefix":["","a/*"]}}`), s3.ListObjectsV2, nil, "", ""},
		"lists of no prefix":                 {told("Allow", `"*"`, `"s3:ListBucket"`, theBucket, `{"StringLike":{"s3:prefix":["","a/*"]}}`), s3.ListObjects, func(a *auth.Access) { a.Prefix = "" }, "", ""},
		"lists of another prefix":            {told("Allow", `"*"`, `"s3:ListBucket"`, theBucket, `{"StringLike":{"s3:prefix":"b/*"}}`), s3.ListObjects, nil, "", auth.ReasonScope},
		"parts are PutObject":                {told("Allow", `"*"`, `"s3:PutObject"`, allObjects), s3.CompleteMultipartUpload, nil, "", ""},
		"a copy needs its source":            {told("Allow", `"*"`, `"s3:PutObject"`, allObjects), s3.CopyObject, nil, "", auth.ReasonScope},
		"a copy with its source":             {told("Allow", `"*"`, `["s3:PutObject","s3:GetObject"]`, allObjects), s3.CopyObject, nil, "", ""},
		"a copy from what is denied":         {told("Deny", `"*"`, `"s3:GetObject"`, `"arn:aws:s3:::photos/c.txt"`), s3.CopyObject, nil, auth.ReasonPolicy, auth.ReasonPolicy},
		"attributes need both":               {told("Allow", `"*"`, `"s3:GetObjectAttributes"`, allObjects), s3.GetObjectAttributes, nil, "", auth.ReasonScope},
		"tags with a write":                  {told("Deny", `"*"`, `"s3:PutObjectTagging"`, allObjects), s3.PutObject, func(a *auth.Access) { a.Facts = facts("x-amz-tagging", "a=b") }, auth.ReasonPolicy, auth.ReasonPolicy},
		"a version is no way around":         {told("Deny", `"*"`, `"s3:GetObject"`, allObjects), s3.GetObject, func(a *auth.Access) { a.Facts = facts("versionid", "null") }, auth.ReasonPolicy, auth.ReasonPolicy},
		"a denied version":                   {told("Deny", `"*"`, `"s3:DeleteObjectVersion"`, allObjects), s3.DeleteObject, func(a *auth.Access) { a.Facts = facts("versionid", "null") }, auth.ReasonPolicy, auth.ReasonPolicy},
		"a version that is not named":        {told("Deny", `"*"`, `"s3:DeleteObjectVersion"`, allObjects), s3.DeleteObject, nil, "", auth.ReasonScope},
		"what folds into a denied key":       {told("Deny", `"*"`, `"s3:GetObject"`, `"arn:aws:s3:::photos/secret/*"`), s3.GetObject, func(a *auth.Access) { a.Key = "a/../secret/b.txt" }, auth.ReasonPolicy, auth.ReasonPolicy},
		"what folds out of an allowed place": {told("Allow", `"*"`, `"s3:GetObject"`, `"arn:aws:s3:::photos/a/*"`), s3.GetObject, func(a *auth.Access) { a.Key = "a/../secret/b.txt" }, "", auth.ReasonScope},
		"many keys, hoped for":               {told("Allow", `"*"`, `"s3:DeleteObject"`, `"arn:aws:s3:::photos/a/*"`), s3.DeleteObjects, func(a *auth.Access) { a.Key = "" }, "", ""},
		"many keys, none hoped for":          {told("Allow", `"*"`, `"s3:GetObject"`, allObjects), s3.DeleteObjects, func(a *auth.Access) { a.Key = "" }, "", auth.ReasonScope},
		"many keys, one of them":             {told("Allow", `"*"`, `"s3:DeleteObject"`, `"arn:aws:s3:::photos/b/*"`), s3.DeleteObjects, nil, "", auth.ReasonScope},
		"the role is not widened":            {told("Allow", `"*"`, `"s3:*"`, allOfIt), s3.PutBucketPolicy, func(*auth.Access) {}, "", auth.ReasonRole},
		"the address is not widened":         {told("Allow", `"*"`, `"s3:*"`, allOfIt), s3.GetObject, func(a *auth.Access) { a.Client = netip.MustParseAddr("11.0.0.1") }, auth.ReasonAddress, auth.ReasonAddress},
		"the extensions are not widened":     {told("Allow", `"*"`, `"s3:*"`, allOfIt), s3.PutObject, func(a *auth.Access) { a.Key = "a/b.exe" }, auth.ReasonExtension, auth.ReasonExtension},
		"the list of buckets is no bucket's": {told("Deny", `"*"`, `"s3:*"`, allOfIt), s3.ListBuckets, nil, "", auth.ReasonScope},
		"from a network":                     {told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"IpAddress":{"aws:SourceIp":["10.1.0.0/16"]}}`), s3.GetObject, nil, "", ""},
		"from another network":               {told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"IpAddress":{"aws:SourceIp":"10.9.0.0/16"}}`), s3.GetObject, nil, "", auth.ReasonScope},
		"denied but from a network":          {told("Deny", `"*"`, `"s3:*"`, allOfIt, `{"NotIpAddress":{"aws:SourceIp":"10.9.0.0/16"}}`), s3.GetObject, nil, auth.ReasonPolicy, auth.ReasonPolicy},
		"denied without TLS":                 {told("Deny", `"*"`, `"s3:*"`, allOfIt, `{"Bool":{"aws:SecureTransport":"false"}}`), s3.GetObject, func(a *auth.Access) { a.Facts = facts("securetransport", "false") }, auth.ReasonPolicy, auth.ReasonPolicy},
		"not denied with TLS":                {told("Deny", `"*"`, `"s3:*"`, allOfIt, `{"Bool":{"aws:SecureTransport":false}}`), s3.GetObject, func(a *auth.Access) { a.Facts = facts("securetransport", "true") }, "", auth.ReasonScope},
		"both conditions have to hold":       {told("Deny", `"*"`, `"s3:*"`, allOfIt, `{"Bool":{"aws:SecureTransport":"false"},"IpAddress":{"aws:SourceIp":"10.9.0.0/16"}}`), s3.GetObject, func(a *auth.Access) { a.Facts = facts("securetransport", "false") }, "", auth.ReasonScope},
	} {
		t.Run(name, func(t *testing.T) {
			p := mustPolicy(t, c.policy)
			a := ask(c.op)
			a.Policy, a.SourcePolicy = p, p
			if c.change != nil {
				c.change(&a)
			}
			rich, poor := clerk(), clerk()
			rich.Keys = []auth.AccessKey{{ID: "S3MKEYOFCLERK"}}
			poor.Scopes, poor.AllowedBuckets, poor.Role = nil, []auth.Place{{Bucket: "elsewhere"}}, auth.RoleUser
			poor.Keys = rich.Keys
			for who, want := range map[*auth.User]auth.Reason{rich: c.limited, poor: c.poor} {
				if got := reasonOf(auth.Authorize(who, a)); got != want {
					t.Errorf("scopes %v: refused for %q, want %q", who.Scopes, got, want)
				}
			}
			if err := auth.Authorize(&auth.User{Login: auth.RootLogin}, a); err != nil {
				t.Errorf("root: %v", err)
			}
			poor.Active = false
			if got := reasonOf(auth.Authorize(poor, a)); got != auth.ReasonInactive {
				t.Errorf("somebody inactive: %q", got)
			}
		})
	}
}

// oneFact is all that is known.
type oneFact struct{ name, value string }

func (f oneFact) Fact(name string) string {
	if name == f.name {
		return f.value
	}
	return ""
}

func facts(name, value string) auth.Facts { return oneFact{name, value} }

func reasonOf(err error) auth.Reason {
	var d *auth.Denial
	if errors.As(err, &d) {
		return d.Reason
	}
	return ""
}

// TestPolicyConditions: each operator against a value that fits, one that does not, and none.
func TestPolicyConditions(t *testing.T) {
	for _, c := range []struct {
		operator, key, values string
		fact, fits, not       string // the name of the fact; a value that fits, and one that does not
		none                  bool   // whether it holds without a value
	}{
		{"StringEquals", "aws:UserAgent", `["a","b"]`, "useragent", "b", "B", false},
		{"StringNotEquals", "aws:UserAgent", `["a","b"]`, "useragent", "c", "a", true},
		{"StringEqualsIgnoreCase", "aws:UserAgent", `"a"`, "useragent", "A", "b", false},
		{"StringNotEqualsIgnoreCase", "aws:UserAgent", `"a"`, "useragent", "b", "A", true},
		{"StringLike", "aws:Referer", `"https://*.test/?"`, "referer", "https://a.b.test/x", "https://test/x", false},
		{"StringNotLike", "aws:Referer", `"https://*.test/*"`, "referer", "http://x", "https://a.test/", true},
		{"ArnLike", "aws:UserAgent", `"a*"`, "useragent", "ab", "b", false},
		{"ArnNotEquals", "aws:UserAgent", `"a*"`, "useragent", "b", "ab", true},
		{"NumericLessThan", "aws:EpochTime", `"10"`, "epochtime", "9", "10", false},
		{"NumericLessThanEquals", "aws:EpochTime", `10`, "epochtime", "10", "11", false},
		{"NumericGreaterThan", "aws:EpochTime", `10`, "epochtime", "11", "10", false},
		{"NumericGreaterThanEquals", "aws:EpochTime", `10`, "epochtime", "10", "x", false},
		{"NumericEquals", "aws:EpochTime", `[1,10]`, "epochtime", "10.0", "2", false},
		{"NumericNotEquals", "aws:EpochTime", `10`, "epochtime", "2", "10", true},
		{"DateGreaterThan", "aws:CurrentTime", `"2026-01-01T00:00:00Z"`, "currenttime", "2026-01-01T00:00:01Z", "2026-01-01T00:00:00Z", false},
		{"DateLessThanEquals", "aws:CurrentTime", `"2026-01-01"`, "currenttime", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", false},
		{"DateNotEquals", "aws:EpochTime", `"0"`, "epochtime", "1", "0", true},
		{"Bool", "aws:SecureTransport", `"true"`, "securetransport", "true", "false", false},
		{"Null", "aws:UserAgent", `"false"`, "useragent", "a", "", false},
		{"Null", "aws:UserAgent", `true`, "useragent", "", "a", true},
		{"StringEqualsIfExists", "aws:UserAgent", `"a"`, "useragent", "a", "b", true},
		{"ForAllValues:StringEquals", "aws:UserAgent", `"a"`, "useragent", "a", "b", true},
		{"ForAnyValue:StringNotEquals", "aws:UserAgent", `"a"`, "useragent", "b", "a", false},
		{"StringEquals", "AWS:useragent", `"a"`, "useragent", "a", "b", false},
		{"StringEquals", "s3:x-amz-server-side-encryption", `"AES256"`, "x-amz-server-side-encryption", "AES256", "aws:kms", false},
	} {
		p := mustPolicy(t, told("Deny", `"*"`, `"s3:PutObject"`, allObjects, fmt.Sprintf(`{%q:{%q:%s}}`, c.operator, c.key, c.values)))
		for value, want := range map[string]bool{c.fits: true, c.not: false, "": c.none} {
			a := ask(s3.PutObject)
			a.Policy, a.Facts = p, facts(c.fact, value)
			if got := reasonOf(auth.Authorize(clerk(), a)) == auth.ReasonPolicy; got != want {
				t.Errorf("%s of %s %s: %q holds: %v", c.operator, c.key, c.values, value, got)
			}
		}
	}
	for key, fits := range map[string]string{"aws:username": "clerk", "aws:userid": "clerk", "aws:PrincipalArn": "arn:aws:iam:::user/clerk"} {
		a := ask(s3.PutObject)
		a.Policy = mustPolicy(t, told("Deny", `"*"`, `"s3:PutObject"`, allObjects, fmt.Sprintf(`{"StringNotEquals":{%q:%q}}`, key, fits)))
		if err := auth.Authorize(clerk(), a); err != nil {
			t.Errorf("%s is not %s: %v", key, fits, err)
		}
	}
	a := ask(s3.PutObject)
	a.Client = netip.MustParseAddr("::ffff:10.1.2.3")
	a.Policy = mustPolicy(t, told("Deny", `"*"`, `"s3:PutObject"`, allObjects, `{"IpAddress":{"aws:SourceIp":"10.1.2.3"}}`))
	if reasonOf(auth.Authorize(clerk(), a)) != auth.ReasonPolicy {
		t.Error("an IPv4 address in its IPv6 form is not the IPv4 address")
	}
	a.Client, a.Policy = netip.Addr{}, mustPolicy(t, told("Deny", `"*"`, `"s3:PutObject"`, allObjects, `{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`))
	if u := (&auth.User{Login: "x", Active: true, Scopes: []auth.Scope{auth.ScopeWrite}}); reasonOf(auth.Authorize(u, a)) != auth.ReasonPolicy {
		t.Error("an address that is not known is in a network")
	}
}

// TestMalformedPolicies: what is not understood is refused, in AWS's words.
func TestMalformedPolicies(t *testing.T) {
	fine := told("Allow", `"*"`, `"s3:GetObject"`, allObjects)
	of := func(statement string) string { return `{"Statement":[` + statement + `]}` }
	for document, want := range map[string]string{
		``: "first byte", `[]`: "first byte", ` {}`: "first byte", `{`: "invalid Json", `{true}`: "invalid Json", `{"Statement":[]}x`: "invalid Json",
		`{}`: "Missing required field Statement", `{"Statement":[]}`: "Statement is empty", `{"Statement":5}`: "invalid Json",
		`{"Statement":["x"]}`: "invalid Json", `{"Statement":[{}],"Statement":[{}]}`: "invalid Json",
		`{"Version":"2012-10-16","Statement":[` + fine + `]}`: "valid version", `{"Version":5,"Statement":[` + fine + `]}`: "valid version",
		`{"Else":1,"Statement":[` + fine + `]}`:                                                                          "Unknown field Else",
		of(`{"Effect":"Allow","NotPrincipal":"*","Action":"s3:GetObject","Resource":` + allObjects + `}`):                "Unknown field NotPrincipal",
		of(`{"Effect":"Allow","Principal":"*","NotAction":"s3:GetObject","Resource":` + allObjects + `}`):                "Unknown field NotAction",
		of(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","NotResource":` + allObjects + `}`):                "Unknown field NotResource",
		of(`{"Effect":"Allow","Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":` + allObjects + `}`):   "invalid Json",
		of(`{"effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":` + allObjects + `}`):                   "Unknown field effect",
		of(`{"Principal":"*","Action":"s3:GetObject","Resource":` + allObjects + `}`):                                    "Invalid effect",
		of(told("allow", `"*"`, `"s3:GetObject"`, allObjects)):                                                           "Invalid effect: allow",
		of(`{"Effect":7,"Principal":"*","Action":"s3:GetObject","Resource":` + allObjects + `}`):                         "invalid Json",
		of(`{"Effect":"Allow","Action":"s3:GetObject","Resource":` + allObjects + `}`):                                   "Invalid principal",
		of(told("Allow", `""`, `"s3:GetObject"`, allObjects)):                                                            "Invalid principal",
		of(told("Allow", `[]`, `"s3:GetObject"`, allObjects)):                                                            "Invalid principal",
		of(told("Allow", `{"AWS":[]}`, `"s3:GetObject"`, allObjects)):                                                    "Invalid principal",
		of(told("Allow", `{"Service":"x"}`, `"s3:GetObject"`, allObjects)):                                               "Invalid principal",
		of(told("Allow", `{"AWS":"*","Service":"x"}`, `"s3:GetObject"`, allObjects)):                                     "Invalid principal",
		of(told("Allow", `["*","clerk"]`, `"s3:GetObject"`, allObjects)):                                                 "Invalid principal",
		of(told("Allow", `"nobody"`, `"s3:GetObject"`, allObjects)):                                                      "Invalid principal",
		of(told("Allow", `"arn:aws:iam::123456789012:root"`, `"s3:GetObject"`, allObjects)):                              "Invalid principal",
		of(told("Allow", `null`, `"s3:GetObject"`, allObjects)):                                                          "Invalid principal",
		of(told("Allow", `"*"`, `""`, allObjects)):                                                                       "invalid action",
		of(told("Allow", `"*"`, `[]`, allObjects)):                                                                       "invalid action",
		of(told("Allow", `"*"`, `"*"`, allObjects)):                                                                      "invalid action",
		of(told("Allow", `"*"`, `"s3:GetObjekt"`, allObjects)):                                                           "invalid action",
		of(told("Allow", `"*"`, `"s3:????"`, allObjects)):                                                                "invalid action",
		of(told("Allow", `"*"`, `"iam:GetObject"`, allObjects)):                                                          "invalid action",
		of(told("Allow", `"*"`, `{"a":1}`, allObjects)):                                                                  "invalid action",
		of(told("Allow", `"*"`, `"s3:GetObject"`, `""`)):                                                                 "invalid resource",
		of(told("Allow", `"*"`, `"s3:GetObject"`, `[]`)):                                                                 "invalid resource",
		of(told("Allow", `"*"`, `"s3:GetObject"`, `"arn:aws:iam:::photos/*"`)):                                           "invalid resource",
		of(told("Allow", `"*"`, `"s3:GetObject"`, `"arn:aws:s3:::/photos"`)):                                             "invalid resource",
		of(told("Allow", `"*"`, `"s3:GetObject"`, `"arn:aws:s3:::photos2/*"`)):                                           "invalid resource",
		of(told("Allow", `"*"`, `"s3:GetObject"`, `"arn:aws:s3:::*"`)):                                                   "invalid resource",
		of(told("Allow", `"*"`, `"s3:GetObject"`, `"arn:aws:s3:::photos/${aws:username}/*"`)):                            "variables",
		of(told("Allow", `"*"`, `"s3:GetObject"`, theBucket)):                                                            "does not apply",
		of(told("Allow", `"*"`, `"s3:Abort*"`, theBucket)):                                                               "does not apply",
		of(told("Allow", `"*"`, `"s3:ListBucket"`, allObjects)):                                                          "does not apply",
		of(told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `5`)):                                                      "invalid Json",
		of(told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"StringEquals":5}`)):                                     "invalid Json",
		of(told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"StringEquals":{"aws:UserAgent":{}}}`)):                  "invalid Json",
		of(told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"stringequals":{"aws:UserAgent":"a"}}`)):                 "Invalid Condition type : stringequals",
		of(told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"NullIfExists":{"aws:UserAgent":"a"}}`)):                 "Invalid Condition type : NullIfExists",
		of(told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"BinaryEquals":{"aws:UserAgent":"a"}}`)):                 "Invalid Condition type : BinaryEquals",
		of(told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"StringEquals":{"s3:ExistingObjectTag/a":"b"}}`)):        "invalid condition key",
		of(told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"StringEquals":{"s3:prefix":"b"}}`)):                     "Conditions do not apply",
		of(told("Allow", `"*"`, `["s3:GetObject","s3:PutObject"]`, allObjects, `{"StringEquals":{"s3:x-amz-acl":"b"}}`)): "Conditions do not apply",
		of(told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"IpAddress":{"aws:SourceIp":"300.1.1.1/40"}}`)):          "Invalid IP address",
		of(told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"Null":{"aws:SourceIp":"true"}}`)):                       "Invalid IP address",
		of(told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"Bool":{"aws:SecureTransport":"maybe"}}`)):               "Invalid value",
		of(told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"DateLessThan":{"aws:CurrentTime":"soon"}}`)):            "Invalid value",
		of(told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"NumericEquals":{"aws:EpochTime":"many"}}`)):             "Invalid value",
		of(told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"StringEquals":{"aws:UserAgent":"${aws:username}"}}`)):   "variables",
	} {
		_, err := auth.ParseBucketPolicy([]byte(document), "photos", knowsClerk)
		if !errors.Is(err, s3.MalformedPolicy) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", document, err, want)
		}
	}
	away := errors.New("away")
	_, err := auth.ParseBucketPolicy([]byte(of(told("Allow", `"clerk"`, `"s3:GetObject"`, allObjects))), "photos", func(string) (bool, error) { return false, away })
	if !errors.Is(err, away) {
		t.Errorf("who cannot be looked up: %v", err)
	}
	for _, document := range []string{
		of(fine), `{"Id":"x","Statement":` + fine + `}`, `{"Version":"2008-10-17","Statement":[` + fine + `]}`,
		of(told("Allow", `{"AWS":"*"}`, `"s3:*"`, `"arn:aws:s3:::photos*"`)), of(told("Deny", `"*"`, `"s3:*"`, theBucket)),
		of(told("Allow", `"*"`, `"s3:PutObject*"`, allObjects, `{"StringEquals":{"s3:x-amz-acl":"private"}}`)),
	} {
		if _, err := auth.ParseBucketPolicy([]byte(document), "photos", knowsClerk); err != nil {
			t.Errorf("%s: %v", document, err)
		}
	}
}

func TestPublicPolicies(t *testing.T) {
	for statement, want := range map[string]bool{
		told("Allow", `"*"`, `"s3:GetObject"`, allObjects):                                                       true,
		told("Deny", `"*"`, `"s3:GetObject"`, allObjects):                                                        false,
		told("Allow", `"clerk"`, `"s3:GetObject"`, allObjects):                                                   false,
		told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`):        false,
		told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}}`):         true,
		told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`):     true,
		told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"StringLike":{"aws:username":"*"}}`):                true,
		told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"StringLike":{"aws:username":"a*"}}`):               false,
		told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"StringLike":{"aws:Referer":"https://x.test/*"}}`):  true,
		told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"StringEqualsIfExists":{"aws:username":"a"}}`):      true,
		told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"ForAllValues:StringEquals":{"aws:username":"a"}}`): true,
	} {
		if got := mustPolicy(t, statement).Public(); got != want {
			t.Errorf("%s: public %v", statement, got)
		}
	}
}

// TestNoOperationIsWithoutAction: every operation that works on a bucket can be denied by
// s3:*, whatever it is called.
func TestNoOperationIsWithoutAction(t *testing.T) {
	p := mustPolicy(t, told("Deny", `"*"`, `"s3:*"`, allOfIt))
	for _, op := range s3.Operations() {
		a := ask(op)
		a.Policy = p
		got := reasonOf(auth.Authorize(clerk(), a))
		switch op {
		case s3.ListBuckets, s3.ListDirectoryBuckets: // of no bucket
			if got != "" {
				t.Errorf("%s: %q", op, got)
			}
		default:
			if got != auth.ReasonPolicy && got != auth.ReasonOperation {
				t.Errorf("%s: %q", op, got)
			}
		}
	}
}

// FuzzBucketPolicy: whatever is taken can be asked, and denies when it says so for all.
func FuzzBucketPolicy(f *testing.F) {
	f.Add(`{"Statement":[` + told("Deny", `"*"`, `"s3:*"`, allOfIt, `{"Null":{"aws:UserAgent":"true"}}`) + `]}`)
	f.Add(`{"Statement":{}}`)
	f.Fuzz(func(t *testing.T, document string) {
		p, err := auth.ParseBucketPolicy([]byte(document), "photos", knowsClerk)
		if err != nil {
			if !errors.Is(err, s3.MalformedPolicy) {
				t.Errorf("%v", err)
			}
			return
		}
		p.Public()
		a := ask(s3.CopyObject)
		a.Policy, a.SourcePolicy, a.Source = p, p, object.Key{Bucket: "photos", Name: "x"}
		_ = auth.Authorize(clerk(), a) // which must only not panic
	})
}
