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
	// LifeFact: a fact about the past, as that energy was used. It stays true,
	// nothing later says it again, and it must be counted once.
	LifeFact
	// LifeAlert: ten seconds. A siren or a chime that sounds later alarms for nothing.
	LifeAlert
)

// Lasting reports whether what an event tells stays true for ever: nothing later
// tells it again.
func (l Life) Lasting() bool { return l == LifeEndless || l == LifeFact }

// ShortLife is how long events of [LifeShort] live, and answers to directives.
const ShortLife = time.Minute

const alertLife = 10 * time.Second

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
	note     string // a warning about every event of the kind
	payload  *shape // nil: any object
	// moment is the member of the payload, if there is one, that is a time: it is
	// brought into Alexa's form, and written no finer than that.
	moment string
	finest time.Duration
}

// KindOf returns what is known about a kind of event.
func KindOf(namespace, name string) Kind {
	if i, ok := kindIndex[kindName{namespace, name}]; ok {
		k := kinds[i]
		k.known = true
		return k
	}
	k := kin[namespace]
	k.Namespace, k.Name, k.Retired = namespace, name, retiredInterface(namespace)
	if k.Version, k.known = payloadVersions[namespace]; !k.known {
		k.Version = "3" // which most have
	}
	if isError(name) {
		k.Life, k.Answer = LifeReport, Expected // whichever interface it is of
	}
	return k
}

// isError reports whether an event by a name tells that a directive failed. The
// name may say which: ReportCommissioningInformation.ErrorResponse.
func isError(name string) bool {
	return name == "ErrorResponse" || strings.HasSuffix(name, ".ErrorResponse")
}

// Kinds returns every kind that is known.
func Kinds() []Kind { return slices.Clone(kinds) }

// Kind returns what is known about the event's kind.
func (e *Event) Kind() Kind { return KindOf(e.Header.Namespace, e.Header.Name) }

// rule is where the rules about the kind are.
func (k Kind) rule() string {
	switch source := k.source(); {
	case source != ruleSchema:
		return page(source)
	case k.Namespace == "Alexa":
		return ruleEvents
	}
	return ruleSchema
}

// source is the interface whose page has the rules about the kind's payload, or
// the schema.
func (k Kind) source() string {
	switch {
	case isError(k.Name):
		return k.Namespace + ".ErrorResponse"
	case k.Namespace == "Alexa", k.Namespace == "Alexa.AutomationManagement":
		return ruleSchema // no page has their payloads
	}
	return k.Namespace
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
	case kind.Life.Lasting():
		return 0
	case kind.Life == LifeAlert:
		return alertLife
	case e.Answers(), kind.Life == LifeShort:
		return ShortLife
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

// causes are the values of cause.type. The first five are on Amazon's pages, the
// last two in its schema.
var causes = []string{"APP_INTERACTION", "PHYSICAL_INTERACTION", "PERIODIC_POLL", "RULE_TRIGGER", "VOICE_INTERACTION",
	"INVALID_CREDENTIALS", "SUBSCRIPTION_EXPIRED"}
