package alexa

import (
	"slices"
	"time"
)

// DecodeEvent decodes a device event, in the long form or in the short form of a
// ChangeReport. published is when the event was first published, and the default for
// timeOfSample. An error is a [FieldError].
//
// The second result lists the warnings, unless checks are off; with CheckWarn also the
// faults that CheckStrict would refuse. It lists up to a hundred, and then the number
// of the rest.
//
// A changed property is left out of the report's context. An empty context is left out
// if the kind of event has none.
func DecodeEvent(data []byte, published time.Time, checks Checks) (Event, []*FieldError, error) {
	doc, err := document(data)
	if err != nil {
		return Event{}, nil, err
	}
	d := decoder{published: published, paths: &longForm}
	warnings, err := d.check(checks, d.decode(doc))
	if err != nil {
		return Event{}, nil, err
	}
	d.settle(checks)
	return d.event, warnings, nil
}

// decoder decodes one event. Its methods return an error only for a fault of the
// envelope. A property or a change that cannot be decoded is passed on unchanged, and
// its fault is kept for the check.
type decoder struct {
	published time.Time
	event     Event
	kind      Kind
	paths     *paths
	unread    int // properties that could not be decoded

	report *Change // of a ChangeReport, as far as it could be decoded
	// The faults of a ChangeReport in the long form: of the change, whose payload is
	// then passed on unchanged, and of the cause if its type could be decoded.
	changeFault, causeFault error
	causeRest               bool // the cause has more than a type
}

// paths are the paths of a ChangeReport's parts in the publisher's form.
type paths struct{ endpointID, cause, changed, unchanged string }

var (
	longForm  = paths{"event.endpoint.endpointId", "event.payload.change.cause.type", "event.payload.change.properties", "context.properties"}
	shortForm = paths{"endpointId", "cause", "changed", "unchanged"}
)

// decode decodes the top level of either form: the long form has the member "event".
func (d *decoder) decode(doc []byte) error {
	var userID, event, context, endpointID, cause, changed, unchanged []byte
	err := pick(doc, nil, member{"userId", &userID}, member{"event", &event}, member{"context", &context},
		member{"endpointId", &endpointID}, member{"cause", &cause}, member{"changed", &changed}, member{"unchanged", &unchanged})
	if err != nil {
		return err
	}
	if d.event.UserID, err = required("userId", userID); err != nil {
		return err
	}
	if absent(event) {
		if !absent(context) {
			return wrong("context", "belongs to an event, which is missing (the short form has \"unchanged\")")
		}
		if absent(endpointID) && absent(cause) && absent(changed) {
			return wrong("event", "%s (the short form has endpointId, cause and changed instead)", missing(event))
		}
		return d.short(endpointID, cause, changed, unchanged)
	}
	for i, value := range [...][]byte{endpointID, cause, changed, unchanged} {
		if !absent(value) {
			return wrong(shortMembers[i], "belongs to the short form, which has no event")
		}
	}
	if err := d.long(event); err != nil || absent(context) {
		return err
	}
	var properties []byte
	if err := pick(context, nil, member{"properties", &properties}); err != nil {
		return in("context", err)
	}
	return d.context(properties)
}

// shortMembers are the members that only the short form has, in the order of the check.
var shortMembers = [...]string{"endpointId", "cause", "changed", "unchanged"}

// short decodes the short form of a ChangeReport.
func (d *decoder) short(endpointID, cause, changed, unchanged []byte) error {
	d.paths = &shortForm
	d.event.Header = Header{Namespace: "Alexa", Name: "ChangeReport", PayloadVersion: "3"}
	d.kind = d.event.Kind()
	id, err := required(d.paths.endpointID, endpointID)
	if err != nil {
		return err
	}
	d.event.Endpoint, d.report = &Endpoint{ID: id}, new(Change)
	if err := d.change(cause, changed); err != nil {
		return err
	}
	d.event.Change = d.report
	if absent(unchanged) {
		return nil
	}
	return d.context(unchanged)
}

