package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// capability is what a discovery says of one interface of an endpoint.
type capability struct {
	name, instance string   // of the interface
	supported      []string // properties
	reported       bool     // proactivelyReported
}

func readCapability(v value) capability {
	properties := v.member("properties")
	c := capability{
		name: v.member("interface").text(), instance: v.member("instance").text(),
		reported: isTrue(properties.member("proactivelyReported")),
	}
	for _, property := range properties.member("supported").items {
		c.supported = append(c.supported, property.member("name").text())
	}
	return c
}

// isTrue reads a flag, which Amazon's message schema lets be a string or a
// number too. A flag that is missing is false.
func isTrue(v value) bool {
	switch string(v.raw) {
	case "true", `"true"`, `"True"`, `"TRUE"`, "1":
		return true
	}
	return false
}

// flags of an interface's properties, false if missing, and what comes of that.
var flags = []struct{ name, rule, consequence string }{
	{"proactivelyReported", ruleReporting, "Alexa takes no ChangeReport of these properties"},
	{"retrievable", ruleWWA, "Alexa cannot ask for the state of these properties"},
}

func isFlag(v value) bool {
	switch string(v.raw) {
	case "false", `"false"`, `"False"`, `"FALSE"`, "0":
		return true
	}
	return isTrue(v)
}

// instanced are the interfaces of which an endpoint may have several.
var instanced = []string{"Alexa.InventoryLevelSensor", "Alexa.InventoryLevelUsageSensor", "Alexa.InventoryUsageSensor",
	"Alexa.ModeController", "Alexa.RangeController", "Alexa.SimpleEventSource", "Alexa.ToggleController"}

// capabilityFaults says what is wrong with the capabilities of the endpoint at
// path.
func capabilityFaults(path string, endpoint value) []*alexa.FieldError {
	capabilities := endpoint.member("capabilities")
	if !capabilities.isArray() {
		return nil
	}
	path += ".capabilities"
	var faults []*alexa.FieldError
	var list []capability
	first := make(map[[2]string]int)
	for i, v := range capabilities.items {
		c, at := readCapability(v), fmt.Sprintf("%s[%d]", path, i)
		faults = append(faults, c.faults(at, v)...)
		name := [2]string{c.name, c.instance}
		if j, ok := first[name]; ok && c.name != "" {
			faults = append(faults, breaks(at, "the same interface as capabilities[%d]", j))
		} else {
			first[name] = i
		}
		list = append(list, c)
	}
	return append(faults, absent(path, list)...)
}

// absent says which interfaces are not there that Amazon asks for in every
// endpoint.
func absent(path string, list []capability) []*alexa.FieldError {
	var faults []*alexa.FieldError
	has := func(name string) int {
		return slices.IndexFunc(list, func(c capability) bool { return c.name == name })
	}
	if has("Alexa") < 0 {
		faults = append(faults, warn(ruleDiscovery, path, "without the interface Alexa"))
	}
	if i := has("Alexa.EndpointHealth"); i < 0 || !slices.Contains(list[i].supported, "connectivity") {
		faults = append(faults, warn(ruleSkill, path, "without the property connectivity of Alexa.EndpointHealth"))
	}
	return faults
}

func (c capability) faults(path string, v value) []*alexa.FieldError {
	if !v.isObject() {
		return nil // as has been said
	}
	var faults []*alexa.FieldError
	if kind := v.member("type").text(); kind != "" && kind != "AlexaInterface" {
		faults = append(faults, warn(ruleDiscovery, path+".type", "not AlexaInterface"))
	}
	if since := alexa.KindOf(c.name, "").Retired; since != "" {
		faults = append(faults, warn(ruleInterfaces, path+".interface", "retired since %s", since))
	}
	switch version := v.member("version"); {
	case !version.there() && version.raw != nil:
		faults = append(faults, breaks(path+".version", "null, which counts as missing"))
	case !version.there():
		faults = append(faults, breaks(path+".version", "missing"))
	case version.text() == "3.0":
		faults = append(faults, warn(ruleDiscovery, path+".version", `ought to be "3"`))
	case c.name == "Alexa.EndpointHealth" && version.text() == "3":
		faults = append(faults, warn(ruleHealth, path+".version", `ought to be "3.1", which tells why an endpoint is UNREACHABLE`))
	case version.isNumber():
		faults = append(faults, warn(ruleDiscovery, path+".version", "ought to be a string: not every interface takes a number"))
	case version.text() == "":
		faults = append(faults, breaks(path+".version", "must be a string"))
	}
	if slices.Contains(instanced, c.name) && c.instance == "" {
		faults = append(faults, breaks(path+".instance", "missing: an endpoint may have several of this interface"))
	}
	return append(faults, c.propertyFaults(path+".properties", v.member("properties"))...)
}

// propertyFaults says which properties Alexa will not learn about, and how.
func (c capability) propertyFaults(path string, v value) []*alexa.FieldError {
	var faults []*alexa.FieldError
	for i, name := range c.supported {
		at := fmt.Sprintf("%s.supported[%d].name", path, i)
		if name == "" {
			faults = append(faults, breaks(at, "missing"))
		}
		if word := alexa.Nearest(name, alexa.PropertyNames(c.name)); word != "" {
			faults = append(faults, warn(ruleDiscovery, at, "unknown: did you mean %s?", word))
		}
	}
	if len(c.supported) == 0 && len(alexa.PropertyNames(c.name)) > 0 {
		names := strings.Join(alexa.PropertyNames(c.name), ", ")
		faults = append(faults, warn(ruleReporting, path, "without supported: Alexa does not learn the state of %s", names))
	}
	for _, flag := range flags {
		switch set := v.member(flag.name); {
		case set.there() && !isFlag(set):
			faults = append(faults, breaks(path+"."+flag.name, "must be true or false"))
		case len(c.supported) > 0 && !isTrue(set):
			faults = append(faults, warn(flag.rule, path+"."+flag.name, "not true: %s", flag.consequence))
		}
	}
	return faults
}
