package main

import (
	"testing"
	"time"
)

func TestHostCPU(t *testing.T) {
	got, err := parseHostCPU("cpu  100 20 3 9999 888 4 5 6 0 0")
	if want := 1380 * time.Millisecond; err != nil || got != want {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for _, line := range []string{"", "cpu0 1 2 3 4 5 6 7 8 9", "cpu 1 2 3", "cpu 1 2 x 4 5 6 7 8 9"} {
		if got, err := parseHostCPU(line); err == nil {
			t.Errorf("%q is %v", line, got)
		}
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
