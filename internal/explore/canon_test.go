package explore

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// TestBranchesShareNothing: machines are values (package commit). A copy of one is
// stepped at every branch; the state that it was copied from must not notice.
func TestBranchesShareNothing(t *testing.T) {
	for _, sc := range []*Scenario{
		scenario("put, get", "crash", ""), scenario("create, create", "cut", ""), scenario("stream, get", "mute", ""),
		scenario("replace, delete if", "unknown", ""), scenario("put, get", "halve", "start-ordered B, stream heals"),
	} {
		if r := Search(sc, Options{Paranoid: true}); r.Err != nil {
			t.Errorf("%s: %v", sc.Name, r.Err)
		}
	}
}

// TestSearchesRepeat: a search visits the same states however random identities
// turn out, and whichever seeds the hash has.
func TestSearchesRepeat(t *testing.T) {
	count := func(fresh uint16) [3]int {
		s := newSearch(Options{})
		w := newWorld(scenario("create, get", "crash", ""))
		w.fresh = fresh
		if !s.visit(w) {
			t.Fatal(s.Err)
		}
		return [3]int{s.States, s.Transitions, s.Ends}
	}
	if a, b := count(0), count(5000); a != b {
		t.Errorf("%v and %v", a, b)
	}
}

// TestEveryDurationIsAMoment: the canonical form takes each duration in a machine
// for a reading of the monotonic clock. One that is a length would be told apart,
// or not, by accident: a new field must be thought about, and named here.
func TestEveryDurationIsAMoment(t *testing.T) {
	found := map[string]bool{}
	for _, m := range []any{commit.Write{}, commit.Read{}, commit.Repair{}, oplog.Row{}, object.Seen{}} {
		durations(reflect.TypeOf(m), found)
	}
	want := []string{"Read.begun", "Write.begun", "Write.casAt", "Write.foreignSince", "Write.readAt", "Write.waitUntil"}
	if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func durations(t reflect.Type, found map[string]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		durations(t.Elem(), found)
	case reflect.Struct:
		if t == reflect.TypeFor[commit.Config]() || t == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range t.NumField() {
			f := t.Field(i)
			switch {
			case slices.Contains(ignored[t], f.Name):
			case f.Type == reflect.TypeFor[time.Duration]():
				found[t.Name()+"."+f.Name] = true
			default:
				durations(f.Type, found)
			}
		}
	}
}

// TestAgesEndLate: an age beyond which all are alike must be beyond every time that
// is compared with one.
func TestAgesEndLate(t *testing.T) {
	for _, d := range []time.Duration{times.Lease, times.Retention / 2, times.Keep, times.LockWait, times.Grace, times.HelpWait, lateMax} {
		if d >= oldest {
			t.Errorf("%v is not below %v", d, oldest)
		}
	}
	if times.Settle <= lateMax+times.Gap || times.Retention <= 2*(times.Settle+times.Lease+time.Second) {
		t.Error("the times break the protocol's own rules")
	}
}

func TestTimesAreDistances(t *testing.T) {
	for _, d := range []time.Duration{0, time.Nanosecond, 1500 * time.Millisecond, -time.Hour, 40 * time.Hour} {
		if got, ok := sinceWall0(wall0.Add(d)); !ok || got != d {
			t.Errorf("%v is read as %v, %v", d, got, ok)
		}
	}
	if _, ok := sinceWall0(time.Time{}); ok {
		t.Error("no time is read as one")
	}
}

func TestWhatHasNoFormStopsTheSearch(t *testing.T) {
	for _, v := range []any{struct{ c chan int }{}, struct{ m map[int]bool }{}, struct{ f float64 }{}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%T has a form", v)
				}
			}()
			formOf(reflect.TypeOf(v))
		}()
	}
}

