package grant

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// field is one field of the struct T and its place in the document.
type field[T any] struct {
	path  []string
	value func(*T) any       // the value in the document, nil for a zero value
	set   func(*T, any) bool // the inverse, false for a value of a wrong type
}

// newField returns a field whose value write converts for the document, and read
// converts back. They must copy values that could be shared.
func newField[T, V any](of func(*T) *V, write func(V) any, read func(any) (V, bool), path ...string) field[T] {
	return field[T]{
		path:  path,
		value: func(from *T) any { return write(*of(from)) },
		set: func(into *T, v any) (ok bool) {
			*of(into), ok = read(v)
			return ok
		},
	}
}

func text[T any, S ~string](of func(*T) *S, path ...string) field[T] {
	write := func(s S) any { return orNil(string(s), s == "") }
	read := func(v any) (S, bool) { s, ok := v.(string); return S(s), ok }
	return newField(of, write, read, path...)
}

func number[T any, N int | int64](of func(*T) *N, path ...string) field[T] {
	write := func(n N) any { return orNil(int64(n), n == 0) }
	read := func(v any) (N, bool) { n, ok := v.(int64); return N(n), ok }
	return newField(of, write, read, path...)
}

func flag[T any](of func(*T) *bool, path ...string) field[T] {
	write := func(b bool) any { return orNil(b, !b) }
	read := func(v any) (bool, bool) { b, ok := v.(bool); return b, ok }
	return newField(of, write, read, path...)
}

func moment[T any](of func(*T) *time.Time, path ...string) field[T] {
	cut := func(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
	write := func(t time.Time) any { return orNil(cut(t), cut(t).IsZero()) }
	read := func(v any) (time.Time, bool) { t, ok := v.(time.Time); return cut(t), ok }
	return newField(of, write, read, path...)
}

func sealed[T any](of func(*T) *[]byte, path ...string) field[T] {
	clone := func(b []byte) []byte { return append([]byte(nil), b...) }
	write := func(b []byte) any { return orNil(clone(b), len(b) == 0) }
	read := func(v any) ([]byte, bool) { b, ok := v.([]byte); return clone(b), ok }
	return newField(of, write, read, path...)
}

func list[T, E any](of func(*T) *[]E, element func(E) any, parse func(any) (E, bool), path ...string) field[T] {
	write := func(elements []E) any {
		var values []any
		for _, e := range elements {
			values = append(values, element(e))
		}
		return orNil(values, len(values) == 0)
	}
	read := func(v any) ([]E, bool) {
		values, ok := v.([]any)
		var elements []E
		for _, v := range values {
			e, fits := parse(v)
			elements, ok = append(elements, e), ok && fits
		}
		return elements, ok
	}
	return newField(of, write, read, path...)
}

func encodeAnnouncement(a Announcement) any { return encode(announcementFields, &a) }

func parseAnnouncement(v any) (a Announcement, ok bool) {
	doc, ok := v.(map[string]any)
	return a, ok && decode("", announcementFields, doc, &a) == nil
}

func encodeString(s string) any             { return s }
func parseString(v any) (s string, ok bool) { s, ok = v.(string); return s, ok }

// withZero returns f with zero stored where f would be absent.
func (f field[T]) withZero(zero any) field[T] {
	value := f.value
	f.value = func(from *T) any {
		if v := value(from); v != nil {
			return v
		}
		return zero
	}
	return f
}

func orNil(v any, zero bool) any {
	if zero {
		return nil
	}
	return v
}

func encode[T any](fields []field[T], from *T) map[string]any {
	doc := make(map[string]any, len(fields))
	for _, f := range fields {
		if v := f.value(from); v != nil {
			put(doc, f.path, v)
		}
	}
	return doc
}

// put stores v at path, and makes the maps on the way.
func put(doc map[string]any, path []string, v any) {
	for len(path) > 1 {
		next, ok := doc[path[0]].(map[string]any)
		if !ok {
			next = make(map[string]any)
			doc[path[0]] = next
		}
		doc, path = next, path[1:]
	}
	doc[path[0]] = v
}

// decode fills into from doc. Errors name the field, after prefix.
func decode[T any](prefix string, fields []field[T], doc map[string]any, into *T) error {
	for _, f := range fields {
		v, ok := find(doc, f.path)
		if v == nil {
			continue
		}
		if !ok || !f.set(into, v) {
			return wrongType(prefix+strings.Join(f.path, "."), v)
		}
	}
	return nil
}

// find returns the value of doc at path, or nil. If a value on the way is not a
// map, it returns that value and false.
func find(doc map[string]any, path []string) (any, bool) {
	for _, name := range path[:len(path)-1] {
		next, ok := submap(doc, name)
		if !ok {
			return doc[name], false
		}
		doc = next
	}
	return doc[path[len(path)-1]], true
}

// submap returns the map that doc holds under name, nil if there is none, and false
// if the value is not a map.
func submap(doc map[string]any, name string) (map[string]any, bool) {
	v := doc[name]
	if v == nil {
		return nil, true
	}
	inner, ok := v.(map[string]any)
	return inner, ok
}

func wrongType(path string, v any) error {
	return fmt.Errorf("grant: field %s: unreadable %T", path, v)
}

func diff[T any](under []string, fields []field[T], was, now *T) []Field {
	var changes []Field
	for _, f := range fields {
		v := f.value(now)
		if !reflect.DeepEqual(v, f.value(was)) {
			changes = append(changes, Field{Path: slices.Concat(under, f.path), Value: v})
		}
	}
	return changes
}
