package replica_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// uploadTimes let what an upload leaves behind go within minutes.
func uploadTimes(o *replica.Options) {
	o.Times.Remember, o.Times.UploadAge = 5*time.Minute, 10*time.Minute
	o.Work, o.Stray = 5*time.Second, time.Hour
}

// withUploads is inBubble with those times.
func withUploads(t *testing.T, do func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory.NewLog(), "a", "b", "c")
		r.open(uploadTimes)
		r.makeBucket()
		do(t, r)
	})
}

// pieces is an upload of a test.
type pieces struct {
	r     *rig
	key   object.Key
	id    string
	data  map[int][]byte
	etags map[int]string
	sum   s3.UploadChecksum
}

func (r *rig) begin(name string, sum s3.UploadChecksum) *pieces {
	r.t.Helper()
	p := &pieces{r: r, key: key(name), data: map[int][]byte{}, etags: map[int]string{}, sum: sum}
	var err error
	p.id, err = r.set.CreateUpload(r.ctx, replica.CreateUploadRequest{
		Key: p.key, Headers: object.Headers{"x-amz-meta-who": name}, Checksum: sum, Actor: "tester",
	})
	if err != nil {
		r.t.Fatalf("create upload of %q: %v", name, err)
	}
	return p
}

func (p *pieces) try(number int, data []byte) (object.Info, error) {
	u := newUpload(data)
	if p.sum.Algorithm != "" {
		u.promised = s3.Checksum{Algorithm: p.sum.Algorithm}
		u.ComputeChecksum(p.sum.Algorithm)
	}
	return p.r.set.PutPart(p.r.ctx, replica.PartRequest{Key: p.key, UploadID: p.id, Number: number, Body: u})
}

func (p *pieces) put(number int, data []byte) {
	p.r.t.Helper()
	info, err := p.try(number, data)
	if err != nil {
		p.r.t.Fatalf("part %d of %q: %v", number, p.key.Name, err)
	}
	p.data[number], p.etags[number] = data, info.ETag
	time.Sleep(time.Millisecond) // attempts are told apart by when they were added
}

// request names the parts that were put, by number.
func (p *pieces) request() replica.CompleteRequest {
	var doc strings.Builder
	doc.WriteString("<CompleteMultipartUpload>")
	page, err := p.r.set.ListUploadParts(p.r.ctx, p.key, p.id, 0, 1000)
	if err != nil {
		p.r.t.Fatal(err)
	}
	for _, part := range page.Parts {
		fmt.Fprintf(&doc, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag>", part.Number, part.ETag)
		if p.sum.Type == s3.Composite {
			element := "Checksum" + strings.ToUpper(p.sum.Algorithm)
			fmt.Fprintf(&doc, "<%s>%s</%s>", element, part.Sums[p.sum.Header()], element)
		}
		doc.WriteString("</Part>")
	}
	doc.WriteString("</CompleteMultipartUpload>")
	c, err := s3.ParseComplete(nil, strings.NewReader(doc.String()))
	if err != nil {
		p.r.t.Fatalf("%s: %v", doc.String(), err)
	}
	return replica.CompleteRequest{Key: p.key, UploadID: p.id, Complete: c, Actor: "tester"}
}

func (p *pieces) complete() object.Info {
	p.r.t.Helper()
	info, err := p.r.set.CompleteUpload(p.r.ctx, p.request())
	if err != nil {
		p.r.t.Fatalf("complete %q: %v", p.key.Name, err)
	}
	return info
}

// whole is all that was put, by number.
func (p *pieces) whole() []byte {
	var out []byte
	for n := 1; n < 20; n++ {
		out = append(out, p.data[n]...)
	}
	return out
}

// leftovers counts the uploads and parts that servers and log still have.
func (r *rig) leftovers() (n int) {
	r.t.Helper()
	for _, name := range r.names {
		n += r.servers[name].Stats().Uploads
	}
	docs, err := r.log.Docs(r.ctx, oplog.DocUpload, "", 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	return n + len(docs)
}

// nothingLeft waits until no upload is left anywhere.
func (r *rig) nothingLeft() {
	r.t.Helper()
	for deadline := time.Now().Add(3 * time.Hour); r.leftovers() > 0; time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%d uploads and documents are left", r.leftovers())
		}
	}
}

const mib = 1 << 20

