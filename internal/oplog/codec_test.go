package oplog_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/oplog/oplogtest"
	"pgregory.net/rapid"
)

func TestRowsSurviveTheirStoredForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := oplogtest.Rows().Draw(t, "row")
		data := oplog.EncodeRow(&row)
		got, err := oplog.DecodeRow(data)
		if err != nil || !reflect.DeepEqual(got, row) {
			t.Fatalf("err %v\n got %+v\nwant %+v", err, got, row)
		}
		if epoch, err := oplog.StoredEpoch(data); err != nil || epoch != row.Epoch {
			t.Fatalf("stored epoch %x, %v; want %x", epoch, err, row.Epoch)
		}
		if again := oplog.EncodeRow(row.Clone()); !bytes.Equal(again, data) {
			t.Fatalf("equal rows have unequal forms:\n%x\n%x", again, data)
		}
		for i := range data {
			data[i] ^= 0xff // the row must not hold on to the bytes
		}
		if !reflect.DeepEqual(got, row) {
			t.Fatal("the decoded row shares memory with what it was decoded from")
		}
	})
}

func TestEventsPartsInfosAndDocumentsSurviveTheirStoredForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		event := oplogtest.Events().Draw(t, "event")
		if got, err := oplog.DecodeEvent(oplog.EncodeEvent(&event)); err != nil || !reflect.DeepEqual(got, event) {
			t.Fatalf("event: err %v\n got %+v\nwant %+v", err, got, event)
		}
		part := oplogtest.Parts().Draw(t, "part")
		if got, err := oplog.DecodePart(part.Upload, part.Name(), oplog.EncodePart(&part)); err != nil || !reflect.DeepEqual(got, part) {
			t.Fatalf("part: err %v\n got %+v\nwant %+v", err, got, part)
		}
		info := oplogtest.Infos().Draw(t, "info")
		if got, err := oplog.DecodeInfo(oplog.EncodeInfo(info)); err != nil || !reflect.DeepEqual(got, info) {
			t.Fatalf("info: err %v\n got %+v\nwant %+v", err, got, info)
		}
		doc := oplog.Doc{Kind: oplog.DocNode, Name: "n1", Epoch: oplog.NewEpoch(), Body: rapid.SliceOf(rapid.Byte()).Draw(t, "body")}
		if got, err := oplog.DecodeDoc(doc.Kind, doc.Name, oplog.EncodeDoc(doc)); err != nil || !reflect.DeepEqual(got, doc) {
			t.Fatalf("document: err %v\n got %+v\nwant %+v", err, got, doc)
		}
	})
}

func TestEveryCutOfARecordIsRefusedOrRead(t *testing.T) {
	row := fullRow()
	data := oplog.EncodeRow(&row)
	for n := range len(data) {
		if _, err := oplog.DecodeRow(data[:n]); err != nil && !errors.Is(err, oplog.ErrBadRecord) {
			t.Fatalf("cut at %d: %v is not ErrBadRecord", n, err)
		}
	}
}

func TestRecordsOfAnotherFormatAreRefused(t *testing.T) {
	row := fullRow()
	for name, damage := range map[string]func([]byte) []byte{
		"empty":         func([]byte) []byte { return nil },
		"later format":  func(b []byte) []byte { b[0]++; return b },
		"no epoch":      func(b []byte) []byte { return b[:10] },
		"count too far": func(b []byte) []byte { return append(b, 2<<1|1, 0xff, 0x01) },
		"endless tag":   func(b []byte) []byte { return append(b, bytes.Repeat([]byte{0xff}, 11)...) },
		"wrong kind":    func(b []byte) []byte { return append(b, 1<<1|1, 0) }, // cfg as text
		"bad time":      func(b []byte) []byte { return append(b, 9<<1|1, 3, 0, 0, 0) },
		"bad map entry": func(b []byte) []byte { return append(b, 8<<1|1, 1, 7) },
		"bad nested":    func(b []byte) []byte { return append(b, 6<<1|1, 2, 1<<1|1, 9) },
	} {
		if _, err := oplog.DecodeRow(damage(oplog.EncodeRow(&row))); !errors.Is(err, oplog.ErrBadRecord) {
			t.Errorf("row, %s: got %v, want ErrBadRecord", name, err)
		}
	}
	for name, data := range map[string][]byte{"empty": nil, "later format": {99}, "cut": {1, 3, 9}} {
		if _, err := oplog.DecodeEvent(data); !errors.Is(err, oplog.ErrBadRecord) {
			t.Errorf("event, %s: got %v, want ErrBadRecord", name, err)
		}
		if _, err := oplog.DecodePart(object.ID{1}, oplog.PartName{Number: 1}, data); !errors.Is(err, oplog.ErrBadRecord) {
			t.Errorf("part, %s: got %v, want ErrBadRecord", name, err)
		}
		if _, err := oplog.DecodeInfo(data); !errors.Is(err, oplog.ErrBadRecord) {
			t.Errorf("info, %s: got %v, want ErrBadRecord", name, err)
		}
		if _, err := oplog.DecodeDoc(oplog.DocUser, "u", data); !errors.Is(err, oplog.ErrBadRecord) {
			t.Errorf("document, %s: got %v, want ErrBadRecord", name, err)
		}
	}
}

