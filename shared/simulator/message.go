package simulator

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// object is a JSON object. It is a map, because the gateway's field names are
// case-sensitive and encoding/json's matching to a struct is not.
type object = map[string]any

// event is a decoded body. Parts that are absent or of another type are nil.
type event struct {
	root, event, header, endpoint, payload object
	endpointScope, payloadScope            object
	kind                                   kind
}

// readEvent decodes a body.
func readEvent(body []byte) event {
	var e event
	if json.Unmarshal(body, &e.root) != nil {
		return event{}
	}
	e.event = child(e.root, "event")
	e.header = child(e.event, "header")
	e.endpoint = child(e.event, "endpoint")
	e.payload = child(e.event, "payload")
	e.endpointScope = child(e.endpoint, "scope")
	e.payloadScope = child(e.payload, "scope")
	e.kind = kinds[text(e.header, "namespace")+"/"+text(e.header, "name")]
	return e
}

func child(o object, name string) object { c, _ := o[name].(object); return c }

func text(o object, name string) string { t, _ := o[name].(string); return t }

func list(o object, name string) []any { l, _ := o[name].([]any); return l }

// The three descriptions that have been seen with INVALID_REQUEST_EXCEPTION,
// the misspelling included.
func malformed(format string, args ...any) *wrong {
	return &wrong{InvalidRequest, "The request was malformed.", fmt.Sprintf(format, args...)}
}

func unconvertible(reason string) *wrong {
	return &wrong{InvalidRequest, "Payload conversion failed.", reason}
}

func missing(reason string) *wrong {
	return &wrong{InvalidRequest, "Event or endpoint is missing in the resquest.", reason}
}

// judge returns the refusal of an event with a valid token, nil if it is accepted.
func (e event) judge(token string) *wrong {
	if e.root == nil {
		return malformed("the body is not a JSON object")
	}
	if e.event == nil {
		return missing("event is missing")
	}
	checks := []func() *wrong{
		e.checkNames, e.checkHeader, e.checkPlace, func() *wrong { return e.checkScope(token) }, e.checkContext, e.checkPayload,
	}
	for _, check := range checks {
		if w := check(); w != nil {
			return w
		}
	}
	return nil
}

// checkNames refuses fields that Alexa does not have.
func (e event) checkNames() *wrong {
	for _, part := range []struct {
		name    string
		object  object
		allowed []string
	}{
		{"the body", e.root, []string{"context", "event"}},
		{"event", e.event, []string{"header", "endpoint", "payload"}},
		{"event.header", e.header, []string{"namespace", "name", "messageId", "payloadVersion", "correlationToken", "instance"}},
		{"event.endpoint", e.endpoint, []string{"scope", "endpointId", "cookie"}},
		{"event.endpoint.scope", e.endpointScope, []string{"type", "token"}},
		{"event.payload.scope", e.payloadScope, []string{"type", "token"}},
	} {
		if hasOther(part.object, part.allowed) {
			return malformed("%s has an unknown field", part.name)
		}
	}
	return nil
}

// hasOther reports whether an object has a field that is not allowed.
func hasOther(o object, allowed []string) bool {
	for name := range o {
		if !slices.Contains(allowed, name) {
			return true
		}
	}
	return false
}

