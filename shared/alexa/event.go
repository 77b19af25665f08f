package alexa

import (
	"encoding/json"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// Event is an asynchronous event for one customer, see
// https://developer.amazon.com/docs/smarthome/send-events.html. It has no message id and
// no token, which belong to a single delivery.
//
// An Event from [DecodeEvent] refers to the decoded bytes. They must not be changed
// while the Event is in use.
type Event struct {
	UserID   string // the maker's id of the customer; it is not sent to Alexa
	Header   Header
	Endpoint *Endpoint       // nil for events about several endpoints, whose token goes into the payload
	Change   *Change         // the payload of a ChangeReport
	Payload  json.RawMessage // the payload of any other event; nil means {}
	Context  *Context        // nil if the event has none
}

// Header is event.header without messageId.
type Header struct {
	Namespace        string
	Name             string
	PayloadVersion   string
	Instance         string // only for event sources with several instances per endpoint
	CorrelationToken string // only in answers to a directive
}

// Endpoint is event.endpoint without scope.
type Endpoint struct {
	ID     string          // endpointId
	Cookie json.RawMessage // carried byte for byte
}

// Change is payload.change of a ChangeReport.
type Change struct {
	Cause      string // change.cause.type
	Properties []Property

	payloadRest, changeRest []byte // unknown members, as `,"name":value`
	cause                   []byte // unchanged, if checks are not strict
}

// Context is the state of the endpoint's other properties.
type Context struct {
	Properties []Property
}

// IsChangeReport reports whether the event is an Alexa.ChangeReport.
func (e *Event) IsChangeReport() bool {
	return e.Header.Namespace == "Alexa" && e.Header.Name == "ChangeReport"
}

// EndpointID returns the id of the event's endpoint, empty for an event without one.
func (e *Event) EndpointID() string {
	if e.Endpoint == nil {
		return ""
	}
	return e.Endpoint.ID
}

// Append appends the event in the gateway's format, with the given message id and access
// token, and returns the extended buffer. The token goes next to the endpoint, or into
// the payload of an event that has no endpoint.
func (e *Event) Append(dst []byte, messageID string, token sensitive.String) []byte {
	dst = append(dst, `{"event":{"header":`...)
	dst = e.Header.append(dst, messageID)
	if e.Endpoint != nil {
		dst = appendScope(append(dst, `,"endpoint":{`...), token)
		dst = appendString(append(dst, `,"endpointId":`...), e.Endpoint.ID)
		if e.Endpoint.Cookie != nil {
			dst = append(append(dst, `,"cookie":`...), e.Endpoint.Cookie...)
		}
		dst = append(dst, '}')
	}
	dst = e.appendPayload(append(dst, `,"payload":`...), token)
	dst = append(dst, '}')
	if e.Context != nil {
		dst = append(dst, `,"context":`...)
		dst = e.Context.append(dst)
	}
	return append(dst, '}')
}

// append appends the context, as {} if it has no properties, like Amazon's examples.
func (c *Context) append(dst []byte) []byte {
	if c.Properties == nil {
		return append(dst, "{}"...)
	}
	return append(appendProperties(append(dst, `{"properties":`...), c.Properties), '}')
}

// append appends the header, without messageId if that is empty.
func (h *Header) append(dst []byte, messageID string) []byte {
	dst = appendString(append(dst, `{"namespace":`...), h.Namespace)
	dst = appendString(append(dst, `,"name":`...), h.Name)
	if h.Instance != "" {
		dst = appendString(append(dst, `,"instance":`...), h.Instance)
	}
	if messageID != "" {
		dst = appendString(append(dst, `,"messageId":`...), messageID)
	}
	if h.CorrelationToken != "" {
		dst = appendString(append(dst, `,"correlationToken":`...), h.CorrelationToken)
	}
	return append(appendString(append(dst, `,"payloadVersion":`...), h.PayloadVersion), '}')
}

func (e *Event) appendPayload(dst []byte, token sensitive.String) []byte {
	if e.Change != nil {
		return e.Change.append(dst)
	}
	payload := e.payload()
	if e.Endpoint != nil {
		return append(dst, payload...)
	}
	dst = appendScope(append(dst, '{'), token)
	if rest := payload[skipSpace(payload, 1):]; rest[0] != '}' {
		return append(append(dst, ','), rest...)
	}
	return append(dst, '}')
}

func (e *Event) payload() []byte {
	if len(e.Payload) == 0 {
		return []byte("{}")
	}
	return e.Payload
}

func (c *Change) append(dst []byte) []byte {
	dst = append(dst, `{"change":{"cause":`...)
	if c.cause != nil {
		dst = append(dst, c.cause...)
	} else {
		dst = append(appendString(append(dst, `{"type":`...), c.Cause), '}')
	}
	dst = appendProperties(append(dst, `,"properties":`...), c.Properties)
	dst = append(append(dst, c.changeRest...), '}')
	return append(append(dst, c.payloadRest...), '}')
}

func appendScope(dst []byte, token sensitive.String) []byte {
	dst = append(dst, `"scope":{"type":"BearerToken","token":`...)
	return append(appendString(dst, token.Reveal()), '}')
}

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
	h.CorrelationToken, err = optional("correlationToken", correlation)
	return h, err
}

