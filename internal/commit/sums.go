package commit

import (
	"strings"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Checksums of versions that some replica does not keep (docs/decisions/0045). Those that
// a version was written with stand in its row, which then stays; what a replica shows
// under a key without a row counts only if all of them would show it.

// lossy are the replicas that keep no checksum of a kind that the headers have.
func (c Config) lossy(h object.Headers) object.Replicas {
	if len(c.Lossy) == 0 {
		return nil
	}
	var out object.Replicas
	for name := range h {
		if algorithm, ok := strings.CutPrefix(name, object.ChecksumPrefix); ok {
			out = out.Or(c.Lossy[algorithm].And(c.Replicas))
		}
	}
	return out
}

// sumless brings the row in line with which replicas can keep the version's checksum.
func sumless(row *oplog.Row, cfg Config) {
	row.Sumless = nil
	if holds(CKept) && !row.Open && row.Cur.Kind == object.Present {
		row.Sumless = cfg.lossy(row.Cur.Headers)
	}
}

// common is what a replica showed of a version that no row names, without the checksums
// that it shows and another replica does not.
func (c Config) common(info object.Info) object.Info {
	if len(c.lossy(info.Headers)) == 0 || !holds(CCommon) {
		return info
	}
	h := make(object.Headers, len(info.Headers))
	for name, value := range info.Headers {
		if !strings.HasPrefix(name, object.ChecksumPrefix) {
			h[name] = value
		}
	}
	info.Headers = h
	return info
}

// keepSums is the row that stays instead of being dropped, because it was decided when
// nobody knew yet that some replica keeps no checksum of its version; nil: it goes.
func (p *Repair) keepSums() *oplog.Row {
	next := p.row.Clone()
	sumless(next, p.cfg)
	if !next.IsMap() {
		return nil
	}
	return next
}
