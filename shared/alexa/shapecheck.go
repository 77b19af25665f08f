package alexa

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// check checks the current value against a shape.
func (c *checker) check(s *shape, raw []byte) {
	if s.texts != nil {
		if !slices.Contains(s.texts, string(raw)) {
			c.refuse("must be " + oneOfThese(s.texts))
		}
		return
	}
	kind := typeOf(raw)
	if s.or != nil && s.or.takes(kind) {
		c.check(s.or, raw)
		return
	}
	if s.bytes > 0 && len(raw) > s.bytes && compactSize(raw) > s.bytes {
		c.warnAt(ruleUse, "", "more than %d bytes%s", s.bytes, s.why)
	}
	switch {
	case s.kind == "":
	case !s.takes(kind):
		c.refuse(mustBe(s.kind, kind))
	case s.kind == "object":
		c.checkObject(s, raw)
	case s.kind == "array":
		c.checkArray(s, raw)
	case s.kind == "string" && s.words != nil:
		c.checkWord(s, raw)
	case s.kind == "string" && (s.least > 0 || s.most > 0 || s.form != nil || s.odd != nil):
		if t, err := text(raw); err != nil {
			c.refuse("must be a string")
		} else {
			c.checkString(s, t)
		}
	case s.kind == "number", s.kind == "integer":
		c.checkNumber(s, raw)
	}
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

func (c *checker) checkObject(s *shape, raw []byte) {
	if special := s.caseOf(raw); special != nil {
		s = special
	}
	var found, nulls uint64 // a bit for each member of the shape
	// There is no error: raw is an object.
	_ = pick(raw, func(quoted, value []byte) { c.checkMember(s, quoted, value, &found, &nulls) })
	if bits.OnesCount64(found) < s.least {
		c.warn("has fewer than %d of %s", s.least, s)
	}
	for i := range s.members {
		m := &s.members[i]
		if !m.required || found&(1<<i) != 0 {
			continue
		}
		warns := m.lenient || c.lenient > 0
		if !c.lists(warns) {
			continue
		}
		problem := missing(nil)
		if nulls&(1<<i) != 0 {
			problem = missing([]byte("null"))
		}
		if m.shape.words != nil {
			problem += ", " + oneOfThese(m.shape.words)
		}
		c.add(FieldError{Path: m.name, Problem: problem, Rule: cmp.Or(m.rule, c.rule), Warning: warns})
	}
}

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

// checkMember checks one member of an object against its shape, and sets its bit in
// found, or in nulls if it is null.
func (c *checker) checkMember(s *shape, quoted, value []byte, found, nulls *uint64) {
	name, err := memberName(quoted)
	if err != nil {
		return // document() has found it valid
	}
	i := slices.IndexFunc(s.members, func(m shapeMember) bool { return m.name == string(name) })
	if i < 0 {
		c.checkOther(s, name, value)
		return
	}
	m := &s.members[i]
	if absent(value) {
		*nulls |= 1 << i
		return
	}
	if *found&(1<<i) != 0 {
		c.refuseAt("", m.name, "appears twice")
		return
	}
	if s.least == 0 || m.shape.kind != "array" || value[0] != '[' || value[skipSpace(value, 1)] != ']' {
		*found |= 1 << i // an empty list does not count towards the least number of members
	}
	rule, lenient := c.rule, c.lenient
	c.rule = cmp.Or(m.rule, rule)
	if m.lenient {
		c.lenient++
	}
	c.enter(m.name)
	c.check(m.shape, value)
	c.leave()
	c.rule, c.lenient = rule, lenient
}

// checkOther is checkMember for a member that the shape does not name.
func (c *checker) checkOther(s *shape, name, value []byte) {
	if s.open && s.others == nil || absent(value) {
		return
	}
	c.enterGiven(name)
	defer c.leave()
	if s.others != nil {
		c.check(s.others, value)
		return
	}
	c.warn("unknown member%s", didYouMean(string(name), s.names()))
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
func (c *checker) checkArray(s *shape, raw []byte) {
	var seen map[string]int
	if s.unique {
		seen = make(map[string]int)
	}
	n := 0
	for i, value := range each(raw) {
		if n++; s.most > 0 && n > s.most {
			c.refuseAt(ruleDiscovery, "", "more than %d", s.most)
			return
		}
		c.enterItem(i)
		if seen != nil && s.items.kind == typeOf(value) {
			c.warnIfRepeated(seen, value, i)
		}
		c.check(s.items, value)
		c.leave()
	}
	if n < s.least {
		c.refuse("empty")
	}
}

// warnIfRepeated warns of an item that equals an earlier one byte for byte.
func (c *checker) warnIfRepeated(seen map[string]int, value []byte, i int) {
	if first, ok := seen[string(value)]; ok {
		c.warn("the same as item %d", first)
		return
	}
	seen[string(value)] = i
}

func (c *checker) checkString(s *shape, t string) {
	n := utf8.RuneCountInString(t)
	switch {
	case n < s.least:
		c.refuse("empty")
		return
	case s.most > 0 && n > s.most:
		c.refuse("longer than " + strconv.Itoa(s.most) + " characters")
		return
	case s.form != nil:
		if problem := s.form(t); problem != "" {
			c.refuse(problem)
			return
		}
	}
	if s.odd != nil {
		if problem := s.odd(t); problem != "" {
			c.warn("%s", problem)
		}
	}
}

func (c *checker) checkWord(s *shape, raw []byte) {
	if slices.ContainsFunc(s.words, func(word string) bool { return isText(raw, word) }) {
		return
	}
	if s.least > 0 && isText(raw, "") {
		c.refuse("empty")
		return
	}
	t, err := text(raw)
	if err != nil {
		c.refuse("must be a string")
		return
	}
	if warns := !s.closed || c.lenient > 0 || slices.Contains(s.rare, t); c.lists(warns) {
		c.add(FieldError{Problem: oneOfWords(s.words, t), Rule: c.rule, Warning: warns})
	}
}

func (c *checker) checkNumber(s *shape, raw []byte) {
	number, asText := numberIn(raw)
	if number == nil {
		c.refuse(mustBe(s.kind, "string"))
		return
	}
	if asText {
		c.warn(writtenAsText)
	}
	if s.kind == "integer" && typeOf(number) == "number" {
		c.warn("not a whole number")
	}
	n, err := strconv.ParseFloat(string(number), 64)
	switch {
	case s.bounded && (err != nil || n < s.low || n > s.high):
		c.warn("not from %v to %v%s", s.low, s.high, s.why)
	case !s.bounded && s.why != "":
		c.warn("%s", s.why)
	}
}

const writtenAsText = "a number written as text"
