package replica_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// maxSettings is replica's bound on the settings of a bucket, in bytes.
const maxSettings = 128 << 10

// TestSettings: what is kept of a bucket is there after a restart, and goes with
// the bucket.
func TestSettings(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		setting := func(want string, there bool) {
			t.Helper()
			got, ok, err := r.set.BucketSetting(r.ctx, testBucket, "cors")
			if got != want || ok != there || err != nil {
				t.Errorf("%q, %v, %v, want %q, %v", got, ok, err, want, there)
			}
		}
		put := func(document *string) {
			t.Helper()
			if err := r.set.SetBucketSetting(r.ctx, testBucket, "cors", document, "tester", "2"); err != nil {
				t.Fatal(err)
			}
		}
		setting("", false)
		text, none := "<Rules/>", ""
		put(&text)
		setting(text, true)
		put(&none)
		setting("", true)
		put(&text)
		r.close()
		r.open(nil)
		setting(text, true)
		put(nil)
		setting("", false)
		put(&text)
		if err := r.set.DeleteBucket(r.ctx, testBucket, "tester", "3"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.set.BucketSetting(r.ctx, testBucket, "cors"); !errors.Is(err, s3.NoSuchBucket) {
			t.Errorf("of a deleted bucket: %v", err)
		}
		if err := r.set.SetBucketSetting(r.ctx, testBucket, "cors", &text, "tester", "4"); !errors.Is(err, s3.NoSuchBucket) {
			t.Errorf("set of a deleted bucket: %v", err)
		}
		if err := r.set.CreateBucket(r.ctx, testBucket, "tester", "5", replica.Setting{Name: "tagging", Document: "<T/>"}); err != nil {
			t.Fatal(err)
		}
		setting("", false)
		if got, ok, err := r.set.BucketSetting(r.ctx, testBucket, "tagging"); got != "<T/>" || !ok || err != nil {
			t.Errorf("made with a setting: %q, %v, %v", got, ok, err)
		}
	})
}

// TestSettingsAreBounded: a bucket's record stays small.
func TestSettingsAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		most, one := strings.Repeat("x", maxSettings-len("cors")), "x"
		if err := r.set.SetBucketSetting(r.ctx, testBucket, "cors", &most, "", ""); err != nil {
			t.Fatal(err)
		}
		if err := r.set.SetBucketSetting(r.ctx, testBucket, "tagging", &one, "", ""); !errors.Is(err, s3.MaxMessageLengthExceeded) {
			t.Errorf("too much: %v", err)
		}
		if _, ok, err := r.set.BucketSetting(r.ctx, testBucket, "tagging"); ok || err != nil {
			t.Errorf("too much was kept: %v", err)
		}
		if err := r.set.CreateBucket(r.ctx, "other", "", "", replica.Setting{Name: "cors", Document: most + one}); !errors.Is(err, s3.MaxMessageLengthExceeded) {
			t.Errorf("made with too much: %v", err)
		}
		if err := r.set.HeadBucket(r.ctx, "other"); !errors.Is(err, s3.NoSuchBucket) {
			t.Errorf("a refused bucket: %v", err)
		}
	})
}

// brokenDocs is a log that changes no document while broken holds.
type brokenDocs struct {
	oplog.Log
	broken bool
}

func (l *brokenDocs) SwapDoc(ctx context.Context, old oplog.Epoch, doc oplog.Doc) error {
	if l.broken {
		return oplog.Unknown(errors.New("away"))
	}
	return l.Log.SwapDoc(ctx, old, doc)
}

// TestSettingOnAFailingLog: what the log does not say is not taken for done.
func TestSettingOnAFailingLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &brokenDocs{Log: memory.NewLog()}
		r := newRig(t, log, "a", "b")
		r.open(nil)
		r.makeBucket()
		text := "<Rules/>"
		log.broken = true
		if err := r.set.SetBucketSetting(r.ctx, testBucket, "cors", &text, "", ""); !errors.Is(err, s3.SlowDown) {
			t.Errorf("%v", err)
		}
		log.broken = false
		if _, ok, err := r.set.BucketSetting(r.ctx, testBucket, "cors"); ok || err != nil {
			t.Errorf("it is shown all the same: %v", err)
		}
	})
}

// TestGlanceSetting: what one node sets another sees within a second, by reading its record
// once in that time, however often it is asked.
func TestGlanceSetting(t *testing.T) {
	inFleet(t, 2, memory.NewLog(), func(t *testing.T, f *fleet) {
		glance := func(n int, want string) {
			t.Helper()
			got, ok, err := f.all[n].set.GlanceSetting(f.ctx, testBucket, "policy")
			if got != want || ok != (want != "") || err != nil {
				t.Errorf("node %d: %q, %v, %v, want %q", n, got, ok, err, want)
			}
		}
		glance(0, "")
		glance(1, "")
		text := "{}"
		if err := f.all[0].set.SetBucketSetting(f.ctx, testBucket, "policy", &text, "", ""); err != nil {
			t.Fatal(err)
		}
		glance(0, text)
		time.Sleep(1001 * time.Millisecond)
		glance(1, text)
		if _, _, err := f.all[1].set.GlanceSetting(f.ctx, "nowhere", "policy"); !errors.Is(err, s3.NoSuchBucket) {
			t.Errorf("of no bucket: %v", err)
		}
		if err := f.all[0].set.DeleteBucket(f.ctx, testBucket, "", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1001 * time.Millisecond)
		if _, _, err := f.all[1].set.GlanceSetting(f.ctx, testBucket, "policy"); !errors.Is(err, s3.NoSuchBucket) {
			t.Errorf("of a bucket that is gone: %v", err)
		}
	})
}
