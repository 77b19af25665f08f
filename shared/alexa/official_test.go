package alexa_test

import (
	"bytes"
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
// sample_messages. Where REQUIRE_OFFICIAL is 1 it has to.
func officialDir(tb testing.TB) string {
	tb.Helper()
	dir := os.Getenv("ALEXA_OFFICIAL_DIR")
	if dir == "" && os.Getenv("REQUIRE_OFFICIAL") == "1" {
		tb.Fatal("REQUIRE_OFFICIAL is 1, and ALEXA_OFFICIAL_DIR is not set")
	}
	if dir == "" {
		tb.Skip("ALEXA_OFFICIAL_DIR is not set: not held against Amazon's message schema and samples")
	}
	return dir
}

// official is Amazon's message schema.
type official struct {
	*jsonschema.Schema
	kinds, properties map[string]bool // that it knows, by namespace and name
	declarations      map[string]bool // properties that discovery may declare, the same, and interfaces
}

func officialSchema(tb testing.TB) official {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(officialDir(tb), "validation_schemas", "alexa_smart_home_message_schema.strict.json"))
	if err != nil {
		tb.Fatal(err)
	}
	o := official{compileSchema(tb, "official.json", text), make(map[string]bool), make(map[string]bool), make(map[string]bool)}
	root := decodeAny(tb, text).(map[string]any)
	collect(root["oneOf"], o.kinds)
	collect(child(root, "definitions", "state.properties", "items")["anyOf"], o.properties)
	for _, c := range child(root, "definitions", "endpoint.capabilities", "items")["anyOf"].([]any) {
		declare(c, o.declarations)
	}
	if len(o.declarations) < 60 || len(o.kinds) < 25 || len(o.properties) < 50 {
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

// declare notes the interface that a schema of a capability is for, and the
// properties that it lets be declared.
func declare(capability any, found map[string]bool) {
	parts, _ := child(capability)["allOf"].([]any)
	var namespaces, names []any
	for _, part := range parts {
		if interfaces, ok := child(part, "properties", "interface")["enum"].([]any); ok {
			namespaces = interfaces
		}
		if enum, ok := child(part, "properties", "properties", "properties", "supported", "items", "properties", "name")["enum"].([]any); ok {
			names = enum
		}
	}
	for _, namespace := range namespaces {
		found[namespace.(string)] = true
		for _, name := range names {
			found[namespace.(string)+" "+name.(string)] = true
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
}

// newer are the properties that Amazon's pages, of today, show in more forms
// than its schema knows.
var newer = []string{
	"Alexa.EqualizerController bands",
	"Alexa.InventoryLevelSensor level",
	"Alexa.ThermostatController thermostatMode",
}

// TestOfficialPropertiesAreModelled keeps the list notModelled true.
func TestOfficialPropertiesAreModelled(t *testing.T) {
	t.Parallel()
	missing := officialSchema(t).properties
	for _, p := range source(t).properties {
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
	if !o.kinds[e.Header.Namespace+" "+e.Header.Name] || strings.Contains(e.EndpointID(), " ") {
		return false // the pages of today let an id have a space
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
		return !o.properties[name] || slices.Contains(slices.Concat(notModelled, newer), name)
	}) && o.knowsEndpoints(e)
}

// knowsEndpoints is knows for the endpoints of an AddOrUpdateReport. What this
// package leaves to gatepost lint and to Amazon's pages of today is what belongs
// to one interface: which versions it has, whether they and the flags may be
// written in more than one way, which properties it declares and how it is
// configured; and which display categories there are.
func (o official) knowsEndpoints(e *alexa.Event) bool {
	if e.Header.Name != "AddOrUpdateReport" {
		return true
	}
	var payload struct{ Endpoints []map[string]any }
	if json.Unmarshal(e.Payload, &payload) != nil {
		return false
	}
	return !slices.ContainsFunc(payload.Endpoints, func(endpoint map[string]any) bool {
		id, _ := endpoint["endpointId"].(string)
		friendlyName, _ := endpoint["friendlyName"].(string)
		if strings.Contains(id, " ") || len(friendlyName) > 128 {
			return true
		}
		categories, _ := endpoint["displayCategories"].([]any)
		capabilities, _ := endpoint["capabilities"].([]any)
		return slices.ContainsFunc(categories, func(c any) bool { return c != "LIGHT" }) ||
			slices.ContainsFunc(capabilities, func(c any) bool { return !o.knowsCapability(c) })
	})
}

func (o official) knowsCapability(capability any) bool {
	c := child(capability)
	namespace, _ := c["interface"].(string)
	for _, flag := range []string{"proactivelyReported", "retrievable"} {
		switch child(c, "properties")[flag].(type) {
		case nil, bool:
		default:
			return false
		}
	}
	supported, _ := child(c, "properties")["supported"].([]any)
	return o.declarations[namespace] && c["version"] == "3" && !slices.ContainsFunc(supported, func(s any) bool {
		name, _ := child(s)["name"].(string)
		return !o.declarations[namespace+" "+name]
	})
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
// without a warning must pass once it is encoded. It reports whether the event was one to be compared.
func nothingGetsOut(t *testing.T, schema official, data []byte) bool {
	t.Helper()
	e, warnings, err := alexa.DecodeEvent(data, published, alexa.CheckStrict)
	if err != nil || len(slices.DeleteFunc(warnings, beyondSchema)) > 0 || !schema.knows(&e) {
		return false
	}
	sent := e.Append(nil, "m-1", sensitive.New("Atza|fake"))
	if bytes.Contains(sent, []byte(":null")) {
		return false // which counts as absent, and to the schema does not
	}
	if err := schema.Validate(instance(t, sent)); err != nil {
		t.Errorf("Amazon's schema refuses what DecodeEvent takes: %v\n%s\nsent as %s", err, data, sent)
	}
	return true
}

// beyondSchema marks the warnings that Amazon's pages give beyond the schema,
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

// stricter are the refusals of what Amazon's schema takes, and why. Whatever
// else it takes has to get through: a customer's event is lost otherwise.
var stricter = map[string]string{
	"event.payload.change.properties: empty": "a report of nothing",
	"changed: empty":                         "the same",
	"event.header.correlationToken: missing: it says which directive this answers": "an answer that Alexa cannot match",
	".value: missing":         "the gateway refuses it: Payload conversion failed",
	".instance: missing":      "an empty one, of an interface that an endpoint has several of",
	": the same property as ": "with another value, in one list: nobody knows which is so",
	": appears twice":         "two readers would disagree about which counts",
}

func isStricter(err error) bool {
	for problem := range stricter {
		if strings.Contains(err.Error(), problem) {
			return true
		}
	}
	return false
}

// nothingGetsLost holds an event the other way: what Amazon's schema takes
// DecodeEvent takes too, but for what is listed above. What is held against the
// schema is the event as it is sent when nothing is checked. It reports whether
// the schema took it.
func nothingGetsLost(t *testing.T, schema official, data []byte) bool {
	t.Helper()
	e, _, err := alexa.DecodeEvent(data, published, alexa.CheckOff)
	if err != nil {
		return false // of the envelope, which is Gatepost's own
	}
	sent := e.Append(nil, "m-1", sensitive.New("Atza|fake"))
	if schema.Validate(instance(t, sent)) != nil {
		return false
	}
	if _, _, err := alexa.DecodeEvent(data, published, alexa.CheckStrict); err != nil && !isStricter(err) {
		t.Errorf("DecodeEvent refuses what Amazon's schema takes: %v\n%s\nsent as %s", err, data, sent)
	}
	return true
}

func TestOfficialSchemaTakesNothingElse(t *testing.T) {
	t.Parallel()
	schema, r := officialSchema(t), source(t)
	taken := 0
	for seed := range uint64(2000) {
		if nothingGetsLost(t, schema, r.seeded(seed).event(2)) {
			taken++
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if taken < 300 {
		t.Errorf("Amazon's schema took only %d events", taken)
	}
}

func FuzzOfficialSchema(f *testing.F) {
	schema, r := officialSchema(f), source(f)
	f.Add(uint64(0), uint8(3))
	f.Fuzz(func(t *testing.T, seed uint64, changes uint8) {
		data := r.seeded(seed).event(int(changes % 8))
		nothingGetsOut(t, schema, data)
		nothingGetsLost(t, schema, data)
	})
}
