package alexa

import "encoding/json"

// Endpoints are those of a discovery report (AddOrUpdateReport, DeleteReport),
// taken apart once so that the report can be sent in parts.
type Endpoints struct {
	list []json.RawMessage
	rest []byte // of the payload, as `,"name":value`
}

// Endpoints returns the endpoints of a discovery report, and none of any other
// event.
func (e *Event) Endpoints() Endpoints {
	var all Endpoints
	if e.Header.Namespace != "Alexa.Discovery" || len(e.Payload) == 0 {
		return all
	}
	var endpoints []byte
	if pick(e.Payload, nil, member{"endpoints", &endpoints}, rest(&all.rest)) != nil || endpoints == nil || endpoints[0] != '[' {
		return Endpoints{}
	}
	_ = each(endpoints, func(_ int, value []byte) error { // f returns no error
		all.list = append(all.list, value)
		return nil
	})
	return all
}

// Len is how many there are.
func (p Endpoints) Len() int { return len(p.list) }

// Part returns those from (included) to (excluded), without copying them.
func (p Endpoints) Part(from, to int) Endpoints { return Endpoints{p.list[from:to], p.rest} }

// WithEndpoints returns a copy of a discovery report that is about part of its
// endpoints. Each is as it came, and so is everything else in the payload.
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
