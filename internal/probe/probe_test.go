package probe

import (
	"context"
	"crypto/md5" //nolint:gosec // S3's ETag
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

func options(t *testing.T, h http.Handler) backend.Options {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return backend.Options{Name: "eu-1", Endpoint: u, Region: "us-east-1", AccessKeyID: "AKIAPROBE", SecretAccessKey: "secret"}
}

func strict(t *testing.T) (*memory.Server, backend.Options) {
	t.Helper()
	server := memory.New(memory.Options{AccessKeyID: "AKIAPROBE", SecretAccessKey: "secret"})
	o := options(t, server)
	remote, err := backend.NewRemote(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.CreateBucket(t.Context(), "photos"); err != nil {
		t.Fatal(err)
	}
	return server, o
}

func run(t *testing.T, o backend.Options) Report {
	t.Helper()
	rep, err := Run(t.Context(), o, "photos", Brief())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range rep.Probes {
		t.Logf("%-24s %-8s %s", p.Name, p.Result, p.Detail)
	}
	return rep
}

func TestStrictServer(t *testing.T) {
	_, o := strict(t)
	rep, err := Run(t.Context(), o, "photos", all())
	if err != nil {
		t.Fatal(err)
	}
	if got := rep.Sums(); !slices.Equal(got, recentSums) {
		t.Errorf("checksums kept: %q", got)
	}
	if rep.PayloadMode != ModeAuto || !rep.Whole() || rep.Level == LevelRefused {
		t.Errorf("mode %q, level %s, whole %v, reasons %q", rep.PayloadMode, rep.Level, rep.Whole(), rep.Reasons)
	}
	for _, name := range []string{BodyLiteral, BodyTrailer, BodySigned, ETagMD5, ChecksumEcho, HeadersKept, ReadYourWrite, Completion, CopyMatch, TagsKept, MultipartETag, PartSizes, KeyProbe + "empty-segment"} {
		if got := rep.Result(name); got != Yes {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestNothingIsLeft(t *testing.T) {
	_, o := strict(t)
	run(t, o)
	remote, err := backend.NewRemote(o)
	if err != nil {
		t.Fatal(err)
	}
	page, err := remote.List(t.Context(), "photos", backend.ListRequest{})
	if err != nil || len(page.Entries) > 0 {
		t.Errorf("left: %v, %v", page.Entries, err)
	}
}

// TestLeftoversOfOthers: what a run that was cut off left long ago goes, what
// another one writes now stays.
func TestLeftoversOfOthers(t *testing.T) {
	var age atomic.Int64 // the servers read it, too
	age.Store(int64(2 * leftover))
	server := memory.New(memory.Options{AccessKeyID: "AKIAPROBE", SecretAccessKey: "secret", Now: func() time.Time { return time.Now().Add(-time.Duration(age.Load())) }})
	o := options(t, server)
	o.Now = func() time.Time { return time.Now().Add(-time.Duration(age.Load())) }
	remote, err := backend.NewRemote(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.CreateBucket(t.Context(), "photos"); err != nil {
		t.Fatal(err)
	}
	put := func(key string) {
		body, framing := backend.FromBytes([]byte("left"))
		_, err := remote.Put(t.Context(), backend.PutRequest{Bucket: "photos", Key: folder + key, Size: 4, Body: body, Framing: framing})
		if err != nil {
			t.Fatal(err)
		}
	}
	put("old/etag")
	age.Store(0)
	put("new/etag")
	run(t, o)
	page, err := remote.List(t.Context(), "photos", backend.ListRequest{})
	if err != nil || len(page.Entries) != 1 || page.Entries[0].Key != folder+"new/etag" {
		t.Errorf("left: %v, %v", page.Entries, err)
	}
}

func TestStartOrdered(t *testing.T) {
	server, o := strict(t)
	server.SetFaults(memory.Faults{StartOrdered: true})
	if rep := run(t, o); rep.Result(Completion) != No {
		t.Errorf("order: %s", rep.Result(Completion))
	}
}

func TestTruncating(t *testing.T) {
	server, o := strict(t)
	server.SetFaults(memory.Faults{TruncateRate: 1})
	rep := run(t, o)
	if rep.Level != LevelRefused || rep.PayloadMode != "" || len(rep.Reasons) == 0 {
		t.Errorf("level %s, mode %q, reasons %q", rep.Level, rep.PayloadMode, rep.Reasons)
	}
}

// TestCopies: who copies what was not meant, or gives the copy another ETag, does not copy
// by himself.
func TestCopies(t *testing.T) {
	for name, p := range map[string]memory.Personality{
		"ignores the condition": {IgnoresCopyConditions: true}, "drops checksums": {DropsChecksums: true},
	} {
		server := memory.New(memory.Options{AccessKeyID: "AKIAPROBE", SecretAccessKey: "secret", Personality: p})
		o := options(t, server)
		remote, err := backend.NewRemote(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.CreateBucket(t.Context(), "photos"); err != nil {
			t.Fatal(err)
		}
		if rep := run(t, o); rep.Result(CopyMatch) != No || !rep.Whole() {
			t.Errorf("%s: %s", name, rep.Result(CopyMatch))
		}
	}
	server, o := strict(t)
	for code, want := range map[s3.Code]Result{s3.NotImplemented: No, s3.InternalError: Unknown, s3.AccessDenied: No, s3.MethodNotAllowed: No} {
		server.SetFaults(memory.Faults{ErrorRate: 1, ErrorCode: code, Ops: []s3.OperationName{s3.CopyObject}})
		if rep := run(t, o); rep.Result(CopyMatch) != want {
			t.Errorf("%s: %s, want %s", code, rep.Result(CopyMatch), want)
		}
	}
}

// TestTags: who refuses tags in any way keeps none; who is not there says nothing.
func TestTags(t *testing.T) {
	server, o := strict(t)
	for code, want := range map[s3.Code]Result{s3.NotImplemented: No, s3.InternalError: Unknown, s3.AccessDenied: No, s3.MethodNotAllowed: No} {
		for _, op := range []s3.OperationName{s3.PutObjectTagging, s3.GetObjectTagging, s3.DeleteObjectTagging} {
			server.SetFaults(memory.Faults{ErrorRate: 1, ErrorCode: code, Ops: []s3.OperationName{op}})
			if rep := run(t, o); rep.Result(TagsKept) != want {
				t.Errorf("%s by %s: %s, want %s", code, op, rep.Result(TagsKept), want)
			}
		}
	}
	server.SetFaults(memory.Faults{ErrorRate: 1, ErrorCode: s3.NotImplemented, Ops: []s3.OperationName{s3.CopyObject}})
	if rep := run(t, o); rep.Result(TagsKept) != Yes {
		t.Errorf("who copies nothing: %s", rep.Result(TagsKept))
	}
}

func TestUnreachable(t *testing.T) {
	o := options(t, http.NotFoundHandler())
	if _, err := Run(t.Context(), o, "photos", Brief()); err == nil {
		t.Error("a report of nothing")
	}
	_, o = strict(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, o, "photos", Brief()); err == nil {
		t.Error("a report after the end")
	}
}

// TestGoneInBetween: what is not answered is unknown, and never a pass.
func TestGoneInBetween(t *testing.T) {
	server, o := strict(t)
	o.ReadTimeout = callTimeout
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/body/") {
			http.Error(w, "bad gateway", http.StatusBadGateway)
			return
		}
		server.ServeHTTP(w, r)
	}))
	defer broken.Close()
	u, err := url.Parse(broken.URL)
	if err != nil {
		t.Fatal(err)
	}
	o.Endpoint = u
	rep := run(t, o)
	if rep.Whole() || rep.Result(BodyTrailer) != Unknown || rep.Level != LevelRefused {
		t.Errorf("whole %v, trailer %s, level %s", rep.Whole(), rep.Result(BodyTrailer), rep.Level)
	}
}

// sloppy is a server that believes whatever it is sent: it stores framing as
// data, whole bodies or not, heeds no condition and folds keys.
type sloppy struct {
	mu      sync.Mutex
	objects map[string][]byte
}

func (s *sloppy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, _ := io.ReadAll(r.Body) // the point of it
	key := strings.ToLower(strings.ReplaceAll(strings.ReplaceAll(r.URL.Path, "//", "/"), "/./", "/"))
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.Method == http.MethodPut:
		s.objects[key] = data
	case r.Method == http.MethodDelete:
		delete(s.objects, key)
	case r.URL.Query().Has("list-type"):
		fmt.Fprint(w, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
		return
	default:
		stored, ok := s.objects[key]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "<Error><Code>NoSuchKey</Code></Error>")
			return
		}
		data = stored
	}
	sum := md5.Sum(data) //nolint:gosec // S3's ETag
	w.Header().Set("ETag", `"x`+hex.EncodeToString(sum[:])+`"`)
	w.Header().Set("Last-Modified", "Wed, 01 Jan 2025 00:00:00 GMT")
	if r.Method == http.MethodGet {
		w.Header().Set("Content-Length", itoa(len(data)))
		_, _ = w.Write(data)
	}
}

func TestSloppyServer(t *testing.T) {
	rep := run(t, options(t, &sloppy{objects: map[string][]byte{}}))
	if rep.Level != LevelRefused {
		t.Errorf("level %s", rep.Level)
	}
	want := map[string]Result{
		BodyLiteral: Unsafe, BodyTrailer: Unsafe, BodySigned: Unsafe, ETagMD5: No, ChecksumEcho: No, HeadersKept: No,
		CreateOnce: No, IfMatch: No, CreateRace: No, HeldCondition: No, Completion: Yes,
		SumProbe + "crc64nvme": No, SumProbe + "xxhash3": No,
		KeyProbe + "empty-segment": Unsafe, KeyProbe + "case": Unsafe,
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got := rep.Result(name); got != want[name] {
			t.Errorf("%s: %s, want %s", name, got, want[name])
		}
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		literal, trailer, signed Result
		mode, level              string
	}{
		{Yes, Yes, Yes, ModeAuto, LevelFenced},
		{No, Yes, Yes, ModeTrailer, LevelFenced},
		{Unsafe, Unsafe, Yes, ModeSigned, LevelFenced},
		{Yes, No, No, "", LevelRefused},
		{Yes, Unknown, Unknown, "", LevelRefused},
	} {
		rep := Report{Probes: []Probe{
			{BodyLiteral, c.literal, ""}, {BodyTrailer, c.trailer, ""}, {BodySigned, c.signed, ""},
			{CreateOnce, Yes, ""}, {IfMatch, Yes, ""}, {CreateRace, Yes, ""}, {MatchRace, Yes, ""}, {HeldCondition, Yes, ""},
		}}
		rep.judge()
		if rep.PayloadMode != c.mode || rep.Level != c.level {
			t.Errorf("%s %s %s: mode %q, level %s", c.literal, c.trailer, c.signed, rep.PayloadMode, rep.Level)
		}
	}
}

// TestServersWithFiles: what the probes find of the two kinds of servers that keep
// objects as files, and which keys they are about.
func TestServersWithFiles(t *testing.T) {
	for name, c := range map[string]struct {
		files          memory.Files
		refuses, mixes object.KeyRules
	}{
		"none": {memory.NoFiles, 0, 0},
		"refusing": {
			memory.RefusingFiles,
			object.FileAndFolder | object.FolderWithData | object.LongSegment,
			object.EmptySegment | object.DotSegment | object.DotDotSegment,
		},
		"hiding": {
			memory.HidingFiles,
			object.DotSegment | object.DotDotSegment | object.LongSegment,
			object.FileAndFolder | object.EmptySegment,
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := memory.New(memory.Options{AccessKeyID: "AKIAPROBE", SecretAccessKey: "secret", Personality: memory.Personality{Files: c.files}})
			o := options(t, server)
			remote, err := backend.NewRemote(o)
			if err != nil {
				t.Fatal(err)
			}
			if err := remote.CreateBucket(t.Context(), "photos"); err != nil {
				t.Fatal(err)
			}
			rep := run(t, o)
			if refuses, mixes := rep.Keys(); refuses != c.refuses || mixes != c.mixes || !rep.Whole() {
				t.Errorf("refuses %b, want %b; mixes %b, want %b", refuses, c.refuses, mixes, c.mixes)
			}
			if st := server.Stats(); st.Objects != 0 {
				t.Errorf("%d objects are left", st.Objects)
			}
		})
	}
}

// TestRulesAreOfTheirKind: the key of each rule is of the kind that it stands for, its
// rival of none, so that what is refused for a finding is what the finding is about.
func TestRulesAreOfTheirKind(t *testing.T) {
	for i, rule := range rules {
		size := int64(200)
		if rule.empty {
			size = 0
		}
		if rule.of != object.AllKeyRules()[i] {
			t.Errorf("rule %d is %v", i, rule.of)
		}
		if got := object.KeyRulesOf(folder+object.NewID().String()+"/"+rule.key, size); got&rule.of == 0 && rule.of != object.FileAndFolder {
			t.Errorf("%v: %q is %b", rule.of, rule.key, got)
		}
		if got := object.KeyRulesOf(rule.rival, 200); got != 0 && rule.of != object.CombiningMark {
			t.Errorf("%v: its rival %q is %v", rule.of, rule.rival, got)
		}
	}
	if len(rules) != len(object.AllKeyRules()) {
		t.Errorf("%d rules for %d kinds", len(rules), len(object.AllKeyRules()))
	}
}
