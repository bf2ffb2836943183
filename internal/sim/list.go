package sim

import (
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// list makes one page over all keys as a gateway does: rows, page, rows again
// (R23), and a read of each key whose base is not known.
func (g *gateway) list(done func(present map[string]bool, ok bool)) {
	life := g.life
	then := func(do func()) { g.run(life, do) }
	fail := func() { done(nil, false) }
	g.w.log.scan(func(before []oplog.KeyRow, ok bool) {
		then(func() {
			up := g.up().And(g.cfg.Serving)
			if !ok || len(up) == 0 {
				fail()
				return
			}
			g.w.server(up[g.w.rng.IntN(len(up))]).list(func(page []commit.Item, ok bool) {
				then(func() {
					if !ok {
						fail()
						return
					}
					g.w.log.scan(func(after []oplog.KeyRow, ok bool) {
						then(func() {
							if !ok {
								fail()
								return
							}
							g.resolveViews(commit.Views(before, after), 0, func(views []commit.View, ok bool) {
								if !ok {
									fail()
									return
								}
								items, _ := commit.Overlay(page, views, commit.Window{})
								present := map[string]bool{}
								for _, it := range items {
									present[it.Name] = true
								}
								done(present, true)
							})
						})
					})
				})
			})
		})
	})
}

// resolveViews reads the keys whose base is not known, one after the other.
func (g *gateway) resolveViews(views []commit.View, i int, done func([]commit.View, bool)) {
	for ; i < len(views) && !views[i].Open; i++ {
	}
	if i == len(views) {
		done(views, true)
		return
	}
	g.w.count("list resolved an open base")
	g.read(object.Key{Bucket: "b", Name: views[i].Name}, true, func(a answerRead) {
		if !a.ok {
			done(nil, false)
			return
		}
		views[i].Open, views[i].Info.Kind = false, object.Tombstone
		if a.etag != "" {
			views[i].Info.Kind = object.Present
		}
		g.resolveViews(views, i+1, done)
	})
}
