package alexa

import "encoding/json"

// Limits of a discovery answer or report, see
// https://developer.amazon.com/docs/device-apis/alexa-discovery.html.
const (
	MaxEndpoints    = 300       // per customer, and per report
	MaxCapabilities = 100       // per endpoint
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
