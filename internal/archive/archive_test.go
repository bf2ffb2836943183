package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/oplog/oplogtest"
	"github.com/s3mirror/s3mirror/internal/pebble"
)

func embedded(t testing.TB) *pebble.Log {
	t.Helper()
	log, err := pebble.Open(t.TempDir(), pebble.Options{Logger: slog.New(slog.DiscardHandler), OnFatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

// fill puts one record of every kind and more into a log: keys of any bytes, many
// more than a page, events of one moment, an upload with its parts.
func fillLog(t testing.TB, log oplog.Log) {
	t.Helper()
	ctx, seed := t.Context(), 0
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	row := func(bucket, name string) {
		seed++
		r := oplogtest.Rows().Example(seed)
		r.Epoch = oplog.NewEpoch()
		must(log.Swap(ctx, object.Key{Bucket: bucket, Name: name}, oplog.Epoch{}, &r))
	}
	for _, kind := range oplog.DocKinds {
		for _, name := range []string{"", "a", "b\x00\xff"} {
			if kind == oplog.DocUpload {
				continue
			}
			must(log.SwapDoc(ctx, oplog.Epoch{}, oplog.Doc{Kind: kind, Name: name, Epoch: oplog.NewEpoch(), Body: []byte(`{"state":"x"}`)}))
		}
	}
	for i := range page + 20 {
		row("a", fmt.Sprintf("many/%04d", i))
	}
	row("a", "\x00\xff \n/ü")
	row("no document names this bucket", "x")
	for range 3 {
		id := object.NewID()
		must(log.SwapDoc(ctx, oplog.Epoch{}, oplog.Doc{
			Kind: oplog.DocUpload, Name: oplog.UploadName(object.Key{Bucket: "a", Name: "up\x00load"}, id), Epoch: oplog.NewEpoch(), Body: []byte("{}"),
		}))
		for n := range 5 {
			p := oplogtest.Parts().Example(n)
			p.Upload, p.Number, p.Attempt = id, n/2+1, object.NewID()
			must(log.AddPart(ctx, p))
		}
	}
	moment := time.Unix(1_700_000_000, 5).UTC()
	for i := range 2*page + 30 { // more of one moment than a page
		must(log.Append(ctx, oplog.Event{Time: moment, Bucket: "a", Key: fmt.Sprint(i), Op: "put"}))
	}
	for i := range page + 7 {
		must(log.Append(ctx, oplog.Event{Time: moment.Add(time.Duration(i/3) * 7 * time.Second), Bucket: "b", Key: fmt.Sprint(i), Op: "heal"}))
	}
}

// content is everything that an archive holds, in a form that compares.
type content struct {
	docs   []oplog.Doc
	rows   map[object.Key]oplog.Row
	parts  []oplog.Part
	events []oplog.Event
}

func contentOf(t testing.TB, file []byte) content {
	t.Helper()
	c := content{rows: map[object.Key]oplog.Row{}}
	_, _, err := read(bytes.NewReader(file), records{
		document: func(d oplog.Doc) error { c.docs = append(c.docs, d); return nil },
		row:      func(kr oplog.KeyRow) error { c.rows[kr.Key] = kr.Row; return nil },
		part:     func(p oplog.Part) error { c.parts = append(c.parts, p); return nil },
		event: func(ev oplog.Event) error {
			ev.Seq = 0 // the log's own
			c.events = append(c.events, ev)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func exported1(t testing.TB, log oplog.Log) []byte {
	t.Helper()
	var b bytes.Buffer
	counts, err := Export(t.Context(), log, &b, Header{Created: time.Now(), Engine: "x", Moved: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, said, err := Check(bytes.NewReader(b.Bytes())); err != nil || said != counts {
		t.Fatalf("check: %v, %v; exported %v", said, err, counts)
	}
	return b.Bytes()
}

// A log that goes out of one engine, into another and out again holds the same:
// every kind of record, events of one moment in their order.
func TestALogMovesWithEverythingInIt(t *testing.T) {
	for name, open := range map[string][2]oplog.Log{
		"embedded to memory": {embedded(t), memory.NewLog()}, "memory to embedded": {memory.NewLog(), embedded(t)},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := open[0], open[1]
			fillLog(t, from)
			file := exported1(t, from)
			want := contentOf(t, file)
			if len(want.rows) != page+22 || len(want.parts) != 15 || len(want.events) != 3*page+37 {
				t.Fatalf("%d rows, %d parts, %d events", len(want.rows), len(want.parts), len(want.events))
			}
			for _, d := range want.docs {
				if stays(d.Kind) {
					t.Errorf("document %s %q moved", d.Kind, d.Name)
				}
			}
			counts, err := Import(t.Context(), to, bytes.NewReader(file), ImportOptions{})
			if err != nil || counts.Rows != int64(len(want.rows)) {
				t.Fatalf("import: %v, %v", counts, err)
			}
			if err := CheckHome(t.Context(), to); err != nil {
				t.Error(err)
			}
			if got := contentOf(t, exported1(t, to)); !reflect.DeepEqual(got, want) {
				t.Error("it does not hold the same")
			}
		})
	}
}

// Every kind that the contract names is among DocKinds: what is not would stay
// behind.
func TestEveryKindOfDocumentMoves(t *testing.T) {
	log := memory.NewLog()
	for _, kind := range oplog.DocKinds {
		name := "x"
		if kind == oplog.DocUpload {
			name = oplog.UploadName(object.Key{Bucket: "b", Name: "k"}, object.NewID())
		}
		if err := log.SwapDoc(t.Context(), oplog.Epoch{}, oplog.Doc{Kind: kind, Name: name, Epoch: oplog.NewEpoch(), Body: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	docs := contentOf(t, exported1(t, log)).docs
	for _, kind := range oplog.DocKinds {
		moved := slices.ContainsFunc(docs, func(d oplog.Doc) bool { return d.Kind == kind })
		if moved == stays(kind) {
			t.Errorf("documents of kind %s: moved %v", kind, moved)
		}
	}
}

func TestImportRefuses(t *testing.T) {
	ctx := t.Context()
	source := memory.NewLog()
	fillLog(t, source)
	whole := exported1(t, source)
	var backup bytes.Buffer
	if _, err := Export(ctx, source, &backup, Header{}); err != nil {
		t.Fatal(err)
	}
	row := oplog.Row{Epoch: oplog.NewEpoch()}
	for name, c := range map[string]struct {
		prepare func(oplog.Log) error
		file    []byte
		want    error
	}{
		"a row":      {func(l oplog.Log) error { return l.Swap(ctx, object.Key{Bucket: "b", Name: "k"}, oplog.Epoch{}, &row) }, whole, ErrNotEmpty},
		"a document": {func(l oplog.Log) error { return doc(ctx, l, oplog.DocUser, "root", "{}") }, whole, ErrNotEmpty},
		"a node":     {func(l oplog.Log) error { return doc(ctx, l, oplog.DocNode, "n1", "{}") }, whole, ErrNotEmpty},
		"half":       {func(l oplog.Log) error { return doc(ctx, l, oplog.DocMove, moveName, `{"state":"importing"}`) }, whole, ErrHalf},
		"moved":      {func(l oplog.Log) error { return Retire(ctx, l) }, whole, ErrMoved},
		"a backup":   {nil, backup.Bytes(), ErrPast},
		"cut":        {nil, whole[:len(whole)-1], ErrDamaged},
	} {
		log := memory.NewLog()
		if c.prepare != nil {
			if err := c.prepare(log); err != nil {
				t.Fatal(err)
			}
		}
		before, err := log.Stats(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Import(ctx, log, bytes.NewReader(c.file), ImportOptions{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if after, err := log.Stats(ctx); err != nil || after.Rows != before.Rows {
			t.Errorf("%s: %d rows, %v; want %d as before", name, after.Rows, err, before.Rows)
		}
		if errors.Is(c.want, ErrNotEmpty) { // the mark is gone again
			if err := CheckHome(ctx, log); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func doc(ctx context.Context, log oplog.Documents, kind oplog.DocKind, name, body string) error {
	return log.SwapDoc(ctx, oplog.Epoch{}, oplog.Doc{Kind: kind, Name: name, Epoch: oplog.NewEpoch(), Body: []byte(body)})
}

func TestABackupBringsBackAllButRows(t *testing.T) {
	source, log := memory.NewLog(), memory.NewLog()
	fillLog(t, source)
	var file bytes.Buffer
	if _, err := Export(t.Context(), source, &file, Header{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(t.Context(), log, bytes.NewReader(file.Bytes()), ImportOptions{WithoutRows: true}); err != nil {
		t.Fatal(err)
	}
	got, want := contentOf(t, exported1(t, log)), contentOf(t, file.Bytes())
	want.docs = slices.DeleteFunc(want.docs, func(d oplog.Doc) bool { return d.Kind == oplog.DocUpload })
	if len(got.rows) > 0 || len(got.parts) > 0 || !reflect.DeepEqual(got.docs, want.docs) || !reflect.DeepEqual(got.events, want.events) {
		t.Errorf("%d rows, %d parts, %d documents of %d, %d events of %d", len(got.rows), len(got.parts), len(got.docs), len(want.docs), len(got.events), len(want.events))
	}
}

// fickle answers changes as a log does whose network fails: some are applied and
// the answer is lost, some are not.
type fickle struct {
	oplog.Log
	n    int
	stop int // from this change on everything fails; 0: never
}

func (f *fickle) outcome(change func() error) error {
	if f.n++; f.stop > 0 && f.n >= f.stop {
		return oplog.NotApplied(errors.New("the log is away"))
	}
	switch f.n % 5 {
	case 1:
		return oplog.Unknown(errors.New("lost on the way"))
	case 3:
		if err := change(); err != nil {
			return err
		}
		return oplog.Unknown(errors.New("lost on the way back"))
	}
	return change()
}

func (f *fickle) Swap(ctx context.Context, k object.Key, old oplog.Epoch, r *oplog.Row) error {
	return f.outcome(func() error { return f.Log.Swap(ctx, k, old, r) })
}

func (f *fickle) SwapDoc(ctx context.Context, old oplog.Epoch, d oplog.Doc) error {
	return f.outcome(func() error { return f.Log.SwapDoc(ctx, old, d) })
}

func (f *fickle) AddPart(ctx context.Context, p oplog.Part) error {
	return f.outcome(func() error { return f.Log.AddPart(ctx, p) })
}

// one is a fickle log that is asked by one at a time.
func one(l oplog.Log, stop int) oplog.Log {
	return &serial{fickle: fickle{Log: l, stop: stop}, turn: make(chan struct{}, 1)}
}

type serial struct {
	fickle
	turn chan struct{}
}

func (s *serial) Swap(ctx context.Context, k object.Key, old oplog.Epoch, r *oplog.Row) error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	return s.fickle.Swap(ctx, k, old, r)
}

func (s *serial) SwapDoc(ctx context.Context, old oplog.Epoch, d oplog.Doc) error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	return s.fickle.SwapDoc(ctx, old, d)
}

func (s *serial) AddPart(ctx context.Context, p oplog.Part) error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	return s.fickle.AddPart(ctx, p)
}

// Outcomes that are not known are settled, and the mark goes in the end.
func TestImportIntoALogThatAnswersBadly(t *testing.T) {
	source, log := memory.NewLog(), memory.NewLog()
	fillLog(t, source)
	file := exported1(t, source)
	if err := import1(t, one(log, 0), file); err != nil {
		t.Fatal(err)
	}
	if got := contentOf(t, exported1(t, log)); !reflect.DeepEqual(got, contentOf(t, file)) {
		t.Error("it does not hold the same")
	}
}

func import1(t testing.TB, log oplog.Log, file []byte) error {
	_, err := Import(t.Context(), log, bytes.NewReader(file), ImportOptions{})
	return err
}

// Wherever an import is cut off, the log is refused afterwards, unless nothing or
// everything is there.
func TestAnImportThatIsCutOffIsSeen(t *testing.T) {
	source := memory.NewLog()
	if err := doc(t.Context(), source, oplog.DocBucket, "b", "{}"); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		row := oplog.Row{Epoch: oplog.NewEpoch()}
		if err := source.Swap(t.Context(), object.Key{Bucket: "b", Name: fmt.Sprint(i)}, oplog.Epoch{}, &row); err != nil {
			t.Fatal(err)
		}
	}
	file := exported1(t, source)
	halves := 0
	for stop := 1; stop < 200; stop++ {
		log := memory.NewLog()
		err := import1(t, one(log, stop), file)
		rows, failed := log.Stats(t.Context())
		if failed != nil {
			t.Fatal(failed)
		}
		home := CheckHome(t.Context(), log)
		switch {
		case err == nil && home == nil && rows.Rows == 5:
			if halves < 5 {
				t.Errorf("only %d halves were seen", halves)
			}
			return
		case err == nil:
			t.Fatalf("stop %d: import said that it is done, and home is %v with %d rows", stop, home, rows.Rows)
		case home == nil && rows.Rows != 0 && rows.Rows != 5:
			t.Fatalf("stop %d: %d rows of 5, and the log is not refused", stop, rows.Rows)
		case errors.Is(home, ErrHalf):
			halves++
			if err := import1(t, log, file); !errors.Is(err, ErrHalf) {
				t.Errorf("stop %d: a second import into it: %v", stop, err)
			}
		}
	}
	t.Error("it is never done")
}

func TestRetireAndRecall(t *testing.T) {
	log, ctx := memory.NewLog(), t.Context()
	for range 2 {
		if err := errors.Join(Recall(ctx, log), CheckHome(ctx, log)); err != nil {
			t.Fatal(err)
		}
		if err := Retire(ctx, log); err != nil {
			t.Fatal(err)
		}
		if err := CheckHome(ctx, log); !errors.Is(err, ErrMoved) {
			t.Errorf("%v, want ErrMoved", err)
		}
		if err := errors.Join(Recall(ctx, log), CheckHome(ctx, log)); err != nil {
			t.Fatal(err)
		}
	}
	if err := doc(ctx, log, oplog.DocMove, moveName, `{"state":"importing"}`); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(Recall(ctx, log)); err != nil || !errors.Is(CheckHome(ctx, log), ErrHalf) {
		t.Errorf("half of a log was recalled: %v", err)
	}
}

// Every bit that flips, every byte that is missing or added, is found.
func TestDamageIsFound(t *testing.T) {
	log := memory.NewLog()
	for i := range 3 {
		if err := doc(t.Context(), log, oplog.DocUser, fmt.Sprint(i), "{}"); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Append(t.Context(), oplog.Event{Time: time.Unix(1, 0), Bucket: "b"}); err != nil {
		t.Fatal(err)
	}
	file := exported1(t, log)
	bad := func(what string, b []byte) {
		t.Helper()
		if _, _, err := Check(bytes.NewReader(b)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v, want ErrDamaged", what, err)
		}
	}
	for i := range file {
		for bit := range 8 {
			b := slices.Clone(file)
			b[i] ^= 1 << bit
			bad(fmt.Sprintf("bit %d of byte %d", bit, i), b)
		}
		bad(fmt.Sprintf("cut at %d", i), file[:i])
	}
	bad("longer", append(slices.Clone(file), 0))
}

// What the writer cannot take ends an export.
func TestExportTellsWhatFails(t *testing.T) {
	log := memory.NewLog()
	fillLog(t, log)
	if _, err := Export(t.Context(), log, failing{}, Header{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Export(ctx, log, io.Discard, Header{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's", err)
	}
	if err := doc(t.Context(), log, oplog.DocUpload, "no upload", "{}"); err != nil {
		t.Fatal(err)
	}
	if _, err := Export(t.Context(), log, io.Discard, Header{}); !errors.Is(err, oplog.ErrBadRecord) {
		t.Errorf("%v, want ErrBadRecord", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// FuzzRead: no file makes the reader panic or take more than it is, and what is no
// archive is ErrDamaged.
func FuzzRead(f *testing.F) {
	log := memory.NewLog()
	if err := doc(context.Background(), log, oplog.DocUser, "u", "{}"); err != nil {
		f.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := Export(context.Background(), log, &b, Header{}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(magic))
	f.Add([]byte(magic + "\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if _, _, err := Check(bytes.NewReader(file)); err != nil && !errors.Is(err, ErrDamaged) {
			t.Error(err)
		}
		// Past the sums: a record of any bytes.
		if len(file) > 0 {
			r := reader{}
			if err := r.record(file, records{}, &Counts{}); err != nil && !errors.Is(err, ErrDamaged) {
				t.Error(err)
			}
		}
	})
}

// Records of any bytes come back as they were.
func TestFramesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row, part, ev := oplogtest.Rows().Draw(t, "row"), oplogtest.Parts().Draw(t, "part"), oplogtest.Events().Draw(t, "event")
		key := object.Key{Bucket: rapid.String().Draw(t, "bucket"), Name: string(rapid.SliceOf(rapid.Byte()).Draw(t, "name"))}
		var b bytes.Buffer
		w, err := newWriter(&b, Header{})
		if err == nil {
			err = errors.Join(w.row(&oplog.KeyRow{Key: key, Row: row}), w.part(&part), w.event(&ev), w.end())
		}
		if err != nil {
			t.Fatal(err)
		}
		c := content{rows: map[object.Key]oplog.Row{}}
		_, _, err = read(&b, records{
			row:   func(kr oplog.KeyRow) error { c.rows[kr.Key] = kr.Row; return nil },
			part:  func(p oplog.Part) error { c.parts = append(c.parts, p); return nil },
			event: func(ev oplog.Event) error { c.events = append(c.events, ev); return nil },
		})
		if err != nil || !reflect.DeepEqual(c.rows[key], row) || !reflect.DeepEqual(c.parts, []oplog.Part{part}) || !reflect.DeepEqual(c.events, []oplog.Event{ev}) {
			t.Fatalf("%v", err)
		}
	})
}

func TestCountsAreWords(t *testing.T) {
	if got := (Counts{Rows: 1, Documents: 2, Parts: 3, Events: 4}).String(); !strings.Contains(got, "1 rows, 2 documents, 3 parts, 4 events") {
		t.Error(got)
	}
}
