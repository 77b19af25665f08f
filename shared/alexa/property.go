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
	Instance     string          // only for interfaces with several instances per endpoint
	Value        json.RawMessage // carried byte for byte
	Unit         json.RawMessage // only for inventory levels; carried byte for byte
	TimeOfSample time.Time
	// Uncertainty is uncertaintyInMilliseconds, a JSON number, carried byte for
	// byte; nil means 0.
	Uncertainty json.RawMessage

	rest []byte // unknown members, as `,"name":value`
	// raw is a property that Amazon would refuse, unchanged but for the defaults.
	// It is set only if checks are not strict.
	raw json.RawMessage
}

var noUncertainty = json.RawMessage("0")

// property decodes one property. timeOfSample defaults to the time of publishing.
func (d *decoder) property(raw []byte) (Property, error) {
	var namespace, name, instance, value, unit, sampled, uncertainty, others []byte
	err := pick(raw, nil, member{"namespace", &namespace}, member{"name", &name},
		member{"instance", &instance}, member{"value", &value}, member{"unit", &unit},
		member{"timeOfSample", &sampled}, member{"uncertaintyInMilliseconds", &uncertainty}, rest(&others))
	if err != nil {
		return Property{}, err
	}
	p := Property{Value: value, TimeOfSample: d.published, Uncertainty: noUncertainty, rest: others}
	if p.Namespace, err = required("namespace", namespace); err != nil {
		return Property{}, err
	}
	if p.Name, err = required("name", name); err != nil {
		return Property{}, err
	}
	if !absent(instance) { // an empty one counts as absent
		if p.Instance, err = text(instance); err != nil {
			return Property{}, in("instance", err)
		}
	}
	if absent(value) {
		// The gateway's answer to this is 400 "Payload conversion failed."
		return Property{}, breaks(ruleGateway, "value", "%s", missing(value))
	}
	if p.Instance == "" && slices.Contains(instanced, p.Namespace) {
		return Property{}, breaks(page(p.Namespace), "instance", "missing: an endpoint may have several of this interface")
	}
	if !absent(unit) {
		p.Unit = unit
	}
	if !absent(sampled) {
		if p.TimeOfSample, err = decodeTime("timeOfSample", sampled); err != nil {
			return Property{}, err
		}
	}
	if !absent(uncertainty) {
		p.Uncertainty, err = d.uncertainty(uncertainty)
	}
	return p, err
}

// uncertainty returns a number, which the publisher may have written as a string.
func (d *decoder) uncertainty(raw []byte) (json.RawMessage, error) {
	const name = "uncertaintyInMilliseconds"
	number, asText := numberIn(raw)
	switch {
	case number == nil:
		return nil, breaks(ruleReporting, name, "must be a number")
	case asText:
		d.warnOf(ruleReporting, name, writtenAsText)
	case number[0] == '-':
		d.warnOf(ruleSchema, name, "less than 0")
	}
	return number, nil
}

// state checks the current property against its shape, if it is known.
func (d *decoder) state(p *Property) error {
	if since := retiredInterface(p.Namespace); since != "" {
		d.warnOf(ruleInterfaces, "namespace", "retired since %s", since)
	}
	if p.rest != nil {
		d.warnOf(ruleSchema, "", "has members that a property does not have")
	}
	s := valueShapes[p.Namespace][p.Name]
	if s == nil {
		d.suggestName(p)
		return nil
	}
	if p.Unit != nil {
		d.warnOf(page(p.Namespace), "unit", "belongs in the value, if anywhere")
	}
	d.rule = p.Namespace
	d.enter("value")
	defer d.leave()
	return d.check(s, p.Value)
}

// suggestName warns of an unknown property whose name resembles one of Alexa's.
func (d *decoder) suggestName(p *Property) {
	if _, known := payloadVersions[p.Namespace]; !known {
		if problem := nearInterface(p.Namespace); problem != "" {
			d.warnOf(ruleInterfaces, "namespace", "%s", problem)
		}
		return
	}
	if slices.Contains(eventful, p.Namespace) {
		d.warnOf(page(p.Namespace), "namespace", "the interface has no properties to report")
	}
	if word := Nearest(p.Name, PropertyNames(p.Namespace)); word != "" {
		d.warnOf(page(p.Namespace), "name", "unknown: did you mean %s?", word)
	}
}

// same reports whether two properties are one property of an endpoint.
func (p *Property) same(q *Property) bool {
	return p.Name == q.Name && p.Namespace == q.Namespace && p.Instance == q.Instance
}

// withDefaults returns a property unchanged, but for the members that every property
// must have and a publisher may leave out.
func withDefaults(raw []byte, published time.Time) []byte {
	var sampled, uncertainty, filled []byte
	if pick(raw, nil, member{"timeOfSample", &sampled}, member{"uncertaintyInMilliseconds", &uncertainty}, rest(&filled)) != nil {
		return raw
	}
	if absent(sampled) {
		sampled = []byte(`"` + FormatTime(published) + `"`)
	}
	if absent(uncertainty) {
		uncertainty = noUncertainty
	}
	filled = append(append(filled, `,"timeOfSample":`...), sampled...)
	return objectOfRest(append(append(filled, `,"uncertaintyInMilliseconds":`...), uncertainty...))
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
		return time.Time{}, breaks(ruleReporting, name, "must be a time of the years 1000 to 9999")
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
		dst = append(dst, noUncertainty...)
	}
	return append(append(append(dst, p.Uncertainty...), p.rest...), '}')
}
