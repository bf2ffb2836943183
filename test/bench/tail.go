package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin"
)

// The load of the tail's rows: well below what the machine can do, so that what
// is seen is the gateway's patience and not a queue of ours.
const (
	tailRate = 150 // PUTs a second
	tailOps  = 3000
)

// tail compares the slowest writes of a healthy system with those while one of
// three backends is stopped (SIGSTOP: its port takes connections, nobody
// answers) and its breaker is open. That writes succeed is counted from the
// moment of the stop.
var tail = experiment{
	name: "tail", rounds: 3,
	about: fmt.Sprintf("4 KiB PUT, %d a second whatever they take, timed from when each was due, %d a turn, three versitygw that keep connections, one of them stopped with SIGSTOP; settle is 5 s, so that what was in doubt is over between two turns", tailRate, tailOps),
	rows:  append(tailRows("any"), tailRows("quorum")...),
	setup: func(ctx context.Context, b *bench) ([]way, error) {
		backends, err := b.versitygws(ctx, true)
		if err != nil {
			return nil, err
		}
		var ways []way
		g, err := b.gateway(ctx, backends, config{settle: "5s", more: "buckets: {bench-any: {ack: any}, bench-quorum: {ack: quorum}}\n"})
		if err != nil {
			return nil, err
		}
		for _, ack := range []string{"any", "quorum"} {
			if err := g.endpoint().request(http.MethodPut, "bench-"+ack, ""); err != nil {
				return nil, err
			}
			ways = append(ways, b.tailWays(g, backends[2], ack)...)
		}
		return ways, nil
	},
}

func healthyUnder(ack string) string { return "PUT, ack " + ack + ", all healthy" }
func stoppedUnder(ack string) string { return "PUT, ack " + ack + ", one stopped" }

func tailRows(ack string) []row {
	return []row{
		{id: "tail.p99-" + ack, kind: "tail", figure: "4 KiB PUT, p99 with one backend stopped and its breaker open / p99 when healthy, ack " + ack, target: "≤ 1.5x", limit: 1.5, show: times,
			value: func(t map[string]measure) float64 {
				return t[stoppedUnder(ack)].p99.Seconds() / t[healthyUnder(ack)].p99.Seconds()
			}},
		{id: "tail.success-" + ack, kind: "tail", figure: "writes that succeed from the moment of the stop, ack " + ack, target: "≥ 99.9 %", limit: 99.9, least: true, show: percent,
			value: func(t map[string]measure) float64 {
				m := t[stoppedUnder(ack)]
				return 100 * float64(m.ops-m.failed) / float64(m.ops)
			}},
	}
}

// tailWays are the healthy turn and the one with a stopped backend.
func (b *bench) tailWays(g *gateway, victim server, ack string) []way {
	to := ideal{g.endpoint()}
	load := func(n int) measure {
		fresh := b.freshKeys(n)
		return paced(clients, n, tailRate, func(i int) error {
			return to.putSmall("bench-"+ack, fresh[i], newContent(smallSize, i).small())
		})
	}
	return []way{
		{name: healthyUnder(ack), watched: g.proc, prepare: run(func(context.Context) (measure, error) {
			m := load(tailOps)
			if m.failed > 0 {
				return m, fmt.Errorf("%d of %d writes failed with all backends up", m.failed, m.ops)
			}
			return m, nil
		})},
		{name: stoppedUnder(ack), watched: g.proc,
			prepare: func(ctx context.Context) (func() (measure, error), error) {
				victim.proc.signal(syscall.SIGSTOP)
				var before measure
				for {
					state, err := g.state(ctx, victim.name)
					if err != nil {
						return nil, err
					}
					if state == admin.Down {
						break
					}
					m := load(tailRate / 2)
					before.ops, before.failed = before.ops+m.ops, before.failed+m.failed
					if before.ops > 100*tailRate {
						return nil, fmt.Errorf("the breaker of a stopped backend is not open after %d writes", before.ops)
					}
				}
				return func() (measure, error) {
					m := load(tailOps)
					m.ops, m.failed = m.ops+before.ops, m.failed+before.failed
					return m, nil
				}, nil
			},
			after: func(ctx context.Context) error {
				victim.proc.signal(syscall.SIGCONT)
				return g.healed(ctx, victim.name)
			},
		},
	}
}

// state is what the gateway thinks of a backend.
func (g *gateway) state(ctx context.Context, name string) (admin.State, error) {
	all, err := g.admin.Backends(ctx)
	if err != nil {
		return "", err
	}
	for _, s := range all {
		if s.Name == name {
			return s.State, nil
		}
	}
	return "", fmt.Errorf("the gateway knows no backend %s", name)
}

var errLagging = errors.New("a backend that is back still lags")

// healed waits until a backend that is back serves and lags no more.
func (g *gateway) healed(ctx context.Context, name string) error {
	for range 600 {
		state, err := g.state(ctx, name)
		if err != nil {
			return err
		}
		status, err := g.admin.Status(ctx)
		if err != nil {
			return err
		}
		if state == admin.Up && status.Lagging.Keys == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
	return errLagging
}
