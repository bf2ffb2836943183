package replica

import (
	"testing"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

func TestNeedsTombstone(t *testing.T) {
	all, some := object.NewReplicas("a", "b"), object.NewReplicas("a")
	const ver = object.Version(10)
	at := func(v object.Version, good object.Replicas) oplog.Row {
		return oplog.Row{Cur: object.Info{Ver: v}, Good: good}
	}
	open, unsettled := at(ver, all), at(ver, all)
	open.Intent, unsettled.Unsettled = &oplog.Intent{}, []oplog.Entry{{}}
	for name, c := range map[string]struct {
		row  oplog.Row
		want bool
	}{
		"missed by one":          {at(ver, some), true},
		"confirmed by all":       {at(ver, all), false},
		"overtaken":              {at(ver+1, some), false},
		"unknown to the row":     {at(ver-1, all), true},
		"a write under way":      {open, true},
		"something may land":     {unsettled, true},
		"overtaken and in doubt": {func() oplog.Row { r := unsettled; r.Cur.Ver = ver + 1; return r }(), false},
	} {
		if got := needsTombstone(&c.row, ver, all); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTombstoneNames(t *testing.T) {
	a, b := tombstoneName("k", 1), tombstoneName("k", 2)
	if a == b || a == tombstoneName("l", 1) || len(a) > 100 || !(object.Key{Name: a}).Reserved() {
		t.Errorf("%s, %s", a, b)
	}
}
