package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
)

// The bucket that is listed.
const (
	listBucket = "bench-list"
	listKeys   = 1_000_000
	listRows   = 10_000
	listPages  = 100 // a turn
)

// The names of the ways.
const (
	listDirect  = "pages of one backend"
	listThrough = "pages through"
)

// lists compares pages of a long list. The backends are servers in memory, within this
// process, that look up the beginning of a page by binary search: a slower backend hides
// what the gateway adds. One of them is switched off while the rows are made, so each of
// them is a key that lags.
var lists = experiment{
	name: "list", rounds: 5,
	about: fmt.Sprintf("ListObjectsV2, pages of 1,000 from random places, %d a turn, one client, three servers in memory with %d objects each, %d keys with a row in the log that lag on one of them: overwritten, deleted and new ones, spread evenly", listPages, listKeys, listRows),
	rows: []row{
		{id: "list.page", kind: "cost", figure: "a page of 1,000 among 10^6 keys with 10^4 rows, through the gateway / direct", target: "≤ 1.5x", limit: 1.5, show: times, value: ratio(listThrough, listDirect)},
	},
	setup: func(ctx context.Context, b *bench) ([]way, error) {
		servers, last, err := b.memories(ctx, 3)
		if err != nil {
			return nil, err
		}
		g, err := b.gateway(ctx, servers, config{more: "buckets: {" + listBucket + ": {assume_equal: true}}\n"})
		if err != nil {
			return nil, err
		}
		if err := b.makeRows(ctx, g, last); err != nil {
			return nil, err
		}
		return []way{
			listWay(listDirect, nil, servers[0].endpoint()),
			listWay(listThrough, g.proc, g.endpoint()),
		}, nil
	},
}

func listKey(i int) string { return fmt.Sprintf("list/%03d/%07d", i/10000, i) }

// listWay asks for pages from places that are the same for every way.
func listWay(name string, watched *process, from *endpoint) way {
	return way{name: name, watched: watched, prepare: run(func(context.Context) (measure, error) {
		places := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // places, not secrets
		for range listPages {
			q := "list-type=2&start-after=" + url.QueryEscape(listKey(places.IntN(listKeys-2000)))
			if err := from.request(http.MethodGet, listBucket+"?"+q, ""); err != nil {
				return measure{}, err
			}
		}
		return measure{}, nil
	})}
}

// makeRows changes keys while one backend is off. The last of the three is: lists ask the
// first that is up.
func (b *bench) makeRows(ctx context.Context, g *gateway, off *memory.Server) error {
	to := ideal{g.endpoint()}
	if err := to[0].request(http.MethodHead, listBucket, ""); err != nil {
		return fmt.Errorf("the gateway does not take the bucket over: %w\n%s", err, g.proc.tail())
	}
	off.Off()
	const step = listKeys / listRows
	m, err := each(clients, listRows, func(i int) error {
		key := listKey(i * step)
		switch i % 3 {
		case 0:
			return to[0].request(http.MethodDelete, listBucket, key)
		case 1:
			key += "-new"
		}
		return to.putSmall(listBucket, key, newContent(smallSize, i).small())
	})
	if err != nil {
		return err
	}
	status, err := g.admin.Status(ctx)
	if err != nil {
		return err
	}
	b.say("list: %d rows in %v, %d keys lag", m.ops, m.wall.Round(time.Millisecond), status.Lagging.Keys)
	if status.Lagging.Keys < listRows {
		return fmt.Errorf("only %d keys lag", status.Lagging.Keys)
	}
	return nil
}

// memories runs n servers in memory that hold the bucket. last is the last of them.
func (b *bench) memories(ctx context.Context, n int) (servers []server, last *memory.Server, err error) {
	for i := range n {
		s := server{name: "m-" + strconv.Itoa(i+1), forget: func(context.Context) error { return nil }}
		s.keys = keys{access: "access-" + s.name, secret: "secret-of-memory"}
		last = memory.New(memory.Options{AccessKeyID: s.keys.access, SecretAccessKey: s.keys.secret, Region: region})
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, nil, err
		}
		s.addr = l.Addr().String()
		serving, stop := context.WithCancel(ctx)
		served := make(chan error, 1)
		go func(m *memory.Server) { served <- m.Serve(serving, l) }(last)
		b.atEnd(func() error { stop(); return <-served })
		if err := errors.Join(s.endpoint().request(http.MethodPut, listBucket, ""),
			last.Fill(listBucket, listKeys, []byte("one of a million"), listKey)); err != nil {
			return nil, nil, err
		}
		servers = append(servers, s)
	}
	return servers, last, nil
}
