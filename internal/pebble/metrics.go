package pebble

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Metrics is a picture of the log for operators. Counters count since Open.
type Metrics struct {
	Healthy   bool  // false after a fatal error
	Rows      int64 // -1: not known
	DiskBytes int64
	FreeBytes uint64 // of the file system; the largest number: not known
	Reserve   uint64 // bytes

	Applied, Conflicts, Refused, Unknown uint64 // compare-and-sets

	WriteStalls      uint64 // times that the engine held writers back
	SlowDisk         uint64 // operations of the disk that took more than 5 s
	BackgroundErrors uint64 // failed flushes and compactions; they are tried again
	Flushes          uint64
	Compactions      uint64
	CompactionDebt   uint64 // bytes that wait to be compacted
	ReadAmp          int    // tables that a read may have to look at
	MemTableBytes    uint64

	// Fsync is the latency of syncs of the write-ahead log, in nanoseconds.
	Fsync *dto.Histogram
}

// Metrics takes the picture. It works on a log that is closed or has failed,
// without what only the engine knows.
func (l *Log) Metrics() Metrics {
	m := Metrics{
		Healthy: l.deadErr() == nil, Rows: -1, FreeBytes: l.space.free.Load(), Reserve: l.space.reserve.Load(),
		Applied: l.counters.applied.Load(), Conflicts: l.counters.conflicts.Load(),
		Refused: l.counters.refused.Load(), Unknown: l.counters.unknown.Load(),
		WriteStalls: l.counters.stalls.Load(), SlowDisk: l.counters.slowDisk.Load(),
		BackgroundErrors: l.counters.background.Load(), Flushes: l.counters.flushes.Load(),
		Compactions: l.counters.merges.Load(), Fsync: &dto.Histogram{},
	}
	if stats, err := l.Stats(context.Background()); err == nil {
		m.Rows = stats.Rows
	}
	if l.begin(context.Background()) != nil {
		return m
	}
	defer l.end()
	engine := l.db.Metrics()
	m.DiskBytes = int64(engine.DiskSpaceUsage())
	m.CompactionDebt = engine.Compact.EstimatedDebt
	m.ReadAmp = engine.ReadAmp()
	m.MemTableBytes = engine.MemTable.Size
	var fsync dto.Metric
	if engine.LogWriter.FsyncLatency != nil && engine.LogWriter.FsyncLatency.Write(&fsync) == nil {
		m.Fsync = fsync.GetHistogram()
	}
	return m
}

// Collector exports the metrics; the caller registers it.
func (l *Log) Collector() prometheus.Collector { return collector{l} }

type collector struct{ log *Log }

var (
	descHealthy    = desc("healthy", "1 while the log answers, 0 after a fatal error.")
	descRows       = desc("rows", "Rows in the log: keys in flight, lagging or recently written.")
	descDisk       = desc("disk_bytes", "Bytes that the log takes on disk.")
	descFree       = desc("free_bytes", "Free bytes on the file system of the log.")
	descReserve    = desc("reserve_bytes", "Free bytes below which new writes are refused.")
	descSwaps      = desc("swaps_total", "Compare-and-sets by outcome.", "outcome")
	descStalls     = desc("write_stalls_total", "Times that the engine held writers back.")
	descSlowDisk   = desc("slow_disk_total", "Disk operations that took more than five seconds.")
	descBackground = desc("background_errors_total", "Failed flushes and compactions.")
	descFlushes    = desc("flushes_total", "Flushes of memory to tables.")
	descMerges     = desc("compactions_total", "Compactions of tables.")
	descDebt       = desc("compaction_debt_bytes", "Bytes that wait to be compacted.")
	descReadAmp    = desc("read_amplification", "Tables that a read may have to look at.")
	descMemTable   = desc("memtable_bytes", "Bytes of recent writes in memory.")
	descFsync      = desc("fsync_seconds", "Latency of syncs of the write-ahead log.")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("s3mirror_log_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	m := c.log.Metrics()
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	healthy := 0.0
	if m.Healthy {
		healthy = 1
	}
	gauge(descHealthy, healthy)
	gauge(descRows, float64(m.Rows))
	gauge(descDisk, float64(m.DiskBytes))
	gauge(descFree, float64(m.FreeBytes))
	gauge(descReserve, float64(m.Reserve))
	gauge(descDebt, float64(m.CompactionDebt))
	gauge(descReadAmp, float64(m.ReadAmp))
	gauge(descMemTable, float64(m.MemTableBytes))
	count(descSwaps, m.Applied, "applied")
	count(descSwaps, m.Conflicts, "conflict")
	count(descSwaps, m.Refused, "refused")
	count(descSwaps, m.Unknown, "unknown")
	count(descStalls, m.WriteStalls)
	count(descSlowDisk, m.SlowDisk)
	count(descBackground, m.BackgroundErrors)
	count(descFlushes, m.Flushes)
	count(descMerges, m.Compactions)
	ch <- fsyncMetric(m.Fsync)
}

// fsyncMetric gives the engine's histogram a name, seconds, and fewer buckets
// than its hundred: each at least half as wide again as the one before.
func fsyncMetric(h *dto.Histogram) prometheus.Metric {
	const perSecond, step = 1e9, 1.5
	buckets, last := map[float64]uint64{}, 0.0
	for _, b := range h.GetBucket() {
		if bound := b.GetUpperBound() / perSecond; bound > 0 && bound >= last*step {
			buckets[bound], last = b.GetCumulativeCount(), bound
		}
	}
	return prometheus.MustNewConstHistogram(descFsync, h.GetSampleCount(), h.GetSampleSum()/perSecond, buckets)
}
