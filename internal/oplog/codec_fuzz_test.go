package oplog_test

import (
	"bytes"
	"testing"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// The oracle of both: whatever is read has a stored form that reads the same,
// and nothing panics or allocates beyond the input.

func FuzzDecodeRow(f *testing.F) {
	row := fullRow()
	f.Add(oplog.EncodeRow(&row))
	f.Add(oplog.EncodeRow(&oplog.Row{}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		row, err := oplog.DecodeRow(data)
		if err != nil {
			return
		}
		form := oplog.EncodeRow(&row)
		back, err := oplog.DecodeRow(form)
		if err != nil {
			t.Fatalf("the form of a read row cannot be read: %v", err)
		}
		if again := oplog.EncodeRow(&back); !bytes.Equal(again, form) {
			t.Fatalf("forms differ:\n%x\n%x", form, again)
		}
	})
}

func FuzzDecodeEvent(f *testing.F) {
	f.Add(oplog.EncodeEvent(&oplog.Event{Op: "put", Key: "k\x00", Backends: map[string]string{"eu-1": "ok", "eu-2": "late"}}))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, data []byte) {
		event, err := oplog.DecodeEvent(data)
		if err != nil {
			return
		}
		form := oplog.EncodeEvent(&event)
		back, err := oplog.DecodeEvent(form)
		if err != nil {
			t.Fatalf("the form of a read event cannot be read: %v", err)
		}
		if again := oplog.EncodeEvent(&back); !bytes.Equal(again, form) {
			t.Fatalf("forms differ:\n%x\n%x", form, again)
		}
	})
}

func FuzzDecodePart(f *testing.F) {
	f.Add(oplog.EncodePart(&oplog.Part{Size: 1, ETag: "e", ETags: map[string]string{"eu-1": "e", "ru-1": ""}}))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, data []byte) {
		name := oplog.PartName{Number: 1, Attempt: object.ID{1}}
		part, err := oplog.DecodePart(object.ID{2}, name, data)
		if err != nil {
			return
		}
		form := oplog.EncodePart(&part)
		back, err := oplog.DecodePart(object.ID{2}, name, form)
		if err != nil {
			t.Fatalf("the form of a read part cannot be read: %v", err)
		}
		if again := oplog.EncodePart(&back); !bytes.Equal(again, form) {
			t.Fatalf("forms differ:\n%x\n%x", form, again)
		}
	})
}
