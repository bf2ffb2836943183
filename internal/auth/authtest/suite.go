package authtest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/s3mirror/s3mirror/internal/auth"
)

// Harness is one empty store and what the suite may do to it.
type Harness struct {
	Store auth.Store
	// Reopen opens the same storage again, as after the end of the process. Nil:
	// nothing outlives the process, and nothing about that is checked.
	Reopen func(t *testing.T) auth.Store
}

// Run checks every promise of auth.Store. open is called once per promise.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, f := range families {
		for _, c := range familyChecks {
			t.Run(f.name+"/"+c.name, func(t *testing.T) { c.run(t, subject{open(t), f}) })
		}
	}
	for _, c := range storeChecks {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// subject is the store under test with the suite's shorthands for one family.
type subject struct {
	Harness
	family
}

// want reads the name and wants exactly the record.
func (s subject) want(t *testing.T, name string, want record) {
	t.Helper()
	s.wantIn(t, s.Store, name, want)
}

func (s subject) wantIn(t *testing.T, store auth.Store, name string, want record) {
	t.Helper()
	got, err := s.read(context.Background(), store, name)
	switch {
	case want.none() && !errors.Is(err, s.absent):
		t.Errorf("%q: got %v, want %v", name, err, s.absent)
	case !want.none() && (err != nil || !reflect.DeepEqual(got, want)):
		t.Errorf("%q: %v\n got %s\nwant %s", name, err, show(got.body), show(want.body))
	}
}

// show prints what a User hides from every verb of fmt.
func show(body any) string {
	if u, ok := body.(auth.User); ok {
		type plain auth.User
		return fmt.Sprintf("%+v", plain(u))
	}
	return fmt.Sprintf("%+v", body)
}

// change wants a change to be made.
func (s subject) change(t *testing.T, name string, old auth.Revision, r record) {
	t.Helper()
	if err := s.swap(context.Background(), s.Store, name, old, r); err != nil {
		t.Fatalf("change %q: %v", name, err)
	}
}

func (s subject) make(t *testing.T, name string) record {
	t.Helper()
	r := s.fresh(name)
	s.change(t, name, auth.Revision{}, r)
	return r
}

type check[S any] struct {
	name string
	run  func(t *testing.T, s S)
}

var familyChecks = []check[subject]{
	{"a record is made, replaced and dropped", func(t *testing.T, s subject) {
		s.want(t, "a", record{})
		first := s.make(t, "a")
		s.want(t, "a", first)
		second := s.fresh("a")
		s.change(t, "a", first.revision, second)
		s.want(t, "a", second)
		s.change(t, "a", second.revision, record{})
		s.want(t, "a", record{})
		s.make(t, "a")
	}},

	{"who knows the record is told so", func(t *testing.T, s subject) {
		if s.newer == nil {
			return // nobody asks this of the family
		}
		wants := func(known auth.Revision, want record, wantErr error) {
			t.Helper()
			got, err := s.newer(context.Background(), s.Store, "a", known)
			if !errors.Is(err, wantErr) || wantErr == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("got %s, %v; want %s, %v", show(got.body), err, show(want.body), wantErr)
			}
		}
		wants(auth.Revision{}, record{}, s.absent)
		first := s.make(t, "a")
		wants(auth.Revision{}, first, nil)
		wants(first.revision, record{}, auth.ErrUnchanged)
		second := s.fresh("a")
		s.change(t, "a", first.revision, second)
		wants(first.revision, second, nil)
		wants(second.revision, record{}, auth.ErrUnchanged)
		s.change(t, "a", second.revision, record{})
		wants(second.revision, record{}, s.absent)
	}},

	{"a conflict changes nothing", func(t *testing.T, s subject) {
		r := s.make(t, "a")
		for what, err := range map[string]error{
			"create over":    s.swap(context.Background(), s.Store, "a", auth.Revision{}, s.fresh("a")),
			"stale replace":  s.swap(context.Background(), s.Store, "a", auth.NewRevision(), s.fresh("a")),
			"stale drop":     s.swap(context.Background(), s.Store, "a", auth.NewRevision(), record{}),
			"replace absent": s.swap(context.Background(), s.Store, "b", auth.NewRevision(), s.fresh("b")),
			"drop absent":    s.swap(context.Background(), s.Store, "b", auth.NewRevision(), record{}),
		} {
			if !errors.Is(err, auth.ErrConflict) {
				t.Errorf("%s: got %v, want ErrConflict", what, err)
			}
		}
		s.want(t, "a", r)
		s.want(t, "b", record{})
	}},

	{"a revision that is not fresh is refused", func(t *testing.T, s subject) {
		r := s.make(t, "a")
		if err := s.swap(context.Background(), s.Store, "a", r.revision, r); err == nil || errors.Is(err, auth.ErrConflict) {
			t.Errorf("the same revision again: got %v", err)
		}
		s.want(t, "a", r)
	}},

	{"one of many changes wins", func(t *testing.T, s subject) {
		var old auth.Revision
		for range 4 {
			var mu sync.Mutex // guards won
			var won []record
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					r := s.fresh("a")
					err := s.swap(context.Background(), s.Store, "a", old, r)
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						won = append(won, r)
					} else if !errors.Is(err, auth.ErrConflict) {
						t.Errorf("got %v, want ErrConflict", err)
					}
				})
			}
			wg.Wait()
			if len(won) != 1 {
				t.Fatalf("%d changes of one revision were made", len(won))
			}
			s.want(t, "a", won[0])
			old = won[0].revision
		}
	}},

	{"what has ended begins nothing", func(t *testing.T, s subject) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.swap(ctx, s.Store, "a", auth.Revision{}, s.fresh("a")); err == nil || errors.Is(err, auth.ErrConflict) {
			t.Errorf("change: got %v", err)
		}
		s.want(t, "a", record{})
		s.make(t, "b")
		if _, err := s.read(ctx, s.Store, "b"); !errors.Is(err, context.Canceled) {
			t.Errorf("read: got %v, want context.Canceled", err)
		}
	}},

	{"pages are in order of the names", func(t *testing.T, s subject) {
		if s.page == nil {
			return // this family is never paged through
		}
		names := []string{"a", "a.b", "a0", "b", "ba", "q", "s", "z"}
		made := map[string]record{}
		for _, name := range slices.Backward(names) {
			made[name] = s.make(t, name)
		}
		for _, limit := range []int{1, 2, 3, len(names), 100} {
			var got []string
			for after := ""; ; after = got[len(got)-1] {
				page, err := s.page(context.Background(), s.Store, after, limit)
				if err != nil || len(page) > limit {
					t.Fatalf("%d records, %v; limit %d", len(page), err, limit)
				}
				for _, r := range page {
					if !reflect.DeepEqual(r, made[r.name]) {
						t.Errorf("page: got %s, want %s", show(r.body), show(made[r.name].body))
					}
					got = append(got, r.name)
				}
				if len(page) < limit {
					break
				}
			}
			if !slices.Equal(got, names) {
				t.Errorf("limit %d: got %q, want %q", limit, got, names)
			}
		}
	}},

	{"what was written outlives the process", func(t *testing.T, s subject) {
		if s.Reopen == nil {
			return // nothing does here, and nothing else is promised
		}
		kept, dropped := s.make(t, "kept"), s.make(t, "dropped")
		s.change(t, "dropped", dropped.revision, record{})
		store := s.Reopen(t)
		s.wantIn(t, store, "kept", kept)
		s.wantIn(t, store, "dropped", record{})
	}},
}