// long decodes the member "event".
func (d *decoder) long(raw []byte) error {
	var header, endpoint, payload []byte
	err := pick(raw, nil, member{"header", &header}, member{"endpoint", &endpoint}, member{"payload", &payload})
	if err != nil {
		return in("event", err)
	}
	if absent(header) {
		return wrong("event.header", "%s", missing(header))
	}
	if d.event.Header, err = decodeHeader(header); err != nil {
		return in("event.header", err)
	}
	d.kind = d.event.Kind()
	if !absent(endpoint) {
		if d.event.Endpoint, err = decodeEndpoint(endpoint); err != nil {
			return in("event.endpoint", err)
		}
	}
	switch { // Append puts the token next to the endpoint if there is one
	case d.event.Endpoint != nil && d.kind.Token == TokenInPayload:
		return wrong("event.endpoint", "leave it out, this kind of event is about none")
	case d.event.Endpoint == nil && d.kind.Token == TokenInEndpoint:
		return wrong("event.endpoint", "%s", missing(endpoint))
	}
	return in("event.payload", d.payload(payload))
}

// leaveOut is the problem of a member that a publisher must not set.
const leaveOut = "leave it out, Gatepost sets it"

func decodeHeader(raw []byte) (Header, error) {
	var namespace, name, version, instance, correlation, messageID []byte
	err := pick(raw, nil, member{"namespace", &namespace}, member{"name", &name}, member{"payloadVersion", &version},
		member{"instance", &instance}, member{"correlationToken", &correlation}, member{"messageId", &messageID})
	if err != nil {
		return Header{}, err
	}
	if !absent(messageID) {
		return Header{}, wrong("messageId", leaveOut)
	}
	var h Header
	if h.Namespace, err = required("namespace", namespace); err != nil {
		return Header{}, err
	}
	if h.Name, err = required("name", name); err != nil {
		return Header{}, err
	}
	if h.PayloadVersion, err = optional("payloadVersion", version); err != nil {
		return Header{}, err
	}
	if h.Instance, err = optional("instance", instance); err != nil {
		return Header{}, err
	}
	if h.CorrelationToken, err = optional("correlationToken", correlation); err != nil {
		return Header{}, err
	}
	return h, nil
}

func decodeEndpoint(raw []byte) (*Endpoint, error) {
	var id, cookie, scope []byte
	if err := pick(raw, nil, member{"endpointId", &id}, member{"cookie", &cookie}, member{"scope", &scope}); err != nil {
		return nil, err
	}
	if !absent(scope) {
		return nil, wrong("scope", leaveOut)
	}
	if absent(cookie) {
		cookie = nil
	}
	endpointID, err := required("endpointId", id)
	if err != nil {
		return nil, err
	}
	return &Endpoint{ID: endpointID, Cookie: cookie}, nil
}

// payload decodes the payload of a ChangeReport, and passes any other on unchanged
// except for the form of a timestamp.
func (d *decoder) payload(raw []byte) error {
	if absent(raw) {
		raw = []byte("{}") // some kinds have no content
	}
	var scope, others, moment []byte
	if err := pick(raw, ignore, member{"scope", &scope}); err != nil {
		return err
	}
	if scope != nil {
		if !absent(scope) {
			return wrong("scope", leaveOut)
		}
		_ = pick(raw, nil, member{"scope", new([]byte)}, rest(&others))
		raw = objectOfRest(others)
	}
	d.event.Payload = raw
	if d.event.IsChangeReport() {
		return d.changeReport(raw)
	}
	if d.kind.moment != "" && pick(raw, ignore, member{d.kind.moment, &moment}) == nil && moment != nil {
		d.event.Payload = withTime(raw, moment, d.kind.layout)
	}
	return nil
}

// withTime returns the payload with value, which is a subslice of it, rewritten as a
// time in Alexa's form and no finer than the layout. A value that is not a time stays
// as it is.
func withTime(payload, value []byte, layout string) []byte {
	t, err := decodeTime("", value)
	if err != nil {
		return payload
	}
	asWritten, _ := text(value) // decodeTime has decoded it
	if instantForm(asWritten) == "" && len(asWritten) <= len(layout) {
		return payload
	}
	at := cap(payload) - cap(value) // value begins there
	written := append(make([]byte, 0, len(payload)+8), payload[:at]...)
	written = append(t.UTC().AppendFormat(append(written, '"'), layout), '"')
	return append(written, payload[at+len(value):]...)
}

// changeReport decodes payload.change, and keeps the payload's other members.
func (d *decoder) changeReport(raw []byte) error {
	var change, others []byte
	if err := pick(raw, nil, member{"change", &change}, rest(&others)); err != nil {
		return err
	}
	d.report = &Change{payloadRest: others}
	if d.changeFault = d.longChange(change); d.changeFault == nil {
		d.event.Change, d.event.Payload = d.report, nil
	}
	return nil
}

