package alexa

import "strconv"

// whole checks an event as a whole: what its parts say together.
func (d *decoder) whole(e *Event) error {
	if err := d.onePlaceEach(e); err != nil {
		return err
	}
	kind := e.Kind()
	switch {
	case e.Context == nil && kind.Context == Expected:
		d.note(warning(ruleEvents, "context", "missing: the state of the endpoint's properties"))
	case e.Context != nil && kind.Context == None && len(e.Context.Properties) == 0:
		e.Context = nil // it says nothing, and Alexa does not expect it
	case e.Context != nil && kind.Context == None:
		d.note(warning(kind.rule(), "context", "not in this kind of event: leave it out"))
	}
	if e.Change != nil && d.unread == 0 && !e.hasConnectivity() {
		d.note(warning(ruleReporting, d.contextPath(), "without the connectivity of Alexa.EndpointHealth"))
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

// onePlaceEach refuses a property that is twice in one list: Amazon's schema
// wants the members of a list to differ, and of two values nobody knows which is
// so. One that is in both lists is left out of the context: its value is the one
// it changed to, and many publishers write the whole state into the context.
func (d *decoder) onePlaceEach(e *Event) error {
	var changed index
	if e.Change != nil {
		changed = indexOf(e.Change.Properties)
		if err := d.onceEach(changed, d.changedPath()); err != nil {
			return err
		}
	}
	if e.Context == nil {
		return nil
	}
	if err := d.onceEach(indexOf(e.Context.Properties), d.contextPath()); err != nil {
		return err
	}
	if e.Change != nil {
		e.Context.Properties = d.unchanged(e.Context.Properties, changed)
	}
	return nil
}

func (d *decoder) onceEach(list index, path string) error {
	if d.checks == CheckOff {
		return nil
	}
	for j := range list.properties {
		i := list.find(&list.properties[j])
		if i < 0 || i == j || !d.lists(false) {
			continue
		}
		fault := breaks(ruleReporting, itemPath(path, j), "the same property as %s", itemPath(path, i))
		if err := d.tolerate(fault); err != nil {
			return err
		}
	}
	return nil
}

// unchanged leaves out of the context's properties those that changed.
func (d *decoder) unchanged(list []Property, changed index) []Property {
	kept := 0
	for j := range list {
		i := changed.find(&list[j])
		if i < 0 {
			if kept != j {
				list[kept] = list[j]
			}
			kept++
			continue
		}
		if d.lists(true) {
			d.found = append(d.found, warning(ruleReporting, itemPath(d.contextPath(), j),
				"the same property as %s: only that is sent", itemPath(d.changedPath(), i)))
		}
	}
	return list[:kept]
}

func itemPath(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// index finds properties in a list by what they are called.
type index struct {
	properties []Property
	first      map[[3]string]int // of a long list only
}

// manyProperties is how many are no longer compared each with each.
const manyProperties = 32

func indexOf(list []Property) index {
	x := index{properties: list}
	if len(list) <= manyProperties {
		return x
	}
	x.first = make(map[[3]string]int)
	for i := range list {
		p := &list[i]
		name := [3]string{p.Namespace, p.Name, p.Instance}
		if _, ok := x.first[name]; !ok && p.raw == nil {
			x.first[name] = i
		}
	}
	return x
}

// find returns where p is first, -1 if nowhere. A property that could not be
// decoded is like no other.
func (x index) find(p *Property) int {
	if p.raw != nil {
		return -1
	}
	if x.first != nil {
		if i, ok := x.first[[3]string{p.Namespace, p.Name, p.Instance}]; ok {
			return i
		}
		return -1
	}
	for i := range x.properties {
		if q := &x.properties[i]; q.raw == nil && p.same(q) {
			return i
		}
	}
	return -1
}
