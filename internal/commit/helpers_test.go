package commit

import (
	"fmt"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// The tests of this package drive single machines by hand, one for each rule that
// random schedules reach rarely; package sim plays everything else.

var wall0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// at is a moment on a node whose clocks are right.
func at(d time.Duration) Now { return Now{Wall: wall0.Add(d), Boot: time.Hour + d} }

func config(replicas ...string) Config {
	reps := object.NewReplicas(replicas...)
	return Config{
		Node: "G1#a", Replicas: reps, Serving: reps, Bare: reps, Epoch: 1, Ack: Rule{Need: 1},
		Times: Times{
			Lease: 8 * time.Second, Margin: 4 * time.Second, Settle: 20 * time.Second, Gap: 2 * time.Second,
			Retention: time.Minute, Keep: 12 * time.Second, LockWait: 10 * time.Second,
			Grace: 2 * time.Second, HelpWait: 50 * time.Millisecond,
		},
	}
}

// id is a readable identity: the n-th write.
func id(n byte) object.ID { return object.ID{15: n} }

// etag has the form of an MD5, one for each write.
func etag(n byte) string { return fmt.Sprintf("%032x", n) }

// version n of size 10, in place n.
func version(n byte) object.Info {
	return object.Info{ID: id(n), Ver: object.Version(n), Kind: object.Present, ETag: etag(n), Size: 10}
}

func absent(n byte) object.Info {
	return object.Info{ID: id(n), Ver: object.Version(n), Kind: object.Tombstone}
}

func seen(i object.Info) object.Seen { return object.Seen{Info: i, Flag: object.FlagSmall} }

// half is what a backend that stored a part of version n shows.
func half(n byte) object.Seen {
	s := seen(version(n))
	s.Size, s.ETag = 5, etag(200+n)
	return s
}

// entry names write n as unsettled on a replica.
func entry(n byte, kind object.Kind, replica string) oplog.Entry {
	e := oplog.Entry{Op: id(n), ID: id(n), Ver: object.Version(n), Kind: kind, Type: oplog.OpPut, Replica: replica}
	if kind == object.Tombstone {
		e.Type = oplog.OpDelete
		return e
	}
	e.Size, e.ETag = 10, etag(n)
	return e
}

func row(cur object.Info, good object.Replicas, unsettled ...oplog.Entry) *oplog.Row {
	return &oplog.Row{Epoch: oplog.Epoch{1}, Cur: cur, Good: good, Unsettled: unsettled, Changed: wall0}
}

// only returns the effect of one type, and fails unless there is exactly one.
func only[E Effect](t *testing.T, effects []Effect) E {
	t.Helper()
	var found []E
	for _, e := range effects {
		if e, ok := e.(E); ok {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		t.Fatalf("want one %T, got %+v", *new(E), effects)
	}
	return found[0]
}

func none[E Effect](t *testing.T, effects []Effect) {
	t.Helper()
	for _, e := range effects {
		if e, ok := e.(E); ok {
			t.Fatalf("want no %T, got %+v", e, e)
		}
	}
}

// visit plays a repair up to its first decision: the row, and what each replica
// shows; one that is not named does not answer.
func visit(t *testing.T, cfg Config, mem *Memory, now Now, r *oplog.Row, shown map[string]object.Seen) (*Repair, []Effect) {
	t.Helper()
	p := NewRepair(cfg)
	only[ReadRow](t, p.Step(now, Examine{Memory: mem}))
	effects := p.Step(now, RowRead{Row: r})
	for _, name := range cfg.Replicas {
		s, ok := shown[name]
		effects = p.Step(now, Showed{Replica: name, Seen: s, Failed: !ok})
	}
	return p, effects
}
