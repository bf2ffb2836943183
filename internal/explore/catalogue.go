package explore

import (
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
)

// cast is who comes to a key, and what both replicas hold before. In which order
// they come is the search's business: PUT and DELETE is DELETE and PUT as well.
type cast struct {
	name    string
	base    Base
	clients []Client // each on a gateway of its own
}

var casts = []cast{
	{"put, get", Small, []Client{{Do: Put}, {Do: Get}}},
	{"delete, get", Small, []Client{{Do: Delete}, {Do: Get}}},
	{"create, get", Nothing, []Client{{Do: Put, If: Absent}, {Do: Get}}},
	{"stream, get", Foreign, []Client{{Do: Put, Stream: true}, {Do: Get}}},
	{"stream, head", Nothing, []Client{{Do: Put, Stream: true}, {Do: Head}}},
	{"create, create", Nothing, []Client{{Do: Put, If: Absent}, {Do: Put, If: Absent}}},
	{"replace, delete if", Foreign, []Client{{Do: Put, If: Matches}, {Do: Delete, If: Matches}}},
	{"put, put", Small, []Client{{Do: Put}, {Do: Put}}},
	{"put, delete", Small, []Client{{Do: Put}, {Do: Delete}}},
	{"create, delete", Nothing, []Client{{Do: Put, If: Absent}, {Do: Delete}}},
	{"stream, put", Small, []Client{{Do: Put, Stream: true}, {Do: Put}}},
	{"stream, delete", Foreign, []Client{{Do: Put, Stream: true}, {Do: Delete}}},
	{"stream, stream", Nothing, []Client{{Do: Put, Stream: true}, {Do: Put, Stream: true}}},
	{"put, put, get", Small, []Client{{Do: Put}, {Do: Put}, {Do: Get}}},
	{"put, delete, get", Small, []Client{{Do: Put}, {Do: Delete}, {Do: Get}}},
	{"create, create, get", Nothing, []Client{{Do: Put, If: Absent}, {Do: Put, If: Absent}, {Do: Get}}},
	{"replace, delete if, get", Foreign, []Client{{Do: Put, If: Matches}, {Do: Delete, If: Matches}, {Do: Get}}},
	{"stream, delete, get", Foreign, []Client{{Do: Put, Stream: true}, {Do: Delete}, {Do: Get}}},
	{"stream, put, get", Small, []Client{{Do: Put, Stream: true}, {Do: Put}, {Do: Get}}},
}

// faults are what may happen on a path, once each.
var faults = []struct {
	name string
	f    Faults
}{
	{"no fault", Faults{}},
	{"late", Faults{Late: 1}},
	{"cut", Faults{Cut: 1}},
	{"refuse", Faults{Refuse: 1}},
	{"unknown", Faults{Unknown: 1}},
	{"mute", Faults{Mute: 1}},
	{"halve", Faults{Halve: 1}},
	{"hurry", Faults{Hurry: 1}},
	{"crash", Faults{Crash: 1}},
	{"crash, late", Faults{Crash: 1, Late: 1}},
	{"crash, cut", Faults{Crash: 1, Cut: 1}},
	{"crash, unknown", Faults{Crash: 1, Unknown: 1}},
	{"cut, refuse", Faults{Cut: 1, Refuse: 1}},
	{"hurry thrice", Faults{Hurry: 3}},
	{"cut, mute", Faults{Cut: 1, Mute: 1}},
}

// turns are worlds that differ from the plain one.
var turns = []struct {
	name string
	turn func(*Scenario)
}{
	{"", func(*Scenario) {}},
	{"watched", func(sc *Scenario) { sc.Watched = true }},
	{"ack 2", func(sc *Scenario) { sc.Ack = 2 }},
	{"start-ordered", func(sc *Scenario) { sc.StartOrdered = replicas }},
	{"start-ordered B, stream heals", func(sc *Scenario) { sc.StartOrdered, sc.StreamHeals = object.NewReplicas("B"), true }},
	{"one replica each", func(sc *Scenario) { sc.Clients[0].Up, sc.Clients[1].Up = "A", "B" }},
	{"slow clock", func(sc *Scenario) { sc.Skew = -900 * time.Millisecond }},
	{"one process", func(sc *Scenario) {
		sc.Exclusive = true
		for i := range sc.Clients {
			sc.Clients[i].Gateway = 0
		}
	}},
	{"one process, restarted", func(sc *Scenario) {
		sc.Exclusive = true
		for i := range sc.Clients {
			sc.Clients[i].Gateway = min(i, 1)
			sc.Clients[i].Restarted = i > 0
		}
	}},
}

// scenario builds one of the catalogue by the names of its parts.
func scenario(who, fault, turn string) *Scenario {
	c := casts[slices.IndexFunc(casts, func(c cast) bool { return c.name == who })]
	sc := &Scenario{Name: who + " / " + fault, Base: c.base, Ack: 1, Clients: slices.Clone(c.clients)}
	for i := range sc.Clients {
		sc.Clients[i].Gateway = i
	}
	for _, f := range faults {
		if f.name == fault {
			sc.Faults = f.f
		}
	}
	for _, t := range turns {
		if t.name == turn {
			t.turn(sc)
		}
	}
	if turn != "" {
		sc.Name += " / " + turn
	}
	return sc
}

// catalogue lists the combinations of the named parts.
func catalogue(who, fault, turn []string) []*Scenario {
	var out []*Scenario
	for _, c := range casts {
		for _, f := range faults {
			for _, t := range turns {
				if slices.Contains(who, c.name) && slices.Contains(fault, f.name) && slices.Contains(turn, t.name) {
					out = append(out, scenario(c.name, f.name, t.name))
				}
			}
		}
	}
	return out
}
