//go:build cassandra && nightly

package cassandra

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/cassandra"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/test/cassandra/ring"
)

var volumeWrites = flag.Int("cassandra.writes", 5000, "writes of TestVolume (make cassandra-nightly)")

// A write's row and its line of the history are kept for so many hours. The test's hours
// are of its own clock: each is over when its share of the writes is done.
const (
	volumeHours   = 24
	rowHours      = 2
	historyHours  = 3
	volumeSample  = 8 // hours between two looks at the disk
	volumeSteady  = 8 // from this hour on nothing may grow: slots are dropped two hours after their end
	volumeGrowth  = 1.3
	volumeSlack   = 16 << 10 // what an empty table of several files takes
	volumeBacklog = 10       // a tenth of the writes comes first, with the usual gc_grace_seconds
	volumeSpace   = "volume"
)

// TestVolume makes rows, changes and drops them, as small writes do that go quiet, with
// their marks and their history, and holds that what Cassandra keeps on its disk stops
// growing once the retention has passed, however many writes follow.
//
// What is dropped stays as a tombstone for gc_grace_seconds, ten days unless somebody
// changes that: what this costs a write is measured first. Then it is made short.
func TestVolume(t *testing.T) {
	writes := *volumeWrites
	r := ring.Start(t, ring.Options{Nodes: 1, JMX: true})
	n := &node{Ring: r, port: r.Port, process: r.Process(0)}
	n.migrate(t, volumeSpace)
	v := &volume{t: t, node: n}
	v.hour.Store(time.Now().Truncate(time.Hour).Unix())
	o := n.options(volumeSpace)
	o.Now = v.now
	log, err := cassandra.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	v.log = log

	empty := v.bytes()
	few := max(writes/volumeBacklog, 1)
	v.write(few)
	full := v.bytes()
	for range historyHours + 2 {
		v.pass()
	}
	dropped := v.bytes()
	t.Logf("%d writes: %.0f bytes each while their rows and history are kept, %.0f of tombstones for gc_grace_seconds after that",
		few, float64(full-empty)/float64(few), float64(dropped-empty)/float64(few))

	v.shortGrace()
	var steady int64
	for hour := 1; hour <= volumeHours; hour++ {
		v.write((writes - few) / volumeHours)
		v.pass()
		if hour%volumeSample != 0 {
			continue
		}
		now := v.bytes()
		t.Logf("hour %2d: %7d writes, %9d bytes, %d rows are kept", hour, v.made, now, len(v.kept))
		switch {
		case hour == volumeSteady:
			steady = now
		case hour > volumeSteady && float64(now) > volumeGrowth*float64(steady)+volumeSlack:
			t.Errorf("%d bytes after hour %d, %d after hour %d: they grow with the writes", now, hour, steady, volumeSteady)
		}
	}
	if n := v.unknown.Load(); n > 0 {
		t.Logf("the outcome of %d compare-and-sets was not known, and they were made again", n)
	}
	if rows, err := log.Stats(t.Context()); err != nil || rows.Rows != int64(len(v.kept)) {
		t.Errorf("%d marks, %d rows, %v", rows.Rows, len(v.kept), err)
	}
}

// volume is a log under writes, and its clock.
type volume struct {
	t    *testing.T
	node *node
	log  *cassandra.Log
	hour atomic.Int64 // Unix time at which the present one began
	made int          // writes so far
	kept []keptRow    // in order of their hours

	unknown atomic.Int64 // compare-and-sets whose outcome was not known
}

type keptRow struct {
	key   object.Key
	epoch oplog.Epoch
	hour  int64
}

func (v *volume) now() time.Time { return time.Unix(v.hour.Load(), 0) }

// write makes so many writes to keys of their own within the hour.
func (v *volume) write(n int) {
	v.t.Helper()
	rows := make([]keptRow, n)
	v.all(n, func(ctx context.Context, i int) (err error) {
		rows[i], err = v.one(ctx, object.Key{Bucket: "photos", Name: fmt.Sprintf("2026/11/28/picture-%08d.jpg", v.made+i)})
		return err
	})
	v.made += n
	v.kept = append(v.kept, rows...)
}