// TestTheFormSeesEveryField changes each field of the world's own types in a state
// that has one of everything, and expects another name, or the same where the
// field has no effect. A field that is not in the list fails.
func TestTheFormSeesEveryField(t *testing.T) {
	const changes, unseen = true, false
	id := object.ID{5}
	type change struct {
		seen bool
		do   func(*world)
	}
	type table map[string]change
	ofProc := func(do func(*proc)) func(*world) { return func(w *world) { do(w.procs[0]) } }
	ofRepair := func(do func(*proc)) func(*world) { return func(w *world) { do(w.procs[w.repairs(0)]) } }
	ofMessage := func(k kind, do func(*message)) func(*world) {
		return func(w *world) { do(&w.msgs[slices.IndexFunc(w.msgs, func(m message) bool { return m.kind == k })]) }
	}
	for typ, fields := range map[reflect.Type]table{
		reflect.TypeFor[world](): {
			"sc":      {unseen, func(w *world) { sc := *w.sc; sc.Name = "x"; w.sc = &sc }}, // one search, one scenario
			"now":     {changes, func(w *world) { w.now += time.Second }},                  // all ages
			"row":     {changes, func(w *world) { w.row = nil }},
			"servers": {changes, func(w *world) { w.servers[1].seen.Size++ }},
			"procs":   {changes, func(w *world) { w.procs[0] = &proc{} }},
			"msgs":    {changes, func(w *world) { w.msgs = w.msgs[1:] }},
			"dead":    {changes, func(w *world) { w.dead[1] = true }},
			"left":    {changes, func(w *world) { w.left.Mute++ }},
			"heir":    {changes, func(w *world) { w.heir = 0 }},
			"sym":     {unseen, func(w *world) { sym := *w.sym; w.sym = &sym }}, // a scenario's
			"due":     {changes, func(w *world) { w.due += time.Hour }},
			"clients": {changes, func(w *world) { w.clients[1] = over }},
			"reg":     {changes, func(w *world) { w.reg.pending[1] = true }},
			"truth":   {changes, func(w *world) { w.truth.decided[1] = true }},
			"fresh":   {unseen, func(w *world) { w.fresh++ }},
			"order":   {unseen, func(w *world) { w.order++ }},
			"every":   {unseen, func(w *world) { w.every = true }}, // of the whole search
			"stepped": {unseen, func(w *world) { w.stepped = 7 }},
			"trace":   {unseen, func(w *world) { w.trace = func(string, ...any) {} }},
			"err":     {unseen, func(w *world) { w.err = fmt.Errorf("x") }},
		},
		reflect.TypeFor[server](): {
			"seen":    {changes, func(w *world) { w.servers[0].seen.ID = id }},
			"started": {changes, func(w *world) { w.servers[0].started = 100 }},
		},
		reflect.TypeFor[truth](): {
			"last":    {changes, func(w *world) { w.truth.last += 1 << 40 }},
			"lastID":  {changes, func(w *world) { w.truth.lastID = id }},
			"decided": {changes, func(w *world) { w.truth.decided[0] = true }},
			"failed":  {changes, func(w *world) { w.truth.failed[0] = true }},
		},
		reflect.TypeFor[proc](): {
			"gateway": {unseen, ofProc(func(p *proc) { p.gateway = 3 })}, // a place's, for ever
			"client":  {unseen, ofProc(func(p *proc) { p.client = 1 })},  // likewise
			"write":   {changes, ofProc(func(p *proc) { p.write = commit.NewWrite(commit.Config{}, p.op) })},
			"read":    {changes, ofProc(func(p *proc) { p.write, p.read = nil, commit.NewRead(commit.Config{}) })},
			"repair":  {changes, ofProc(func(p *proc) { p.write, p.repair = nil, commit.NewRepair(commit.Config{}) })},
			"op":      {changes, ofProc(func(p *proc) { p.op.ID = id })},
			"timers":  {changes, ofProc(func(p *proc) { p.timers = append(p.timers, timer{1, 99 * time.Second}) })},
			"intent":  {changes, ofProc(func(p *proc) { p.intent.set = !p.intent.set })},
			"started": {changes, ofProc(func(p *proc) { p.started[0] = 100 })},
			"sources": {changes, ofProc(func(p *proc) { p.sources = replicas })},
			"served": {changes, func(w *world) {
				w.procs[1].read = commit.NewRead(commit.Config{})
				before := w.id(&encoder{full: true})
				w.procs[1].served[0].Size++
				if w.id(&encoder{full: true}) == before {
					t.Error("served is not seen")
				}
			}},
			"told":    {changes, ofProc(func(p *proc) { p.told = true })},
			"memory":  {changes, ofRepair(func(p *proc) { p.memory.Nonce = id })},
			"lent":    {unseen, ofRepair(func(p *proc) { p.lent = nil })},
			"copies":  {changes, ofRepair(func(p *proc) { p.copies = !p.copies })},
			"waiters": {changes, ofRepair(func(p *proc) { p.waiters = append(p.waiters, 0) })},
		},
		reflect.TypeFor[message](): {
			"kind":    {changes, ofMessage(swapped, func(m *message) { m.kind = body })},
			"proc":    {changes, ofMessage(swapped, func(m *message) { m.proc++ })},
			"replica": {changes, ofMessage(request, func(m *message) { m.replica = 1 })},
			"late":    {changes, ofMessage(request, func(m *message) { m.late = true })},
			"silent":  {changes, ofMessage(request, func(m *message) { m.silent = true })},
			"or": {changes, func(w *world) {
				w.send(message{kind: look, proc: 1})
				before := w.id(&encoder{full: true})
				w.msgs[slices.IndexFunc(w.msgs, func(m message) bool { return m.kind == look })].or = true
				if w.id(&encoder{full: true}) == before {
					t.Error("or is not seen")
				}
			}},
			"op":      {changes, ofMessage(request, func(m *message) { m.op = id })},
			"at":      {changes, ofMessage(request, func(m *message) { m.at += time.Second })},
			"row":     {changes, ofMessage(swap, func(m *message) { m.row = nil })},
			"old":     {changes, ofMessage(swap, func(m *message) { m.old = oplog.Epoch{9} })},
			"epoch":   {changes, ofMessage(swapped, func(m *message) { m.epoch = oplog.Epoch{9} })},
			"outcome": {changes, ofMessage(swapped, func(m *message) { m.outcome = commit.Unknown })},
			"put":     {changes, ofMessage(request, func(m *message) { m.put.Size++ })},
			"ver":     {changes, ofMessage(request, func(m *message) { m.ver += 1 << 40 })},
			"started": {changes, ofMessage(request, func(m *message) { m.started = 100 })},
			"answer":  {changes, ofMessage(answered, func(m *message) { m.answer.Class = commit.No })},
		},
		reflect.TypeFor[timer](): {
			"t":  {changes, ofProc(func(p *proc) { p.timers[0].t++ })},
			"at": {changes, ofProc(func(p *proc) { p.timers[0].at += time.Second })},
		},
		reflect.TypeFor[moment](): {
			"at":  {changes, ofProc(func(p *proc) { p.intent = moment{time.Second, true} })},
			"set": {changes, ofProc(func(p *proc) { p.intent.set = !p.intent.set })},
		},
		reflect.TypeFor[register](): {
			"pending": {changes, func(w *world) { w.reg.pending[1] = true }},
			"now":     {changes, func(w *world) { w.reg.now = vNothing }},
			"took":    {changes, func(w *world) { w.reg.took[1] = true }},
			"might":   {changes, func(w *world) { w.reg.might[0] = 1 }},
		},
		reflect.TypeFor[commit.Memory](): {
			"Nonce":   {changes, ofRepair(func(p *proc) { p.memory.Nonce = id })},
			"Since":   {changes, ofRepair(func(p *proc) { p.memory.Nonce, p.memory.Since = object.ID{7}, bootBase+time.Second })},
			"Series":  {changes, ofRepair(func(p *proc) { p.memory.Series = nil })},
			"Seen":    {changes, ofRepair(func(p *proc) { p.memory.Seen = nil })},
			"Refused": {unseen, ofRepair(func(p *proc) { p.memory.Refused = map[string]commit.Refused{"A": {Tries: 1}} })}, // no scenario has Times.Refused
		},
		reflect.TypeFor[commit.Series](): {
			"Begun": {changes, ofRepair(func(p *proc) {
				p.memory.Series = map[string]commit.Series{"A": {Begun: bootBase - time.Second, Last: bootBase}}
			})},
			"Last": {changes, ofRepair(func(p *proc) {
				p.memory.Series = map[string]commit.Series{"A": {Begun: bootBase, Last: bootBase - time.Second}}
			})},
		},
	} {
		for i := range typ.NumField() {
			name := typ.Field(i).Name
			c, ok := fields[name]
			if !ok {
				t.Errorf("%s.%s is not in the table: is it in the canonical form?", typ.Name(), name)
				continue
			}
			w := oneOfEverything(t)
			before := w.id(&encoder{full: true})
			c.do(w)
			if changed := w.id(&encoder{full: true}) != before; changed != c.seen {
				t.Errorf("%s.%s: another state %v, want %v", typ.Name(), name, changed, c.seen)
			}
		}
	}
}

