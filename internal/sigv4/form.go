package sigv4

import (
	"slices"
	"time"
)

// maxFormAge is how long a form may be used after its signer made it, whatever
// its policy says.
const maxFormAge = MaxExpires

// formFields are the fields of a form that hold credentials of either version, or go with
// them.
var formFields = []string{"policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "x-amz-security-token", "awsaccesskeyid", "signature"}

// BareForm is Bare for the fields of a browser's form, by their lower-case names.
func BareForm(fields map[string]string) bool {
	return !slices.ContainsFunc(formFields, func(name string) bool {
		_, ok := fields[name]
		return ok
	})
}

// ParseForm reads the credentials in the fields of a browser's form, by their
// lower-case names: what is signed is the policy, as it stands. v2 says that
// Signature Version 2 is taken too. The body is never signed. The signature is
// not verified yet: call Verify.
//
// AccessDenied for a form without any credentials, and for one that is too old;
// InvalidArgument for credentials that are incomplete or malformed;
// InvalidRequest for Signature Version 2 when it is not taken.
func ParseForm(fields map[string]string, v2 bool, now time.Time) (*Request, error) {
	q := &Request{Mode: Unsigned, PayloadHash: Unsigned.String(), text: fields["policy"], form: true, SessionToken: fields["x-amz-security-token"]}
	_, old := fields["awsaccesskeyid"]
	signed := false
	required := []string{"policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"}
	if old {
		required = []string{"policy", "awsaccesskeyid", "signature"}
	}
	for _, name := range required {
		_, ok := fields[name]
		signed = signed || ok
	}
	if !signed {
		return nil, &Error{Code: codeAccessDenied, Message: "Access Denied."}
	}
	for _, name := range required {
		if _, ok := fields[name]; !ok {
			return nil, invalidArgument(name, "", "Bucket POST must contain a field named '"+name+"'.  If it is specified, please check the order of the fields.")
		}
	}
	if old {
		if !v2 {
			return nil, &Error{Code: codeInvalidRequest, Message: textSigV2}
		}
		q.v2, q.AccessKeyID, q.Signature, q.Time = true, fields["awsaccesskeyid"], fields["signature"], now
		return q, nil
	}
	if fields["x-amz-algorithm"] != algorithm {
		return nil, invalidArgument(paramAlgorithm, fields["x-amz-algorithm"], "Only AWS4-HMAC-SHA256 is supported")
	}
	t, ok := parseTime(fields["x-amz-date"])
	if !ok {
		return nil, invalidArgument(paramDate, fields["x-amz-date"], "X-Amz-Date must be formated via ISO8601 Long format")
	}
	if now.Sub(t) > maxFormAge {
		return nil, &Error{Code: codeAccessDenied, Message: "Invalid according to Policy: Policy expired."}
	}
	credential := fields["x-amz-credential"]
	var a authorization
	err := a.parseCredential(credential, func(format string, args ...any) *Error {
		return invalidArgument("x-amz-credential", credential, "").saying(format, args...)
	})
	if err != nil {
		return nil, err
	}
	a.signature = fields["x-amz-signature"]
	q.take(a)
	q.Time, q.amzDate = t, fields["x-amz-date"]
	return q, nil
}
