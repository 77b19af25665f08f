package alexa

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Checks selects the treatment of an event that Amazon would refuse. Faults of the
// envelope (the customer, the header's names, fields that a publisher must not set) are
// an error in every mode, and so are more than a thousand undecodable properties.
type Checks int

const (
	// CheckStrict returns the first fault that Amazon would refuse as an error.
	CheckStrict Checks = iota
	// CheckWarn carries the event and lists its faults.
	CheckWarn
	// CheckOff carries the event and reports nothing.
	CheckOff
)

// DecodeEvent decodes a device event, in the long form or in the short form of a
// ChangeReport. published is when the event was first published, and the default of
// timeOfSample. An error is a [FieldError].
//
// The second result lists the warnings, unless checks are off; with CheckWarn also the
// faults that CheckStrict would refuse. It lists a hundred, and then the number of the
// others.
//
// A changed property is left out of the report's context. An empty context is left out
// if the kind of event has none.
func DecodeEvent(data []byte, published time.Time, checks Checks) (Event, []*FieldError, error) {
	doc, err := document(data)
	if err != nil {
		return Event{}, nil, err
	}
	const depth = 4 // of the values of most properties
	d := decoder{published: published, walk: walk{checks: checks, at: make([]place, 0, depth)}}
	event, err := d.event(doc)
	if err == nil {
		err = d.checkTogether(&event)
	}
	if err != nil {
		return Event{}, nil, err
	}
	return event, d.warnings(), nil
}

type decoder struct {
	walk
	published time.Time
	short     bool // the event is in the short form, whose parts have other names
	unread    int  // properties that could not be decoded
}

// The decoder's methods return errors whose path starts at the top of the document; the
// path of a function that decodes a part is relative to that part.

// event decodes the top level of either form: the long form has the member "event".
func (d *decoder) event(doc []byte) (Event, error) {
	var userID, event, context, endpointID, cause, changed, unchanged []byte
	err := pick(doc, nil, member{"userId", &userID}, member{"event", &event}, member{"context", &context},
		member{"endpointId", &endpointID}, member{"cause", &cause}, member{"changed", &changed}, member{"unchanged", &unchanged})
	if err != nil {
		return Event{}, err
	}
	var e Event
	if e.UserID, err = required("userId", userID); err != nil {
		return Event{}, err
	}
	if absent(event) {
		if !absent(context) {
			return Event{}, wrong("context", "belongs to an event, which is missing (the short form has \"unchanged\")")
		}
		return e, d.shortForm(&e, event, endpointID, cause, changed, unchanged)
	}
	for i, value := range [...][]byte{endpointID, cause, changed, unchanged} {
		if !absent(value) {
			return Event{}, wrong(shortMembers[i], "belongs to the short form, which has no event")
		}
	}
	if err := d.long(&e, event); err != nil {
		return Event{}, err
	}
	if !absent(context) {
		if e.Context, err = d.context(context); err != nil {
			return Event{}, err
		}
	}
	return e, nil
}

// shortMembers are the members that only the short form has, in the order of the check.
var shortMembers = [...]string{"endpointId", "cause", "changed", "unchanged"}

// shortForm fills e from the short form of a ChangeReport.
func (d *decoder) shortForm(e *Event, event, endpointID, cause, changed, unchanged []byte) error {
	if absent(endpointID) && absent(cause) && absent(changed) {
		return wrong("event", "%s (the short form has endpointId, cause and changed instead)", missing(event))
	}
	d.short = true
	e.Header = Header{Namespace: "Alexa", Name: "ChangeReport", PayloadVersion: "3"}
	e.Endpoint, e.Change = new(Endpoint), new(Change)
	var err error
	if e.Endpoint.ID, err = d.endpointID("endpointId", endpointID); err != nil {
		return err
	}
	if e.Change.Cause, err = d.cause("cause", cause); err != nil {
		return err
	}
	if e.Change.Properties, err = d.changed("changed", changed); err != nil {
		return err
	}
	if absent(unchanged) {
		return nil
	}
	e.Context = new(Context)
	e.Context.Properties, err = d.properties("unchanged", unchanged)
	return err
}

