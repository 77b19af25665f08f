package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// paces is until when an endpoint has reported what Alexa wants at a pace, by
// endpointId, interface and instance.
type paces map[[3]string]time.Time

// Where the paces come from.
const (
	ruleMeter     = "developer.amazon.com/docs/device-apis/alexa-deviceusage-meter.html"
	ruleInventory = "developer.amazon.com/docs/dash/dash-replenishment-lambda-function.html"
)

// faults says what an event reports sooner, or later, after the one before it in
// the file than Alexa wants it.
func (last paces) faults(e *alexa.Event, short bool) []*alexa.FieldError {
	var faults []*alexa.FieldError
	since := func(namespace, instance string, at time.Time) (gap time.Duration, again bool) {
		key := [3]string{e.EndpointID(), namespace, instance}
		before, again := last[key]
		last[key] = at
		return at.Sub(before), again
	}
	var measured struct {
		Electricity []struct{ End time.Time } `json:"electricityIntervals"`
		NaturalGas  []struct{ End time.Time } `json:"naturalGasIntervals"`
	}
	if e.Header.Name == "MeasurementsReport" && json.Unmarshal(e.Payload, &measured) == nil {
		var end time.Time
		for _, interval := range append(measured.Electricity, measured.NaturalGas...) {
			if interval.End.After(end) {
				end = interval.End
			}
		}
		if gap, again := since(e.Header.Namespace, "", end); again && gap.Abs() < time.Hour {
			faults = append(faults, warn(ruleMeter, "event.payload", "an hour has not passed since the report before: Alexa does not record all"))
		}
	}
	if e.Change == nil {
		return faults
	}
	path := "event.payload.change.properties"
	if short {
		path = "changed"
	}
	for i, p := range e.Change.Properties {
		if p.Namespace != "Alexa.InventoryLevelSensor" || p.TimeOfSample.Equal(published) {
			continue // or its time is not known
		}
		if gap, again := since(p.Namespace, p.Instance, p.TimeOfSample); again && gap > 24*time.Hour {
			faults = append(faults, warn(ruleInventory, fmt.Sprintf("%s[%d]", path, i),
				"more than a day after the report before: Dash wants one a day"))
		}
	}
	return faults
}
