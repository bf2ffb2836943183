package explore

import (
	"reflect"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// The machines of package commit keep their state to themselves. It is read here,
// every field of it, by reflection: a field that is added is in the canonical form
// by itself, and a type that nobody thought of stops the search.

// form appends the canonical form of the value at an address. It is compiled once
// per type: a search spends most of its time here, and package reflect is slow.
type form func(e *encoder, p unsafe.Pointer)

// of encodes what a pointer points to.
func of[T any](e *encoder, p *T) { formOf(reflect.TypeFor[T]())(e, unsafe.Pointer(p)) } //nolint:gosec // read only

var (
	formsMu sync.RWMutex
	forms   = map[reflect.Type]form{} // guarded by formsMu
)

func formOf(t reflect.Type) form {
	formsMu.RLock()
	f, ok := forms[t]
	formsMu.RUnlock()
	if ok {
		return f
	}
	f = compile(t)
	formsMu.Lock()
	forms[t] = f
	formsMu.Unlock()
	return f
}

// ignored are fields that no decision reads: they are for people, and differ with
// every schedule. Slow is a length and no moment, and always 0 here: no scenario has a
// request on which a backend works for long. What rows and repairs say of tags means
// nothing where no replica keeps any, and here none does.
var ignored = map[reflect.Type][]string{
	reflect.TypeFor[object.Info]():   {"ModTime"},
	reflect.TypeFor[oplog.Entry]():   {"Added", "Slow"},
	reflect.TypeFor[oplog.Intent]():  {"Slow"},
	reflect.TypeFor[commit.Op]():     {"Slow"},
	reflect.TypeFor[oplog.Row]():     {"Tagged", "Tagging", "Mistagged", "Bare", "Rotten", "Sumless"},
	reflect.TypeFor[commit.Repair](): {"mem", "told", "dumb", "mended"}, // mem is lent for a step; it is the proc's
}

func compile(t reflect.Type) form {
	if f := word(t); f != nil {
		return f
	}
	switch t.Kind() {
	case reflect.Bool:
		return func(e *encoder, p unsafe.Pointer) { e.bool(*(*bool)(p)) }
	case reflect.Uint8:
		return func(e *encoder, p unsafe.Pointer) { e.byte(*(*byte)(p)) }
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return func(e *encoder, p unsafe.Pointer) { e.int(*(*int64)(p)) }
	case reflect.String:
		return func(e *encoder, p unsafe.Pointer) { e.string(*(*string)(p)) }
	case reflect.Func:
		return func(*encoder, unsafe.Pointer) {} // a client's condition: constant for the life of a machine
	case reflect.Pointer:
		return pointerForm(t)
	case reflect.Slice:
		return listForm(t)
	case reflect.Array:
		return arrayForm(t)
	case reflect.Struct:
		return structForm(t)
	}
	panic("explore: no canonical form of " + t.String())
}

// word is the form of a type whose values mean something by themselves, or nil.
func word(t reflect.Type) form {
	switch t {
	case reflect.TypeFor[commit.Config]():
		return func(*encoder, unsafe.Pointer) {} // constant for the life of a machine, and its gateway's
	case reflect.TypeFor[object.ID]():
		return func(e *encoder, p unsafe.Pointer) { e.id(*(*object.ID)(p)) }
	case reflect.TypeFor[oplog.Epoch]():
		return func(e *encoder, p unsafe.Pointer) { e.epoch(*(*oplog.Epoch)(p)) }
	case reflect.TypeFor[object.Version]():
		return func(e *encoder, p unsafe.Pointer) { e.version(*(*object.Version)(p)) }
	case reflect.TypeFor[time.Duration]():
		return func(e *encoder, p unsafe.Pointer) { e.boot(*(*time.Duration)(p)) } // see TestEveryDurationIsAMoment
	case reflect.TypeFor[time.Time]():
		return func(e *encoder, p unsafe.Pointer) { e.wall(sinceWall0(*(*time.Time)(p))) }
	case reflect.TypeFor[object.Replicas]():
		return func(e *encoder, p unsafe.Pointer) { e.set(*(*object.Replicas)(p)) }
	case reflect.TypeFor[[]oplog.Entry]():
		return entriesForm
	case reflect.TypeFor[[]oplog.Refusal]():
		return refusalsForm
	case reflect.TypeFor[map[string]string]():
		return byReplica[string]
	case reflect.TypeFor[map[string]object.Seen]():
		return byReplica[object.Seen]
	case reflect.TypeFor[object.Tags]():
		return func(_ *encoder, p unsafe.Pointer) {
			if len(*(*object.Tags)(p)) > 0 {
				panic("explore: no canonical form of tags")
			}
		}
	case reflect.TypeFor[object.Headers]():
		return func(_ *encoder, p unsafe.Pointer) {
			if len(*(*object.Headers)(p)) > 0 {
				panic("explore: no canonical form of headers")
			}
		}
	}
	return nil
}

func sinceWall0(t time.Time) (d time.Duration, ok bool) { return t.Sub(wall0), !t.IsZero() }

// set writes which replicas are in a set.
func (e *encoder) set(s object.Replicas) {
	b := byte(0)
	for _, r := range s {
		b |= 1 << e.by.index(r)
	}
	e.byte(b)
}

func byReplica[V any](e *encoder, p unsafe.Pointer) {
	m := *(*map[string]V)(p)
	e.int(int64(len(m)))
	if len(m) == 0 {
		return
	}
	for k := range replicas {
		v, ok := m[replicas[e.by.replica(k)]]
		if e.bool(ok); ok {
			of(e, &v)
		}
	}
}

// entriesForm writes the entries of each replica in their order: no decision asks
// for the order of those of different replicas.
func entriesForm(e *encoder, p unsafe.Pointer) {
	list := *(*[]oplog.Entry)(p)
	e.int(int64(len(list)))
	for k := range replicas {
		for i := range list {
			if list[i].Replica == replicas[e.by.replica(k)] || e.full && k == 0 {
				of(e, &list[i])
			}
		}
		if e.full {
			return
		}
	}
}

// ownerForm leaves the owner of an intent out where nobody asks for it: only who
// has the log to itself does.
func ownerForm(e *encoder, p unsafe.Pointer) {
	if e.full || e.sc.Exclusive {
		e.string(*(*string)(p))
	}
}

func refusalsForm(e *encoder, p unsafe.Pointer) {
	list := *(*[]oplog.Refusal)(p)
	e.int(int64(len(list)))
	for k := range replicas {
		for i := range list {
			if list[i].Replica == replicas[e.by.replica(k)] {
				of(e, &list[i])
			}
		}
	}
}

func pointerForm(t reflect.Type) form {
	of := formOf(t.Elem())
	return func(e *encoder, p unsafe.Pointer) {
		to := *(*unsafe.Pointer)(p)
		e.bool(to != nil)
		if to != nil {
			of(e, to)
		}
	}
}

func listForm(t reflect.Type) form {
	of, size := formOf(t.Elem()), t.Elem().Size()
	return func(e *encoder, p unsafe.Pointer) {
		list := *(*[]struct{})(p) // of the same length, whatever is in it
		e.int(int64(len(list)))
		at := unsafe.Pointer(unsafe.SliceData(list)) //nolint:gosec // read only
		for i := range list {
			of(e, unsafe.Add(at, uintptr(i)*size)) //nolint:gosec // within the list
		}
	}
}

func arrayForm(t reflect.Type) form {
	of, n, size := formOf(t.Elem()), t.Len(), t.Elem().Size()
	return func(e *encoder, p unsafe.Pointer) {
		for i := range n {
			of(e, unsafe.Add(p, uintptr(i)*size)) //nolint:gosec // within the array
		}
	}
}

func structForm(t reflect.Type) form {
	var fields []field
	for i := range t.NumField() {
		if f := t.Field(i); !slices.Contains(ignored[t], f.Name) {
			fields = append(fields, field{f.Offset, fieldForm(t, f), lifeOf(t, f.Name)})
		}
	}
	whole := func(e *encoder, p unsafe.Pointer) {
		for i := range fields {
			fields[i].write(e, p)
		}
	}
	if t == reflect.TypeFor[oplog.Row]() {
		return rowForm(whole)
	}
	return whole
}

type field struct {
	at   uintptr
	of   form
	life func(e *encoder, whole unsafe.Pointer) life // nil: it always counts
}

func (f *field) write(e *encoder, whole unsafe.Pointer) {
	at := unsafe.Add(whole, f.at) //nolint:gosec // within the struct
	if f.life == nil || e.full {
		f.of(e, at)
		return
	}
	switch f.life(e, whole) {
	case lives:
		f.of(e, at)
	case ifSet:
		e.bool(*(*unsafe.Pointer)(at) != nil)
	case epochs:
		epochForm(e, *(**oplog.Row)(at))
	case dies:
	}
}

// fieldForm is that of a field, which a few of them have of their own.
func fieldForm(t reflect.Type, f reflect.StructField) form {
	of := formOf(f.Type)
	switch {
	case t == reflect.TypeFor[oplog.Intent]() && f.Name == "Owner":
		return ownerForm
	case t == reflect.TypeFor[oplog.Row]() && (f.Name == "Changed" || f.Name == "Epoch" || f.Name == "Cfg"):
		return func(e *encoder, p unsafe.Pointer) {
			if !e.own {
				of(e, p)
			}
		}
	case t == reflect.TypeFor[object.Seen]() && f.Name == "Uploaded":
		return uploadedForm
	case t == reflect.TypeFor[commit.Read]() && f.Name == "row":
		return func(e *encoder, p unsafe.Pointer) {
			row := *(**oplog.Row)(p)
			if !e.full && row != nil && readState.of(unsafe.Pointer(e.proc.read)) == rHold { //nolint:gosec // read only
				heldForm(e, row)
				return
			}
			of(e, p)
		}
	}
	return of
}
