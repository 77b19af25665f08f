package alexa

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

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

// caseOf returns the shape of the case that the value selects, nil for none.
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

// check checks the current value against a shape.
func (w *walk) check(s *shape, raw []byte) error {
	if s.texts != nil {
		if !slices.Contains(s.texts, string(raw)) {
			return w.refuse("", "must be "+oneOfThese(s.texts))
		}
		return nil
	}
	kind := typeOf(raw)
	if s.or != nil && s.or.takes(kind) {
		return w.check(s.or, raw)
	}
	if s.bytes > 0 && len(raw) > s.bytes && compactSize(raw) > s.bytes {
		w.warnOf(ruleUse, "", "more than %d bytes%s", s.bytes, s.why)
	}
	switch {
	case s.kind == "":
		return nil
	case !s.takes(kind):
		return w.refuse("", mustBe(s.kind, kind))
	case s.kind == "object":
		return w.checkObject(s, raw)
	case s.kind == "array":
		return w.checkArray(s, raw)
	case s.kind == "string":
		return w.checkText(s, raw)
	case s.kind == "number", s.kind == "integer":
		return w.checkNumber(s, raw)
	}
	return nil
}

// takes reports whether the shape allows values of a type.
func (s *shape) takes(kind string) bool {
	if s.kind == "number" || s.kind == "integer" {
		return kind == "number" || kind == "integer" || kind == "string"
	}
	return s.kind == kind
}

// compactSize returns the length of a value without insignificant space.
func compactSize(raw []byte) int {
	var compact bytes.Buffer
	_ = json.Compact(&compact, raw) // it is valid
	return compact.Len()
}

func mustBe(want, got string) string {
	problem := "must be a " + want
	if strings.ContainsRune("aio", rune(want[0])) {
		problem = "must be an " + want
	}
	if got == "null" {
		return "null, " + problem
	}
	return problem
}

func (w *walk) checkObject(s *shape, raw []byte) error {
	if special := s.caseOf(raw); special != nil {
		s = special
	}
	var found, nulls uint64 // a bit for each member of the shape
	var refused error
	_ = pick(raw, func(quoted, value []byte) { // raw is an object
		if refused == nil {
			refused = w.checkMember(s, quoted, value, &found, &nulls)
		}
	})
	if refused != nil {
		return refused
	}
	if bits.OnesCount64(found) < s.least {
		w.warn("has fewer than %d of %s", s.least, s)
	}
	for i := range s.members {
		m := &s.members[i]
		if !m.required || found&(1<<i) != 0 {
			continue
		}
		warns := m.lenient || w.lenient > 0
		if !w.lists(warns) {
			continue
		}
		problem := missing(nil)
		if nulls&(1<<i) != 0 {
			problem = missing(null)
		}
		if m.shape.words != nil {
			problem += ", " + oneOfThese(m.shape.words)
		}
		if err := w.add(FieldError{Path: m.name, Problem: problem, Rule: cmp.Or(m.rule, w.rule), Warning: warns}); err != nil {
			return err
		}
	}
	return nil
}

var null = []byte("null")

// checkMember checks one member of an object against its shape, and sets its bit in
// found, or in nulls if it is null.
func (w *walk) checkMember(s *shape, quoted, value []byte, found, nulls *uint64) error {
	name, err := memberName(quoted)
	if err != nil {
		return nil // document() has found it valid
	}
	i := slices.IndexFunc(s.members, func(m shapeMember) bool { return m.name == string(name) })
	if i < 0 {
		return w.checkOther(s, name, value)
	}
	m := &s.members[i]
	if absent(value) {
		*nulls |= 1 << i
		return nil
	}
	if *found&(1<<i) != 0 {
		return w.fault(FieldError{Path: m.name, Problem: "appears twice", Warning: w.lenient > 0})
	}
	if s.least == 0 || m.shape.kind != "array" || value[0] != '[' || value[skipSpace(value, 1)] != ']' {
		*found |= 1 << i // an empty list does not count towards the least number of members
	}
	w.enter(m.name)
	defer func(rule string, lenient int) {
		w.leave()
		w.rule, w.lenient = rule, lenient
	}(w.rule, w.lenient)
	w.rule = cmp.Or(m.rule, w.rule)
	if m.lenient {
		w.lenient++
	}
	return w.check(m.shape, value)
}

// checkOther is checkMember for a member that the shape does not name.
func (w *walk) checkOther(s *shape, name, value []byte) error {
	if s.open && s.others == nil || absent(value) {
		return nil
	}
	w.enterGiven(name)
	defer w.leave()
	if s.others != nil {
		return w.check(s.others, value)
	}
	w.warn("unknown member%s", didYouMean(string(name), s.names()))
	return nil
}

