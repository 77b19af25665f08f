package alexa

import "strconv"

// whole checks an event as a whole: what its parts say together.
func (d *decoder) whole(e *Event) error {
	if d.checks == CheckOff {
		return nil
	}
	kind := e.Kind()
	switch {
	case e.Context != nil && kind.Context == None:
		if err := d.tolerate(breaks(ruleSchema, "context", "not in this kind of event")); err != nil {
			return err
		}
	case e.Context == nil && kind.Context == Expected:
		d.advise(advice(ruleEvents, "context", "missing: the state of the endpoint's properties"))
	}
	if err := d.onePlaceEach(e); err != nil {
		return err
	}
	if e.Change != nil && !e.hasConnectivity() {
		d.advise(advice(ruleReporting, d.contextPath(), "without the connectivity of Alexa.EndpointHealth"))
	}
	if d.untimed > 0 {
		// One for all: it is as a rule the same publisher's way for each.
		d.advise(advice(ruleReporting, d.untimedAt+".timeOfSample", "missing (%d in all): the time of publishing is sent", d.untimed))
	}
	return nil
}

func (e *Event) hasConnectivity() bool {
	is := func(list []Property) bool {
		for i := range list {
			if list[i].Name == "connectivity" && list[i].Namespace == "Alexa.EndpointHealth" {
				return true
			}
		}
		return false
	}
	return is(e.Change.Properties) || e.Context != nil && is(e.Context.Properties)
}

// changedPath and contextPath name the two lists of properties as the publisher
// wrote them.

func (d *decoder) changedPath() string {
	if d.short {
		return "changed"
	}
	return "event.payload.change.properties"
}

func (d *decoder) contextPath() string {
	if d.short {
		return "unchanged"
	}
	return "context.properties"
}

// onePlaceEach refuses a property that is reported twice: Amazon's schema wants
// the members of a list to differ, and of two values nobody knows which is so.
func (d *decoder) onePlaceEach(e *Event) error {
	var changed, unchanged []Property
	if e.Change != nil {
		changed = e.Change.Properties
	}
	if e.Context != nil {
		unchanged = e.Context.Properties
	}
	at := func(i int) *Property {
		if i < len(changed) {
			return &changed[i]
		}
		return &unchanged[i-len(changed)]
	}
	path := func(i int) string {
		if i < len(changed) {
			return d.changedPath() + "[" + strconv.Itoa(i) + "]"
		}
		return d.contextPath() + "[" + strconv.Itoa(i-len(changed)) + "]"
	}
	find := twin
	if len(changed)+len(unchanged) > manyProperties {
		find = twinOfMany
	}
	if i, j := find(len(changed)+len(unchanged), at); j > 0 {
		return d.tolerate(breaks(ruleReporting, path(j), "the same property as %s", path(i)))
	}
	return nil
}

// manyProperties is how many are no longer compared each with each.
const manyProperties = 32

// twin finds the first property that is there twice, by index; j is 0 when each
// is there once. Properties that could not be decoded do not count.
func twin(n int, at func(int) *Property) (i, j int) {
	for j := 1; j < n; j++ {
		for i := range j {
			if p, q := at(i), at(j); p.raw == nil && q.raw == nil && p.same(q) {
				return i, j
			}
		}
	}
	return 0, 0
}

// twinOfMany is twin, at the cost of a map.
func twinOfMany(n int, at func(int) *Property) (i, j int) {
	seen := make(map[[3]string]int, n)
	for j := range n {
		p := at(j)
		if p.raw != nil {
			continue
		}
		name := [3]string{p.Namespace, p.Name, p.Instance}
		if i, ok := seen[name]; ok {
			return i, j
		}
		seen[name] = j
	}
	return 0, 0
}
