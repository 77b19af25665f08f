package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// required is the default of what has none.
const required = "\x00required"

// reader reads one object of the settings, and notes what is wrong with it
// instead of stopping there. As Terraform does, it takes null for not given,
// a number for a text, and a text that is a number for one.
type reader struct {
	path   string         // "regions.EU." in front of names
	values map[string]any // nil where no object is: that has been said
	faults *[]string
	known  map[string]bool // names that were asked for
}

func newReader(path string, values map[string]any, faults *[]string) *reader {
	return &reader{path: path, values: values, faults: faults, known: map[string]bool{}}
}

func (r *reader) fault(name, rule string, args ...any) {
	*r.faults = append(*r.faults, r.path+name+": "+fmt.Sprintf(rule, args...))
}

// value returns what is given by this name, nil if nothing is.
func (r *reader) value(name string) any {
	r.known[name] = true
	return r.values[name]
}

func (r *reader) missing(name string) bool { return r.value(name) == nil }

func (r *reader) text(name, otherwise string) string {
	switch value := r.value(name).(type) {
	case nil:
		if otherwise == required && r.values == nil {
			return ""
		}
		if otherwise == required {
			r.fault(name, "is missing")
			return ""
		}
		return otherwise
	case string:
		if strings.Contains(value, mark) {
			r.fault(name, "must not have the character DEL")
		}
		return value
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64)
	default:
		r.fault(name, "must be a text")
		return ""
	}
}

func (r *reader) number(name string, otherwise int) int {
	if r.missing(name) {
		return otherwise
	}
	n, err := strconv.Atoi(r.text(name, ""))
	if err != nil {
		r.fault(name, "must be a whole number")
	}
	return n
}

// oneOf returns a text that is one of the values, the first of which is the
// default.
func (r *reader) oneOf(name string, values ...string) string {
	value := r.text(name, values[0])
	if !slices.Contains(values, value) {
		r.fault(name, "must be one of %v", values)
	}
	return value
}

func (r *reader) list(name string) []string {
	given, ok := r.value(name).([]any)
	if !ok && !r.missing(name) {
		r.fault(name, "must be a list of texts")
	}
	var texts []string
	for _, one := range given {
		text, ok := one.(string)
		if !ok {
			r.fault(name, "must be a list of texts")
		}
		texts = append(texts, text)
	}
	return texts
}

// object returns a reader of the object by this name, which must be there.
func (r *reader) object(name string) *reader {
	values, ok := r.value(name).(map[string]any)
	switch {
	case r.missing(name):
		r.fault(name, "is missing")
	case !ok:
		r.fault(name, "must be an object")
	}
	return newReader(r.path+name+".", values, r.faults)
}

// refuseOthers names what is in the object and was not asked for. Call it last.
func (r *reader) refuseOthers() {
	for _, name := range slices.Sorted(maps.Keys(r.values)) {
		if !r.known[name] {
			r.fault(name, "there is no such setting")
		}
	}
}
