package alexa_test

import (
	"fmt"
	"strings"
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

// TestWarnings has what is carried and draws warnings, and is in no table of rules.
func TestWarnings(t *testing.T) {
	t.Parallel()
	without, _, _ := strings.Cut(example(t, "Alexa.StateReport"), `,"context":`)
	event := func(namespace, name, more string) string {
		return fmt.Sprintf(`{"userId":"u-1","event":{"header":{"namespace":%q,"name":%q},%s}}`, namespace, name, more)
	}
	const endpoint = `"endpoint":{"endpointId":"e-1"}`
	for name, test := range map[string]struct {
		event string
		want  []string
	}{
		"state of nothing": {without + "}", []string{"context: missing: the state of the endpoint's properties"}},
		// An error says which directive failed, in interfaces that are not in the table too.
		"error of any interface": {event("Alexa.Safety", "Close.ErrorResponse", endpoint), []string{
			"event.header.correlationToken: missing: it says which directive this answers"}},
		// Whether a retired kind still arrives is for Amazon to say.
		"retired interface": {event("Alexa.Networking", "Anything", endpoint), []string{"event.header.namespace: retired since 1 April 2024"}},
		"retired kind": {event("Alexa.MediaMetadata", "MediaDeleted", `"payload":{"mediaIds":[]}`), []string{
			"event.header.namespace: retired since 15 March 2023", "event.payload.mediaIds: empty"}},
		// A word is the same word however JSON writes it.
		"escapes": {strings.NewReplacer(`"HEAT"`, `"H\u0045AT"`, `"CELSIUS"`, `"\u0043ELSIUS"`, `"APP_INTERACTION"`,
			`"APP\u005fINTERACTION"`).Replace(example(t, report)), nil},
		// The number of endpoints is for the delivery to mend or for Amazon to judge.
		"no endpoints":    {additions(t), []string{"event.payload.endpoints: empty"}},
		"300 endpoints":   {additions(t, numbered(300)...), nil},
		"301 endpoints":   {additions(t, numbered(301)...), []string{"event.payload.endpoints: more than 300: they are sent in parts"}},
		"endpoints twice": {additions(t, "a", "b", "c", "b"), []string{"event.payload.endpoints[3].endpointId: the same as item 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, warnings, err := alexa.DecodeEvent([]byte(test.event), published, alexa.CheckStrict)
			if diff := cmp.Diff(test.want, problems(warnings)); diff != "" || err != nil {
				t.Errorf("error %v, warnings (-want +got):\n%s", err, diff)
			}
			if err := compiledSchema(t).Validate(instance(t, []byte(test.event))); err != nil {
				t.Errorf("the JSON Schema refuses it: %v", err)
			}
		})
	}
}
