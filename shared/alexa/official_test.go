package alexa_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// Amazon's message schema and sample messages are in
// https://github.com/alexa/alexa-smarthome, under a licence that keeps them out
// of this repository. ALEXA_OFFICIAL_DIR names a folder that has them: with
// validation_schemas/alexa_smart_home_message_schema.strict.json, which is
// Amazon's file less the one comma too many that makes it no JSON, and with
// sample_messages.
func officialDir(tb testing.TB) string {
	tb.Helper()
	dir := os.Getenv("ALEXA_OFFICIAL_DIR")
	if dir == "" {
		tb.Skip("ALEXA_OFFICIAL_DIR is not set: not held against Amazon's message schema and samples")
	}
	return dir
}

// official is Amazon's message schema.
type official struct {
	*jsonschema.Schema
	kinds, properties map[string]bool // that it knows, by namespace and name
}

func officialSchema(tb testing.TB) official {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(officialDir(tb), "validation_schemas", "alexa_smart_home_message_schema.strict.json"))
	if err != nil {
		tb.Fatal(err)
	}
	o := official{compileSchema(tb, "official.json", text), make(map[string]bool), make(map[string]bool)}
	root := decodeAny(tb, text).(map[string]any)
	collect(root["oneOf"], o.kinds)
	collect(child(root, "definitions", "state.properties", "items")["anyOf"], o.properties)
	if len(o.kinds) < 25 || len(o.properties) < 50 {
		tb.Fatalf("Amazon's schema knows %d kinds and %d properties, which are too few", len(o.kinds), len(o.properties))
	}
	return o
}

// collect finds the objects of a schema that have a namespace and a name of one
// value each.
func collect(v any, found map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		properties := child(v, "properties")
		namespace, _ := child(properties, "namespace")["enum"].([]any)
		name, _ := child(properties, "name")["enum"].([]any)
		if len(namespace) == 1 && len(name) == 1 {
			found[namespace[0].(string)+" "+name[0].(string)] = true
		}
		for _, value := range v {
			collect(value, found)
		}
	case []any:
		for _, item := range v {
			collect(item, found)
		}
	}
}

// notModelled are the properties of Amazon's schema whose values this package
// does not look at, as in the comment of valueShapes.
var notModelled = []string{
	"Alexa.Cooking cookingMode",
	"Alexa.Cooking.PresetController requestedFoodDoneness",
	"Alexa.Cooking.TimeController cookingPowerLevel",
	"Alexa.EventDetectionSensor animalPresenceDetectionState",
	"Alexa.EventDetectionSensor babyCryDetectionState",
	"Alexa.EventDetectionSensor detectionModes",
	"Alexa.EventDetectionSensor dogBarkDetectionState",
	"Alexa.EventDetectionSensor enablementMode",
	"Alexa.EventDetectionSensor glassBreakDetectionState",
	"Alexa.EventDetectionSensor humanPresenceDetectionState",
	"Alexa.EventDetectionSensor smokeSirenDetectionState",
	"Alexa.EventDetectionSensor vehiclePresenceDetectionState",
	"Alexa.InventoryLevelSensor level",
}

// TestOfficialPropertiesAreModelled keeps the list above true, and the names
// in the table.
func TestOfficialPropertiesAreModelled(t *testing.T) {
	t.Parallel()
	missing := officialSchema(t).properties
	for _, p := range source(t).properties {
		if !missing[p.namespace+" "+p.name] {
			t.Errorf("Amazon's schema has no %s.%s", p.namespace, p.name)
		}
		delete(missing, p.namespace+" "+p.name)
	}
	if diff := cmp.Diff(notModelled, slices.Sorted(maps.Keys(missing))); diff != "" {
		t.Errorf("properties without a shape (-want +got):\n%s", diff)
	}
}

