package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

const (
	authUsers   = 10_000
	authKeys    = 3      // of each user
	authGets    = 10_000 // a turn, one after the other
	stormRate   = 300    // GETs a second while others log in
	stormGets   = 3000   // a turn
	stormLogins = 16     // clients that do nothing but log in
)

// The names of the ways.
const (
	rootGets   = "GETs by root's key"
	oneGets    = "GETs by one user's key"
	manyGets   = "GETs by all users' keys"
	calmGets   = "GETs while nobody logs in"
	stormyGets = "GETs in a storm of logins"
)

// authGet compares what a GET takes by whose key it comes: the keys of all users come by
// turns, so that none is a key that was just used.
var authGet = experiment{
	name: "auth-get", rounds: 5,
	about: fmt.Sprintf("4 KiB GET, one client, %d a turn, signed beforehand, sinks without a line that keep connections; %d users with %d keys and limits each", authGets, authUsers, authKeys),
	rows: []row{
		{id: "auth.get", kind: "cost", figure: "what a 4 KiB GET takes longer (p50) by one of 30,000 users' keys than by root's", target: "≤ 0.050 ms", limit: 0.050, show: millis, value: slower(manyGets, rootGets)},
		{id: "auth.get-one", kind: "cost", figure: "the same, than by the key of one user alone", target: "≤ 0.050 ms", limit: 0.050, show: millis, value: slower(manyGets, oneGets)},
	},
	setup: func(ctx context.Context, b *bench) ([]way, error) {
		g, kept, err := b.readers(ctx)
		if err != nil {
			return nil, err
		}
		all, err := g.users(ctx)
		if err != nil {
			return nil, err
		}
		b.say("auth: %d keys", len(all))
		return []way{
			signedGets(rootGets, g, []keys{g.keys}, kept),
			signedGets(oneGets, g, all[:1], kept),
			signedGets(manyGets, g, all, kept),
		}, nil
	},
}

// authStorm compares GETs with and without others that do nothing but log in: each login
// costs the node a hash of 19 MiB.
var authStorm = experiment{
	name: "auth-storm", rounds: 5,
	about: fmt.Sprintf("4 KiB GET, %d a second, timed from when each was due, %d a turn, the same sinks, beside %d clients that log in again and again", stormRate, stormGets, stormLogins),
	rows: []row{
		{id: "auth.storm", kind: "tail", figure: "4 KiB GET, p50 in a storm of logins / p50 without", target: "≤ 1.5x", limit: 1.5, show: times,
			value: func(t map[string]measure) float64 { return t[stormyGets].p50.Seconds() / t[calmGets].p50.Seconds() }},
		{id: "auth.storm-p99", kind: "tail", figure: "the same, p99", show: millis, value: func(t map[string]measure) float64 { return ms(t[stormyGets].p99) }},
		{id: "auth.storm-calm-p99", kind: "tail", figure: "the same, p99 without", show: millis, value: func(t map[string]measure) float64 { return ms(t[calmGets].p99) }},
		{id: "auth.storm-logins", kind: "tail", figure: "logins a second meanwhile", show: func(v float64) string { return fmt.Sprintf("%.0f", v) },
			value: func(t map[string]measure) float64 {
				return float64(t[stormyGets].beside) / t[stormyGets].wall.Seconds()
			}},
	},
	setup: func(ctx context.Context, b *bench) ([]way, error) {
		g, kept, err := b.readers(ctx)
		if err != nil {
			return nil, err
		}
		load := func() measure {
			from := g.endpoint()
			return paced(clients, stormGets, stormRate, func(i int) error { return from.get(bucket, kept[i%len(kept)], smallSize) })
		}
		return []way{
			{name: calmGets, watched: g.proc, prepare: run(func(context.Context) (measure, error) { return unbroken(load()) })},
			{name: stormyGets, watched: g.proc, prepare: run(func(ctx context.Context) (measure, error) {
				end := g.storm(ctx)
				m := load()
				logins, err := end()
				m.beside = logins
				if err != nil {
					return m, err
				}
				return unbroken(m)
			})},
		}, nil
	},
}

// slower is how much longer the median of one way takes, in ms.
func slower(way, than string) func(map[string]measure) float64 {
	return func(t map[string]measure) float64 { return ms(t[way].p50) - ms(t[than].p50) }
}

