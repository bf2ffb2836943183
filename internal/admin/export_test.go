package admin

// Routes lists "METHOD path" of every route, for the tests.
func Routes() []string {
	out := make([]string, len(routes))
	for i, rt := range routes {
		out[i] = rt.method + " " + rt.path
	}
	return out
}

// OpenAPI is the embedded description.
func OpenAPI() []byte { return openAPI }

// ParseCursor round-trips a cursor.
func ParseCursor(s string) (string, error) {
	c, err := parseCursor(s)
	return c.String(), err
}
