package pebble

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// slowDisk holds back the syncs of the write-ahead log.
type slowDisk struct {
	mu   sync.Mutex // guards what follows
	held chan struct{}
	hit  chan struct{}
}

func (d *slowDisk) MaybeError(op errorfs.Op) error {
	d.mu.Lock()
	held, hit := d.held, d.hit
	d.mu.Unlock()
	if held != nil && isSync(op.Kind) && strings.HasSuffix(op.Path, ".log") {
		select {
		case hit <- struct{}{}:
		default:
		}
		<-held
	}
	return nil
}

func (d *slowDisk) String() string { return "slow disk" }

// hold makes syncs wait until release; reached tells that one does.
func (d *slowDisk) hold() (reached <-chan struct{}, release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	held := make(chan struct{})
	d.held, d.hit = held, make(chan struct{}, 1)
	return d.hit, func() {
		d.mu.Lock()
		d.held = nil
		d.mu.Unlock()
		close(held)
	}
}

func onSlowDisk(t *testing.T) (*Log, *slowDisk, *vfs.MemFS) {
	disk, mem := &slowDisk{}, vfs.NewMem()
	return mustOpen(t, "data", memory(t, errorfs.Wrap(mem, disk))), disk, mem
}

// await lets others run until the condition holds.
func await(condition func() bool) {
	for !condition() {
		runtime.Gosched()
	}
}

// askedContext tells when somebody waits for its end.
type askedContext struct {
	context.Context
	asked chan struct{}
	once  sync.Once
}

func (c *askedContext) Done() <-chan struct{} {
	c.once.Do(func() { close(c.asked) })
	return c.Context.Done()
}

// Pebble shows a batch before it is on the disk. Nobody may see it: power that
// goes now would take it back.
func TestNothingIsReadBeforeItIsDurable(t *testing.T) {
	log, disk, _ := onSlowDisk(t)
	defer log.Close()
	made, changed, gone := benchKey(1), benchKey(2), benchKey(3)
	old := map[string]*oplog.Row{"changed": benchRow(), "gone": benchRow()}
	for name, k := range map[string]int{"changed": 2, "gone": 3} {
		if err := log.Swap(bg, benchKey(k), oplog.Epoch{}, old[name]); err != nil {
			t.Fatal(err)
		}
	}
	doc := oplog.Doc{Kind: oplog.DocNode, Name: "n", Epoch: oplog.NewEpoch(), Body: []byte("1")}

	reached, release := disk.hold()
	newer := benchRow()
	swaps := make(chan error, 4)
	go func() { swaps <- log.Swap(bg, made, oplog.Epoch{}, benchRow()) }()
	go func() { swaps <- log.Swap(bg, changed, old["changed"].Epoch, newer) }()
	go func() { swaps <- log.Swap(bg, gone, old["gone"].Epoch, nil) }()
	go func() { swaps <- log.SwapDoc(bg, oplog.Epoch{}, doc) }()
	<-reached
	for key, want := range map[string]bool{
		string(rowKey(nil, made)): true, string(docKey(nil, doc.Kind, doc.Name)): true, string(rowKey(nil, gone)): false,
	} {
		await(func() bool { stored, _ := log.get([]byte(key)); return (stored != nil) == want })
	}
	await(func() bool {
		stored, _ := log.get(rowKey(nil, changed))
		at, _ := oplog.StoredEpoch(stored)
		return at == newer.Epoch
	})

	if _, err := log.Row(bg, made); !errors.Is(err, oplog.ErrNoRow) {
		t.Errorf("a row that is not durable: %v, want ErrNoRow", err)
	}
	for name, k := range map[string]int{"changed": 2, "gone": 3} {
		if row, err := log.Row(bg, benchKey(k)); err != nil || row.Epoch != old[name].Epoch {
			t.Errorf("%s: %x, %v; want what is durable, %x", name, row.Epoch, err, old[name].Epoch)
		}
	}
	if _, err := log.Doc(bg, doc.Kind, doc.Name); !errors.Is(err, oplog.ErrNoRow) {
		t.Errorf("a document that is not durable: %v, want ErrNoRow", err)
	}
	if docs, err := log.Docs(bg, doc.Kind, "", 5); err != nil || len(docs) != 0 {
		t.Errorf("documents %v, %v; want none", docs, err)
	}
	for _, k := range []int{1, 2} {
		page, _, err := log.Due(bg, oplog.ShardOf(benchKey(k)), "", 10)
		for _, kr := range page {
			if kr.Key == made || kr.Row.Epoch == newer.Epoch {
				t.Errorf("due shows %v, which is not durable", kr.Key)
			}
		}
		if err != nil {
			t.Error(err)
		}
	}
	page, err := log.Range(bg, made.Bucket, changed.Name, "", 10)
	if err != nil || len(page) != 1 || page[0].Row.Epoch != old["changed"].Epoch {
		t.Errorf("range: %d rows, %v; want what is durable", len(page), err)
	}
	// A range that would leave out a drop waits for it.
	inner, cancel := context.WithCancel(bg)
	ctx := &askedContext{Context: inner, asked: make(chan struct{})}
	waited := make(chan error, 1)
	go func() {
		_, err := log.Range(ctx, gone.Bucket, "", "", 10)
		waited <- err
		ctx.Done() // if it never asked
	}()
	<-ctx.asked
	cancel()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("a range over a drop: %v, want that it waited", err)
	}

	release()
	for range cap(swaps) {
		if err := <-swaps; err != nil {
			t.Error(err)
		}
	}
	if row, err := log.Row(bg, changed); err != nil || row.Epoch != newer.Epoch {
		t.Errorf("once durable: %x, %v", row.Epoch, err)
	}
	if page, err := log.Range(bg, made.Bucket, "", "", 10); err != nil || len(page) != 2 {
		t.Errorf("once durable: %d rows, %v; want 2", len(page), err)
	}
}

