package alexa

// shape describes a JSON value in the terms of JSON Schema. Shapes describe payloads and
// values of properties. They are checked here, and [Schema] writes them for publishers
// in other languages.
//
// A value of the wrong type is refused, and so is one without a member that a page of
// Amazon's requires. A member that only Amazon's schema of 2021 requires, and an unknown
// word, number or member, cause a warning: Alexa has added some since. A member that is
// null counts as absent, and a number may be a string, as in Amazon's own examples.
type shape struct {
	kind    string        // JSON Schema's type, empty for any value
	members []shapeMember // the members of an object, at most 64
	open    bool          // an object may have other members
	others  *shape        // the shape of other members, nil for any
	items   *shape        // the shape of an array's items
	unique  bool          // items ought to differ
	least   int           // the least number of items, members or characters
	most    int           // the greatest, 0 for no limit
	words   []string      // the known strings
	closed  bool          // the list of words is complete
	rare    []string      // more words of a closed list, which cause a warning
	texts   []string      // the allowed values of any type, as JSON
	bounded bool          // a number is from low to high
	low     float64
	high    float64
	why     string                   // ends the warning about bounds or size; without either, the warning for any number
	bytes   int                      // the greatest size as JSON, 0 for no limit
	form    func(text string) string // returns why a string is refused
	odd     func(text string) string // returns why a string causes a warning
	or      *shape                   // the alternative of another type
	defined string                   // the shape's definition in the JSON Schema
	choice  string                   // the member that decides among cases
	cases   map[string]*shape
}

type shapeMember struct {
	name     string
	shape    *shape
	required bool
	lenient  bool   // faults of it are only warnings
	rule     string // the source of the rule, if not that of the surrounding value
}

func must(name string, s *shape) shapeMember { return shapeMember{name, s, true, false, ""} }

func may(name string, s *shape) shapeMember { return shapeMember{name, s, false, false, ""} }

// ought and might are must and may for rules that only Amazon's schema of 2021 has.
func ought(name string, s *shape) shapeMember { return shapeMember{name, s, true, true, ruleSchema} }

func might(name string, s *shape) shapeMember { return shapeMember{name, s, false, true, ruleSchema} }

// seen is might for a member that other skills send, and no page shows.
func seen(name string, s *shape) shapeMember { return shapeMember{name, s, false, true, ruleUse} }

// asked is ought for a member that a page of Amazon's requires, and another source does
// not.
func asked(name string, s *shape) shapeMember { return shapeMember{name, s, true, true, ""} }

func objectOf(members ...shapeMember) *shape { return &shape{kind: "object", members: members} }

func openObjectOf(members ...shapeMember) *shape {
	return &shape{kind: "object", members: members, open: true}
}

func listOf(items *shape, least int) *shape { return &shape{kind: "array", items: items, least: least} }

func word(words ...string) *shape { return &shape{kind: "string", words: words} }

// oneOf is word for a complete list.
func oneOf(words ...string) *shape { return &shape{kind: "string", words: words, closed: true} }

func whole(low, high float64) *shape {
	return &shape{kind: "integer", bounded: true, low: low, high: high}
}

func number(low, high float64) *shape {
	return &shape{kind: "number", bounded: true, low: low, high: high}
}

// withMembers sets the least number of members that the object ought to have.
func (s *shape) withMembers(least int) *shape {
	s.least = least
	return s
}

// either returns a shape that allows one of two shapes of different types.
func either(s, other *shape) *shape {
	both := *s
	both.or = other
	return &both
}

// because sets the reason for the shape's bounds.
func (s *shape) because(why string) *shape {
	s.why = why
	return s
}

// chosenBy returns the shape of an object whose first member selects one of the cases,
// or other if there is none for it.
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
	// anInstant is a time that Gatepost converts to Alexa's form; wholeSeconds is
	// one that the publisher must write in its form.
	anInstant    = &shape{kind: "string", form: instantForm, defined: "time"}
	wholeSeconds = &shape{kind: "string", form: secondsForm, defined: "seconds"}
	aDateTime    = &shape{kind: "string", odd: dateTimeForm}
)
