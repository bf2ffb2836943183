package replica_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

func TestARangeIsThePartThatWasAsked(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		data := content(300<<10, 1)
		r.mustPut("k", data)
		for _, quiet := range []bool{false, true} {
			if quiet {
				r.converge()
			}
			for _, c := range []struct {
				header       string
				first, after int
			}{
				{"", 0, len(data)},
				{"bytes=0-", 0, len(data)},
				{"bytes=0-0", 0, 1},
				{"bytes=5-9", 5, 10},
				{"bytes=100000-", 100000, len(data)},
				{"bytes=100000-99999999", 100000, len(data)},
				{"bytes=-7", len(data) - 7, len(data)},
				{"bytes=-99999999", 0, len(data)},
				{"bytes=0-1,4-5", 0, len(data)},
				{"nonsense", 0, len(data)},
			} {
				obj, err := r.set.Get(r.ctx, replica.GetRequest{Key: key("k"), Range: c.header})
				if err != nil {
					t.Fatalf("range %q: %v", c.header, err)
				}
				got, err := io.ReadAll(obj.Body)
				obj.Body.Close()
				if err != nil || !bytes.Equal(got, data[c.first:c.after]) {
					t.Fatalf("range %q: %d bytes, %v; want %d", c.header, len(got), err, c.after-c.first)
				}
				want, _ := s3.ParseRange(c.header, int64(len(data)))
				if obj.Range != want || obj.Replica == "" {
					t.Errorf("range %q: %+v from %q, want %+v", c.header, obj.Range, obj.Replica, want)
				}
			}
			if _, err := r.set.Get(r.ctx, replica.GetRequest{Key: key("k"), Range: "bytes=307200-"}); !errors.Is(err, s3.InvalidRange) {
				t.Errorf("range beyond the end: %v", err)
			}
		}
	})
}

func TestConditionsOfAReadComeBeforeItsBody(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		info := r.mustPut("k", content(1000, 1))
		refusal := s3.Err(s3.NotModified)
		_, err := r.set.Get(r.ctx, replica.GetRequest{Key: key("k"), Check: func(cur object.Info) error {
			if cur.ETag != info.ETag {
				t.Errorf("the condition was shown %+v", cur)
			}
			return refusal
		}})
		if !errors.Is(err, s3.NotModified) {
			t.Errorf("get: %v", err)
		}
		obj, err := r.set.Get(r.ctx, replica.GetRequest{Key: key("k"), Range: "bytes=1-2", RangeApplies: func(object.Info) bool { return false }})
		if err != nil {
			t.Fatal(err)
		}
		defer obj.Body.Close()
		if got, err := io.ReadAll(obj.Body); err != nil || len(got) != 1000 || obj.Range.Partial {
			t.Errorf("a range that does not apply gave %d bytes, %+v, %v", len(got), obj.Range, err)
		}
	})
}

// A replica that dies in the middle of a body is replaced at the same byte.
func TestABodyGoesOnWithAnotherReplica(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		t.Run(fmt.Sprint("quiet ", quiet), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				data := content(3<<20, 1)
				r.mustPut("k", data)
				synctest.Wait()
				if quiet {
					r.converge()
				}
				for _, sick := range r.names {
					r.servers[sick].SetFaults(memory.Faults{CutRate: 1, CutAfter: 1 << 20})
					for range 3 {
						r.mustGet("k", data)
					}
					obj, err := r.set.Get(r.ctx, replica.GetRequest{Key: key("k"), Range: "bytes=1000-3000000"})
					if err != nil {
						t.Fatal(err)
					}
					var got bytes.Buffer
					if n, err := io.Copy(&got, obj.Body); err != nil || n != obj.Range.Length || !bytes.Equal(got.Bytes(), data[1000:3000001]) {
						t.Fatalf("copy of a range: %d bytes, %v", n, err)
					}
					obj.Body.Close()
					// The same to clients that would splice, and cannot.
					for _, reads := range []bool{true, false} {
						obj, err := r.set.Get(r.ctx, replica.GetRequest{Key: key("k")})
						if err != nil {
							t.Fatal(err)
						}
						sink := &splicingSink{reads: reads}
						if n, err := obj.Body.(io.WriterTo).WriteTo(sink); err != nil || n != int64(len(data)) || !bytes.Equal(sink.Bytes(), data) || sink.asked == 0 {
							t.Fatalf("splice: %d bytes, %v, asked %d times", n, err, sink.asked)
						}
						obj.Body.Close()
					}
					r.servers[sick].SetFaults(memory.Faults{})
				}
			})
		})
	}
}

// splicingSink is a client that would have the kernel move a body; it reads what
// comes, or takes no for an answer.
type splicingSink struct {
	bytes.Buffer
	reads bool
	asked int
}

func (s *splicingSink) ReadFrom(r io.Reader) (int64, error) {
	s.asked++
	if s.reads {
		return io.Copy(struct{ io.Writer }{&s.Buffer}, r)
	}
	return r.(interface {
		SpliceTo(dst *net.TCPConn, max int64) (int64, error)
	}).SpliceTo(nil, 1<<20)
}

