package delivery_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/telemetry"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// TestWarnings: an event that Amazon takes, and would like otherwise, is sent. Its
// line is no warning: it counts the warnings, and shows each once an hour.
func TestWarnings(t *testing.T) {
	t.Parallel()
	const sound = `{"userId":"u-1","endpointId":"lamp-1","cause":"PHYSICAL_INTERACTION",` +
		`"changed":[{"namespace":"Alexa.PowerController","name":"powerState","value":"ON","timeOfSample":"2026-01-02T03:04:05Z"}],` +
		`"unchanged":[%s]}`
	const reachable = `{"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"},"timeOfSample":"2026-01-02T03:04:05Z"}`
	const odd = `{"namespace":"Alexa.RangeController","instance":"canary-%d","name":"rangeValue","value":1,"unit":"canary",` +
		`"timeOfSample":"2026-01-02T03:04:05Z"}`
	odds := make([]string, 20)
	for i := range odds {
		odds[i] = fmt.Sprintf(odd, i)
	}
	w := accesstest.New(t, simulator.Options{})
	w.Link(t, "u-1", alexa.EU, "amzn-1")
	w.Sim.Always(simulator.Gateway(alexa.EU), simulator.Fault{Status: 202, Body: " "})
	d := deliverer(t, w)
	const unit, health = "unchanged[1].unit", "unchanged"
	for i, step := range []struct {
		name    string
		forward time.Duration
		others  []string // properties that did not change
		count   int
		shown   []string // paths
	}{
		{"sound", 0, []string{reachable}, 0, nil},
		{"many of one", 0, append([]string{reachable}, odds...), 20, []string{unit}},
		{"the same", time.Minute, append([]string{reachable}, odds...), 20, nil},
		{"another besides", 0, odds[:2], 3, []string{health}},
		{"the first again", 59 * time.Minute, append([]string{reachable}, odds...), 20, []string{unit}},
		{"the other again", time.Minute, odds[:2], 3, []string{health}},
	} {
		w.Forward(step.forward)
		m := message(w, fmt.Sprintf(sound, strings.Join(step.others, ",")))
		m.ID = fmt.Sprint("m-", i)
		ctx, line := telemetry.Begin(t.Context())
		if got := d.Deliver(ctx, m); len(got) != 1 || got[0].Name != delivery.Accepted {
			t.Fatalf("%s: %+v", step.name, got)
		}
		var written bytes.Buffer
		line.Write(ctx, telemetry.New(&written), "event")
		var logged struct {
			Severity string
			Shown    []string `json:"event_advice"`
			Count    int      `json:"event_advice_count"`
		}
		if err := json.Unmarshal(written.Bytes(), &logged); err != nil {
			t.Fatal(err)
		}
		var paths []string
		for _, text := range logged.Shown {
			path, _, _ := strings.Cut(text, ": ")
			paths = append(paths, path)
		}
		if diff := cmp.Diff(step.shown, paths); diff != "" || logged.Count != step.count || logged.Severity != "INFO" {
			t.Errorf("%s: %s with %d warnings, want INFO with %d; shown (-want +got):\n%s",
				step.name, logged.Severity, logged.Count, step.count, diff)
		}
		if strings.Contains(written.String(), "canary") {
			t.Errorf("%s: the line shows the event's contents: %s", step.name, &written)
		}
	}
}
