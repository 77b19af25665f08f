package alexa

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// shape says what a JSON value looks like, in the words of JSON Schema. Payloads
// and values of properties are described by shapes, which are checked here and
// written out for publishers in other languages by [Schema].
//
// A value of the wrong type, or without a member that it must have, is refused.
// A word, number or member that is not foreseen is only worth advice: Amazon's
// schema, where most shapes are from, was last changed in 2021, and Alexa has
// learned new ones since.
type shape struct {
	kind    string        // JSON Schema's type, empty for any value
	members []shapeMember // of an object
	open    bool          // an object may have other members
	items   *shape        // of an array
	least   int           // items of an array, members of an object, characters of a string
	most    int           // the same, 0 for no limit
	words   []string      // the strings there are
	closed  bool          // and there are surely no others
	bounded bool          // a number is from low to high
	low     float64
	high    float64
	form    func(text string) string // says what is wrong with a string
	mild    bool                     // and that is only worth advice
	defined string                   // the definition that stands for the shape in the JSON Schema
	choice  string                   // the member that decides among cases
	cases   map[string]*shape
}

type shapeMember struct {
	name     string
	shape    *shape
	required bool
}

func must(name string, s *shape) shapeMember { return shapeMember{name, s, true} }

func may(name string, s *shape) shapeMember { return shapeMember{name, s, false} }

func objectOf(members ...shapeMember) *shape { return &shape{kind: "object", members: members} }

func openObjectOf(members ...shapeMember) *shape {
	return &shape{kind: "object", members: members, open: true}
}

func listOf(items *shape, least int) *shape { return &shape{kind: "array", items: items, least: least} }

func word(words ...string) *shape { return &shape{kind: "string", words: words} }

// oneOf is word for a list that is known to be complete.
func oneOf(words ...string) *shape { return &shape{kind: "string", words: words, closed: true} }

func whole(low, high float64) *shape {
	return &shape{kind: "integer", bounded: true, low: low, high: high}
}

func number(low, high float64) *shape {
	return &shape{kind: "number", bounded: true, low: low, high: high}
}

// withMembers is the object with at least so many members, whichever they are.
func (s *shape) withMembers(least int) *shape {
	s.least = least
	return s
}

// chosenBy is an object with the given members whose others depend on the
// string that is the first of them.
func chosenBy(cases map[string]*shape, other *shape) *shape {
	s := *other
	s.choice, s.cases = other.members[0].name, cases
	return &s
}

var (
	aText    = &shape{kind: "string"}
	aName    = &shape{kind: "string", least: 1}
	aNumber  = &shape{kind: "number"}
	aWhole   = &shape{kind: "integer"}
	aBoolean = &shape{kind: "boolean"}
	aURI     = &shape{kind: "string", least: 1, form: uriForm, mild: true}

	anEndpointID = &shape{kind: "string", least: 1, form: endpointIDForm, defined: "endpointId"}
	// anInstant is a time that is brought into Alexa's form, whole seconds
	// one that has to come in its form.
	anInstant    = &shape{kind: "string", form: instantForm, defined: "time"}
	wholeSeconds = &shape{kind: "string", form: secondsForm, defined: "seconds"}
	aDateTime    = &shape{kind: "string", form: dateTimeForm, mild: true}
)

// check says what is wrong with a value, as far as it is from what the shape
// says: nothing, for most values. Paths begin at the value.
func (s *shape) check(raw []byte) []*FieldError {
	if s.kind != "" && s.kind != typeOf(raw) && !(s.kind == "number" && typeOf(raw) == "integer") {
		if s.kind == "integer" && typeOf(raw) == "number" {
			return []*FieldError{advice(ruleSchema, "", "not a whole number")}
		}
		return []*FieldError{{Problem: "must be " + article(s.kind), Rule: ruleSchema}}
	}
	switch s.kind {
	case "object":
		return s.checkObject(raw)
	case "array":
		return s.checkArray(raw)
	case "string":
		return s.checkText(raw)
	case "number", "integer":
		return s.checkNumber(raw)
	}
	return nil
}

