package delivery_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/access/accesstest"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/outcome"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

// TestAdviceIsCountedAndLogged: an event that Amazon takes, and would like
// otherwise, is sent, and the line says how many faults it has and shows some.
func TestAdviceIsCountedAndLogged(t *testing.T) {
	t.Parallel()
	const sound = `{"userId":"u-1","endpointId":"lamp-1","cause":"PHYSICAL_INTERACTION",` +
		`"changed":[{"namespace":"Alexa.PowerController","name":"powerState","value":"ON","timeOfSample":"2026-01-02T03:04:05Z"}],` +
		`"unchanged":[{"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"},"timeOfSample":"2026-01-02T03:04:05Z"}%s]}`
	var odd strings.Builder
	for i := range 20 {
		fmt.Fprintf(&odd, `,{"namespace":"Alexa.RangeController","instance":"canary-%d","name":"rangeValue","value":1,"unit":"canary","timeOfSample":"2026-01-02T03:04:05Z"}`, i)
	}
	for _, test := range []struct {
		name, event  string
		count, shown int
	}{
		{"sound", fmt.Sprintf(sound, ""), 0, 0},
		{"one", report, 1, 1}, // no connectivity
		{"many", fmt.Sprintf(sound, odd.String()), 20, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := accesstest.New(t, simulator.Options{})
			w.Link(t, "u-1", alexa.EU, "amzn-1")
			w.Sim.Always(simulator.Gateway(alexa.EU), simulator.Fault{Status: 202, Body: " "})
			ctx, line := telemetry.Begin(t.Context())
			if got := deliverer(t, w).Deliver(ctx, message(w, test.event)); len(got) != 1 || got[0].Name != outcome.Accepted {
				t.Fatalf("%+v", got)
			}
			var written bytes.Buffer
			line.Write(ctx, telemetry.New(&written), "event")
			var logged struct {
				Severity string
				Advice   []string `json:"event_advice"`
				Count    int      `json:"event_advice_count"`
			}
			if err := json.Unmarshal(written.Bytes(), &logged); err != nil {
				t.Fatal(err)
			}
			if logged.Count != test.count || len(logged.Advice) != test.shown || (logged.Severity == "WARNING") != (test.count > 0) {
				t.Errorf("%+v", logged)
			}
			if strings.Contains(written.String(), "canary") {
				t.Errorf("the line shows the event's contents: %s", &written)
			}
		})
	}
}
