package alexa

import (
	"encoding/json"
	"time"
)

// Property is the state of one property of an endpoint: see
// https://developer.amazon.com/docs/smarthome/state-reporting-for-a-smart-home-skill.html.
type Property struct {
	Namespace    string
	Name         string
	Instance     string          // only for interfaces with several instances per endpoint
	Value        json.RawMessage // carried byte for byte
	Unit         json.RawMessage // only for inventory levels; carried byte for byte
	TimeOfSample time.Time
	// Uncertainty is uncertaintyInMilliseconds, a JSON number, carried byte for
	// byte; nil means 0.
	Uncertainty json.RawMessage

	rest              []byte // unknown members, as `,"name":value`
	uncertaintyAsText bool   // the publisher wrote it as a string
	unread            *unread
}

// unread is a property that could not be decoded, unchanged but for the defaults, and
// the reason. It is not in an event that was checked strictly.
type unread struct {
	raw   json.RawMessage
	fault error
}

var noUncertainty = json.RawMessage("0")

// key is what makes a property another one of its endpoint.
func (p *Property) key() [3]string { return [3]string{p.Name, p.Namespace, p.Instance} }

// index finds properties in a list by their keys.
type index struct {
	properties []Property
	first      map[[3]string]int // only for a long list
}

// manyProperties is the length up to which a list is searched linearly.
const manyProperties = 32

func indexOf(list []Property) index {
	x := index{properties: list}
	if len(list) <= manyProperties {
		return x
	}
	x.first = make(map[[3]string]int)
	for i := range list {
		if _, ok := x.first[list[i].key()]; !ok {
			x.first[list[i].key()] = i
		}
	}
	return x
}

// find returns the index of the first property like p, -1 if there is none. A property
// that could not be decoded has no key, and equals no other.
func (x index) find(p *Property) int {
	if p.unread != nil {
		return -1
	}
	if x.first != nil {
		if i, ok := x.first[p.key()]; ok {
			return i
		}
		return -1
	}
	for i := range x.properties {
		if x.properties[i].key() == p.key() {
			return i
		}
	}
	return -1
}

func appendProperties(dst []byte, list []Property) []byte {
	dst = append(dst, '[')
	for i := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = list[i].append(dst)
	}
	return append(dst, ']')
}

func (p *Property) append(dst []byte) []byte {
	if p.unread != nil {
		return append(dst, p.unread.raw...)
	}
	dst = appendString(append(dst, `{"namespace":`...), p.Namespace)
	dst = appendString(append(dst, `,"name":`...), p.Name)
	if p.Instance != "" {
		dst = appendString(append(dst, `,"instance":`...), p.Instance)
	}
	if p.Value != nil {
		dst = append(append(dst, `,"value":`...), p.Value...)
	}
	if p.Unit != nil {
		dst = append(append(dst, `,"unit":`...), p.Unit...)
	}
	dst = p.TimeOfSample.UTC().AppendFormat(append(dst, `,"timeOfSample":"`...), timeLayout)
	dst = append(dst, `","uncertaintyInMilliseconds":`...)
	if p.Uncertainty == nil {
		dst = append(dst, noUncertainty...)
	}
	return append(append(append(dst, p.Uncertainty...), p.rest...), '}')
}
