package main

import (
	"context"
	"fmt"
	"time"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// experiments are all rows of PERFORMANCE.md's table, in its order.
var experiments = []experiment{
	paceLarge, paceUplink, paceSmall,
	costLarge, costSmall,
	saturatedLarge, saturatedSmall(true), saturatedSmall(false),
	peaks("one", "one 1000 MB upload", "≤ 48 MiB", 48, 1, 1000e6, 3),
	peaks("many", "64 concurrent uploads of 100 MB", "≤ 144 MiB", 144, 64, 100e6, 3),
	bulk,
	lists,
	tail,
	authGet,
	authStorm,
	peers,
	shared(1, 600, 1500), shared(3, 300, 900),
}

const (
	network      = 120e6                 // bytes a second: a gigabit line
	networkDelay = 10 * time.Millisecond // each way: 20 ms there and back
	smallSize    = 4 * kib
	clients      = 16
)

// ratio of the wall times of two ways.
func ratio(way, to string) func(map[string]measure) float64 {
	return func(t map[string]measure) float64 { return t[way].wall.Seconds() / t[to].wall.Seconds() }
}

// rate is the ratio of the operations a second of two ways.
func rate(way, to string) func(map[string]measure) float64 {
	return func(t map[string]measure) float64 { return t[way].perSecond() / t[to].perSecond() }
}

// cpuRatio is the ratio of the CPU times of two ways.
func cpuRatio(way, to string) func(map[string]measure) float64 {
	return func(t map[string]measure) float64 { return t[way].cpu.Seconds() / t[to].cpu.Seconds() }
}

func times(v float64) string   { return fmt.Sprintf("%.2fx", v) }
func fine(v float64) string    { return fmt.Sprintf("%.3fx", v) }
func seconds(v float64) string { return fmt.Sprintf("%.2f s", v) }
func millis(v float64) string  { return fmt.Sprintf("%.3f ms", v) }
func mebi(v float64) string    { return fmt.Sprintf("%.0f MiB", v) }
func percent(v float64) string { return fmt.Sprintf("%.2f %%", v) }

// The names of the ways.
const (
	rawPut     = "raw PUT"
	idealPut   = "ideal PUT"
	throughPut = "PUT through"
	signedPut  = "PUT through, signed chunks"
	fanoutPut  = "PUT through the fan-out"
	directGet  = "direct GET"
	throughGet = "GET through"
	sdkDirect  = "SDK to the three"
	sdkThrough = "SDK through"
	onePut     = "PUT to one backend"
)

// longPut writes 1 GiB to where the client's way leads.
func (b *bench) longPut(name string, watched *process, to ideal, bucket string, size int64, backends []server) way {
	return way{name: name, watched: watched,
		prepare: run(func(context.Context) (measure, error) {
			return measure{}, to.put(bucket, b.freshKey(), newContent(size, b.keysMade), sigv4.UnsignedTrailer)
		}),
		after: func(ctx context.Context) error { return forget(ctx, backends) },
	}
}

// longGet reads 1 GiB.
func longGet(name string, watched *process, from *endpoint, key string, size int64) way {
	return way{name: name, watched: watched, prepare: run(func(context.Context) (measure, error) {
		return measure{}, from.get(bucket, key, size)
	})}
}

const keptLong = keptPrefix + "long"

// keepLong writes the object that longGet reads.
func keepLong(g *gateway, size int64) error {
	return ideal{g.endpoint()}.put(bucket, keptLong, content{size: size}, sigv4.UnsignedTrailer)
}

// smallPuts writes n small objects with so many clients.
func (b *bench) smallPuts(name string, watched *process, to ideal, bucket string, n int, backends []server) way {
	return way{name: name, watched: watched,
		prepare: func(context.Context) (func() (measure, error), error) {
			fresh := b.freshKeys(n)
			return func() (measure, error) {
				return each(clients, n, func(i int) error {
					return to.putSmall(bucket, fresh[i], newContent(smallSize, i).small())
				})
			}, nil
		},
		after: func(ctx context.Context) error { return forget(ctx, backends) },
	}
}

// smallGets reads small objects, each client from the endpoints in turn.
func smallGets(name string, watched *process, from ideal, keys []string) way {
	return way{name: name, watched: watched, prepare: run(func(context.Context) (measure, error) {
		return each(clients, len(keys), func(i int) error {
			return from[i%len(from)].get(bucket, keys[i], smallSize)
		})
	})}
}

// keepSmall writes the objects that smallGets reads.
func keepSmall(g *gateway, n int) ([]string, error) {
	to := ideal{g.endpoint()}
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%ssmall-%05d", keptPrefix, i)
	}
	_, err := each(clients, n, func(i int) error { return to.putSmall(bucket, names[i], newContent(smallSize, i).small()) })
	return names, err
}