// When no replica can go on the body ends in an error, never in a clean end.
func TestABodyThatNobodyCanGoOnWithFails(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		data := content(3<<20, 1)
		r.mustPut("k", data)
		synctest.Wait()
		obj, err := r.set.Get(r.ctx, replica.GetRequest{Key: key("k")})
		if err != nil {
			t.Fatal(err)
		}
		defer obj.Body.Close()
		if _, err := io.CopyN(io.Discard, obj.Body, 1000); err != nil {
			t.Fatal(err)
		}
		for _, w := range r.wires {
			w.plug(true)
		}
		if n, err := io.Copy(io.Discard, obj.Body); err == nil {
			t.Fatalf("body ended cleanly after %d more bytes", n)
		}
	})
}

// A body that was begun of one version never goes on with another one.
func TestABodyIsNeverSpliced(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mustPut("k", content(3<<20, 1))
		synctest.Wait()
		obj, err := r.set.Get(r.ctx, replica.GetRequest{Key: key("k")})
		if err != nil {
			t.Fatal(err)
		}
		defer obj.Body.Close()
		if _, err := io.CopyN(io.Discard, obj.Body, 1000); err != nil {
			t.Fatal(err)
		}
		r.mustPut("k", content(3<<20, 2))
		synctest.Wait()
		for _, w := range r.wires { // cut what is open; what follows gets through
			w.plug(true)
			w.plug(false)
		}
		if _, err := io.Copy(io.Discard, obj.Body); err == nil {
			t.Fatal("body of an overwritten version went on")
		}
	})
}

func TestListsShowWhatReadsShow(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		names := []string{"a", "a/", "a/1", "a/2", "b/1", "b/2/x", "c", "d//e", "ä/ö", "z"}
		for _, n := range names {
			r.mustPut(n, content(10, 1))
		}
		r.converge()
		r.wires["a"].plug(true) // the one that lists are read from is now behind
		for i := range 8 {
			r.mustPut(fmt.Sprint("new/", i), content(20, 2))
		}
		for _, n := range []string{"a/1", "a/2", "b/1", "b/2/x", "z"} {
			r.mustDelete(n)
		}
		r.mustPut("c", content(30, 3))
		time.Sleep(10 * time.Second)
		r.wires["a"].plug(false)
		for i := 0; ; i++ { // while the healer brings it up to date
			live := []string{"a", "a/", "c", "d//e", "new/0", "new/1", "new/2", "new/3", "new/4", "new/5", "new/6", "new/7", "ä/ö"}
			for _, max := range []int{1, 2, 3, 1000} {
				if got := r.list("", "", max); fmt.Sprint(got) != fmt.Sprint(live) {
					t.Fatalf("list by %d: %q, want %q", max, got, live)
				}
				want := []string{"a", "a/ prefix", "c", "d/ prefix", "new/ prefix", "ä/ prefix"}
				if got := r.list("", "/", max); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("list by %d with a delimiter: %q, want %q", max, got, want)
				}
				want = []string{"a/"}
				if got := r.list("a/", "/", max); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("list by %d below a/: %q, want %q", max, got, want)
				}
			}
			if rows, _ := r.log.Range(r.ctx, testBucket, "", "", 1); len(rows) == 0 {
				break
			}
			time.Sleep(time.Second)
		}
		page, err := r.set.List(r.ctx, replica.ListRequest{Bucket: testBucket, Prefix: "c", Max: 10})
		if err != nil || len(page.Entries) != 1 || page.Entries[0].Size != 30 || page.Entries[0].ETag == "" || page.Entries[0].ModTime.IsZero() {
			t.Errorf("list of c: %+v, %v", page, err)
		}
		r.equal()
	})
}

// A page looks for its names behind a long stretch of deleted ones, but not for
// ever: then it is short, and says where to go on.
func TestListPassesOverWhatIsDeleted(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mustPut("zz", content(10, 1))
		for i := range 40 {
			r.mustPut(fmt.Sprintf("k%02d", i), content(10, 1))
		}
		r.converge()
		r.wires["a"].plug(true) // it goes on listing what the others delete
		for i := range 40 {
			r.mustDelete(fmt.Sprintf("k%02d", i))
		}
		time.Sleep(10 * time.Second)
		r.wires["a"].plug(false)
		if got := r.list("", "", 1); fmt.Sprint(got) != "[zz]" {
			t.Errorf("got %q, want zz", got)
		}
		r.set.SetWindow(3) // rows: ten windows end before zz
		page, err := r.set.List(r.ctx, replica.ListRequest{Bucket: testBucket, Max: 1})
		if err != nil || len(page.Entries) != 0 || page.Next == "" {
			t.Errorf("got %+v, %v, want a page that is short and goes on", page, err)
		}
		seen := 0
		for after := page.Next; after != ""; after = page.Next {
			if page, err = r.set.List(r.ctx, replica.ListRequest{Bucket: testBucket, After: after, Max: 1}); err != nil {
				t.Fatal(err)
			}
			seen += len(page.Entries)
		}
		if seen != 1 {
			t.Errorf("%d names behind the first page, want 1", seen)
		}
	})
}