// header checks a header against its kind.
func (d *decoder) header(h *Header, kind Kind) error {
	const path = "event.header"
	if kind.Retired != "" {
		d.note(warning(ruleInterfaces, path+".namespace", "retired since %s", kind.Retired))
	}
	if kind.note != "" {
		d.note(warning(page(kind.source()), path+".namespace", "%s", kind.note))
	}
	d.suggestKind(kind)
	if kind.Synchronous != "" {
		return d.tolerate(breaks(ruleEvents, path+".name", "no asynchronous event: %s", kind.Synchronous))
	}
	switch {
	case h.PayloadVersion == kind.Version:
	case h.PayloadVersion == "":
		h.PayloadVersion = kind.Version
		if !kind.known {
			d.note(warning(ruleInterfaces, path+".payloadVersion",
				"missing: %q is sent, name the version of the interface's messages", kind.Version))
		}
	case kind.official:
		if err := d.tolerate(breaks(kind.rule(), path+".payloadVersion", "must be %q", kind.Version)); err != nil {
			return err
		}
	case kind.known:
		d.note(warning(kind.rule(), path+".payloadVersion", "ought to be %q", kind.Version))
	}
	if h.Instance != "" && kind.official {
		d.note(warning(ruleSchema, path+".instance", "not in this kind of event: leave it out"))
	}
	switch {
	case h.Instance != "":
	case kind.Instance == Required:
		if err := d.tolerate(breaks(kind.rule(), path+".instance", "missing: an endpoint may have several of this interface")); err != nil {
			return err
		}
	case kind.Instance == Expected:
		d.note(warning(kind.rule(), path+".instance", "missing"))
	}
	return d.correlation(h.CorrelationToken, kind)
}

// suggestKind warns of an unknown kind whose name resembles one of Alexa's.
func (d *decoder) suggestKind(kind Kind) {
	if _, known := kindIndex[kindName{kind.Namespace, kind.Name}]; known {
		return
	}
	if _, known := payloadVersions[kind.Namespace]; !known {
		if problem := nearInterface(kind.Namespace); problem != "" {
			d.note(warning(ruleInterfaces, "event.header.namespace", "%s", problem))
		}
		return
	}
	var names []string
	for _, k := range kinds {
		if k.Namespace == kind.Namespace {
			names = append(names, k.Name)
		}
	}
	if word := Nearest(kind.Name, names); word != "" {
		d.note(warning(ruleEvents, "event.header.name", "unknown: did you mean %s?", word))
	}
}

func (d *decoder) correlation(token string, kind Kind) error {
	const path = "event.header.correlationToken"
	const missing = "missing: it says which directive this answers"
	switch {
	case token == "" && kind.Answer == Required:
		return d.tolerate(breaks(ruleEvents, path, missing))
	case token == "" && kind.Answer == Expected:
		d.note(warning(ruleEvents, path, missing))
	case token != "" && kind.Answer == None:
		d.note(warning(ruleEvents, path, "has no meaning in an event that answers no directive: leave it out"))
	}
	return nil
}

// appendString appends s as a JSON string. Unlike encoding/json it does not escape <, >
// and &: the JSON is never embedded in HTML.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(dst, s[start:]...), '"')
}
