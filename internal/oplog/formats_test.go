package oplog

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"
)

// A row is read back from every format that this version knows; with the tag nextformat
// there are two. Beside them it reads none.
func TestFormatsOfRows(t *testing.T) {
	row := Row{Epoch: Epoch{1, 2, 3}, Cfg: 7, Changed: time.Unix(1, 2).UTC()}
	seen := map[byte]bool{}
	for as := OldestFormat; as <= NewestFormat; as++ {
		data := EncodeRowAs(&row, as)
		got, err := DecodeRow(data)
		if err != nil || !reflect.DeepEqual(got, row) {
			t.Errorf("format %d: %+v, %v", as, got, err)
		}
		seen[data[0]] = true
		for _, other := range []byte{OldestFormat - 1, NewestFormat + 1} {
			if _, err := DecodeRow(append([]byte{other}, data[1:]...)); !errors.Is(err, ErrBadRecord) {
				t.Errorf("format %d is read: %v", other, err)
			}
		}
	}
	if len(seen) != NewestFormat-OldestFormat+1 {
		t.Errorf("formats %v", seen)
	}
	if !bytes.Equal(EncodeRow(&row), EncodeRowAs(&row, NewestFormat)) {
		t.Error("a log of one node is not written in the newest format")
	}
}
