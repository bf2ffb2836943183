package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/s3mirror/s3mirror/internal/admin"
)

// progress shows how far long work is, on the stream for errors: a bar that is drawn anew
// on a terminal, lines otherwise.
type progress struct {
	out   io.Writer
	bar   bool
	begun time.Time
	last  string    // what stands there
	line  time.Time // when the last line was written
	most  int64     // the most keys that were left: the whole of the bar
	drawn int
}

// linesEvery is the pause between two lines where there is no terminal.
const linesEvery = 10 * time.Second

const barWidth = 24

func newProgress(std streams, env environ) *progress {
	f, isFile := std.err.(*os.File)
	bar := isFile && term.IsTerminal(int(f.Fd())) && env.get("TERM") != "dumb"
	return &progress{out: std.err, bar: bar, begun: time.Now()}
}

// show tells how far a job is.
func (p *progress) show(job admin.Job) {
	text := progressText(job)
	if !p.bar {
		if text != p.last && (p.line.IsZero() || time.Since(p.line) >= linesEvery) {
			p.last, p.line = text, time.Now()
			fmt.Fprintln(p.out, text)
		}
		return
	}
	p.most = max(p.most, job.Left)
	p.drawn++
	fmt.Fprintf(p.out, "\r\x1b[K%s %s", p.drawBar(job), text)
}

// drawBar is the bar: filled as far as it is known how much is left, else a block on its way.
func (p *progress) drawBar(job admin.Job) string {
	if p.most > 0 {
		n := int(int64(barWidth) * (p.most - job.Left) / p.most)
		return "[" + strings.Repeat("#", n) + strings.Repeat("-", barWidth-n) + "]"
	}
	at := p.drawn % (barWidth - 2)
	return "[" + strings.Repeat("-", at) + "###" + strings.Repeat("-", barWidth-3-at) + "]"
}

// end leaves the line of the bar.
func (p *progress) end() {
	if p.bar && p.drawn > 0 {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// progressText is a job in one line.
func progressText(job admin.Job) string {
	text := fmt.Sprintf("%s %s", job.Kind, job.State)
	if job.Phase != "" {
		text = fmt.Sprintf("%s, %s", job.Kind, job.Phase)
	}
	if job.AtBucket != "" {
		text += " " + job.AtBucket
	}
	return text + ": " + figures(job)
}