// What version N+1 may write: fields under numbers that this version does not
// know, at every level.
func TestUnknownFieldsAreSteppedOver(t *testing.T) {
	row := fullRow()
	unknown := []byte{
		0xfe, 0x07, 0x2a, // number 511, varint
		0xff, 0x07, 0x03, 'n', 'e', 'w', // number 511, bytes
	}
	got, err := oplog.DecodeRow(append(oplog.EncodeRow(&row), unknown...))
	if err != nil || !reflect.DeepEqual(got, row) {
		t.Fatalf("at the top: err %v\n got %+v\nwant %+v", err, got, row)
	}
	// The last field of a stored info may be followed by later ones too.
	info := row.Cur
	in, err := oplog.DecodeInfo(append(oplog.EncodeInfo(info), unknown...))
	if err != nil || !reflect.DeepEqual(in, info) {
		t.Fatalf("nested: err %v\n got %+v\nwant %+v", err, in, info)
	}
	event := oplog.Event{Op: "put", Key: "k"}
	ev, err := oplog.DecodeEvent(append(oplog.EncodeEvent(&event), unknown...))
	if err != nil || !reflect.DeepEqual(ev, event) {
		t.Fatalf("event: err %v, got %+v", err, ev)
	}
}

func TestUploadNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := object.Key{
			Bucket: rapid.StringMatching(`[a-z0-9.-]{3,63}`).Draw(t, "bucket"),
			Name:   string(rapid.SliceOf(rapid.Byte()).Draw(t, "key")),
		}
		id := object.NewID()
		name := oplog.UploadName(key, id)
		gotKey, gotID, ok := oplog.ParseUploadName(name)
		if !ok || gotKey != key || gotID != id {
			t.Fatalf("%q reads as %v %v %v", name, gotKey, gotID, ok)
		}
		cut := rapid.IntRange(0, len(name)-1).Draw(t, "cut")
		if key, id, ok := oplog.ParseUploadName(name[:cut]); ok && oplog.UploadName(key, id) != name[:cut] {
			t.Fatalf("%q was taken for a name", name[:cut])
		}
	})
	for _, name := range []string{"", "b", "b\x00k", "b\x00" + object.ID{1}.String(), "b\x00k\x00" + strings.Repeat("x", 32)} {
		if _, _, ok := oplog.ParseUploadName(name); ok {
			t.Errorf("%q was taken for a name", name)
		}
	}
}

// The stored form is a promise to data folders that exist. If this test fails,
// a field's number or form changed: give the change a new number instead.
func TestStoredFormIsFrozen(t *testing.T) {
	row := fullRow()
	got := hex.EncodeToString(oplog.EncodeRow(&row))
	if got != frozenRow {
		t.Errorf("stored row\n got %s\nwant %s", got, frozenRow)
	}
	data, err := hex.DecodeString(frozenRow)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := oplog.DecodeRow(data); err != nil || !reflect.DeepEqual(back, row) {
		t.Errorf("frozen row reads as %+v, %v", back, err)
	}
}

