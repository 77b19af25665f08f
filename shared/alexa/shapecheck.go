package alexa

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// check holds the value at hand against a shape.
func (w *walk) check(s *shape, raw []byte) error {
	if s.texts != nil {
		if !slices.Contains(s.texts, string(raw)) {
			return w.refuse("", "none of "+strings.Join(s.texts, ", "))
		}
		return nil
	}
	if s.kind != "" && s.kind != typeOf(raw) && !(s.kind == "number" && typeOf(raw) == "integer") {
		if s.kind == "integer" && typeOf(raw) == "number" {
			w.warn("not a whole number")
			return nil
		}
		return w.refuse("", mustBe[s.kind])
	}
	switch s.kind {
	case "object":
		return w.checkObject(s, raw)
	case "array":
		return w.checkArray(s, raw)
	case "string":
		return w.checkText(s, raw)
	case "number", "integer":
		w.checkNumber(s, raw)
	}
	return nil
}

var mustBe = map[string]string{
	"object": "must be an object", "array": "must be an array", "string": "must be a string",
	"number": "must be a number", "integer": "must be an integer", "boolean": "must be a boolean",
}

func (w *walk) checkObject(s *shape, raw []byte) error {
	if special := s.caseOf(raw); special != nil {
		s = special
	}
	var found uint64 // a bit for each member of the shape
	var refused error
	n := 0
	_ = pick(raw, func(quoted, value []byte) { // it is an object
		n++
		if refused == nil {
			refused = w.checkMember(s, quoted, value, &found)
		}
	})
	if refused != nil {
		return refused
	}
	if n < s.least {
		problem := "empty"
		if n > 0 {
			problem = "must have at least " + strconv.Itoa(s.least) + " members"
		}
		if err := w.refuse("", problem); err != nil {
			return err
		}
	}
	for i := range s.members {
		if m := &s.members[i]; m.required && found&(1<<i) == 0 {
			f := FieldError{Path: m.name, Problem: "missing", Rule: w.rule, Warning: m.lenient || w.lenient > 0}
			if err := w.fault(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkMember holds one member of an object against its shape, and notes in
// found that it was there.
func (w *walk) checkMember(s *shape, quoted, value []byte, found *uint64) error {
	name, err := memberName(quoted)
	if err != nil {
		return nil // document() has found it valid
	}
	i := slices.IndexFunc(s.members, func(m shapeMember) bool { return m.name == string(name) })
	if i < 0 {
		return w.checkOther(s, name, value)
	}
	m := &s.members[i]
	if *found&(1<<i) != 0 {
		return w.fault(FieldError{Path: m.name, Problem: "appears twice", Warning: w.lenient > 0})
	}
	*found |= 1 << i
	w.enter(m.name)
	defer w.leave()
	if m.lenient {
		w.lenient++
		defer func() { w.lenient-- }()
	}
	return w.check(m.shape, value)
}

// checkOther is checkMember for a member that the shape does not name.
func (w *walk) checkOther(s *shape, name, value []byte) error {
	if s.open && s.others == nil {
		return nil
	}
	w.enterGiven(name)
	defer w.leave()
	if s.others != nil {
		return w.check(s.others, value)
	}
	w.warn("not foreseen")
	return nil
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
		if slices.ContainsFunc(s.words, func(word string) bool { return isText(raw, word) }) {
			return nil
		}
		if s.least > 0 && isText(raw, "") {
			return w.refuse("", "empty")
		}
		f := FieldError{Problem: "none of " + strings.Join(s.words, ", "), Rule: w.rule, Warning: !s.closed || w.lenient > 0}
		return w.fault(f)
	}
	if s.least == 0 && s.most == 0 && s.form == nil {
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
			return w.fault(FieldError{Problem: problem, Rule: w.rule, Warning: s.mild || w.lenient > 0})
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

func (w *walk) checkNumber(s *shape, raw []byte) {
	if !s.bounded {
		return
	}
	if n, err := strconv.ParseFloat(string(raw), 64); err != nil || n < s.low || n > s.high {
		w.warn("not from %v to %v", s.low, s.high)
	}
}
