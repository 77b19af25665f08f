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

// TestKindsIsACopy: nobody changes the table by way of what Kinds returned.
func TestKindsIsACopy(t *testing.T) {
	t.Parallel()
	list := alexa.Kinds()
	before := list[0].Name
	list[0].Name = "Changed"
	if got := alexa.Kinds()[0].Name; got != before {
		t.Errorf("the table's first kind is now %s", got)
	}
}

func TestMaxAge(t *testing.T) {
	t.Parallel()
	const reports = 5 * time.Minute
	tests := map[string]time.Duration{
		"Alexa.ChangeReport":                           reports,
		"Alexa.ChangeReport.short":                     reports,
		"Alexa.StateReport":                            time.Minute,
		"Alexa.ErrorResponse":                          time.Minute,
		"Alexa.DoorbellEventSource.DoorbellPress":      time.Minute,
		"Alexa.SimpleEventSource.Event":                time.Minute,
		"Alexa.Discovery.AddOrUpdateReport":            0,
		"Alexa.Discovery.DeleteReport":                 0,
		"Alexa.DeviceUsage.Meter.MeasurementsReport":   0,
		"Alexa.InventoryUsageSensor.InventoryConsumed": 0,
	}
	for name, want := range tests {
		e := decode(t, example(t, name))
		if got := e.MaxAge(reports); got != want {
			t.Errorf("%s is sent for %v, want %v", name, got, want)
		}
	}
}

// TestAnswers: a correlationToken has a meaning only where a directive may have
// asked for the event, and elsewhere changes nothing but the warnings.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const reports = 5 * time.Minute
	tests := []struct {
		example string
		answers bool
		age     time.Duration
	}{
		{"Alexa.Response", true, time.Minute},
		{"Alexa.ErrorResponse", true, time.Minute},
		{"Alexa.WakeOnLANController.WakeUp", true, time.Minute},
		{"Alexa.SceneController.ActivationStarted", true, time.Minute},
		{"Alexa.DataController.DataReport", true, time.Minute},
		{"Alexa.ChangeReport", false, reports},
		{"Alexa.DoorbellEventSource.DoorbellPress", false, time.Minute},
		{"Alexa.Discovery.AddOrUpdateReport", false, 0},
		{"Alexa.Discovery.DeleteReport", false, 0},
	}
	for _, test := range tests {
		e := decode(t, example(t, test.example))
		e.Header.CorrelationToken = "c"
		if got := e.Answers(); got != test.answers || e.MaxAge(reports) != test.age {
			t.Errorf("%s with a correlationToken: answers %v, sent for %v; want %v, %v", test.example, got, e.MaxAge(reports), test.answers,
				test.age)
		}
		if e.Header.CorrelationToken = ""; e.Answers() {
			t.Errorf("%s without a correlationToken answers a directive", test.example)
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

// TestUnknownIsCarried: the lists of kinds and properties are open, and what is
// not in them passes; only the version of its messages nobody can know.
func TestUnknownIsCarried(t *testing.T) {
	t.Parallel()
	const event = `{"userId":"u-1","event":{"header":{"namespace":"Alexa.New","name":"Thing","instance":"I.1","correlationToken":"c"},` +
		`"endpoint":{"endpointId":"e-1"},"payload":{"any":["thing",{"scope":1}]}},` +
		`"context":{"properties":[{"namespace":"Alexa.New","name":"new","instance":"I.2","unit":{"a":1},"value":[{}]},` +
		`{"namespace":"Alexa.LockController","name":"lastUser","value":0}]}}`
	for _, checks := range []alexa.Checks{alexa.CheckStrict, alexa.CheckWarn, alexa.CheckOff} {
		e, warnings, err := alexa.DecodeEvent([]byte(event), published, checks)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{`event.header.payloadVersion: missing: "3" is sent, name the version of the interface's messages`}
		if checks == alexa.CheckOff {
			want = nil
		}
		if diff := cmp.Diff(want, problems(warnings)); diff != "" {
			t.Errorf("checks %d: warnings (-want +got):\n%s", checks, diff)
		}
		if got := string(e.Payload); got != `{"any":["thing",{"scope":1}]}` || e.Header.PayloadVersion != "3" {
			t.Errorf("checks %d: version %s, payload %s", checks, e.Header.PayloadVersion, got)
		}
	}
}

// TestErrorOfAnyInterface: an error says which directive failed, in interfaces
// that are not in the table too.
func TestErrorOfAnyInterface(t *testing.T) {
	t.Parallel()
	const event = `{"userId":"u-1","event":{"header":{"namespace":"Alexa.Safety","name":"Close.ErrorResponse"},` +
		`"endpoint":{"endpointId":"e-1"}}}`
	_, warnings, err := alexa.DecodeEvent([]byte(event), published, alexa.CheckStrict)
	want := []string{"event.header.correlationToken: missing: it says which directive this answers"}
	if diff := cmp.Diff(want, problems(warnings)); diff != "" || err != nil {
		t.Errorf("error %v, warnings (-want +got):\n%s", err, diff)
	}
}

// TestRetiredIsFlagged: whether a retired kind still arrives is for Amazon to
// say, and what its payload must be nobody can look up.
func TestRetiredIsFlagged(t *testing.T) {
	t.Parallel()
	for event, want := range map[string][]string{
		`{"userId":"u-1","event":{"header":{"namespace":"Alexa.Networking","name":"Anything"},"endpoint":{"endpointId":"e-1"}}}`: {
			"event.header.namespace: retired since 1 April 2024"},
		`{"userId":"u-1","event":{"header":{"namespace":"Alexa.MediaMetadata","name":"MediaDeleted"},"payload":{"mediaIds":[]}}}`: {
			"event.header.namespace: retired since 15 March 2023", "event.payload.mediaIds: empty"},
	} {
		_, warnings, err := alexa.DecodeEvent([]byte(event), published, alexa.CheckStrict)
		if diff := cmp.Diff(want, problems(warnings)); diff != "" || err != nil {
			t.Errorf("error %v, warnings (-want +got):\n%s", err, diff)
		}
	}
}
