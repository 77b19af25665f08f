package alexa

import (
	"bytes"
	"slices"
	"time"
)

// payload carries the payload as it is, but for the form of a timestamp, and
// that of a ChangeReport decoded.
func (d *decoder) payload(e *Event, kind Kind, raw []byte) error {
	if absent(raw) {
		raw = []byte("{}") // of the kinds without content
	}
	var scope, others, moment []byte
	if err := pick(raw, ignore, member{"scope", &scope}); err != nil {
		return in("event.payload", err)
	}
	if scope != nil {
		if !absent(scope) {
			return wrong("event.payload.scope", leaveOut)
		}
		_ = pick(raw, nil, member{"scope", new([]byte)}, rest(&others))
		raw = objectOfRest(others)
	}
	e.Payload = raw
	if e.IsChangeReport() {
		return d.changeReport(e, raw)
	}
	if kind.moment != "" && pick(raw, ignore, member{kind.moment, &moment}) == nil && moment != nil {
		e.Payload = withTime(raw, moment, kind.finest)
	}
	if kind.payload == nil || d.checks == CheckOff {
		return nil
	}
	d.rule = kind.source()
	if e.Header.Name == "AddOrUpdateReport" {
		d.discovery(e.Payload)
	}
	if kind.Retired != "" { // whose page is gone
		d.rule = ruleSchema
		d.lenient++
		defer func() { d.lenient-- }()
	}
	d.enter("event.payload")
	defer d.leave()
	return d.check(kind.payload, e.Payload)
}

// changeReport decodes payload.change. What else is in the payload is carried.
func (d *decoder) changeReport(e *Event, raw []byte) error {
	var change, others []byte
	if err := pick(raw, nil, member{"change", &change}, rest(&others)); err != nil {
		return in("event.payload", err)
	}
	c, err := d.change(change)
	if err != nil {
		return d.tolerate(err)
	}
	c.payloadRest = others
	e.Change, e.Payload = c, nil
	if others != nil {
		d.note(warning(ruleSchema, "event.payload", "has more than a change"))
	}
	if c.changeRest != nil {
		d.note(warning(ruleSchema, "event.payload.change", "has more than cause and properties"))
	}
	return nil
}

// withTime writes the time value, which is a part of payload, in Alexa's form
// if it is in another, and no finer than that says. What is no time stays as it
// is.
func withTime(payload, value []byte, finest time.Duration) []byte {
	t, err := decodeTime("", value)
	if err != nil {
		return payload
	}
	layout := timeLayout
	if finest == time.Second {
		layout = secondsLayout
	}
	asWritten, _ := text(value) // decodeTime has read it
	if instantForm(asWritten) == "" && len(asWritten) <= len(layout) {
		return payload
	}
	at := cap(payload) - cap(value) // value begins there
	written := append(make([]byte, 0, len(payload)+8), payload[:at]...)
	written = append(t.UTC().AppendFormat(append(written, '"'), layout), '"')
	return append(written, payload[at+len(value):]...)
}

// objectOfRest is an object of the members that rest has collected.
func objectOfRest(rest []byte) []byte {
	return append(append([]byte{'{'}, bytes.TrimPrefix(rest, []byte{','})...), '}')
}

// rest is what pick collects the members in that it does not know, as
// `,"name":value`.
func rest(into *[]byte) member { return member{"", into} }

// change decodes payload.change.
func (d *decoder) change(raw []byte) (*Change, error) {
	const path = "event.payload.change"
	if absent(raw) {
		return nil, breaks(ruleChange, path, "%s", missing(raw))
	}
	var cause, properties, typ, others []byte
	c := new(Change)
	err := pick(raw, nil, member{"cause", &cause}, member{"properties", &properties}, rest(&c.changeRest))
	if err != nil {
		return nil, in(path, err)
	}
	if absent(cause) {
		return nil, breaks(ruleChange, path+".cause", "%s, an object with type, %s", missing(cause), oneOfThese(causes))
	}
	if err := d.tolerate(in(path+".cause", pick(cause, nil, member{"type", &typ}, rest(&others)))); err != nil {
		return nil, err
	}
	if c.Cause, err = d.cause(path+".cause.type", typ); err != nil {
		return nil, err
	}
	if others != nil {
		d.note(warning(ruleSchema, path+".cause", "has more than a type"))
	}
	if others != nil || d.checks != CheckStrict {
		c.cause = cause
	}
	c.Properties, err = d.changed(path+".properties", properties)
	return c, err
}

func (d *decoder) cause(path string, raw []byte) (string, error) {
	cause, err := required(path, raw)
	if field, ok := err.(*FieldError); ok {
		field.Problem += ", " + oneOfThese(causes)
		field.Rule = ruleChange
	}
	if err == nil && !slices.Contains(causes, cause) {
		err = d.tolerate(breaks(ruleChange, path, "%s", oneOfWords(causes, cause)))
	}
	return cause, err
}

// changed decodes the properties that changed, of which there must be one.
func (d *decoder) changed(path string, raw []byte) ([]Property, error) {
	if absent(raw) {
		return nil, breaks(ruleChange, path, "%s", missing(raw))
	}
	list, err := d.properties(path, raw)
	if err == nil && len(list) == 0 {
		err = d.tolerate(breaks(ruleReporting, path, "empty"))
	}
	return list, err
}

func (d *decoder) context(raw []byte) (*Context, error) {
	var properties []byte
	if err := pick(raw, nil, member{"properties", &properties}); err != nil {
		return nil, in("context", err)
	}
	if absent(properties) {
		return &Context{}, nil
	}
	list, err := d.properties("context.properties", properties)
	return &Context{Properties: list}, err
}

// propertySize is about how long a property is that has all its members.
const propertySize = 150

// properties reads an array of properties. It never returns a nil list.
func (d *decoder) properties(path string, raw []byte) ([]Property, error) {
	if raw[0] != '[' {
		return nil, wrong(path, "must be an array")
	}
	list := make([]Property, 0, len(raw)/propertySize+1)
	err := each(raw, func(i int, value []byte) error {
		d.enter(path)
		d.enterItem(i)
		defer func() { d.at = d.at[:len(d.at)-2] }()
		p, err := d.property(value)
		if err != nil {
			if d.unread++; d.unread > mostUnread {
				return wrong(path, "more than %d properties that cannot be read", mostUnread)
			}
			if err := d.tolerate(in(itemPath(path, i), err)); err != nil {
				return err
			}
			p = Property{raw: withDefaults(value, d.published)}
		}
		list = append(list, p)
		if p.raw != nil || d.checks == CheckOff {
			return nil
		}
		return d.state(&p)
	})
	return list, err
}

// mostUnread is how many properties that Amazon would refuse are carried as
// they came. What is sent of them is longer than what was published.
const mostUnread = 1000
