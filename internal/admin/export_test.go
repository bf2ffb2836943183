package admin

// Operation is what the chain knows of one operation, for the tests.
type Operation struct{ Pattern, ID, Role string }

// Operations lists them all.
func Operations() []Operation {
	ops, err := operations()
	if err != nil {
		panic(err)
	}
	var out []Operation
	for pattern, op := range ops {
		out = append(out, Operation{pattern, op.id, string(op.role)})
	}
	return out
}

// ParseCursor round-trips a cursor.
func ParseCursor(s string) (string, error) {
	c, err := parseCursor(s)
	return c.String(), err
}

// Kebab is how the code of an S3 error is written in the type of a problem.
var Kebab = kebab

// WithKeyInOneSegment is how the path of an object comes to the mux.
var WithKeyInOneSegment = withKeyInOneSegment
