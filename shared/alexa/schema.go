package alexa

import (
	"encoding/json"
	"maps"
	"slices"
)

// Schema returns the JSON Schema (draft 2020-12) of the device event format, for
// publishers in other languages. [DecodeEvent] refuses, or warns of, every event that
// the schema refuses. Only DecodeEvent checks the few rules that a schema cannot
// express, for example that a list has each property only once.
func Schema() []byte {
	text, _ := json.MarshalIndent(deviceEvent(), "", "  ") // maps, strings and numbers always encode
	return append(text, '\n')
}

type schema = map[string]any

func deviceEvent() schema {
	return schema{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"title":       "Gatepost device event",
		"description": "The data of a message on the device-events topic: an Alexa event without message id, token and scope, for one customer.",
		"oneOf":       []any{reference("event"), reference("changeReport")},
		"$defs": schema{
			"event":        longSchema(),
			"changeReport": shortSchema(),
			"userId":       described(aName, "The maker's id of the customer."),
			"endpointId": schema{"type": "string", "minLength": 1, "maxLength": 256,
				"pattern": `^[^\x00-\x1f!"$%'()*+,/<>\[\\\]^` + "`" + `{|}~\x7f]*$`},
			"cause": schema{"enum": causes},
			"time": schema{"type": "string", "format": "date-time",
				"pattern":     `^[1-9]\d{3}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$`,
				"description": "Any RFC 3339 time; sent in Alexa's form."},
			"seconds": schema{"type": "string", "format": "date-time", "pattern": `^[1-9]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`,
				"description": "A time in UTC and whole seconds."},
			"property":   propertySchema(),
			"properties": schema{"type": "array", "items": reference("property")},
		},
	}
}

func shortSchema() schema {
	return object([]string{"userId", "endpointId", "cause", "changed"}, schema{
		"userId": reference("userId"), "endpointId": reference("endpointId"), "cause": reference("cause"),
		"changed": atLeastOne("properties"),
		"unchanged": orNull(reference("properties"),
			"The others. One that is among the changed ones as well is left out when the event is sent."),
		"event": aNull, "context": aNull,
	})
}

func longSchema() schema {
	cases := make([]any, 0, len(kinds))
	for _, k := range kinds {
		isKind := within("event", within("header", isNamed(k.Namespace, k.Name)))
		cases = append(cases, schema{"if": isKind, "then": k.schema()})
	}
	long := object([]string{"userId", "event"}, schema{
		"userId": reference("userId"),
		"event": object([]string{"header"}, schema{
			"header": object([]string{"namespace", "name"}, schema{
				"namespace": aName.schema(), "name": aName.schema(), "messageId": aNull,
				"payloadVersion": orNull(aName.schema(), ""), "instance": orNull(aName.schema(), ""), "correlationToken": orNull(aName.schema(), ""),
			}),
			"endpoint": orNull(object([]string{"endpointId"}, schema{
				"endpointId": reference("endpointId"), "cookie": schema{}, "scope": aNull}), ""),
			"payload": schema{"type": []string{"object", "null"}, "properties": schema{"scope": aNull}},
		}),
		"context": orNull(object(nil, schema{"properties": orNull(reference("properties"),
			"The state of the endpoint. Of a ChangeReport, one that is among the changed ones as well is left out when the event is sent.")}), ""),
		"endpointId": aNull, "cause": aNull, "changed": aNull, "unchanged": aNull,
	})
	long["allOf"] = cases
	return long
}

// isNamed returns the condition that a header or a property has a namespace and a name.
func isNamed(namespace, name string) schema {
	return schema{
		"required":   []string{"namespace", "name"},
		"properties": schema{"namespace": schema{"const": namespace}, "name": schema{"const": name}},
	}
}

// schema returns the kind's own rules for an event.
func (k Kind) schema() schema {
	if k.Synchronous != "" {
		return schema{"not": schema{}, "description": "No asynchronous event: " + k.Synchronous + "."}
	}
	header, event := schema{}, schema{}
	if k.official {
		header["payloadVersion"] = schema{"enum": []any{k.Version, nil}}
	}
	needs := []string{"namespace", "name"}
	if k.Answer == Required {
		needs, header["correlationToken"] = append(needs, "correlationToken"), schema{"type": "string"}
	}
	if k.Instance == Required {
		needs, header["instance"] = append(needs, "instance"), schema{"type": "string"}
	}
	event["header"] = schema{"required": needs, "properties": header}
	required := []string{"header"}
	payload := payloadShapes[kindName{k.Namespace, k.Name}]
	switch k.Token {
	case TokenInEndpoint:
		required = append(required, "endpoint")
		event["endpoint"] = schema{"type": "object"}
	case TokenInPayload:
		event["endpoint"] = aNull
	}
	switch {
	case k.Namespace == "Alexa" && k.Name == "ChangeReport":
		required = append(required, "payload")
		event["payload"] = openSchema("change", openSchema(
			"cause", openSchema("type", reference("cause")), "properties", atLeastOne("properties")))
	case payload == nil, k.Retired != "":
	case slices.ContainsFunc(payload.members, func(m shapeMember) bool { return m.required && !m.lenient }):
		required = append(required, "payload")
		event["payload"] = payload.schema()
	default:
		event["payload"] = orNull(payload.schema(), "")
	}
	rules := schema{"required": required, "properties": event}
	if k.Retired != "" {
		rules["deprecated"] = true
	}
	return schema{"properties": schema{"event": rules}}
}

