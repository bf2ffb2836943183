package probe

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// crooked is a server that does something wrong, with a bucket.
func crooked(t *testing.T, o memory.Options) (*memory.Server, backend.Options) {
	t.Helper()
	o.AccessKeyID, o.SecretAccessKey = "AKIAPROBE", "secret"
	server := memory.New(o)
	options := options(t, server)
	remote, err := backend.NewRemote(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.CreateBucket(t.Context(), "photos"); err != nil {
		t.Fatal(err)
	}
	return server, options
}

// all is every probe that needs no patience.
func all() Effort {
	e := Brief()
	e.Whole, e.Largest = true, 64<<10
	return e
}

// TestEachWrong: every way in which a server may be wrong is found by the probe that is
// there for it, and by no other one; what is unsafe is refused in words, and nothing is left.
func TestEachWrong(t *testing.T) {
	t.Parallel()
	wrong := func(w memory.Wrongs) memory.Options {
		return memory.Options{Personality: memory.Personality{Wrongs: w}}
	}
	ahead := func() time.Time { return time.Now().Add(time.Minute) }
	for name, c := range map[string]struct {
		o     memory.Options
		f     memory.Faults
		level string
		want  map[string]Result
	}{
		"nothing": {level: LevelFenced},
		"stores what was cut": {o: wrong(memory.Wrongs{KeepsCut: true}), level: LevelRefused, want: map[string]Result{
			BodyLiteral: Unsafe, BodyTrailer: Unsafe, BodySigned: "", CutLiteral: Unsafe, CutTrailer: Unsafe, CutSigned: Unsafe,
			SumProbe: No,
		}},
		"ignores conditions": {o: wrong(memory.Wrongs{IgnoresConditions: true}), level: LevelPlain, want: map[string]Result{
			CreateOnce: No, IfMatch: No, CreateRace: No, MatchRace: No, HeldCondition: No, DeleteMatch: No,
		}},
		"judges conditions early": {o: wrong(memory.Wrongs{JudgesEarly: true}), level: LevelPlain, want: map[string]Result{
			HeldCondition: No, CreateRace: "", MatchRace: "", DeleteMatch: No,
		}},
		"locks for conditions": {o: wrong(memory.Wrongs{LocksEarly: true}), level: LevelPlain, want: map[string]Result{HeldCondition: No}},
		"reads without 304":    {o: wrong(memory.Wrongs{IgnoresIfModified: true}), level: LevelFenced, want: map[string]Result{NotModified: No}},
		"tells its class":      {o: wrong(memory.Wrongs{TellsClass: true}), level: LevelFenced, want: map[string]Result{ClassUntold: No}},
		"another clock":        {o: memory.Options{Now: ahead}, level: LevelFenced, want: map[string]Result{Clock: No}},
		"other ETags": {o: memory.Options{Personality: memory.Personality{OpaqueETags: true}}, level: LevelFenced, want: map[string]Result{
			ETagMD5: No, MultipartETag: No,
		}},
		"reads without part numbers": {o: memory.Options{Personality: memory.Personality{IgnoresPartNumber: true}}, level: LevelFenced, want: map[string]Result{
			PartSizes: No,
		}},
		"small parts": {o: memory.Options{Personality: memory.Personality{MinPartBytes: 1}}, level: LevelFenced, want: map[string]Result{PartSize: No}},
		"few parts":   {o: memory.Options{Personality: memory.Personality{MaxParts: 1000}}, level: LevelFenced, want: map[string]Result{PartNumbers: No}},
		"loses parts of bodies": {f: memory.Faults{TruncateRate: 1, Ops: []s3.OperationName{s3.PutObject}}, level: LevelRefused, want: map[string]Result{
			BodyLiteral: Unsafe, BodyTrailer: Unsafe, BodySigned: Unsafe, ReadYourWrite: Unsafe, WriteRace: Unsafe,
			CreateOnce: "", IfMatch: "", CreateRace: "", MatchRace: "", HeldCondition: "", DeleteMatch: "", Completion: "", CopyMatch: "", PartCopy: "",
		}},
		"no uploads": {f: memory.Faults{ErrorRate: 1, ErrorCode: s3.NotImplemented, Ops: []s3.OperationName{s3.CreateMultipartUpload}}, level: LevelFenced, want: map[string]Result{
			PartSize: No, PartNumbers: No, PartCopy: No, TagsKept: No, PartSizes: No, MultipartETag: No,
		}},
		"no copies": {f: memory.Faults{ErrorRate: 1, ErrorCode: s3.NotImplemented, Ops: []s3.OperationName{s3.UploadPartCopy}}, level: LevelFenced, want: map[string]Result{
			PartCopy: No,
		}},
		"order of starts": {f: memory.Faults{StartOrdered: true}, level: LevelFenced, want: map[string]Result{Completion: No, HeldCondition: ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, o := crooked(t, c.o)
			if c.o.Now != nil {
				o.Now = c.o.Now
			}
			server.SetFaults(c.f)
			rep, err := Run(t.Context(), o, "photos", all())
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range rep.Probes {
				want, said := c.want[p.Name]
				switch {
				case !said && strings.HasPrefix(p.Name, KeyProbe) && c.f.TruncateRate > 0:
				case strings.HasPrefix(p.Name, SumProbe) && (c.f.TruncateRate > 0 || p.Result == c.want[SumProbe]):
				case !said && p.Result != Yes, said && want != "" && p.Result != want:
					t.Errorf("%s: %s (%s), want %q", p.Name, p.Result, p.Detail, want)
				}
			}
			if rep.Level != c.level && !(c.f.StartOrdered && rep.Level == LevelPlain) {
				t.Errorf("level %s, want %s: %q", rep.Level, c.level, rep.Reasons)
			}
			if (rep.Level == LevelRefused) == (len(rep.Reasons) == 0) && rep.Level == LevelRefused {
				t.Error("it is refused for no reason")
			}
			server.SetFaults(memory.Faults{})
			if st := server.Stats(); st.Objects != 0 || st.Uploads != 0 {
				t.Errorf("%d objects and %d uploads are left", st.Objects, st.Uploads)
			}
		})
	}
}

// TestStaleReads: who shows what was before a write that was answered is refused.
func TestStaleReads(t *testing.T) {
	t.Parallel()
	_, o := crooked(t, memory.Options{Personality: memory.Personality{Wrongs: memory.Wrongs{ShowsLate: time.Minute}}})
	r := newRunner(t, o, Brief())
	if got, detail := r.readYourWrite(t.Context()); got != Unsafe {
		t.Errorf("%s: %s", got, detail)
	}
	rep := Report{Probes: []Probe{{BodyLiteral, Yes, ""}, {BodyTrailer, Yes, ""}, {ReadYourWrite, Unsafe, "it lags"}}}
	if rep.judge(); rep.Level != LevelRefused || len(rep.Reasons) != 1 || !strings.Contains(rep.Reasons[0], "it lags") {
		t.Errorf("level %s, %q", rep.Level, rep.Reasons)
	}
}

func newRunner(t *testing.T, o backend.Options, e Effort) *runner {
	t.Helper()
	remote, err := backend.NewRemote(o)
	if err != nil {
		t.Fatal(err)
	}
	return &runner{remote: remote, wire: newWire(o), bucket: "photos", prefix: folder + "test/", effort: e, used: map[string]bool{}}
}

// TestLateWrites: a write that shows long after its sender went away is found, one that shows
// after nobody waits for it any more, too; and where all is prompt that is said.
func TestLateWrites(t *testing.T) {
	t.Parallel()
	late := func(by time.Duration) memory.Faults {
		return memory.Faults{LateRate: 1, LateBy: by, Ops: []s3.OperationName{s3.PutObject}}
	}
	server, o := crooked(t, memory.Options{})
	for _, c := range []struct {
		f    memory.Faults
		e    Effort
		want Result
	}{
		{memory.Faults{}, Effort{Late: 4, LateWait: 5 * time.Second}, Yes},
		{late(lateAfter + 500*time.Millisecond), Effort{Late: 2, LateWait: 30 * time.Second}, No},
		{late(2 * time.Second), Effort{Late: 2, LateWait: time.Second, Watch: 30 * time.Second}, No},
		{memory.Faults{ErrorRate: 1, Ops: []s3.OperationName{s3.HeadObject}}, Effort{Late: 1, LateWait: time.Second}, Unknown},
	} {
		server.SetFaults(c.f)
		r := newRunner(t, o, c.e)
		ctx := t.Context()
		if c.e.Watch > 0 { // the watch ends as soon as what is to come has come
			r.effort.Watch = c.e.LateWait + 3*time.Second
		}
		if got, detail := r.late(ctx); got != c.want {
			t.Errorf("%+v: %s: %s, want %s", c.f, got, detail, c.want)
		}
		server.SetFaults(memory.Faults{})
		r.clean(t.Context())
	}
}

// TestIdleUpload: it is told whether the endpoint ends an upload that brings nothing.
func TestIdleUpload(t *testing.T) {
	t.Parallel()
	for limit, want := range map[time.Duration]Result{0: No, 100 * time.Millisecond: Yes} {
		_, o := crooked(t, memory.Options{Personality: memory.Personality{Wrongs: memory.Wrongs{IdleLimit: limit}}})
		if got, detail := newRunner(t, o, Effort{Idle: 500 * time.Millisecond}).idle(t.Context()); got != want {
			t.Errorf("limit %s: %s: %s, want %s", limit, got, detail, want)
		}
	}
	_, o := crooked(t, memory.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if got, _ := newRunner(t, o, Effort{Idle: time.Minute}).idle(ctx); got != Unknown {
		t.Errorf("after the end: %s", got)
	}
}

func TestMultipartETag(t *testing.T) {
	t.Parallel()
	for opaque, want := range map[bool]Result{false: Yes, true: No} {
		_, o := crooked(t, memory.Options{Personality: memory.Personality{OpaqueETags: opaque}})
		if got, detail := newRunner(t, o, Brief()).multipartETag(t.Context()); got != want {
			t.Errorf("opaque %v: %s: %s", opaque, got, detail)
		}
	}
}

// TestVersions: a server without versions has none, one that keeps them earns F2, and its
// bucket goes.
func TestVersions(t *testing.T) {
	t.Parallel()
	server, o := crooked(t, memory.Options{})
	r := newRunner(t, o, Thorough())
	if got, detail := r.versions(t.Context()); got != No || r.remain != nil {
		t.Errorf("%s: %s, %v", got, detail, r.remain)
	}
	if st := server.Stats(); st.Buckets != 1 {
		t.Errorf("%d buckets are left", st.Buckets)
	}
	for _, c := range []struct {
		lose bool
		want Result
	}{{false, Yes}, {true, No}} {
		v := &versioning{lose: c.lose}
		r := newRunner(t, options(t, v), Thorough())
		if got, detail := r.versions(t.Context()); got != c.want || r.remain != nil || len(v.all) != 0 {
			t.Errorf("%s: %s, %v, left %d", got, detail, r.remain, len(v.all))
		}
	}
	rep := Report{Probes: []Probe{{BodyLiteral, Yes, ""}, {BodyTrailer, Yes, ""}, {Versions, Yes, ""}}}
	if rep.judge(); rep.Level != LevelVersions {
		t.Errorf("level %s", rep.Level)
	}
}

// versioning is a server of one key with versions; lose makes it forget the older ones.
type versioning struct {
	lose bool
	all  []kept
	n    int
}

type kept struct {
	id   string
	data []byte
}

func (v *versioning) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("versionId")
	at := len(v.all) - 1
	for i, k := range v.all {
		if k.id == id {
			at = i
		}
	}
	object := strings.Count(r.URL.Path, "/") == 2
	switch {
	case !object:
	case r.Method == http.MethodPut:
		data := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(data) // small
		v.n++
		v.all = append(v.all, kept{"v" + itoa(v.n), data})
		if v.lose {
			v.all = v.all[len(v.all)-1:]
		}
		w.Header().Set("X-Amz-Version-Id", "v"+itoa(v.n))
	case r.Method == http.MethodGet && at >= 0:
		_, _ = w.Write(v.all[at].data)
	case r.Method == http.MethodDelete:
		if at >= 0 && (id == "" || v.all[at].id == id) {
			v.all = append(v.all[:at], v.all[at+1:]...)
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// TestAlone: the bucket is made and goes again, one that stands stays, also when the run is
// ended in the middle; what can not be removed is named.
func TestAlone(t *testing.T) {
	t.Parallel()
	brief := all()
	server, o := crooked(t, memory.Options{})
	for _, bucket := range []string{"", "other", "photos"} {
		rep, err := Alone(t.Context(), o, bucket, brief)
		if err != nil || rep.Level != LevelFenced {
			t.Errorf("%q: %s, %v", bucket, rep.Level, err)
		}
		if st := server.Stats(); st.Buckets != 1 || st.Objects != 0 || st.Uploads != 0 {
			t.Errorf("%q: left: %+v", bucket, st)
		}
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	ended := errors.New("ended")
	brief.Told = func(Probe) { cancel(ended) }
	if _, err := Alone(ctx, o, "", brief); !errors.Is(err, ended) {
		t.Errorf("a run that was ended: %v", err)
	}
	if st := server.Stats(); st.Buckets != 1 || st.Objects != 0 || st.Uploads != 0 {
		t.Errorf("left by a run that was ended: %+v", st)
	}

	server.SetFaults(memory.Faults{ErrorRate: 1, ErrorCode: s3.AccessDenied, Ops: []s3.OperationName{s3.DeleteBucket}})
	if rep, err := Alone(t.Context(), o, "", Brief()); !errors.Is(err, ErrLeft) || !strings.Contains(err.Error(), "s3mirror-qualify-") || rep.Level == "" {
		t.Errorf("a bucket that stays: %v", err)
	}
	for _, ops := range [][]s3.OperationName{{s3.HeadBucket, s3.ListObjectsV2}, {s3.CreateBucket}} {
		server.SetFaults(memory.Faults{ErrorRate: 1, ErrorCode: s3.SignatureDoesNotMatch, Ops: ops})
		if _, err := Alone(t.Context(), o, "", Brief()); !errors.Is(err, s3.SignatureDoesNotMatch) {
			t.Errorf("%s is refused: %v", ops, err)
		}
	}
}

// TestTold: each finding is told once.
func TestTold(t *testing.T) {
	_, o := crooked(t, memory.Options{})
	e := Brief()
	var told atomic.Int64
	e.Told = func(Probe) { told.Add(1) }
	rep, err := Run(t.Context(), o, "photos", e)
	if err != nil || told.Load() != int64(len(rep.Probes)) {
		t.Errorf("%d of %d, %v", told.Load(), len(rep.Probes), err)
	}
}

// TestOverTLS: what is written by hand goes over TLS, too.
func TestOverTLS(t *testing.T) {
	t.Parallel()
	server := memory.New(memory.Options{AccessKeyID: "AKIAPROBE", SecretAccessKey: "secret"})
	front := httptest.NewTLSServer(server)
	defer front.Close()
	u, err := url.Parse(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	o := backend.Options{Name: "eu-1", Endpoint: u, Region: "us-east-1", AccessKeyID: "AKIAPROBE", SecretAccessKey: "secret",
		RootCAs: front.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs} //nolint:forcetypeassert // httptest makes one
	rep, err := Alone(t.Context(), o, "", Brief())
	if err != nil || rep.Level != LevelFenced || !rep.Whole() {
		t.Errorf("level %s, %q, %v", rep.Level, rep.Reasons, err)
	}
}