var paceLarge = experiment{
	name: "pace-long", rounds: 3,
	about: "1 GiB at a time, sinks behind lines of 120 MB/s and 20 ms that keep connections, crc32c trailers",
	rows: []row{
		{id: "pace.calibration", kind: "pace", figure: "calibration: 1 GiB PUT, the ideal client's rate / the line's", target: "≥ 0.95", limit: 0.95, least: true, show: times,
			value: func(t map[string]measure) float64 { return gib / network / t[idealPut].wall.Seconds() }},
		{id: "pace.put", kind: "pace", figure: "1 GiB PUT through / ideal", target: "≤ 1.03", limit: 1.03, show: fine, value: ratio(throughPut, idealPut)},
		{id: "pace.get", kind: "pace", figure: "1 GiB GET through / direct", target: "≤ 1.03", limit: 1.03, show: fine, value: ratio(throughGet, directGet)},
	},
	setup: func(ctx context.Context, b *bench) ([]way, error) {
		backends, err := b.sinks(line{network, networkDelay})
		if err != nil {
			return nil, err
		}
		g, err := b.gateway(ctx, backends, config{})
		if err != nil {
			return nil, err
		}
		if err := keepLong(g, gib); err != nil {
			return nil, err
		}
		return []way{
			b.longPut(idealPut, nil, endpoints(backends), direct, gib, backends),
			b.longPut(throughPut, g.proc, ideal{g.endpoint()}, bucket, gib, backends),
			longGet(directGet, nil, backends[0].endpoint(), keptLong, gib),
			longGet(throughGet, g.proc, g.endpoint(), keptLong, gib),
		}, nil
	},
}

var paceUplink = experiment{
	name: "pace-uplink", rounds: 3,
	about: "1 GiB at a time from a client whose line sends 120 MB/s, to the same sinks",
	rows: []row{
		{id: "pace.uplink", kind: "pace", figure: "1 GiB PUT to three through the gateway / the same client's PUT to one backend", target: "≤ 1.03", limit: 1.03, show: fine, value: ratio(throughPut, onePut)},
	},
	setup: func(ctx context.Context, b *bench) ([]way, error) {
		backends, err := b.sinks(line{network, networkDelay})
		if err != nil {
			return nil, err
		}
		g, err := b.gateway(ctx, backends, config{})
		if err != nil {
			return nil, err
		}
		return []way{
			b.longPut(onePut, nil, ideal{backends[0].endpoint().over(uplink(network))}, direct, gib, backends),
			b.longPut(throughPut, g.proc, ideal{g.endpoint().over(uplink(network))}, bucket, gib, backends),
		}, nil
	},
}

