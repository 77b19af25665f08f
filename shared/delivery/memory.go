package delivery

import (
	"hash/maphash"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/cache"
)

const (
	acceptedKept = 20_000 // accepted events, by grant
	samplesKept  = 50_000 // properties with their newest accepted sample
	// clockAhead is how far a sample may be ahead of the event's first publish; the
	// device's clock is wrong beyond that.
	clockAhead = time.Minute
)

// addedUp is the prefix of namespaces in which every report of a property counts:
// Alexa adds up how long each stage of a heater or cooler was on.
const addedUp = "Alexa.ThermostatController.HVAC."

// memory is what a process remembers of the events that it delivered. A new process
// has none: it may repeat an event, which Alexa recognizes by its message id.
type memory struct {
	seed     maphash.Seed
	accepted cache.Cache[uuid.UUID, struct{}] // events and parts, by message id
	samples  cache.Cache[sampleKey, sample]   // of the accepted report that was published last, by property
	refusals cache.Cache[string, time.Time]   // when the gateway first refused a grant in spite of a forced refresh
	used     cache.Cache[string, time.Time]   // when use was noted, by the id of the customer's record
}

func newMemory() *memory {
	return &memory{
		seed:     maphash.MakeSeed(),
		accepted: cache.Cache[uuid.UUID, struct{}]{Size: acceptedKept},
		samples:  cache.Cache[sampleKey, sample]{Size: samplesKept},
	}
}

// hasAccepted reports whether a gateway has accepted an event, or a part of one.
func (m *memory) hasAccepted(message uuid.UUID) bool {
	_, ok := m.accepted.Get(message)
	return ok
}

// newest returns the event without the properties of a ChangeReport that are older
// than what the grant's gateway accepted for the same endpoint: e itself if there are
// none, nil if no changed property is left.
func (m *memory) newest(e *event, id string) *event {
	if e.Change == nil {
		return e
	}
	changed := m.without(e, id, e.Change.Properties)
	if len(changed) == 0 && len(e.Change.Properties) > 0 {
		return nil
	}
	var context []alexa.Property
	if e.Context != nil {
		context = m.without(e, id, e.Context.Properties)
	}
	if len(changed) == len(e.Change.Properties) && (e.Context == nil || len(context) == len(e.Context.Properties)) {
		return e
	}
	// A copy: the customer's other grants have the same event.
	left, change := *e, *e.Change
	change.Properties, left.Change = changed, &change
	if e.Context != nil {
		left.Context = &alexa.Context{Properties: context}
	}
	return &left
}

// without returns the properties that are not older than accepted ones: list
// itself if that is all of them.
func (m *memory) without(e *event, id string, list []alexa.Property) []alexa.Property {
	for i := range list {
		if !m.outdated(e, id, &list[i]) {
			continue
		}
		kept := append(make([]alexa.Property, 0, len(list)), list[:i]...)
		for j := i + 1; j < len(list); j++ {
			if !m.outdated(e, id, &list[j]) {
				kept = append(kept, list[j])
			}
		}
		return kept
	}
	return list
}

// sample is when a property was sampled and when its report was published.
type sample struct{ published, sampled time.Time }

// outdated reports whether a property is older than the accepted one: published no
// later, and sampled earlier. The device's clock alone never drops a report that was
// published later. Properties that Alexa adds up are never dropped.
func (m *memory) outdated(e *event, id string, p *alexa.Property) bool {
	if strings.HasPrefix(p.Namespace, addedUp) {
		return false
	}
	newest, ok := m.samples.Get(m.keyOf(e, id, p))
	return ok && !newest.published.Before(e.published) && sampledAt(e, p).Before(newest.sampled)
}

// note remembers an event that a grant's gateway accepted, and its samples.
func (m *memory) note(e *event, id string, message uuid.UUID) {
	m.accepted.Put(message, struct{}{})
	if e.Change == nil {
		return
	}
	for i := range e.Change.Properties {
		p := &e.Change.Properties[i]
		m.samples.Update(m.keyOf(e, id, p), func(newest sample, known bool) (sample, bool) {
			if !known || !e.published.Before(newest.published) {
				newest = sample{published: e.published, sampled: sampledAt(e, p)}
			}
			return newest, true
		})
	}
}

// sampledAt returns when a property was sampled, or when the event was published if
// the device's clock is ahead: a clock in 2036 would otherwise make all that follows
// outdated.
func sampledAt(e *event, p *alexa.Property) time.Time {
	if p.TimeOfSample.Sub(e.published) > clockAhead {
		return e.published
	}
	return p.TimeOfSample
}

// sampleKey is a hash of a property of an endpoint of a grant: there are many, and
// the names are long. The seed is the process's own, so that a publisher cannot make
// collisions.
type sampleKey uint64

func (m *memory) keyOf(e *event, id string, p *alexa.Property) sampleKey {
	var hash maphash.Hash
	hash.SetSeed(m.seed)
	for _, part := range [...]string{id, e.EndpointID(), p.Namespace, p.Name, p.Instance} {
		_, _ = hash.WriteString(part) // never fail
		_ = hash.WriteByte(0)
	}
	return sampleKey(hash.Sum64())
}
