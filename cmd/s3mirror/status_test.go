package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// script is a statusSource that answers what its function says for the n-th
// question.
type script struct {
	n      int
	answer func(n int) (admin.Status, error)
}

func (s *script) Status(context.Context) (admin.Status, error) {
	s.n++
	return s.answer(s.n)
}

func TestWaitConvergedReturnsAsSoonAsItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s := &script{answer: func(n int) (admin.Status, error) {
			if n < 4 {
				return admin.Status{Version: "v"}, errors.Join(nil, map[bool]error{true: errors.New("starting")}[n == 2])
			}
			return admin.Status{Converged: true}, nil
		}}
		status, err := waitConverged(t.Context(), s, time.Minute)
		if err != nil || !status.Converged {
			t.Errorf("%+v %v", status, err)
		}
		if took := time.Since(start); took != 3*pollEvery {
			t.Errorf("took %s", took)
		}
	})
}

func TestWaitConvergedGivesUpAtTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s := &script{answer: func(int) (admin.Status, error) { return admin.Status{Version: "v"}, nil }}
		status, err := waitConverged(t.Context(), s, 1700*time.Millisecond)
		if !errors.Is(err, errNotConverged) || status.Version != "v" {
			t.Errorf("%+v %v", status, err)
		}
		if took := time.Since(start); took != 1700*time.Millisecond {
			t.Errorf("took %s", took)
		}
	})
}

func TestWaitConvergedTellsTheLastError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("connection refused")
		s := &script{answer: func(int) (admin.Status, error) { return admin.Status{}, down }}
		if _, err := waitConverged(t.Context(), s, time.Second); !errors.Is(err, errNotConverged) || !errors.Is(err, down) {
			t.Errorf("got %v", err)
		}
	})
}

func TestWaitConvergedEndsWithARefusalOrTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := &admin.Problem{Problem: api.Problem{Status: 401}}
		s := &script{answer: func(int) (admin.Status, error) { return admin.Status{}, refused }}
		if _, err := waitConverged(t.Context(), s, time.Hour); !errors.Is(err, refused) || s.n != 1 {
			t.Errorf("refused: %v after %d questions", err, s.n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s = &script{answer: func(int) (admin.Status, error) { return admin.Status{}, nil }}
		if _, err := waitConverged(ctx, s, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended: %v", err)
		}
	})
}

func TestPrinterWords(t *testing.T) {
	for seconds, want := range map[float64]string{0: "-", 0.2: "1s", 59: "59s", 60: "1m00s", 3599: "59m59s", 3600: "1h00m", 86400 * 3.5: "3d12h"} {
		if got := age(seconds); got != want {
			t.Errorf("%v: %s, want %s", seconds, got, want)
		}
	}
	for bytes, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 5 << 40: "5 TiB", 1<<63 - 1: "8 EiB"} {
		if got := size(bytes); got != want {
			t.Errorf("%d: %s, want %s", bytes, got, want)
		}
	}
	p := &printer{color: true}
	if p.state(admin.Up) != "\x1b[32mup\x1b[0m" || p.state(admin.Down) != "\x1b[31mdown\x1b[0m" || p.state(admin.Paused) != "\x1b[33mpaused\x1b[0m" {
		t.Error("colours")
	}
}