var paceSmall = experiment{
	name: "pace-small", rounds: 5,
	about: "4 KiB, 16 clients, the same sinks, the hash of the body signed",
	rows: []row{
		{id: "pace.put-small", kind: "pace", figure: "4 KiB PUT, ops through / ideal", target: "≥ 0.90", limit: 0.90, least: true, show: times, value: rate(throughPut, idealPut)},
		{id: "pace.get-small", kind: "pace", figure: "4 KiB GET, ops through / direct", target: "≥ 0.95", limit: 0.95, least: true, show: times, value: rate(throughGet, directGet)},
	},
	setup: func(ctx context.Context, b *bench) ([]way, error) {
		backends, err := b.sinks(line{network, networkDelay})
		if err != nil {
			return nil, err
		}
		g, err := b.gateway(ctx, backends, config{})
		if err != nil {
			return nil, err
		}
		return b.smallWays(g, backends, 4000)
	},
}

// smallWays are PUT and GET of small objects, each both ways.
func (b *bench) smallWays(g *gateway, backends []server, n int) ([]way, error) {
	kept, err := keepSmall(g, n)
	if err != nil {
		return nil, err
	}
	return []way{
		b.smallPuts(idealPut, nil, endpoints(backends), direct, n, backends),
		b.smallPuts(throughPut, g.proc, ideal{g.endpoint()}, bucket, n, backends),
		smallGets(directGet, nil, endpoints(backends), kept),
		smallGets(throughGet, g.proc, ideal{g.endpoint()}, kept),
	}, nil
}

var costLarge = experiment{
	name: "cost-long", rounds: 5,
	about: "CPU time of the gateway, 1 GiB at a time, sinks without a line",
	rows: []row{
		{id: "cost.put-trailer", kind: "cost", figure: "1 GiB PUT with crc32c trailers / a hash-free fan-out", target: "≤ 1.3x", limit: 1.3, show: times, value: cpuRatio(throughPut, fanoutPut)},
		{id: "cost.put-signed", kind: "cost", figure: "1 GiB PUT with signed chunks of 1 MiB / the same", target: "≤ 1.6x", limit: 1.6, show: times, value: cpuRatio(signedPut, fanoutPut)},
		{id: "cost.get", kind: "cost", figure: "1 GiB GET", target: "≤ 0.6 s", limit: 0.6, show: seconds, value: cpuOf(throughGet)},
		{id: "cost.put-seconds", kind: "cost", figure: "1 GiB PUT with crc32c trailers", show: seconds, value: cpuOf(throughPut)},
		{id: "cost.fanout-seconds", kind: "cost", figure: "1 GiB through the hash-free fan-out", show: seconds, value: cpuOf(fanoutPut)},
	},
	setup: func(ctx context.Context, b *bench) ([]way, error) {
		backends, err := b.sinks(line{})
		if err != nil {
			return nil, err
		}
		others, err := b.sinks(line{})
		if err != nil {
			return nil, err
		}
		g, err := b.gateway(ctx, backends, config{payload: "unsigned-trailer"})
		if err != nil {
			return nil, err
		}
		signed, err := b.gateway(ctx, others, config{payload: "signed-chunked"})
		if err != nil {
			return nil, err
		}
		fan, through, err := b.fanout(ctx, backends)
		if err != nil {
			return nil, err
		}
		if err := keepLong(g, gib); err != nil {
			return nil, err
		}
		return []way{
			b.longPut(fanoutPut, fan, ideal{through}, direct, gib, backends),
			b.longPut(throughPut, g.proc, ideal{g.endpoint()}, bucket, gib, backends),
			b.longPut(signedPut, signed.proc, ideal{signed.endpoint()}, bucket, gib, others),
			longGet(throughGet, g.proc, g.endpoint(), keptLong, gib),
		}, nil
	},
}

func cpuOf(way string) func(map[string]measure) float64 {
	return func(t map[string]measure) float64 { return t[way].cpu.Seconds() }
}

// cpuPer is the CPU time of one operation in milliseconds.
func cpuPer(way string) func(map[string]measure) float64 {
	return func(t map[string]measure) float64 { return ms(t[way].cpu) / float64(t[way].ops) }
}

