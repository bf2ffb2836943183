package explore

import (
	"cmp"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// The machines of package commit keep their state to themselves. It is read here,
// every field of it, by reflection: a field that is added is in the canonical form
// by itself, and a type that nobody thought of stops the search.

// form appends the canonical form of a value. It is compiled once per type.
type form func(e *encoder, v reflect.Value)

// of encodes what a pointer points to.
func (e *encoder) of(p any) {
	v := reflect.ValueOf(p).Elem()
	formOf(v.Type())(e, v)
}

var forms sync.Map // reflect.Type -> form

func formOf(t reflect.Type) form {
	if f, ok := forms.Load(t); ok {
		return f.(form)
	}
	f := compile(t)
	forms.Store(t, f)
	return f
}

// ignored are fields that no decision reads: they are for people, and differ with
// every schedule. Slow is a length and no moment, and always 0 here: no scenario has a
// request on which a backend works for long.
var ignored = map[reflect.Type][]string{
	reflect.TypeFor[object.Info]():   {"ModTime"},
	reflect.TypeFor[oplog.Entry]():   {"Added", "Slow"},
	reflect.TypeFor[oplog.Intent]():  {"Slow"},
	reflect.TypeFor[commit.Op]():     {"Slow"},
	reflect.TypeFor[commit.Repair](): {"mem"}, // lent for a step; it is the proc's
}

func compile(t reflect.Type) form {
	if f := word(t); f != nil {
		return f
	}
	switch t.Kind() {
	case reflect.Bool:
		return func(e *encoder, v reflect.Value) { e.bool(v.Bool()) }
	case reflect.Uint8:
		return func(e *encoder, v reflect.Value) { e.byte(byte(v.Uint())) } //nolint:gosec // it is one
	case reflect.Int, reflect.Int64:
		return func(e *encoder, v reflect.Value) { e.int(v.Int()) }
	case reflect.Uint64:
		return func(e *encoder, v reflect.Value) { e.int(int64(v.Uint())) } //nolint:gosec // one to one
	case reflect.String:
		return func(e *encoder, v reflect.Value) { e.string(v.String()) }
	case reflect.Func:
		return func(*encoder, reflect.Value) {} // a client's condition: constant for the life of a machine
	case reflect.Pointer:
		return pointerForm(t)
	case reflect.Slice:
		return listForm(t)
	case reflect.Array:
		return arrayForm(t)
	case reflect.Map:
		return mapForm(t)
	case reflect.Struct:
		return structForm(t)
	}
	panic("explore: no canonical form of " + t.String())
}

// word is the form of a type whose values mean something by themselves, or nil.
func word(t reflect.Type) form {
	switch t {
	case reflect.TypeFor[commit.Config]():
		return func(*encoder, reflect.Value) {} // constant for the life of a machine, and its gateway's
	case reflect.TypeFor[object.ID]():
		return func(e *encoder, v reflect.Value) { e.id(bytes16(v)) }
	case reflect.TypeFor[oplog.Epoch]():
		return func(e *encoder, v reflect.Value) { e.epoch(bytes16(v)) }
	case reflect.TypeFor[object.Version]():
		return func(e *encoder, v reflect.Value) { e.version(object.Version(v.Uint())) }
	case reflect.TypeFor[time.Duration]():
		return func(e *encoder, v reflect.Value) { e.boot(time.Duration(v.Int())) } // see TestEveryDurationIsAMoment
	case reflect.TypeFor[time.Time]():
		return func(e *encoder, v reflect.Value) { e.wall(sinceWall0(v)) }
	}
	return nil
}

func bytes16(v reflect.Value) (id [16]byte) {
	if v.CanAddr() {
		copy(id[:], v.Bytes())
		return id
	}
	for i := range id {
		id[i] = byte(v.Index(i).Uint()) //nolint:gosec // it is one
	}
	return id
}

// sinceWall0 reads a time in a field of another package, where its methods cannot
// be called: whole seconds and nanoseconds, without a monotonic reading.
func sinceWall0(v reflect.Value) (d time.Duration, ok bool) {
	ns, s := v.Field(0).Uint(), v.Field(1).Int()
	if ns>>30 != 0 {
		panic("explore: a time with a monotonic reading")
	}
	if ns == 0 && s == 0 {
		return 0, false
	}
	base := reflect.ValueOf(wall0)
	return time.Duration(s-base.Field(1).Int())*time.Second + time.Duration(ns), true //nolint:gosec // below a second
}

func pointerForm(t reflect.Type) form {
	of := formOf(t.Elem())
	return func(e *encoder, v reflect.Value) {
		e.bool(!v.IsNil())
		if !v.IsNil() {
			of(e, v.Elem())
		}
	}
}

func listForm(t reflect.Type) form {
	of := formOf(t.Elem())
	return func(e *encoder, v reflect.Value) {
		n := v.Len()
		e.int(int64(n))
		for i := range n {
			of(e, v.Index(i))
		}
	}
}

func arrayForm(t reflect.Type) form {
	of, n := formOf(t.Elem()), t.Len()
	return func(e *encoder, v reflect.Value) {
		for i := range n {
			of(e, v.Index(i))
		}
	}
}

// mapForm writes the entries in the order of their keys. Maps whose keys are no
// strings are written by hand (encoder.memory).
func mapForm(t reflect.Type) form {
	if t.Key().Kind() != reflect.String {
		panic("explore: no canonical order of " + t.String())
	}
	of := formOf(t.Elem())
	return func(e *encoder, v reflect.Value) {
		e.int(int64(v.Len()))
		if v.Len() == 0 {
			return
		}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
		for _, k := range keys {
			e.string(k.String())
			of(e, v.MapIndex(k))
		}
	}
}

func structForm(t reflect.Type) form {
	type field struct {
		i  int
		of form
	}
	var fields []field
	for i := range t.NumField() {
		if f := t.Field(i); !slices.Contains(ignored[t], f.Name) {
			fields = append(fields, field{i, formOf(f.Type)})
		}
	}
	return func(e *encoder, v reflect.Value) {
		for _, f := range fields {
			f.of(e, v.Field(f.i))
		}
	}
}
