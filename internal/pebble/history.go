package pebble

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Append implements oplog.History. It does not wait for a sync: a crash may lose
// the last moments, and so may an end of the process alone.
func (l *Log) Append(ctx context.Context, events ...oplog.Event) error {
	if err := l.begin(ctx); err != nil {
		return notApplied(err)
	}
	if err := l.space.admit(needLater); err != nil {
		l.end()
		return err
	}
	batch := l.db.NewBatch()
	for _, ev := range events {
		ev.Seq = l.seq.Add(1)
		at := placeOf(ev.Time, ev.Seq)
		err := errors.Join(
			batch.Set(eventKey(ev.Bucket, at), oplog.EncodeEvent(&ev), nil),
			batch.Set(byNameKey(ev.Bucket, ev.Key, at), nil, nil))
		if err != nil {
			l.end()
			return oplog.NotApplied(errors.Join(err, batch.Close()))
		}
	}
	return l.commit(ctx, batch, pebble.NoSync, func() {})
}

// Expire implements oplog.History: one range deletion for each family.
func (l *Log) Expire(ctx context.Context, before time.Time) error {
	if err := l.begin(ctx); err != nil {
		return notApplied(err)
	}
	if l.space.readOnly {
		l.end()
		return oplog.NotApplied(errReadOnly)
	}
	edge := hourOf(before.Unix())
	if old, err := l.hasEventBefore(edge); err != nil || !old {
		l.end()
		return err // most calls find nothing: no tombstone for them
	}
	batch := l.db.NewBatch()
	err := errors.Join(
		batch.DeleteRange([]byte{familyEvent}, hourKey(nil, familyEvent, edge), nil),
		batch.DeleteRange([]byte{familyByName}, hourKey(nil, familyByName, edge), nil))
	if err != nil {
		l.end()
		return oplog.NotApplied(errors.Join(err, batch.Close()))
	}
	return l.commit(ctx, batch, pebble.NoSync, func() {})
}

func (l *Log) hasEventBefore(hour int64) (bool, error) {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: []byte{familyEvent}, UpperBound: hourKey(nil, familyEvent, hour)})
	if err != nil {
		return false, oplog.NotApplied(err)
	}
	found := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return false, oplog.NotApplied(err)
	}
	return found, nil
}

// Events implements oplog.History. It goes back hour by hour, and within an hour
// bucket by bucket: a bucket's events lie in order of time, those of a prefix
// are found through the keys. So its work follows what it returns and the number
// of hours, not the length of the history.
func (l *Log) Events(ctx context.Context, q oplog.HistoryQuery) ([]oplog.Event, error) {
	if err := l.begin(ctx); err != nil {
		return nil, err
	}
	defer l.end()
	family := []byte{familyEvent}
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: family, UpperBound: end(family)})
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	names := []byte{familyByName}
	byName, err := it.Clone(pebble.CloneOptions{IterOptions: &pebble.IterOptions{LowerBound: names, UpperBound: end(names)}})
	if err != nil {
		return nil, fmt.Errorf("history: %w", errors.Join(err, it.Close()))
	}
	h := historian{ctx: ctx, q: q, events: it, byName: byName, limit: cmp.Or(q.Limit, oplog.DefaultEvents)}
	found, err := h.run()
	if err := errors.Join(err, it.Close(), byName.Close()); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return found, nil
}

// historian answers one query.
type historian struct {
	ctx    context.Context
	q      oplog.HistoryQuery
	events *pebble.Iterator
	byName *pebble.Iterator
	limit  int
}

func (h *historian) run() ([]oplog.Event, error) {
	var found []oplog.Event
	ok := h.events.Last()
	if !h.q.Before.IsZero() {
		ok = h.events.SeekLT(hourKey(nil, familyEvent, hourOf(h.q.Before.Unix())+1))
	}
	for ok && len(found) < h.limit {
		hour, err := hourOfKey(h.events.Key())
		if err != nil {
			return nil, err
		}
		if !h.q.Since.IsZero() && hour < hourOf(h.q.Since.Unix()) {
			break
		}
		inHour, err := h.hour(hour, h.limit-len(found))
		if err != nil {
			return nil, err
		}
		found = append(found, inHour...)
		ok = h.events.SeekLT(hourKey(nil, familyEvent, hour))
	}
	return found, errors.Join(h.events.Error(), h.ctx.Err())
}

// hour returns the newest events of one hour, at most limit.
func (h *historian) hour(hour int64, limit int) ([]oplog.Event, error) {
	buckets := []string{h.q.Bucket}
	if h.q.Bucket == "" {
		var err error
		if buckets, err = h.buckets(hour); err != nil {
			return nil, err
		}
	}
	var found []oplog.Event
	for _, bucket := range buckets {
		places, err := h.places(hour, bucket, limit)
		if err != nil {
			return nil, err
		}
		for _, at := range places {
			ev, err := h.event(hour, bucket, at)
			if err != nil {
				return nil, err
			}
			found = append(found, ev)
		}
	}
	slices.SortFunc(found, func(a, b oplog.Event) int { return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.Seq, a.Seq)) })
	return found[:min(limit, len(found))], nil
}