// long fills e from the member "event".
func (d *decoder) long(e *Event, raw []byte) error {
	var header, endpoint, payload []byte
	err := pick(raw, nil, member{"header", &header}, member{"endpoint", &endpoint}, member{"payload", &payload})
	if err != nil {
		return in("event", err)
	}
	if absent(header) {
		return wrong("event.header", "%s", missing(header))
	}
	if e.Header, err = decodeHeader(header); err != nil {
		return in("event.header", err)
	}
	kind := e.Kind()
	if err := d.header(&e.Header, kind); err != nil {
		return err
	}
	if !absent(endpoint) {
		if e.Endpoint, err = d.endpoint(endpoint); err != nil {
			return err
		}
	}
	if err := checkTokenPlace(e, kind, endpoint); err != nil {
		return in("event", err)
	}
	return d.payload(e, kind, payload)
}

func (d *decoder) endpoint(raw []byte) (*Endpoint, error) {
	var id, cookie, scope []byte
	if err := pick(raw, nil, member{"endpointId", &id}, member{"cookie", &cookie}, member{"scope", &scope}); err != nil {
		return nil, in("event.endpoint", err)
	}
	if !absent(scope) {
		return nil, wrong("event.endpoint.scope", leaveOut)
	}
	if absent(cookie) {
		cookie = nil
	}
	endpointID, err := d.endpointID("event.endpoint.endpointId", id)
	return &Endpoint{ID: endpointID, Cookie: cookie}, err
}

// leaveOut is the problem of a member that a publisher must not set.
const leaveOut = "leave it out, Gatepost sets it"

func (d *decoder) endpointID(path string, raw []byte) (string, error) {
	id, err := required(path, raw)
	if err != nil {
		return "", err
	}
	if problem := endpointIDForm(id); problem != "" {
		return id, d.tolerate(breaks(ruleObjects, path, "%s", problem))
	}
	if problem := endpointIDOddity(id); problem != "" {
		d.note(warning(ruleObjects, path, "%s", problem))
	}
	return id, nil
}

// checkTokenPlace refuses an event whose token would have no place, or the wrong one:
// Append puts it next to the endpoint if there is one.
func checkTokenPlace(e *Event, kind Kind, endpoint []byte) error {
	switch {
	case e.Endpoint != nil && kind.Token == TokenInPayload:
		return wrong("endpoint", "leave it out, this kind of event is about none")
	case e.Endpoint == nil && kind.Token == TokenInEndpoint:
		return wrong("endpoint", "%s", missing(endpoint))
	}
	return nil
}

// tolerate lists a fault with a complete path and returns nil, unless checks are strict.
func (d *decoder) tolerate(err error) error {
	field, ok := err.(*FieldError)
	if !ok || d.checks == CheckStrict {
		return err
	}
	d.note(field)
	return nil
}

// note lists a fault with a complete path.
func (d *decoder) note(field *FieldError) {
	if d.lists(field.Warning) {
		d.found = append(d.found, field)
	}
}

// endpointIDForm returns which rule of Amazon's page an endpointId breaks: up to 256
// letters, digits, spaces and some marks. The page does not define letters. The gateway
// has refused a backslash: alexa-samples/alexa-smarthome#60.
func endpointIDForm(id string) string {
	if utf8.RuneCountInString(id) > 256 {
		return "longer than 256 characters"
	}
	if strings.ContainsFunc(id, func(c rune) bool { return c < utf8.RuneSelf && c != '.' && !onThePage(c) }) {
		return "has a character other than letters, digits, spaces and " + endpointIDMarks
	}
	return ""
}

// endpointIDOddity returns the warning for characters that Amazon's page does not list,
// and skills use.
func endpointIDOddity(id string) string {
	if i := strings.IndexFunc(id, func(c rune) bool { return !onThePage(c) }); i >= 0 {
		return "has a dot or a letter beyond a-z, which Amazon's page does not mention"
	}
	return ""
}

const endpointIDMarks = "_ - = # ; : ? @ &"

func onThePage(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune(endpointIDMarks, c)
}