func TestAnAbandonedSwapGoesOn(t *testing.T) {
	log, disk, mem := onSlowDisk(t)
	reached, release := disk.hold()
	ctx, cancel := context.WithCancel(bg)
	row := benchRow()
	first := make(chan error)
	go func() { first <- log.Swap(ctx, benchKey(1), oplog.Epoch{}, row) }()
	<-reached

	// Another one of the same key waits for it, and has not begun.
	late, stop := context.WithCancel(bg)
	second := make(chan error)
	go func() { second <- log.Swap(late, benchKey(1), oplog.Epoch{}, benchRow()) }()
	stop()
	if err := <-second; !errors.Is(err, oplog.ErrNotApplied) || !errors.Is(err, context.Canceled) {
		t.Errorf("the one that waited: %v, want ErrNotApplied", err)
	}
	cancel()
	if err := <-first; !errors.Is(err, oplog.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("the one that was abandoned: %v, want ErrUnknown", err)
	}

	closed := make(chan error)
	go func() { closed <- log.Close() }()
	select {
	case err := <-closed:
		t.Errorf("close did not wait for a commit: %v", err)
	default:
	}
	release()
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	log = mustOpen(t, "data", memory(t, mem))
	defer log.Close()
	if got, err := log.Row(bg, benchKey(1)); err != nil || got.Epoch != row.Epoch {
		t.Errorf("after all: %x, %v; want the abandoned %x", got.Epoch, err, row.Epoch)
	}
}

// While one key's sync hangs, swaps of other keys join the next one, and reads
// of all keys go on.
func TestKeysShareSyncs(t *testing.T) {
	const keys = 50
	disk, counted := &slowDisk{}, 0
	var mu sync.Mutex // guards counted
	count := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if isSync(op.Kind) && strings.HasSuffix(op.Path, ".log") {
			mu.Lock()
			counted++
			mu.Unlock()
		}
		return disk.MaybeError(op)
	})
	log := mustOpen(t, "data", memory(t, errorfs.Wrap(vfs.NewMem(), count)))
	defer log.Close()
	reached, release := disk.hold()
	mu.Lock()
	before := counted
	mu.Unlock()
	swaps := make(chan error, keys)
	for i := range keys {
		go func() { swaps <- log.Swap(bg, benchKey(i), oplog.Epoch{}, benchRow()) }()
	}
	<-reached
	for i := range keys { // all of them are in the engine, waiting for the disk
		await(func() bool { stored, _ := log.get(rowKey(nil, benchKey(i))); return stored != nil })
	}
	release()
	for range keys {
		if err := <-swaps; err != nil {
			t.Error(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if counted-before > keys/5 {
		t.Errorf("%d syncs for %d swaps at once", counted-before, keys)
	}
}