// unbroken refuses a turn in which something failed.
func unbroken(m measure) (measure, error) {
	if m.failed > 0 {
		return m, fmt.Errorf("%d of %d reads failed", m.failed, m.ops)
	}
	return m, nil
}

// readers is a gateway over sinks with small objects to read.
func (b *bench) readers(ctx context.Context) (*gateway, []string, error) {
	backends, err := b.sinks(line{})
	if err != nil {
		return nil, nil, err
	}
	g, err := b.gateway(ctx, backends, config{})
	if err != nil {
		return nil, nil, err
	}
	kept, err := keepSmall(g, authGets)
	return g, kept, err
}

// users makes users and returns their keys, those of one user side by side.
func (g *gateway) users(ctx context.Context) ([]keys, error) {
	by := *g.admin // by a token: a password costs a hash for each request
	session, err := g.login(ctx)
	if err != nil {
		return nil, err
	}
	by.Token = func(context.Context) (string, error) { return session.AccessToken, nil }
	all := make([]keys, authUsers*authKeys)
	_, err = each(clients, authUsers, func(i int) error {
		login := fmt.Sprintf("user-%05d", i)
		if _, err := admin.Do[api.User](ctx, &by, func(a *api.Client) (*http.Response, error) {
			return a.CreateUser(ctx, api.NewUser{Login: login, Role: api.RoleUser, AllowedBuckets: []string{bucket}, AllowedIps: []string{"127.0.0.0/8"}})
		}); err != nil {
			return fmt.Errorf("make user %s: %w", login, err)
		}
		for k := range authKeys {
			made, err := admin.Do[api.KeyWithSecret](ctx, &by, func(a *api.Client) (*http.Response, error) { return a.CreateKey(ctx, login, api.NewKey{}) })
			if err != nil {
				return fmt.Errorf("make a key of %s: %w", login, err)
			}
			all[i*authKeys+k] = keys{access: made.AccessKeyID, secret: sigv4.Secret(made.SecretAccessKey)}
		}
		return nil
	})
	return all, err
}

func (g *gateway) login(ctx context.Context) (api.Tokens, error) {
	return admin.Do[api.Tokens](ctx, &admin.Client{BaseURL: g.admin.BaseURL}, func(a *api.Client) (*http.Response, error) {
		return a.Login(ctx, api.Credentials{Login: g.admin.User, Password: g.admin.Password})
	})
}

// signedGets reads small objects one after the other, with keys by turns. What is sent is
// signed before the turn: only the gateway's work differs.
func signedGets(name string, g *gateway, by []keys, kept []string) way {
	return way{name: name, watched: g.proc, prepare: func(context.Context) (func() (measure, error), error) {
		const stride = 7919 // a prime: keys of one user do not follow each other
		signers := map[string]*endpoint{}
		messages := make([][]byte, authGets)
		for i := range messages {
			k := by[i*stride%len(by)]
			if signers[k.access] == nil {
				signers[k.access] = newEndpoint(g.addr, k)
			}
			messages[i] = signers[k.access].head(http.MethodGet, bucket, kept[i%len(kept)], sigv4.EmptySHA256, 0).head
		}
		to := g.endpoint()
		return func() (measure, error) {
			return each(1, len(messages), func(i int) error { return to.send(messages[i]) })
		}, nil
	}}
}

// storm logs in again and again until end is called, which tells how often that was done.
func (g *gateway) storm(ctx context.Context) (end func() (logins int, err error)) {
	ctx, stop := context.WithCancel(ctx)
	var done atomic.Int64
	var wg sync.WaitGroup
	failures := make(chan error, stormLogins)
	for range stormLogins {
		wg.Go(func() {
			for {
				_, err := g.login(ctx)
				switch {
				case ctx.Err() != nil:
					return
				case err != nil && strings.Contains(err.Error(), "Too many logins at once"):
					select { // that is how the storm is kept off the data path; it tries again
					case <-ctx.Done():
					case <-time.After(50 * time.Millisecond):
					}
					continue
				case err != nil:
					failures <- fmt.Errorf("a login failed: %w", err)
					return
				}
				done.Add(1)
			}
		})
	}
	return func() (int, error) {
		stop()
		wg.Wait()
		close(failures)
		var err error
		for e := range failures {
			err = errors.Join(err, e)
		}
		if err == nil && done.Load() == 0 {
			err = errors.New("nobody has logged in")
		}
		return int(done.Load()), err
	}
}
