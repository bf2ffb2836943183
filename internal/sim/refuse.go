package sim

import (
	"math"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// refusalCode is what a server says of a key that it cannot hold.
const refusalCode = "InvalidArgument"

// refusedPause is Times.Refused of schedules with refusals.
const refusedPause = 20 * time.Second

// refuses tells whether the server holds nothing under the key now: it takes deletes,
// and answers every write of an object with a refusal.
func (s *server) refuses(key object.Key) bool { return s.refusing[key] > s.w.now }

// drawRefusals has servers refuse keys, all but one of each key's: some for a while, as
// one that holds a file where the key needs a folder, some for ever.
func (w *world) drawRefusals() {
	for _, g := range w.gateways {
		g.cfg.Times.Refused = refusedPause
	}
	for _, key := range w.keys {
		takes := w.servers[w.rng.IntN(len(w.servers))]
		for _, s := range w.servers {
			if s == takes {
				continue
			}
			if s.refusing == nil {
				s.refusing = map[object.Key]time.Duration{}
			}
			switch w.rng.IntN(4) {
			case 0:
				s.refusing[key] = math.MaxInt64
			case 1:
				s.refusing[key] = w.between(0, activeFor)
			}
		}
	}
}

// settleRefusals waits until nothing is left to do but to wait for servers that refuse a
// key. Then half of the keys that are left are deleted, and of the others the servers
// change their mind: either settles them.
func (w *world) settleRefusals() {
	limit := w.now + calmFor
	for w.step(limit) && !(w.now > activeFor+times.Keep+30*time.Second && w.rests()) {
	}
	var left []object.Key
	for _, key := range w.keys { // all, before any is touched: that takes time, in which heals are tried
		row := w.log.rows[key]
		switch {
		case row == nil, w.err != nil, w.liar != nil && w.lost(key, row):
			continue
		case !w.restsIn(key, row):
			w.fail("I11 %s: more is left than refusals: %s; replicas %s", key.Name, rowText(row), w.replicasText(key))
		}
		w.count("rests with a refusal")
		left = append(left, key)
	}
	for _, key := range left {
		if w.rng.IntN(2) == 0 {
			w.count("refused key deleted")
			w.deleteNow(key)
			continue
		}
		w.count("server takes the key at last")
		for _, s := range w.servers {
			delete(s.refusing, key)
		}
	}
}

// deleteNow has a client delete the key, and waits for its answer.
func (w *world) deleteNow(key object.Key) {
	g := w.gateways[w.rng.IntN(len(w.gateways))]
	c := call{verb: verbDelete}
	r := w.hist.begin(key, 99, g, c)
	over := false
	g.write(key, commit.Op{ID: w.id(), Type: oplog.OpDelete}, 0, func(res commit.Result) { w.hist.wrote(r, res); over = true })
	for !over && w.step(w.now+time.Minute) {
	}
}

// rests tells whether all rows do.
func (w *world) rests() bool {
	for key, row := range w.log.rows {
		if !w.restsIn(key, row) {
			return false
		}
	}
	return true
}

// restsIn tells whether a row waits for nothing but servers that refuse its key, each of
// them named. What a replica refused that is good by now says nothing any more.
func (w *world) restsIn(key object.Key, row *oplog.Row) bool {
	missing := w.gateways[0].cfg.Replicas.Minus(row.Good)
	if row.Intent != nil || row.Open || len(row.Unsettled) > 0 || len(missing) == 0 {
		return false
	}
	for _, f := range row.Refused {
		if w.server(f.Replica).refuses(key) && f.Code == refusalCode && f.Words != "" {
			missing = missing.Without(f.Replica)
		}
	}
	return len(missing) == 0
}
