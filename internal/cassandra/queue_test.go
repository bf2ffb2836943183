package cassandra

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestTurnsComeInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(time.Minute)
		leave, err := q.acquire(bg, "row")
		if err != nil {
			t.Fatal(err)
		}
		var order []int
		for i := range 5 {
			go func() {
				leave, err := q.acquire(bg, "row")
				if err != nil {
					t.Error(err)
					return
				}
				order = append(order, i) // one at a time: that is what is tested
				leave()
			}()
			synctest.Wait()
		}
		if other, err := q.acquire(bg, "other"); err != nil {
			t.Error(err)
		} else {
			other()
		}
		leave()
		synctest.Wait()
		if !slices.Equal(order, []int{0, 1, 2, 3, 4}) {
			t.Errorf("turns came as %v", order)
		}
		if len(q.lines) != 0 {
			t.Errorf("%d lines are left", len(q.lines))
		}
	})
}

func TestWhoGivesUpLeavesTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(time.Minute)
		leave, _ := q.acquire(bg, "row")
		ctx, cancel := context.WithCancel(bg)
		errs := make(chan error, 3)
		go func() { _, err := q.acquire(ctx, "row"); errs <- err }()
		synctest.Wait()
		go func() { _, err := q.acquire(bg, "row"); errs <- err }()
		synctest.Wait()
		cancel()
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		if err := <-errs; !errors.Is(err, errQueue) { // after a minute of the bubble's clock
			t.Errorf("got %v, want errQueue", err)
		}
		go func() { leave, err := q.acquire(bg, "row"); leave(); errs <- err }()
		synctest.Wait()
		leave()
		if err := <-errs; err != nil {
			t.Errorf("the turn did not come: %v", err)
		}
		if len(q.lines) != 0 {
			t.Errorf("%d lines are left", len(q.lines))
		}
	})
}

// A turn that comes in the moment in which its owner gives up is passed on.
func TestATurnIsNeverLost(t *testing.T) {
	for range 2000 {
		q := newQueue(time.Minute)
		leave, _ := q.acquire(bg, "row")
		ctx, cancel := context.WithCancel(bg)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if leave, err := q.acquire(ctx, "row"); err == nil {
				leave()
			}
		}()
		go cancel()
		leave()
		<-done
		if last, err := q.acquire(bg, "row"); err != nil {
			t.Fatal(err)
		} else {
			last()
		}
	}
}
