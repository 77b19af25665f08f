package delivery

import (
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

const (
	acceptedKept = 20_000 // events, by grant, that a process remembers as accepted
	samplesKept  = 50_000 // properties whose newest accepted sample it remembers
	usedKept     = 10_000 // customers of whom it knows when their use was noted
	// A sample may be this far ahead of the event's first publish, or behind
	// it, before the device's clock is not believed.
	clockAhead  = time.Minute
	clockBehind = 24 * time.Hour
)

// memory is what a process remembers of the events it delivered. A new process
// remembers nothing, and that is no fault: it may repeat what Alexa can tell to
// be a repetition.
type memory struct {
	accepted *lru.Cache[string, struct{}]  // events and parts, by message id
	samples  *lru.Cache[string, time.Time] // by grant, endpoint and property

	usedMu sync.Mutex
	used   *lru.Cache[string, time.Time] // when use was noted, by the id of the customer's record
}

func newMemory() *memory {
	accepted, _ := lru.New[string, struct{}](acceptedKept) // fail for sizes below 1 only
	samples, _ := lru.New[string, time.Time](samplesKept)
	used, _ := lru.New[string, time.Time](usedKept)
	return &memory{accepted: accepted, samples: samples, used: used}
}

// newest leaves out of a ChangeReport the properties that are older than what
// the grant's gateway has accepted for the same endpoint, and reports whether
// any changed property is left.
func (m *memory) newest(e event, id string) (event, bool) {
	if e.Change == nil {
		return e, true
	}
	change := *e.Change
	change.Properties = m.without(e, id, e.Change.Properties)
	if len(change.Properties) == 0 && len(e.Change.Properties) > 0 {
		return e, false
	}
	e.Change = &change
	if e.Context != nil && e.Context.Properties != nil {
		e.Context = &alexa.Context{Properties: m.without(e, id, e.Context.Properties)}
	}
	return e, true
}

// without returns the properties that are not older than accepted ones: list
// itself if that is all of them.
func (m *memory) without(e event, id string, list []alexa.Property) []alexa.Property {
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

func (m *memory) outdated(e event, id string, p *alexa.Property) bool {
	newest, ok := m.samples.Get(sampleKey(e, id, p))
	return ok && sampledAt(e, p).Before(newest)
}

// note remembers an event that a grant's gateway accepted.
func (m *memory) note(e event, id string) {
	m.accepted.Add(messageID(e.id, id, ""), struct{}{})
	if e.Change == nil {
		return
	}
	for i := range e.Change.Properties {
		p := &e.Change.Properties[i]
		at := sampledAt(e, p)
		if !at.Equal(p.TimeOfSample) {
			continue // a time that is made up must not outdate a real one
		}
		if newest, ok := m.samples.Peek(sampleKey(e, id, p)); !ok || at.After(newest) {
			m.samples.Add(sampleKey(e, id, p), at)
		}
	}
}

// knows reports whether the event was accepted before.
func (m *memory) knows(e event, id string) bool {
	return m.accepted.Contains(messageID(e.id, id, ""))
}

// sampledAt is when a property was sampled, or when the event was published if
// the device's clock is plainly wrong: a clock of 2036 would otherwise silence
// the device for years, and one of 1970 for as long as it is remembered.
func sampledAt(e event, p *alexa.Property) time.Time {
	if p.TimeOfSample.Sub(e.published) > clockAhead || e.published.Sub(p.TimeOfSample) > clockBehind {
		return e.published
	}
	return p.TimeOfSample
}

func sampleKey(e event, id string, p *alexa.Property) string {
	return strings.Join([]string{id, e.EndpointID(), p.Namespace, p.Name, p.Instance}, "\x00")
}
