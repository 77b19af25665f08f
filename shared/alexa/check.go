package alexa

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// whole checks an event as a whole: what its parts say together.
func (d *decoder) whole(e *Event) error {
	if err := d.onePlaceEach(e); err != nil {
		return err
	}
	kind := e.Kind()
	switch {
	case e.Context == nil && kind.Context == Expected:
		d.note(warning(ruleEvents, "context", "missing: the state of the endpoint's properties"))
	case e.Context != nil && kind.Context == None && len(e.Context.Properties) == 0:
		e.Context = nil // it says nothing, and Alexa does not expect it
	case e.Context != nil && kind.Context == None:
		d.note(warning(kind.rule(), "context", "not in this kind of event: leave it out"))
	}
	if e.Change != nil && d.unread == 0 && !e.hasConnectivity() {
		d.note(warning(ruleReporting, d.contextPath(), "without the connectivity of Alexa.EndpointHealth"))
	}
	return nil
}

func (e *Event) hasConnectivity() bool {
	is := func(list []Property) bool {
		for i := range list {
			if list[i].Name == "connectivity" && list[i].Namespace == "Alexa.EndpointHealth" {
				return true
			}
		}
		return false
	}
	return is(e.Change.Properties) || e.Context != nil && is(e.Context.Properties)
}

// changedPath and contextPath name the two lists of properties as the publisher
// wrote them.

func (d *decoder) changedPath() string {
	if d.short {
		return "changed"
	}
	return "event.payload.change.properties"
}

func (d *decoder) contextPath() string {
	if d.short {
		return "unchanged"
	}
	return "context.properties"
}

// onePlaceEach refuses a property that is twice in one list: Amazon's schema
// wants the members of a list to differ, and of two values nobody knows which is
// so. One that is in both lists is left out of the context: its value is the one
// it changed to, and many publishers write the whole state into the context.
func (d *decoder) onePlaceEach(e *Event) error {
	var changed index
	if e.Change != nil {
		changed = indexOf(e.Change.Properties)
		if err := d.onceEach(changed, d.changedPath()); err != nil {
			return err
		}
	}
	if e.Context == nil {
		return nil
	}
	if err := d.onceEach(indexOf(e.Context.Properties), d.contextPath()); err != nil {
		return err
	}
	if e.Change != nil {
		e.Context.Properties = d.unchanged(e.Context.Properties, changed)
	}
	return nil
}

func (d *decoder) onceEach(list index, path string) error {
	if d.checks == CheckOff {
		return nil
	}
	for j := range list.properties {
		i := list.find(&list.properties[j])
		if i < 0 || i == j || !d.lists(false) {
			continue
		}
		fault := breaks(ruleReporting, itemPath(path, j), "the same property as %s", itemPath(path, i))
		if err := d.tolerate(fault); err != nil {
			return err
		}
	}
	return nil
}

// unchanged leaves out of the context's properties those that changed.
func (d *decoder) unchanged(list []Property, changed index) []Property {
	kept := 0
	for j := range list {
		i := changed.find(&list[j])
		if i < 0 {
			if kept != j {
				list[kept] = list[j]
			}
			kept++
			continue
		}
		if d.lists(true) {
			d.found = append(d.found, warning(ruleReporting, itemPath(d.contextPath(), j),
				"the same property as %s: only that is sent", itemPath(d.changedPath(), i)))
		}
	}
	return list[:kept]
}

func itemPath(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// index finds properties in a list by what they are called.
type index struct {
	properties []Property
	first      map[[3]string]int // of a long list only
}

// manyProperties is how many are no longer compared each with each.
const manyProperties = 32

func indexOf(list []Property) index {
	x := index{properties: list}
	if len(list) <= manyProperties {
		return x
	}
	x.first = make(map[[3]string]int)
	for i := range list {
		p := &list[i]
		name := [3]string{p.Namespace, p.Name, p.Instance}
		if _, ok := x.first[name]; !ok && p.raw == nil {
			x.first[name] = i
		}
	}
	return x
}

// find returns where p is first, -1 if nowhere. A property that could not be
// decoded is like no other.
func (x index) find(p *Property) int {
	if p.raw != nil {
		return -1
	}
	if x.first != nil {
		if i, ok := x.first[[3]string{p.Namespace, p.Name, p.Instance}]; ok {
			return i
		}
		return -1
	}
	for i := range x.properties {
		if q := &x.properties[i]; q.raw == nil && p.same(q) {
			return i
		}
	}
	return -1
}

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

// FieldError says which field of a message is wrong, how, and who says so. No
// part of it ever holds a value of the message, which might be a secret.
type FieldError struct {
	Path    string // for example event.payload.change.cause.type; empty for the message as a whole
	Problem string // for example "missing"
	// Rule is where the rule comes from, empty for those of the device event
	// format itself.
	Rule string
	// Warning marks what Amazon asks for and takes an event without, what only its
	// message schema of 2021 refuses, and what sources differ about.
	Warning bool
}

// Where the rules come from.
const (
	ruleSchema     = "Amazon's message schema of 2021"
	ruleChange     = "developer.amazon.com/docs/device-apis/alexa-changereport.html"
	ruleObjects    = "developer.amazon.com/docs/device-apis/alexa-discovery-objects.html"
	ruleReporting  = "developer.amazon.com/docs/smarthome/state-reporting-for-a-smart-home-skill.html"
	ruleEvents     = "developer.amazon.com/docs/smarthome/send-events.html"
	ruleDiscovery  = "developer.amazon.com/docs/device-apis/alexa-discovery.html"
	ruleInterfaces = "developer.amazon.com/docs/device-apis/list-of-interfaces.html"
	ruleGateway    = "seen at the event gateway"
	ruleUse        = "seen in use"
)

// page is where Amazon describes an interface.
func page(namespace string) string {
	return "developer.amazon.com/docs/device-apis/" + strings.ToLower(strings.ReplaceAll(namespace, ".", "-")) + ".html"
}

// Error gives "path: problem (rule)".
func (e *FieldError) Error() string {
	text := e.Problem
	if e.Path != "" {
		text = e.Path + ": " + text
	}
	if e.Rule != "" {
		text += " (" + e.Rule + ")"
	}
	return text
}

// wrong makes a FieldError about the member path of the value at hand.
func wrong(path, problem string, args ...any) error {
	return &FieldError{Path: path, Problem: fmt.Sprintf(problem, args...)}
}

// breaks is wrong for a rule that is somebody else's.
func breaks(rule, path, problem string, args ...any) error {
	return &FieldError{Path: path, Problem: fmt.Sprintf(problem, args...), Rule: rule}
}

// warning is breaks for a rule that Amazon takes an event without.
func warning(rule, path, problem string, args ...any) *FieldError {
	return &FieldError{Path: path, Problem: fmt.Sprintf(problem, args...), Rule: rule, Warning: true}
}

// in puts the name of the surrounding member in front of a FieldError's path.
// Paths grow while an error travels outwards, so a message without fault pays
// nothing for them.
func in(parent string, err error) error {
	if err == nil {
		return nil
	}
	if field := (*FieldError)(nil); errors.As(err, &field) {
		field.below(parent)
		return field
	}
	return err
}

func (e *FieldError) below(parent string) {
	switch {
	case e.Path == "":
		e.Path = parent
	case parent == "" || strings.HasPrefix(e.Path, "["):
		e.Path = parent + e.Path
	default:
		e.Path = parent + "." + e.Path
	}
}
