package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"

	"github.com/s3mirror/s3mirror/internal/admin"
)

// printer writes for people: tables without ruling, colour only on a terminal
// that wants it. It keeps the first error of its writer in err.
type printer struct {
	out   io.Writer
	now   time.Time
	color bool
	err   error
}

func newPrinter(std streams, env environ) *printer {
	f, isFile := std.out.(*os.File)
	color := isFile && term.IsTerminal(int(f.Fd())) && env.get("NO_COLOR") == "" && env.get("TERM") != "dumb"
	return &printer{out: std.out, now: time.Now(), color: color}
}

func (p *printer) line(format string, args ...any) {
	if _, err := fmt.Fprintf(p.out, format+"\n", args...); err != nil && p.err == nil {
		p.err = err
	}
}

// table prints columns; a last column that is empty throughout is left out.
func (p *printer) table(header []any, rows [][]any) {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatUpper
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	t.SuppressEmptyColumns()
	t.AppendHeader(header)
	for _, r := range rows {
		t.AppendRow(r)
	}
	p.line("%s", t.Render())
}

func (p *printer) good(s string) string { return p.paint(s, "32") }
func (p *printer) warn(s string) string { return p.paint(s, "33") }
func (p *printer) bad(s string) string  { return p.paint(s, "31") }

func (p *printer) paint(s, code string) string {
	if !p.color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p *printer) state(s admin.State) string {
	switch s {
	case admin.Up:
		return p.good(string(s))
	case admin.Down:
		return p.bad(string(s))
	case admin.Degraded, admin.Paused:
	}
	return p.warn(string(s))
}

// ago is the age of a moment, in words.
func (p *printer) ago(at *time.Time) string {
	if at == nil {
		return "never"
	}
	return age(max(p.now.Sub(*at).Seconds(), 1)) + " ago"
}

// age writes seconds in the largest two units, or - for none.
func age(seconds float64) string {
	s := int64(math.Ceil(seconds))
	switch {
	case s <= 0:
		return "-"
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}

// size writes bytes with three digits.
func size(bytes int64) string {
	const units = "KMGTPE"
	if bytes < 1024 {
		return fmt.Sprintf("%d B", bytes)
	}
	f, i := float64(bytes)/1024, 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return fmt.Sprintf("%.3g %ciB", f, units[i])
}

// keys counts keys in words.
func keys(n int64) string {
	if n == 1 {
		return "1 key"
	}
	return fmt.Sprintf("%d keys", n)
}

// backlog is an amount of work in words.
func backlog(b admin.Backlog) string {
	if b.Keys == 0 {
		return keys(0)
	}
	return fmt.Sprintf("%s (%s, oldest %s)", keys(b.Keys), size(b.Bytes), age(b.OldestSeconds))
}

// milliseconds writes a span of seconds that is short, or - for none.
func milliseconds(seconds float64) string {
	if seconds == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3g ms", seconds*1000)
}
