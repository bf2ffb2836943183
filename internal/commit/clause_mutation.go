//go:build mutation

package commit

// off is the clause that is switched off.
var off Clause

// Off switches one clause off, and all others on; "" switches all on. Nothing may
// run meanwhile. It exists in builds with the tag mutation only.
func Off(c Clause) { off = c }

// holds tells whether a clause is in force.
func holds(c Clause) bool { return c != off }
