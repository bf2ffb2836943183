package pebble

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

const mib = 1 << 20

// onDiskOf makes a log whose file system says what it is told.
func onDiskOf(t *testing.T, free, total uint64) (*Log, *vfs.MemFS) {
	mem := vfs.NewMem()
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: free, TotalBytes: total})
	log := mustOpen(t, "data", memory(t, mem))
	t.Cleanup(func() { _ = log.Close() })
	return log, mem
}

// setFree changes what is free and makes the log look again.
func setFree(log *Log, mem *vfs.MemFS, free uint64) {
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: free, TotalBytes: 1 << 40})
	log.space.until.Store(0)
}

func intent(op byte) *oplog.Row {
	row := benchRow()
	row.Intent = &oplog.Intent{Op: object.ID{op}}
	return row
}

func TestOutcomesAreWrittenWhenSpaceIsShort(t *testing.T) {
	log, mem := onDiskOf(t, 1<<39, 1<<40)
	open, other := intent(1), intent(2)
	for k, row := range map[int]*oplog.Row{1: open, 2: other, 3: benchRow()} {
		if err := log.Swap(bg, benchKey(k), oplog.Epoch{}, row); err != nil {
			t.Fatal(err)
		}
	}

	setFree(log, mem, 63*mib)
	for what, err := range map[string]error{
		"a new row's intent":  log.Swap(bg, benchKey(4), oplog.Epoch{}, intent(3)),
		"another operation":   log.Swap(bg, benchKey(2), other.Epoch, intent(4)),
		"a line of history":   log.Append(bg, oplog.Event{Op: "put"}),
		"the same, once more": log.Append(bg, oplog.Event{Op: "put"}),
	} {
		if !errors.Is(err, oplog.ErrNoSpace) || !errors.Is(err, oplog.ErrNotApplied) {
			t.Errorf("%s: %v, want ErrNoSpace", what, err)
		}
	}
	if err := log.Swap(bg, benchKey(1), oplog.NewEpoch(), intent(5)); !errors.Is(err, oplog.ErrConflict) {
		t.Errorf("a wrong epoch: %v, want ErrConflict whatever the space", err)
	}
	renewed := intent(1)
	doc := oplog.Doc{Kind: oplog.DocNode, Name: "n", Epoch: oplog.NewEpoch(), Body: []byte("1")}
	for _, c := range []struct {
		what string
		err  error
	}{
		{"renewing an intent", log.Swap(bg, benchKey(1), open.Epoch, renewed)},
		{"deciding it", log.Swap(bg, benchKey(1), renewed.Epoch, benchRow())},
		{"dropping a row", log.Swap(bg, benchKey(2), other.Epoch, nil)},
		{"a row without intent", log.Swap(bg, benchKey(5), oplog.Epoch{}, benchRow())},
		{"a document", log.SwapDoc(bg, oplog.Epoch{}, doc)},
	} {
		if c.err != nil {
			t.Errorf("%s: %v", c.what, c.err)
		}
	}

	setFree(log, mem, 7*mib)
	for what, err := range map[string]error{
		"an outcome": log.Swap(bg, benchKey(5), oplog.Epoch{}, benchRow()),
		"a document": log.SwapDoc(bg, doc.Epoch, oplog.Doc{Kind: doc.Kind, Name: doc.Name}),
	} {
		if errors.Is(err, oplog.ErrConflict) {
			continue
		}
		if !errors.Is(err, oplog.ErrNoSpace) {
			t.Errorf("nearly nothing left, %s: %v, want ErrNoSpace", what, err)
		}
	}
	if _, err := log.Row(bg, benchKey(3)); err != nil {
		t.Errorf("reads go on: %v", err)
	}
	if page, err := log.Range(bg, "photos", "", "", 10); err != nil || len(page) != 3 {
		t.Errorf("reads go on: %d rows, %v", len(page), err)
	}

	setFree(log, mem, 65*mib)
	if err := log.Swap(bg, benchKey(6), oplog.Epoch{}, intent(6)); err != nil {
		t.Errorf("with space again: %v", err)
	}
}

