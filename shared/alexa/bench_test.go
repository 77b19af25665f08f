package alexa_test

import (
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

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