// Rows as they were written before it was noted who keeps no checksums, before copies could be rotten, before there were tags, and before entries kept size and
// ETag and there were uploads.
func TestRowsOfOlderVersionsAreRead(t *testing.T) {
	noSums := fullRow()
	noSums.Sumless = nil
	noRot := *noSums.Clone()
	noRot.Rotten = nil
	noTags := fullRow()
	noTags.Cur.Tags, noTags.Unsettled[0].Tags = nil, nil
	noTags.Tagged, noTags.Tagging, noTags.Mistagged, noTags.Bare, noTags.Rotten, noTags.Sumless = false, nil, nil, nil, nil, nil
	noUploads := *noTags.Clone()
	noUploads.Unsettled[0].Size, noUploads.Unsettled[0].ETag = 0, ""
	noUploads.Unsettled[0].Slow, noUploads.Intent.Slow, noUploads.Done = 0, 0, nil
	noUploads.Refused[0].Words = ""
	frozenRow4 := strings.TrimSuffix(frozenRow, "230465752d31")
	frozenRow3 := strings.TrimSuffix(frozenRow4, "210472752d31")
	for frozen, want := range map[string]oplog.Row{frozenRow4: noSums, frozenRow3: noRot, frozenRow2: noTags, frozenRow1: noUploads} {
		data, err := hex.DecodeString(frozen)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := oplog.DecodeRow(data); err != nil || !reflect.DeepEqual(back, want) {
			t.Errorf("reads as %+v, %v", back, err)
		}
	}
}

// A field that fullRow leaves out is a field that the codec may forget unseen.
func TestFullRowHasEveryField(t *testing.T) {
	row := fullRow()
	row.Intent.Kind, row.Intent.Info = object.Present, row.Cur // zero there, and tested as Cur
	everyField(t, "row", reflect.ValueOf(row))
}

func everyField(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	switch {
	case v.Kind() == reflect.Pointer && !v.IsNil():
		everyField(t, path, v.Elem())
		return
	case v.Kind() == reflect.Slice && v.Len() > 0 && v.Type().Elem().Kind() == reflect.Struct:
		everyField(t, path, v.Index(0))
		return
	case v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[time.Time]():
		if v.IsZero() {
			t.Errorf("%s is zero", path)
		}
		return
	}
	for i := range v.NumField() {
		everyField(t, path+"."+v.Type().Field(i).Name, v.Field(i))
	}
}

const frozenRow = "" +
	"0165706f63680000000000000000000000020305750310010200000000000000000000000000000480808080802006010904396232630a" +
	"0a0d06908dacb00d070f170c636f6e74656e742d74797065746578742f706c61696e0f120e782d616d7a2d6d6574612d72617700ff0a10" +
	"808080051000100e130a06636f6c6f7572726564130605656d7074790601090465752d31090472752d310b5d0310030000000000000000" +
	"00000000000000051004000000000000000000000000000000068180808080200a020d066e6f64652d310f100500000000000000000000" +
	"0000000000110465752d31110465752d3213020a011c80a8d6b9070d4c0310060000000000000000000000000000000510070000000000" +
	"00000000000000000000060908010a01150465752d321706f0d4abb00d07180a1b04396232631c80e0ba84bf031f030161620f13046575" +
	"2d32456e74697479546f6f4c61726765110b0472752d31396232632d311306928dacb00d07151c05100800000000000000000000000000" +
	"000006071b06396232632d331711546f6f206c6172676520666f72206d652e18011b520310090000000000000000000000000000000510" +
	"01020000000000000000000000000000060808010a06150472752d311706908dacb00d07180a1b04396232631c80a8d6b9071f0a06636f" +
	"6c6f75727265641d0465752d321d0472752d311f0465752d31210472752d31230465752d31"

