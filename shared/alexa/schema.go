package alexa

import (
	"encoding/json"
	"maps"
	"slices"
)

// Schema returns the JSON Schema (draft 2020-12) of the device event format,
// for publishers in other languages. What it refuses [DecodeEvent] refuses or
// warns of; a few rules that no schema can state, as that a list has a
// property once, are DecodeEvent's alone.
func Schema() []byte {
	text, _ := json.MarshalIndent(deviceEvent(), "", "  ") // maps, strings and numbers only
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
			"endpointId":   schema{"type": "string", "pattern": `^[a-zA-Z0-9_\-=#;:?@&]{1,256}$`},
			"cause":        schema{"enum": causes},
			"time": schema{"type": "string", "format": "date-time", "pattern": `^[1-9]\d{3}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$`,
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
		"changed":   atLeastOne("properties"),
		"unchanged": schema{"$ref": "#/$defs/properties", "description": "The others. One that is among the changed ones as well is left out when the event is sent."},
	})
}

func longSchema() schema {
	cases := make([]any, 0, len(kinds))
	for _, k := range kinds {
		cases = append(cases, schema{"if": named(k), "then": k.schema()})
	}
	long := object([]string{"userId", "event"}, schema{
		"userId": reference("userId"),
		"event": object([]string{"header"}, schema{
			"header": object([]string{"namespace", "name"}, schema{
				"namespace": aName.schema(), "name": aName.schema(), "payloadVersion": aName.schema(),
				"instance": aName.schema(), "correlationToken": aName.schema(),
			}),
			"endpoint": object([]string{"endpointId"}, schema{"endpointId": reference("endpointId"), "cookie": schema{}}),
			"payload":  schema{"type": "object", "not": schema{"required": []string{"scope"}}},
		}),
		"context": object(nil, schema{"properties": schema{"$ref": "#/$defs/properties",
			"description": "The state of the endpoint. Of a ChangeReport, one that is among the changed ones as well is left out when the event is sent."}}),
	})
	long["allOf"] = cases
	return long
}

// named is the condition that an event is of a kind.
func named(k Kind) schema {
	return within("event", within("header", schema{
		"required":   []string{"namespace", "name"},
		"properties": schema{"namespace": schema{"const": k.Namespace}, "name": schema{"const": k.Name}},
	}))
}

// schema is what an event of the kind has to be besides.
func (k Kind) schema() schema {
	if k.Synchronous != "" {
		return schema{"not": schema{}, "description": "No asynchronous event: " + k.Synchronous + "."}
	}
	header, event, all := schema{}, schema{}, schema{}
	if k.official {
		header["payloadVersion"] = schema{"const": k.Version}
	}
	var needs []string
	if k.Answer == Required {
		needs = append(needs, "correlationToken")
	}
	if k.Instance == Required {
		needs = append(needs, "instance")
	}
	event["header"] = schema{"required": slices.Concat([]string{"namespace", "name"}, needs), "properties": header}
	required := []string{"header"}
	switch k.Token {
	case TokenInEndpoint:
		required = append(required, "endpoint")
	case TokenInPayload:
		event["endpoint"] = false
	}
	switch {
	case k.Namespace == "Alexa" && k.Name == "ChangeReport":
		required = append(required, "payload")
		event["payload"] = within("change", object([]string{"cause", "properties"}, schema{
			"cause": object([]string{"type"}, schema{"type": reference("cause")}), "properties": atLeastOne("properties"),
		}))
	case k.payload != nil:
		event["payload"] = k.payload.schema()
		if slices.ContainsFunc(k.payload.members, func(m shapeMember) bool { return m.required }) {
			required = append(required, "payload")
		}
	}
	all["event"] = schema{"required": required, "properties": event}
	if k.Retired != "" {
		all["event"].(schema)["deprecated"] = true
	}
	return schema{"properties": all}
}

func propertySchema() schema {
	cases := []any{schema{
		"if":   schema{"required": []string{"namespace"}, "properties": schema{"namespace": schema{"enum": instanced}}},
		"then": schema{"required": []string{"instance"}, "properties": schema{"instance": aName.schema()}},
	}}
	for _, namespace := range slices.Sorted(maps.Keys(valueShapes)) {
		for _, name := range slices.Sorted(maps.Keys(valueShapes[namespace])) {
			cases = append(cases, schema{
				"if": schema{
					"required":   []string{"namespace", "name"},
					"properties": schema{"namespace": schema{"const": namespace}, "name": schema{"const": name}},
				},
				"then": schema{"properties": schema{"value": valueShapes[namespace][name].schema()}},
			})
		}
	}
	property := object([]string{"namespace", "name", "value"}, schema{
		"namespace": aName.schema(), "name": aName.schema(), "instance": aText.schema(),
		"value": schema{"not": schema{"type": "null"}}, "unit": schema{},
		"timeOfSample":              reference("time"),
		"uncertaintyInMilliseconds": schema{"type": "number", "minimum": 0},
	})
	property["allOf"] = cases
	return property
}

// schema writes a shape. What is worth a warning and no refusal is not in it: words
// and numbers that Alexa may have learned since, and lenient members.
func (s *shape) schema() schema {
	out := schema{}
	if s.kind != "" {
		out["type"] = s.kind
	}
	switch {
	case s.kind == "integer":
		out["type"] = "number" // 50.0 draws a warning only
	case s.kind == "array":
		out["items"] = s.items.schema()
		limits(out, s, "minItems", "maxItems")
	case s.defined != "":
		return reference(s.defined)
	case s.closed:
		out["enum"] = s.words
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
		limits(out, s, "minProperties", "maxProperties")
	}
	return out
}

func (s *shape) objectSchema(out schema) {
	properties, required := schema{}, []string{}
	for _, m := range s.members {
		if m.lenient {
			continue
		}
		properties[m.name] = m.shape.schema()
		if m.required {
			required = append(required, m.name)
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
			"if":   schema{"required": []string{s.choice}, "properties": schema{s.choice: schema{"const": value}}},
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
	text, _ := json.Marshal(n) // a finite number
	return string(text)
}

func reference(name string) schema { return schema{"$ref": "#/$defs/" + name} }

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
