package rebuild

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

var stamps = object.NewStampKey([]byte("0123456789abcdef0123456789abcdef"))

// place of test: three servers, and a log that is empty.
type fixture struct {
	servers map[string]*memory.Server
	remotes map[string]*backend.Remote
	o       Options
	told    []string
}

const deployment = "d1"

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{servers: map[string]*memory.Server{}, remotes: map[string]*backend.Remote{}}
	names := []string{"a", "b", "c"}
	for _, name := range names {
		server := memory.New(memory.Options{AccessKeyID: "AKIA", SecretAccessKey: "secret"})
		front := httptest.NewServer(server)
		t.Cleanup(front.Close)
		u, err := url.Parse(front.URL)
		if err != nil {
			t.Fatal(err)
		}
		remote, err := backend.NewRemote(backend.Options{Name: name, Endpoint: u, Region: "us-east-1", AccessKeyID: "AKIA", SecretAccessKey: "secret", StampKey: stamps})
		if err != nil {
			t.Fatal(err)
		}
		f.servers[name], f.remotes[name] = server, remote
		f.o.Backends = append(f.o.Backends, Backend{name, remote})
	}
	f.o.Log = memory.NewLog()
	f.o.Policy = func(string) replica.Policy { return replica.Policy{Replicas: object.NewReplicas(names...)} }
	f.o.Told = func(step string) { f.told = append(f.told, step) }
	return f
}

// bucket makes a bucket on some servers, with identities.
func (f *fixture) bucket(t *testing.T, bucket string, id replica.Identity, on ...string) {
	t.Helper()
	for _, name := range on {
		if err := f.remotes[name].CreateBucket(t.Context(), bucket); err != nil {
			t.Fatal(err)
		}
		if id.Deployment == "" {
			continue
		}
		own := id
		if own.Backend == "" {
			own.Backend = name
		}
		text, err := json.Marshal(own)
		if err != nil {
			t.Fatal(err)
		}
		f.put(t, bucket, object.ReservedPrefix+"identity", string(text), object.Stamp{}, name)
	}
}