// oneOfEverything is a state with a writer, a visit, a row, and one message of each
// kind that carries something.
func oneOfEverything(t *testing.T) *world {
	t.Helper()
	w := newWorld(scenario("stream, get", "no fault", "start-ordered"))
	w.do(move{kind: invoke})
	for len(w.msgs) > 0 && w.msgs[0].kind != request {
		w.do(move{kind: deliver})
	}
	if w.row == nil || len(w.msgs) != 2 {
		t.Fatalf("not where the writer was to be: %s", rowText(w.row))
	}
	w.examine(w.repairs(0), object.ID{}, true)
	r := w.own(w.repairs(0))
	r.memory.Series = map[string]commit.Series{"A": {Begun: bootBase, Last: bootBase}}
	r.memory.Seen = map[commit.EntryKey]time.Duration{{Op: writer(0), Replica: "A"}: bootBase}
	w.own(0)
	w.send(message{kind: swap, proc: w.repairs(0), row: w.row, at: w.now, old: w.row.Epoch, epoch: oplog.Epoch{8}})
	w.send(message{kind: swapped, proc: 0, epoch: w.row.Epoch})
	w.send(message{kind: answered, proc: 0})
	if w.err != nil {
		t.Fatal(w.err)
	}
	return w
}

// TestMapsHaveOneForm: a map is written by what it holds.
func TestMapsHaveOneForm(t *testing.T) {
	w := newWorld(scenario("put, get", "no fault", ""))
	e := &encoder{}
	w.id(e)
	write := func(m map[string]string) string {
		e.out = nil
		of(e, &m)
		return string(e.out)
	}
	a := write(map[string]string{"A": "one", "B": "two"})
	for range 20 {
		if write(map[string]string{"B": "two", "A": "one"}) != a {
			t.Fatal("one map has two forms")
		}
	}
	if write(map[string]string{"A": "two", "B": "one"}) == a || !strings.Contains(a, "two") {
		t.Error("two maps have one form")
	}
}
