package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// rclone runs `rclone serve s3` over a union of the three backends that writes
// to all of them and reads from the first: the nearest to this program that can
// be had as one binary. It has no log: a write that one backend misses is lost
// there.
func (b *bench) rclone(ctx context.Context, backends []server) (*process, *endpoint, error) {
	k := keys{access: "rclone-access-key", secret: "rclone-secret-key"}
	addr, err := b.freeAddr()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, b.rcloneProgram, "serve", "s3", "union:", "--addr", addr,
		"--auth-key", k.access+","+string(k.secret), "--config", os.DevNull)
	cmd.Env = os.Environ()
	var upstreams []string
	for i, s := range backends {
		name := fmt.Sprintf("BACKEND%d", i)
		upstreams = append(upstreams, name+":")
		for option, value := range map[string]string{
			"TYPE": "s3", "PROVIDER": "Other", "ENDPOINT": "http://" + s.addr, "REGION": region,
			"ACCESS_KEY_ID": s.keys.access, "SECRET_ACCESS_KEY": string(s.keys.secret),
		} {
			cmd.Env = append(cmd.Env, "RCLONE_CONFIG_"+name+"_"+option+"="+value)
		}
	}
	cmd.Env = append(cmd.Env, "RCLONE_CONFIG_UNION_TYPE=union", "RCLONE_CONFIG_UNION_UPSTREAMS="+strings.Join(upstreams, " "),
		"RCLONE_CONFIG_UNION_CREATE_POLICY=all", "RCLONE_CONFIG_UNION_ACTION_POLICY=all", "RCLONE_CONFIG_UNION_SEARCH_POLICY=ff")
	p, err := b.start("rclone", cmd)
	if err != nil {
		return nil, nil, err
	}
	b.atEnd(func() error { p.quit(); return nil })
	return p, newEndpoint(addr, k), p.await(ctx, listens(addr))
}

// peers are the rows of rclone, beside our own of the same rounds.
var peers = experiment{
	name: "peers", rounds: 3,
	about: "`rclone serve s3` over a union of three versitygw that keep connections, defaults, with clients and work of the saturated rows",
	rows: []row{
		{id: "peer.rclone-put", kind: "peer", figure: "1 GiB PUT through rclone / ideal", show: times, value: ratio(rclonePut, idealPut)},
		{id: "peer.put", kind: "peer", figure: "the same through this gateway", show: times, value: ratio(throughPut, idealPut)},
		{id: "peer.rclone-get", kind: "peer", figure: "1 GiB GET through rclone / direct", show: times, value: ratio(rcloneGet, directGet)},
		{id: "peer.get", kind: "peer", figure: "the same through this gateway", show: times, value: ratio(throughGet, directGet)},
		{id: "peer.rclone-put-small", kind: "peer", figure: "4 KiB PUT, ops through rclone / ideal", show: times, value: rate(rclonePutSmall, idealPutSmall)},
		{id: "peer.put-small", kind: "peer", figure: "the same through this gateway", show: times, value: rate(throughPutSmall, idealPutSmall)},
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
		peer, peerEnd, err := b.rclone(ctx, backends)
		if err != nil {
			return nil, err
		}
		if err := keepLong(g, gib); err != nil {
			return nil, err
		}
		const n = 1000
		own, them, straight := ideal{g.endpoint()}, ideal{peerEnd}, endpoints(backends)
		return []way{
			b.longPut(idealPut, nil, straight, direct, gib, backends),
			b.longPut(throughPut, g.proc, own, bucket, gib, backends),
			b.longPut(rclonePut, peer, them, direct, gib, backends),
			longGet(directGet, nil, straight[0], keptLong, gib),
			longGet(throughGet, g.proc, own[0], keptLong, gib),
			longGet(rcloneGet, peer, them[0], keptLong, gib),
			b.smallPuts(idealPutSmall, nil, straight, direct, n, backends),
			b.smallPuts(throughPutSmall, g.proc, own, bucket, n, backends),
			b.smallPuts(rclonePutSmall, peer, them, direct, n, backends),
		}, nil
	},
}

const (
	rclonePut       = "PUT through rclone"
	rcloneGet       = "GET through rclone"
	rclonePutSmall  = "small PUT through rclone"
	idealPutSmall   = "small ideal PUT"
	throughPutSmall = "small PUT through"
)