func (f *fixture) put(t *testing.T, bucket, key, text string, stamp object.Stamp, on ...string) {
	t.Helper()
	for _, name := range on {
		body, framing := backend.FromBytes([]byte(text))
		_, err := f.remotes[name].Put(t.Context(), backend.PutRequest{Bucket: bucket, Key: key, Stamp: stamp, Size: int64(len(text)), Body: body, Framing: framing})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func small(id byte, at time.Time) object.Stamp {
	return object.Stamp{ID: object.ID{id}, Flag: object.FlagSmall, Uploaded: at, Ver: object.Tick(at, 0)}
}

func ours(bucket string) replica.Identity {
	return replica.Identity{Deployment: deployment, Bucket: bucket, Generation: "g-" + bucket}
}

// TestRun: keys that are the same everywhere get no row, the others one that says who has
// the newest, buckets and the log are who they were, and uploads under way are aborted.
func TestRun(t *testing.T) {
	f := newFixture(t)
	f.bucket(t, "photos", ours("photos"), "a", "b", "c")
	f.bucket(t, "other", replica.Identity{}, "a")
	now := time.Now()
	f.put(t, "photos", "same", "same", small(1, now), "a", "b", "c")
	f.put(t, "photos", "new", "older", small(2, now.Add(-time.Hour)), "a")
	f.put(t, "photos", "new", "newer", small(3, now), "b", "c")
	f.put(t, "photos", "one", "one", small(4, now), "c")
	f.put(t, "photos", "foreign", "one", object.Stamp{}, "a")
	id, err := f.remotes["b"].CreateUpload(t.Context(), backend.CreateUploadRequest{Bucket: "photos", Key: "big"})
	if err != nil || id == "" {
		t.Fatal(err)
	}
	f.o.Settle, f.o.Gap = 30*time.Millisecond, 15*time.Millisecond

	rep, err := Run(t.Context(), f.o)
	if err != nil {
		t.Fatal(err)
	}
	want := BucketReport{Bucket: "photos", Replicas: []string{"a", "b", "c"}, Keys: 4, Differing: 3, Kept: 2, Foreign: 1, Aborted: 1}
	if len(rep.Buckets) != 1 || rep.Deployment != deployment || len(rep.Lost) == 0 {
		t.Fatalf("%+v", rep)
	}
	got := rep.Buckets[0]
	if !slices.Equal(got.Replicas, want.Replicas) {
		t.Errorf("replicas %v", got.Replicas)
	}
	got.Replicas, want.Replicas = nil, nil
	if got.Bucket != want.Bucket || got.Keys != want.Keys || got.Differing != want.Differing || got.Kept != want.Kept || got.Foreign != want.Foreign || got.Aborted != want.Aborted {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for key, good := range map[string]object.Replicas{"same": nil, "new": object.NewReplicas("b", "c"), "one": object.NewReplicas("c"), "foreign": object.NewReplicas("a")} {
		row, err := f.o.Log.Row(t.Context(), object.Key{Bucket: "photos", Name: key})
		if good == nil {
			if !errors.Is(err, oplog.ErrNoRow) {
				t.Errorf("%s: %+v, %v", key, row, err)
			}
		} else if err != nil || !row.Good.Equal(good) || row.Cfg != epoch {
			t.Errorf("%s: %+v, %v", key, row, err)
		}
	}
	doc, err := f.o.Log.Doc(t.Context(), oplog.DocBucket, "photos")
	var rec commit.BucketRecord
	if err != nil || json.Unmarshal(doc.Body, &rec) != nil {
		t.Fatal(err)
	}
	all := object.NewReplicas("a", "b", "c")
	if rec.State != commit.BucketActive || rec.Generation != "g-photos" || !rec.Replicas.Equal(all) || !rec.Made.Equal(all) || rec.Created.IsZero() {
		t.Errorf("%+v", rec)
	}
	if doc, err := f.o.Log.Doc(t.Context(), oplog.DocGeneration, "deployment"); err != nil || string(doc.Body) != `{"id":"d1"}` {
		t.Errorf("%s, %v", doc.Body, err)
	}
	if st := f.servers["b"].Stats(); st.Uploads != 0 {
		t.Errorf("%d uploads are left", st.Uploads)
	}
	if _, err := Run(t.Context(), f.o); !errors.Is(err, ErrUsed) {
		t.Errorf("again: %v", err)
	}
}

// TestRunAgain: what a run that was cut off left is written over, or dropped.
func TestRunAgain(t *testing.T) {
	f := newFixture(t)
	f.bucket(t, "photos", ours("photos"), "a", "b", "c")
	f.put(t, "photos", "same", "same", small(1, time.Now()), "a", "b", "c")
	f.put(t, "photos", "new", "new", small(2, time.Now()), "a")
	for _, key := range []string{"same", "new"} {
		left := &oplog.Row{Epoch: oplog.NewEpoch(), Cur: object.Info{Kind: object.Present, ETag: "old"}, Good: object.NewReplicas("b")}
		if err := f.o.Log.Swap(t.Context(), object.Key{Bucket: "photos", Name: key}, oplog.Epoch{}, left); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Run(t.Context(), f.o); err != nil {
		t.Fatal(err)
	}
	if row, err := f.o.Log.Row(t.Context(), object.Key{Bucket: "photos", Name: "new"}); err != nil || !row.Good.Equal(object.NewReplicas("a")) {
		t.Errorf("%+v, %v", row, err)
	}
	if _, err := f.o.Log.Row(t.Context(), object.Key{Bucket: "photos", Name: "same"}); !errors.Is(err, oplog.ErrNoRow) {
		t.Errorf("%v", err)
	}
}

// TestMissingBucket: a replica that lost its bucket lacks every key.
func TestMissingBucket(t *testing.T) {
	f := newFixture(t)
	f.bucket(t, "photos", ours("photos"), "a", "b")
	f.put(t, "photos", "k", "k", small(1, time.Now()), "a", "b")
	if _, err := Run(t.Context(), f.o); err != nil {
		t.Fatal(err)
	}
	row, err := f.o.Log.Row(t.Context(), object.Key{Bucket: "photos", Name: "k"})
	if err != nil || !row.Good.Equal(object.NewReplicas("a", "b")) {
		t.Errorf("%+v, %v", row, err)
	}
	if !slices.ContainsFunc(f.told, func(s string) bool { return strings.Contains(s, "missing on c") }) {
		t.Errorf("told: %q", f.told)
	}
}

// TestNames: buckets under other names on a backend are found, and stay so.
func TestNames(t *testing.T) {
	f := newFixture(t)
	f.bucket(t, "photos", ours("photos"), "a", "b")
	f.bucket(t, "photos-c", ours("photos"), "c")
	f.put(t, "photos", "k", "k", small(1, time.Now()), "a", "b")
	f.put(t, "photos-c", "k", "k", small(1, time.Now()), "c") // sealed for another bucket: foreign
	if _, err := Run(t.Context(), f.o); err != nil {
		t.Fatal(err)
	}
	doc, err := f.o.Log.Doc(t.Context(), oplog.DocBucket, "photos")
	if err != nil || !strings.Contains(string(doc.Body), `"names":{"c":"photos-c"}`) {
		t.Errorf("%s, %v", doc.Body, err)
	}
}

// TestRefusals: what is not known, or not what it should be, is said, and nothing is made.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, f *fixture)
		want error
	}{
		"nothing": {func(*testing.T, *fixture) {}, ErrNothing},
		"several": {func(t *testing.T, f *fixture) {
			f.bucket(t, "photos", ours("photos"), "a")
			f.bucket(t, "docs", replica.Identity{Deployment: "d2", Bucket: "docs"}, "a")
		}, ErrSeveral},
		"another one": {func(t *testing.T, f *fixture) {
			f.bucket(t, "photos", ours("photos"), "a")
			f.o.Deployment = "d3"
		}, ErrNothing},
		"renamed backend": {func(t *testing.T, f *fixture) {
			id := ours("photos")
			id.Backend = "z"
			f.bucket(t, "photos", id, "a")
		}, ErrStranger},
		"another time": {func(t *testing.T, f *fixture) {
			f.bucket(t, "photos", ours("photos"), "a")
			f.bucket(t, "photos", replica.Identity{Deployment: deployment, Bucket: "photos", Generation: "g0"}, "b")
		}, ErrStranger},
		"another log's in its place": {func(t *testing.T, f *fixture) {
			f.bucket(t, "photos", ours("photos"), "a")
			f.bucket(t, "photos", replica.Identity{Deployment: "d2", Bucket: "photos"}, "b")
			f.o.Deployment = deployment
		}, ErrStranger},
		"not in the replica set": {func(t *testing.T, f *fixture) {
			f.bucket(t, "photos", ours("photos"), "a", "c")
			f.o.Policy = func(string) replica.Policy { return replica.Policy{Replicas: object.NewReplicas("a", "b")} }
		}, ErrStranger},
		"away": {func(t *testing.T, f *fixture) {
			f.bucket(t, "photos", ours("photos"), "a", "b", "c")
			f.servers["b"].SetFaults(memory.Faults{ErrorRate: 1, Ops: []s3.OperationName{s3.ListBuckets}})
		}, ErrAway},
		"no list": {func(t *testing.T, f *fixture) {
			f.bucket(t, "photos", ours("photos"), "a", "b", "c")
			f.servers["b"].SetFaults(memory.Faults{ErrorRate: 1, Ops: []s3.OperationName{s3.ListObjectsV2}})
		}, ErrAway},
		"no answer for a key": {func(t *testing.T, f *fixture) {
			f.bucket(t, "photos", ours("photos"), "a", "b", "c")
			f.put(t, "photos", "k", "k", small(1, time.Now()), "a")
			f.servers["b"].SetFaults(memory.Faults{ErrorRate: 1, Ops: []s3.OperationName{s3.HeadObject}})
		}, ErrAway},
		"no uploads": {func(t *testing.T, f *fixture) {
			f.bucket(t, "photos", ours("photos"), "a", "b", "c")
			f.servers["b"].SetFaults(memory.Faults{ErrorRate: 1, Ops: []s3.OperationName{s3.ListMultipartUploads}})
		}, ErrAway},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			c.make(t, f)
			if _, err := Run(t.Context(), f.o); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			docs, err := f.o.Log.Docs(t.Context(), oplog.DocBucket, "", 10)
			if err != nil || len(docs) > 0 {
				t.Errorf("%v, %v", docs, err)
			}
		})
	}
}

