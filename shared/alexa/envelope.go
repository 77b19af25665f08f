package alexa

// Envelope is as much of a message to a skill's Lambda as tells where the
// message goes, and what an answer to it must repeat. A smart home skill gets
// directives; if it subscribes to skill events it also gets requests, in the
// form of a custom skill's.
type Envelope struct {
	Namespace        string // directive.header.namespace
	Name             string // directive.header.name
	MessageID        string // directive.header.messageId
	CorrelationToken string // directive.header.correlationToken, opaque, often absent
	EndpointID       string // directive.endpoint.endpointId, absent from some directives
	Payload          []byte // directive.payload as it came
	RequestType      string // request.type of a message that is no directive
}

// ReadEnvelope reads what it can. It judges nothing: what is absent, given
// twice or of another type is left empty, and so is all of what is not one
// JSON object. Whoever the message is for says what is wrong with it.
func ReadEnvelope(data []byte) Envelope {
	var e Envelope
	doc, err := document(data)
	if err != nil {
		return e
	}
	var directive, request []byte
	members(doc, member{"directive", &directive}, member{"request", &request})
	if directive == nil {
		e.RequestType = textIn(request, "type")
		return e
	}
	var header, endpoint []byte
	members(directive, member{"header", &header}, member{"endpoint", &endpoint}, member{"payload", &e.Payload})
	e.Namespace, e.Name = textIn(header, "namespace"), textIn(header, "name")
	e.MessageID, e.CorrelationToken = textIn(header, "messageId"), textIn(header, "correlationToken")
	e.EndpointID = textIn(endpoint, "endpointId")
	return e
}

// HasEvent reports whether data is one JSON object with an object "event", as
// every answer to a directive is.
func HasEvent(data []byte) bool {
	doc, err := document(data)
	if err != nil {
		return false
	}
	var event []byte
	members(doc, member{"event", &event})
	return event != nil && event[0] == '{'
}

// members is pick for those who take what there is.
func members(raw []byte, wanted ...member) {
	if raw == nil || pick(raw, ignore, wanted...) == nil {
		return
	}
	for _, m := range wanted {
		*m.value = nil
	}
}

// textIn is the string by that name in an object, if there is one.
func textIn(object []byte, name string) string {
	var value []byte
	members(object, member{name, &value})
	if value == nil {
		return ""
	}
	s, err := text(value)
	if err != nil {
		return ""
	}
	return s
}
