package oplogtest

import (
	"math"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"pgregory.net/rapid"
)

// Rows draws rows of every shape, not only of those that the protocol makes:
// any byte in any string, any number, any subset of the fields.
func Rows() *rapid.Generator[oplog.Row] {
	return rapid.Custom(func(t *rapid.T) oplog.Row {
		row := oplog.Row{
			Epoch:     oplog.Epoch(drawID(t, "epoch")),
			Cfg:       rapid.Uint64().Draw(t, "cfg"),
			Cur:       Infos().Draw(t, "cur"),
			Open:      rapid.Bool().Draw(t, "open"),
			Good:      drawReplicas(t, "good"),
			Unsettled: nonEmpty(rapid.SliceOfN(entries(), 0, 4).Draw(t, "unsettled")),
			Refused:   nonEmpty(rapid.SliceOfN(refusals(), 0, 3).Draw(t, "refused")),
			ETags:     drawMap(t, "etags"),
			Done:      nonEmpty(rapid.SliceOfN(dones(), 0, 3).Draw(t, "done")),
			Changed:   drawTime(t, "changed"),
			Tagged:    rapid.Bool().Draw(t, "tagged"),
			Tagging:   nonEmpty(rapid.SliceOfN(entries(), 0, 2).Draw(t, "tagging")),
			Mistagged: drawReplicas(t, "mistagged"),
			Bare:      drawReplicas(t, "bare"),
			Sumless:   drawReplicas(t, "sumless"),
			Rotten:    drawReplicas(t, "rotten"),
		}
		if rapid.Bool().Draw(t, "has intent") {
			row.Intent = drawIntent(t)
		}
		return row
	})
}

// Infos draws what a version may be.
func Infos() *rapid.Generator[object.Info] {
	return rapid.Custom(func(t *rapid.T) object.Info {
		return object.Info{
			ID:      drawID(t, "id"),
			Ver:     object.Version(rapid.Uint64().Draw(t, "ver")),
			Kind:    drawKind(t),
			ETag:    rawText().Draw(t, "etag"),
			Size:    rapid.Int64().Draw(t, "size"),
			ModTime: drawTime(t, "mtime"),
			Headers: object.Headers(drawMap(t, "headers")),
			Parts:   nonEmpty(rapid.SliceOfN(rapid.Int64(), 0, 5).Draw(t, "parts")),
			Tags:    object.Tags(drawMap(t, "tags")),
		}
	})
}

// Parts draws records of parts.
func Parts() *rapid.Generator[oplog.Part] {
	return rapid.Custom(func(t *rapid.T) oplog.Part {
		return oplog.Part{
			Upload:  drawID(t, "upload"),
			Number:  rapid.IntRange(1, oplog.MaxPart).Draw(t, "number"),
			Attempt: drawID(t, "attempt"),
			Added:   drawTime(t, "added"),
			Size:    rapid.Int64().Draw(t, "size"),
			ETag:    rawText().Draw(t, "etag"),
			Sums:    object.Headers(drawMap(t, "sums")),
			ETags:   drawMap(t, "etags"),
		}
	})
}

// Events draws lines of history.
func Events() *rapid.Generator[oplog.Event] {
	return rapid.Custom(func(t *rapid.T) oplog.Event {
		return oplog.Event{
			Time:     drawTime(t, "time"),
			Seq:      rapid.Uint64().Draw(t, "seq"),
			Bucket:   rawText().Draw(t, "bucket"),
			Key:      rawText().Draw(t, "key"),
			Op:       rapid.SampledFrom([]string{"put", "delete", "heal", "bucket-create"}).Draw(t, "op"),
			ID:       drawID(t, "id"),
			Ver:      object.Version(rapid.Uint64().Draw(t, "ver")),
			Size:     rapid.Int64().Draw(t, "size"),
			Actor:    rawText().Draw(t, "actor"),
			Request:  rawText().Draw(t, "request"),
			Result:   rapid.SampledFrom([]string{"acked", "failed", "unknown"}).Draw(t, "result"),
			Backends: drawMap(t, "backends"),
			Detail:   rawText().Draw(t, "detail"),
			Client:   rawText().Draw(t, "client"),
		}
	})
}

