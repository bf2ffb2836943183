package cassandra

import (
	"testing"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/auth/authtest"
	"github.com/s3mirror/s3mirror/internal/document"
)

// The contract of the users on a store in memory; test/cassandra runs it on the
// real one.
func TestUsers(t *testing.T) {
	authtest.Run(t, func(*testing.T) authtest.Harness {
		s := newFakeStore()
		open := func() auth.Store { return document.NewStore(testLog(s, nil)) }
		return authtest.Harness{Store: open(), Reopen: func(*testing.T) auth.Store { return open() }}
	})
}
