package alexa

import (
	"errors"
	"fmt"
	"strings"
)

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
