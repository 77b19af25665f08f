package alexa

import "slices"

// Checks selects what to do with an event that Amazon would refuse. Faults of the
// envelope (the customer, the header's names, fields that a publisher must not set) are
// an error in every mode, and so are more than a thousand undecodable properties.
type Checks int

const (
	// CheckStrict returns the first fault that Amazon would refuse as an error.
	CheckStrict Checks = iota
	// CheckWarn passes the event on and lists its faults.
	CheckWarn
	// CheckOff passes the event on and reports nothing.
	CheckOff
)

// check checks what was decoded of an event; broken is the fault of the envelope that
// ended the decoding, if one did. It returns the warnings, or the first fault that these
// checks refuse. With strict checks that may be a fault in a part before the broken one.
func (d *decoder) check(checks Checks, broken error) ([]*FieldError, error) {
	if checks == CheckOff || checks == CheckWarn && broken != nil {
		return nil, broken
	}
	const depth = 4 // of the values of most properties
	c := checker{checks: checks, at: make([]place, 0, depth)}
	if d.event.Header.Namespace != "" {
		c.header(&d.event.Header, &d.kind)
	}
	if d.event.Endpoint != nil {
		c.rule = ruleObjects
		c.enter(d.paths.endpointID)
		c.checkString(anEndpointID, d.event.Endpoint.ID)
		c.leave()
	}
	if d.report != nil {
		c.change(d)
	} else if d.event.Payload != nil {
		c.payload(d)
	}
	if d.event.Context != nil {
		c.properties(d.paths.unchanged, d.event.Context.Properties)
	}
	if broken == nil {
		c.crossCheck(d)
	}
	if c.refused != nil {
		return nil, c.refused
	}
	if broken != nil {
		return nil, broken
	}
	return c.warnings(), nil
}

// header checks a header against its kind.
func (c *checker) header(h *Header, kind *Kind) {
	c.enter("event.header")
	defer c.leave()
	if kind.Retired != "" {
		c.warnAt(ruleInterfaces, "namespace", "retired since %s", kind.Retired)
	}
	if kind.note != "" {
		c.warnAt(kind.source(), "namespace", "%s", kind.note)
	}
	c.suggestKind(kind)
	if kind.Synchronous != "" {
		c.refuseAt(ruleEvents, "name", "not an asynchronous event: %s", kind.Synchronous)
		return
	}
	switch version := h.PayloadVersion; {
	case version == "" && !kind.known:
		c.warnAt(ruleInterfaces, "payloadVersion", "missing: %q is sent, name the version of the interface's messages", kind.Version)
	case version == "", version == kind.Version:
	case kind.official:
		c.refuseAt(kind.rule(), "payloadVersion", "must be %q", kind.Version)
	case kind.known:
		c.warnAt(kind.rule(), "payloadVersion", "ought to be %q", kind.Version)
	}
	switch {
	case h.Instance != "" && kind.official:
		c.warnAt(ruleSchema, "instance", "not in this kind of event: leave it out")
	case h.Instance != "":
	case kind.Instance == Required:
		c.refuseAt(kind.rule(), "instance", "missing: an endpoint may have several of this interface")
	case kind.Instance == Expected:
		c.warnAt(kind.rule(), "instance", "missing")
	}
	const missing = "missing: it says which directive this answers"
	switch token := h.CorrelationToken; {
	case token == "" && kind.Answer == Required:
		c.refuseAt(ruleEvents, "correlationToken", missing)
	case token == "" && kind.Answer == Expected:
		c.warnAt(ruleEvents, "correlationToken", missing)
	case token != "" && kind.Answer == None:
		c.warnAt(ruleEvents, "correlationToken", "has no meaning in an event that answers no directive: leave it out")
	}
}

