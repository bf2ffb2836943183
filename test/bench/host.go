package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the kernel's accounts, USER_HZ. It has been a hundredth of
// a second on every architecture that Go runs on.
const tick = 10 * time.Millisecond

// hostCPU is the time that the processors of this machine were not idle since it
// started, with what the hypervisor took. Interrupts are within: the kernel
// counts those that come while a program runs to the program as well.
func hostCPU() (time.Duration, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	return parseHostCPU(string(line))
}

// parseHostCPU reads the first line of /proc/stat (proc_stat(5)): user, nice,
// system, idle, iowait, irq, softirq, steal; the guests' times that follow are
// within user and nice.
func parseHostCPU(line string) (time.Duration, error) {
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var sum time.Duration
	for _, i := range []int{1, 2, 3, 6, 7, 8} {
		n, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat begins with %q", line)
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// processCPU is the time that a process and its dead children have used.
func processCPU(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseProcessCPU(string(data))
}

// parseProcessCPU reads utime, stime, cutime and cstime of /proc/PID/stat
// (proc_pid_stat(5)). The program's name may hold spaces and parentheses.
func parseProcessCPU(stat string) (time.Duration, error) {
	i := strings.LastIndexByte(stat, ')')
	f := strings.Fields(stat[i+1:])
	if i < 0 || len(f) < 15 {
		return 0, fmt.Errorf("/proc/PID/stat is %q", stat)
	}
	var sum time.Duration
	for _, s := range f[11:15] {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/PID/stat is %q", stat)
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// peakResident is the most memory that a process has had, in bytes: VmHWM.
func peakResident(pid int) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parseKilobytes(data, "VmHWM:")
}

var errNoLine = errors.New("line is missing")

// parseKilobytes finds "name   123 kB".
func parseKilobytes(data []byte, name string) (int64, error) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) == 3 && f[0] == name && f[2] == "kB" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("%s: %w", name, errNoLine)
}