// String returns the names of the shape's members.
func (s *shape) String() string { return strings.Join(s.names(), ", ") }

func (s *shape) names() []string {
	names := make([]string, len(s.members))
	for i, m := range s.members {
		names[i] = m.name
	}
	return names
}

// checkArray checks an array, up to the first item beyond the limit.
func (w *walk) checkArray(s *shape, raw []byte) error {
	n := 0
	var seen map[string]int
	if s.unique && w.checks != CheckOff {
		seen = make(map[string]int)
	}
	err := each(raw, func(i int, value []byte) error {
		if n++; s.most > 0 && n > s.most {
			return errTooMany
		}
		w.enterItem(i)
		defer w.leave()
		if seen != nil && s.items.kind == typeOf(value) {
			w.warnIfRepeated(seen, value, i)
		}
		return w.check(s.items, value)
	})
	switch {
	case err == errTooMany:
		return w.fault(FieldError{Problem: "more than " + strconv.Itoa(s.most), Rule: ruleDiscovery, Warning: w.lenient > 0})
	case err == nil && n < s.least:
		return w.refuse("", "empty")
	}
	return err
}

// errTooMany ends the walk through an array.
var errTooMany = errors.New("too many items")

// warnIfRepeated warns of an item that equals an earlier one byte for byte.
func (w *walk) warnIfRepeated(seen map[string]int, value []byte, i int) {
	if first, ok := seen[string(value)]; ok {
		w.warn("the same as item %d", first)
		return
	}
	seen[string(value)] = i
}

func (w *walk) checkText(s *shape, raw []byte) error {
	if s.words != nil {
		return w.checkWord(s, raw)
	}
	if s.least == 0 && s.most == 0 && s.form == nil && s.odd == nil {
		return nil
	}
	t, err := text(raw)
	if err != nil {
		return w.refuse("", "must be a string")
	}
	n := utf8.RuneCountInString(t)
	switch {
	case n < s.least:
		return w.refuse("", "empty")
	case s.most > 0 && n > s.most:
		return w.refuse("", "longer than "+strconv.Itoa(s.most)+" characters")
	case s.form != nil:
		if problem := s.form(t); problem != "" {
			return w.refuse("", problem)
		}
	}
	if s.odd != nil {
		if problem := s.odd(t); problem != "" {
			w.warn("%s", problem)
		}
	}
	return nil
}

func (w *walk) checkWord(s *shape, raw []byte) error {
	if slices.ContainsFunc(s.words, func(word string) bool { return isText(raw, word) }) {
		return nil
	}
	if s.least > 0 && isText(raw, "") {
		return w.refuse("", "empty")
	}
	t, err := text(raw)
	if err != nil {
		return w.refuse("", "must be a string")
	}
	warns := !s.closed || w.lenient > 0 || slices.Contains(s.rare, t)
	if !w.lists(warns) {
		return nil
	}
	return w.add(FieldError{Problem: oneOfWords(s.words, t), Rule: w.rule, Warning: warns})
}

// isText reports whether raw is the JSON string w, which needs no escapes.
func isText(raw []byte, w string) bool {
	if bytes.IndexByte(raw, '\\') >= 0 {
		t, err := text(raw)
		return err == nil && t == w
	}
	return len(raw) == len(w)+2 && string(raw[1:len(raw)-1]) == w
}

func (w *walk) checkNumber(s *shape, raw []byte) error {
	number, asText := numberIn(raw)
	if number == nil {
		return w.refuse("", mustBe(s.kind, "string"))
	}
	if asText {
		w.warn(writtenAsText)
	}
	if s.kind == "integer" && typeOf(number) == "number" {
		w.warn("not a whole number")
	}
	n, err := strconv.ParseFloat(string(number), 64)
	switch {
	case s.bounded && (err != nil || n < s.low || n > s.high):
		w.warn("not from %v to %v%s", s.low, s.high, s.why)
	case !s.bounded && s.why != "":
		w.warn("%s", s.why)
	}
	return nil
}

const writtenAsText = "a number written as text"

// numberIn returns the number in a value, which may be a string; nil if it has none.
func numberIn(raw []byte) (number []byte, asText bool) {
	if raw[0] == '"' {
		t, _ := text(raw)
		raw, asText = []byte(t), true
	}
	if len(raw) == 0 || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') || raw[len(raw)-1] <= ' ' || asText && !json.Valid(raw) {
		return nil, false
	}
	return raw, asText
}