func drawIntent(t *rapid.T) *oplog.Intent {
	return &oplog.Intent{
		Op:    drawID(t, "op"),
		ID:    drawID(t, "id"),
		Ver:   object.Version(rapid.Uint64().Draw(t, "ver")),
		Kind:  drawKind(t),
		Type:  drawType(t),
		Owner: rawText().Draw(t, "owner"),
		Nonce: drawID(t, "nonce"),
		Reps:  drawReplicas(t, "reps"),
		Info:  Infos().Draw(t, "info"),
		Slow:  time.Duration(rapid.Int64().Draw(t, "slow")),
	}
}

func dones() *rapid.Generator[oplog.Done] {
	return rapid.Custom(func(t *rapid.T) oplog.Done {
		return oplog.Done{ID: drawID(t, "id"), Ver: object.Version(rapid.Uint64().Draw(t, "ver")), ETag: rawText().Draw(t, "etag")}
	})
}

func entries() *rapid.Generator[oplog.Entry] {
	return rapid.Custom(func(t *rapid.T) oplog.Entry {
		return oplog.Entry{
			Op:      drawID(t, "op"),
			ID:      drawID(t, "id"),
			Ver:     object.Version(rapid.Uint64().Draw(t, "ver")),
			Kind:    drawKind(t),
			Type:    drawType(t),
			Replica: rawText().Draw(t, "replica"),
			Size:    rapid.Int64().Draw(t, "size"),
			ETag:    rawText().Draw(t, "etag"),
			Added:   drawTime(t, "added"),
			Slow:    time.Duration(rapid.Int64().Draw(t, "slow")),
			Tags:    object.Tags(drawMap(t, "tags")),
		}
	})
}

func refusals() *rapid.Generator[oplog.Refusal] {
	return rapid.Custom(func(t *rapid.T) oplog.Refusal {
		return oplog.Refusal{
			Replica: rawText().Draw(t, "replica"),
			Code:    rapid.SampledFrom([]string{"EntityTooLarge", "InvalidArgument"}).Draw(t, "code"),
			Words:   rawText().Draw(t, "words"),
		}
	})
}

// rawText draws strings of any bytes: headers and keys may hold every one.
func rawText() *rapid.Generator[string] {
	short := rapid.SliceOfN(rapid.Byte(), 0, 12)
	long := rapid.SliceOfN(rapid.Byte(), 120, 300) // around the width of a length
	return rapid.Map(rapid.OneOf(short, short, short, long), func(b []byte) string { return string(b) })
}

func drawID(t *rapid.T, label string) object.ID {
	var id object.ID
	copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))
	return id
}

func drawKind(t *rapid.T) object.Kind {
	return rapid.SampledFrom([]object.Kind{object.Tombstone, object.Present}).Draw(t, "kind")
}

func drawType(t *rapid.T) oplog.OpKind {
	return rapid.SampledFrom([]oplog.OpKind{oplog.OpPut, oplog.OpDelete, oplog.OpHeal, oplog.OpComplete, oplog.OpCopy, oplog.OpTag}).Draw(t, "type")
}

func drawReplicas(t *rapid.T, label string) object.Replicas {
	names := rapid.SliceOfN(rapid.SampledFrom([]string{"eu-1", "eu-2", "ru-1", "us-east"}), 0, 4).Draw(t, label)
	if len(names) == 0 {
		return nil
	}
	return object.NewReplicas(names...)
}

func drawMap(t *rapid.T, label string) map[string]string {
	m := rapid.MapOfN(rawText(), rawText(), 0, 5).Draw(t, label)
	if len(m) == 0 {
		return nil
	}
	return m
}

// drawTime draws the zero time, ordinary times and the far ends.
func drawTime(t *rapid.T, label string) time.Time {
	sec := rapid.OneOf(
		rapid.Int64Range(1_700_000_000, 2_000_000_000),
		rapid.Int64Range(math.MinInt64/4, math.MaxInt64/4),
	).Draw(t, label)
	if rapid.IntRange(0, 7).Draw(t, label+" is zero") == 0 {
		return time.Time{}
	}
	return time.Unix(sec, rapid.Int64Range(0, 999_999_999).Draw(t, label+" ns")).UTC()
}

func nonEmpty[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}
