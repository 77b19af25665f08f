package alexa

import (
	"encoding/json"
	"time"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// Event is an asynchronous event for one customer: see
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
	return e.append(append(dst, '{'), messageID, &token)
}

// Device returns the event as a maker publishes it: the data of a message on the
// device-events topic. It returns a [FieldError] if Amazon would refuse the event, or
// the format does not allow it. The second result lists the warnings of [DecodeEvent].
func (e *Event) Device() ([]byte, []*FieldError, error) {
	data := e.append(append(appendString([]byte(`{"userId":`), e.UserID), ','), "", nil)
	_, warnings, err := DecodeEvent(data, time.Now(), CheckStrict)
	if err != nil {
		return nil, nil, err
	}
	return data, warnings, nil
}

// append appends the members "event" and "context" and the closing brace. A token that
// is nil is left out, and so is an empty message id.
func (e *Event) append(dst []byte, messageID string, token *sensitive.String) []byte {
	dst = e.Header.append(append(dst, `"event":{"header":`...), messageID)
	if e.Endpoint != nil {
		dst = append(dst, `,"endpoint":{`...)
		if token != nil {
			dst = append(appendScope(dst, *token), ',')
		}
		dst = appendString(append(dst, `"endpointId":`...), e.Endpoint.ID)
		if e.Endpoint.Cookie != nil {
			dst = append(append(dst, `,"cookie":`...), e.Endpoint.Cookie...)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, `,"payload":`...)
	switch payload := e.payload(); {
	case e.Change != nil:
		dst = e.Change.append(dst)
	case token == nil || e.Endpoint != nil:
		dst = append(dst, payload...)
	default:
		members := payload[skipSpace(payload, 1):]
		if dst = appendScope(append(dst, '{'), *token); members[0] != '}' {
			dst = append(dst, ',')
		}
		dst = append(dst, members...)
	}
	dst = append(dst, '}')
	if e.Context != nil {
		dst = e.Context.append(append(dst, `,"context":`...))
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

// Limits of a discovery answer or report: see
// https://developer.amazon.com/docs/device-apis/alexa-discovery.html.
const (
	MaxEndpoints    = 300       // per customer, and per report
	maxCapabilities = 100       // per endpoint
	MaxReportBytes  = 256 << 10 // per AddOrUpdateReport
)

// Endpoints are the endpoints of a discovery report (AddOrUpdateReport, DeleteReport),
// split once so that the report can be sent in parts.
type Endpoints struct {
	list []json.RawMessage
	rest []byte // the payload's other members, as `,"name":value`
}

// Endpoints returns the endpoints of a discovery report, and none for any other event.
func (e *Event) Endpoints() Endpoints {
	var all Endpoints
	if e.Header.Namespace != "Alexa.Discovery" || len(e.Payload) == 0 {
		return all
	}
	var endpoints []byte
	if pick(e.Payload, nil, member{"endpoints", &endpoints}, rest(&all.rest)) != nil || endpoints == nil || endpoints[0] != '[' {
		return Endpoints{}
	}
	for _, value := range each(endpoints) {
		all.list = append(all.list, value)
	}
	return all
}

// Len returns the number of endpoints.
func (p Endpoints) Len() int { return len(p.list) }

// Part returns the endpoints from (included) to (excluded), without copying them.
func (p Endpoints) Part(from, to int) Endpoints { return Endpoints{p.list[from:to], p.rest} }

// WithEndpoints returns a copy of a discovery report with part of its endpoints. The
// endpoints and the payload's other members are unchanged.
func (e *Event) WithEndpoints(part Endpoints) Event {
	size := len(`{"endpoints":[]}`) + len(part.rest)
	for _, endpoint := range part.list {
		size += len(endpoint) + 1
	}
	payload := append(make([]byte, 0, size), `{"endpoints":[`...)
	for i, endpoint := range part.list {
		if i > 0 {
			payload = append(payload, ',')
		}
		payload = append(payload, endpoint...)
	}
	copied := *e
	copied.Payload = append(append(append(payload, ']'), part.rest...), '}')
	return copied
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
