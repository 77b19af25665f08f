package alexa

import (
	"bytes"
	"strconv"
)

// payload carries the payload as it is, and that of a ChangeReport decoded.
// Missing, it is the empty object of the kinds without content.
func (d *decoder) payload(e *Event, raw []byte) error {
	if raw == nil {
		raw = []byte("{}")
	}
	var scope, change, rest []byte
	if err := pick(raw, keep(&rest), member{"scope", &scope}, member{"change", &change}); err != nil {
		return in("event.payload", err)
	}
	if scope != nil {
		return wrong("event.payload.scope", "is Gatepost's to give")
	}
	e.Payload = raw
	if !e.IsChangeReport() {
		return nil
	}
	c, err := d.change(change)
	if err != nil {
		return d.tolerate(err)
	}
	c.payloadRest = rest
	e.Change, e.Payload = c, nil
	return nil
}

// keep collects the members that pick does not know as `,"name":value`.
func keep(rest *[]byte) func(quoted, value []byte) {
	return func(quoted, value []byte) {
		*rest = append(append(append(append(*rest, ','), quoted...), ':'), value...)
	}
}

// change decodes payload.change.
func (d *decoder) change(raw []byte) (*Change, error) {
	const path = "event.payload.change"
	if raw == nil {
		return nil, wrong(path, "missing")
	}
	var cause, properties, typ []byte
	c := new(Change)
	err := pick(raw, keep(&c.changeRest), member{"cause", &cause}, member{"properties", &properties})
	if err != nil {
		return nil, in(path, err)
	}
	if cause == nil {
		return nil, wrong(path+".cause", "missing")
	}
	if err := d.tolerate(in(path+".cause", pick(cause, nil, member{"type", &typ}))); err != nil {
		return nil, err
	}
	if c.Cause, err = d.cause(path+".cause.type", typ); err != nil {
		return nil, err
	}
	if d.checks != CheckStrict {
		c.cause = cause
	}
	c.Properties, err = d.changed(path+".properties", properties)
	return c, err
}

func (d *decoder) cause(path string, raw []byte) (string, error) {
	cause, err := required(path, raw)
	if err == nil && !causes[cause] {
		err = d.tolerate(wrong(path, "unknown cause"))
	}
	return cause, err
}

// changed decodes the properties that changed, of which there must be one.
func (d *decoder) changed(path string, raw []byte) ([]Property, error) {
	if raw == nil {
		return nil, wrong(path, "missing")
	}
	list, err := d.properties(path, raw)
	if err == nil && len(list) == 0 {
		err = d.tolerate(wrong(path, "empty"))
	}
	return list, err
}

func (d *decoder) context(raw []byte) (*Context, error) {
	var properties []byte
	if err := pick(raw, nil, member{"properties", &properties}); err != nil {
		return nil, in("context", err)
	}
	if properties == nil {
		return &Context{}, nil
	}
	list, err := d.properties("context.properties", properties)
	return &Context{Properties: list}, err
}

// properties reads an array of properties. It never returns a nil list.
func (d *decoder) properties(path string, raw []byte) ([]Property, error) {
	if raw[0] != '[' {
		return nil, wrong(path, "must be an array")
	}
	list := make([]Property, 0, bytes.Count(raw, []byte(`"namespace"`)))
	err := each(raw, func(i int, value []byte) error {
		p, err := decodeProperty(value, d.published)
		if err != nil {
			if err := d.tolerate(in(path+"["+strconv.Itoa(i)+"]", err)); err != nil {
				return err
			}
			p = Property{raw: withDefaults(value, d.published)}
		}
		list = append(list, p)
		return nil
	})
	return list, err
}
