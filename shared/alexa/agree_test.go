package alexa_test

import (
	"cmp"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// unstatable are the rules that no JSON Schema can state: the beginnings of
// what DecodeEvent says.
var unstatable = []string{
	"the same property as ",              // of two properties in a list
	"must be a time of the years 1000",   // once it is written in UTC
	"must be a time in UTC with at most", // a doorbell's year 0999 in UTC, the same
}

// agree holds DecodeEvent and the JSON Schema against each other.
func agree(t *testing.T, schema *jsonschema.Schema, data []byte) {
	t.Helper()
	refused := schema.Validate(instance(t, data))
	_, _, err := alexa.DecodeEvent(data, published, alexa.CheckStrict)
	switch {
	case refused != nil && err == nil:
		t.Errorf("the JSON Schema refuses what DecodeEvent takes: %v\n%s", refused, data)
	case refused == nil && err != nil && !isUnstatable(err):
		t.Errorf("the JSON Schema takes what DecodeEvent refuses: %v\n%s", err, data)
	}
}

func isUnstatable(err error) bool {
	return slices.ContainsFunc(unstatable, func(problem string) bool { return strings.Contains(err.Error(), problem) })
}

func TestSchemaAgrees(t *testing.T) {
	t.Parallel()
	schema, r := compiledSchema(t), source(t)
	for seed := range uint64(1500) {
		agree(t, schema, r.seeded(seed).event(3))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzSchemaAgrees(f *testing.F) {
	schema, r := compiledSchema(f), source(f)
	f.Add(uint64(0), uint8(3))
	f.Fuzz(func(t *testing.T, seed uint64, changes uint8) {
		agree(t, schema, r.seeded(seed).event(int(changes%8)))
	})
}

// random makes device events that are nearly right: an example, with
// properties as the JSON Schema has them, and a few parts changed. Bytes at
// random would hardly ever be an event.
type random struct {
	*rand.Rand
	seeds      []any // the examples, decoded
	properties []pair
	defs       map[string]any // of the JSON Schema
}

// pair is a property that the JSON Schema knows, and its value's schema.
type pair struct {
	namespace, name string
	value           map[string]any
}

// source is what random events are made from; it is only read.
func source(tb testing.TB) random {
	tb.Helper()
	var r random
	files := examples(tb)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		r.seeds = append(r.seeds, decodeAny(tb, files[name]))
	}
	r.defs = child(decodeAny(tb, alexa.Schema()), "$defs")
	for _, c := range child(r.defs, "property")["allOf"].([]any) {
		names, value := child(c, "if", "properties"), child(c, "then", "properties", "value")
		if namespace, ok := child(names, "namespace")["const"].(string); ok {
			r.properties = append(r.properties, pair{namespace, child(names, "name")["const"].(string), value})
		}
	}
	if len(r.properties) < 30 {
		tb.Fatalf("the JSON Schema knows %d properties only", len(r.properties))
	}
	return r
}

func (r random) seeded(seed uint64) random {
	r.Rand = rand.New(rand.NewPCG(seed, 0))
	return r
}

func decodeAny(tb testing.TB, data []byte) any {
	tb.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		tb.Fatal(err)
	}
	return v
}

func child(v any, names ...string) map[string]any {
	object, _ := v.(map[string]any)
	for _, name := range names {
		object, _ = object[name].(map[string]any)
	}
	return object
}

func (r random) chance(percent int) bool { return r.IntN(100) < percent }

func pick[T any](r random, list []T) T { return list[r.IntN(len(list))] }

// event is an event with up to so many changes.
func (r random) event(changes int) []byte {
	doc := clone(pick(r, r.seeds)).(map[string]any)
	for _, list := range []map[string]any{doc, child(doc, "event", "payload", "change"), child(doc, "context")} {
		for _, name := range []string{"changed", "unchanged", "properties"} {
			if _, ok := list[name].([]any); ok && r.chance(80) {
				list[name] = r.propertyList()
			}
		}
	}
	if header := child(doc, "event", "header"); header != nil && r.chance(10) {
		header[pick(r, []string{"instance", "payloadVersion", "correlationToken", "name"})] = pick(r,
			[]any{"3", "1.0", "Thing.1", "ErrorResponse", ""})
	}
	for range r.IntN(changes + 1) {
		r.change(doc)
	}
	data, _ := json.Marshal(doc) // it was decoded from JSON
	return data
}

func (r random) propertyList() []any {
	var list []any
	for range 1 + r.IntN(4) {
		p := pick(r, r.properties)
		property := map[string]any{"namespace": p.namespace, "name": p.name, "value": r.value(p.value)}
		if r.chance(30) || r.chance(95) && strings.Contains("Alexa.InventoryLevelSensor Alexa.ModeController Alexa.RangeController "+
			"Alexa.ToggleController", p.namespace) {
			property["instance"] = pick(r, []string{"Fan.Speed", "Fan.Swing"})
		}
		if r.chance(5) {
			property["unit"] = "LITER"
		}
		if r.chance(70) {
			property["timeOfSample"] = pick(r, times[:5])
			property["uncertaintyInMilliseconds"] = pick(r, numbers)
		}
		list = append(list, property)
	}
	return list
}

// value is one that a schema allows, as a rule.
func (r random) value(s map[string]any) any {
	if either, ok := s["anyOf"].([]any); ok {
		s = child(pick(r, either))
	}
	if ref, ok := s["$ref"].(string); ok {
		name := ref[strings.LastIndex(ref, "/")+1:]
		return map[string]any{"time": pick(r, times), "seconds": pick(r, times[:5]), "endpointId": "lamp-1"}[name]
	}
	if words, ok := cmp.Or(s["examples"], s["enum"]).([]any); ok {
		return pick(r, words)
	}
	switch s["type"] {
	case "null":
		return nil
	case "object":
		return r.object(s)
	case "array":
		list := []any{}
		for range r.IntN(3) {
			list = append(list, r.value(child(s, "items")))
		}
		return list
	case "boolean":
		return r.chance(50)
	}
	if _, ok := s["pattern"]; ok { // a number, or text that is one
		return pick(r, numbers)
	}
	return pick(r, texts)
}

func (r random) object(s map[string]any) any {
	required, _ := s["required"].([]any)
	object := make(map[string]any)
	properties := child(s, "properties")
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if slices.Contains(required, any(name)) || r.chance(50) {
			object[name] = r.value(child(properties, name))
		}
	}
	return object
}

