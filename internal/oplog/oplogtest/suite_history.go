package oplogtest

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

var historyChecks = []check{
	{"events come newest first, ties in the order they were added", func(t *testing.T, s subject) {
		s.append(t, event(noon, "b", "1"), event(noon.Add(time.Second), "b", "2"))
		s.append(t, event(noon, "b", "3"))
		s.append(t, event(noon.Add(-24*time.Hour), "b", "4"), event(noon.Add(time.Nanosecond), "b", "5"), event(noon, "b", "6"))
		wantNames(t, "all", s.events(t, oplog.HistoryQuery{}), []string{"2", "5", "6", "3", "1", "4"})
	}},

	{"every field of an event survives", func(t *testing.T, s subject) {
		ev := oplog.Event{
			Time: noon.Add(7), Bucket: "b", Key: "\x00\xff/", Op: "put", ID: object.NewID(), Ver: 9, Size: 1 << 40, Actor: "root",
			Request: "r", Result: "acked", Backends: map[string]string{"eu-1": "ok", "eu-2": "ambiguous"},
		}
		given := ev
		s.append(t, given)
		if given.Seq != 0 {
			t.Error("Append changed the caller's event")
		}
		got, err := s.Events(context.Background(), oplog.HistoryQuery{})
		if err != nil || len(got) != 1 || got[0].Seq == 0 {
			t.Fatalf("got %+v, %v", got, err)
		}
		ev.Seq = got[0].Seq
		if !reflect.DeepEqual(got[0], ev) {
			t.Errorf("\n got %+v\nwant %+v", got[0], ev)
		}
		got[0].Backends["eu-1"] = "spoilt"
		if again, err := s.Events(context.Background(), oplog.HistoryQuery{}); err != nil || !reflect.DeepEqual(again[0], ev) {
			t.Errorf("events are shared with the caller: %+v, %v", again, err)
		}
	}},

	{"a query selects by bucket, prefix and time", func(t *testing.T, s subject) {
		for i := range 12 { // over three hours, oldest first
			bucket := "b1"
			if i%3 == 0 {
				bucket = "b2"
			}
			s.append(t, event(noon.Add(time.Duration(i)*15*time.Minute), bucket, fmt.Sprintf("%c/%02d", 'x'+rune(i%2), i)))
		}
		at := func(i int) time.Time { return noon.Add(time.Duration(i) * 15 * time.Minute) }
		for _, c := range []struct {
			name string
			q    oplog.HistoryQuery
			want []string
		}{
			{"bucket", oplog.HistoryQuery{Bucket: "b2"}, []string{"y/09", "x/06", "y/03", "x/00"}},
			{"prefix", oplog.HistoryQuery{Bucket: "b1", Prefix: "y/"}, []string{"y/11", "y/07", "y/05", "y/01"}},
			{"prefix in any bucket", oplog.HistoryQuery{Prefix: "x/0"}, []string{"x/08", "x/06", "x/04", "x/02", "x/00"}},
			{"one key", oplog.HistoryQuery{Bucket: "b1", Prefix: "y/07"}, []string{"y/07"}},
			{"time", oplog.HistoryQuery{Since: at(4), Before: at(7)}, []string{"x/06", "y/05", "x/04"}},
			{"since only", oplog.HistoryQuery{Since: at(10)}, []string{"y/11", "x/10"}},
			{"before only", oplog.HistoryQuery{Before: at(2)}, []string{"y/01", "x/00"}},
			{"limit", oplog.HistoryQuery{Limit: 3}, []string{"y/11", "x/10", "y/09"}},
			{"limit of a bucket", oplog.HistoryQuery{Bucket: "b1", Limit: 2}, []string{"y/11", "x/10"}},
			{"limit of a prefix", oplog.HistoryQuery{Prefix: "y/", Before: at(8), Limit: 2}, []string{"y/07", "y/05"}},
			{"everything at once", oplog.HistoryQuery{Bucket: "b1", Prefix: "x/", Since: at(3), Before: at(9), Limit: 2}, []string{"x/08", "x/04"}},
			{"another bucket", oplog.HistoryQuery{Bucket: "b"}, nil},
			{"no such key", oplog.HistoryQuery{Prefix: "z"}, nil},
			{"no time", oplog.HistoryQuery{Since: at(5), Before: at(5)}, nil},
		} {
			wantNames(t, c.name, s.events(t, c.q), c.want)
		}
	}},

	{"a query without limit returns 1000", func(t *testing.T, s subject) {
		var events []oplog.Event
		for i := range 1010 {
			events = append(events, event(noon.Add(time.Duration(i)*time.Second), "b", fmt.Sprint(i)))
		}
		s.append(t, events...)
		got := s.events(t, oplog.HistoryQuery{})
		if len(got) != 1000 || got[0] != "1009" || got[999] != "10" {
			t.Errorf("%d events, the first %q", len(got), got[0])
		}
	}},

	{"keys are raw bytes in history", func(t *testing.T, s subject) {
		keys := rawKeys()
		for i, k := range keys {
			s.append(t, event(noon.Add(time.Duration(i)*time.Second), k.Bucket, k.Name))
		}
		for _, k := range keys {
			found := false
			for _, name := range s.events(t, oplog.HistoryQuery{Bucket: k.Bucket, Prefix: k.Name}) {
				found = found || name == k.Name
			}
			if !found {
				t.Errorf("%v has no history", k)
			}
		}
	}},

	{"whole hours expire", func(t *testing.T, s subject) {
		for i := range 8 {
			s.append(t, event(noon.Add(time.Duration(i)*30*time.Minute), "b", fmt.Sprint(i)))
		}
		for _, c := range []struct {
			before time.Time
			want   []string
		}{
			{noon.Add(59 * time.Minute), []string{"7", "6", "5", "4", "3", "2", "1", "0"}},
			{noon.Add(time.Hour), []string{"7", "6", "5", "4", "3", "2"}},
			{noon.Add(2*time.Hour + 45*time.Minute), []string{"7", "6", "5", "4"}},
			{noon.Add(100 * time.Hour), nil},
		} {
			if err := s.Expire(context.Background(), c.before); err != nil {
				t.Fatal(err)
			}
			wantNames(t, "before "+c.before.String(), s.events(t, oplog.HistoryQuery{}), c.want)
			wantNames(t, "by key, before "+c.before.String(), s.events(t, oplog.HistoryQuery{Bucket: "b"}), c.want)
		}
		s.append(t, event(noon, "b", "late")) // an hour that was dropped may begin again
		wantNames(t, "after expiry", s.events(t, oplog.HistoryQuery{}), []string{"late"})
	}},
}

func event(at time.Time, bucket, name string) oplog.Event {
	return oplog.Event{Time: at, Bucket: bucket, Key: name, Op: "put", Result: "acked"}
}

func (s subject) append(t *testing.T, events ...oplog.Event) {
	t.Helper()
	if err := s.Append(context.Background(), events...); err != nil {
		t.Fatalf("append: %v", err)
	}
}

// events returns the keys that a query selects, in order.
func (s subject) events(t *testing.T, q oplog.HistoryQuery) []string {
	t.Helper()
	events, err := s.Events(context.Background(), q)
	if err != nil {
		t.Fatalf("events: %v", err)
	}
	var names []string
	for _, ev := range events {
		names = append(names, ev.Key)
	}
	return names
}
