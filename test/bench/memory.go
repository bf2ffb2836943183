package main

import (
	"context"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// peaks are the rows of resident memory. Every turn has a gateway of its own,
// because what the kernel remembers is the peak of a process's life. The lines
// are slower than the client, so that every ring is full.
func peaks(id, figure, target string, limit float64, uploads int, size int64, rounds int) experiment {
	const uploading = "uploads"
	return experiment{
		name: "memory" + id, rounds: rounds,
		about: figure + " from start to end of a fresh gateway's life, VmHWM, sinks behind lines of 120 MB/s and 20 ms, crc32c trailers",
		rows: []row{{id: "memory." + id, kind: "memory", figure: "peak resident, " + figure, target: target, limit: limit, show: mebi,
			value: func(t map[string]measure) float64 { return float64(t[uploading].peak) / mib }}},
		setup: func(_ context.Context, b *bench) ([]way, error) {
			var g *gateway
			return []way{{
				name: uploading,
				prepare: func(ctx context.Context) (func() (measure, error), error) {
					backends, err := b.sinks(line{network, networkDelay})
					if err != nil {
						return nil, err
					}
					if g, err = b.gateway(ctx, backends, config{}); err != nil {
						return nil, err
					}
					to, fresh := ideal{g.endpoint()}, b.freshKeys(uploads)
					return func() (measure, error) {
						m, err := each(uploads, uploads, func(i int) error {
							return to.put(bucket, fresh[i], newContent(size, i), sigv4.UnsignedTrailer)
						})
						if err == nil {
							m.peak, err = peakResident(g.proc.pid())
						}
						return m, err
					}, nil
				},
				after: func(context.Context) error { g.proc.quit(); return nil },
			}}, nil
		},
	}
}
