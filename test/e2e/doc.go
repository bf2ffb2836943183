// Package e2e proves s3mirror from outside: the built binary between real S3
// servers and real clients, while processes are killed and stopped, disks fill
// and requests lie.
//
// The tests carry the build tag e2e, so that `go test ./...` stays fast and
// offline; `make test` runs them after scripts/tools.sh has installed what
// they need. Each prints the counts that it reached and fails below a floor,
// because a test that did nothing proves nothing.
package e2e