// suggestKind warns of an unknown kind whose name resembles one of Alexa's.
func (c *checker) suggestKind(kind *Kind) {
	if _, known := kindIndex[kindName{kind.Namespace, kind.Name}]; known {
		return
	}
	if !kind.known {
		if problem := nearInterface(kind.Namespace); problem != "" {
			c.warnAt(ruleInterfaces, "namespace", "%s", problem)
		}
		return
	}
	var names []string
	for _, k := range kinds {
		if k.Namespace == kind.Namespace {
			names = append(names, k.Name)
		}
	}
	if word := Nearest(kind.Name, names); word != "" {
		c.warnAt(ruleEvents, "name", "unknown: did you mean %s?", word)
	}
}

// rule returns the source of the kind's rules.
func (k *Kind) rule() string {
	if source := k.source(); source != ruleSchema || k.Namespace != "Alexa" {
		return source
	}
	return ruleEvents
}

// source returns the interface whose page has the rules about the kind's payload, or the
// schema.
func (k *Kind) source() string {
	switch {
	case isError(k.Name):
		return k.Namespace + ".ErrorResponse"
	case k.Namespace == "Alexa", k.Namespace == "Alexa.AutomationManagement":
		return ruleSchema // no page has their payloads
	}
	return k.Namespace
}

// change checks the payload of a ChangeReport.
func (c *checker) change(d *decoder) {
	c.carry(d.causeFault)
	if cause := d.report.Cause; cause != "" {
		if !slices.Contains(causes, cause) {
			c.refuseAt(ruleChange, d.paths.cause, "%s", oneOfWords(causes, cause))
		}
		if d.causeRest {
			c.warnAt(ruleSchema, "event.payload.change.cause", "has more than a type")
		}
	}
	c.properties(d.paths.changed, d.report.Properties)
	if d.changeFault != nil {
		c.carry(d.changeFault)
		return
	}
	if d.report.Properties != nil && len(d.report.Properties) == 0 {
		c.refuseAt(ruleReporting, d.paths.changed, "empty")
	}
	if d.report.payloadRest != nil {
		c.warnAt(ruleSchema, "event.payload", "has more than a change")
	}
	if d.report.changeRest != nil {
		c.warnAt(ruleSchema, "event.payload.change", "has more than cause and properties")
	}
}

// payload checks the payload of any other kind.
func (c *checker) payload(d *decoder) {
	shape := payloadShapes[kindName{d.kind.Namespace, d.kind.Name}]
	if shape == nil {
		return
	}
	c.rule = d.kind.source()
	if d.kind.Name == "AddOrUpdateReport" {
		c.discovery(d.event.Payload)
	}
	if d.kind.Retired != "" { // its page is gone
		c.rule = ruleSchema
		c.lenient++
		defer func() { c.lenient-- }()
	}
	c.enter("event.payload")
	defer c.leave()
	c.check(shape, d.event.Payload)
}

// discovery warns of an AddOrUpdateReport with no endpoints, repeated ones or too many.
// A report with too many is sent in parts.
func (c *checker) discovery(payload []byte) {
	var endpoints []byte
	if pick(payload, ignore, member{"endpoints", &endpoints}) != nil || endpoints == nil || endpoints[0] != '[' {
		return
	}
	c.enter("event.payload.endpoints")
	defer c.leave()
	n, seen := 0, make(map[string]int)
	for i, value := range each(endpoints) {
		n++
		var id []byte
		if value[0] == '{' && pick(value, ignore, member{"endpointId", &id}) == nil && !absent(id) {
			c.enterItem(i)
			c.enter("endpointId")
			c.warnIfRepeated(seen, id, i)
			c.leave()
			c.leave()
		}
	}
	switch {
	case n == 0:
		c.warnAt(ruleDiscovery, "", "empty")
	case n > MaxEndpoints:
		c.warnAt(ruleDiscovery, "", "more than %d: they are sent in parts", MaxEndpoints)
	}
}

// properties checks a list of properties.
func (c *checker) properties(path string, list []Property) {
	c.enter(path)
	defer c.leave()
	for i := range list {
		c.enterItem(i)
		c.property(&list[i])
		c.leave()
	}
}

