package replica

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// holding is an endpoint that holds one object, whatever it is asked for.
type holding struct {
	backend.Endpoint // nil: nothing else is asked
	obj              object.Seen
	text             []byte
}

func (h holding) Get(context.Context, string, string, backend.GetOptions) (*backend.Object, error) {
	return &backend.Object{Seen: h.obj, Length: int64(len(h.text)), Body: io.NopCloser(bytes.NewReader(h.text))}, nil
}

// Whoever can write to a backend can write an identity there. What is read of it is what the
// document says in each field, or nobody's.
func FuzzIdentity(f *testing.F) {
	f.Add([]byte(`{"deployment":"d","bucket":"photos","generation":"g","backend":"a"}`))
	f.Add([]byte(`{"deployment":"d"} {"deployment":"e"}`))
	f.Add([]byte(`{"Deployment":"d","bucket":null,"bucket":"b"}`))
	f.Add([]byte(`{"deployment":"d","bucket":7}`))
	f.Add(append([]byte(`{"deployment":"d"}`), bytes.Repeat([]byte(" "), 5000)...))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		id, there, err := ReadIdentity(t.Context(), holding{text: text}, "real")
		if err != nil || !there {
			t.Fatalf("got %v, %v", there, err)
		}
		if id == (Identity{}) {
			return
		}
		if !json.Valid(text[:min(len(text), 4096)]) {
			t.Fatalf("%q reads as %+v", text, id)
		}
		again, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > 4096 {
			return
		}
		if back, _, err := ReadIdentity(t.Context(), holding{text: again}, "real"); err != nil || back != id {
			t.Fatalf("%+v reads back as %+v, %v", id, back, err)
		}
	})
}

// A tombstone counts where its name says that it is of its key and of the version that its
// stamp is sealed for. What a node writes is read as it was meant.
func FuzzTombstone(f *testing.F) {
	f.Add([]byte(`{"key":"k"}`), tombstoneName("k", 7), uint64(7), true)
	f.Add([]byte(`{"key":"k"}`), tombstoneName("k", 8), uint64(7), true)
	f.Add([]byte(`{"key":"a/b/\u00e4"}`), tombstoneName("a/b/ä", 1<<63), uint64(1<<63), true)
	f.Add([]byte(`{"key":"k","key":"other"}`), tombstoneName("k", 7), uint64(7), true)
	f.Add([]byte(`{"key":"k"}`), tombstoneName("k", 7), uint64(7), false)
	f.Add([]byte("\xff\xfe"), TombstoneFolder, uint64(0), true)
	f.Add([]byte(`null`), tombstoneName("", 0), uint64(0), true)
	f.Fuzz(func(t *testing.T, text []byte, name string, ver uint64, stamped bool) {
		obj := object.Seen{Info: object.Info{Kind: object.Present, Ver: object.Version(ver)}}
		if stamped {
			obj.ID = object.ID{1}
		}
		key, id, at, ok, err := ReadTombstone(t.Context(), holding{obj: obj, text: text}, "real", name)
		switch {
		case err != nil:
			t.Fatal(err)
		case !ok && (key != "" || !id.IsZero() || at != 0):
			t.Fatalf("of what is none: %q, %v, %v", key, id, at)
		case ok && (!stamped || !json.Valid(text) || id != obj.ID || at != obj.Ver || tombstoneName(key, at) != name || !strings.HasPrefix(name, TombstoneFolder)):
			t.Fatalf("%q of %q, version %d: reads as %q, %v", text, name, ver, key, at)
		}

		want := string(text) // a client's key, which is of this kind
		if !utf8.ValidString(want) || len(want) > s3.MaxKeyBytes {
			return
		}
		obj.ID = object.ID{1}
		written, err := json.Marshal(tombstone{want})
		if err != nil {
			t.Fatal(err)
		}
		key, id, at, ok, err = ReadTombstone(t.Context(), holding{obj: obj, text: written}, "real", tombstoneName(want, obj.Ver))
		if err != nil || !ok || key != want || id != obj.ID || at != obj.Ver {
			t.Fatalf("of %q, version %d: %q, %v, %v, %v, %v", want, ver, key, id, at, ok, err)
		}
	})
}