var costSmall = experiment{
	name: "cost-small", rounds: 5,
	about: "CPU time of the gateway, 4 KiB, 16 clients, sinks without a line that keep connections",
	rows: []row{
		{id: "cost.put-small", kind: "cost", figure: "4 KiB PUT with its commits", target: "≤ 0.35 ms", limit: 0.35, show: millis, value: cpuPer(throughPut)},
		{id: "cost.get-small", kind: "cost", figure: "4 KiB GET", target: "≤ 0.15 ms", limit: 0.15, show: millis, value: cpuPer(throughGet)},
	},
	setup: func(ctx context.Context, b *bench) ([]way, error) {
		backends, err := b.sinks(line{})
		if err != nil {
			return nil, err
		}
		g, err := b.gateway(ctx, backends, config{})
		if err != nil {
			return nil, err
		}
		const n = 10000
		kept, err := keepSmall(g, n)
		if err != nil {
			return nil, err
		}
		return []way{
			b.smallPuts(throughPut, g.proc, ideal{g.endpoint()}, bucket, n, backends),
			smallGets(throughGet, g.proc, ideal{g.endpoint()}, kept),
		}, nil
	},
}

var saturatedLarge = experiment{
	name: "saturated-long", rounds: 5,
	about: "1 GiB at a time, client, gateway and three versitygw (posix on tmpfs) share the cores, crc32c trailers",
	rows: []row{
		{id: "saturated.calibration", kind: "saturated", figure: "calibration: 1 GiB PUT, the ideal client's rate / the raw one's", target: "≥ 0.95", limit: 0.95, least: true, show: times, value: ratio(rawPut, idealPut)},
		{id: "saturated.put", kind: "saturated", figure: "1 GiB PUT through / ideal", target: "≤ 1.10", limit: 1.10, show: times, value: ratio(throughPut, idealPut)},
		{id: "saturated.get", kind: "saturated", figure: "1 GiB GET through / direct", target: "≤ 1.25", limit: 1.25, show: times, value: ratio(throughGet, directGet)},
		{id: "saturated.sdk", kind: "saturated", figure: "1 GiB PUT through / the AWS SDK for Go writing to the three itself", target: "≤ 1.00", limit: 1, show: times, value: ratio(throughPut, sdkDirect)},
		{id: "saturated.sdk-same", kind: "saturated", figure: "1 GiB PUT by that SDK through / by it to the three itself", target: "≤ 1.00", limit: 1, show: times, value: ratio(sdkThrough, sdkDirect)},
	},
	setup: func(ctx context.Context, b *bench) ([]way, error) {
		backends, err := b.versitygws(ctx, true)
		if err != nil {
			return nil, err
		}
		g, err := b.gateway(ctx, backends, config{})
		if err != nil {
			return nil, err
		}
		if err := keepLong(g, gib); err != nil {
			return nil, err
		}
		return []way{
			b.longRawPut(endpoints(backends), backends),
			b.longPut(idealPut, nil, endpoints(backends), direct, gib, backends),
			b.longPut(throughPut, g.proc, ideal{g.endpoint()}, bucket, gib, backends),
			b.longSDKPut(sdkDirect, nil, endpoints(backends), direct, backends),
			b.longSDKPut(sdkThrough, g.proc, ideal{g.endpoint()}, bucket, backends),
			longGet(directGet, nil, backends[0].endpoint(), keptLong, gib),
			longGet(throughGet, g.proc, g.endpoint(), keptLong, gib),
		}, nil
	},
}

func (b *bench) longRawPut(to ideal, backends []server) way {
	return way{name: rawPut,
		prepare: func(context.Context) (func() (measure, error), error) {
			send := to.rawPut(direct, b.freshKey(), gib)
			return func() (measure, error) { return measure{}, send() }, nil
		},
		after: func(ctx context.Context) error { return forget(ctx, backends) },
	}
}

