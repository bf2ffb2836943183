package replica_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// formats are those of the rows in a log that nodes of several versions share.
type formats struct {
	mu      sync.Mutex // guards rows
	rows    map[object.Key]int
	written map[int]int // rows, by format
}

// versionedLog is the log as one node has it: rows in a format that its version does not
// read are damaged to it, and the test has failed.
type versionedLog struct {
	oplog.Log
	all    *formats
	t      *testing.T
	newest int // that its version reads

	mu     sync.Mutex // guards format
	format int
}

func (l *versionedLog) WriteFormat(format int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.format = format
	if format > l.newest {
		l.t.Errorf("a version that reads up to %d is to write %d", l.newest, format)
	}
}

func (l *versionedLog) Swap(ctx context.Context, k object.Key, old oplog.Epoch, row *oplog.Row) error {
	l.mu.Lock()
	format := l.format
	l.mu.Unlock()
	err := l.Log.Swap(ctx, k, old, row)
	if err == nil && row != nil {
		l.all.mu.Lock()
		defer l.all.mu.Unlock()
		l.all.rows[k] = format
		l.all.written[format]++
	}
	return err
}

func (l *versionedLog) Row(ctx context.Context, k object.Key) (oplog.Row, error) {
	row, err := l.Log.Row(ctx, k)
	if err == nil {
		l.all.mu.Lock()
		defer l.all.mu.Unlock()
		if f := l.all.rows[k]; f > l.newest {
			l.t.Errorf("row of %v is in format %d, and a version that serves reads up to %d", k, f, l.newest)
		}
	}
	return row, err
}

// counted takes how many rows were written in each format since the last time.
func (f *formats) counted() map[int]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.written
	f.written = map[int]int{}
	return was
}

// A rolling upgrade to a version that has another format of rows: while one node of the
// old version lives all write the old format, afterwards the new one; then the old
// version does not come back. No request fails meanwhile.
func TestRollingUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := &formats{rows: map[object.Key]int{}, written: map[int]int{}}
		shared := memory.NewLog()
		first := newRig(t, shared, "a", "b", "c")
		nodes := []*rig{first, first.sibling(), first.sibling()}
		start := func(i, newest int) {
			log := &versionedLog{Log: shared, all: all, t: t, newest: newest, format: 1}
			nodes[i].open(func(o *replica.Options) {
				member(i)(o)
				o.Log, o.Codecs = log, commit.Codecs{Oldest: 1, Newest: newest}
			})
		}
		serial := 0
		load := func() map[int]int {
			all.counted()
			for range 12 {
				from, to := nodes[serial%3], nodes[(serial+1)%3]
				name := fmt.Sprint("k", serial%7)
				from.mustPut(name, content(500+serial, uint64(serial)))
				to.mustGet(name, content(500+serial, uint64(serial)))
				serial++
			}
			return all.counted()
		}
		for i := range nodes {
			start(i, 1)
		}
		first.makeBucket()
		if got := load(); got[1] == 0 || len(got) != 1 {
			t.Errorf("the old version writes %v", got)
		}
		for i := range nodes {
			if got := load(); got[1] == 0 || len(got) != 1 {
				t.Errorf("%d nodes are upgraded, and written is %v", i, got)
			}
			nodes[i].close()
			start(i, 2)
		}
		time.Sleep(6 * time.Second) // a look at who lives, the settings, their acknowledgement
		if got := load(); got[2] == 0 || len(got) != 1 {
			t.Errorf("the new version writes %v", got)
		}
		nodes[2].close()
		log := &versionedLog{Log: shared, all: all, t: t, newest: 1, format: 1}
		_, err := nodes[2].tryOpen(func(o *replica.Options) {
			member(2)(o)
			o.Log, o.Codecs = log, commit.Codecs{Oldest: 1, Newest: 1}
		})
		if !errors.Is(err, replica.ErrCodecs) {
			t.Errorf("the old version comes back: %v", err)
		}
		start(2, 2)
		load()
		first.converge()
		first.equal()
	})
}