func (d *decoder) longChange(raw []byte) error {
	const path = "event.payload.change"
	if absent(raw) {
		return breaks(ruleChange, path, "%s", missing(raw))
	}
	var cause, properties, typ, others []byte
	c := d.report
	if err := pick(raw, nil, member{"cause", &cause}, member{"properties", &properties}, rest(&c.changeRest)); err != nil {
		return in(path, err)
	}
	if absent(cause) {
		return breaks(ruleChange, path+".cause", "%s, an object with type, %s", missing(cause), oneOfThese(causes))
	}
	d.causeFault = in(path+".cause", pick(cause, nil, member{"type", &typ}, rest(&others)))
	d.causeRest, c.cause = others != nil, cause
	return d.change(typ, properties)
}

// change decodes the cause and the properties of a change.
func (d *decoder) change(cause, properties []byte) error {
	var err error
	if d.report.Cause, err = required(d.paths.cause, cause); err != nil {
		field := err.(*FieldError)
		field.Problem, field.Rule = field.Problem+", "+oneOfThese(causes), ruleChange
		return err
	}
	if absent(properties) {
		return breaks(ruleChange, d.paths.changed, "%s", missing(properties))
	}
	d.report.Properties, err = d.properties(d.paths.changed, properties)
	return err
}

// context decodes the context's properties, which may be absent.
func (d *decoder) context(properties []byte) (err error) {
	d.event.Context = new(Context)
	if !absent(properties) {
		d.event.Context.Properties, err = d.properties(d.paths.unchanged, properties)
	}
	return err
}

// propertySize is the approximate size of a property with all its members.
const propertySize = 150

// maxUnread is how many undecodable properties an event may have. It bounds the event's
// growth: each is sent with the defaults that the publisher left out.
const maxUnread = 1000

// properties decodes an array of properties. The list is nil only if raw is not an
// array.
func (d *decoder) properties(path string, raw []byte) ([]Property, error) {
	if raw[0] != '[' {
		return nil, wrong(path, "must be an array")
	}
	list := make([]Property, 0, len(raw)/propertySize+1)
	for _, value := range each(raw) {
		p, err := d.property(value)
		if err != nil {
			if d.unread++; d.unread > maxUnread {
				return list, wrong(path, "more than %d properties that cannot be read", maxUnread)
			}
			p = Property{unread: &unread{d.withDefaults(value), err}}
		}
		list = append(list, p)
	}
	return list, nil
}

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
		return Property{}, breaks(p.Namespace, "instance", "missing: an endpoint may have several of this interface")
	}
	if !absent(unit) {
		p.Unit = unit
	}
	if !absent(sampled) {
		if p.TimeOfSample, err = decodeTime("timeOfSample", sampled); err != nil {
			return Property{}, err
		}
	}
	if absent(uncertainty) {
		return p, nil
	}
	if p.Uncertainty, p.uncertaintyAsText = numberIn(uncertainty); p.Uncertainty == nil {
		return Property{}, breaks(ruleReporting, "uncertaintyInMilliseconds", "must be a number")
	}
	return p, nil
}

// withDefaults returns a property unchanged, except for the members that every property
// must have and that a publisher may leave out.
func (d *decoder) withDefaults(raw []byte) []byte {
	var sampled, uncertainty, filled []byte
	if pick(raw, nil, member{"timeOfSample", &sampled}, member{"uncertaintyInMilliseconds", &uncertainty}, rest(&filled)) != nil {
		return raw
	}
	if absent(sampled) {
		sampled = []byte(`"` + FormatTime(d.published) + `"`)
	}
	if absent(uncertainty) {
		uncertainty = noUncertainty
	}
	filled = append(append(filled, `,"timeOfSample":`...), sampled...)
	return objectOfRest(append(append(filled, `,"uncertaintyInMilliseconds":`...), uncertainty...))
}

// settle completes an event that is to be sent.
func (d *decoder) settle(checks Checks) {
	e := &d.event
	if e.Header.PayloadVersion == "" && d.kind.Synchronous == "" {
		e.Header.PayloadVersion = d.kind.Version
	}
	if e.Change != nil && checks == CheckStrict && !d.causeRest {
		e.Change.cause = nil
	}
	if e.Context == nil {
		return
	}
	if e.Change != nil {
		changed := indexOf(e.Change.Properties)
		e.Context.Properties = slices.DeleteFunc(e.Context.Properties, func(p Property) bool { return changed.find(&p) >= 0 })
	}
	if d.kind.Context == None && len(e.Context.Properties) == 0 {
		e.Context = nil // Alexa does not expect it
	}
}
