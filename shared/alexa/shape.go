package alexa

import (
	"bytes"
)

// shape says what a JSON value looks like, in the words of JSON Schema. Payloads
// and values of properties are described by shapes, which are checked here and
// written out for publishers in other languages by [Schema].
//
// A value of the wrong type, or without a member that a page of Amazon's says it
// must have, is refused. A member that only Amazon's schema of 2021 asks for, and
// a word, number or member that is not known, is worth a warning: Alexa has
// learned new ones since. A member that is null counts as absent, and a number
// may be written as text, as in Amazon's own examples.
type shape struct {
	kind    string        // JSON Schema's type, empty for any value
	members []shapeMember // of an object, 64 at most
	open    bool          // an object may have other members
	others  *shape        // and these look like this, nil for anyhow
	items   *shape        // of an array
	unique  bool          // which ought to differ
	least   int           // items of an array, members of an object, characters of a string
	most    int           // the same, 0 for no limit
	words   []string      // the strings there are
	closed  bool          // and there are surely no others
	rare    []string      // but for these, which draw a warning
	texts   []string      // the values there are, of any type, as JSON has them
	bounded bool          // a number is from low to high
	low     float64
	high    float64
	why     string                   // what becomes of one that is not, or of the value at all
	bytes   int                      // so long may it be, 0 for no limit
	form    func(text string) string // says what is wrong with a string
	odd     func(text string) string // says what of it is worth a warning
	or      *shape                   // what it may be besides, of another type
	defined string                   // the definition that stands for the shape in the JSON Schema
	choice  string                   // the member that decides among cases
	cases   map[string]*shape
}

type shapeMember struct {
	name     string
	shape    *shape
	required bool
	lenient  bool   // whatever is wrong with it is only worth a warning
	rule     string // whose rule that is, if not that of what surrounds it
}

func must(name string, s *shape) shapeMember { return shapeMember{name, s, true, false, ""} }

func may(name string, s *shape) shapeMember { return shapeMember{name, s, false, false, ""} }

// ought and might are must and may for what only Amazon's schema of 2021 refuses.
func ought(name string, s *shape) shapeMember { return shapeMember{name, s, true, true, ruleSchema} }

func might(name string, s *shape) shapeMember { return shapeMember{name, s, false, true, ruleSchema} }

// seen is might for what others send, and no page shows.
func seen(name string, s *shape) shapeMember { return shapeMember{name, s, false, true, ruleUse} }

// asked is ought for what a page of Amazon's asks for, and another source does
// not.
func asked(name string, s *shape) shapeMember { return shapeMember{name, s, true, true, ""} }

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

// withMembers is the object that ought to have so many members, whichever they
// are.
func (s *shape) withMembers(least int) *shape {
	s.least = least
	return s
}

// either is a shape, or another of another type.
func either(s, other *shape) *shape {
	both := *s
	both.or = other
	return &both
}

// because is a shape with the reason for its bounds.
func (s *shape) because(why string) *shape {
	s.why = why
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
	aURI     = &shape{kind: "string", least: 1, odd: uriForm}

	anEndpointID = &shape{kind: "string", least: 1, form: endpointIDForm, odd: endpointIDOddity, defined: "endpointId"}
	// anInstant is a time that is brought into Alexa's form, whole seconds
	// one that has to come in its form.
	anInstant    = &shape{kind: "string", form: instantForm, defined: "time"}
	wholeSeconds = &shape{kind: "string", form: secondsForm, defined: "seconds"}
	aDateTime    = &shape{kind: "string", odd: dateTimeForm}
)

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
