package pebble

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// More events of one prefix in an hour than a page takes: the newest are found
// among them.
func TestTheNewestOfManyAreFoundByKey(t *testing.T) {
	log := mustOpen(t, "data", memory(t, vfs.NewMem()))
	defer log.Close()
	const many = 3000
	for i := range many {
		// Keys and times run against each other.
		ev := oplog.Event{Time: noon.Add(time.Duration(many-i) * time.Millisecond), Bucket: "b", Key: fmt.Sprintf("k/%05d", i), Op: "put"}
		if err := log.Append(bg, ev); err != nil {
			t.Fatal(err)
		}
	}
	got, err := log.Events(bg, oplog.HistoryQuery{Prefix: "k/", Limit: 3})
	if err != nil || len(got) != 3 {
		t.Fatalf("%d events, %v", len(got), err)
	}
	for i, ev := range got {
		if want := fmt.Sprintf("k/%05d", i); ev.Key != want {
			t.Errorf("event %d is %s, want %s", i, ev.Key, want)
		}
	}
	// A context that ends in the midst of a walk ends it.
	ctx := &countdown{Context: bg, left: 2}
	if _, err := log.Events(ctx, oplog.HistoryQuery{Prefix: "k/", Limit: 3}); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended walk: %v", err)
	}
}

// countdown ends after its error was asked for a number of times.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestWalksEndWithTheirContext(t *testing.T) {
	log := mustOpen(t, "data", memory(t, vfs.NewMem()))
	defer log.Close()
	for i := range 100 {
		if err := log.Swap(bg, benchKey(i), oplog.Epoch{}, benchRow()); err != nil {
			t.Fatal(err)
		}
	}
	for name, walk := range map[string]func(ctx context.Context) error{
		"range": func(ctx context.Context) error {
			_, err := log.Range(ctx, "photos", "", "", 100)
			return err
		},
		"due": func(ctx context.Context) error {
			_, _, err := log.Due(ctx, oplog.ShardOf(benchKey(1)), "", 100)
			return err
		},
	} {
		if err := walk(&countdown{Context: bg, left: 1}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want that it ended", name, err)
		}
	}
}

func TestDamagedKeysOfHistoryAreNoAnswer(t *testing.T) {
	hour := hourOf(noon.Unix())
	at := placeOf(noon, 1)
	for name, c := range map[string]struct {
		key   []byte
		query oplog.HistoryQuery
	}{
		"no hour":        {[]byte{familyEvent, 1}, oplog.HistoryQuery{}},
		"no bucket":      {append(hourKey(nil, familyEvent, hour), 9), oplog.HistoryQuery{}},
		"no place":       {append(counted(hourKey(nil, familyEvent, hour), "b"), 1, 2), oplog.HistoryQuery{Bucket: "b"}},
		"no event":       {eventKey("b", at), oplog.HistoryQuery{Prefix: "lost"}},
		"no named place": {append(counted(hourKey(nil, familyByName, hour), "b"), 'l'), oplog.HistoryQuery{Bucket: "b", Prefix: "l"}},
	} {
		log := mustOpen(t, "data", memory(t, vfs.NewMem()))
		if err := log.Append(bg, oplog.Event{Time: noon, Bucket: "b", Key: "k", Op: "put"}); err != nil {
			t.Fatal(err)
		}
		if err := log.db.Set(c.key, nil, pebble.Sync); err != nil {
			t.Fatal(err)
		}
		// A key whose event is not there.
		if err := log.db.Set(byNameKey("b", "lost", placeOf(noon.Add(time.Second), 7)), nil, pebble.Sync); err != nil {
			t.Fatal(err)
		}
		if _, err := log.Events(bg, c.query); !errors.Is(err, oplog.ErrBadRecord) {
			t.Errorf("%s: %v, want ErrBadRecord", name, err)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}
}