func TestAnUploadOnEveryReplica(t *testing.T) {
	for _, sum := range []s3.UploadChecksum{{}, {Algorithm: "crc32", Type: s3.Composite}, {Algorithm: "crc32c", Type: s3.FullObject}, {Algorithm: "sha256", Type: s3.Composite}} {
		t.Run(sum.Algorithm+string(sum.Type), func(t *testing.T) {
			withUploads(t, func(t *testing.T, r *rig) {
				r.mustPut("k", []byte("old"))
				p := r.begin("k", sum)
				p.put(7, content(3, 3))
				p.put(1, content(100, 1))
				p.put(1, content(5*mib, 4)) // in its place
				p.put(2, content(6*mib+1, 5))
				r.mustGet("k", []byte("old"))
				request := p.request()
				info := p.complete()
				etag, _ := s3.MultipartETag([]string{p.etags[1], p.etags[2], p.etags[7]})
				if info.ETag != etag || info.Size != int64(len(p.whole())) {
					t.Errorf("completed as %+v, want ETag %s", info, etag)
				}
				synctest.Wait()
				r.mustGet("k", p.whole())
				held := r.equal()["k"]
				if held.ETag != etag || held.Headers["x-amz-meta-who"] != "k" || held.Flag != object.FlagMultipart {
					t.Errorf("replicas hold %+v", held)
				}
				if sum.Algorithm != "" && (held.Headers[sum.Header()] == "" || held.Headers[sum.Header()] != info.Headers[sum.Header()]) {
					t.Errorf("checksum of the replicas is %q, ours %q", held.Headers[sum.Header()], info.Headers[sum.Header()])
				}
				for range 2 { // with its row, and without
					again, err := r.set.CompleteUpload(r.ctx, request)
					if err != nil || again.ETag != etag {
						t.Errorf("completed again: %+v, %v", again, err)
					}
					sizes, err := r.set.PartSizes(r.ctx, p.key, object.Info{ETag: etag, Size: info.Size})
					if err != nil || fmt.Sprint(sizes) != fmt.Sprint([]int64{5 * mib, 6*mib + 1, 3}) {
						t.Errorf("parts of %v, %v", sizes, err)
					}
					r.converge()
				}
				r.nothingLeft()
				if _, err := p.try(3, []byte("x")); !errors.Is(err, s3.NoSuchUpload) {
					t.Errorf("a part of an upload that is over: %v", err)
				}
			})
		})
	}
}

// TestAReplicaThatMissedAPartIsHealedWhole: with the same parts, so with the same ETag,
// also when the row has forgotten them.
func TestAReplicaThatMissedAPartIsHealedWhole(t *testing.T) {
	for _, sum := range []s3.UploadChecksum{{}, {Algorithm: "crc32", Type: s3.Composite}, {Algorithm: "crc32c", Type: s3.FullObject}} {
		t.Run(sum.Algorithm, func(t *testing.T) {
			withUploads(t, func(t *testing.T, r *rig) {
				p := r.begin("k", sum)
				p.put(1, content(5*mib, 1))
				r.wires["b"].plug(true)
				p.put(2, content(5*mib+9, 2))
				p.put(3, content(17, 3))
				info := p.complete()
				r.mustGet("k", p.whole())
				r.wires["b"].plug(false)
				r.converge()
				if held := r.equal()["k"]; held.ETag != info.ETag || held.Size != info.Size {
					t.Errorf("healed as %+v, want %+v", held, info)
				}
				r.nothingLeft()
			})
		})
	}
}

// TestAWipedReplicaGetsItsParts: no row knows the sizes of the parts any more.
func TestAWipedReplicaGetsItsParts(t *testing.T) {
	withUploads(t, func(t *testing.T, r *rig) {
		p := r.begin("k", s3.UploadChecksum{})
		p.put(1, content(5*mib, 1))
		p.put(2, content(17, 3))
		info := p.complete()
		r.converge()
		r.wires["c"].plug(true)
		r.servers["c"].Wipe()
		time.Sleep(time.Minute)
		r.wires["c"].plug(false)
		for deadline := time.Now().Add(time.Hour); ; time.Sleep(time.Second) {
			r.get("k")
			if remote := r.servers["c"].Stats(); remote.Objects > 1 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("replica c was not filled: %+v", r.servers["c"].Stats())
			}
		}
		r.converge()
		if held := r.equal()["k"]; held.ETag != info.ETag {
			t.Errorf("healed as %+v, want %+v", held, info)
		}
	})
}

