package sim

import (
	"strings"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// sums are the algorithms of checksums that objects have in schedules with Sums.
var sums = []string{"crc32c", "crc64nvme"}

// drawSums makes servers drop the checksums of some algorithms, and tells the gateways.
func (w *world) drawSums() {
	w.sums = map[object.ID]string{}
	lossy := map[string]object.Replicas{}
	for _, s := range w.servers {
		s.lossy = map[string]bool{}
		for _, a := range sums {
			if w.rng.IntN(2) == 0 {
				s.lossy[a] = true
				lossy[a] = lossy[a].With(s.name)
			}
		}
	}
	for _, g := range w.gateways {
		g.cfg.Lossy = lossy
	}
}

// sumsOf are the headers of an object: whether it has a checksum, and which, is told by
// its ETag.
func (w *world) sumsOf(etag string) object.Headers {
	if w.sums == nil || etag == "" {
		return nil
	}
	if n := int(etag[0]) % (len(sums) + 1); n < len(sums) {
		return object.Headers{object.ChecksumPrefix + sums[n]: etag}
	}
	return nil
}

// kept is what a server keeps of an object's headers.
func (s *server) kept(h object.Headers) object.Headers {
	var out object.Headers
	for name, value := range h {
		if algorithm, _ := strings.CutPrefix(name, object.ChecksumPrefix); !s.lossy[algorithm] {
			out = object.Headers{name: value}
		}
	}
	return out
}

// sumText is the checksum that headers tell; "": none.
func sumText(h object.Headers) string {
	for name, value := range h {
		return strings.TrimPrefix(name, object.ChecksumPrefix) + " " + value
	}
	return ""
}

// decidedSum notes the checksum that a version has: the one that it was written with.
// Only of a version that nobody was told about (R25) it is what a replica kept.
func (t *truth) decidedSum(old, row *oplog.Row) {
	w := t.w
	if w.sums == nil || row.Cur.Kind != object.Present {
		return
	}
	want, have := sumText(w.sumsOf(row.Cur.ETag)), sumText(row.Cur.Headers)
	if have != want && (have != "" || old != nil && old.Intent != nil) {
		w.fail("C1: version %s is decided with checksum %q, not %q: %s", short(row.Cur.ID), have, want, rowText(row))
	}
	w.sums[row.Cur.ID] = have
}

// sawSum judges the checksum that a client was shown of a version.
func (w *world) sawSum(key object.Key, info object.Info) {
	if w.sums == nil {
		return
	}
	want, known := w.sums[info.ID]
	if !known { // it stood there before anything happened
		want = sumText(w.sumsOf(info.ETag))
		for _, s := range w.servers {
			if sumText(s.kept(w.sumsOf(info.ETag))) == "" {
				want = ""
			}
		}
	}
	if want != "" {
		w.count("checksum shown")
	}
	if have := sumText(info.Headers); have != want {
		w.fail("C1 %s: version %s is shown with checksum %q, not %q; replicas %s", key.Name, short(info.ID), have, want, w.replicasText(key))
	}
}
