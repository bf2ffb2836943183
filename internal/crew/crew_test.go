package crew_test

import (
	"bytes"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/s3mirror/s3mirror/internal/crew"
)

// goroutine is the name of the one that calls it.
func goroutine() string {
	b := make([]byte, 64)
	return string(bytes.Fields(b[:runtime.Stack(b, false)])[1])
}

func TestGoroutinesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		c := crew.New(over)
		var first string
		c.Go(func() { first = goroutine() })
		synctest.Wait()
		for range 10 {
			c.Go(func() {
				if g := goroutine(); g != first {
					t.Errorf("goroutine %s and not %s", g, first)
				}
			})
			synctest.Wait()
		}
		close(over)
		c.Wait()
	})
}

// TestWorkBeginsAtOnce: however many wait for one another, and however many are
// kept.
func TestWorkBeginsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		c := crew.New(over)
		var mu sync.Mutex
		seen := map[string]bool{} // the goroutines that ran anything so far
		for round := range 3 {
			var all sync.WaitGroup
			all.Add(200)
			kept := 0
			for range 200 {
				c.Go(func() {
					name := goroutine()
					mu.Lock()
					if seen[name] {
						kept++
					}
					seen[name] = true
					mu.Unlock()
					all.Done()
					all.Wait()
				})
			}
			all.Wait() // a deadlock fails the test
			if round > 0 && (kept < 1 || kept > 64) {
				t.Errorf("%d goroutines were kept", kept)
			}
			synctest.Wait()
		}
		close(over)
		c.Wait()
	})
}

func TestAfterTheEnd(t *testing.T) {
	over := make(chan struct{})
	close(over)
	c := crew.New(over)
	var ran atomic.Int64
	for range 10 {
		c.Go(func() { ran.Add(1) })
	}
	c.Wait()
	if ran.Load() != 10 {
		t.Errorf("%d of 10 ran", ran.Load())
	}
}

// deep needs a stack of some 8 KiB.
//
//go:noinline
func deep(n int) byte {
	var b [512]byte
	if n > 0 {
		b[n] = deep(n - 1)
	}
	return b[n/2]
}

func BenchmarkGo(b *testing.B) {
	over := make(chan struct{})
	c := crew.New(over)
	done := make(chan struct{})
	job := func() { deep(14); done <- struct{}{} }
	b.Run("kept", func(b *testing.B) {
		for b.Loop() {
			c.Go(job)
			<-done
		}
	})
	b.Run("fresh", func(b *testing.B) {
		for b.Loop() {
			go job()
			<-done
		}
	})
	close(over)
	c.Wait()
}