func TestTheReserveFitsTheFileSystem(t *testing.T) {
	for _, c := range []struct {
		total   uint64
		options int64
		want    uint64
	}{
		{1 << 40, 0, 64 * mib},
		{64 * mib, 0, 8 * mib},
		{1 << 40, 5 * mib, 5 * mib},
		{1 << 40, -1, 0},
	} {
		mem := vfs.NewMem()
		mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 4 * mib, TotalBytes: c.total})
		o := memory(t, mem)
		o.Reserve = c.options
		log := mustOpen(t, "data", o)
		if got := log.space.reserve.Load(); got != c.want {
			t.Errorf("of %d bytes, option %d: reserve %d, want %d", c.total, c.options, got, c.want)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestFreeSpaceIsMeasuredNowAndThen(t *testing.T) {
	var asked atomic.Int64
	var broken atomic.Bool
	mem := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind != errorfs.OpGetDiskUsage {
			return nil
		}
		asked.Add(1)
		if broken.Load() {
			return syscall.EIO
		}
		return vfs.ErrUnsupported
	}))
	log := mustOpen(t, "data", memory(t, mem))
	defer log.Close()
	now := time.Now()
	log.space.now = func() time.Time { return now }
	log.space.refresh()
	before := asked.Load()
	for range 100 {
		if err := log.space.admit(needLater); err != nil {
			t.Fatalf("a file system that cannot tell: %v", err)
		}
	}
	if n := asked.Load(); n != before {
		t.Errorf("measured %d times within %v", n-before, spaceAge)
	}
	broken.Store(true)
	now = now.Add(spaceAge)
	if err := log.space.admit(needLater); err != nil || asked.Load() != before+1 {
		t.Errorf("after %v: measured %d times, %v", spaceAge, asked.Load()-before, err)
	}
}

func exists(fs vfs.FS, name string) bool {
	_, err := fs.Stat(name)
	return err == nil
}

// A disk that another program filled since the last look: the write that finds
// no space gets the ballast's, and the log knows from then on.
func TestTheBallastGivesItsBlocksBack(t *testing.T) {
	mem := vfs.NewMem()
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 39, TotalBytes: 1 << 40})
	var full atomic.Bool
	disk := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind == errorfs.OpFileWrite && exists(mem, "data/ballast") {
			mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 10 * mib, TotalBytes: 1 << 40})
			return syscall.ENOSPC
		}
		return nil
	}))
	log := mustOpen(t, "data", memory(t, disk))
	defer log.Close()
	if !exists(mem, "data/ballast") {
		t.Fatal("there is no ballast")
	}
	full.Store(true)
	if err := log.Swap(bg, benchKey(1), oplog.Epoch{}, intent(1)); err != nil {
		t.Errorf("the write that met the full disk: %v", err)
	}
	if exists(mem, "data/ballast") {
		t.Error("the ballast is still there")
	}
	if err := log.Swap(bg, benchKey(2), oplog.Epoch{}, intent(2)); !errors.Is(err, oplog.ErrNoSpace) {
		t.Errorf("a new intent afterwards: %v, want ErrNoSpace", err)
	}
	full.Store(false)
	setFree(log, mem, 1<<39)
	if err := log.Swap(bg, benchKey(2), oplog.Epoch{}, intent(2)); err != nil {
		t.Error(err)
	}
	if !exists(mem, "data/ballast") {
		t.Error("with space again there is no ballast")
	}
}

func TestWithoutBallastTheLogGoesOn(t *testing.T) {
	for _, kind := range []errorfs.OpKind{errorfs.OpCreate, errorfs.OpFilePreallocate, errorfs.OpRename} {
		mem := vfs.NewMem()
		mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 39, TotalBytes: 1 << 40})
		tries := atomic.Int64{}
		disk := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == kind && strings.Contains(op.Path, "ballast") {
				tries.Add(1)
				return syscall.EOPNOTSUPP
			}
			return nil
		}))
		log := mustOpen(t, "data", memory(t, disk))
		for i := range 3 {
			log.space.until.Store(0)
			if err := log.Swap(bg, benchKey(i), oplog.Epoch{}, benchRow()); err != nil {
				t.Error(err)
			}
		}
		if exists(mem, "data/ballast") || exists(mem, "data/ballast.new") || tries.Load() != 1 {
			t.Errorf("operation %d: tried %d times, want once and nothing left", kind, tries.Load())
		}
		log.space.dropBallast() // there is none to drop
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestABallastThatStaysIsReported(t *testing.T) {
	mem := vfs.NewMem()
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 39, TotalBytes: 1 << 40})
	var said strings.Builder
	disk := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpRemove && strings.HasSuffix(op.Path, "ballast") {
			return syscall.EPERM
		}
		return nil
	}))
	s := newSpace(disk, "", 64*mib, textLogger(&said))
	s.dropBallast()
	if !strings.Contains(said.String(), "cannot be removed") {
		t.Errorf("logged %q", said.String())
	}
}
