package explore

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// TestReductionsHideNothing searches scenarios that are small enough without any
// reduction, and holds what the reductions leave against it.
//
// The canonical form must take exactly those states for one from which the same
// follows: each state that the full search meets has a name that the reduced one
// meets as well. A symmetry that is none, or a field that still counts, would leave
// names that only the full search meets, for of two states that have one name only
// one is followed.
//
// With the orders left out as well every state must be one of those, and every end
// is still met.
func TestReductionsHideNothing(t *testing.T) {
	list := []*Scenario{
		scenario("put, get", "crash", ""), scenario("stream, get", "late", ""), scenario("create, get", "mute", ""),
		scenario("delete, get", "cut", ""), scenario("put, get", "unknown", ""), scenario("put, get", "hurry", ""),
		scenario("create, create", "unknown", ""), scenario("replace, delete if", "cut", ""), scenario("put, put", "no fault", ""),
		scenario("put, delete", "no fault", ""), scenario("stream, put", "no fault", "start-ordered"), scenario("stream, stream", "no fault", ""),
		scenario("put, put", "no fault", "slow clock"), scenario("create, create", "cut", "one process"),
	}
	switch {
	case testing.Short():
		list = list[:2]
	case *whole:
		list = all()
	}
	for _, sc := range list {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			reduced(t, sc, 400_000)
		})
	}
}

func reduced(t *testing.T, sc *Scenario, most int) {
	var enc encoder
	names, ends := map[stateID]bool{}, map[stateID]bool{}
	full := newSearch(Options{Full: true, Every: true, MaxStates: most})
	full.each = func(w *world, end bool) {
		id := w.id(&enc)
		names[id] = true
		if end {
			ends[id] = true
		}
	}
	if full.run(sc); full.Err != nil {
		t.Skipf("%v, in the search without reductions", full.Err)
	}
	for _, every := range []bool{true, false} {
		s := newSearch(Options{Every: every})
		met := map[stateID]bool{}
		s.each = func(w *world, _ bool) {
			id := w.id(&enc)
			met[id] = true
			if !names[id] {
				t.Error("the reduced search meets a state that the full one does not meet")
			}
		}
		if s.run(sc); s.Err != nil {
			t.Error(s.Err)
		}
		t.Logf("%d states of %d, every order %v", s.States, full.States, every)
		must := names
		if !every {
			must = ends
		}
		for id := range must {
			if !met[id] {
				t.Fatalf("a state that the full search meets is never met, of %d; every order: %v", len(must), every)
			}
		}
	}
}

// TestTheStatesAreCommits: which fields of a machine count depends on its state, and
// package commit keeps the names of those to itself.
func TestTheStatesAreCommits(t *testing.T) {
	of := map[string]int{}
	for _, file := range []string{"write.go", "read.go", "repair.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), "../commit/"+file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST && len(g.Specs) > 1 {
				for i, s := range g.Specs {
					of[s.(*ast.ValueSpec).Names[0].Name] = i
				}
			}
		}
	}
	for name, is := range map[string]int{
		"wVerdict": wVerdict, "wBody": wBody, "wRepair": wRepair, "wIntent": wIntent, "wUndo": wUndo, "wUndoRead": wUndoRead,
		"wAnswers": wAnswers, "wSwap": wSwap, "wReread": wReread, "rQuiet": rQuiet, "rSecond": rSecond, "rConfirm": rConfirm,
		"rHold": rHold, "rOpen": rOpen, "rBase": rBase, "rHelp": rHelp, "pHeads": pHeads, "pSwap": pSwap, "pCopy": pCopy,
	} {
		if n, ok := of[name]; !ok || n != is {
			t.Errorf("%s is %d here, and %d (%v) in commit", name, is, n, ok)
		}
	}
}

// TestNamesAreExchanged: the form of a word follows the replicas and the writers.
func TestNamesAreExchanged(t *testing.T) {
	w := newWorld(scenario("put, put", "no fault", ""))
	if len(w.sym.all) != 4 {
		t.Fatalf("%d namings, want 4", len(w.sym.all))
	}
	form := func(by *naming, s string) string {
		e := encoder{by: by}
		e.string(s)
		return string(e.out)
	}
	plain, both := &w.sym.all[0], &w.sym.all[3]
	one, two := etagOf(writer(0)), etagOf(writer(1))
	for _, pair := range [][2]string{{"A", "B"}, {one, two}, {halfOf(one), halfOf(two)}, {baseETag, baseETag}, {"NoSuchKey", "NoSuchKey"}} {
		if form(plain, pair[0]) != form(both, pair[1]) || form(plain, pair[1]) != form(both, pair[0]) {
			t.Errorf("%v are not exchanged", pair)
		}
	}
	seen := map[string]string{}
	for _, s := range []string{"A", "B", one, two, halfOf(one), halfOf(two), baseETag, halfOf(baseETag), "NoSuchKey", ""} {
		if other, ok := seen[form(plain, s)]; ok {
			t.Errorf("%q and %q have one form", s, other)
		}
		seen[form(plain, s)] = s
	}
}
