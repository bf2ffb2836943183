package replica_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// listed is what a bucket's list must be: the keys that stand, with their ETags.
type listed map[string]string

// names are the lines of the list, common prefixes among them, behind after.
func (l listed) names(prefix, delimiter, after string) []string {
	seen := map[string]bool{}
	for key := range l {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		if i := strings.Index(rest, delimiter); delimiter != "" && i >= 0 {
			key = prefix + rest[:i+len(delimiter)]
		}
		if key > after {
			seen[key] = true
		}
	}
	out := make([]string, 0, len(seen))
	for key := range seen {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

// check pages through one list and compares it with the model: each line once, in order,
// with its ETag, and no page longer than was asked.
func (l listed) check(t *testing.T, r *rig, prefix, delimiter, after string, most int) {
	t.Helper()
	var got []string
	where := fmt.Sprintf("prefix %q, delimiter %q, after %q, pages of %d", prefix, delimiter, after, most)
	for next, pages := after, 0; ; pages++ {
		page, err := r.set.List(r.ctx, replica.ListRequest{Bucket: testBucket, Prefix: prefix, Delimiter: delimiter, After: next, Max: most})
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		if len(page.Entries)+len(page.Prefixes) > most || pages > len(l)+10 {
			t.Fatalf("%s: %d and %d on page %d", where, len(page.Entries), len(page.Prefixes), pages)
		}
		lines := slices.Clone(page.Prefixes)
		for _, e := range page.Entries {
			lines = append(lines, e.Key)
			if want := l[e.Key]; want != "" && e.ETag != want {
				t.Errorf("%s: %s has ETag %s, want %s", where, e.Key, e.ETag, want)
			}
		}
		slices.Sort(lines)
		got = append(got, lines...)
		if next = page.Next; next == "" {
			break
		}
	}
	if want := l.names(prefix, delimiter, after); !slices.Equal(got, want) {
		t.Errorf("%s: %d lines, want %d; first difference: %s", where, len(got), len(want), firstDifference(got, want))
	}
}

func firstDifference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			at := func(s []string) string {
				if i < len(s) {
					return s[i]
				}
				return "the end"
			}
			return fmt.Sprintf("line %d is %q, want %q", i, at(got), at(want))
		}
	}
	return "none"
}

// TestListsAgainstAModel: pages of a bucket in which many keys have a row, written, deleted
// and made while the replica that is listed was away, while it is healed, and while writes
// are under way, are those of a model, whatever prefix, delimiter, start and page size; also
// from another replica, and after a restart of the gateway.
func TestListsAgainstAModel(t *testing.T) {
	seeds := uint64(4)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 0x11))
				r := newRig(t, memory.NewLog(), "a", "b", "c")
				window := []int{7, 40, 1000, 1000}[seed] // rows that a page reads at a time
				r.open(nil)
				r.set.SetWindow(window)
				r.makeBucket()
				keys := listKeys(rng, 600)
				model := listed{}
				write := func(i int) {
					if rng.IntN(3) == 0 {
						r.mustDelete(keys[i])
						delete(model, keys[i])
						return
					}
					model[keys[i]] = r.mustPut(keys[i], content(1+rng.IntN(50), rng.Uint64())).ETag
				}
				for i := range keys {
					if rng.IntN(4) > 0 {
						model[keys[i]] = r.mustPut(keys[i], content(1+i%50, rng.Uint64())).ETag
					}
				}
				look := func(n int) {
					t.Helper()
					for range n {
						prefix, after := "", ""
						if key := keys[rng.IntN(len(keys))]; rng.IntN(2) == 0 {
							prefix = strings.ToValidUTF8(key[:rng.IntN(len(key)+1)], "") // not within a character
						}
						if rng.IntN(2) == 0 {
							after = keys[rng.IntN(len(keys))]
						}
						model.check(t, r, prefix, []string{"", "/", "/", "b", "//"}[rng.IntN(5)], after, []int{1, 3, 50, 1000}[rng.IntN(4)])
					}
				}
				look(10)
				r.wires["a"].plug(true) // lists ask it first
				for range 150 {
					write(rng.IntN(len(keys)))
				}
				look(15) // from another replica
				for _, name := range r.names[1:] {
					r.servers[name].SetFaults(memory.Faults{Delay: 3 * time.Second, Ops: []s3.OperationName{s3.PutObject, s3.DeleteObject}})
				}
				r.wires["a"].plug(false)
				var under sync.WaitGroup // writes under way that change no line, so that the model holds meanwhile
				for i := range 40 {
					name := keys[rng.IntN(len(keys))]
					_, stands := model[name]
					if stands {
						model[name] = "" // the ETag is the old one, or the new
					}
					under.Go(func() {
						var err error
						if stands {
							_, err = r.put(name, content(60+i, 1))
						} else {
							err = r.set.Delete(r.ctx, replica.DeleteRequest{Key: key(name)})
						}
						if err != nil {
							t.Errorf("%s: %v", name, err)
						}
					})
				}
				look(15) // the first replica is healed, the others are slow
				time.Sleep(time.Second)
				look(15)
				under.Wait()
				for _, name := range r.names {
					r.servers[name].SetFaults(memory.Faults{})
				}
				r.crash()
				r.open(nil)
				r.set.SetWindow(window)
				look(15)
				r.converge()
				look(10)
				r.equal()
			})
		})
	}
}

// listKeys are keys that share prefixes, and lie around delimiters.
func listKeys(rng *rand.Rand, n int) []string {
	parts := []string{"a", "b", "ab", "/", "//", "a/", "0", "\u00fc", "zz", "-", "."}
	seen := map[string]bool{}
	var keys []string
	for len(keys) < n {
		var b strings.Builder
		for range 1 + rng.IntN(6) {
			b.WriteString(parts[rng.IntN(len(parts))])
		}
		if key := b.String(); !seen[key] && !strings.HasPrefix(key, object.ReservedPrefix) {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	return keys
}
