package main

import (
	"bytes"
	"encoding/json"
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
// example and on a thousand events that are nearly one: what lint calls an
// error, SendEvent refuses, and so does the JSON Schema.
func TestAgree(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(root + "/shared/alexa/examples/*.json")
	if err != nil || len(paths) < 40 {
		t.Fatalf("%d examples (%v)", len(paths), err)
	}
	schema := compiled(t)
	random := rand.New(rand.NewPCG(15, 0))
	refused := 0
	for i := range 1000 + len(paths) {
		event, err := os.ReadFile(paths[i%len(paths)])
		if err != nil {
			t.Fatal(err)
		}
		if i >= len(paths) {
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