func TestAnAbortedUploadIsGone(t *testing.T) {
	withUploads(t, func(t *testing.T, r *rig) {
		p := r.begin("k", s3.UploadChecksum{})
		p.put(1, content(10, 1))
		r.wires["c"].plug(true)
		req := p.request()
		if err := r.set.AbortUpload(r.ctx, replica.AbortRequest{Key: p.key, UploadID: p.id}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.set.CompleteUpload(r.ctx, req); !errors.Is(err, s3.NoSuchUpload) {
			t.Errorf("completed: %v", err)
		}
		if _, err := p.try(2, []byte("x")); !errors.Is(err, s3.NoSuchUpload) {
			t.Errorf("a part: %v", err)
		}
		if page, err := r.set.ListUploads(r.ctx, replica.ListUploadsRequest{Bucket: testBucket, Max: 10}); err != nil || len(page.Uploads) > 0 {
			t.Errorf("listed: %+v, %v", page, err)
		}
		r.mustMiss("k")
		r.wires["c"].plug(false)
		r.nothingLeft()
	})
}

func TestAnAbandonedUploadExpires(t *testing.T) {
	withUploads(t, func(t *testing.T, r *rig) {
		p := r.begin("k", s3.UploadChecksum{})
		p.put(1, content(10, 1))
		time.Sleep(9 * time.Minute)
		p.put(2, content(10, 1)) // it is as old as its creation
		r.nothingLeft()
		if _, err := p.try(3, []byte("x")); !errors.Is(err, s3.NoSuchUpload) {
			t.Errorf("a part: %v", err)
		}
	})
}

// An upload goes with its bucket: a later one of the same name does not show it, and
// takes nothing for it.
func TestUploadsGoWithTheirBucket(t *testing.T) {
	withUploads(t, func(t *testing.T, r *rig) {
		p := r.begin("k", s3.UploadChecksum{})
		p.put(1, []byte("a part"))
		complete := p.request()
		if err := r.set.DeleteBucket(r.ctx, p.key.Bucket, "tester", "1"); err != nil {
			t.Fatal(err)
		}
		r.makeBucket()
		page, err := r.set.ListUploads(r.ctx, replica.ListUploadsRequest{Bucket: p.key.Bucket, Max: 10})
		if err != nil || len(page.Uploads) > 0 {
			t.Errorf("the new bucket shows %v, %v", page.Uploads, err)
		}
		if _, err := p.try(2, []byte("another")); !errors.Is(err, s3.NoSuchUpload) {
			t.Errorf("a part for it: %v", err)
		}
		if _, err := r.set.CompleteUpload(r.ctx, complete); !errors.Is(err, s3.NoSuchUpload) {
			t.Errorf("its end: %v", err)
		}
		r.nothingLeft()
	})
}

// TestWhatNobodyNamesIsSwept: uploads of a creation that was cut off.
func TestWhatNobodyNamesIsSwept(t *testing.T) {
	withUploads(t, func(t *testing.T, r *rig) {
		p := r.begin("k", s3.UploadChecksum{})
		docs, err := r.log.Docs(r.ctx, oplog.DocUpload, "", 10)
		if err != nil || len(docs) != 1 {
			t.Fatalf("%v, %v", docs, err)
		}
		if err := r.log.SwapDoc(r.ctx, docs[0].Epoch, oplog.Doc{Kind: oplog.DocUpload, Name: docs[0].Name}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		if n := r.leftovers(); n != 3 {
			t.Errorf("%d uploads after half the time, want 3", n)
		}
		r.nothingLeft()
		if _, err := p.try(1, []byte("x")); !errors.Is(err, s3.NoSuchUpload) {
			t.Errorf("a part: %v", err)
		}
	})
}

// TestUploadsOfOthers: an id belongs to its key.
func TestUploadsOfOthers(t *testing.T) {
	withUploads(t, func(t *testing.T, r *rig) {
		p := r.begin("k", s3.UploadChecksum{})
		p.put(1, content(10, 1))
		req := p.request()
		for _, id := range []string{p.id, "", "x", strings.Repeat("0", 32), p.id + "0"} {
			other := key("other")
			if id != p.id {
				other = p.key
			}
			_, err1 := r.set.PutPart(r.ctx, replica.PartRequest{Key: other, UploadID: id, Number: 1, Body: newUpload([]byte("x"))})
			req := req
			req.Key, req.UploadID = other, id
			_, err2 := r.set.CompleteUpload(r.ctx, req)
			err3 := r.set.AbortUpload(r.ctx, replica.AbortRequest{Key: other, UploadID: id})
			_, err4 := r.set.ListUploadParts(r.ctx, other, id, 0, 10)
			for i, err := range []error{err1, err2, err3, err4} {
				if !errors.Is(err, s3.NoSuchUpload) {
					t.Errorf("id %q, call %d: %v", id, i+1, err)
				}
			}
		}
		if _, err := p.try(2, content(10, 2)); err != nil {
			t.Errorf("the upload itself: %v", err)
		}
	})
}

// TestListsAreRefused: what a client names is held against what was acknowledged.
func TestListsAreRefused(t *testing.T) {
	withUploads(t, func(t *testing.T, r *rig) {
		p := r.begin("k", s3.UploadChecksum{})
		p.put(1, content(10, 1))
		p.put(2, content(10, 2))
		for name, c := range map[string]struct {
			list []s3.CompletedPart
			want s3.Code
		}{
			"small":      {[]s3.CompletedPart{{Number: 1, ETag: p.etags[1]}, {Number: 2, ETag: p.etags[2]}}, s3.EntityTooSmall},
			"other ETag": {[]s3.CompletedPart{{Number: 1, ETag: p.etags[2]}}, s3.InvalidPart},
			"missing":    {[]s3.CompletedPart{{Number: 3, ETag: p.etags[2]}}, s3.InvalidPart},
		} {
			req := p.request()
			req.Complete = &s3.Complete{Parts: c.list, Size: -1}
			if _, err := r.set.CompleteUpload(r.ctx, req); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %s", name, err, c.want)
			}
		}
		r.mustMiss("k")
	})
}

// TestConditionsOfAComplete fall when it is completed.
func TestConditionsOfAComplete(t *testing.T) {
	withUploads(t, func(t *testing.T, r *rig) {
		p := r.begin("k", s3.UploadChecksum{})
		p.put(1, content(10, 1))
		r.mustPut("k", []byte("first"))
		req := p.request()
		req.If = s3.WriteConditions{IfNoneMatchStar: true}
		if _, err := r.set.CompleteUpload(r.ctx, req); !errors.Is(err, s3.PreconditionFailed) {
			t.Errorf("if-none-match: %v", err)
		}
		r.mustGet("k", []byte("first"))
		r.mustDelete("k")
		if _, err := r.set.CompleteUpload(r.ctx, req); err != nil {
			t.Errorf("after the delete: %v", err)
		}
		r.mustGet("k", p.whole())
	})
}

// TestUploadsSurviveRestarts: ids, parts and the answer of a Complete.
func TestUploadsSurviveRestarts(t *testing.T) {
	withUploads(t, func(t *testing.T, r *rig) {
		again := func() { r.crash(); r.open(uploadTimes) }
		p := r.begin("k", s3.UploadChecksum{})
		again()
		p.put(1, content(5*mib, 1))
		again()
		p.put(2, content(5, 2))
		again()
		request := p.request()
		info := p.complete()
		again()
		if got, err := r.set.CompleteUpload(r.ctx, request); err != nil || got.ETag != info.ETag {
			t.Errorf("again: %+v, %v", got, err)
		}
		r.mustGet("k", p.whole())
		r.converge()
		r.equal()
		r.nothingLeft()
	})
}

// TestPagesOfUploads walks them one by one.
func TestPagesOfUploads(t *testing.T) {
	withUploads(t, func(t *testing.T, r *rig) {
		for _, name := range []string{"b/1", "a", "b/2", "c", "a"} {
			r.begin(name, s3.UploadChecksum{})
		}
		var got []string
		ask := replica.ListUploadsRequest{Bucket: testBucket, Delimiter: "/", Max: 1}
		for {
			page, err := r.set.ListUploads(r.ctx, ask)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range page.Uploads {
				got = append(got, u.Key)
			}
			got = append(got, page.Prefixes...)
			if !page.More {
				break
			}
			ask.AfterKey, ask.AfterID = page.LastKey, page.LastID
		}
		if strings.Join(got, " ") != "a a b/ c" {
			t.Errorf("walked %v", got)
		}
	})
}

// TestPutPartsOutlastAnAnswerThatWasLost: a client sends a part again, and the Complete.
func TestPutPartsOutlastAnAnswerThatWasLost(t *testing.T) {
	withUploads(t, func(t *testing.T, r *rig) {
		r.servers["a"].SetFaults(memory.Faults{DropRate: 0.3})
		r.servers["b"].SetFaults(memory.Faults{DropRate: 0.3})
		p := r.begin("k", s3.UploadChecksum{})
		retry := func(do func() error) {
			t.Helper()
			var err error
			for range 40 {
				if err = do(); err == nil {
					return
				}
				if !errors.Is(err, s3.SlowDown) {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Second)
			}
			t.Fatal(err)
		}
		for n, size := range map[int]int{1: 5 * mib, 2: 5*mib + 1, 3: 7} {
			retry(func() error {
				data := content(size, uint64(n))
				info, err := p.try(n, data)
				p.data[n], p.etags[n] = data, info.ETag
				return err
			})
		}
		request := p.request()
		retry(func() error { _, err := r.set.CompleteUpload(r.ctx, request); return err })
		r.servers["a"].SetFaults(memory.Faults{})
		r.servers["b"].SetFaults(memory.Faults{})
		r.converge()
		if got, err := r.get("k"); err != nil || !bytes.Equal(got, p.whole()) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		r.equal()
		r.nothingLeft()
	})
}

// TestPartsOfObjects: a part may be a piece of an object, of the version that was judged.
func TestPartsOfObjects(t *testing.T) {
	for _, sum := range []s3.UploadChecksum{{}, {Algorithm: "crc32", Type: s3.Composite}} {
		withUploads(t, func(t *testing.T, r *rig) {
			source := content(9*mib, 8)
			r.mustPut("source", source)
			p := r.begin("k", sum)
			take := func(number, from, to int) error {
				span := s3.Range{Offset: int64(from), Length: int64(to - from), Size: int64(len(source)), Partial: true}
				info, err := r.set.CopyPart(r.ctx, replica.CopyPartRequest{
					Key: p.key, UploadID: p.id, Number: number, Source: key("source"),
					Span: func(object.Info) (s3.Range, error) { return span, nil },
				})
				p.data[number], p.etags[number] = source[from:to], info.ETag
				return err
			}
			if err := errors.Join(take(1, 0, 6*mib), take(2, 6*mib, 9*mib)); err != nil {
				t.Fatal(err)
			}
			refused := s3.Err(s3.PreconditionFailed)
			_, err := r.set.CopyPart(r.ctx, replica.CopyPartRequest{
				Key: p.key, UploadID: p.id, Number: 3, Source: key("source"),
				Span: func(object.Info) (s3.Range, error) { return s3.Range{}, refused },
			})
			if !errors.Is(err, s3.PreconditionFailed) {
				t.Errorf("a condition: %v", err)
			}
			for name, want := range map[string]s3.Code{"none": s3.NoSuchKey} {
				_, err := r.set.CopyPart(r.ctx, replica.CopyPartRequest{Key: p.key, UploadID: p.id, Number: 3, Source: key(name)})
				if !errors.Is(err, want) {
					t.Errorf("source %q: %v", name, err)
				}
			}
			info := p.complete()
			synctest.Wait()
			r.mustGet("k", source)
			if held := r.equal()["k"]; held.ETag != info.ETag {
				t.Errorf("replicas hold %+v", held)
			}
			r.converge()
			r.nothingLeft()
			if used := r.set.UsedMemory(); used != 0 {
				t.Errorf("%d bytes of memory are kept", used)
			}
		})
	}
}

// TestMarkersOfUploads: where no page ever ended is no place to begin at.
func TestMarkersOfUploads(t *testing.T) {
	withUploads(t, func(t *testing.T, r *rig) {
		ids := map[string]string{}
		for _, name := range []string{"a", "b", "c"} {
			ids[name] = r.begin(name, s3.UploadChecksum{}).id
		}
		gone := strings.Repeat("0", 32)
		for _, c := range []struct {
			key, id string
			want    int // uploads; negative: refused
		}{
			{"b", "", 1}, {"b", ids["b"], 1}, {"b", gone, 2}, {"b", ids["a"], -1}, {"b", ids["c"], -1}, {"b", "not an id", -1},
			{"b", "0b7d1e2a-3d51-4a5e-9a53-0f4f6a4a7a11", -1}, {"none", ids["c"], -1}, {"none", gone, 0},
		} {
			page, err := r.set.ListUploads(r.ctx, replica.ListUploadsRequest{Bucket: testBucket, Max: 10, AfterKey: c.key, AfterID: c.id})
			if errors.Is(err, s3.InvalidArgument) != (c.want < 0) || c.want >= 0 && (err != nil || len(page.Uploads) != c.want) {
				t.Errorf("after %s of %q: %d uploads, %v; want %d", c.id, c.key, len(page.Uploads), err, c.want)
			}
		}
	})
}

// Uploads of one key are listed in the order in which they were begun, also in pages.
func TestUploadsOfAKeyAreListedByTime(t *testing.T) {
	withUploads(t, func(t *testing.T, r *rig) {
		var want, got []string
		for range 7 {
			want = append(want, r.begin("k", s3.UploadChecksum{}).id)
			time.Sleep(time.Second)
		}
		other := r.begin("l", s3.UploadChecksum{})
		ask := replica.ListUploadsRequest{Bucket: testBucket, Max: 2}
		for range 10 {
			page, err := r.set.ListUploads(r.ctx, ask)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range page.Uploads {
				got = append(got, u.ID)
			}
			if ask.AfterKey, ask.AfterID = page.LastKey, page.LastID; !page.More {
				break
			}
			if len(got) == 4 { // what a page ended with is aborted before the next
				if err := r.set.AbortUpload(r.ctx, replica.AbortRequest{Key: key("k"), UploadID: ask.AfterID}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if want = append(want, other.id); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// TestPartsAtOnceDoWithoutDifferentReplicas: two parts that are sent together each find
// another replica slow. The second to say so waits for the one that is left; no client has
// to send a part again, and whoever missed one is healed.
func TestPartsAtOnceDoWithoutDifferentReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory.NewLog(), "a", "b", "c")
		r.open(func(o *replica.Options) { uploadTimes(o); o.Defaults.Ack = commit.Rule{Need: 2} })
		r.makeBucket()
		p := r.begin("k", s3.UploadChecksum{})
		slow := memory.Faults{Ops: []s3.OperationName{s3.UploadPart}, Delay: 3 * times.Grace}
		errs := make(chan error, 2)
		for i, name := range []string{"c", "b"} {
			r.servers[name].SetFaults(slow)
			p.data[i+1] = content(5*mib, uint64(i))
			go func() {
				_, err := p.try(i+1, p.data[i+1])
				errs <- err
			}()
			synctest.Wait() // the slow one has it
			r.servers[name].SetFaults(memory.Faults{})
		}
		for range 2 {
			if err := <-errs; err != nil {
				t.Errorf("a part failed: %v", err)
			}
		}
		p.complete()
		r.mustGet("k", p.whole())
		r.converge()
		if got := r.equal()["k"]; got.Size != 10*mib {
			t.Errorf("replicas hold %+v", got)
		}
		r.nothingLeft()
	})
}

// TestACompleteThatIsRepeatedWaits: the first goes on without its client, and whoever asks
// again meanwhile is told what becomes of it. Backends are asked once.
func TestACompleteThatIsRepeatedWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory.NewLog(), "a", "b", "c")
		r.open(func(o *replica.Options) { uploadTimes(o); o.Work = 3 * time.Minute })
		r.makeBucket()
		p := r.begin("k", s3.UploadChecksum{})
		p.put(1, content(5*mib, 1))
		p.put(2, content(7, 2))
		request := p.request()
		for _, name := range r.names {
			r.servers[name].SetFaults(memory.Faults{Ops: []s3.OperationName{s3.CompleteMultipartUpload}, Delay: time.Minute})
			r.counts[name].reset()
		}
		gone, cancel := context.WithTimeout(r.ctx, 5*time.Second)
		defer cancel()
		if _, err := r.set.CompleteUpload(gone, request); !errors.Is(err, s3.SlowDown) {
			t.Fatalf("the first had an answer: %v", err)
		}
		impatient, cancel := context.WithTimeout(r.ctx, 5*time.Second)
		defer cancel()
		if _, err := r.set.CompleteUpload(impatient, request); !errors.Is(err, s3.SlowDown) {
			t.Errorf("the second had an answer: %v", err)
		}
		info, err := r.set.CompleteUpload(r.ctx, request)
		if err != nil || info.Size != int64(len(p.whole())) {
			t.Errorf("repeated: %+v, %v", info, err)
		}
		r.mustGet("k", p.whole())
		for _, name := range r.names {
			if n := r.counts[name].of("POST", "k"); n != 1 {
				t.Errorf("%s was asked %d times to complete", name, n)
			}
		}
		r.converge()
		r.nothingLeft()
	})
}
