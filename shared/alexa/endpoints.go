package alexa

import "encoding/json"

// Endpoints returns the elements of payload.endpoints of a discovery report
// (AddOrUpdateReport, DeleteReport), as they came, and nothing for any other
// event.
func (e *Event) Endpoints() []json.RawMessage {
	if e.Header.Namespace != "Alexa.Discovery" || len(e.Payload) == 0 {
		return nil
	}
	var endpoints []byte
	if pick(e.Payload, ignore, member{"endpoints", &endpoints}) != nil || endpoints == nil || endpoints[0] != '[' {
		return nil
	}
	var list []json.RawMessage
	_ = each(endpoints, func(_ int, value []byte) error { // f returns no error
		list = append(list, value)
		return nil
	})
	return list
}

// WithEndpoints returns a copy of a discovery report that is about the
// endpoints from (included) to (excluded) of Endpoints only. Everything else in
// the payload stays as it came.
func (e *Event) WithEndpoints(from, to int) Event {
	var endpoints, rest []byte
	part := *e
	if pick(e.Payload, keep(&rest), member{"endpoints", &endpoints}) != nil {
		return part
	}
	payload := []byte(`{"endpoints":[`)
	for i, endpoint := range e.Endpoints()[from:to] {
		if i > 0 {
			payload = append(payload, ',')
		}
		payload = append(payload, endpoint...)
	}
	part.Payload = append(append(append(payload, ']'), rest...), '}')
	return part
}
