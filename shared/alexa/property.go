package alexa

import (
	"encoding/json"
	"slices"
	"time"
)

// Property is the state of one property of an endpoint, see
// https://developer.amazon.com/docs/smarthome/state-reporting-for-a-smart-home-skill.html.
type Property struct {
	Namespace    string
	Name         string
	Instance     string          // only for interfaces that an endpoint can have several of
	Value        json.RawMessage // carried byte for byte
	Unit         json.RawMessage // only for inventory levels; carried byte for byte
	TimeOfSample time.Time
	// Uncertainty is uncertaintyInMilliseconds, a JSON number that is not
	// negative, carried byte for byte; nil means 0.
	Uncertainty json.RawMessage

	// raw is a property that Amazon would refuse. It is carried as it came, but
	// for the defaults, which happens only when checks are not strict.
	raw json.RawMessage
}

var noUncertainty = json.RawMessage("0")

// property reads one property. A missing timeOfSample becomes the time of
// publishing.
func (d *decoder) property(raw []byte) (Property, error) {
	var namespace, name, instance, value, unit, sampled, uncertainty []byte
	err := pick(raw, nil, member{"namespace", &namespace}, member{"name", &name},
		member{"instance", &instance}, member{"value", &value}, member{"unit", &unit},
		member{"timeOfSample", &sampled}, member{"uncertaintyInMilliseconds", &uncertainty})
	if err != nil {
		return Property{}, err
	}
	p := Property{Value: value, Unit: unit, TimeOfSample: d.published, Uncertainty: noUncertainty}
	if p.Namespace, err = required("namespace", namespace); err != nil {
		return Property{}, err
	}
	if p.Name, err = required("name", name); err != nil {
		return Property{}, err
	}
	if instance != nil { // and if it is empty there is none
		if p.Instance, err = text(instance); err != nil {
			return Property{}, in("instance", err)
		}
	}
	if value == nil || string(value) == "null" {
		// The gateway's answer to this is 400 "Payload conversion failed."
		return Property{}, breaks(ruleGateway, "value", "missing")
	}
	if p.Instance == "" && slices.Contains(instanced, p.Namespace) {
		return Property{}, breaks(ruleSchema, "instance", "missing")
	}
	if sampled == nil {
		d.untimed++
	} else {
		if p.TimeOfSample, err = decodeTime("timeOfSample", sampled); err != nil {
			return Property{}, err
		}
	}
	if uncertainty != nil {
		if c := uncertainty[0]; c < '0' || c > '9' {
			return Property{}, breaks(ruleSchema, "uncertaintyInMilliseconds", "must be a number, 0 or more")
		}
		p.Uncertainty = uncertainty
	}
	return p, nil
}

// state holds the property at hand against what is known of it.
func (d *decoder) state(p *Property) error {
	if since := retiredInterface(p.Namespace); since != "" && d.lists(true) {
		f := warning(ruleInterfaces, "namespace", "retired since %s", since)
		f.below(d.path())
		d.found = append(d.found, f)
	}
	s := valueShapes[p.Namespace][p.Name]
	if s == nil {
		return nil
	}
	d.rule = ruleSchema
	d.enter("value")
	err := d.check(s, p.Value)
	d.leave()
	if err == nil && p.Unit != nil {
		d.enter("unit")
		d.warn("not foreseen")
		d.leave()
	}
	return err
}

// same reports whether two properties are one property of an endpoint.
func (p *Property) same(q *Property) bool {
	return p.Name == q.Name && p.Namespace == q.Namespace && p.Instance == q.Instance
}

// withDefaults adds what every property must have, and a publisher may leave
// out, to a property that is otherwise carried as it came.
func withDefaults(raw []byte, published time.Time) []byte {
	var sampled, uncertainty []byte
	if pick(raw, ignore, member{"timeOfSample", &sampled}, member{"uncertaintyInMilliseconds", &uncertainty}) != nil {
		return raw
	}
	filled := append([]byte(nil), raw[:len(raw)-1]...)
	comma := raw[skipSpace(raw, 1)] != '}'
	add := func(member string) {
		if comma {
			filled = append(filled, ',')
		}
		filled, comma = append(filled, member...), true
	}
	if sampled == nil {
		add(`"timeOfSample":"` + FormatTime(published) + `"`)
	}
	if uncertainty == nil {
		add(`"uncertaintyInMilliseconds":0`)
	}
	return append(filled, '}')
}

func decodeTime(name string, raw []byte) (time.Time, error) {
	s, err := required(name, raw)
	if err != nil {
		return time.Time{}, err
	}
	t, err := ParseTime(s)
	if err != nil {
		return time.Time{}, wrong(name, notRFC3339)
	}
	if year := t.UTC().Year(); year < 1000 || year > 9999 {
		return time.Time{}, breaks(ruleSchema, name, "must be a time of the years 1000 to 9999")
	}
	return t, nil
}

func appendProperties(dst []byte, list []Property) []byte {
	dst = append(dst, '[')
	for i := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = list[i].append(dst)
	}
	return append(dst, ']')
}

func (p *Property) append(dst []byte) []byte {
	if p.raw != nil {
		return append(dst, p.raw...)
	}
	dst = appendString(append(dst, `{"namespace":`...), p.Namespace)
	dst = appendString(append(dst, `,"name":`...), p.Name)
	if p.Instance != "" {
		dst = appendString(append(dst, `,"instance":`...), p.Instance)
	}
	if p.Value != nil {
		dst = append(append(dst, `,"value":`...), p.Value...)
	}
	if p.Unit != nil {
		dst = append(append(dst, `,"unit":`...), p.Unit...)
	}
	dst = AppendTime(append(dst, `,"timeOfSample":"`...), p.TimeOfSample)
	dst = append(dst, `","uncertaintyInMilliseconds":`...)
	if p.Uncertainty == nil {
		return append(append(dst, noUncertainty...), '}')
	}
	return append(append(dst, p.Uncertainty...), '}')
}
