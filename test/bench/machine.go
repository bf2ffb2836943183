package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// machine is what the figures depend on.
type machine struct {
	cores     int
	CPU       string
	Cores     int
	Memory    string
	Kernel    string
	Go        string
	Versitygw string
	S3mirror  string
	Rclone    string
	LogDisk   string // file system of the log, and what a sync costs there
}

func (b *bench) lookAtMachine(ctx context.Context) (machine, error) {
	m := machine{cores: runtime.NumCPU(), Cores: runtime.NumCPU(), Go: runtime.Version()}
	cpuinfo, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m, err
	}
	m.CPU = cpuModel(cpuinfo)
	meminfo, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return m, err
	}
	total, err := parseKilobytes(meminfo, "MemTotal:")
	if err != nil {
		return m, err
	}
	m.Memory = fmt.Sprintf("%.1f GiB", float64(total)/gib)
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return m, err
	}
	m.Kernel = strings.TrimSpace(string(release))
	if m.S3mirror, err = versionOf(ctx, b.program, "version"); err != nil {
		return m, err
	}
	if m.Versitygw, err = versionOf(ctx, b.versitygwProgram, "--version"); err != nil {
		return m, err
	}
	if b.rcloneProgram != "" {
		if m.Rclone, err = versionOf(ctx, b.rcloneProgram, "version"); err != nil {
			return m, err
		}
	}
	m.LogDisk, err = b.logDisk()
	return m, err
}

// cpuModel is the first "model name" of /proc/cpuinfo.
func cpuModel(cpuinfo []byte) string {
	for line := range bytes.Lines(cpuinfo) {
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && string(bytes.TrimSpace(name)) == "model name" {
			return string(bytes.TrimSpace(value))
		}
	}
	return runtime.GOARCH
}

// versionOf is the first line that a program says of itself.
func versionOf(ctx context.Context, program string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, program, args...).Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Base(program), err)
	}
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != "" {
			return line, nil
		}
	}
	return "", fmt.Errorf("%s does not say its version", filepath.Base(program))
}

// fileSystems are the magic numbers of statfs(2) that a log may lie on.
var fileSystems = map[int64]string{0xef53: "ext4", 0x58465342: "xfs", 0x9123683e: "btrfs", 0x01021994: "tmpfs", 0x794c7630: "overlay"}

// syncs is how many appends are synced to learn what one costs.
const syncs = 200

// logDisk measures what a synced append of 4 KiB costs where the log lies.
func (b *bench) logDisk() (string, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(b.diskDir, &fs); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(b.diskDir, "sync-")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var took []time.Duration
	for range syncs {
		start := time.Now()
		if _, err := f.Write(noise()[:4*kib]); err != nil {
			return "", err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return "", err
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	name := fileSystems[int64(fs.Type)]
	if name == "" {
		name = fmt.Sprintf("%#x", fs.Type)
	}
	return fmt.Sprintf("%s, a synced append of 4 KiB takes %.2f ms (p50), %.2f ms (p99)", name, ms(took[syncs/2]), ms(took[syncs*99/100])), nil
}