// TestWatch: who does not answer is watched anew, for the whole time.
func TestWatch(t *testing.T) {
	f := newFixture(t)
	f.bucket(t, "photos", ours("photos"), "a", "b", "c")
	f.o.Settle, f.o.Gap = time.Minute, 3*time.Millisecond
	looks, broken := 0, 20
	f.o.Now = func() time.Time { // each look is a second later
		if looks++; looks >= broken && looks < broken+10 { // each backend is asked once meanwhile
			f.servers["b"].SetFaults(memory.Faults{ErrorRate: 1, Ops: []s3.OperationName{s3.HeadBucket}})
		} else {
			f.servers["b"].SetFaults(memory.Faults{})
		}
		return time.Unix(int64(looks), 0)
	}
	if _, err := Run(t.Context(), f.o); err != nil {
		t.Fatal(err)
	}
	if looks < 60+broken {
		t.Errorf("%d looks, and the series was broken at %d", looks, broken)
	}
	ctx, cancel := context.WithCancel(t.Context())
	f = newFixture(t)
	f.bucket(t, "photos", ours("photos"), "a", "b", "c")
	f.o.Settle, f.o.Gap = time.Hour, time.Millisecond
	f.o.Told = func(string) { cancel() }
	if _, err := Run(ctx, f.o); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}
