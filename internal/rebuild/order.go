package rebuild

import (
	"cmp"
	"regexp"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Deleted is a delete that a tombstone object tells of; zero: none is known.
type Deleted struct {
	ID  object.ID
	Ver object.Version
}

// candidate is one version that some replicas show.
type candidate struct {
	holders []string // sorted
	shown   map[string]object.Seen
}

// Judge orders what the replicas of a bucket show of one key and returns its row; nil when
// all of them show the same and no row is needed. shown has every replica; Kind Tombstone is
// one that holds nothing. Rules are those of RELIABILITY 4.2: a stamp's place where it has
// one, else what the backend's clock said (Last-Modified), then the time of upload; a
// version that carries no stamp of ours is older than all that do. A tombstone counts alike;
// of two that are equally old the data stays.
func Judge(shown map[string]object.Seen, deleted Deleted, cfg uint64, now time.Time) *oplog.Row {
	all := candidates(shown)
	absent := absentees(shown)
	row := &oplog.Row{Epoch: oplog.NewEpoch(), Cfg: cfg, Changed: now}
	if len(all) == 0 || deleted.Ver != 0 && deleted.Ver > all[0].latest() {
		if len(absent) == len(shown) {
			return nil
		}
		row.Cur = object.Info{ID: deleted.ID, Ver: deleted.Ver, Kind: object.Tombstone}
		row.Good = object.NewReplicas(absent...)
		return row
	}
	row.Cur, row.Good, row.ETags = all[0].version()
	for _, other := range all[1:] {
		if place := other.place(); !other.any().ID.IsZero() && row.Cur.Ver <= place {
			row.Cur.Ver = place + 1 // a clock said otherwise; the log must not
		}
	}
	if len(row.Good) == len(shown) && len(row.ETags) == 0 {
		return nil
	}
	return row
}

func absentees(shown map[string]object.Seen) (absent []string) {
	for r, s := range shown {
		if s.Kind != object.Present {
			absent = append(absent, r)
		}
	}
	return absent
}

// candidates are the versions that stand somewhere, the newest first.
func candidates(shown map[string]object.Seen) []candidate {
	type identity struct {
		id   object.ID
		etag string // of a foreign object
		size int64
	}
	found := map[identity]*candidate{}
	for r, s := range shown {
		if s.Kind != object.Present {
			continue
		}
		is := identity{id: s.ID, size: s.Size}
		if s.ID.IsZero() {
			is.etag = s.ETag
		}
		if found[is] == nil {
			found[is] = &candidate{shown: map[string]object.Seen{}}
		}
		found[is].shown[r] = s
		found[is].holders = append(found[is].holders, r)
	}
	all := make([]candidate, 0, len(found))
	for _, c := range found {
		slices.Sort(c.holders)
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b candidate) int { return -a.compare(b) })
	return all
}

// compare orders candidates by age, the older one first. Whatever decides in the end, every
// run decides alike.
func (c candidate) compare(d candidate) int {
	a, b := c.any(), d.any()
	return cmp.Or(
		cmp.Compare(boolInt(!a.ID.IsZero()), boolInt(!b.ID.IsZero())),
		cmp.Compare(c.place(), d.place()),
		c.uploaded().Compare(d.uploaded()),
		slices.Compare(a.ID[:], b.ID[:]),
		cmp.Compare(a.Size, b.Size), // of one write: what is shorter was cut
		cmp.Compare(a.ETag, b.ETag),
	)
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (c candidate) any() object.Seen { return c.shown[c.holders[0]] }

// place is where the version stands in the order of its key: the stamp's, else the latest
// moment that a backend or the stamp names. A copy that a heal made is younger than the
// version, and proves that it was the current one at that time.
func (c candidate) place() (place object.Version) {
	for _, s := range c.shown {
		at := s.Ver
		if at == 0 {
			at = versionAt(later(s.ModTime, s.Uploaded))
		}
		place = max(place, at)
	}
	return place
}

// latest is the place that a delete must be behind: Last-Modified tells whole seconds, and
// data wins.
func (c candidate) latest() object.Version {
	if c.any().ID.IsZero() {
		return 0 // every delete that we know of came after it
	}
	latest := c.place()
	for _, s := range c.shown {
		if s.Ver == 0 {
			latest = max(latest, versionAt(s.ModTime.Add(time.Second-time.Millisecond)))
		}
	}
	return latest
}

func (c candidate) uploaded() (at time.Time) {
	for _, s := range c.shown {
		at = later(at, s.Uploaded)
	}
	return at
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// versionAt is the first place of a moment.
func versionAt(t time.Time) object.Version {
	if t.IsZero() {
		return 0
	}
	return object.Tick(t, 0)
}

// md5Form are ETags as S3 makes them: of one piece, and of parts.
var md5Form = regexp.MustCompile(`^[0-9a-f]{32}(-[0-9]+)?$`)

// form tells ETags apart that may legitimately differ: of one piece, of parts, of a
// server's own making.
func form(etag string) string {
	if m := md5Form.FindStringSubmatch(etag); m != nil {
		return "md5" + m[1]
	}
	return "other"
}

// version is what the holders agree on: of ETags that are all S3's the most frequent, and
// whoever shows another one of the same form holds something else; an ETag of another form
// is his own name for the same thing.
func (c candidate) version() (cur object.Info, good object.Replicas, etags map[string]string) {
	votes := map[string]int{}
	for _, r := range c.holders {
		votes[c.shown[r].ETag]++
	}
	best := ""
	for _, r := range c.holders {
		etag := c.shown[r].ETag
		if best == "" || cmp.Or(
			cmp.Compare(boolInt(form(etag) != "other"), boolInt(form(best) != "other")),
			cmp.Compare(votes[etag], votes[best]), -cmp.Compare(etag, best)) > 0 {
			best = etag
		}
	}
	var holders []string
	for _, r := range c.holders {
		s := c.shown[r]
		switch {
		case s.ETag == best:
		case form(s.ETag) == form(best) && form(best) != "other":
			continue
		default:
			if etags == nil {
				etags = map[string]string{}
			}
			etags[r] = s.ETag
		}
		holders = append(holders, r)
		if cur.Kind != object.Present || s.ETag == best && (cur.ETag != best || len(s.Headers) > len(cur.Headers)) {
			cur = s.Info
		}
	}
	cur.ETag, cur.Kind = best, object.Present
	if !cur.ID.IsZero() && cur.Ver == 0 {
		cur.Ver = c.place()
	}
	if cur.ID.IsZero() {
		cur.Ver = 0
	}
	return cur, object.NewReplicas(holders...), etags
}
