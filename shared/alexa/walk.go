package alexa

import (
	"fmt"
	"strconv"
	"strings"
)

// walk is a look through an event, part by part. It knows where it is, so that a
// fault has a path, and keeps what it finds within bounds: an event of a
// megabyte may have a fault every third byte.
type walk struct {
	checks  Checks
	rule    string  // whose rules the part at hand is held against: an interface's, which stands for its page, or another's
	at      []place // of that part
	lenient int     // how many of the surrounding members draw warnings only
	found   []*FieldError
	more    int  // faults that are counted only
	refused bool // one of these is more than a warning
}

// place is a step on the way to a part of the event: a name, given here or by
// the publisher, or the index of an item.
type place struct {
	name  string
	given []byte // by the publisher, who may have chosen anything
	item  int    // if there is no name
}

// Of an event so many faults are listed, the last few only if Amazon would
// refuse the event for them: warnings must not hide that. The others are counted.
const (
	mostFaults   = 100
	mostWarnings = 80
)

func (w *walk) enter(name string)      { w.at = append(w.at, place{name: name}) }
func (w *walk) enterGiven(name []byte) { w.at = append(w.at, place{given: name}) }
func (w *walk) enterItem(i int)        { w.at = append(w.at, place{item: i}) }
func (w *walk) leave()                 { w.at = w.at[:len(w.at)-1] }

func (w *walk) path() string {
	path := ""
	for _, p := range w.at {
		switch {
		case p.name == "" && p.given == nil:
			path += "[" + strconv.Itoa(p.item) + "]"
			continue
		case path != "":
			path += "."
		}
		path += p.name + printable(p.given)
	}
	return path
}

// refuse notes what Amazon would refuse in the part at hand, or in the member
// of it that is named. The error ends the walk; it is nil if the checks let the
// fault pass.
func (w *walk) refuse(member, problem string) error {
	return w.fault(FieldError{Path: member, Problem: problem, Rule: w.rule, Warning: w.lenient > 0})
}

// warnOf is warn for a member of the part at hand, by a rule of its own.
func (w *walk) warnOf(rule, member, problem string, args ...any) {
	if w.lists(true) {
		_ = w.add(FieldError{Path: member, Problem: fmt.Sprintf(problem, args...), Rule: rule, Warning: true}) // it is a warning
	}
}

// warn notes what Amazon takes, or might by now.
func (w *walk) warn(problem string, args ...any) {
	w.warnOf(w.rule, "", problem, args...)
}

// fault takes a copy: a fault that is only counted costs nothing.
func (w *walk) fault(f FieldError) error {
	if !w.lists(f.Warning) {
		return nil
	}
	return w.add(f)
}

// add is fault for what lists has let pass.
func (w *walk) add(f FieldError) error {
	listed := f
	listed.below(w.path())
	if strings.HasPrefix(f.Rule, "Alexa") {
		listed.Rule = page(f.Rule)
	}
	if !f.Warning && w.checks == CheckStrict {
		return &listed
	}
	w.found = append(w.found, &listed)
	return nil
}

// lists reports whether a fault is one to be listed or returned. If not, it is
// counted, which takes no memory.
func (w *walk) lists(warning bool) bool {
	switch {
	case w.checks == CheckOff:
		return false
	case !warning && (w.checks == CheckStrict || len(w.found) < mostFaults), len(w.found) < mostWarnings:
		return true
	}
	w.more++
	w.refused = w.refused || !warning
	return false
}

// warnings is what was found. The last entry says how much more there is, and is
// more than a warning itself if some of that is.
func (w *walk) warnings() []*FieldError {
	if w.more == 0 {
		return w.found
	}
	return append(w.found, &FieldError{Problem: fmt.Sprintf("and %d faults more", w.more), Warning: !w.refused})
}
