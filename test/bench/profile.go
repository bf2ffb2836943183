package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// profile samples the program that a turn is about until stop is called. A
// program with symbols (go build without -s) makes it readable:
//
//	perf report --no-children -i DIR/1-GiB-PUT-through.perf
func (b *bench) profile(ctx context.Context, w way) (stop func(), err error) {
	if b.perfDir == "" || w.watched == nil {
		return func() {}, nil
	}
	if err := os.MkdirAll(b.perfDir, 0o755); err != nil {
		return nil, err
	}
	name := strings.ReplaceAll(strings.ReplaceAll(w.name, ",", ""), " ", "-") + ".perf"
	p, err := b.start("perf", exec.CommandContext(ctx, "perf", "record", "-q", "-e", "cpu-clock", "-F", "997", "-g",
		"-o", filepath.Join(b.perfDir, name), "-p", strconv.Itoa(w.watched.pid())))
	if err != nil {
		return nil, err
	}
	return func() {
		p.signal(syscall.SIGINT)
		<-p.done
	}, nil
}
