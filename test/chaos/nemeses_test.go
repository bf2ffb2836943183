//go:build chaos

package chaos

import (
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// nemesis hurts something, waits, and mends it. It returns how many requests it
// hit, unless struck tells that at the end.
type nemesis struct {
	name   string
	strike func(w *world, rnd *rand.Rand) int
	struck fault // whose count tells; none: what strike returns
	wire   bool  // it touches proxies alone
	brief  bool  // it has its turn among several gateways in a short run too
}

var nemeses = []nemesis{
	{name: "gateway killed", brief: true, strike: func(w *world, rnd *rand.Rand) int {
		n, g := int(w.clients.flight.Load()), w.some(rnd)
		g.Kill()
		g.Start(w.t)
		return n
	}},
	{name: "gateway stopped", brief: true, strike: func(w *world, rnd *rand.Rand) int {
		g := w.some(rnd)
		g.Process().Signal(syscall.SIGSTOP)
		pause(rnd, w.times.stall) // beyond the lease, now and then
		n := int(w.clients.flight.Load())
		g.Process().Signal(syscall.SIGCONT)
		return n
	}},
	{name: "backend killed", strike: func(w *world, rnd *rand.Rand) int {
		i, n := w.busy(rnd)
		w.backends[i].Kill()
		pause(rnd, 3*time.Second)
		w.backends[i].Start(w.t)
		return n
	}},
	{name: "backend stopped", brief: true, strike: func(w *world, rnd *rand.Rand) int {
		i, n := w.busy(rnd)
		w.backends[i].Hang()
		pause(rnd, w.times.stall/2)
		n = max(n, w.proxies[i].underWay())
		w.backends[i].Resume()
		return n
	}},
	{name: "mode disabled", brief: true, strike: func(w *world, rnd *rand.Rand) int {
		primary := w.backends[rnd.IntN(len(w.backends))].Name
		n := int(w.clients.flight.Load())
		w.mode("disabled", "--primary", primary)
		pause(rnd, 4*time.Second)
		n += int(w.clients.flight.Load())
		w.mode("active")
		return n
	}},
	{name: "connections cut", wire: true, strike: func(w *world, rnd *rand.Rand) int {
		i, n := w.busy(rnd)
		p := w.proxies[i]
		for range 10 {
			n += p.underWay()
			p.cut()
			time.Sleep(time.Duration(rnd.IntN(100)) * time.Millisecond)
		}
		return n
	}},
	{name: "blackhole", wire: true, struck: blackhole, strike: through(blackhole)},
	{name: "1 KiB/s", wire: true, struck: slow, strike: through(slow)},
	{name: "answers dropped", wire: true, struck: dropAnswers, strike: through(dropAnswers)},
	{name: "cut after n bytes", wire: true, struck: cutAfter, strike: through(cutAfter)},
	{name: "applied late", wire: true, struck: late, strike: func(w *world, rnd *rand.Rand) int {
		if rnd.IntN(4) == 0 {
			w.late(rnd, w.proxies) // as when the gateway itself was held up
			return 0
		}
		i, _ := w.busy(rnd)
		w.late(rnd, w.proxies[i:i+1])
		return 0
	}},
}

// some picks a gateway. Of one alone it draws nothing, so that a seed means what it meant.
func (w *world) some(rnd *rand.Rand) *harness.Gateway {
	if len(w.gateways) == 1 {
		return w.gateways[0]
	}
	return w.gateways[rnd.IntN(len(w.gateways))]
}

// mode switches the mode of all buckets.
func (w *world) mode(args ...string) {
	w.insist(append([]string{"mode"}, args...)...)
}

// insist has the first gateway do something, at once. Where the log is shared, and may be
// away for a moment, it asks again.
func (w *world) insist(args ...string) {
	tries := 1
	if w.ring != nil {
		tries = 5
	}
	for try := range tries {
		code, _, stderr := w.gateways[0].CLI(w.t, args...)
		switch {
		case code == 0:
			return
		case try == tries-1:
			w.violation("%v: exit %d: %s", args, code, stderr)
		default:
			w.logf("%v: exit %d: %s", args, code, stderr)
			time.Sleep(time.Second)
		}
	}
}

// late has mutations applied late by some of the backends.
func (w *world) late(rnd *rand.Rand, proxies []*proxy) {
	for _, p := range proxies {
		p.hold.Store(int64(w.times.stall - 2*letGo))
		p.set(late)
	}
	pause(rnd, 3*time.Second)
	for _, p := range proxies {
		p.set(none)
	}
}

// pause is how long a fault lasts.
func pause(rnd *rand.Rand, most time.Duration) {
	time.Sleep(500*time.Millisecond + time.Duration(rnd.Int64N(int64(most-500*time.Millisecond))))
}

// through is a nemesis that a proxy makes.
func through(f fault) func(*world, *rand.Rand) int {
	return func(w *world, rnd *rand.Rand) int {
		i, _ := w.busy(rnd)
		p := w.proxies[i]
		p.after.Store(int64(rnd.IntN(4000)))
		p.set(f)
		pause(rnd, 4*time.Second)
		p.set(none)
		p.cut()
		return 0
	}
}

// busy picks a backend with requests under way, and counts them. It waits for one
// as long as a breaker may keep all of them away.
func (w *world) busy(rnd *rand.Rand) (i, n int) {
	for end := time.Now().Add(w.times.stall); time.Now().Before(end); time.Sleep(time.Millisecond) {
		i = rnd.IntN(len(w.proxies))
		if n = w.proxies[i].underWay(); n > 0 {
			break
		}
	}
	return i, n
}

// loaded counts the requests under way, and waits for one as long as busy does.
func (w *world) loaded() (n int) {
	for end := time.Now().Add(w.times.stall); n == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		n = int(w.clients.flight.Load())
	}
	return n
}

// struck is what the nemeses did.
type struck struct {
	times, hit map[string]int
}

// play lets all nemeses strike, in rounds of random order, until the time is
// over and each had its turn.
func (w *world) play(rnd *rand.Rand, d time.Duration) struck {
	did := struck{map[string]int{}, map[string]int{}}
	for end := time.Now().Add(d); time.Now().Before(end) || len(did.times) < len(w.nemeses); {
		for _, i := range rnd.Perm(len(w.nemeses)) {
			n := w.nemeses[i]
			began := time.Now()
			did.hit[n.name] += n.strike(w, rnd)
			did.times[n.name]++
			w.logf("%s for %v", n.name, time.Since(began).Round(time.Millisecond))
			if w.times.late {
				w.late(rnd, w.proxies)
			}
			time.Sleep(500 * time.Millisecond)
			if time.Now().After(end) && len(did.times) == len(w.nemeses) {
				break
			}
		}
	}
	return did
}

// account prints what the nemeses hit, once all that was held back is over.
func (w *world) account(did struck) {
	for _, n := range w.nemeses {
		hit := did.hit[n.name]
		if n.struck != none {
			hit = 0
			for _, p := range w.proxies {
				hit += int(p.struck[n.struck].Load())
			}
		}
		w.t.Logf("%-20s %3d times, %4d requests hit", n.name, did.times[n.name], hit)
		if hit == 0 {
			w.t.Errorf("%s never hit a request under way", n.name)
		}
	}
}