func TestOfficialKindsAreInTheTable(t *testing.T) {
	t.Parallel()
	missing := officialSchema(t).kinds
	for _, k := range alexa.Kinds() {
		delete(missing, k.Namespace+" "+k.Name)
	}
	if len(missing) > 0 {
		t.Errorf("the table lacks %v", slices.Sorted(maps.Keys(missing)))
	}
}

// knows reports whether Amazon's schema, and this package as well, look at
// everything in an event.
func (o official) knows(e *alexa.Event) bool {
	if !o.kinds[e.Header.Namespace+" "+e.Header.Name] {
		return false
	}
	var all []alexa.Property
	if e.Change != nil {
		all = append(all, e.Change.Properties...)
	}
	if e.Context != nil {
		all = append(all, e.Context.Properties...)
	}
	return !slices.ContainsFunc(all, func(p alexa.Property) bool {
		name := p.Namespace + " " + p.Name
		return !o.properties[name] || slices.Contains(notModelled, name) || name == "Alexa.EqualizerController bands" && twice(p.Value)
	})
}

// twice reports whether a list has an item twice, which Amazon's schema refuses
// and this package does not look for.
func twice(list json.RawMessage) bool {
	var items []any
	if json.Unmarshal(list, &items) != nil {
		return false
	}
	for i := range items {
		if slices.ContainsFunc(items[:i], func(other any) bool { return cmp.Equal(other, items[i]) }) {
			return true
		}
	}
	return false
}

func TestExamplesPassOfficialSchema(t *testing.T) {
	t.Parallel()
	schema := officialSchema(t)
	passed := 0
	for name, data := range examples(t) {
		e, _, err := alexa.DecodeEvent(data, published, alexa.CheckStrict)
		if err != nil {
			t.Fatal(err)
		}
		if !schema.knows(&e) {
			continue
		}
		passed++
		if err := schema.Validate(instance(t, e.Append(nil, "m-1", sensitive.New("Atza|fake")))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if passed < 20 {
		t.Errorf("only %d examples are of kinds that Amazon's schema knows", passed)
	}
}

// nothingGetsOut holds an event against Amazon's schema: what DecodeEvent takes
// without any advice must pass once it is encoded. The one exception is the
// AddOrUpdateReport: of its endpoints and their capabilities only the outline
// is checked here. It reports whether the event was one to be compared.
func nothingGetsOut(t *testing.T, schema official, data []byte) bool {
	t.Helper()
	e, advice, err := alexa.DecodeEvent(data, published, alexa.CheckStrict)
	if err != nil || len(slices.DeleteFunc(advice, beyondSchema)) > 0 || !schema.knows(&e) || e.Header.Name == "AddOrUpdateReport" {
		return false
	}
	sent := e.Append(nil, "m-1", sensitive.New("Atza|fake"))
	if err := schema.Validate(instance(t, sent)); err != nil {
		t.Errorf("Amazon's schema refuses what DecodeEvent takes: %v\n%s\nsent as %s", err, data, sent)
	}
	return true
}

// beyondSchema marks the advice that Amazon's pages give beyond the schema,
// which would hide most events from the comparison: a missing connectivity,
// times that were not given.
func beyondSchema(f *alexa.FieldError) bool {
	return strings.HasSuffix(f.Rule, "/state-reporting-for-a-smart-home-skill.html") || strings.HasSuffix(f.Rule, "/send-events.html")
}

func TestOfficialSchemaRefusesNothing(t *testing.T) {
	t.Parallel()
	schema, r := officialSchema(t), source(t)
	compared := 0
	for seed := range uint64(1500) {
		if nothingGetsOut(t, schema, r.seeded(seed).event(2)) {
			compared++
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if compared < 150 {
		t.Errorf("only %d events were compared", compared)
	}
}

func FuzzOfficialSchema(f *testing.F) {
	schema, r := officialSchema(f), source(f)
	f.Add(uint64(0), uint8(3))
	f.Fuzz(func(t *testing.T, seed uint64, changes uint8) {
		nothingGetsOut(t, schema, r.seeded(seed).event(int(changes%8)))
	})
}