func propertySchema() schema {
	cases := []any{schema{
		"if":   schema{"required": []string{"namespace"}, "properties": schema{"namespace": schema{"enum": instanced}}},
		"then": schema{"required": []string{"instance"}, "properties": schema{"instance": aName.schema()}},
	}}
	for _, namespace := range slices.Sorted(maps.Keys(valueShapes)) {
		for _, name := range slices.Sorted(maps.Keys(valueShapes[namespace])) {
			cases = append(cases, schema{
				"if":   isNamed(namespace, name),
				"then": schema{"properties": schema{"value": valueShapes[namespace][name].schema()}},
			})
		}
	}
	property := object([]string{"namespace", "name", "value"}, schema{
		"namespace": aName.schema(), "name": aName.schema(), "instance": orNull(aText.schema(), ""),
		"value": schema{"not": aNull}, "unit": schema{},
		"timeOfSample":              orNull(reference("time"), ""),
		"uncertaintyInMilliseconds": orNull(aNumber.schema(), ""),
	})
	property["additionalProperties"] = true
	property["allOf"] = cases
	return property
}

// schema returns the shape's schema. It omits rules that only cause a warning: words and
// numbers that Alexa may have added to, and lenient members.
func (s *shape) schema() schema {
	if s.or != nil {
		alone := *s
		alone.or = nil
		return schema{"anyOf": []any{alone.schema(), s.or.schema()}}
	}
	out := schema{}
	if s.kind != "" {
		out["type"] = s.kind
	}
	switch {
	case s.kind == "integer", s.kind == "number": // 50.0 and "50" only cause a warning
		out["type"], out["pattern"] = []string{"number", "string"}, `^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$`
	case s.kind == "array":
		out["items"] = s.items.schema()
		limits(out, s, "minItems", "maxItems")
	case s.defined != "":
		return reference(s.defined)
	case s.closed:
		out["enum"] = slices.Concat(s.words, s.rare)
	case len(s.words) > 0:
		out["examples"] = s.words
		limits(out, s, "minLength", "maxLength")
	case s.kind == "string":
		limits(out, s, "minLength", "maxLength")
	}
	if s.bounded {
		out["description"] = "From " + number64(s.low) + " to " + number64(s.high) + "."
	}
	if s.kind == "object" {
		s.objectSchema(out)
	}
	return out
}

func (s *shape) objectSchema(out schema) {
	properties, required := schema{}, []string{}
	for _, m := range s.members {
		if m.lenient {
			continue
		}
		if properties[m.name] = m.shape.schema(); m.required {
			required = append(required, m.name)
		} else {
			properties[m.name] = orNull(m.shape.schema(), "")
		}
	}
	if len(properties) > 0 {
		out["properties"] = properties
	}
	if len(required) > 0 {
		out["required"] = required
	}
	var cases []any
	for _, value := range slices.Sorted(maps.Keys(s.cases)) {
		cases = append(cases, schema{
			"if":   schema{"type": "object", "required": []string{s.choice}, "properties": schema{s.choice: schema{"const": value}}},
			"then": s.cases[value].schema(),
		})
	}
	if cases != nil {
		out["allOf"] = cases
	}
}

func limits(out schema, s *shape, least, most string) {
	if s.least > 0 {
		out[least] = s.least
	}
	if s.most > 0 {
		out[most] = s.most
	}
}

func number64(n float64) string {
	text, _ := json.Marshal(n) // a finite number always encodes
	return string(text)
}

func reference(name string) schema { return schema{"$ref": "#/$defs/" + name} }

var aNull = schema{"type": "null"}

// orNull returns the schema of an optional member: null counts as absent.
func orNull(s schema, description string) schema {
	out := schema{"anyOf": []any{s, aNull}}
	if description != "" {
		out["description"] = description
	}
	return out
}

// openSchema returns the schema of an object with the given members, and any others.
func openSchema(pairs ...any) schema {
	var names []string
	properties := schema{}
	for i := 0; i < len(pairs); i += 2 {
		names = append(names, pairs[i].(string))
		properties[pairs[i].(string)] = pairs[i+1]
	}
	return schema{"type": "object", "required": names, "properties": properties}
}

func described(s *shape, text string) schema {
	out := s.schema()
	out["description"] = text
	return out
}

func object(required []string, properties schema) schema {
	out := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		out["required"] = required
	}
	return out
}

func within(name string, inner schema) schema {
	return schema{"required": []string{name}, "properties": schema{name: inner}}
}

func atLeastOne(name string) schema {
	return schema{"allOf": []any{reference(name), schema{"minItems": 1}}}
}