// buckets names those that have events in the hour.
func (h *historian) buckets(hour int64) ([]string, error) {
	prefix := hourKey(nil, familyEvent, hour)
	var names []string
	for ok := h.events.SeekGE(prefix); ok && hasPrefix(h.events.Key(), prefix); {
		name, _, good := uncount(h.events.Key()[len(prefix):])
		if !good {
			return nil, fmt.Errorf("key %x: %w", h.events.Key(), oplog.ErrBadRecord)
		}
		names = append(names, string(name))
		ok = h.events.SeekGE(end(counted(prefix[:len(prefix):len(prefix)], string(name))))
	}
	return names, h.events.Error()
}

// places finds where the newest matching events of a bucket lie.
func (h *historian) places(hour int64, bucket string, limit int) ([]place, error) {
	if h.q.Prefix == "" {
		return h.placesByTime(hour, bucket, limit)
	}
	return h.placesByName(hour, bucket, limit)
}

func (h *historian) placesByTime(hour int64, bucket string, limit int) ([]place, error) {
	prefix := counted(hourKey(nil, familyEvent, hour), bucket)
	upper := end(prefix)
	if !h.q.Before.IsZero() {
		if edge := placeOf(h.q.Before, 0).append(slices.Clip(prefix)); string(edge) < string(upper) {
			upper = edge
		}
	}
	var found []place
	for ok := h.events.SeekLT(upper); ok && len(found) < limit && hasPrefix(h.events.Key(), prefix); ok = h.events.Prev() {
		at, good := parsePlace(h.events.Key()[len(prefix):])
		if !good {
			return nil, fmt.Errorf("key %x: %w", h.events.Key(), oplog.ErrBadRecord)
		}
		if !h.selects(at) {
			break
		}
		found = append(found, at)
	}
	return found, errors.Join(h.events.Error(), h.ctx.Err())
}

// placesByName reads the keys of one hour that match, without events.
func (h *historian) placesByName(hour int64, bucket string, limit int) ([]place, error) {
	all := counted(hourKey(nil, familyByName, hour), bucket)
	prefix := append(slices.Clip(all), h.q.Prefix...)
	var found []place
	for ok := h.byName.SeekGE(prefix); ok && hasPrefix(h.byName.Key(), prefix); ok = h.byName.Next() {
		// The prefix may reach into the place: only what is before it is the key.
		tail := len(h.byName.Key()) - placeBytes
		at, good := parsePlace(h.byName.Key()[max(tail, 0):])
		if !good {
			return nil, fmt.Errorf("key %x: %w", h.byName.Key(), oplog.ErrBadRecord)
		}
		if tail < len(prefix) || !h.selects(at) {
			continue
		}
		if found = append(found, at); len(found) >= 2*limit+1024 {
			found = newest(found, limit)
			if err := h.ctx.Err(); err != nil {
				return nil, err
			}
		}
	}
	return newest(found, limit), errors.Join(h.byName.Error(), h.ctx.Err())
}

// selects compares with the query's times.
func (h *historian) selects(at place) bool {
	return (h.q.Since.IsZero() || !at.before(placeOf(h.q.Since, 0))) &&
		(h.q.Before.IsZero() || at.before(placeOf(h.q.Before, 0)))
}

func (h *historian) event(hour int64, bucket string, at place) (oplog.Event, error) {
	key := at.append(counted(hourKey(nil, familyEvent, hour), bucket))
	if !h.events.SeekGE(key) || string(h.events.Key()) != string(key) {
		return oplog.Event{}, errors.Join(fmt.Errorf("event %x: %w", key, oplog.ErrBadRecord), h.events.Error())
	}
	stored, err := h.events.ValueAndErr()
	if err != nil {
		return oplog.Event{}, err
	}
	return oplog.DecodeEvent(stored)
}

// newest keeps the newest places, at most limit.
func newest(places []place, limit int) []place {
	slices.SortFunc(places, func(a, b place) int {
		switch {
		case b.before(a):
			return -1
		case a.before(b):
			return 1
		}
		return 0
	})
	return places[:min(limit, len(places))]
}

func eventKey(bucket string, at place) []byte {
	return at.append(counted(hourKey(nil, familyEvent, hourOf(at.sec)), bucket))
}

func byNameKey(bucket, name string, at place) []byte {
	return at.append(append(counted(hourKey(nil, familyByName, hourOf(at.sec)), bucket), name...))
}

func hourOfKey(key []byte) (int64, error) {
	if len(key) < 1+8 {
		return 0, fmt.Errorf("key %x: %w", key, oplog.ErrBadRecord)
	}
	return int64(binary.BigEndian.Uint64(key[1:]) ^ signBit), nil
}

func hasPrefix(key, prefix []byte) bool {
	return len(key) >= len(prefix) && string(key[:len(prefix)]) == string(prefix)
}