// one is what a PUT of a new key does with the log.
func (v *volume) one(ctx context.Context, key object.Key) (keptRow, error) {
	at, id := v.now(), object.NewID()
	replicas := object.NewReplicas("eu-1", "eu-2", "us-1")
	info := object.Info{
		ID: id, Ver: object.Tick(at, 0), Kind: object.Present, ETag: "0123456789abcdef0123456789abcdef", Size: 4096,
		ModTime: at, Headers: object.Headers{"content-type": "image/jpeg"},
	}
	intent := &oplog.Row{Epoch: oplog.NewEpoch(), Open: true, Changed: at, Intent: &oplog.Intent{
		Op: id, ID: id, Ver: info.Ver, Kind: info.Kind, Type: oplog.OpPut, Owner: "gateway-1", Nonce: object.NewID(), Reps: replicas, Info: info,
	}}
	decided := &oplog.Row{Epoch: oplog.NewEpoch(), Cur: info, Good: replicas, Changed: at}
	return keptRow{key, decided.Epoch, v.hour.Load()}, errors.Join(
		v.swap(ctx, key, oplog.Epoch{}, intent),
		v.swap(ctx, key, intent.Epoch, decided),
		v.log.Append(ctx, oplog.Event{
			Time: at, Bucket: key.Bucket, Key: key.Name, Op: "put", ID: id, Ver: info.Ver, Size: info.Size, Actor: "ann",
			Request: "0123456789ABCDEF", Result: "acked", Backends: map[string]string{"eu-1": "ok", "eu-2": "ok", "us-1": "ok"},
		}))
}

// swap is a Swap that is made again while its outcome is not known: a busy disk holds a
// compare-and-set up for seconds now and then. Nobody else changes the key, so a conflict
// behind such a one says that it was applied.
func (v *volume) swap(ctx context.Context, key object.Key, old oplog.Epoch, row *oplog.Row) error {
	err := v.log.Swap(ctx, key, old, row)
	for tries := 0; errors.Is(err, oplog.ErrUnknown) && tries < 10; tries++ {
		v.unknown.Add(1)
		if err = v.log.Swap(ctx, key, old, row); errors.Is(err, oplog.ErrConflict) {
			return nil
		}
	}
	return err
}

// pass ends the hour: rows and history that are too old go, and the index is swept.
func (v *volume) pass() {
	v.t.Helper()
	now := v.hour.Add(3600)
	old := 0
	for old < len(v.kept) && v.kept[old].hour <= now-rowHours*3600 {
		old++
	}
	v.all(old, func(ctx context.Context, i int) error { return v.swap(ctx, v.kept[i].key, v.kept[i].epoch, nil) })
	v.kept = append([]keptRow(nil), v.kept[old:]...)
	if err := v.log.Expire(v.t.Context(), v.now().Add(-historyHours*time.Hour)); err != nil {
		v.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(v.t.Context())
	defer cancel()
	if err := v.log.Run(ctx, func() (func(), bool) { return cancel, true }); err != nil { // one sweep
		v.t.Fatal(err)
	}
}

func (v *volume) all(n int, do func(ctx context.Context, i int) error) {
	v.t.Helper()
	group, ctx := errgroup.WithContext(v.t.Context())
	group.SetLimit(16)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	if err := group.Wait(); err != nil {
		v.t.Fatal(err)
	}
}

// volumeGrace is how long tombstones stay when they are not to be counted. The node is
// alone: there is no other that could bring back what was dropped.
const volumeGrace = 5 * time.Second

func (v *volume) shortGrace() {
	v.t.Helper()
	session := v.node.session(v.t)
	var tables []string
	var name string
	for at := session.Query("SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", volumeSpace).Iter(); ; tables = append(tables, name) {
		if !at.Scan(&name) {
			if err := at.Close(); err != nil {
				v.t.Fatal(err)
			}
			break
		}
	}
	for _, table := range tables {
		if err := session.Query(fmt.Sprintf("ALTER TABLE %s.%s WITH gc_grace_seconds = %.0f", volumeSpace, table, volumeGrace.Seconds())).Exec(); err != nil {
			v.t.Fatal(err)
		}
	}
}

// bytes is what the keyspace and the state of Paxos take on the disk, once what can be
// thrown away was.
func (v *volume) bytes() (sum int64) {
	v.t.Helper()
	time.Sleep(volumeGrace + time.Second) // the clock of tombstones is Cassandra's own
	for _, what := range []string{volumeSpace, "system paxos"} {
		v.node.Nodetool(v.t, 0, append([]string{"flush"}, strings.Fields(what)...)...)
		v.node.Nodetool(v.t, 0, append([]string{"compact"}, strings.Fields(what)...)...)
	}
	err := filepath.WalkDir(filepath.Join(v.node.Dir(0), "data"), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // compacted away
		}
		if err != nil || d.IsDir() || !strings.Contains(path, "/"+volumeSpace+"/") && !strings.Contains(path, "/paxos") {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if err != nil {
		v.t.Fatal(err)
	}
	return sum
}
