package sigv4

import (
	"slices"
	"strings"
	"time"
)

// authorization is the parsed header of that name.
type authorization struct {
	accessKeyID   string
	date, region  string // of the scope
	signedHeaders []string
	signature     string
}

// parseAuthorization reads
//
//	AWS4-HMAC-SHA256 Credential=K/DATE/REGION/s3/aws4_request,SignedHeaders=a;b,Signature=hex
//
// Blanks around the commas are optional: SDKs write them, s3cmd does not.
func parseAuthorization(value string) (authorization, error) {
	var a authorization
	scheme, rest, ok := strings.Cut(value, " ")
	if !ok {
		return a, invalidArgument("Authorization", value,
			"Authorization header is invalid -- one and only one ' ' (space) required.")
	}
	if err := checkScheme(scheme); err != nil {
		return a, err
	}
	parts := strings.Split(rest, ",")
	if len(parts) != 3 {
		return a, malformedAuth("the authorization header requires three components: Credential, SignedHeaders, and Signature.")
	}
	var values [3]string
	for i, name := range [...]string{"Credential", "SignedHeaders", "Signature"} {
		part := strings.TrimSpace(parts[i])
		got, v, ok := strings.Cut(part, "=")
		switch {
		case !ok:
			return a, malformedAuth("the authorization component %q is malformed.", part)
		case got != name || v == "":
			return a, malformedAuth("missing %s.", name)
		}
		values[i] = v
	}
	if err := a.parseCredential(values[0], malformedAuth); err != nil {
		return a, err
	}
	a.signature = values[2]
	if err := a.parseSignedHeaders(values[1], malformedAuth); err != nil {
		return a, err
	}
	return a, nil
}

func checkScheme(scheme string) error {
	switch scheme {
	case algorithm:
		return nil
	case "AWS": // Signature Version 2
		return &Error{Code: codeInvalidRequest, Message: textSigV2}
	case "AWS4-ECDSA-P256-SHA256":
		return &Error{Code: codeNotImplemented, Message: "The authorization mechanism AWS4-ECDSA-P256-SHA256 is not supported."}
	}
	return invalidArgument("Authorization", scheme, "Unsupported Authorization Type")
}

const textSigV2 = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."

// parseCredential reads the scope from the right, because access keys may
// contain slashes. Only a credential of exactly five parts says which of them
// is wrong: with more, the extra slash may be anywhere. refuse words the error,
// which depends on where the credential stood.
func (a *authorization) parseCredential(credential string, refuse func(string, ...any) *Error) error {
	malformed := func() error {
		return refuse(`the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`)
	}
	parts := strings.Split(credential, "/")
	n := len(parts)
	if n < 5 {
		return malformed()
	}
	a.accessKeyID = strings.Join(parts[:n-4], "/")
	a.date, a.region = parts[n-4], parts[n-3]
	var err *Error
	switch {
	case parts[n-2] != service:
		err = refuse(`incorrect service %q. This endpoint belongs to "s3".`, parts[n-2])
	case parts[n-1] != terminator:
		err = refuse(`incorrect terminal %q. This endpoint uses "aws4_request".`, parts[n-1])
	case !validDate(a.date):
		err = refuse(`incorrect date format %q. This date in the credential must be in the format "yyyyMMdd".`, a.date)
	case a.accessKeyID == "" || a.region == "":
		return malformed()
	}
	if err != nil && n > 5 {
		return malformed()
	}
	if err != nil {
		return err
	}
	return nil
}

func validDate(date string) bool {
	_, err := time.Parse(dateLayout, date)
	return err == nil && len(date) == len(dateLayout)
}

// parseSignedHeaders sorts and lower-cases the names: the canonical form has
// them so, however the client listed them.
func (a *authorization) parseSignedHeaders(list string, refuse func(string, ...any) *Error) error {
	names := strings.Split(strings.ToLower(list), ";")
	slices.Sort(names)
	if names[0] == "" || len(slices.Compact(slices.Clone(names))) != len(names) {
		return refuse("SignedHeaders has an empty or repeated name.")
	}
	a.signedHeaders = names
	return nil
}