var storeChecks = []check[Harness]{
	{"families are apart", func(t *testing.T, h Harness) {
		made := map[string]record{}
		for _, f := range families {
			made[f.name] = subject{h, f}.make(t, "same")
		}
		for _, f := range families {
			subject{h, f}.want(t, "same", made[f.name])
		}
	}},

	{"a user without limits, keys and password", func(t *testing.T, h Harness) {
		s := subject{h, families[0]}
		u := ofUser(bareUser("bare"))
		s.change(t, "bare", auth.Revision{}, u)
		s.want(t, "bare", u)
	}},

	{"records are not shared", func(t *testing.T, h Harness) {
		u := freshUser("alice")
		want := ofUser(*u.Clone())
		if err := h.Store.SwapUser(context.Background(), "alice", auth.Revision{}, &u); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			u.Scopes[0], u.AllowedExtensions[0], u.Keys[0].Sealed[0], u.Keys[1].ID = "none", "exe", 'x', "other"
			u.AllowedIPs[0], u.AllowedBuckets[0].Bucket = u.AllowedIPs[1], "other"
			subject{h, families[0]}.want(t, "alice", want)
			var err error
			if u, err = h.Store.User(context.Background(), "alice"); err != nil {
				t.Fatal(err)
			}
		}
	}},

	{"root is nobody of the store's", func(t *testing.T, h Harness) {
		if _, err := h.Store.User(context.Background(), auth.RootLogin); !errors.Is(err, auth.ErrNoUser) {
			t.Errorf("read: got %v, want ErrNoUser", err)
		}
		u := freshUser(auth.RootLogin)
		if err := h.Store.SwapUser(context.Background(), auth.RootLogin, auth.Revision{}, &u); err == nil {
			t.Error("root was made")
		}
		if page, err := h.Store.Users(context.Background(), "", 10); err != nil || len(page) != 0 {
			t.Errorf("%d users, %v", len(page), err)
		}
	}},

	{"signers are one record that stays", func(t *testing.T, h Harness) {
		ctx := context.Background()
		wantSigners(t, h.Store, auth.Signers{})
		first, second := freshSigners(1), freshSigners(3)
		for _, step := range []struct {
			old  auth.Revision
			new  *auth.Signers
			want auth.Signers
			err  error
		}{
			{auth.Revision{}, &first, first, nil},
			{auth.Revision{}, &second, first, auth.ErrConflict},
			{auth.NewRevision(), &second, first, auth.ErrConflict},
			{first.Revision, &second, second, nil},
		} {
			if err := h.Store.SwapSigners(ctx, step.old, step.new); !errors.Is(err, step.err) {
				t.Errorf("got %v, want %v", err, step.err)
			}
			wantSigners(t, h.Store, step.want)
		}
		if err := h.Store.SwapSigners(ctx, second.Revision, nil); err == nil {
			t.Error("the signers were dropped")
		}
		wantSigners(t, h.Store, second)
		if h.Reopen != nil {
			wantSigners(t, h.Reopen(t), second)
		}
	}},
}

func wantSigners(t *testing.T, s auth.Store, want auth.Signers) {
	t.Helper()
	if got, err := s.Signers(context.Background()); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("signers %v\n got %+v\nwant %+v", err, got, want)
	}
}
