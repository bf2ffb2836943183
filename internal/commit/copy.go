package commit

import (
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// CopyPlan tells which replicas may make a copy of a version by themselves, each with
// the ETag that x-amz-copy-source-if-match must name (RELIABILITY 4.3): those that hold
// the version, and that were found to keep to that condition. row is what the log says of
// the source, nil: nothing; source is the version as a Read served it. The others get the
// bytes streamed from a replica that holds them.
//
// An ETag that says which bytes are meant makes the condition safe, whatever happens to
// the source meanwhile: what else is copied is not the source's (the metadata are
// replaced). One that does not is not relied on.
func CopyPlan(cfg Config, row *oplog.Row, source object.Info) map[string]string {
	holders := cfg.Serving
	if row != nil {
		holders = row.Good
	}
	direct := map[string]string{}
	for _, r := range holders.And(cfg.Copies) {
		etag := source.ETag
		if row != nil {
			if own, ok := row.ETags[r]; ok {
				etag = own
			}
		}
		if !holds(R11Match) {
			etag = ""
		}
		if etag == "" || isMD5(etag) || isComposed(etag) && cfg.Composed.Has(r) {
			direct[r] = etag
		}
	}
	return direct
}

// CopyETag is the ETag that a copy of the version will have, where that is known: it is
// one object then, whatever it was made of.
func CopyETag(source object.Info) string {
	if isMD5(source.ETag) {
		return source.ETag
	}
	return ""
}