func (b *bench) longSDKPut(name string, watched *process, to ideal, bucket string, backends []server) way {
	all := sdks(to)
	return way{name: name, watched: watched,
		prepare: run(func(ctx context.Context) (measure, error) {
			return measure{}, sdkPut(ctx, all, bucket, b.freshKey(), newContent(gib, b.keysMade))
		}),
		after: func(ctx context.Context) error { return forget(ctx, backends) },
	}
}

// saturatedSmall is the same with backends that keep connections, or close each
// after its answer.
func saturatedSmall(keepAlive bool) experiment {
	id, with := "-keep", "that keep connections"
	if !keepAlive {
		id, with = "-close", "that close each connection after an answer"
	}
	put := row{id: "saturated.put-small" + id, kind: "saturated", figure: "4 KiB PUT, ops through / ideal, backends " + with,
		target: "≥ 0.85", limit: 0.85, least: true, show: times, value: rate(throughPut, idealPut)}
	get := row{id: "saturated.get-small" + id, kind: "saturated", figure: "4 KiB GET, ops through / direct, backends " + with,
		target: "≥ 0.65", limit: 0.65, least: true, show: times, value: rate(throughGet, directGet)}
	if !keepAlive {
		get.target, get.limit = "≥ 1.0", 1
	}
	return experiment{
		name: "saturated-small" + id, rounds: 5,
		about: "4 KiB, 16 clients, client, gateway and three versitygw share the cores, backends " + with + ", the hash of the body signed",
		rows: []row{
			{id: "saturated.calibration-small" + id, kind: "saturated", figure: "calibration: 4 KiB PUT, the ideal client's rate / the raw one's, backends " + with, target: "≥ 0.95", limit: 0.95, least: true, show: times, value: rate(idealPut, rawPut)},
			put, cost(put, throughPut), left(put, throughPut, idealPut),
			get, cost(get, throughGet), left(get, throughGet, directGet),
		},
		setup: func(ctx context.Context, b *bench) ([]way, error) {
			backends, err := b.versitygws(ctx, keepAlive)
			if err != nil {
				return nil, err
			}
			g, err := b.gateway(ctx, backends, config{})
			if err != nil {
				return nil, err
			}
			const n = 4000
			ways, err := b.smallWays(g, backends, n)
			return append(ways, b.smallRawPuts(endpoints(backends), n, backends)), err
		},
	}
}

// cost is what the gateway spends on an operation of a saturated row.
func cost(r row, through string) row {
	return row{id: r.id + "-cpu", kind: r.kind, figure: "the gateway's CPU time for one of these", show: millis, value: cpuPer(through)}
}

// left is what the gateway may spend at most if the row is to meet its target.
// All cores are busy, so the rate of a way is what its operations cost: the
// target allows as much for one through the gateway as a direct one costs over
// the limit, and client and backends take their part of that.
func left(r row, through, straight string) row {
	return row{id: r.id + "-left", kind: r.kind, show: millis,
		figure: "what the target leaves to the gateway, after what client and backends spend on one of these",
		value: func(t map[string]measure) float64 {
			return restPer(t[straight])/r.limit - restPer(t[through])
		}}
}

// restPer is what client and backends spend on one operation, in milliseconds.
func restPer(m measure) float64 { return ms(m.rest) / float64(m.ops) }

// smallRawPuts sends requests that were built and signed beforehand.
func (b *bench) smallRawPuts(to ideal, n int, backends []server) way {
	return way{name: rawPut,
		prepare: func(context.Context) (func() (measure, error), error) {
			messages := make([][][]byte, n)
			for i, key := range b.freshKeys(n) {
				for _, e := range to {
					messages[i] = append(messages[i], e.smallPut(direct, key, newContent(smallSize, i).small()))
				}
			}
			return func() (measure, error) {
				return each(clients, n, func(i int) error {
					return to.sendAll(func(to int) []byte { return messages[i][to] })
				})
			}, nil
		},
		after: func(ctx context.Context) error { return forget(ctx, backends) },
	}
}
