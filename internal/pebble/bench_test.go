package pebble

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// benchRow is what a decided write of a small object looks like.
func benchRow() *oplog.Row {
	now := time.Now().UTC()
	return &oplog.Row{
		Epoch: oplog.NewEpoch(), Cfg: 1, Good: object.NewReplicas("eu-1", "eu-2", "ru-1"), Changed: now,
		Cur: object.Info{
			ID: object.NewID(), Ver: object.Tick(now, 0), Kind: object.Present, Size: 4096, ModTime: now,
			ETag: "9b2cf535f27731c974343645a3985328", Headers: object.Headers{"content-type": "application/octet-stream"},
		},
	}
}

func benchKey(i int) object.Key {
	return object.Key{Bucket: "photos", Name: fmt.Sprintf("2026/11/%08d.jpg", i)}
}

// BenchmarkSwap is durable compare-and-sets of different keys, as many at once
// as said; each makes a row and drops it.
func BenchmarkSwap(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			log := mustOpen(b, b.TempDir(), quiet(b))
			defer log.Close()
			var next atomic.Int64
			b.SetParallelism((writers + 1) / 2) // of two processors
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					k, row := benchKey(int(next.Add(1))), benchRow()
					if err := log.Swap(ctx, k, oplog.Epoch{}, row); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "swaps/s")
		})
	}
}

// BenchmarkRow is point reads among many rows, present and absent.
func BenchmarkRow(b *testing.B) {
	const rows = 100_000
	log := mustOpen(b, b.TempDir(), quiet(b))
	defer log.Close()
	fill(b, log, rows)
	for _, c := range []struct {
		name string
		key  func() object.Key
	}{
		{"present", func() object.Key { return benchKey(rand.IntN(rows)) }},
		{"hot", func() object.Key { return benchKey(rand.IntN(1000)) }},
		{"absent", func() object.Key { return benchKey(rows + rand.IntN(rows)) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				if _, err := log.Row(context.Background(), c.key()); err != nil && c.name == "present" {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
	b.Run("range of 1000", func(b *testing.B) {
		for b.Loop() {
			if page, err := log.Range(context.Background(), "photos", "2026/", benchKey(rand.IntN(rows/2)).Name, 1000); err != nil || len(page) != 1000 {
				b.Fatal(len(page), err)
			}
		}
	})
}

// cpuTime is what the process has used: on a busy machine it says more than the clock.
func cpuTime(b *testing.B) time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// fill makes rows with many writers.
func fill(b *testing.B, log *Log, rows int) {
	b.Helper()
	var next atomic.Int64
	done := make(chan error, 64)
	for range cap(done) {
		go func() {
			for i := int(next.Add(1)) - 1; i < rows; i = int(next.Add(1)) - 1 {
				if err := log.Swap(context.Background(), benchKey(i), oplog.Epoch{}, benchRow()); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}
