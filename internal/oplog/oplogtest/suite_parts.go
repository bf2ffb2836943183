package oplogtest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

var partChecks = []check{
	{"a part keeps every field, and is not shared", func(t *testing.T, s subject) {
		part := newPart(object.NewID(), 7)
		s.addPart(t, part)
		s.wantParts(t, part.Upload, part)
		got := s.parts(t, part.Upload, 10)
		got[0].ETags["eu-1"], got[0].Sums["x-amz-checksum-crc32"] = "spoilt", "spoilt"
		s.wantParts(t, part.Upload, part)
		bare := oplog.Part{Upload: object.NewID(), Number: oplog.MaxPart, Attempt: object.NewID()}
		s.addPart(t, bare)
		s.wantParts(t, bare.Upload, bare)
	}},

	{"parts come by number and attempt, page by page, of one upload only", func(t *testing.T, s subject) {
		upload, other := object.NewID(), object.NewID()
		var want []oplog.Part
		for _, number := range []int{1, 2, 2, 2, 255, 256, 9999, oplog.MaxPart} {
			part := newPart(upload, number)
			part.Attempt = object.ID{0: byte(len(want) + 1), 15: 0xff}
			want = append(want, part)
		}
		for _, i := range []int{6, 0, 3, 7, 1, 5, 2, 4} {
			s.addPart(t, want[i])
			s.addPart(t, newPart(other, i+1))
		}
		s.wantParts(t, upload, want...)
		if got := s.parts(t, other, 3); len(got) != 8 {
			t.Errorf("the other upload has %d parts, want 8", len(got))
		}
		if got := s.parts(t, object.NewID(), 3); len(got) != 0 {
			t.Errorf("an upload without parts has %v", got)
		}
	}},

	{"the same part again is no change", func(t *testing.T, s subject) {
		part := newPart(object.NewID(), 1)
		for range 3 {
			s.addPart(t, part)
		}
		s.wantParts(t, part.Upload, part)
	}},

	{"a record that is none is refused", func(t *testing.T, s subject) {
		good := newPart(object.NewID(), 1)
		for name, spoil := range map[string]func(*oplog.Part){
			"number 0":   func(p *oplog.Part) { p.Number = 0 },
			"too high":   func(p *oplog.Part) { p.Number = oplog.MaxPart + 1 },
			"no upload":  func(p *oplog.Part) { p.Upload = object.ID{} },
			"no attempt": func(p *oplog.Part) { p.Attempt = object.ID{} },
		} {
			part := good
			spoil(&part)
			if err := s.AddPart(context.Background(), part); !errors.Is(err, oplog.ErrNotApplied) {
				t.Errorf("%s: got %v, want ErrNotApplied", name, err)
			}
		}
		s.wantParts(t, good.Upload)
	}},

	{"an upload's parts are dropped together, and again", func(t *testing.T, s subject) {
		upload, other := object.NewID(), newPart(object.NewID(), 3)
		for i := range 50 {
			s.addPart(t, newPart(upload, i+1))
		}
		s.addPart(t, other)
		for range 2 {
			if err := s.DropParts(context.Background(), upload); err != nil {
				t.Fatalf("drop: %v", err)
			}
			s.wantParts(t, upload)
		}
		s.wantParts(t, other.Upload, other)
	}},

	{"parts added at once are all there", func(t *testing.T, s subject) {
		upload := object.NewID()
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := range 25 {
					part := newPart(upload, 1+w*25+i)
					s.addPart(t, part)
					page, err := s.Parts(context.Background(), upload, oplog.PartName{Number: part.Number}, 1)
					if err != nil || len(page) != 1 || page[0].Attempt != part.Attempt {
						t.Errorf("a part that was added is not there: %v, %v", page, err)
					}
				}
			})
		}
		wg.Wait()
		if got := s.parts(t, upload, 33); len(got) != 200 {
			t.Errorf("%d parts, want 200", len(got))
		}
	}},

	{"a context that had ended adds and drops nothing", func(t *testing.T, s subject) {
		part := newPart(object.NewID(), 1)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.AddPart(ctx, part); !errors.Is(err, oplog.ErrNotApplied) {
			t.Errorf("add: got %v, want ErrNotApplied", err)
		}
		s.wantParts(t, part.Upload)
		s.addPart(t, part)
		if err := s.DropParts(ctx, part.Upload); !errors.Is(err, oplog.ErrNotApplied) {
			t.Errorf("drop: got %v, want ErrNotApplied", err)
		}
		s.wantParts(t, part.Upload, part)
	}},

	{"the documents of a bucket's uploads lie together, in order of the key", func(t *testing.T, s subject) {
		first, last := object.ID{0: 1}, object.ID{0: 2}
		names := []string{
			oplog.UploadName(object.Key{Bucket: "a", Name: "z"}, first),
			oplog.UploadName(object.Key{Bucket: "b", Name: "k"}, first),
			oplog.UploadName(object.Key{Bucket: "b", Name: "k"}, last),
			oplog.UploadName(object.Key{Bucket: "b", Name: "k/1"}, first),
			oplog.UploadName(object.Key{Bucket: "bb", Name: "k"}, first),
		}
		for _, i := range []int{3, 0, 4, 2, 1} {
			s.swapDoc(t, oplog.Epoch{}, newDoc(oplog.DocUpload, names[i]))
		}
		page, err := s.Docs(context.Background(), oplog.DocUpload, oplog.UploadsOf("b", "k"), 3)
		var got []string
		for _, doc := range page {
			got = append(got, doc.Name)
		}
		if err != nil {
			t.Fatal(err)
		}
		wantNames(t, "uploads of b", got, names[1:4])
		gone := page[1]
		s.swapDoc(t, gone.Epoch, oplog.Doc{Kind: gone.Kind, Name: gone.Name})
		s.wantDoc(t, oplog.DocUpload, gone.Name, nil)
	}},
}

// newPart makes a record with every field set.
func newPart(upload object.ID, number int) oplog.Part {
	return oplog.Part{
		Upload: upload, Number: number, Attempt: object.NewID(), Added: noon, Size: 5 << 20,
		ETag: fmt.Sprintf("%032x", number), Sums: object.Headers{"x-amz-checksum-crc32": "AAAAAA=="},
		ETags: map[string]string{"eu-1": fmt.Sprintf("%032x", number), "ru-1": "\"odd\x00"},
	}
}

func (s subject) addPart(t *testing.T, part oplog.Part) {
	t.Helper()
	if err := s.AddPart(context.Background(), part); err != nil {
		t.Errorf("add part %d: %v", part.Number, err)
	}
}

// parts pages through an upload.
func (s subject) parts(t *testing.T, upload object.ID, limit int) []oplog.Part {
	t.Helper()
	var all []oplog.Part
	var at oplog.PartName
	for {
		page, err := s.Parts(context.Background(), upload, at, limit)
		if err != nil || len(page) > limit {
			t.Fatalf("parts: %d, %v", len(page), err)
		}
		all = append(all, page...)
		if len(page) < limit {
			return all
		}
		at = page[len(page)-1].Name()
	}
}

// wantParts wants exactly these, whatever the size of the page.
func (s subject) wantParts(t *testing.T, upload object.ID, want ...oplog.Part) {
	t.Helper()
	for _, limit := range []int{1, 2, 100} {
		got := s.parts(t, upload, limit)
		if len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("parts, page of %d:\n got %+v\nwant %+v", limit, got, want)
		}
	}
}