const frozenRow2 = "" +
	"0165706f63680000000000000000000000020305610310010200000000000000000000000000000480808080802006010904396232630a" +
	"0a0d06908dacb00d070f170c636f6e74656e742d74797065746578742f706c61696e0f120e782d616d7a2d6d6574612d72617700ff0a10" +
	"808080051000100e0601090465752d31090472752d310b5d03100300000000000000000000000000000005100400000000000000000000" +
	"0000000000068180808080200a020d066e6f64652d310f1005000000000000000000000000000000110465752d31110465752d3213020a" +
	"011c80a8d6b9070d47031006000000000000000000000000000000051007000000000000000000000000000000060908010a0115046575" +
	"2d321706f0d4abb00d07180a1b04396232631c80e0ba84bf030f130465752d32456e74697479546f6f4c61726765110b0472752d313962" +
	"32632d311306928dacb00d07151c05100800000000000000000000000000000006071b06396232632d331711546f6f206c6172676520666f" +
	"72206d652e"

const frozenRow1 = "" +
	"0165706f63680000000000000000000000020305610310010200000000000000000000000000000480808080802006010904396232630a" +
	"0a0d06908dacb00d070f170c636f6e74656e742d74797065746578742f706c61696e0f120e782d616d7a2d6d6574612d72617700ff0a10" +
	"808080051000100e0601090465752d31090472752d310b5703100300000000000000000000000000000005100400000000000000000000" +
	"0000000000068180808080200a020d066e6f64652d310f1005000000000000000000000000000000110465752d31110465752d3213020a" +
	"010d38031006000000000000000000000000000000051007000000000000000000000000000000060908010a01150465752d321706f0d4" +
	"abb00d070f130465752d32456e74697479546f6f4c61726765110b0472752d31396232632d311306928dacb00d07"

// fullRow has every field set.
func fullRow() oplog.Row {
	at := time.Date(2026, 11, 24, 12, 30, 0, 7, time.UTC)
	cur := object.Info{
		ID: object.ID{1, 2}, Ver: 1 << 40, Kind: object.Present, ETag: "9b2c", Size: 5, ModTime: at,
		Headers: object.Headers{"content-type": "text/plain", "x-amz-meta-raw": "\x00\xff\n"},
		Parts:   []int64{5 << 20, 0, 7},
		Tags:    object.Tags{"colour": "red", "empty": ""},
	}
	return oplog.Row{
		Epoch: oplog.Epoch{'e', 'p', 'o', 'c', 'h'}, Cfg: 3, Cur: cur, Open: true,
		Good: object.NewReplicas("eu-1", "ru-1"),
		Intent: &oplog.Intent{
			Op: object.ID{3}, ID: object.ID{4}, Ver: 1<<40 + 1, Kind: object.Tombstone, Type: oplog.OpDelete,
			Owner: "node-1", Nonce: object.ID{5}, Reps: object.NewReplicas("eu-1", "eu-2"), Info: object.Info{Size: -1}, Slow: time.Second,
		},
		Unsettled: []oplog.Entry{{
			Op: object.ID{6}, ID: object.ID{7}, Ver: 9, Kind: object.Present, Type: oplog.OpPut, Replica: "eu-2", Added: at.Add(-time.Hour),
			Size: 5, ETag: "9b2c", Slow: time.Minute, Tags: object.Tags{"a": "b"},
		}},
		Refused: []oplog.Refusal{{Replica: "eu-2", Code: "EntityTooLarge", Words: "Too large for me."}},
		ETags:   map[string]string{"ru-1": "9b2c-1"},
		Done:    []oplog.Done{{ID: object.ID{8}, Ver: 7, ETag: "9b2c-3"}},
		Changed: at.Add(time.Second),
		Tagged:  true,
		Tagging: []oplog.Entry{{
			Op: object.ID{9}, ID: object.ID{1, 2}, Ver: 8, Kind: object.Present, Type: oplog.OpTag, Replica: "ru-1", Added: at,
			Size: 5, ETag: "9b2c", Slow: time.Second, Tags: object.Tags{"colour": "red"},
		}},
		Mistagged: object.NewReplicas("eu-2", "ru-1"),
		Bare:      object.NewReplicas("eu-1"),
		Rotten:    object.NewReplicas("ru-1"),
		Sumless:   object.NewReplicas("eu-1"),
	}
}

func BenchmarkRow(b *testing.B) {
	row := fullRow()
	data := oplog.EncodeRow(&row)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 0, 1024)
		for b.Loop() {
			buf = oplog.AppendRow(buf[:0], &row)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := oplog.DecodeRow(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}
