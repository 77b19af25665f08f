package alexa

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

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

// breaks is wrong for a rule with another source; an interface stands for its page.
func breaks(rule, path, problem string, args ...any) error {
	return &FieldError{Path: path, Problem: fmt.Sprintf(problem, args...), Rule: rule}
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

// checker lists the faults of a decoded event, part by part. It tracks the path of the
// current part, and bounds the list: an event of a megabyte may have a fault every third
// byte.
type checker struct {
	checks  Checks
	rule    string  // the source of the current rules; an interface stands for its page
	at      []place // the path of the current part
	lenient int     // how many of the surrounding members only cause warnings
	refused *FieldError
	found   []*FieldError
	more    int  // faults that are counted and not listed
	worse   bool // one of these is more than a warning
}

// place is a step of a path: a name, of this package or the publisher's, or the index
// of an item.
type place struct {
	name  string
	given []byte // the publisher's name, which may be any text
	item  int    // if there is no name
}

// maxFaults is how many faults of an event are listed. Beyond maxWarnings only faults
// that Amazon would refuse are listed, so that warnings do not hide them. The others are
// counted.
const (
	maxFaults   = 100
	maxWarnings = 80
)

func (c *checker) enter(name string)      { c.at = append(c.at, place{name: name}) }
func (c *checker) enterGiven(name []byte) { c.at = append(c.at, place{given: name}) }
func (c *checker) enterItem(i int)        { c.at = append(c.at, place{item: i}) }
func (c *checker) leave()                 { c.at = c.at[:len(c.at)-1] }

func (c *checker) path() string {
	path := ""
	for _, p := range c.at {
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

// refuse reports a fault of the current part that Amazon would refuse, or a warning if a
// surrounding member is lenient.
func (c *checker) refuse(problem string) { c.refuseAt(c.rule, "", "%s", problem) }

// refuseAt is refuse for a member of the current part, with its own rule.
func (c *checker) refuseAt(rule, member, problem string, args ...any) {
	if warns := c.lenient > 0; c.lists(warns) {
		c.add(FieldError{Path: member, Problem: fmt.Sprintf(problem, args...), Rule: rule, Warning: warns})
	}
}

// warn reports a fault of the current part that Amazon accepts, or may accept by now.
func (c *checker) warn(problem string, args ...any) { c.warnAt(c.rule, "", problem, args...) }

// warnAt is warn for a member of the current part, with its own rule.
func (c *checker) warnAt(rule, member, problem string, args ...any) {
	if c.lists(true) {
		c.add(FieldError{Path: member, Problem: fmt.Sprintf(problem, args...), Rule: rule, Warning: true})
	}
}

// carry reports a fault in the decoding of the current part, if there is one.
func (c *checker) carry(fault error) {
	if fault != nil && c.lists(false) {
		c.add(*fault.(*FieldError))
	}
}

// lists reports whether a fault must be added. If not, it counts the fault without
// allocating.
func (c *checker) lists(warning bool) bool {
	switch {
	case c.refused != nil:
		return false
	case !warning && (c.checks == CheckStrict || len(c.found) < maxFaults), len(c.found) < maxWarnings:
		return true
	}
	c.more++
	c.worse = c.worse || !warning
	return false
}

// add adds a fault that lists has admitted.
func (c *checker) add(f FieldError) {
	f.below(c.path())
	if strings.HasPrefix(f.Rule, "Alexa") {
		f.Rule = page(f.Rule)
	}
	if !f.Warning && c.checks == CheckStrict {
		c.refused = &f
		return
	}
	c.found = append(c.found, &f)
}

// warnings returns the listed faults. If others were counted, the last entry has their
// number, and is more than a warning if one of them is.
func (c *checker) warnings() []*FieldError {
	if c.more == 0 {
		return c.found
	}
	return append(c.found, &FieldError{Problem: fmt.Sprintf("and %d faults more", c.more), Warning: !c.worse})
}
