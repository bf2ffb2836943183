package pebble

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

func textLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func TestMetrics(t *testing.T) {
	log, _ := onDiskOf(t, 1<<39, 1<<40)
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(log.Collector()); err != nil {
		t.Fatal(err)
	}
	row := benchRow()
	if err := log.Swap(bg, benchKey(1), oplog.Epoch{}, row); err != nil {
		t.Fatal(err)
	}
	_ = log.Swap(bg, benchKey(1), oplog.Epoch{}, benchRow()) // a conflict
	ended, cancel := context.WithCancel(bg)
	cancel()
	_ = log.Swap(ended, benchKey(1), row.Epoch, benchRow()) // refused
	l := log.listener()
	l.BackgroundError(io.EOF)
	l.DiskSlow(pebble.DiskSlowInfo{})
	l.WriteStallBegin(pebble.WriteStallBeginInfo{})
	l.FlushEnd(pebble.FlushInfo{})
	l.CompactionEnd(pebble.CompactionInfo{})

	got := gather(t, reg)
	for name, want := range map[string]float64{
		"healthy": 1, "rows": 1, "free_bytes": 1 << 39, "reserve_bytes": 64 * mib, "swaps_total/applied": 1, "swaps_total/conflict": 1,
		"swaps_total/refused": 1, "swaps_total/unknown": 0, "write_stalls_total": 1, "slow_disk_total": 1,
		"background_errors_total": 1,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %v (there: %v), want %v", name, value, ok, want)
		}
	}
	for _, name := range []string{"disk_bytes", "memtable_bytes", "fsync_seconds", "flushes_total", "compactions_total"} {
		if got[name] <= 0 {
			t.Errorf("%s is %v, want more", name, got[name])
		}
	}
	for _, name := range []string{"compaction_debt_bytes", "read_amplification"} {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}

	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if closed := gather(t, reg); closed["rows"] != -1 || closed["swaps_total/applied"] != 1 {
		t.Errorf("after close: %v", closed)
	}
}

// gather returns the values by name without prefix, with the label, and for a
// histogram its count.
func gather(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		name, ok := strings.CutPrefix(f.GetName(), "s3mirror_log_")
		if !ok {
			t.Errorf("metric %s has another prefix", f.GetName())
		}
		for _, m := range f.GetMetric() {
			if len(m.GetLabel()) > 0 {
				name = strings.TrimSuffix(name, "/") + "/" + m.GetLabel()[0].GetValue()
			}
			values[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			name, _ = strings.CutPrefix(f.GetName(), "s3mirror_log_")
		}
	}
	return values
}

func TestTheEnginesMessagesGoToTheLogger(t *testing.T) {
	var said strings.Builder
	o := quiet(t)
	o.FS = vfs.NewMem()
	o.Logger = slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug}))
	log := mustOpen(t, "data", o)
	e := engineLogger{log}
	e.Infof("found %d", 1)
	e.Errorf("lost %d", 2)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`level=DEBUG msg=pebble event="found 1"`, `level=WARN msg=pebble event="lost 2"`} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("log lacks %q", want)
		}
	}
}

// Writes do not cost more the more rows there are: the rows below are written anew once
// for several flushes.
func TestCompactionsAreFewerThanFlushes(t *testing.T) {
	log := mustOpen(t, "log", Options{Logger: quiet(t).Logger, FS: vfs.NewMem(), MemTableBytes: 64 << 10})
	defer log.Close()
	for i := range 4000 {
		if err := log.Swap(bg, benchKey(i), oplog.Epoch{}, benchRow()); err != nil {
			t.Fatal(err)
		}
	}
	m := log.Metrics()
	if m.Flushes < 8 || 3*m.Compactions > m.Flushes {
		t.Errorf("%d compactions for %d flushes", m.Compactions, m.Flushes)
	}
}
