package main

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestHost(t *testing.T) {
	got, err := parseHost("cpu  100 20 3 9999 888 4 5 6 0 0")
	if want := (hostTimes{1380 * time.Millisecond, 50 * time.Millisecond, 60 * time.Millisecond}); err != nil || got != want {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for _, line := range []string{"", "cpu0 1 2 3 4 5 6 7 8 9", "cpu 1 2 3", "cpu 1 2 x 4 5 6 7 8 9"} {
		if got, err := parseHost(line); err == nil {
			t.Errorf("%q is %v", line, got)
		}
	}
}

func TestForeign(t *testing.T) {
	for _, tc := range []struct {
		name                             string
		busy, softirq, steal, ours, seen time.Duration
		want                             time.Duration
	}{
		{"packets that are nobody's", 100, 30, 0, 88, 0, 0},
		{"a program that is seen", 160, 30, 0, 88, 60, 60},
		{"the hypervisor", 110, 30, 10, 88, 0, 10},
		{"programs that came and went", 200, 30, 0, 88, 0, 82},
		{"more than was there", 100, 30, 0, 88, 50, 12},
		{"coarse clocks", 80, 0, 0, 88, 0, 0},
	} {
		before := hostTimes{1000, 1000, 1000}
		after := hostTimes{1000 + tc.busy, 1000 + tc.softirq, 1000 + tc.steal}
		if got := foreign(before, after, tc.ours, tc.seen); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

func TestPrograms(t *testing.T) {
	all, err := programs()
	if _, ok := all[os.Getpid()]; err != nil || !ok {
		t.Errorf("%d programs, this one among them: %v, %v", len(all), ok, err)
	}
	if !kernelThread("2 (kthreadd) S 0 0 0 0 -1 2129984 0") || kernelThread("1 (a) b) S 0 0 0 0 -1 4194560 0") || kernelThread("") {
		t.Error("threads of the kernel are not told from programs")
	}
	own := func(pid int) bool { return pid == 1 }
	before, after := map[int]time.Duration{1: 5, 2: 5, 3: 5}, map[int]time.Duration{1: 9, 2: 8, 4: 2}
	if got := spentBy(before, after, own); got != 5 {
		t.Errorf("others used %d", got)
	}
}

func TestProcessCPU(t *testing.T) {
	got, err := parseProcessCPU("42 (a ) b) S 1 2 3 4 5 6 7 8 9 10 100 20 3 4 15 16")
	if want := 1270 * time.Millisecond; err != nil || got != want {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for _, stat := range []string{"", "42 (a) S 1 2", "42 (a) S 1 2 3 4 5 6 7 8 9 10 x 20 3 4 15 16"} {
		if got, err := parseProcessCPU(stat); err == nil {
			t.Errorf("%q is %v", stat, got)
		}
	}
}

func TestKilobytes(t *testing.T) {
	got, err := parseKilobytes([]byte("VmPeak:\t  9 kB\nVmHWM:\t  2048 kB\n"), "VmHWM:")
	if err != nil || got != 2*mib {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := parseKilobytes([]byte("VmPeak:\t  9 kB\n"), "VmHWM:"); err == nil {
		t.Error("a missing line is found")
	}
}

// TestOwns: what this program starts is not foreign, dead or alive.
func TestOwns(t *testing.T) {
	var b bench
	b.dir = t.TempDir()
	p, err := b.start("true", exec.Command("true"))
	if err != nil {
		t.Fatal(err)
	}
	<-p.done
	if !b.owns(os.Getpid()) || !b.owns(p.pid()) || b.owns(1) {
		t.Error("our programs are not told from others")
	}
}
