//go:build failpoints && unix

package replica

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
)

// trace knows where in the protocol a process is. Owned by the process's
// goroutine.
type trace struct {
	m        machine
	op       object.ID // of a write
	standing bool      // of a write: its intent stands, as far as it knows
	told     bool      // of a write: an answer was told
}

func traceOf(m machine) trace { return trace{m: m} }

// writes tells which write the process is.
func (t *trace) writes(op object.ID) { t.op = op }

// beforeSwap is passed before the log is called.
func (t *trace) beforeSwap(e commit.Swap) {
	switch t.m.(type) {
	case *commit.Write:
		switch mine := t.mine(e); {
		case mine && !t.standing:
			pass(BeforeIntent)
		case mine: // a renewal
		case t.standing:
			pass(BeforeDecide)
		default:
			pass(BeforeFold)
		}
	case *commit.Read:
		pass(BeforeHelp)
	case *commit.Repair:
		if e.Row == nil {
			pass(BeforeDrop)
		} else {
			pass(BeforeMend)
		}
	}
}

// afterSwap is passed before the machine hears of the outcome.
func (t *trace) afterSwap(e commit.Swap, outcome commit.CAS) {
	if outcome != commit.Applied {
		return
	}
	switch t.m.(type) {
	case *commit.Write:
		mine := t.mine(e)
		switch {
		case mine && !t.standing:
			pass(AfterIntent)
		case !mine && t.standing:
			pass(AfterDecide)
		}
		t.standing = mine
	case *commit.Repair:
		if e.Row == nil {
			pass(AfterDrop)
		}
	}
}

// mine tells whether the row that is written holds the write's intent.
func (t *trace) mine(e commit.Swap) bool {
	return e.Row != nil && e.Row.Intent != nil && e.Row.Intent.Op == t.op
}

// release is passed before each replica is let go, the first after the lease was
// looked at. What is posted runs when all of them are.
func (t *trace) release(first bool, post func(func())) {
	if !first {
		pass(BetweenReleases)
		return
	}
	pass(BeforeRelease)
	post(func() { pass(AfterRelease) })
}

// answered is passed before the machine hears of a replica's answer.
func (t *trace) answered() {
	if !t.told {
		t.told = true
		pass(BeforeAnswer)
	}
}

// order is one instruction.
type order struct {
	action string        // as it was written
	delay  time.Duration // of a delay
	nth    int           // zero: by share
	share  float64       // of the passages
}

// orders are those of the environment, and how often each point was passed.
type orders struct {
	mu     sync.Mutex // guards passed
	at     map[Failpoint][]order
	passed map[Failpoint]int
}

// fromEnvironment is read once, at the first failpoint that is passed.
var fromEnvironment = sync.OnceValue(func() *orders {
	all, err := parseOrders(os.Getenv(FailpointsVariable))
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", FailpointsVariable, err)
		os.Exit(2)
	}
	return &orders{at: all, passed: map[Failpoint]int{}}
})

func parseOrders(text string) (map[Failpoint][]order, error) {
	all := map[Failpoint][]order{}
	known := map[Failpoint]bool{}
	for _, p := range Failpoints {
		known[p] = true
	}
	for _, word := range strings.Fields(text) {
		point, rest, _ := strings.Cut(word, "=")
		action, when, _ := strings.Cut(rest, "@")
		o, err := parseOrder(action, when)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%q: %w", word, err)
		case !known[Failpoint(point)]:
			return nil, fmt.Errorf("%q: there is no such failpoint", word)
		}
		all[Failpoint(point)] = append(all[Failpoint(point)], o)
	}
	return all, nil
}

func parseOrder(action, when string) (o order, err error) {
	o.action = action
	if delay, ok := strings.CutPrefix(action, "delay:"); ok {
		if o.delay, err = time.ParseDuration(delay); err != nil {
			return o, err
		}
	}
	if action != "kill" && action != "stop" && o.delay <= 0 {
		return o, errors.New("want kill, stop or delay:DURATION")
	}
	if strings.Contains(when, ".") {
		o.share, err = strconv.ParseFloat(when, 64)
		if err == nil && !(o.share > 0 && o.share <= 1) {
			err = errors.New("want a probability")
		}
		return o, err
	}
	if o.nth, err = strconv.Atoi(when); err == nil && o.nth < 1 {
		err = errors.New("want a number from 1")
	}
	return o, err
}

// pass does what the environment wants at a point.
func pass(p Failpoint) {
	all := fromEnvironment()
	all.mu.Lock()
	all.passed[p]++
	n := all.passed[p]
	all.mu.Unlock()
	for _, o := range all.at[p] {
		if o.nth == n || o.nth == 0 && rand.Float64() < o.share {
			o.carryOut(p, n)
		}
	}
}

func (o order) carryOut(p Failpoint, n int) {
	fmt.Fprintf(os.Stderr, "failpoint %s %s %d\n", p, o.action, n)
	switch o.action {
	case "kill":
		signalSelf(syscall.SIGKILL)
		select {} // it comes
	case "stop":
		signalSelf(syscall.SIGSTOP)
	default:
		time.Sleep(o.delay)
	}
}

func signalSelf(s syscall.Signal) {
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		panic(err)
	}
}