// The character sets of Amazon's message schema,
// https://github.com/alexa/alexa-smarthome/tree/master/validation_schemas. That of an
// endpointId is from Amazon's page, plus the dot and the letters beyond a-z, which the
// page does not mention.
var (
	messageIDForm  = regexp.MustCompile(`^[a-zA-Z0-9\-]*$`)
	endpointIDForm = regexp.MustCompile(`^[a-zA-Z0-9_\-=#;:?@& .\x{80}-\x{10FFFF}]{1,256}$`)
	timeForm       = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$`)
)

// checkHeader checks event.header.
func (e event) checkHeader() *wrong {
	id, version := text(e.header, "messageId"), text(e.header, "payloadVersion")
	_, correlated := e.header["correlationToken"]
	switch {
	case e.header == nil:
		return malformed("event.header is missing")
	case text(e.header, "namespace") == "" || text(e.header, "name") == "":
		return malformed("event.header.namespace or name is missing")
	case len(id) < 1 || len(id) > 127 || !messageIDForm.MatchString(id):
		return malformed("event.header.messageId is not 1 to 127 of a-z A-Z 0-9 -")
	case version == "" || e.kind.version != "" && version != e.kind.version:
		return malformed("event.header.payloadVersion is not a string, or not this event's version %s", e.kind.version)
	case correlated && text(e.header, "correlationToken") == "":
		return malformed("event.header.correlationToken is empty")
	case !correlated && e.kind.correlated:
		return malformed("event.header.correlationToken is missing: this event answers a directive")
	case e.kind.synchronous:
		return malformed("this is the answer of a Lambda function, not an event")
	}
	return nil
}

// checkPlace requires an endpoint, or none if the payload has the scope.
func (e event) checkPlace() *wrong {
	_, hasEndpoint := e.event["endpoint"]
	switch {
	case e.payload == nil:
		return malformed("event.payload is missing")
	case e.kind.place == inPayload && hasEndpoint:
		return malformed("this event has no event.endpoint")
	case e.kind.place == inPayload, e.kind.place == anywhere && !hasEndpoint && e.payloadScope != nil:
		return nil
	case e.endpoint == nil:
		return missing("event.endpoint is missing")
	}
	return checkEndpointID(e.endpoint, "event.endpoint")
}

func checkEndpointID(endpoint object, where string) *wrong {
	id := text(endpoint, "endpointId")
	if !endpointIDForm.MatchString(id) {
		return malformed("%s.endpointId is not 1 to 256 letters, digits, spaces and _ - = # ; : ? @ &", where)
	}
	return nil
}

// checkScope requires the header's token in the body as well. Without it the gateway was
// seen to answer 401 and not 400. Its answer to two different tokens is not known; the
// simulator gives the same, since one of them is not the token of the request.
func (e event) checkScope(token string) *wrong {
	scope, where := e.endpointScope, "event.endpoint.scope"
	if e.endpoint == nil {
		scope, where = e.payloadScope, "event.payload.scope"
	}
	switch {
	case e.endpointScope != nil && e.payloadScope != nil:
		return malformed("the scope is in the endpoint and in the payload")
	case scope != nil && text(scope, "type") != "BearerToken":
		return malformed("%s.type is not BearerToken", where)
	case text(scope, "token") != token:
		return &wrong{InvalidAccessToken, known[InvalidAccessToken].description, where + ".token is not the token of the Authorization header"}
	}
	return nil
}

// checkContext checks the context, which is always optional.
func (e event) checkContext() *wrong {
	raw, ok := e.root["context"]
	if !ok {
		return nil
	}
	context, ok := raw.(object)
	if !ok {
		return malformed("context is not an object")
	}
	if hasOther(context, []string{"properties"}) {
		return malformed("context has an unknown field")
	}
	if raw, ok := context["properties"]; ok {
		return checkProperties(raw, "context.properties")
	}
	return nil
}

// checkPayload checks the kind's rules for the payload.
func (e event) checkPayload() *wrong {
	for _, name := range e.kind.requires {
		if v := e.payload[name]; v == nil || v == "" {
			return malformed("event.payload.%s is missing", name)
		}
	}
	if e.kind.check == nil {
		return nil
	}
	return e.kind.check(e)
}

// checkTime checks a time against Amazon's form: UTC, a literal Z, at most
// three digits of fraction.
func checkTime(v any, where string) *wrong {
	written, _ := v.(string)
	_, err := time.Parse(time.RFC3339, written)
	if err != nil || !timeForm.MatchString(written) {
		return malformed("%s is not a time as 2026-01-02T03:04:05.678Z", where)
	}
	return nil
}
