package main

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// linesPause is how long a line of the log may wait for others, if one was written
	// shortly before: a call of the kernel for every request, and a reader woken by it,
	// cost more than all else about an access line.
	linesPause = 20 * time.Millisecond
	// linesRoom is what waits at most, in bytes.
	linesRoom = 32 << 10
)

// lines is where the log is written. A line that comes alone goes out at once; those that
// follow soon go out together. Safe for concurrent use.
type lines struct {
	w     io.Writer
	after func(time.Duration, func()) // time.AfterFunc, but in tests
	now   func() time.Time

	mu      sync.Mutex // guards what follows, and is held while w is written to
	waiting []byte
	armed   bool      // flush will be called
	written time.Time // when something went out last
}

func newLines(w io.Writer) *lines {
	return &lines{w: w, now: time.Now, after: func(d time.Duration, f func()) { time.AfterFunc(d, f) }}
}

// Write takes a line. What becomes of one that waits nobody can be told: a log has no
// other place to say so.
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	left := linesPause - now.Sub(l.written)
	if left <= 0 && len(l.waiting) == 0 {
		l.written = now
		return l.w.Write(line)
	}
	l.waiting = append(l.waiting, line...)
	switch {
	case len(l.waiting) >= linesRoom:
		l.send(now)
	case !l.armed:
		l.armed = true
		l.after(left, l.due)
	}
	return len(line), nil
}

// due is called when the first of the lines has waited long enough.
func (l *lines) due() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = false
	l.send(l.now())
}

// flush writes what waits.
func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.send(l.now())
}

// send is called with mu held.
func (l *lines) send(now time.Time) {
	if len(l.waiting) > 0 {
		l.written = now
		_, _ = l.w.Write(l.waiting) // see Write
		l.waiting = l.waiting[:0]
	}
}

// prompt is a slog.Handler that lets nothing wait which may be a program's last words.
type prompt struct {
	slog.Handler
	out *lines
}

func (p prompt) Handle(ctx context.Context, r slog.Record) error {
	err := p.Handler.Handle(ctx, r)
	if r.Level >= slog.LevelWarn {
		p.out.flush()
	}
	return err
}

func (p prompt) WithAttrs(attrs []slog.Attr) slog.Handler {
	return prompt{p.Handler.WithAttrs(attrs), p.out}
}

func (p prompt) WithGroup(name string) slog.Handler { return prompt{p.Handler.WithGroup(name), p.out} }
