package replica_test

import (
	"errors"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

var (
	red  = object.Tags{"colour": "red", "a b": "ü+/="}
	blue = object.Tags{"colour": "blue"}
)

// remote is a connection to one server, past the Set.
func (r *rig) remote(name string) *backend.Remote {
	r.t.Helper()
	remote, err := backend.NewRemote(backend.Options{
		Name: name, Endpoint: &url.URL{Scheme: "http", Host: name + ".test"}, Region: "us-east-1",
		AccessKeyID: "k", SecretAccessKey: "s", StampKey: object.NewStampKey(make([]byte, 32)), Dial: r.wires[name].dial,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return remote
}

// tagsAre asks the Set, and each server that is named, or all.
func (r *rig) tagsAre(name string, want object.Tags, at ...string) {
	r.t.Helper()
	synctest.Wait() // the ack rule may be met before all have answered
	if got, _, err := r.set.Tags(r.ctx, key(name)); err != nil || !got.Equal(want) {
		r.t.Fatalf("%s has tags %v, %v, want %v", name, got, err, want)
	}
	if at == nil {
		at = r.names
	}
	for _, server := range at {
		remote := r.remote(server)
		got, err := remote.Tags(r.ctx, testBucket, name)
		remote.Close()
		if err != nil || !got.Equal(want) {
			r.t.Fatalf("%s has tags %v on %s, %v, want %v", name, got, server, err, want)
		}
	}
}

func (r *rig) tag(name string, tags object.Tags) error {
	return r.set.PutTags(r.ctx, replica.TagRequest{Key: key(name), Tags: tags, Actor: "tester", Request: "1"})
}

func (r *rig) mustTag(name string, tags object.Tags) {
	r.t.Helper()
	if err := r.tag(name, tags); err != nil {
		r.t.Fatalf("tag %s: %v", name, err)
	}
}

func (r *rig) putTagged(name string, size int, tags object.Tags) object.Info {
	r.t.Helper()
	info, err := r.set.Put(r.ctx, replica.PutRequest{Key: key(name), Body: newUpload(content(size, 1)), Tags: tags})
	if err != nil {
		r.t.Fatal(err)
	}
	return info
}

// Tags are part of a version, wherever it is asked, with and without a row; a change of
// them changes nothing else.
func TestTagsAreOfTheVersion(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for name, size := range map[string]int{"small": 10, "stream": 9 << 20} {
			info := r.putTagged(name, size, red)
			synctest.Wait()
			r.tagsAre(name, red)
			if v, err := r.set.Head(r.ctx, key(name)); err != nil || v.TagCount != 2 {
				t.Fatalf("%+v, %v", v, err)
			}
			r.converge()
			r.tagsAre(name, red)
			if v, err := r.set.Head(r.ctx, key(name)); err != nil || v.TagCount != 2 {
				t.Fatalf("without a row: %+v, %v", v, err)
			}
			r.mustTag(name, blue)
			synctest.Wait()
			r.tagsAre(name, blue)
			v, err := r.set.Head(r.ctx, key(name))
			if err != nil || v.ID != info.ID || v.ETag != info.ETag || v.TagCount != 1 {
				t.Fatalf("%+v, %v, was %+v", v, err, info)
			}
			r.converge()
			r.tagsAre(name, blue)
			r.mustGet(name, content(size, 1))
			r.mustTag(name, nil)
			r.tagsAre(name, nil)
			r.converge()
			r.tagsAre(name, nil)
			r.mustTag(name, red)
			r.putTagged(name, size, nil) // another version, without
			r.tagsAre(name, nil)
			r.converge()
			r.tagsAre(name, nil)
		}
		if err := r.tag("absent", red); !errors.Is(err, s3.NoSuchKey) {
			t.Errorf("%v", err)
		}
		if _, _, err := r.set.Tags(r.ctx, key("absent")); !errors.Is(err, s3.NoSuchKey) {
			t.Errorf("%v", err)
		}
		other := object.Key{Bucket: "nothing", Name: "k"}
		if err := r.set.PutTags(r.ctx, replica.TagRequest{Key: other}); !errors.Is(err, s3.NoSuchBucket) {
			t.Errorf("%v", err)
		}
		if _, _, err := r.set.Tags(r.ctx, other); !errors.Is(err, s3.NoSuchBucket) {
			t.Errorf("%v", err)
		}
	})
}

// A backend that was away gets the tags when it comes back: by a change of them where it
// holds the version, and with the version where it does not.
func TestABackendThatWasAwayGetsTheTags(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.putTagged("held", 10, red)
		r.converge()
		r.wires["c"].plug(true)
		r.mustTag("held", blue)
		r.putTagged("small", 10, red)
		r.putTagged("stream", 9<<20, red)
		r.tagsAre("held", blue, "a", "b")
		if err := r.tag("small", blue); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.wires["c"].plug(false)
		r.converge()
		r.tagsAre("held", blue)
		r.tagsAre("small", blue)
		r.tagsAre("stream", red)
		r.equal()
	})
}

// The tags of an upload are those of the version, and of a replica that is healed.
func TestTagsOfAnUpload(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.wires["c"].plug(true)
		id, err := r.set.CreateUpload(r.ctx, replica.CreateUploadRequest{Key: key("u"), Tags: red})
		if err != nil {
			t.Fatal(err)
		}
		part, err := r.set.PutPart(r.ctx, replica.PartRequest{Key: key("u"), UploadID: id, Number: 1, Body: newUpload(content(100, 1))})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.set.CompleteUpload(r.ctx, replica.CompleteRequest{
			Key: key("u"), UploadID: id, Complete: &s3.Complete{Size: -1, Parts: []s3.CompletedPart{{Number: 1, ETag: part.ETag}}},
		}); err != nil {
			t.Fatal(err)
		}
		r.tagsAre("u", red, "a", "b")
		r.wires["c"].plug(false)
		r.converge()
		r.tagsAre("u", red)
		r.equal()
	})
}