var (
	times = []any{"2026-01-02T03:04:05Z", "2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05.678Z", "2026-01-02T05:04:05.678901+02:00",
		"2024-02-29T23:59:59Z", "2026-02-29T00:00:00Z", "2026-01-02T3:04:05Z", "2026-01-02T03:04:05,6Z", "2026-01-02T03:04:05+24:00",
		"0999-01-02T03:04:05Z",
		"1000-01-01T00:00:00+01:00", "2026-01-02 03:04:05Z", "now"}
	numbers = []any{"0", "12.5e1", "1 ", 0, 1, 50, 100, 101, 256, 1000, 2700, 10001, 0.5, -1, -0.25, 1e21, 86_400_001}
	texts   = []any{"", "x", "lamp 1", "lamp.1", `lamp\1`, "ON", "UNKNOWN_WORD", "https://example.com/x", "rtsp://[::1", "no uri",
		"ü\u2028\"\\", strings.Repeat("y", 129), strings.Repeat("z", 257)}
	names = []any{"value", "scale", "instance", "unit", "cause", "scope", "properties", "messageId", "correlationToken", "payloadVersion",
		"cookie", "type", "extra"}
)

// change does one thing to a document, anywhere in it.
func (r random) change(doc map[string]any) {
	var places []any // objects and lists
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			places = append(places, v)
			for _, name := range slices.Sorted(maps.Keys(v)) {
				walk(v[name])
			}
		case []any:
			if len(v) > 0 {
				places = append(places, v)
			}
			for _, item := range v {
				walk(item)
			}
		}
	}
	walk(doc)
	switch place := pick(r, places).(type) {
	case map[string]any:
		name := pick(r, names).(string)
		if present := slices.Sorted(maps.Keys(place)); len(present) > 0 && r.chance(80) {
			name = pick(r, present)
		}
		if r.chance(30) {
			delete(place, name)
		} else {
			place[name] = r.anything()
		}
	case []any:
		i := r.IntN(len(place))
		place[i] = r.anything()
		if r.chance(50) {
			place[i] = clone(place[r.IntN(len(place))])
		}
	}
}

func (r random) anything() any {
	return clone(pick(r, []any{
		pick(r, times), pick(r, numbers), pick(r, texts), pick(r, names), nil, true, []any{}, map[string]any{}, []any{map[string]any{}},
		pick(r, r.propertyList()), map[string]any{"value": pick(r, numbers), "scale": "CELSIUS"},
	}))
}

func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for name, value := range v {
			c[name] = clone(value)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, value := range v {
			c[i] = clone(value)
		}
		return c
	}
	return v
}
