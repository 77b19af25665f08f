package alexa

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// checkTogether checks the parts of an event against each other.
func (d *decoder) checkTogether(e *Event) error {
	if err := d.checkRepeated(e); err != nil {
		return err
	}
	kind := e.Kind()
	switch {
	case e.Context == nil && kind.Context == Expected:
		d.note(warning(ruleEvents, "context", "missing: the state of the endpoint's properties"))
	case e.Context != nil && kind.Context == None && len(e.Context.Properties) == 0:
		e.Context = nil // it is empty, and Alexa does not expect it
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

// changedPath and contextPath return the paths of the two lists of properties in the
// publisher's form.

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

// checkRepeated refuses a property that appears twice in one list: Amazon's schema
// requires the members of a list to differ, and either value may be the right one. A
// property in both lists is left out of the context: many publishers write the whole
// state into the context, and the changed value is the right one.
func (d *decoder) checkRepeated(e *Event) error {
	var changed index
	if e.Change != nil {
		changed = indexOf(e.Change.Properties)
		if err := d.checkUnique(changed, d.changedPath()); err != nil {
			return err
		}
	}
	if e.Context == nil {
		return nil
	}
	if err := d.checkUnique(indexOf(e.Context.Properties), d.contextPath()); err != nil {
		return err
	}
	if e.Change != nil {
		e.Context.Properties = d.unchanged(e.Context.Properties, changed)
	}
	return nil
}

func (d *decoder) checkUnique(list index, path string) error {
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

// unchanged returns the context's properties without the changed ones.
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

// index finds properties in a list by namespace, name and instance.
type index struct {
	properties []Property
	first      map[[3]string]int // only for a long list
}

// manyProperties is the length up to which a list is searched linearly.
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

// find returns the index of the first property like p, -1 if there is none. A property
// that could not be decoded equals no other.
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

// walk checks an event part by part. It tracks the path of the current part, and bounds
// the list of faults: an event of a megabyte may have a fault every third byte.
type walk struct {
	checks  Checks
	rule    string  // the source of the current rules; an interface stands for its page
	at      []place // the path of the current part
	lenient int     // how many of the surrounding members only cause warnings
	found   []*FieldError
	more    int  // faults that are counted and not listed
	refused bool // one of these is more than a warning
}

// place is a step of a path: a name, of this package or the publisher's, or the index
// of an item.
type place struct {
	name  string
	given []byte // the publisher's name, which may be any text
	item  int    // if there is no name
}

// mostFaults is how many faults of an event are listed. Beyond mostWarnings only faults
// that Amazon would refuse are listed, so that warnings do not hide them. The others are
// counted.
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

// refuse reports a fault that Amazon would refuse, in the current part or the named
// member of it. The error ends the walk; it is nil if the fault is tolerated.
func (w *walk) refuse(member, problem string) error {
	return w.fault(FieldError{Path: member, Problem: problem, Rule: w.rule, Warning: w.lenient > 0})
}

// warnOf is warn for a member of the current part, with its own rule.
func (w *walk) warnOf(rule, member, problem string, args ...any) {
	if w.lists(true) {
		_ = w.add(FieldError{Path: member, Problem: fmt.Sprintf(problem, args...), Rule: rule, Warning: true}) // nil for a warning
	}
}

// warn reports a fault that Amazon accepts, or may accept by now.
func (w *walk) warn(problem string, args ...any) {
	w.warnOf(w.rule, "", problem, args...)
}

// fault lists, returns or counts a fault. It takes a copy, so that counting does not
// allocate.
func (w *walk) fault(f FieldError) error {
	if !w.lists(f.Warning) {
		return nil
	}
	return w.add(f)
}

// add is fault for a fault that lists has admitted.
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

// lists reports whether a fault must be listed or returned. If not, it counts the fault
// without allocating.
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

// warnings returns the listed faults. If others were counted, the last entry has their
// number, and is more than a warning if one of them is.
func (w *walk) warnings() []*FieldError {
	if w.more == 0 {
		return w.found
	}
	return append(w.found, &FieldError{Problem: fmt.Sprintf("and %d faults more", w.more), Warning: !w.refused})
}

// FieldError names a field of a message, its problem, and the source of the rule. It
// never holds a value of the message, which might be a secret.
type FieldError struct {
	Path    string // for example event.payload.change.cause.type; empty for the whole message
	Problem string // for example "missing"
	// Rule is the source of the rule, empty for rules of the device event format
	// itself.
	Rule string
	// Warning marks a recommendation of Amazon's, a rule that only its message
	// schema of 2021 has, and a rule on which sources differ.
	Warning bool
}

// The sources of rules.
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

// page returns the address of Amazon's page on an interface.
func page(namespace string) string {
	return "developer.amazon.com/docs/device-apis/" + strings.ToLower(strings.ReplaceAll(namespace, ".", "-")) + ".html"
}

// Error returns "path: problem (rule)".
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

// wrong returns a FieldError of the device event format, about the member at path.
func wrong(path, problem string, args ...any) error {
	return &FieldError{Path: path, Problem: fmt.Sprintf(problem, args...)}
}

// breaks is wrong for a rule with another source.
func breaks(rule, path, problem string, args ...any) error {
	return &FieldError{Path: path, Problem: fmt.Sprintf(problem, args...), Rule: rule}
}

// warning is breaks for a fault that Amazon accepts.
func warning(rule, path, problem string, args ...any) *FieldError {
	return &FieldError{Path: path, Problem: fmt.Sprintf(problem, args...), Rule: rule, Warning: true}
}

// in prefixes a FieldError's path with the name of the surrounding member. A path grows
// only while an error is returned, so that a valid message costs nothing.
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
