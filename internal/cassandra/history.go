package cassandra

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

const (
	eventShards = 4 // partitions of one hour of one bucket
	eventPage   = 500
	era         = int64(0) // the one partition of the hours
)

// The unit of the history: an hour of Unix time.
func hourOf(t time.Time) int64 {
	h := t.Unix() / hour
	if t.Unix()%hour < 0 {
		h-- // before 1970
	}
	return h
}

// bucketHour is one partition of events.
type bucketHour struct {
	hour   int64
	bucket string
	shard  int64
}

func (b bucketHour) partition() key { return key{b.bucket, b.hour, b.shard} }

// hours remembers which partitions of events this process has entered in the
// directories.
type hours struct {
	mu    sync.Mutex // guards known
	known map[bucketHour]bool
}

const hoursKept = 10_000 // more are forgotten and entered again

func (h *hours) has(b bucketHour) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known[b]
}

func (h *hours) add(b bucketHour) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known == nil || len(h.known) >= hoursKept {
		h.known = map[bucketHour]bool{}
	}
	h.known[b] = true
}

func (h *hours) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known = nil
}

// at names an event within its partition: in order of time, then of Seq, and
// different from every other node's.
func at(t time.Time, seq uint64, unique string) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(t.Unix())^1<<63)
	b = binary.BigEndian.AppendUint32(b, uint32(t.Nanosecond()))
	return string(binary.BigEndian.AppendUint64(b, seq)) + unique
}

// Append implements oplog.History.
func (l *Log) Append(ctx context.Context, list ...oplog.Event) error {
	if err := l.beginChange(ctx); err != nil {
		return err
	}
	defer l.end()
	list = slices.Clone(list)
	for i := range list {
		list[i].Seq = l.seq.Add(1)
	}
	err := each(ctx, len(list), func(ctx context.Context, i int) error { return l.append(ctx, &list[i]) })
	if err != nil {
		return oplog.Unknown(fmt.Errorf("history: %w", err)) // some may be there
	}
	return nil
}

func (l *Log) append(ctx context.Context, ev *oplog.Event) error {
	b := bucketHour{
		hour: hourOf(ev.Time), bucket: ev.Bucket,
		shard: int64(oplog.ShardOf(object.Key{Bucket: ev.Bucket, Name: ev.Key}) % eventShards),
	}
	if !l.hours.has(b) {
		// From the outside in: what a directory names may be missing, never the other
		// way round.
		if err := l.store.put(ctx, eventHours, key{era}, key{b.hour}, nil); err != nil {
			return err
		}
		if err := l.store.put(ctx, eventBuckets, key{b.hour}, key{b.bucket, b.shard}, nil); err != nil {
			return err
		}
		l.hours.add(b)
	}
	id := object.NewID()
	return l.store.put(ctx, events, b.partition(), key{at(ev.Time, ev.Seq, string(id[:]))}, oplog.EncodeEvent(ev))
}

// Events implements oplog.History. It goes back hour by hour. A bucket's events
// are found by time; a prefix is looked for among them.
func (l *Log) Events(ctx context.Context, q oplog.HistoryQuery) ([]oplog.Event, error) {
	if err := l.begin(ctx); err != nil {
		return nil, err
	}
	defer l.end()
	limit := cmp.Or(q.Limit, oplog.DefaultEvents)
	var s span
	s.last = true
	if !q.Since.IsZero() {
		s.from = key{hourOf(q.Since)}
	}
	if !q.Before.IsZero() {
		s.to = key{hourOf(q.Before) + 1}
	}
	all, err := l.store.scan(ctx, eventHours, key{era}, s)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	var found []oplog.Event
	for _, r := range all {
		if len(found) >= limit {
			break
		}
		in, err := l.eventsOf(ctx, q, r.name[0].(int64), limit-len(found))
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		found = append(found, in...)
	}
	return found, nil
}

// eventsOf returns the newest matching events of an hour, at most limit.
func (l *Log) eventsOf(ctx context.Context, q oplog.HistoryQuery, hour int64, limit int) ([]oplog.Event, error) {
	var s span
	if q.Bucket != "" {
		s.from, s.to = key{q.Bucket}, key{q.Bucket + "\x00"}
	}
	parts, err := l.store.scan(ctx, eventBuckets, key{hour}, s)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex // guards found
	var found []oplog.Event
	err = each(ctx, len(parts), func(ctx context.Context, i int) error {
		b := bucketHour{hour: hour, bucket: parts[i].name[0].(string), shard: parts[i].name[1].(int64)}
		in, err := l.eventsIn(ctx, q, b, limit)
		mu.Lock()
		defer mu.Unlock()
		found = append(found, in...)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b oplog.Event) int { return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.Seq, a.Seq)) })
	return found[:min(limit, len(found))], nil
}

// eventsIn returns the newest matching events of one partition, at most limit.
func (l *Log) eventsIn(ctx context.Context, q oplog.HistoryQuery, b bucketHour, limit int) ([]oplog.Event, error) {
	s := span{last: true, limit: min(limit, eventPage)}
	if q.Prefix != "" {
		s.limit = eventPage
	}
	if !q.Since.IsZero() {
		s.from = key{at(q.Since, 0, "")}
	}
	if !q.Before.IsZero() {
		s.to = key{at(q.Before, 0, "")}
	}
	var found []oplog.Event
	for {
		page, err := l.store.scan(ctx, events, b.partition(), s)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			ev, err := oplog.DecodeEvent(r.body)
			if err != nil {
				return nil, err
			}
			if strings.HasPrefix(ev.Key, q.Prefix) {
				if found = append(found, ev); len(found) == limit {
					return found, nil
				}
			}
		}
		if len(page) < s.limit {
			return found, nil
		}
		s.to = page[len(page)-1].name
	}
}

// Expire implements oplog.History: partitions are dropped whole.
func (l *Log) Expire(ctx context.Context, before time.Time) error {
	if err := l.beginChange(ctx); err != nil {
		return err
	}
	defer l.end()
	old, err := l.store.scan(ctx, eventHours, key{era}, span{to: key{hourOf(before)}})
	if err != nil {
		return oplog.NotApplied(fmt.Errorf("history: %w", err))
	}
	for _, r := range old {
		if err := l.expire(ctx, r.name[0].(int64)); err != nil {
			return oplog.Unknown(fmt.Errorf("history: %w", err))
		}
	}
	return nil
}

// expire drops one hour, from the inside out: what fails is found again.
func (l *Log) expire(ctx context.Context, hour int64) error {
	l.hours.forget()
	parts, err := l.store.scan(ctx, eventBuckets, key{hour}, span{})
	if err != nil {
		return err
	}
	err = each(ctx, len(parts), func(ctx context.Context, i int) error {
		b := bucketHour{hour: hour, bucket: parts[i].name[0].(string), shard: parts[i].name[1].(int64)}
		return l.store.drop(ctx, events, b.partition())
	})
	if err != nil {
		return err
	}
	if err := l.store.drop(ctx, eventBuckets, key{hour}); err != nil {
		return err
	}
	return l.store.erase(ctx, eventHours, key{era}, key{hour})
}