// Where a backend keeps no tags the log does, for as long as there are any.
func TestABackendThatKeepsNoTags(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.servers["c"].SetFaults(memory.Faults{
			Ops:       []s3.OperationName{s3.GetObjectTagging, s3.PutObjectTagging, s3.DeleteObjectTagging},
			ErrorRate: 1, ErrorCode: s3.NotImplemented, ErrorStatus: 501,
		})
		r.putTagged("k", 10, nil)
		r.converge()
		for range 2 { // the second time it is known
			r.mustTag("k", red)
			r.tagsAre("k", red, "a", "b")
			time.Sleep(time.Hour)
			row, err := r.log.Row(r.ctx, key("k"))
			if err != nil || !row.IsMap() || !row.Quiet(object.NewReplicas(r.names...)) {
				t.Fatalf("%+v, %v", row, err)
			}
			r.tagsAre("k", red, "a", "b")
		}
		r.close()
		r.open(nil) // nothing is known of the backends now
		r.tagsAre("k", red, "a", "b")
		r.mustTag("k", nil)
		r.tagsAre("k", nil, "a", "b")
		r.converge()
		r.tagsAre("k", nil, "a", "b")
	})
}

// A change of tags that lands late, on another version, is seen and taken back.
func TestALateChangeOfTagsIsMended(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.putTagged("k", 10, nil)
		r.converge()
		r.servers["b"].SetFaults(memory.Faults{Ops: []s3.OperationName{s3.PutObjectTagging}, LateRate: 1, LateBy: 9 * time.Second})
		r.mustTag("k", red)
		synctest.Wait() // it is acknowledged by one: the request has to reach the server
		r.servers["b"].SetFaults(memory.Faults{})
		r.putTagged("k", 10, blue)
		r.tagsAre("k", blue)
		time.Sleep(10 * time.Second)
		r.tagsAre("k", blue, "a", "c")
		if remote := r.remote("b"); remote != nil {
			if got, err := remote.Tags(r.ctx, testBucket, "k"); err != nil || !got.Equal(red) {
				t.Fatalf("nothing landed late: %v, %v", got, err)
			}
			remote.Close()
		}
		r.converge()
		r.tagsAre("k", blue)
	})
}

// What is copied to a replica that lost it has the tags that only the others know.
func TestTagsOfAVersionThatNoRowNames(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.putTagged("k", 10, red)
		r.converge()
		remote := r.remote("c")
		if err := remote.Delete(r.ctx, testBucket, "k"); err != nil {
			t.Fatal(err)
		}
		remote.Close()
		for range 50 { // until a read asks the one that lost it, and another one
			if _, err := r.set.Head(r.ctx, key("k")); err != nil {
				t.Fatal(err)
			}
			if _, err := r.log.Row(r.ctx, key("k")); err == nil {
				break
			}
		}
		r.converge()
		r.tagsAre("k", red)
		r.equal()
	})
}

// A copy has its source's tags, or others.
func TestTagsOfACopy(t *testing.T) {
	for _, copiers := range [][]string{nil, {"a", "b", "c"}} {
		copying(t, copiers, func(t *testing.T, r *rig) {
			for _, size := range []int{10, 9 << 20} {
				r.putTagged("from", size, red)
				for range 2 { // with a row, and without
					for to, edit := range map[string]func(*replica.CopyRequest){
						"kept":  func(c *replica.CopyRequest) { c.Tags, c.KeepsTags = func(t object.Tags) object.Tags { return t }, true },
						"other": func(c *replica.CopyRequest) { c.Tags = func(object.Tags) object.Tags { return blue } },
						"none":  nil,
					} {
						if _, err := r.copy("from", to, edit); err != nil {
							t.Fatal(err)
						}
					}
					synctest.Wait()
					r.converge()
					r.tagsAre("kept", red)
					r.tagsAre("other", blue)
					r.tagsAre("none", nil)
				}
			}
		})
	}
}

// Without the ack rule nothing is promised, and without a replica nothing is done.
func TestTagsNeedTheAckRule(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.close()
		r.open(func(o *replica.Options) { o.Defaults.Ack = commit.Rule{Need: 2} })
		r.putTagged("k", 10, nil)
		r.converge()
		for _, server := range []string{"b", "c"} {
			r.servers[server].SetFaults(memory.Faults{Ops: []s3.OperationName{s3.PutObjectTagging}, ErrorRate: 1, ErrorCode: s3.InternalError, ErrorStatus: 500})
		}
		if err := r.tag("k", red); !errors.Is(err, s3.SlowDown) {
			t.Fatalf("%v", err)
		}
		r.servers["b"].SetFaults(memory.Faults{})
		r.servers["c"].SetFaults(memory.Faults{})
		r.converge()
		r.tagsAre("k", red) // in doubt is what it was, and it took effect
		r.wires["b"].plug(true)
		r.wires["c"].plug(true)
		if _, err := r.set.Put(r.ctx, replica.PutRequest{Key: key("x"), Body: newUpload(content(1, 1))}); !errors.Is(err, s3.SlowDown) {
			t.Fatalf("%v", err)
		}
		if err := r.tag("k", blue); !errors.Is(err, s3.SlowDown) {
			t.Fatalf("%v", err)
		}
	})
}