func typeOf(raw []byte) string {
	switch raw[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	if bytes.ContainsAny(raw, ".eE") {
		return "number"
	}
	return "integer"
}

func article(kind string) string {
	if strings.ContainsRune("aeio", rune(kind[0])) {
		return "an " + kind
	}
	return "a " + kind
}

func (s *shape) checkObject(raw []byte) []*FieldError {
	if special := s.caseOf(raw); special != nil {
		return special.checkObject(raw)
	}
	var faults []*FieldError
	found, n := make([]bool, len(s.members)), 0
	err := pick(raw, func(quoted, value []byte) {
		n++
		name, err := memberName(quoted)
		if err != nil {
			return // document() has found it valid
		}
		i := slices.IndexFunc(s.members, func(m shapeMember) bool { return m.name == string(name) })
		switch {
		case i >= 0 && found[i]:
			faults = append(faults, &FieldError{Path: s.members[i].name, Problem: "appears twice"})
		case i >= 0:
			found[i] = true
			faults = append(faults, below(s.members[i].name, s.members[i].shape.check(value))...)
		case !s.open:
			faults = append(faults, advice(ruleSchema, printable(name), "not foreseen"))
		}
	})
	if err != nil {
		return append(faults, err.(*FieldError))
	}
	if n < s.least && n == 0 {
		faults = append(faults, &FieldError{Problem: "empty", Rule: ruleSchema})
	} else if n < s.least {
		faults = append(faults, &FieldError{Problem: "must have at least " + strconv.Itoa(s.least) + " members", Rule: ruleSchema})
	}
	for i, m := range s.members {
		if m.required && !found[i] {
			faults = append(faults, &FieldError{Path: m.name, Problem: "missing", Rule: ruleSchema})
		}
	}
	return faults
}

// caseOf returns the shape for what the deciding member says, nil if there is
// none of its own.
func (s *shape) caseOf(raw []byte) *shape {
	if s.choice == "" {
		return nil
	}
	var value []byte
	if pick(raw, ignore, member{s.choice, &value}) != nil || value == nil {
		return nil
	}
	chosen, err := text(value)
	if err != nil {
		return nil
	}
	return s.cases[chosen]
}

func (s *shape) checkArray(raw []byte) []*FieldError {
	var faults []*FieldError
	n := 0
	_ = each(raw, func(i int, value []byte) error { // f returns no error
		n++
		faults = append(faults, below("["+strconv.Itoa(i)+"]", s.items.check(value))...)
		return nil
	})
	if n < s.least {
		faults = append(faults, &FieldError{Problem: "empty", Rule: ruleSchema})
	}
	if s.most > 0 && n > s.most {
		faults = append(faults, &FieldError{Problem: "more than " + strconv.Itoa(s.most), Rule: ruleDiscovery})
	}
	return faults
}

func (s *shape) checkText(raw []byte) []*FieldError {
	if s.words != nil {
		if !slices.ContainsFunc(s.words, func(w string) bool { return isText(raw, w) }) {
			return []*FieldError{{Problem: "none of " + strings.Join(s.words, ", "), Rule: ruleSchema, Advice: !s.closed}}
		}
		return nil
	}
	if s.least == 0 && s.most == 0 && s.form == nil {
		return nil
	}
	t, err := text(raw)
	if err != nil {
		return []*FieldError{err.(*FieldError)}
	}
	n := len([]rune(t))
	switch {
	case n < s.least:
		return []*FieldError{{Problem: "empty", Rule: ruleSchema}}
	case s.most > 0 && n > s.most:
		return []*FieldError{{Problem: "longer than " + strconv.Itoa(s.most) + " characters", Rule: ruleSchema}}
	case s.form != nil:
		if problem := s.form(t); problem != "" {
			return []*FieldError{{Problem: problem, Rule: ruleSchema, Advice: s.mild}}
		}
	}
	return nil
}

// isText reports whether raw is the JSON string w, which needs no escapes.
func isText(raw []byte, w string) bool {
	if bytes.IndexByte(raw, '\\') >= 0 {
		t, err := text(raw)
		return err == nil && t == w
	}
	return len(raw) == len(w)+2 && string(raw[1:len(raw)-1]) == w
}

func (s *shape) checkNumber(raw []byte) []*FieldError {
	if !s.bounded {
		return nil
	}
	n, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || n < s.low || n > s.high {
		return []*FieldError{advice(ruleSchema, "", "not from %v to %v", s.low, s.high)}
	}
	return nil
}

// below puts the name of the surrounding member in front of faults' paths.
func below(parent string, faults []*FieldError) []*FieldError {
	for _, f := range faults {
		f.below(parent)
	}
	return faults
}
