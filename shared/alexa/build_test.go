package alexa_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

var fakeToken = sensitive.New("Atza|fake")

func newProperty(t *testing.T, namespace, name string, value any) alexa.Property {
	t.Helper()
	p, err := alexa.NewProperty(namespace, name, value, published)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestBuilders: what a builder makes is what a maker would have written: the
// device event decodes to the same message, passes the schema, and draws no
// warnings.
func TestBuilders(t *testing.T) {
	t.Parallel()
	schema := compiledSchema(t)
	on := []alexa.Property{newProperty(t, "Alexa.PowerController", "powerState", "ON")}
	online := []alexa.Property{alexa.NewConnectivity("", published)}
	offline := []alexa.Property{alexa.NewConnectivity("INTERNET_UNREACHABLE", published)}
	battery := alexa.NewBattery(9, "WARNING", published, "LOW_CHARGE")
	consumed, err := alexa.NewInventoryConsumed("u-1", "coffee-1", "Coffee.Pods", map[string]any{"@type": "Count", "value": 1}, published)
	if err != nil {
		t.Fatal(err)
	}
	speed := newProperty(t, "Alexa.RangeController", "rangeValue", 3)
	speed.Instance = "Fan.Speed"
	var found struct {
		Event struct{ Payload struct{ Endpoints []any } }
	}
	if err := json.Unmarshal([]byte(example(t, "Alexa.Discovery.AddOrUpdateReport")), &found); err != nil {
		t.Fatal(err)
	}
	added, err := alexa.NewAddOrUpdateReport("u-1", found.Event.Payload.Endpoints...)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		event alexa.Event
		want  string // part of the device event
	}{
		{"change", alexa.NewChangeReport("u-1", "lamp-1", "PHYSICAL_INTERACTION", on, online),
			`"cause":{"type":"PHYSICAL_INTERACTION"},"properties":[{"namespace":"Alexa.PowerController"`},
		{"change of an instance", alexa.NewChangeReport("u-1", "fan-1", "APP_INTERACTION", []alexa.Property{speed}, online),
			`"instance":"Fan.Speed","value":3`},
		{"change of all", alexa.NewChangeReport("u-1", "lamp-1", "PERIODIC_POLL", append(on, online...), nil), `"context":{"properties":[]}`},
		{"connectivity lost", alexa.NewChangeReport("u-1", "lamp-1", "PERIODIC_POLL", offline, []alexa.Property{battery}),
			`"value":{"reason":"INTERNET_UNREACHABLE","value":"UNREACHABLE"}`},
		{"battery low", alexa.NewChangeReport("u-1", "lamp-1", "PERIODIC_POLL", []alexa.Property{battery}, online),
			`"value":{"health":{"reasons":["LOW_CHARGE"],"state":"WARNING"},"levelPercentage":9}`},
		{"consumed", consumed, `"name":"InventoryConsumed","instance":"Coffee.Pods","payloadVersion":"3"`},
		{"added", added, `"payload":{"endpoints":[{`},
		{"removed", alexa.NewDeleteReport("u-1", "lamp-1", "lamp-2"),
			`"payload":{"endpoints":[{"endpointId":"lamp-1"},{"endpointId":"lamp-2"}]}`},
		{"press", alexa.NewDoorbellPress("u-1", "door-1", "PHYSICAL_INTERACTION", published.In(time.FixedZone("", 3600))),
			`"timestamp":"2026-01-02T03:04:06Z"}},"context":{}}`},
		{"answer", alexa.NewResponse("u-1", "lamp-1", "fake-c", on), `"name":"Response","correlationToken":"fake-c","payloadVersion":"3"`},
		{"state", alexa.NewStateReport("u-1", "lamp-1", "fake-c", on), `"name":"StateReport","correlationToken":"fake-c"`},
		{"state of nothing", alexa.NewStateReport("u-1", "lamp-1", "fake-c", nil), `"context":{"properties":[]}`},
		{"failure", alexa.NewErrorResponse("u-1", "lamp-1", "fake-c", "ENDPOINT_UNREACHABLE", `no "answer"`),
			`"payload":{"message":"no \"answer\"","type":"ENDPOINT_UNREACHABLE"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			data, warnings, err := test.event.Device()
			if err != nil || len(warnings) > 0 {
				t.Fatalf("error %v, warnings %v", err, warnings)
			}
			if !strings.Contains(string(data), test.want) {
				t.Errorf("the device event is\n%s, want in it\n%s", data, test.want)
			}
			if err := schema.Validate(instance(t, data)); err != nil {
				t.Error(err)
			}
			again := decode(t, string(data))
			if diff := cmp.Diff(string(test.event.Append(nil, "m-1", fakeToken)), string(again.Append(nil, "m-1", fakeToken))); diff != "" {
				t.Errorf("the event is another when it is published (-built +decoded):\n%s", diff)
			}
			if again.UserID != "u-1" || again.EndpointID() != test.event.EndpointID() || again.IsChangeReport() != test.event.IsChangeReport() {
				t.Errorf("the device event is of %s, endpoint %q", again.UserID, again.EndpointID())
			}
		})
	}
}

// TestDeviceRefuses: a builder takes anything, and Device says what is wrong.
func TestDeviceRefuses(t *testing.T) {
	t.Parallel()
	on := []alexa.Property{newProperty(t, "Alexa.PowerController", "powerState", "ON")}
	added, err := alexa.NewAddOrUpdateReport("u-1", map[string]string{"endpointId": "lamp-1"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		event alexa.Event
		want  string
	}{
		{"nobody", alexa.NewChangeReport("", "lamp-1", "PERIODIC_POLL", on, nil), "userId: empty"},
		{"no endpoint", alexa.NewChangeReport("u-1", "", "PERIODIC_POLL", on, nil), "event.endpoint: missing"},
		{"whim", alexa.NewChangeReport("u-1", "lamp-1", "WHIM", on, nil), "event.payload.change.cause.type: " + allCauses},
		{"nothing changed", alexa.NewChangeReport("u-1", "lamp-1", "PERIODIC_POLL", nil, on), "event.payload.change.properties: empty"},
		{"no directive", alexa.NewResponse("u-1", "lamp-1", "", on),
			"event.header.correlationToken: missing: it says which directive this answers"},
		{"nothing removed", alexa.NewDeleteReport("u-1"), "event.payload.endpoints: empty"},
		{"half an endpoint", added, "event.payload.endpoints[0].manufacturerName: missing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			data, _, err := test.event.Device()
			var field *alexa.FieldError
			if !errors.As(err, &field) || data != nil {
				t.Fatalf("got %s and %v, want a FieldError", data, err)
			}
			if got := field.Path + ": " + field.Problem; got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestDeviceWarns(t *testing.T) {
	t.Parallel()
	e := alexa.NewChangeReport("u-1", "lamp-1", "PERIODIC_POLL",
		[]alexa.Property{newProperty(t, "Alexa.PowerController", "powerState", "DIM")}, nil)
	_, warnings, err := e.Device()
	want := []string{"event.payload.change.properties[0].value: unknown, one of ON, OFF",
		"context.properties: without the connectivity of Alexa.EndpointHealth"}
	if diff := cmp.Diff(want, problems(warnings)); err != nil || diff != "" {
		t.Errorf("error %v, warnings (-want +got):\n%s", err, diff)
	}
}

// TestLiterals: a property and an event that were not made by a builder lack
// what a builder fills in.
func TestLiterals(t *testing.T) {
	t.Parallel()
	literal := alexa.Property{Namespace: "Alexa.PowerController", Name: "powerState", Value: []byte(`"ON"`), TimeOfSample: published}
	e := alexa.NewChangeReport("u-1", "lamp-1", "PERIODIC_POLL", []alexa.Property{literal}, nil)
	data, _, err := e.Device()
	if err != nil || !strings.Contains(string(data), `"uncertaintyInMilliseconds":0}`) {
		t.Errorf("without an uncertainty: %v, %s", err, data)
	}
	literal.Value = nil
	e = alexa.NewChangeReport("u-1", "lamp-1", "PERIODIC_POLL", []alexa.Property{literal}, nil)
	if _, _, err = e.Device(); err == nil || !strings.HasPrefix(err.Error(), "event.payload.change.properties[0].value: missing") {
		t.Errorf("without a value: %v", err)
	}
	bare := alexa.Event{UserID: "u-1", Header: alexa.Header{Namespace: "Alexa.New", Name: "Thing", PayloadVersion: "3"}}
	data, _, err = bare.Device()
	if err != nil || !strings.Contains(string(data), `"payload":{}`) ||
		!strings.Contains(string(bare.Append(nil, "m-1", fakeToken)), `"payload":{"scope":`) {
		t.Errorf("without a payload: %v, %s", err, data)
	}
}

// TestValuesByteForByte: JSON that is given is sent as it is.
func TestValuesByteForByte(t *testing.T) {
	t.Parallel()
	const given = `{"a": "<&>", "b":1.50}`
	raw := json.RawMessage(given)
	p := newProperty(t, "Alexa.New", "new", raw)
	raw[0] = 'x' // the property is not the caller's to change
	if string(p.Value) != given {
		t.Errorf("the value is %s, want %s", p.Value, given)
	}
	if p := newProperty(t, "Alexa.New", "new", "<&>"); string(p.Value) != `"<&>"` {
		t.Errorf("the value is %s", p.Value)
	}
	if _, err := alexa.NewProperty("Alexa.New", "new", json.RawMessage(`{"a":`), published); err == nil {
		t.Error("half a value is taken")
	}
}

// TestUnwritable: what encoding/json cannot write is an error of the builder,
// which says where and not what.
func TestUnwritable(t *testing.T) {
	t.Parallel()
	if _, err := alexa.NewProperty("Alexa.RangeController", "rangeValue", math.NaN(), published); err == nil ||
		!strings.Contains(err.Error(), "Alexa.RangeController.rangeValue") {
		t.Errorf("a property that is no number: %v", err)
	}
	if _, err := alexa.NewAddOrUpdateReport("u-1", func() {}); err == nil || !strings.Contains(err.Error(), "AddOrUpdateReport") {
		t.Errorf("an endpoint that is a function: %v", err)
	}
}