// property checks a property, and its value against its shape, if that is known.
func (c *checker) property(p *Property) {
	if p.unread != nil {
		c.carry(p.unread.fault)
		return
	}
	switch {
	case p.uncertaintyAsText:
		c.warnAt(ruleReporting, "uncertaintyInMilliseconds", writtenAsText)
	case p.Uncertainty[0] == '-':
		c.warnAt(ruleSchema, "uncertaintyInMilliseconds", "less than 0")
	}
	if since := retiredInterface(p.Namespace); since != "" {
		c.warnAt(ruleInterfaces, "namespace", "retired since %s", since)
	}
	if p.rest != nil {
		c.warnAt(ruleSchema, "", "has members that a property does not have")
	}
	shape := valueShapes[p.Namespace][p.Name]
	if shape == nil {
		c.suggestName(p)
		return
	}
	if p.Unit != nil {
		c.warnAt(p.Namespace, "unit", "belongs in the value, if anywhere")
	}
	c.rule = p.Namespace
	c.enter("value")
	defer c.leave()
	c.check(shape, p.Value)
}

// suggestName warns of an unknown property whose name resembles one of Alexa's.
func (c *checker) suggestName(p *Property) {
	if _, known := payloadVersions[p.Namespace]; !known {
		if problem := nearInterface(p.Namespace); problem != "" {
			c.warnAt(ruleInterfaces, "namespace", "%s", problem)
		}
		return
	}
	if slices.Contains(eventful, p.Namespace) {
		c.warnAt(p.Namespace, "namespace", "the interface has no properties to report")
	}
	if word := Nearest(p.Name, PropertyNames(p.Namespace)); word != "" {
		c.warnAt(p.Namespace, "name", "unknown: did you mean %s?", word)
	}
}

// crossCheck checks the parts of an event against each other.
func (c *checker) crossCheck(d *decoder) {
	e := &d.event
	var changed, unchanged index
	if e.Change != nil {
		changed = indexOf(e.Change.Properties)
	}
	if e.Context != nil {
		unchanged = indexOf(e.Context.Properties)
	}
	// Amazon's schema requires the members of a list to differ, and either value may be
	// the right one.
	c.repeated(changed, d.paths.changed)
	c.repeated(unchanged, d.paths.unchanged)
	c.enter(d.paths.unchanged)
	for i := range unchanged.properties {
		if j := changed.find(&unchanged.properties[i]); j >= 0 {
			c.enterItem(i)
			c.warnAt(ruleReporting, "", "the same property as %s[%d]: only that is sent", d.paths.changed, j)
			c.leave()
		}
	}
	c.leave()
	switch {
	case e.Context == nil && d.kind.Context == Expected:
		c.warnAt(ruleEvents, "context", "missing: the state of the endpoint's properties")
	case e.Context != nil && d.kind.Context == None && len(e.Context.Properties) > 0:
		c.warnAt(d.kind.rule(), "context", "not in this kind of event: leave it out")
	}
	isConnectivity := func(p Property) bool { return p.Name == "connectivity" && p.Namespace == "Alexa.EndpointHealth" }
	if e.Change != nil && d.unread == 0 && !slices.ContainsFunc(changed.properties, isConnectivity) &&
		!slices.ContainsFunc(unchanged.properties, isConnectivity) {
		c.warnAt(ruleReporting, d.paths.unchanged, "without the connectivity of Alexa.EndpointHealth")
	}
}

// repeated refuses a property that appears twice in a list.
func (c *checker) repeated(list index, path string) {
	c.enter(path)
	defer c.leave()
	for i := range list.properties {
		if first := list.find(&list.properties[i]); first >= 0 && first != i {
			c.enterItem(i)
			c.refuseAt(ruleReporting, "", "the same property as %s[%d]", path, first)
			c.leave()
		}
	}
}
