package delivery

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/google/uuid"
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
	seed     maphash.Seed
	accepted *lru.Cache[uuid.UUID, struct{}]  // events and parts, by message id
	samples  *lru.Cache[sampleKey, time.Time] // newest accepted, by property

	usedMu sync.Mutex
	used   *lru.Cache[string, time.Time] // when use was noted, by the id of the customer's record
}

func newMemory() *memory {
	accepted, _ := lru.New[uuid.UUID, struct{}](acceptedKept) // fail for sizes below 1 only
	samples, _ := lru.New[sampleKey, time.Time](samplesKept)
	used, _ := lru.New[string, time.Time](usedKept)
	return &memory{seed: maphash.MakeSeed(), accepted: accepted, samples: samples, used: used}
}

// newest returns the event without the properties of a ChangeReport that are
// older than what the grant's gateway has accepted for the same endpoint: e
// itself if there are none, and nil if no changed property is left.
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

func (m *memory) outdated(e *event, id string, p *alexa.Property) bool {
	newest, ok := m.samples.Get(m.keyOf(e, id, p))
	return ok && sampledAt(e, p).Before(newest)
}

// note remembers what a grant's gateway accepted: an event, by its message id
// for the grant, and the samples in it.
func (m *memory) note(e *event, id string, message uuid.UUID) {
	m.accepted.Add(message, struct{}{})
	if e.Change == nil {
		return
	}
	for i := range e.Change.Properties {
		p := &e.Change.Properties[i]
		at := sampledAt(e, p)
		if !at.Equal(p.TimeOfSample) {
			continue // a time that is made up must not outdate a real one
		}
		key := m.keyOf(e, id, p)
		if newest, ok := m.samples.Peek(key); !ok || at.After(newest) {
			m.samples.Add(key, at)
		}
	}
}

// sampledAt is when a property was sampled, or when the event was published if
// the device's clock is plainly wrong: a clock of 2036 would otherwise silence
// the device for years, and one of 1970 for as long as it is remembered.
func sampledAt(e *event, p *alexa.Property) time.Time {
	if p.TimeOfSample.Sub(e.published) > clockAhead || e.published.Sub(p.TimeOfSample) > clockBehind {
		return e.published
	}
	return p.TimeOfSample
}

// sampleKey stands for a property of an endpoint of a grant: a hash, because
// there are many and the names are long. Its seed is the process's, so that
// nobody can find two that are alike.
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
