package alexa

import (
	"slices"
	"strings"
	"time"
)

// TokenPlace is where an event carries the access token, beside the request's
// header.
type TokenPlace int

const (
	// TokenAnywhere: beside the endpoint if the event has one, in the payload
	// otherwise. It is what is known of kinds that are not in the table.
	TokenAnywhere TokenPlace = iota
	// TokenInEndpoint: event.endpoint.scope; the event is about one endpoint.
	TokenInEndpoint
	// TokenInPayload: event.payload.scope; the event has no endpoint.
	TokenInPayload
)

// Use says whether an event may, must or must not have something.
type Use int

const (
	Optional Use = iota
	// None: what the event has all the same draws a warning.
	None
	// Expected: an event without it draws a warning.
	Expected
	// Required: an event without is refused.
	Required
)

// Life is how long an event is worth sending after it was first published.
type Life int

const (
	// LifeReport: as long as reports are, which is configured.
	LifeReport Life = iota
	// LifeShort: a minute. Nobody wants the bell to ring later.
	LifeShort
	// LifeEndless: what it says stays true, as that an endpoint was removed.
	LifeEndless
)

// ShortLife is how long events of [LifeShort] live, and answers to directives.
const ShortLife = time.Minute

// Kind is what is known about one kind of asynchronous event, see
// https://developer.amazon.com/docs/smarthome/send-events.html and the pages
// of the interfaces. The zero Kind, less the names, is what is assumed of kinds
// nobody here has heard of: the list is open.
type Kind struct {
	Namespace string
	Name      string
	Version   string     // payloadVersion when the publisher gives none
	Token     TokenPlace //
	Context   Use        // the state of other properties
	Answer    Use        // header.correlationToken: the directive that the event answers
	Instance  Use        // header.instance
	// Once marks an event that must not be repeated: Alexa would ring, or
	// announce it, twice.
	Once    bool
	Life    Life
	Retired string // since when Alexa has it no more, empty if it has
	// Synchronous says why the kind is no asynchronous event, empty if it is.
	Synchronous string

	// official: the kind is in Amazon's message schema, so that version and
	// header are known for certain.
	official bool
	known    bool   // Version is that of Amazon's pages, and no guess
	payload  *shape // nil: any object
	// timestamp says how finely payload.timestamp may be written, zero if there
	// is none: it is brought into that form.
	timestamp time.Duration
}

// KindOf returns what is known about a kind of event.
func KindOf(namespace, name string) Kind {
	if i, ok := kindIndex[kindName{namespace, name}]; ok {
		k := kinds[i]
		k.known = true
		return k
	}
	k := Kind{Namespace: namespace, Name: name, Version: "3", Retired: retiredInterface(namespace)}
	if name == "ErrorResponse" {
		k.Answer = Expected // whichever interface it is of
	}
	switch namespace {
	case "Alexa.DeviceUsage.Estimation", "Alexa.SmartVision.SnapshotProvider": // whose events nobody has seen
		k.Version, k.known = "1.0", true
	}
	if i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Namespace == namespace }); i >= 0 {
		k.Version, k.Life, k.known = kinds[i].Version, kinds[i].Life, true // of its kin
	}
	return k
}

// Kinds returns every kind that is known.
func Kinds() []Kind { return slices.Clone(kinds) }

// Kind returns what is known about the event's kind.
func (e *Event) Kind() Kind { return KindOf(e.Header.Namespace, e.Header.Name) }

// rule is where the rules about the kind are.
func (k Kind) rule() string {
	if k.official {
		return ruleSchema
	}
	return "developer.amazon.com/docs/device-apis/" + strings.ToLower(strings.ReplaceAll(k.Namespace, ".", "-")) + ".html"
}

// Answers reports whether the event answers a directive, which one Amazon
// account waits for. A correlationToken in an event that answers none has no
// meaning.
func (e *Event) Answers() bool {
	return e.Header.CorrelationToken != "" && e.Kind().Answer != None
}

// MaxAge is how long after it was first published the event is worth sending,
// where reports live as long as the argument says; zero means for ever.
func (e *Event) MaxAge(reports time.Duration) time.Duration {
	kind := e.Kind()
	switch {
	case e.Answers(), kind.Life == LifeShort:
		return ShortLife
	case kind.Life == LifeEndless:
		return 0
	}
	return reports
}

type kindName struct{ namespace, name string }

var kindIndex = func() map[kindName]int {
	index := make(map[kindName]int, len(kinds))
	for i, k := range kinds {
		index[kindName{k.Namespace, k.Name}] = i
	}
	return index
}()

// causes are the values of cause.type in Amazon's schema. A doorbell is not
// pressed for the last two.
var (
	pressCauses = []string{"APP_INTERACTION", "PHYSICAL_INTERACTION", "PERIODIC_POLL", "RULE_TRIGGER", "VOICE_INTERACTION"}
	causes      = append(slices.Clone(pressCauses), "INVALID_CREDENTIALS", "SUBSCRIPTION_EXPIRED")
)
