package s3

import (
	"errors"
	"fmt"
	"strconv"
)

// Field is one more element of an error document, such as ActualObjectSize of
// InvalidRange.
type Field struct{ Name, Value string }

// Error is the one error of the S3 API. Code, Message and Fields are for the
// client; Err is the cause, for the log only.
type Error struct {
	Code    Code
	Message string
	Err     error
	Fields  []Field

	// Status is the HTTP status that a backend answered with, zero for an error
	// of our own. An error that carries one describes our conversation with the
	// backend, so WriteError never shows it to a client: see ForClient.
	Status int
}

// Err returns an error with the code's default text.
func Err(code Code) *Error { return &Error{Code: code, Message: code.Text()} }

// Errorf returns an error with a text of its own. An operand of %w becomes
// the cause, and its text is part of the message: wrap nothing that a client
// must not read (use Because).
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// With returns a copy with one more element in the document.
func (e *Error) With(name, value string) *Error {
	c := *e
	c.Fields = append(append([]Field(nil), e.Fields...), Field{name, value})
	return &c
}

// Because returns a copy that keeps the cause for the log.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.Err = cause
	return &c
}

// Field returns the value of an extra element, empty when there is none.
func (e *Error) Field(name string) string {
	for _, f := range e.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// Error is for logs: the code, the text and the cause.
func (e *Error) Error() string {
	s := string(e.Code)
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Status != 0 {
		s = fmt.Sprintf("%s (HTTP status %d)", s, e.Status)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is holds for a Code and for an *Error of the same code.
func (e *Error) Is(target error) bool {
	switch t := target.(type) {
	case Code:
		return e.Code == t
	case *Error:
		return e.Code == t.Code
	}
	return false
}

// invalidArgument names the argument in the document, as AWS does.
func invalidArgument(name, value, format string, args ...any) *Error {
	return Errorf(InvalidArgument, format, args...).With("ArgumentName", name).With("ArgumentValue", value)
}

func keyTooLong(size int) *Error {
	return Err(KeyTooLong).With("Size", strconv.Itoa(size)).With("MaxSizeAllowed", strconv.Itoa(MaxKeyBytes))
}

func methodNotAllowed(method string, k kind) *Error {
	return Err(MethodNotAllowed).With("Method", method).With("ResourceType", string(k))
}
