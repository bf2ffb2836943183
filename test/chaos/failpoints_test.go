//go:build chaos

package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// aim is something that has to happen at a failpoint.
type aim struct {
	point  replica.Failpoint
	action string
}

const (
	actKill     = "kill"
	actStop     = "stop"
	actPast     = "stop past the lease" // aimed between the lease's check and the release
	actDelay    = "delay"
	actTooLong  = "delay past the lease" // of one write, while the rest of the node goes on
	generation  = 8 * time.Second        // how long a process serves that is not killed by a failpoint
	serving     = "msg=serving"          // is in the line with which a gateway says that it does
	failpointIs = "failpoint "           // begins the line with which the process announces itself
)

// seldom are the points that a process may pass only now and then.
var seldom = []replica.Failpoint{replica.BeforeFold, replica.BeforeHelp, replica.BeforeMend, replica.BeforeDrop, replica.AfterDrop}

// inCalm are the points that are passed when rows have outlived their retention.
var inCalm = []replica.Failpoint{replica.BeforeDrop, replica.AfterDrop}

// released are the points between the lease's check and a release.
var released = []replica.Failpoint{replica.BeforeRelease, replica.BetweenReleases}

// failing starts a binary with failpoints again and again, lets those that stop
// go on, and counts what happened.
type failing struct {
	w       *world
	rnd     *rand.Rand
	pending []aim       // what has not happened yet
	did     map[aim]int // what has
	tried   map[aim]int // how often it was ordered
	read    int64       // bytes of the process's output
	rest    string      // of a line that is not whole
	until   time.Time   // when the process has had its time
	starts  int
}

func newFailing(w *world, rnd *rand.Rand) *failing {
	f := &failing{w: w, rnd: rnd, did: map[aim]int{}, tried: map[aim]int{}}
	for _, p := range replica.Failpoints {
		f.pending = append(f.pending, aim{p, actKill}, aim{p, actStop})
	}
	rnd.Shuffle(len(f.pending), func(i, j int) { f.pending[i], f.pending[j] = f.pending[j], f.pending[i] })
	for _, p := range released { // the long ones share a process, for they can not be cut short
		f.pending = append([]aim{{p, actTooLong}}, append(f.pending, aim{p, actPast})...)
	}
	return f
}

// left are the aims of a moment: in the calm, or before.
func (f *failing) left(calm bool) []aim {
	return slices.DeleteFunc(slices.Clone(f.pending), func(a aim) bool { return slices.Contains(inCalm, a.point) != calm })
}

// orders is what the next process is told: some aims that stop or delay, one that
// kills unless a delay has to be seen to its end and, but for the calm, now and
// then a delay anywhere. What did not happen when it was ordered is ordered for an
// earlier pass of the next process: on a slow machine fewer pass in a generation.
func (f *failing) orders(calm bool) string {
	var orders []string
	add := func(a aim, what string, nth int) {
		if slices.Contains(seldom, a.point) {
			nth = 1 + nth/10
		}
		if slices.Contains(inCalm, a.point) {
			nth = 1
		}
		nth = max(nth>>f.tried[a], 1)
		f.tried[a]++
		orders = append(orders, fmt.Sprintf("%s=%s@%d", a.point, what, nth))
	}
	kills, others := 0, 0
	left := f.left(calm)
	for _, a := range left {
		if a.action != actKill && others < 2 {
			others++
			what := "stop"
			if a.action == actTooLong {
				what, kills = f.tooLong(), 1
			}
			add(a, what, 1+f.rnd.IntN(14))
		}
	}
	for _, a := range left {
		if a.action == actKill && kills == 0 {
			kills++
			add(a, "kill", 15+f.rnd.IntN(30))
		}
	}
	for _, p := range replica.Failpoints {
		if !calm {
			orders = append(orders, fmt.Sprintf("%s=delay:%dms@0.01", p, 100+f.rnd.IntN(400)))
		}
	}
	return replica.FailpointsVariable + "=" + strings.Join(orders, " ")
}

// tooLong is a delay that outlives the lease, and is no longer than a stall may be.
func (f *failing) tooLong() string {
	lease := f.w.times.lease
	return fmt.Sprintf("delay:%v", lease+(f.w.times.stall-lease)/2)
}

// start runs the next process.
func (f *failing) start(calm bool) {
	g := f.w.gateway
	g.Env = []string{f.orders(calm)}
	f.starts, f.read, f.rest = f.starts+1, 0, ""
	f.until = time.Now().Add(generation + harness.Patience)
	g.Launch(f.w.t)
}

// watch follows the process for a while: it reads what it says, lets it go on
// when it stopped, and starts the next when it died or has had its time.
func (f *failing) watch(d time.Duration, calm bool) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		proc := f.w.gateway.Process()
		dead := !proc.Running() // before its last words are read
		f.listen(proc)
		if !dead && time.Now().After(f.until) && len(f.left(calm)) > 0 && !calm {
			f.w.gateway.Kill()
			f.listen(proc)
			dead = true
		}
		if dead {
			f.start(calm)
		}
	}
}

// listen takes note of what the process did.
func (f *failing) listen(proc *harness.Process) {
	said, err := proc.Since(f.read)
	if err != nil {
		f.w.t.Fatal(err)
	}
	f.read += int64(len(said))
	lines := strings.Split(f.rest+said, "\n")
	f.rest = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		if strings.Contains(line, serving) {
			f.until = time.Now().Add(generation)
		}
		words := strings.Fields(strings.TrimPrefix(line, failpointIs))
		if !strings.HasPrefix(line, failpointIs) || len(words) != 3 {
			continue
		}
		f.happened(proc, replica.Failpoint(words[0]), words[1])
	}
}

// happened counts, and lets a process that stopped go on.
func (f *failing) happened(proc *harness.Process, p replica.Failpoint, action string) {
	a := aim{p, action}
	switch past := (aim{p, actPast}); {
	case action == actStop && slices.Contains(f.pending, past) && !slices.Contains(f.pending, a):
		a = past
		f.goOn(proc, f.w.times.lease+200*time.Millisecond, f.w.times.stall)
	case action == actStop:
		f.goOn(proc, 200*time.Millisecond, time.Second)
	case action == f.tooLong():
		a.action = actTooLong
		f.until = time.Now().Add(f.w.times.stall + time.Second)
	case strings.HasPrefix(action, actDelay):
		a.action = actDelay
	}
	f.did[a]++
	if i := slices.Index(f.pending, a); i >= 0 {
		f.pending = slices.Delete(f.pending, i, i+1)
		f.w.logf("%s at %s", a.action, a.point)
	}
}

// goOn ends a stop after a time between two.
func (f *failing) goOn(proc *harness.Process, least, most time.Duration) {
	time.Sleep(least + time.Duration(f.rnd.Int64N(int64(most-least))))
	proc.Signal(syscall.SIGCONT)
}

// account prints what happened where, and fails for what did not.
func (f *failing) account() { f.accountFor(replica.Failpoints...) }

func (f *failing) accountFor(points ...replica.Failpoint) {
	for _, p := range points {
		line := fmt.Sprintf("%-20s", p)
		for _, action := range []string{actKill, actStop, actPast, actDelay, actTooLong} {
			if n := f.did[aim{p, action}]; n > 0 {
				line += fmt.Sprintf(" %s %d,", action, n)
			}
		}
		f.w.t.Log(strings.TrimSuffix(line, ","))
	}
	for _, a := range f.pending {
		f.w.t.Errorf("%s never happened at %s", a.action, a.point)
	}
}
