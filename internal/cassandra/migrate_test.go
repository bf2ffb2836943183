package cassandra

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Every statement of the schema can be repeated, and takes the keyspace.
func TestStepsCanBeRepeated(t *testing.T) {
	all, err := steps(schemaFiles)
	if err != nil || len(all) == 0 {
		t.Fatalf("%d steps, %v", len(all), err)
	}
	form := regexp.MustCompile(`^(CREATE TABLE IF NOT EXISTS|ALTER TABLE IF EXISTS) [a-z_]+ (\(|ADD IF NOT EXISTS |WITH )`)
	for i, s := range all {
		if want := fmt.Sprintf("%03d_", i+1); !strings.HasPrefix(s.Name, want) {
			t.Errorf("step %d is %s, want %s...", i+1, s.Name, want)
		}
		for _, stmt := range s.statements {
			if !form.MatchString(stmt) {
				t.Errorf("%s: cannot be repeated, or is not known:\n%s", s.Name, stmt)
			}
			if !strings.Contains(qualified(stmt, "ks"), " ks.") {
				t.Errorf("%s: has no keyspace:\n%s", s.Name, stmt)
			}
		}
	}
}

func TestStatementsOfAFile(t *testing.T) {
	got := statements("-- a; comment\nCREATE a;\n\n  -- another\nCREATE\n b ;\n-- end\n")
	if want := []string{"CREATE a", "CREATE\n b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWhatIsBehind(t *testing.T) {
	all := []step{{Name: "001", Sum: "a"}, {Name: "002", Sum: "b"}}
	for _, c := range []struct {
		done    []step
		missing int
		wrong   string
	}{
		{nil, 2, ""}, {all[:1], 1, ""}, {all, 0, ""},
		{append(slices.Clone(all), step{Name: "003"}), 0, "later version"},
		{[]step{{Name: "001", Sum: "z"}}, 0, "different versions"},
		{[]step{{Name: "000", Sum: "a"}}, 0, "different versions"},
	} {
		missing, err := schemaState{Steps: c.done}.behind(all)
		if len(missing) != c.missing || (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("after %v: %d missing, %v", c.done, len(missing), err)
		}
	}
}

// cluster is what migrations work on: a store, and the statements that ran.
type cluster struct {
	*fakeStore
	mu   sync.Mutex // guards ran and fail
	ran  []string
	fail map[string]int // statement -> how often it fails
}

func (c *cluster) change(_ context.Context, stmt string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail[stmt] > 0 {
		c.fail[stmt]--
		return errors.New("no agreement")
	}
	c.ran = append(c.ran, stmt)
	return nil
}

func (c *cluster) migration(t *testing.T, files map[string]string) *migration {
	t.Helper()
	in := fstest.MapFS{}
	for name, text := range files {
		in["schema/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	all, err := steps(in)
	if err != nil {
		t.Fatal(err)
	}
	say := func(string) {}
	return &migration{store: c, change: c.change, all: all, say: say, lock: newLock(c, say)}
}

func newClusterOf(fail map[string]int) *cluster {
	return &cluster{fakeStore: newFakeStore(), fail: fail}
}

func TestMigrationDoesWhatIsMissing(t *testing.T) {
	c := newClusterOf(nil)
	first := map[string]string{"001_a.cql": "A1; A2;"}
	both := map[string]string{"001_a.cql": "A1; A2;", "002_b.cql": "B1;"}
	for _, files := range []map[string]string{first, first, both, both} {
		if err := c.migration(t, files).run(bg); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"A1", "A2", "B1"}; !slices.Equal(c.ran, want) {
		t.Errorf("ran %q, want %q", c.ran, want)
	}
	if err := c.migration(t, first).run(bg); !errors.Is(err, ErrSchema) {
		t.Errorf("an older program: %v, want ErrSchema", err)
	}
	if err := c.migration(t, map[string]string{"001_a.cql": "changed;"}).run(bg); !errors.Is(err, ErrSchema) {
		t.Errorf("a changed file: %v, want ErrSchema", err)
	}
	if len(c.ran) != 3 {
		t.Errorf("refused, and yet %q ran", c.ran[3:])
	}
}

func TestMigrationIsRepeatedFromWhereItBroke(t *testing.T) {
	c := newClusterOf(map[string]int{"B2": 1})
	files := map[string]string{"001_a.cql": "A1;", "002_b.cql": "B1; B2;"}
	if err := c.migration(t, files).run(bg); err == nil {
		t.Fatal("no error")
	}
	if err := c.migration(t, files).run(bg); err != nil {
		t.Fatal(err)
	}
	if want := []string{"A1", "B1", "B1", "B2"}; !slices.Equal(c.ran, want) {
		t.Errorf("ran %q, want %q", c.ran, want)
	}
}

// Whatever single statement of the store fails, and however, a migration ends or
// says so, and the next one ends.
func TestMigrationMayFailAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose clock makes leases end at once
		files := map[string]string{"001_a.cql": "A1; A2;", "002_b.cql": "B1;"}
		for at := 0; ; at++ {
			for _, fate := range []Fate{FateTimeout, FateLost, FateUnavailable} {
				c := newClusterOf(nil)
				n := 0
				c.SetFault(func(Statement) Fate {
					if n++; n-1 == at {
						return fate
					}
					return FatePass
				})
				first := c.migration(t, files).run(bg)
				statements := n
				c.SetFault(nil)
				if err := c.migration(t, files).run(bg); err != nil {
					t.Fatalf("fate %d at %d: the first said %v, the second %v", fate, at, first, err)
				}
				state, _, err := readState(bg, c)
				if err != nil || len(state.Steps) != 2 || c.ran[len(c.ran)-1] != "B1" {
					t.Errorf("fate %d at %d: %+v, %v, ran %q", fate, at, state, err, c.ran)
				}
				if at >= statements {
					if at < 8 {
						t.Errorf("a migration has only %d statements", at)
					}
					return
				}
			}
		}
	})
}

