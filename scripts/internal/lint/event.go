package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// faults returns the faults of a document, and adds its declarations to known.
func (d document) faults(known declarations, last paces) []*alexa.FieldError {
	header := d.member("event").member("header")
	discovery := header.member("namespace").text() == "Alexa.Discovery"
	report := discovery && header.member("name").text() == "AddOrUpdateReport"
	if discovery && header.member("name").text() == "Discover.Response" || report && d.isForAlexa(header) {
		known.add(d.value)
		return d.discoveryFaults()
	}
	event, faults := d.eventFaults()
	if report {
		known.add(d.value)
		exact := d.declarationFaults()
		for _, f := range exact {
			f.Warning = true // SendEvent does not check it
		}
		return merged(faults, exact)
	}
	if event != nil {
		faults = append(faults, last.faults(event, !d.member("event").there())...)
	}
	if event != nil && known != nil {
		faults = append(faults, known.faults(event, !d.member("event").there())...)
	}
	return faults
}

// isForAlexa reports whether a report is in Alexa's form, and not in the form to be
// published, to which Gatepost adds the message id and the scope.
func (d document) isForAlexa(header value) bool {
	scope := d.member("event").member("payload").member("scope")
	return !d.member("userId").there() && (header.member("messageId").there() || scope.there())
}

// published is the default for missing times of samples. It is never shown.
var published = time.Unix(0, 0)

// The limits of the search for faults of the envelope: faults, and decoded bytes. Each
// fault costs a decoding of the whole event.
const (
	maxFaults  = 100
	maxDecoded = 2 << 20
)

// eventFaults checks a device event with the rules of package alexa. A fault of the
// envelope ends the decoding, so it is repaired in a copy and the copy decoded, until no
// fault is left. The event is nil if that does not succeed.
func (d document) eventFaults() (*alexa.Event, []*alexa.FieldError) {
	var faults []*alexa.FieldError
	decoded := 0
	for text := d.raw; text != nil && len(faults) < maxFaults && decoded < maxDecoded; {
		decoded += len(text)
		event, warnings, err := alexa.DecodeEvent(text, published, alexa.CheckWarn)
		if err == nil {
			return &event, append(faults, slices.DeleteFunc(warnings, func(a *alexa.FieldError) bool { return follows(a, faults) })...)
		}
		fault := (*alexa.FieldError)(nil)
		if !errors.As(err, &fault) {
			return nil, append(faults, &alexa.FieldError{Problem: err.Error()})
		}
		if slices.ContainsFunc(faults, func(f *alexa.FieldError) bool { return f.Path == fault.Path }) {
			break // the repair causes it
		}
		faults = append(faults, fault)
		text = repaired(text, fault.Path)
	}
	return nil, faults
}

// follows reports whether a warning is about a member that a repair removed.
func follows(warning *alexa.FieldError, faults []*alexa.FieldError) bool {
	return slices.ContainsFunc(faults, func(f *alexa.FieldError) bool {
		after, ok := strings.CutPrefix(warning.Path, f.Path)
		return ok && f.Path != "" && (after == "" || after[0] == '.' || after[0] == '[')
	})
}

// merged joins the faults of a discovery that package alexa found and the exact ones
// found here. It drops package alexa's warning about a value that has an exact fault.
func merged(general, exact []*alexa.FieldError) []*alexa.FieldError {
	said := make(map[string]bool, len(exact))
	for _, f := range exact {
		said[printable(f.Path)] = true
	}
	general = slices.DeleteFunc(general, func(f *alexa.FieldError) bool { return f.Warning && said[f.Path] })
	return append(general, exact...)
}

// repaired returns an event without the faulty member, or with a customer if that is
// missing, or nil if neither is possible.
func repaired(text []byte, path string) []byte {
	read := reader{text: text}
	event := read.value()
	if part, ok := event.without(path); ok {
		return part
	}
	if path == "userId" && len(event.members) > 0 {
		return slices.Concat([]byte(`{"userId":"-",`), bytes.TrimSpace(text)[1:])
	}
	return nil
}

// paces has the times of the last reports that Alexa wants periodically, by endpointId,
// interface and instance.
type paces map[[3]string]time.Time

// The sources of the periods.
const (
	ruleMeter     = "developer.amazon.com/docs/device-apis/alexa-deviceusage-meter.html"
	ruleInventory = "developer.amazon.com/docs/dash/dash-replenishment-lambda-function.html"
)

// faults returns warnings for reports that follow the previous one in the file sooner,
// or later, than Alexa wants.
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
			faults = append(faults, warn(ruleMeter, "event.payload", "less than an hour after the previous report: Alexa does not record all"))
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
			continue // another interface, or the time is unknown
		}
		if gap, again := since(p.Namespace, p.Instance, p.TimeOfSample); again && gap > 24*time.Hour {
			faults = append(faults, warn(ruleInventory, fmt.Sprintf("%s[%d]", path, i),
				"more than a day after the previous report: Dash wants one a day"))
		}
	}
	return faults
}
