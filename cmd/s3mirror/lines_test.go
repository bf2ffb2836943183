package main

import (
	"bytes"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

// written keeps each write apart.
type written struct{ all []string }

func (w *written) Write(p []byte) (int, error) {
	w.all = append(w.all, string(p))
	return len(p), nil
}

// clocked is a lines whose time stands still.
func clocked() (l *lines, out *written, pass func(time.Duration)) {
	out = &written{}
	l = newLines(out)
	now := time.Unix(1e9, 0)
	var due func()
	var at time.Time
	l.now = func() time.Time { return now }
	l.after = func(d time.Duration, f func()) { at, due = now.Add(d), f }
	return l, out, func(d time.Duration) {
		now = now.Add(d)
		if f := due; f != nil && !now.Before(at) {
			due = nil
			f()
		}
	}
}

func say(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if n, err := io.WriteString(w, text); n != len(text) || err != nil {
		t.Errorf("wrote %d of %d bytes, %v", n, len(text), err)
	}
}

func TestALineAloneGoesOutAtOnceAndManyTogether(t *testing.T) {
	l, out, pass := clocked()
	say(t, l, "1\n")
	if !slices.Equal(out.all, []string{"1\n"}) {
		t.Fatalf("a line alone: %q", out.all)
	}
	say(t, l, "2\n")
	pass(linesPause / 2)
	say(t, l, "3\n")
	if len(out.all) != 1 {
		t.Errorf("lines close behind did not wait: %q", out.all)
	}
	pass(linesPause / 2)
	if !slices.Equal(out.all, []string{"1\n", "2\n3\n"}) {
		t.Errorf("after the pause: %q", out.all)
	}
	pass(linesPause)
	say(t, l, "4\n")
	if len(out.all) != 3 || out.all[2] != "4\n" {
		t.Errorf("after a silence: %q", out.all)
	}
}

func TestLinesDoNotGatherWithoutBound(t *testing.T) {
	l, out, _ := clocked()
	say(t, l, "first\n")
	line := strings.Repeat("x", 1023) + "\n"
	for range linesRoom / len(line) {
		say(t, l, line)
	}
	if len(out.all) != 2 || len(out.all[1]) != linesRoom {
		t.Errorf("%d writes", len(out.all))
	}
}

func TestWarningsAndTheEndWaitForNothing(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		logger, flush, err := (&logging{level: "info", format: format}).open(&out)
		if err != nil {
			t.Fatal(err)
		}
		logger.Info("one")
		logger.With("a", 1).WithGroup("g").Warn("two", "b", 2)
		if got := out.String(); !strings.Contains(got, "one") || !strings.Contains(got, "two") {
			t.Errorf("%s: a warning waits: %s", format, got)
		}
		logger.Info("three")
		logger.Debug("four")
		flush()
		if got := out.String(); !strings.Contains(got, "three") || strings.Contains(got, "four") {
			t.Errorf("%s: after the end: %s", format, got)
		}
		slog.New(logger.Handler()).Error("five")
		if !strings.Contains(out.String(), "five") {
			t.Errorf("%s: an error waits", format)
		}
	}
}

func TestUnknownLogFormat(t *testing.T) {
	for _, l := range []logging{{"info", "xml"}, {"loud", "text"}} {
		if _, _, err := l.open(io.Discard); err == nil {
			t.Errorf("%+v was taken", l)
		}
	}
}
