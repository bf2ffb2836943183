package sim

import (
	"slices"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// truth is the omniscient view: it checks the invariants of ARCHITECTURE.md
// after every event that touched a key.
type truth struct {
	w       *world
	on      bool
	decided map[object.Key]map[object.ID]object.Version
	last    map[object.Key]object.Version
	intents map[object.ID]int // intents installed per operation
}

func (t *truth) touch(key object.Key) {
	if !t.on || t.w.err != nil {
		return
	}
	row := t.w.log.rows[key]
	if row == nil {
		t.quiet(key)
		return
	}
	t.anchor(key, row)
	t.good(key, row)
	t.named(key, row)
	t.tags(key, row)
}

// swapped sees every change of a row at the moment it takes effect.
func (t *truth) swapped(key object.Key, old, next *oplog.Row) {
	w := t.w
	w.logf("row %s: %s", key.Name, rowText(next))
	if !t.on {
		return
	}
	if next != nil && next.Intent != nil && (old == nil || old.Intent == nil || old.Intent.Op != next.Intent.Op) {
		t.intents[next.Intent.Op]++
	}
	if next != nil && !next.Open && next.Cur.Ver > 0 && (old == nil || old.Open || old.Cur.ID != next.Cur.ID) {
		t.decide(key, next)
		t.decidedSum(old, next)
	}
	if next == nil && old != nil && w.scrubs != nil && w.scrubs.behind != nil && !old.Good.Covers(w.gateways[0].cfg.Replicas) {
		w.count("row went without the replica left behind")
	}
	if next == nil && old != nil && old.Cur.Kind == object.Tombstone && len(old.Unsettled) > 0 {
		w.fail("I10 %s: a tombstone was dropped with requests unsettled", key.Name)
	}
	t.touch(key)
}

func (t *truth) decide(key object.Key, row *oplog.Row) {
	if t.decided[key] == nil {
		t.decided[key] = map[object.ID]object.Version{}
	}
	if _, again := t.decided[key][row.Cur.ID]; again && t.last[key] == row.Cur.Ver {
		return
	}
	if row.Cur.Ver <= t.last[key] {
		t.w.fail("I2 %s: version %d decided after %d", key.Name, row.Cur.Ver, t.last[key])
	}
	if s := t.w.sessions[row.Cur.ID]; s != nil {
		if _, again := t.decided[key][row.Cur.ID]; again {
			t.w.fail("U1 %s: upload %s took effect twice", key.Name, short(row.Cur.ID))
		}
		s.decided = t.w.now
		if s.denied {
			t.w.fail("U6 %s: upload %s took effect after its client was told that there is none", key.Name, short(row.Cur.ID))
		}
	}
	t.decided[key][row.Cur.ID] = row.Cur.Ver
	t.last[key] = row.Cur.Ver
}

// quiet: I5.
func (t *truth) quiet(key object.Key) {
	t.sameTags(key)
	first := t.w.servers[0].at(key)
	if !t.w.serves(t.w.servers[0]) {
		first = t.w.servers[1].at(key)
	}
	for _, s := range t.w.servers {
		if !t.w.serves(s) {
			continue
		}
		if seen := s.at(key); !sameSeen(seen, first) {
			t.w.fail("I5 %s: no row, but %s and %s differ", key.Name, t.w.servers[0].name, s.name)
		}
		for _, o := range s.outstanding {
			if o.key == key && !s.spent(o) {
				t.w.fail("I5 %s: no row, but request %s is outstanding on %s", key.Name, short(o.op), s.name)
			}
		}
	}
}

func sameSeen(a, b object.Seen) bool {
	return a.Kind == b.Kind && (a.Kind == object.Tombstone || a.ID == b.ID && a.ETag == b.ETag && a.Size == b.Size)
}

// anchor: I3.
func (t *truth) anchor(key object.Key, row *oplog.Row) {
	if row.Cur.Kind != object.Present || row.Open {
		return
	}
	for _, r := range row.Good {
		s := t.w.server(r)
		free := true
		for _, o := range s.outstanding {
			free = free && !(o.key == key && !o.tag && o.ver < row.Cur.Ver && o.put.ID != row.Cur.ID && !s.spent(o))
		}
		if free {
			return
		}
	}
	t.w.fail("I3 %s: no good replica is safe from older requests: %s", key.Name, rowText(row))
}

// good: I4.
func (t *truth) good(key object.Key, row *oplog.Row) {
	if row.Open {
		return
	}
	for _, r := range row.Good {
		s := t.w.server(r)
		if s.at(key).Shows(row.Cur) || row.Intent != nil && row.Intent.Reps.Has(r) {
			continue
		}
		named := false
		for _, e := range row.Unsettled {
			named = named || e.Replica == r
		}
		if !named {
			t.w.fail("I4 %s: %s counts as good but shows %s: %s", key.Name, r, short(s.at(key).ID), rowText(row))
		}
	}
}

// named: I6.
func (t *truth) named(key object.Key, row *oplog.Row) {
	for _, s := range t.w.servers {
		for _, o := range s.outstanding {
			if o.key != key || row.Intent != nil && row.Intent.Op == o.op || s.spent(o) {
				continue
			}
			live := !o.owner.g.dead(o.owner.life) && !o.owner.m.Over()
			if !live && !hasEntry(row, o.op, s.name) {
				t.w.fail("I6 %s: request %s is outstanding on %s and no row names it: %s", key.Name, short(o.op), s.name, rowText(row))
			}
		}
	}
}

func hasEntry(row *oplog.Row, op object.ID, replica string) bool {
	for _, e := range slices.Concat(row.Unsettled, row.Tagging) {
		if e.Op == op && e.Replica == replica {
			return true
		}
	}
	return false
}

// touchAll checks every key: a request that has no object to change any more may have
// been the last that a row names.
func (t *truth) touchAll() {
	for _, key := range t.w.keys {
		t.touch(key)
	}
}
