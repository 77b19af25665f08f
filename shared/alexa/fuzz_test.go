package alexa_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// FuzzDecodeEvent holds decoding to what the gateway depends on, whatever the
// checks: no panic, no half-decoded event, output that is JSON and that decodes
// to itself.
func FuzzDecodeEvent(f *testing.F) {
	for _, seed := range examples(f) {
		f.Add(seed)
		f.Add(bytes.ReplaceAll(seed, []byte(`"timeOfSample"`), []byte(`"time"`)))
		f.Add(bytes.ReplaceAll(seed, []byte(`"value"`), []byte(`"v\u0061lue"`)))
	}
	r := source(f)
	for seed := range uint64(20) {
		f.Add(r.seeded(seed).event(3))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		strict := isStable(t, data, alexa.CheckStrict)
		if warn := isStable(t, data, alexa.CheckWarn); strict && !warn {
			t.Error("CheckWarn refuses what CheckStrict takes")
		}
		if off := isStable(t, data, alexa.CheckOff); strict && !off {
			t.Error("CheckOff refuses what CheckStrict takes")
		}
	})
}

// isStable reports whether an event is taken. If so, what is sent must be JSON,
// and the same when it is taken once more.
func isStable(t *testing.T, data []byte, checks alexa.Checks) bool {
	t.Helper()
	e, warnings, err := alexa.DecodeEvent(data, published, checks)
	if err != nil {
		if _, ok := err.(*alexa.FieldError); !ok || e.UserID != "" || warnings != nil {
			t.Fatalf("%T beside event %+v and warnings %v", err, e, warnings)
		}
		return false
	}
	if e.UserID == "" || e.Header.Namespace == "" || e.Header.Name == "" || checks == alexa.CheckOff && warnings != nil {
		t.Fatalf("took an event without customer or name, or with warnings that nobody wants: %+v, %v", e, warnings)
	}
	sent := e.Append(nil, "m-1", fakeToken)
	if !json.Valid(sent) {
		t.Fatalf("not JSON: %s", sent)
	}
	again, _, err := alexa.DecodeEvent(asPublished(t, e.UserID, sent), published, checks)
	if err != nil {
		t.Fatalf("what was sent does not decode: %v\n%s", err, sent)
	}
	if twice := again.Append(nil, "m-1", fakeToken); !bytes.Equal(sent, twice) {
		t.Fatalf("not stable:\n%s\n%s", sent, twice)
	}
	return true
}

// asPublished turns what the gateway got back into what a maker publishes: the
// customer is added, message id and scope are cut out.
func asPublished(t *testing.T, userID string, sent []byte) []byte {
	t.Helper()
	user, err := json.Marshal(userID)
	if err != nil {
		t.Fatal(err)
	}
	const scope = `"scope":{"type":"BearerToken","token":"Atza|fake"}`
	sent = bytes.Replace(sent, []byte(`"messageId":"m-1",`), nil, 1)
	sent = bytes.Replace(sent, []byte(scope+","), nil, 1)
	sent = bytes.Replace(sent, []byte(scope), nil, 1)
	return append([]byte(`{"userId":`+string(user)+","), sent[1:]...)
}

func FuzzDecodeAcceptGrant(f *testing.F) {
	f.Add([]byte(acceptGrant))
	f.Add([]byte(strings.Replace(acceptGrant, "fake-code", `a\u0041\n`, 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := alexa.DecodeAcceptGrant(data)
		if err != nil && (got != alexa.AcceptGrant{}) {
			t.Error("half a directive beside an error")
		}
		if err == nil && (got.Code.Empty() || got.GranteeToken.Empty() || got.MessageID == "") {
			t.Error("accepted a directive without code, token or message id")
		}
		valid := json.Valid(data) && utf8.Valid(data)
		if err != nil && valid == strings.HasPrefix(err.Error(), "not ") {
			t.Errorf("%v for what is a document: %v", err, valid)
		}
	})
}

// BenchmarkChangeReport is the hot path: a report with three changed and ten
// unchanged properties.
func BenchmarkChangeReport(b *testing.B) {
	data, token := largeReport(), sensitive.New("Atza|fake"+strings.Repeat("x", 350))
	buffer := make([]byte, 0, 8<<10)
	b.ReportAllocs()
	for b.Loop() {
		e, _, err := alexa.DecodeEvent(data, published, alexa.CheckStrict)
		if err != nil {
			b.Fatal(err)
		}
		buffer = e.Append(buffer[:0], "00000000-0000-4000-8000-000000000000", token)
	}
}

// TestChangeReportAllocates bounds what no machine's speed has a say in.
func TestChangeReportAllocates(t *testing.T) {
	data, token := largeReport(), sensitive.New("Atza|fake"+strings.Repeat("x", 350))
	buffer := make([]byte, 0, 8<<10)
	n := testing.AllocsPerRun(100, func() {
		e, warnings, err := alexa.DecodeEvent(data, published, alexa.CheckStrict)
		if err != nil || len(warnings) > 0 {
			t.Fatal(err, warnings)
		}
		buffer = e.Append(buffer[:0], "00000000-0000-4000-8000-000000000000", token)
	})
	if n > 60 {
		t.Errorf("%v allocations, want 60 at most", n)
	}
}

// largeReport is a thermostat's report, more than most endpoints have to say.
func largeReport() []byte {
	property := func(namespace, name, value string) string {
		return `{"namespace":"` + namespace + `","name":"` + name + `","value":` + value +
			`,"timeOfSample":"2026-01-02T03:04:05.678Z","uncertaintyInMilliseconds":500}`
	}
	changed := []string{
		property("Alexa.ThermostatController", "targetSetpoint", `{"value":21.5,"scale":"CELSIUS"}`),
		property("Alexa.ThermostatController", "thermostatMode", `"HEAT"`),
		property("Alexa.PowerController", "powerState", `"ON"`),
	}
	unchanged := []string{
		property("Alexa.TemperatureSensor", "temperature", `{"value":20.25,"scale":"CELSIUS"}`),
		property("Alexa.EndpointHealth", "connectivity", `{"value":"OK"}`),
		property("Alexa.LockController", "lockState", `"LOCKED"`),
		property("Alexa.BrightnessController", "brightness", `42`),
		property("Alexa.ColorTemperatureController", "colorTemperatureInKelvin", `2700`),
		property("Alexa.ContactSensor", "detectionState", `"NOT_DETECTED"`),
		property("Alexa.MotionSensor", "detectionState", `"NOT_DETECTED"`),
		property("Alexa.PercentageController", "percentage", `74`),
		property("Alexa.Speaker", "volume", `11`),
		property("Alexa.HumiditySensor", "relativeHumidity", `55`),
	}
	return []byte(`{"userId":"u-1","endpointId":"thermostat-1","cause":"PHYSICAL_INTERACTION","changed":[` +
		strings.Join(changed, ",") + `],"unchanged":[` + strings.Join(unchanged, ",") + `]}`)
}
