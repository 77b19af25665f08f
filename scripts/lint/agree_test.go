package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// TestAgree holds the three who judge device events against each other, on every
// example, on what others send, and on a thousand events that are nearly one: what lint calls an
// error, SendEvent refuses, and so does the JSON Schema.
func TestAgree(t *testing.T) {
	t.Parallel()
	events := sources(t)
	schema := compiled(t)
	random := rand.New(rand.NewPCG(15, 0))
	refused := 0
	for i := range 1000 + len(events) {
		event := events[i%len(events)]
		if i >= len(events) {
			event = changed(t, random, event)
		}
		_, _, sendEvent := alexa.DecodeEvent(event, published, alexa.CheckStrict)
		status, stdout, _ := lint(string(event))
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(event))
		if err != nil {
			t.Fatal(err)
		}
		if said := schema.Validate(v); (sendEvent == nil) != (said == nil) || (sendEvent == nil) != (status == exitClean) {
			t.Fatalf("SendEvent: %v\nthe JSON Schema: %v\nlint: %s\n%s", sendEvent, said, stdout, event)
		}
		if sendEvent != nil {
			refused++
		}
	}
	if refused < 100 || refused > 900 {
		t.Errorf("%d events are refused: the changes are too mild, or too hard", refused)
	}
}

// sources are the examples, and what others send or have reported.
func sources(t *testing.T) [][]byte {
	t.Helper()
	const alexa = root + "/shared/alexa/"
	paths, err := filepath.Glob(alexa + "examples/*.json")
	if err != nil || len(paths) < 40 {
		t.Fatalf("%d examples (%v)", len(paths), err)
	}
	read := func(path string) []byte {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var events [][]byte
	for _, path := range paths {
		events = append(events, read(path))
	}
	var bodies []json.RawMessage
	var reports []struct{ Event json.RawMessage }
	if err := errors.Join(json.Unmarshal(read(alexa+"testdata/bodies.json"), &bodies), json.Unmarshal(read(alexa+"testdata/public.json"),
		&reports)); err != nil {
		t.Fatal(err)
	}
	for _, report := range reports {
		bodies = append(bodies, report.Event)
	}
	for _, body := range bodies {
		events = append(events, body)
	}
	return events
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(alexa.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// changed is an event with another value, or none, in one place.
func changed(t *testing.T, random *rand.Rand, event []byte) []byte {
	t.Helper()
	var document any
	if err := json.Unmarshal(event, &document); err != nil {
		t.Fatal(err)
	}
	var places []func(value any, gone bool)
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				walk(v[name])
				places = append(places, func(value any, gone bool) {
					if v[name] = value; gone {
						delete(v, name)
					}
				})
			}
		case []any:
			for i, inner := range v {
				walk(inner)
				places = append(places, func(value any, _ bool) { v[i] = value })
			}
		}
	}
	walk(document)
	values := []any{nil, nil, "", "x", "Alexa.RangeController", "lamp 1", "lamp.1", `a\b`, "7", 7, -1.5, true, []any{}, map[string]any{},
		"2026-01-02T03:04:05Z"}
	places[random.IntN(len(places))](values[random.IntN(len(values))], random.IntN(6) == 0)
	changed, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}
