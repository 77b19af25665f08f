package lint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// The sources of the rules about discovery.
const (
	ruleDiscovery  = "developer.amazon.com/docs/device-apis/alexa-discovery.html"
	ruleReporting  = "developer.amazon.com/docs/smarthome/state-reporting-for-a-smart-home-skill.html"
	ruleSkill      = "developer.amazon.com/docs/smarthome/implement-your-skill.html"
	ruleInterfaces = "developer.amazon.com/docs/device-apis/list-of-interfaces.html"
	ruleHealth     = "developer.amazon.com/docs/device-apis/alexa-endpointhealth.html"
	ruleWWA        = "developer.amazon.com/docs/smarthome/wwa-skill-requirements.html"
)

const endpointsPath = "event.payload.endpoints"

// discoveryFaults returns the faults of a discovery in Alexa's form.
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

// compactSize returns the size of a document without insignificant space.
func compactSize(raw []byte) int {
	var compact bytes.Buffer
	_ = json.Compact(&compact, raw) // it is valid
	return compact.Len()
}

// shapeFaults checks endpoints with the rules of package alexa, which are part of those
// for device events.
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

// declarationFaults returns the faults of the endpoints' declarations. It leaves the
// shape of endpoints to package alexa.
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

// breaks returns a fault against Alexa's page about discovery.
func breaks(path, problem string, args ...any) *alexa.FieldError {
	return &alexa.FieldError{Path: path, Problem: fmt.Sprintf(problem, args...), Rule: ruleDiscovery}
}

// warn returns a fault that Alexa accepts, although something does not work with it.
func warn(rule, path, problem string, args ...any) *alexa.FieldError {
	return &alexa.FieldError{Path: path, Problem: fmt.Sprintf(problem, args...), Rule: rule, Warning: true}
}

// declarations are the declared capabilities by endpointId; nil if there is no
// discovery.
type declarations map[string][]capability

// readDeclarations reads a file of discoveries. It does not check them; for that, pass
// the file as a file to lint.
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

// Unreported returns how many interfaces with properties a file of discoveries declares,
// and which of them not as proactivelyReported: Alexa takes no ChangeReport of those.
func Unreported(name string, stdin io.Reader) (declared int, missing []string, err error) {
	known, err := readDeclarations(name, stdin)
	for _, endpoint := range slices.Sorted(maps.Keys(known)) {
		for _, c := range known[endpoint] {
			if len(c.supported) == 0 {
				continue
			}
			declared++
			if !c.reported {
				missing = append(missing, c.name+" of "+endpoint)
			}
		}
	}
	return declared, missing, err
}

// add adds the declarations of a discovery. They replace earlier ones of the same
// endpoints.
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

// faults returns faults for what an event reports and discovery did not declare. Alexa
// accepts such an event and ignores it.
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

// undeclared returns faults for the properties that the endpoint did not declare, or,
// if they changed, did not declare as proactively reported.
func undeclared(endpoint []capability, path string, properties []alexa.Property, changed bool) []*alexa.FieldError {
	var faults []*alexa.FieldError
	for i, p := range properties {
		if p.Namespace == "" {
			continue // it did not decode, which is a fault already
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

// capability is the declaration of one interface of an endpoint.
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

// isTrue reports whether a flag is true. Amazon's message schema allows strings and
// numbers too. A missing flag is false.
func isTrue(v value) bool {
	switch string(v.raw) {
	case "true", `"true"`, `"True"`, `"TRUE"`, "1":
		return true
	}
	return false
}

// flags are the flags of an interface's properties, and the consequence of each being
// false or missing.
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

// instanced are the interfaces that an endpoint may have several instances of.
var instanced = []string{"Alexa.InventoryLevelSensor", "Alexa.InventoryLevelUsageSensor", "Alexa.InventoryUsageSensor",
	"Alexa.ModeController", "Alexa.RangeController", "Alexa.SimpleEventSource", "Alexa.ToggleController"}

// capabilityFaults returns the faults of the capabilities of the endpoint at path.
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

// absent returns warnings for missing interfaces that Amazon wants in every endpoint.
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
		return nil // which is a fault already
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

// propertyFaults returns faults for properties whose state Alexa will not learn.
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
