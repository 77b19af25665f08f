package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// declarations is what discovery has declared, by endpointId; nil if nothing is
// known of it.
type declarations map[string][]capability

// readDeclarations reads a file of discoveries. It is not held against any rule:
// for that it is given as a file to lint.
func readDeclarations(name string, stdin io.Reader) (declarations, error) {
	text, err := readFile(name, stdin)
	if err != nil {
		return nil, err
	}
	list, broken := documents(text)
	if broken != nil {
		return nil, fmt.Errorf("%s is %s", shown(name), broken.Problem)
	}
	known, found := make(declarations), false
	for _, d := range list {
		header := d.member("event").member("header")
		switch header.member("name").text() {
		case "Discover.Response", "AddOrUpdateReport":
			known.add(d.value)
			found = true
		}
	}
	if !found {
		return nil, fmt.Errorf("%s has no Discover.Response and no AddOrUpdateReport", shown(name))
	}
	return known, nil
}

// add takes in what a discovery declares. What it says of an endpoint takes the
// place of what was known.
func (known declarations) add(discovery value) {
	if known == nil {
		return
	}
	for _, endpoint := range discovery.member("event").member("payload").member("endpoints").items {
		list := []capability{}
		for _, c := range endpoint.member("capabilities").items {
			list = append(list, readCapability(c))
		}
		known[endpoint.member("endpointId").text()] = list
	}
}

// faults says what an event reports that discovery did not declare. Alexa takes
// such an event, and nothing comes of it.
func (known declarations) faults(e *alexa.Event, short bool) []*alexa.FieldError {
	path, changed, unchanged := "event.endpoint.endpointId", "event.payload.change.properties", "context.properties"
	if short {
		path, changed, unchanged = "endpointId", "changed", "unchanged"
	}
	id := e.EndpointID()
	if id == "" {
		return nil
	}
	endpoint, ok := known[id]
	if !ok {
		return []*alexa.FieldError{breaks(path, "not declared in the discovery")}
	}
	var faults []*alexa.FieldError
	if e.Change != nil {
		faults = undeclared(endpoint, changed, e.Change.Properties, true)
	}
	if e.Context != nil {
		faults = append(faults, undeclared(endpoint, unchanged, e.Context.Properties, false)...)
	}
	if source := e.Header.Namespace; strings.HasPrefix(source, "Alexa.") && !has(endpoint, source, e.Header.Instance) {
		faults = append(faults, warn(ruleDiscovery, "event.header.namespace",
			"not among the interfaces that the discovery declares for the endpoint"))
	}
	return faults
}

// undeclared says which properties an endpoint did not declare, or, if they
// are reported because they changed, did not declare to be reported.
func undeclared(endpoint []capability, path string, properties []alexa.Property, changed bool) []*alexa.FieldError {
	var faults []*alexa.FieldError
	for i, p := range properties {
		if p.Namespace == "" {
			continue // it could not be decoded, as has been said
		}
		at := fmt.Sprintf("%s[%d]", path, i)
		c := slices.IndexFunc(endpoint, func(c capability) bool {
			return c.name == p.Namespace && c.instance == p.Instance && slices.Contains(c.supported, p.Name)
		})
		switch {
		case c < 0:
			faults = append(faults, breaks(at, "not declared in the discovery"))
		case changed && !endpoint[c].reported:
			faults = append(faults, &alexa.FieldError{
				Path: at, Problem: "not declared as proactivelyReported in the discovery", Rule: ruleReporting})
		}
	}
	return faults
}

func has(endpoint []capability, name, instance string) bool {
	return slices.ContainsFunc(endpoint, func(c capability) bool {
		return c.name == name && (instance == "" || c.instance == instance)
	})
}
