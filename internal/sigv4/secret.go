package sigv4

import (
	"fmt"
	"log/slog"
)

const redacted = "***"

// Secret is a secret access key. However it is printed, logged or marshalled
// it shows ***; only this package and an explicit conversion to string see it.
// Package fmt does not ask the fields of a struct that it cannot see: a struct
// that holds a Secret in an unexported field needs a Format of its own.
type Secret string

// String hides the secret.
func (Secret) String() string { return redacted }

// Format hides the secret from every verb of package fmt.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// LogValue hides the secret from package slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the secret from JSON, YAML and XML.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
