package lint

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

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
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
		if said := schema.Validate(v); (sendEvent == nil) != (said == nil) || (sendEvent == nil) != (status == cli.StatusDone) {
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

// FuzzJudge judges any file: lines lie in it and go up, what is not JSON is an
// error, and a single event fails exactly if SendEvent would refuse it.
func FuzzJudge(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.json")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range seeds {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, text := range []string{sound, doorbell, discovery(endpoint("lamp-1", power, mode, bell)), `[{},5]{"":{"":[""]},".":1,"[":2}`, "{",
		"[[[", "\xff", "\ufeff" + sound, `{"userId":"\ud800"}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		known := make(declarations)
		known.add((&reader{text: []byte(discovery(endpoint("lamp-1", power)))}).value())
		list, broken := documents(text)
		for _, known := range []declarations{nil, known} {
			line, failed := 1, false
			for _, found := range judge("file", text, known) {
				if found.Line < line || found.Line > bytes.Count(text, []byte("\n"))+1 || found.Column < 1 || found.Column > len(text)+1 {
					t.Fatalf("%v, column %d, behind line %d", found, found.Column, line)
				}
				line, failed = found.Line, failed || found.Severity == failure
			}
			if broken != nil && !failed {
				t.Fatal("broken, and nothing is said of it")
			}
			if known != nil || broken != nil || len(list) != 1 || list[0].prefix != "" {
				continue
			}
			_, _, err := alexa.DecodeEvent(bytes.TrimPrefix(text, byteOrderMark), published, alexa.CheckStrict)
			header := list[0].member("event").member("header")
			if header.member("namespace").text() != "Alexa.Discovery" && failed != (err != nil) {
				t.Fatalf("failed is %v, but DecodeEvent answers %v", failed, err)
			}
		}
	})
}

// FuzzReader takes valid JSON apart: every value's text is where it says, and
// is that of a JSON value.
func FuzzReader(f *testing.F) {
	f.Add([]byte(sound))
	f.Add([]byte(` {"a" : [ 1 , {} , "x\"]" ] , "b":{ } ,"a":-1e5}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) {
			return
		}
		var check func(v value)
		check = func(v value) {
			if !json.Valid(v.raw) || !bytes.HasPrefix(text[v.at:], v.raw) {
				t.Fatalf("%q at %d", v.raw, v.at)
			}
			for _, m := range v.members {
				check(m.value)
				if part, ok := v.without(m.name); ok && !json.Valid(part) {
					t.Fatalf("without %q: %q", m.name, part)
				}
			}
			for _, item := range v.items {
				check(item)
			}
		}
		check((&reader{text: text}).value())
	})
}
