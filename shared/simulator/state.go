package simulator

import (
	"cmp"
	"maps"
	"slices"
	"sync"
)

// Property is the last accepted value of a property. Value is decoded by encoding/json
// into an any.
type Property struct {
	Namespace    string `json:"namespace"`
	Name         string `json:"name"`
	Instance     string `json:"instance,omitempty"`
	Value        any    `json:"value"`
	TimeOfSample string `json:"timeOfSample"`
}

// propertyKey identifies a property of an endpoint.
type propertyKey struct{ namespace, name, instance string }

// maxProperties is how many properties of one endpoint are kept.
const maxProperties = 300

// states holds the state of each customer's endpoints, as accepted events reported it.
type states struct {
	mu       sync.Mutex
	accounts map[account]map[string]map[propertyKey]Property
}

func newStates() *states {
	return &states{accounts: make(map[account]map[string]map[propertyKey]Property)}
}

// apply updates the state by an accepted event.
func (s *states) apply(who account, e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if text(e.header, "namespace") == "Alexa.Discovery" && text(e.header, "name") == "DeleteReport" {
		for _, raw := range list(e.payload, "endpoints") {
			endpoint, _ := raw.(object)
			delete(s.accounts[who], text(endpoint, "endpointId"))
		}
		return
	}
	properties := slices.Concat(
		list(child(e.root, "context"), "properties"),
		list(child(e.payload, "change"), "properties"))
	endpointID := text(e.endpoint, "endpointId")
	if endpointID == "" || len(properties) == 0 {
		return
	}
	known := s.endpoint(who, endpointID)
	for _, raw := range properties {
		p, _ := raw.(object)
		key := propertyKey{text(p, "namespace"), text(p, "name"), text(p, "instance")}
		if _, ok := known[key]; known == nil || !ok && len(known) >= maxProperties {
			continue
		}
		known[key] = Property{key.namespace, key.name, key.instance, p["value"], text(p, "timeOfSample")}
	}
}

// endpoint returns the properties of an endpoint, nil beyond the limit.
func (s *states) endpoint(who account, id string) map[propertyKey]Property {
	endpoints := s.accounts[who]
	if endpoints == nil {
		endpoints = make(map[string]map[propertyKey]Property)
		s.accounts[who] = endpoints
	}
	if endpoints[id] == nil && len(endpoints) < maxEndpoints {
		endpoints[id] = make(map[propertyKey]Property)
	}
	return endpoints[id]
}

// forget removes an account.
func (s *states) forget(who account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.accounts, who)
}

// of returns a copy of the state of an account's endpoints.
func (s *states) of(who account) map[string][]Property {
	s.mu.Lock()
	defer s.mu.Unlock()
	copied := make(map[string][]Property, len(s.accounts[who]))
	for id, properties := range s.accounts[who] {
		copied[id] = slices.SortedFunc(maps.Values(properties), func(a, b Property) int {
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Instance, b.Instance))
		})
	}
	return copied
}
