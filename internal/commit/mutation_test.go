//go:build mutation

package commit

import "os"

// The suite of package sim plays these tests with one clause switched off.
func init() { Off(Clause(os.Getenv("COMMIT_CLAUSE_OFF"))) }
