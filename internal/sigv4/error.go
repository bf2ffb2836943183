package sigv4

import (
	"fmt"
	"strings"
)

// S3's code words, as this package answers them.
const (
	codeAccessDenied         = "AccessDenied"
	codeAuthHeaderMalformed  = "AuthorizationHeaderMalformed"
	codeAuthQueryParams      = "AuthorizationQueryParametersError"
	codeIncompleteBody       = "IncompleteBody"
	codeInvalidArgument      = "InvalidArgument"
	codeInvalidChunkSize     = "InvalidChunkSizeError"
	codeInvalidRequest       = "InvalidRequest"
	codeInvalidURI           = "InvalidURI"
	codeMalformedTrailer     = "MalformedTrailerError"
	codeNotImplemented       = "NotImplemented"
	codeRequestTimeTooSkewed = "RequestTimeTooSkewed"
	codeSignatureMismatch    = "SignatureDoesNotMatch"
)

// Texts that more than one place answers. They are AWS's own words: clients
// and conformance suites compare them literally.
const (
	textBodyCut      = "The request body terminated unexpectedly"
	textLengthDiffer = "You did not provide the number of bytes specified by the Content-Length HTTP header"
	textTrailer      = "The request contained trailing data that was not well-formed or did not conform to our published schema."
	textMismatch     = "The request signature we calculated does not match the signature you provided. Check your key and signing method."
)

// Error is a refusal in S3's words.
type Error struct {
	Code    string            // S3's code word: "SignatureDoesNotMatch"
	Message string            // S3's text, safe to show to the client
	Fields  map[string]string // further elements of S3's error document, by element name; may be nil
	Err     error             // the cause, for the log; may be nil
}

// Error leaves Fields out: they echo the client's headers, which belong into
// the answer to that client and into no log.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Err)
	}
	return e.Code + ": " + e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func malformedAuth(format string, args ...any) *Error {
	return &Error{
		Code:    codeAuthHeaderMalformed,
		Message: "The authorization header is malformed; " + fmt.Sprintf(format, args...),
	}
}

// saying returns the error with another text.
func (e *Error) saying(format string, args ...any) *Error {
	e.Message = fmt.Sprintf(format, args...)
	return e
}

func invalidArgument(name, value, text string) *Error {
	return &Error{
		Code:    codeInvalidArgument,
		Message: text,
		Fields:  map[string]string{"ArgumentName": name, "ArgumentValue": value},
	}
}

// mismatch explains a wrong signature the way S3 does: with everything the
// client needs to find its mistake and nothing that depends on the secret.
func mismatch(q *Request, stringToSign, provided string) *Error {
	return &Error{
		Code:    codeSignatureMismatch,
		Message: textMismatch,
		Fields: map[string]string{
			"AWSAccessKeyId":        q.AccessKeyID,
			"StringToSign":          stringToSign,
			"StringToSignBytes":     spacedHex(stringToSign),
			"SignatureProvided":     provided,
			"CanonicalRequest":      q.canonical,
			"CanonicalRequestBytes": spacedHex(q.canonical),
		},
	}
}

// spacedHex shows the bytes of s as "61 62 0a".
func spacedHex(s string) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	b.Grow(3 * len(s))
	for i := range len(s) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteByte(digits[s[i]>>4])
		b.WriteByte(digits[s[i]&15])
	}
	return b.String()
}
