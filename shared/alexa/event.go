package alexa

import (
	"encoding/json"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// Event is an asynchronous event for one customer: what Amazon's page
// https://developer.amazon.com/docs/smarthome/send-events.html describes, less
// the message id and the token, which belong to a single delivery.
//
// An Event that came from [DecodeEvent] refers to the bytes it was decoded
// from. They must not be changed while the Event is in use.
type Event struct {
	UserID   string // the maker's id of the customer; not part of what Alexa gets
	Header   Header
	Endpoint *Endpoint       // nil for events about several endpoints, whose token goes into the payload
	Change   *Change         // of a ChangeReport; its payload is then Change and nothing else
	Payload  json.RawMessage // of any other; nil means {}
	Context  *Context        // nil when the event has none
}

// Header is event.header without messageId.
type Header struct {
	Namespace        string
	Name             string
	PayloadVersion   string
	Instance         string // only for event sources that an endpoint can have several of
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

	payloadRest, changeRest []byte // members that Gatepost does not know, as `,"name":value`
	cause                   []byte // as it came, when checks are not strict
}

// Context is the state of the endpoint's other properties.
type Context struct {
	Properties []Property
}

// IsChangeReport reports whether the event is an Alexa.ChangeReport.
func (e *Event) IsChangeReport() bool {
	return e.Header.Namespace == "Alexa" && e.Header.Name == "ChangeReport"
}

// EndpointID is the id of the event's endpoint, empty for an event that has
// none.
func (e *Event) EndpointID() string {
	if e.Endpoint == nil {
		return ""
	}
	return e.Endpoint.ID
}

// Append appends the event as the gateway takes it, with the given message id
// and access token, and returns the extended buffer. The token goes next to
// the endpoint, or into the payload of an event that has no endpoint.
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

// append writes a context without properties as {}, which is what Amazon's
// examples show.
func (c *Context) append(dst []byte) []byte {
	if c.Properties == nil {
		return append(dst, "{}"...)
	}
	return append(appendProperties(append(dst, `{"properties":`...), c.Properties), '}')
}

// append appends the header, without a message id if that is empty.
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
