//go:build e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// TestClientsSeeNoChange kills one backend after the other: what compares
// sizes, times, ETags and hashes must find nothing to do, whichever is gone.
// Clients make one attempt, so that a read that fails is seen.
func TestClientsSeeNoChange(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	s, g := startSite(t, backends, "http")
	looks := []look{rcloneLook(t, s, "see-rclone"), awsSyncLook(t, s, "see-aws")}
	if *matrixAll {
		looks = append(looks, resticLook(t, s, "see-restic"))
	}
	g.Converge(t)
	before := seen(t, s, "see-rclone", "see-aws")
	for _, b := range backends {
		b.Kill()
		t.Run("without "+b.Name, func(t *testing.T) {
			for _, look := range looks {
				look(t)
			}
			if after := seen(t, s, "see-rclone", "see-aws"); !slices.Equal(after, before) {
				t.Errorf("what is listed changed:\n%s\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
			}
		})
		b.Start(t) // for longer than the subtest
		g.Converge(t)
	}
	floor(t, "objects looked at", int64(len(before)), 14)
}

// look fails the test if its client sees a change.
type look func(t *testing.T)

// seen is what a client can tell objects apart by: list and HEAD.
func seen(t *testing.T, s site, buckets ...string) (lines []string) {
	t.Helper()
	c := s.sdk(t)
	for _, bucket := range buckets {
		for _, key := range s.list(t, c, bucket) {
			h, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key, ChecksumMode: "ENABLED"})
			if err != nil {
				t.Fatalf("%q: %v", key, err)
			}
			sum := func(p *string) string {
				if p == nil {
					return "-"
				}
				return *p
			}
			lines = append(lines, fmt.Sprintf("%s/%s %d %s %v %v crc32 %s crc64nvme %s", bucket, key, *h.ContentLength, *h.ETag,
				h.LastModified, h.Metadata, sum(h.ChecksumCRC32), sum(h.ChecksumCRC64NVME)))
		}
	}
	return lines
}

func rcloneLook(t *testing.T, s site, bucket string) look {
	folder, _ := tree(t, "")
	bin, env := rcloneRemote(t, s, "Minio")
	env = append(env, "RCLONE_S3_UPLOAD_CUTOFF=5Mi", "RCLONE_S3_CHUNK_SIZE=5Mi")
	run(t, env, "", bin, "sync", folder, "r:"+bucket)
	return func(t *testing.T) {
		run(t, env, "", bin, "check", folder, "r:"+bucket)
		run(t, env, "", bin, "check", "--download", folder, "r:"+bucket)
		_, out := tryRun(t, append(env, "RCLONE_LOG_FILE="+filepath.Join(t.TempDir(), "log")), "", bin, "sync", "--checksum", "--dry-run",
			"--combined", "-", folder, "r:"+bucket)
		if strings.Count(out, "= ") != 7 || strings.Count(out, "\n") != 7 {
			t.Errorf("rclone would change something:\n%s", out)
		}
	}
}

func awsSyncLook(t *testing.T, s site, bucket string) look {
	folder, _ := tree(t, "")
	aws := harness.Tool(t, "py-aws/bin/aws", "python3 with venv; then scripts/tools.sh")
	env := s.env(t)
	call := func(t *testing.T, args ...string) string {
		t.Helper()
		return run(t, env, "", append([]string{aws, "--endpoint-url", s.url(), "s3"}, args...)...)
	}
	call(t, "mb", "s3://"+bucket)
	call(t, "sync", "--no-progress", folder, "s3://"+bucket)
	return func(t *testing.T) {
		if out := call(t, "sync", "--dryrun", "--delete", folder, "s3://"+bucket); out != "" {
			t.Errorf("aws s3 sync would upload:\n%s", out)
		}
		back := t.TempDir()
		call(t, "sync", "--no-progress", "s3://"+bucket, back)
		sameTree(t, back, folder)
		if out := call(t, "sync", "--dryrun", "--exact-timestamps", "s3://"+bucket, back); out != "" {
			t.Errorf("aws s3 sync would download:\n%s", out)
		}
	}
}

func resticLook(t *testing.T, s site, bucket string) look {
	folder, _ := tree(t, "")
	r := newRestic(t, s, bucket)
	r.call("init")
	r.call("backup", folder)
	return func(t *testing.T) {
		r := newRestic(t, s, bucket)
		r.call("check", "--read-data")
		if out := r.call("backup", "--dry-run", folder); !strings.Contains(out, "0 new,     0 changed,     7 unmodified") {
			t.Errorf("restic finds changes:\n%s", out)
		}
		back := t.TempDir()
		r.call("restore", "latest", "--target", back)
		sameTree(t, filepath.Join(back, folder), folder)
	}
}
