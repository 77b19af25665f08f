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

// check holds the value at hand against a shape.
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

// takes reports whether a value of a type may be of a shape.
func (s *shape) takes(kind string) bool {
	if s.kind == "number" || s.kind == "integer" {
		return kind == "number" || kind == "integer" || kind == "string"
	}
	return s.kind == kind
}

// compactSize is how long a value is, less the space between its parts.
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
	_ = pick(raw, func(quoted, value []byte) { // it is an object
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

// checkMember holds one member of an object against its shape, and notes in
// found that it was there, or in nulls that it was null.
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
		*found |= 1 << i // of an object that has to say something, an empty list says nothing
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

// String lists the members that the shape names.
func (s *shape) String() string { return strings.Join(s.names(), ", ") }

func (s *shape) names() []string {
	names := make([]string, len(s.members))
	for i, m := range s.members {
		names[i] = m.name
	}
	return names
}

// checkArray looks at no more items than there may be: what follows changes
// nothing.
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
			w.notTwice(seen, value, i)
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

// notTwice warns of an item that is there already, in the same letters.
func (w *walk) notTwice(seen map[string]int, value []byte, i int) {
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

// numberIn is the number that a value is, as itself or written as text; nil if
// it is none.
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
