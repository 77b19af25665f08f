package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// Where the rules about discovery come from.
const (
	ruleDiscovery  = "developer.amazon.com/docs/device-apis/alexa-discovery.html"
	ruleReporting  = "developer.amazon.com/docs/smarthome/state-reporting-for-a-smart-home-skill.html"
	ruleSkill      = "developer.amazon.com/docs/smarthome/implement-your-skill.html"
	ruleInterfaces = "developer.amazon.com/docs/device-apis/list-of-interfaces.html"
	ruleHealth     = "developer.amazon.com/docs/device-apis/alexa-endpointhealth.html"
	ruleWWA        = "developer.amazon.com/docs/smarthome/wwa-skill-requirements.html"
)

const endpointsPath = "event.payload.endpoints"

// discoveryFaults says what is wrong with a discovery as Alexa gets it.
func (d document) discoveryFaults() []*alexa.FieldError {
	event := d.member("event")
	endpoints := event.member("payload").member("endpoints")
	var faults []*alexa.FieldError
	report := event.member("header").member("name").text() == "AddOrUpdateReport"
	if size := compactSize(d.raw); report && size > alexa.MaxReportBytes {
		faults = append(faults, breaks(endpointsPath, "%d KB in all, more than %d", (size+1023)>>10, alexa.MaxReportBytes>>10))
	}
	if n := len(endpoints.items); n > alexa.MaxEndpoints {
		faults = append(faults, breaks(endpointsPath, "more than %d", alexa.MaxEndpoints))
	}
	if endpoints.isArray() && len(endpoints.items) == 0 && !report {
		return faults // a customer without devices
	}
	return merged(shapeFaults(endpoints), append(faults, d.declarationFaults()...))
}

// compactSize is the size of a document as a program writes it, not a person.
func compactSize(raw []byte) int {
	var compact bytes.Buffer
	_ = json.Compact(&compact, raw) // it is valid
	return compact.Len()
}

// shapeFaults holds endpoints against what package alexa knows about them, which
// is part of what it knows about device events.
func shapeFaults(endpoints value) []*alexa.FieldError {
	payload := []byte("{}")
	if endpoints.there() {
		payload = slices.Concat([]byte(`{"endpoints":`), endpoints.raw, []byte("}"))
	}
	const header = `{"namespace":"Alexa.Discovery","name":"AddOrUpdateReport"}`
	event := slices.Concat([]byte(`{"userId":"-","event":{"header":`+header+`,"payload":`), payload, []byte("}}"))
	_, faults := document{value: (&reader{text: event}).value()}.eventFaults()
	return faults
}

// declarationFaults says what is wrong with what endpoints declare. That they
// have the shape of endpoints at all is left to package alexa.
func (d document) declarationFaults() []*alexa.FieldError {
	var faults []*alexa.FieldError
	first := make(map[string]int)
	for i, endpoint := range d.member("event").member("payload").member("endpoints").items {
		path := fmt.Sprintf("%s[%d]", endpointsPath, i)
		if id := endpoint.member("endpointId").text(); id != "" {
			if j, ok := first[id]; ok {
				faults = append(faults, breaks(path+".endpointId", "the same as that of endpoints[%d]", j))
			} else {
				first[id] = i
			}
		}
		faults = append(faults, attributeFaults(path, endpoint)...)
		faults = append(faults, capabilityFaults(path, endpoint)...)
	}
	return faults
}

func attributeFaults(path string, endpoint value) []*alexa.FieldError {
	const longest = 256
	var faults []*alexa.FieldError
	for _, attribute := range endpoint.member("additionalAttributes").members {
		if utf8.RuneCountInString(attribute.text()) > longest {
			faults = append(faults, breaks(path+".additionalAttributes."+attribute.name, "longer than %d characters", longest))
		}
	}
	return faults
}

// breaks is a fault against Alexa's page about discovery.
func breaks(path, problem string, args ...any) *alexa.FieldError {
	return &alexa.FieldError{Path: path, Problem: fmt.Sprintf(problem, args...), Rule: ruleDiscovery}
}

// warn is a fault that Alexa overlooks, for which something does not work.
func warn(rule, path, problem string, args ...any) *alexa.FieldError {
	return &alexa.FieldError{Path: path, Problem: fmt.Sprintf(problem, args...), Rule: rule, Warning: true}
}
