package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the kernel's accounts, USER_HZ. It has been a hundredth of
// a second on every architecture that Go runs on.
const tick = 10 * time.Millisecond

// hostTimes is what the processors of this machine have done since it started.
type hostTimes struct {
	busy    time.Duration // not idle, interrupts and what the hypervisor took within
	softirq time.Duration // of busy: packets, mostly; whose they are is not said
	steal   time.Duration // of busy: what the hypervisor took
}

func readHost() (hostTimes, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return hostTimes{}, err
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	return parseHost(string(line))
}

// parseHost reads the first line of /proc/stat (proc_stat(5)): user, nice,
// system, idle, iowait, irq, softirq, steal; the guests' times that follow are
// within user and nice.
func parseHost(line string) (h hostTimes, err error) {
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return h, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var t [9]time.Duration
	for i := 1; i < len(t); i++ {
		n, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			return h, fmt.Errorf("/proc/stat begins with %q", line)
		}
		t[i] = time.Duration(n) * tick
	}
	return hostTimes{busy: t[1] + t[2] + t[3] + t[6] + t[7] + t[8], softirq: t[7], steal: t[8]}, nil
}

// foreign is what others used while the host went from one state to another, we
// used ours, and the programs that are not ours were seen to use seen. The
// kernel counts packets that it handles while a program runs to that program,
// and those it handles otherwise to nobody; so /proc/stat alone gives two bounds,
// which lie a tenth apart when bytes are spliced. Between them seen decides.
func foreign(before, after hostTimes, ours, seen time.Duration) time.Duration {
	most := after.busy - before.busy - ours
	least := most - (after.softirq - before.softirq)
	return max(0, least, min(most, seen+after.steal-before.steal))
}

// programs are the CPU times of all programs by their ids, dead children
// within. Threads of the kernel are left out: they work for whoever calls.
func programs() (map[int]time.Duration, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	all := map[int]time.Duration{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil || kernelThread(string(stat)) {
			continue // it has just ended, or is the kernel's
		}
		if all[pid], err = parseProcessCPU(string(stat)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// kernelThread reads the flags of /proc/PID/stat: PF_KTHREAD.
func kernelThread(stat string) bool {
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(f) < 7 {
		return false
	}
	flags, err := strconv.ParseUint(f[6], 10, 64)
	return err == nil && flags&0x00200000 != 0
}

// spentBy sums what the programs that are not ours used between two looks.
func spentBy(before, after map[int]time.Duration, ours func(pid int) bool) (sum time.Duration) {
	for pid, used := range after {
		if !ours(pid) {
			sum += max(0, used-before[pid])
		}
	}
	return sum
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