// Of many at once each statement is run by one, once.
func TestOneMigrationAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClusterOf(nil)
		var told atomic.Int64
		var wg sync.WaitGroup
		for range 5 {
			m := c.migration(t, map[string]string{"001_a.cql": "A1; A2;", "002_b.cql": "B1;"})
			m.lock.say = func(string) { told.Add(1) }
			slow := m.change
			m.change = func(ctx context.Context, stmt string) error {
				time.Sleep(20 * time.Second) // of the bubble's clock; less than a lease
				return slow(ctx, stmt)
			}
			wg.Go(func() {
				if err := m.run(bg); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if want := []string{"A1", "A2", "B1"}; !slices.Equal(c.ran, want) {
			t.Errorf("ran %q, want %q", c.ran, want)
		}
		if told.Load() == 0 {
			t.Error("nobody was told to wait")
		}
	})
}

// A holder that slept through its lease runs nothing more.
func TestALockThatWasTakenOverIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClusterOf(nil)
		files := map[string]string{"001_a.cql": "A1; A2;"}
		sleeper := c.migration(t, files)
		sleeper.change = func(ctx context.Context, stmt string) error {
			if err := c.migration(t, files).run(bg); err != nil { // waits for a lease
				t.Error(err)
			}
			return nil
		}
		if err := sleeper.run(bg); !errors.Is(err, errLockLost) {
			t.Errorf("got %v, want errLockLost", err)
		}
		if want := []string{"A1", "A2"}; !slices.Equal(c.ran, want) {
			t.Errorf("ran %q, want %q", c.ran, want)
		}
	})
}

func TestWaitingForALockEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClusterOf(nil)
		holder := newLock(c, func(string) {})
		if err := holder.take(bg); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(bg, 5*time.Second)
		defer cancel()
		if err := newLock(c, func(string) {}).take(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		only(c.fakeStore, StatementRead, FateTimeout)
		if err := newLock(c, func(string) {}).take(bg); err == nil {
			t.Error("a lock that cannot be looked at was taken")
		}
		only(c.fakeStore, StatementCAS, FateUnavailable)
		if err := holder.renew(bg); !errors.Is(err, oplog.ErrNotApplied) {
			t.Errorf("renew: %v, want ErrNotApplied", err)
		}
	})
}

func TestDamagedStateIsTold(t *testing.T) {
	s := newFakeStore()
	if _, err := s.insert(bg, migrationRows, stateID, stored{epoch: oplog.NewEpoch(), body: []byte("{")}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readState(bg, s); !errors.Is(err, ErrSchema) {
		t.Errorf("got %v, want ErrSchema", err)
	}
}

// refusal is a node's answer to a statement.
type refusal struct {
	gocql.RequestError
	code int
}

func (r refusal) Code() int     { return r.code }
func (r refusal) Error() string { return "table migration does not exist" }

// A node that has not heard of a new table yet refuses to read it: that passes.
func TestWhatIsNotKnownYetIsAskedAgain(t *testing.T) {
	unknown := oplog.Unknown(refusal{code: gocql.ErrCodeInvalid})
	other := errors.New("no connection")
	for _, c := range []struct {
		name    string
		answers []error // the last one again and again
		want    error
		asked   int // 0: until schemaTimeout
	}{
		{"at once", []error{nil}, nil, 1},
		{"later", []error{unknown, unknown, nil}, nil, 3},
		{"another error", []error{unknown, other}, other, 2},
		{"refused for another reason", []error{refusal{code: gocql.ErrCodeUnauthorized}}, refusal{code: gocql.ErrCodeUnauthorized}, 1},
		{"never", []error{unknown}, unknown, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			asked, begun := 0, time.Now()
			err := onceKnown(bg, func() error {
				asked++
				return c.answers[min(asked, len(c.answers))-1]
			})
			if !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", c.name, err, c.want)
			}
			if c.asked > 0 && asked != c.asked || c.asked == 0 && time.Since(begun) < schemaTimeout {
				t.Errorf("%s: asked %d times in %s", c.name, asked, time.Since(begun))
			}
		})
	}
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if err := onceKnown(ctx, func() error { return unknown }); !errors.Is(err, unknown) {
		t.Errorf("ended: got %v, want what the node said", err)
	}
}

// Two nodes that make the table of the lock at once make one table.
func TestTheTableOfTheLockHasOneID(t *testing.T) {
	if a, b := createMigrationTable("one"), createMigrationTable("one"); a != b {
		t.Errorf("%s, and then %s", a, b)
	}
	if tableID("one.migration") == tableID("two.migration") {
		t.Error("two keyspaces would share a table's id")
	}
	if id := tableID("one.migration"); id[14] != '8' || !strings.ContainsRune("89ab", rune(id[19])) {
		t.Errorf("%s is no UUID of version 8", id)
	}
}