// A dot alone rolls up whatever begins with it, though nobody may be asked for it: MinIO refuses
// the prefix.
func TestListsRollUpDots(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for _, n := range []string{"-", ".hidden", "a.b", "a.c", "b"} {
			r.mustPut(n, content(10, 1))
		}
		r.converge()
		r.wires["a"].plug(true) // it goes on listing what the others delete
		r.mustDelete(".hidden")
		time.Sleep(10 * time.Second)
		r.wires["a"].plug(false)
		want := []string{"-", "a. prefix", "b"}
		for _, max := range []int{1, 2, 1000} {
			if got := r.list("", ".", max); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("list by %d: %q, want %q", max, got, want)
			}
		}
		r.mustPut(".new", content(10, 1))
		want = []string{"-", ". prefix", "a. prefix", "b"}
		for _, max := range []int{1, 2, 1000} {
			if got := r.list("", ".", max); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("list by %d, with a name: %q, want %q", max, got, want)
			}
		}
	})
}

// list pages through a bucket; prefixes are marked.
func (r *rig) list(prefix, delimiter string, max int) []string {
	r.t.Helper()
	var all []string
	for after := ""; ; {
		page, err := r.set.List(r.ctx, replica.ListRequest{Bucket: testBucket, Prefix: prefix, Delimiter: delimiter, After: after, Max: max})
		if err != nil {
			r.t.Fatalf("list: %v", err)
		}
		if len(page.Entries)+len(page.Prefixes) > max {
			r.t.Fatalf("a page of %d has %d entries and %d prefixes", max, len(page.Entries), len(page.Prefixes))
		}
		if n := len(page.Entries) + len(page.Prefixes); page.Next != "" && n < max {
			r.t.Fatalf("a page of %d ends at %q with %d names, and is not the last", max, page.Next, n)
		}
		i, j := 0, 0
		for i < len(page.Entries) || j < len(page.Prefixes) {
			if j == len(page.Prefixes) || i < len(page.Entries) && page.Entries[i].Key < page.Prefixes[j] {
				all = append(all, page.Entries[i].Key)
				i++
			} else {
				all = append(all, page.Prefixes[j]+" prefix")
				j++
			}
		}
		if after = page.Next; after == "" {
			return all
		}
	}
}

// TestAReadThatMeetsAGapHasItFilled: a replica lost or changed what it acknowledged. The
// read that notices is answered by another one, and the key is compared and healed long
// before its row has outlived its retention.
func TestAReadThatMeetsAGapHasItFilled(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mustPut("lost", content(1000, 1))
		r.mustPut("changed", content(1000, 2))
		synctest.Wait()
		began := time.Now()
		if err := r.direct("b").Delete(r.ctx, testBucket, "lost"); err != nil {
			t.Fatal(err)
		}
		r.directPut("b", testBucket, "changed", []byte("somebody else's"))
		for range 60 { // until b was asked, which is one of three
			r.mustGet("lost", content(1000, 1))
			r.mustGet("changed", content(1000, 2))
			time.Sleep(300 * time.Millisecond)
		}
		r.equal()
		if d := time.Since(began); d > times.Retention/2 {
			t.Fatalf("this took %v: the row's own end may have done it", d)
		}
	})
}

// A key that is written faster than it is read is read all the same, once its writers pause:
// each look at a replica shows a version that the row did not name yet.
func TestAReadThatIsOutrunBeginsAnew(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mustPut("hot", []byte("first"))
		for _, name := range r.names {
			r.slow(name, 100*time.Millisecond)
		}
		var wg sync.WaitGroup
		begun := time.Now()
		wg.Go(func() {
			for i := 0; time.Since(begun) < 3*time.Second; i++ {
				r.mustPut("hot", fmt.Appendf(nil, "version %d", i))
				time.Sleep(40 * time.Millisecond)
			}
			r.mustPut("hot", []byte("last"))
		})
		time.Sleep(10 * time.Millisecond)
		if _, err := r.get("hot"); err != nil {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		wg.Wait()
		r.mustGet("hot", []byte("last"))
	})
}

// A replica that always shows what the row does not name is no moving key: the client is told soon.
func TestAReadThatIsShownTheSameAgainEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mustPut("k", []byte("right"))
		synctest.Wait() // one that takes it later would hold what is right
		for _, name := range r.names {
			r.directPut(name, testBucket, "k", []byte("another's"))
		}
		begun := time.Now()
		if _, err := r.get("k"); !errors.Is(err, s3.SlowDown) {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(begun); took > time.Second { // of the bubble's clock
			t.Errorf("it took %s", took)
		}
	})
}
