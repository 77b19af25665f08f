package alexa_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

func TestKindOf(t *testing.T) {
	t.Parallel()
	type known struct {
		Version, Retired string
		Token            alexa.TokenPlace
		Once             bool
		Life             alexa.Life
	}
	tests := []struct {
		namespace, name string
		want            known
	}{
		{"Alexa", "ChangeReport", known{Version: "3", Token: alexa.TokenInEndpoint}},
		{"Alexa", "NewReport", known{Version: "3"}},
		{"Alexa.New", "Thing", known{Version: "3"}},
		{"Alexa", "DeferredResponse", known{Version: "3"}}, // no asynchronous event
		{"", "", known{Version: "3"}},
		{"Alexa.Discovery", "DeleteReport", known{Version: "3", Token: alexa.TokenInPayload, Life: alexa.LifeEndless}},
		{"Alexa.DoorbellEventSource", "DoorbellPress", known{Version: "3", Token: alexa.TokenInEndpoint, Once: true, Life: alexa.LifeShort}},
		{"Alexa.SimpleEventSource", "Event", known{Version: "1.0", Token: alexa.TokenInEndpoint, Once: true, Life: alexa.LifeShort}},
		{"Alexa.SimpleEventSource", "NewEvent", known{Version: "1.0", Once: true, Life: alexa.LifeShort}},
		{"Alexa.SecurityPanelController.Alert", "Chime", known{Version: "1.1", Once: true, Life: alexa.LifeAlert}},
		{"Alexa.SecurityPanelController.Alert", "ErrorResponse", known{Version: "1.1", Once: true}},
		{"Alexa.InventoryUsageSensor", "InventoryConsumed", known{Version: "3", Token: alexa.TokenInEndpoint, Once: true, Life: alexa.LifeFact}},
		{"Alexa.InventoryLevelUsageSensor", "InventoryReplaced", known{Version: "3", Token: alexa.TokenInEndpoint, Once: true,
			Life: alexa.LifeFact}},
		{"Alexa.Commissionable", "CommissioningInformationReport", known{Version: "1.0", Token: alexa.TokenInEndpoint}},
		{"Alexa.ThermostatController.Schedule", "ErrorResponse", known{Version: "3", Token: alexa.TokenInEndpoint}},
		{"Alexa.AuthorizationController", "Anything", known{Version: "1.0", Retired: "2026, when Amazon's list of interfaces lost it"}},
		{"Alexa.SmartVision.ObjectDetectionSensor", "ObjectDetection", known{Version: "1.0", Token: alexa.TokenInEndpoint, Once: true}},
		{"Alexa.DataController", "DataDeleted", known{Version: "1.0"}},
		{"Alexa.DeviceUsage.Meter", "MeasurementsReport", known{Version: "1.0", Token: alexa.TokenInEndpoint, Once: true, Life: alexa.LifeFact}},
		{"Alexa.DeviceUsage.Estimation", "Anything", known{Version: "1.0"}},
		{"Alexa.SmartVision.SnapshotProvider", "Anything", known{Version: "1.1"}},
		{"Alexa.MediaMetadata", "MediaDeleted",
			known{Version: "3", Token: alexa.TokenInPayload, Life: alexa.LifeEndless, Retired: "15 March 2023"}},
		{"Alexa.Networking", "Anything", known{Version: "3", Retired: "1 April 2024"}},
		{"Alexa.Networking.Anything", "Anything", known{Version: "3", Retired: "1 April 2024"}},
		{"Alexa.NetworkingToo", "Anything", known{Version: "3"}},
		{"Alexa.CustomIntent", "Anything", known{Version: "3", Retired: "an unknown date"}},
		{"Alexa.EventDetectionSensor", "Anything", known{Version: "3", Retired: "February 2023"}},
	}
	alexa.Kinds()[0] = alexa.Kind{} // a copy
	for _, test := range tests {
		k := alexa.KindOf(test.namespace, test.name)
		if k.Namespace != test.namespace || k.Name != test.name {
			t.Errorf("%s.%s: KindOf calls it %s.%s", test.namespace, test.name, k.Namespace, k.Name)
		}
		if diff := cmp.Diff(test.want, known{k.Version, k.Retired, k.Token, k.Once, k.Life}); diff != "" {
			t.Errorf("%s.%s (-want +got):\n%s", test.namespace, test.name, diff)
		}
	}
}

// TestAnswers: a correlationToken has a meaning only where a directive may have
// asked for the event: such an answer is sent for a minute. Elsewhere it changes
// nothing but the warnings.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const reports = 5 * time.Minute
	for name, want := range map[string]struct {
		answers bool
		age     time.Duration // as the example has it, and with a correlationToken; 0 for ever
	}{
		"Alexa.Response":                               {true, time.Minute},
		"Alexa.StateReport":                            {true, time.Minute},
		"Alexa.ErrorResponse":                          {true, time.Minute},
		"Alexa.WakeOnLANController.WakeUp":             {true, time.Minute},
		"Alexa.ChangeReport":                           {false, reports},
		"Alexa.ChangeReport.short":                     {false, reports},
		"Alexa.DoorbellEventSource.DoorbellPress":      {false, time.Minute},
		"Alexa.SimpleEventSource.Event":                {false, time.Minute},
		"Alexa.Discovery.AddOrUpdateReport":            {false, 0},
		"Alexa.Discovery.DeleteReport":                 {false, 0},
		"Alexa.DeviceUsage.Meter.MeasurementsReport":   {true, 0},
		"Alexa.InventoryUsageSensor.InventoryConsumed": {false, 0},
		"Alexa.SceneController.ActivationStarted":      {true, time.Minute},
		"Alexa.DataController.DataReport":              {true, time.Minute},
	} {
		e := decode(t, example(t, name))
		if got := e.MaxAge(reports); got != want.age {
			t.Errorf("%s is sent for %v, want %v", name, got, want.age)
		}
		e.Header.CorrelationToken = "c"
		if got := e.Answers(); got != want.answers || e.MaxAge(reports) != want.age {
			t.Errorf("%s with a correlationToken: answers %v, sent for %v; want %+v", name, got, e.MaxAge(reports), want)
		}
		if e.Header.CorrelationToken = ""; e.Answers() {
			t.Errorf("%s without a correlationToken answers a directive", name)
		}
	}
}

func decode(t *testing.T, event string) alexa.Event {
	t.Helper()
	e, _, err := alexa.DecodeEvent([]byte(event), published, alexa.CheckStrict)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
