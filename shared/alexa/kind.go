package alexa

import (
	"slices"
	"strings"
	"time"
)

// TokenPlace is where an event's body carries the access token.
type TokenPlace int

const (
	// TokenAnywhere: next to the endpoint if the event has one, in the payload
	// otherwise. It is the default for kinds that are not in the table.
	TokenAnywhere TokenPlace = iota
	// TokenInEndpoint: event.endpoint.scope; the event is about one endpoint.
	TokenInEndpoint
	// TokenInPayload: event.payload.scope; the event has no endpoint.
	TokenInPayload
)

// Use is whether an event may, must or must not have a part.
type Use int

const (
	Optional Use = iota
	// None: an event with it causes a warning.
	None
	// Expected: an event without it causes a warning.
	Expected
	// Required: an event without it is refused.
	Required
)

// Life is how long an event is worth sending after it was first published.
type Life int

const (
	// LifeReport: the configured time for reports.
	LifeReport Life = iota
	// LifeShort: a minute. A bell must not ring later.
	LifeShort
	// LifeEndless: a state that stays true, such as the removal of an endpoint.
	LifeEndless
	// LifeFact: a fact about the past, such as the use of energy. It stays true, no
	// later event repeats it, and it must be counted once.
	LifeFact
	// LifeAlert: ten seconds. A later siren or chime would be a false alarm.
	LifeAlert
)

// Lasting reports whether an event never expires: it stays true, and no later event
// repeats it.
func (l Life) Lasting() bool { return l == LifeEndless || l == LifeFact }

const (
	shortLife = time.Minute // of [LifeShort], and of answers to directives
	alertLife = 10 * time.Second
)

// Kind describes one kind of asynchronous event: see
// https://developer.amazon.com/docs/smarthome/send-events.html and the pages of the
// interfaces. An unknown kind has the defaults of its interface: the list is not
// complete.
type Kind struct {
	Namespace string
	Name      string
	Version   string // the default payloadVersion
	Token     TokenPlace
	Context   Use // the state of other properties
	Answer    Use // header.correlationToken: the directive that the event answers
	Instance  Use // header.instance
	// Once marks an event that must not be repeated: Alexa would ring, or
	// announce it, twice.
	Once    bool
	Life    Life
	Retired string // the date on which Alexa retired the kind, empty if it has not
	// Synchronous is why the kind is not an asynchronous event, empty if it is one.
	Synchronous string

	// official: the kind is in Amazon's message schema, so version and
	// header are certain.
	official bool
	known    bool   // Version is from Amazon's pages, and not a guess
	note     string // a warning about every event of the kind
	// moment is the member of the payload that is a time, if there is one. It is
	// converted to Alexa's form, and truncated to the layout.
	moment, layout string
}

// KindOf returns the description of a kind of event.
func KindOf(namespace, name string) Kind {
	if i, ok := kindIndex[kindName{namespace, name}]; ok {
		return kinds[i]
	}
	k := interfaceDefaults[namespace]
	k.Namespace, k.Name = namespace, name
	k.complete()
	return k
}

// complete fills in what the kind inherits from its interface, and what all errors have
// in common.
func (k *Kind) complete() {
	k.Retired = retiredInterface(k.Namespace)
	if k.Version, k.known = payloadVersions[k.Namespace]; !k.known {
		k.Version = "3" // the most common
	}
	if isError(k.Name) {
		k.Life, k.Answer = LifeReport, Expected
	}
}

// isError reports whether the name is that of an answer to a failed directive. It may
// have the directive as a prefix: ReportCommissioningInformation.ErrorResponse.
func isError(name string) bool {
	return name == "ErrorResponse" || strings.HasSuffix(name, ".ErrorResponse")
}

// Kinds returns every known kind.
func Kinds() []Kind { return slices.Clone(kinds) }

// Kind returns the description of the event's kind.
func (e *Event) Kind() Kind { return KindOf(e.Header.Namespace, e.Header.Name) }

// Answers reports whether the event answers a directive, which only the Amazon account
// that sent it expects. A correlationToken in any other kind of event has no meaning.
func (e *Event) Answers() bool {
	return e.Header.CorrelationToken != "" && e.Kind().Answer != None
}

// MaxAge returns how long after it was first published the event is worth sending; zero
// means no limit. reports is the configured time for reports.
func (e *Event) MaxAge(reports time.Duration) time.Duration {
	kind := e.Kind()
	switch {
	case kind.Life.Lasting():
		return 0
	case kind.Life == LifeAlert:
		return alertLife
	case e.Answers(), kind.Life == LifeShort:
		return shortLife
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

const synchronous = "it is the synchronous answer of the skill's Lambda, and goes nowhere else"

// kinds is the table of events that Amazon's documents, its message schema, or other
// skills describe well enough. A comment names the source of a row if it is not the
// interface's page. [payloadShapes] has the payloads.
//
// The version is that of the interface. The token is in the endpoint unless the row has
// another place, and an error has no context.
var kinds = completed([]Kind{
	{Namespace: "Alexa", Name: "ChangeReport", Answer: None, official: true},
	{Namespace: "Alexa", Name: "StateReport", Context: Expected, Answer: Required, official: true},
	{Namespace: "Alexa", Name: "Response", Context: Expected, Answer: Required, official: true},
	{Namespace: "Alexa", Name: "ErrorResponse", official: true},
	{Namespace: "Alexa", Name: "DeferredResponse", official: true,
		Synchronous: "it is the synchronous answer of the skill's Lambda to a directive; the Response follows asynchronously"},
	{Namespace: "Alexa.Authorization", Name: "AcceptGrant.Response", official: true, Synchronous: synchronous},
	{Namespace: "Alexa.Authorization", Name: "ErrorResponse", official: true, Synchronous: synchronous},
	{Namespace: "Alexa.AuthorizationController", Name: "ErrorResponse"},
	// The schema has version 3, the list of interfaces 1.0, which need not be the version
	// of the payload: another version only causes a warning.
	{Namespace: "Alexa.AutomationManagement", Name: "GetAlexaAutomationStatus"},
	// From the schema and Amazon's sample; the page was not available.
	{Namespace: "Alexa.CameraStreamController", Name: "Response", Answer: Required, official: true},
	// ja-JP/docs/alexa/device-apis/alexa-commissionable: sent after a discovery.
	{Namespace: "Alexa.Commissionable", Name: "CommissioningInformationReport", Answer: Required},
	{Namespace: "Alexa.Commissionable", Name: "ReportCommissioningInformation.ErrorResponse"},
	{Namespace: "Alexa.Cooking", Name: "ErrorResponse", official: true},
	// Requested, or sent after the customer deletes data on the device. Declared with an
	// instance [koush/scrypted plugins/alexa].
	{Namespace: "Alexa.DataController", Name: "DataReport", Instance: Expected},
	{Namespace: "Alexa.DataController", Name: "ErrorResponse"},
	// It may answer a ReportMeasurements [ckhmer1/node-red-contrib-alexa-virtual-smarthome].
	{Namespace: "Alexa.DeviceUsage.Meter", Name: "MeasurementsReport", Life: LifeFact, Once: true},
	{Namespace: "Alexa.Discovery", Name: "AddOrUpdateReport", Token: TokenInPayload, Answer: None, Context: None,
		Life: LifeEndless, official: true},
	{Namespace: "Alexa.Discovery", Name: "DeleteReport", Token: TokenInPayload, Answer: None, Context: None, Life: LifeEndless},
	{Namespace: "Alexa.Discovery", Name: "Discover.Response", official: true, Synchronous: synchronous},
	{Namespace: "Alexa.DoorbellEventSource", Name: "DoorbellPress", Answer: None, Once: true, Life: LifeShort,
		official: true, moment: "timestamp", layout: secondsLayout},
	// docs/dash/dash-replenishment-lambda-function: the instance is required, and
	// there is no context. A repeated report counts as a second use.
	{Namespace: "Alexa.InventoryUsageSensor", Name: "InventoryConsumed", Answer: None, Context: None, Instance: Required,
		Once: true, Life: LifeFact, moment: "timeOfSample", layout: timeLayout},
	{Namespace: "Alexa.InventoryLevelUsageSensor", Name: "InventoryConsumed", Answer: None, Context: None, Instance: Required,
		Once: true, Life: LifeFact, moment: "timeOfSample", layout: timeLayout},
	{Namespace: "Alexa.InventoryLevelUsageSensor", Name: "InventoryReplaced", Answer: None, Context: None, Instance: Required,
		Once: true, Life: LifeFact},
	{Namespace: "Alexa.MediaMetadata", Name: "GetMediaMetadata.Response", Token: TokenInPayload, Answer: Required, official: true},
	{Namespace: "Alexa.MediaMetadata", Name: "MediaCreatedOrUpdated", Answer: None, official: true},
	{Namespace: "Alexa.MediaMetadata", Name: "MediaDeleted", Token: TokenInPayload, Answer: None, Life: LifeEndless, official: true},
	{Namespace: "Alexa.RTCSessionController", Name: "AnswerGeneratedForSession", official: true},
	{Namespace: "Alexa.RTCSessionController", Name: "SessionConnected", official: true},
	{Namespace: "Alexa.RTCSessionController", Name: "SessionDisconnected", official: true},
	{Namespace: "Alexa.Safety", Name: "ErrorResponse"},
	// From the schema and Amazon's samples; the page was not available.
	{Namespace: "Alexa.SceneController", Name: "ActivationStarted", official: true, moment: "timestamp", layout: timeLayout},
	{Namespace: "Alexa.SceneController", Name: "DeactivationStarted", official: true, moment: "timestamp", layout: timeLayout},
	{Namespace: "Alexa.SecurityPanelController", Name: "Arm.Response", Answer: Required, official: true},
	{Namespace: "Alexa.SecurityPanelController", Name: "ErrorResponse", official: true},
	// Documented only in the schema.
	{Namespace: "Alexa.SeekController", Name: "StateReport", Answer: Required, official: true},
	{Namespace: "Alexa.SimpleEventSource", Name: "Event", Answer: None, Context: None, Instance: Required, Once: true,
		Life: LifeShort, moment: "timestamp", layout: timeLayout},
	{Namespace: "Alexa.SmartVision.ObjectDetectionSensor", Name: "ObjectDetection", Answer: None, Once: true},
	{Namespace: "Alexa.SmartVision.ObjectDetectionSensor", Name: "ErrorResponse"},
	{Namespace: "Alexa.SmartVision.SnapshotProvider", Name: "ErrorResponse"},
	{Namespace: "Alexa.ThermostatController", Name: "ErrorResponse", official: true},
	{Namespace: "Alexa.ThermostatController.Configuration", Name: "ErrorResponse"},
	{Namespace: "Alexa.ThermostatController.Schedule", Name: "ErrorResponse"},
	{Namespace: "Alexa.Video", Name: "ErrorResponse"},
	{Namespace: "Alexa.WakeOnLANController", Name: "WakeUp", Answer: Expected, official: true},
})

func completed(table []Kind) []Kind {
	for i := range table {
		k := &table[i]
		k.complete()
		if k.Synchronous != "" || isError(k.Name) {
			k.Context = None
		}
		if k.Synchronous == "" && k.Token == TokenAnywhere {
			k.Token = TokenInEndpoint
		}
	}
	return table
}

// interfaceDefaults describe the events of an interface that are not in the table.
var interfaceDefaults = map[string]Kind{
	// alexa-securitypanelcontroller-alert: a chime lasts a second, and a repeated
	// event sounds again.
	"Alexa.SecurityPanelController.Alert": {Life: LifeAlert, Once: true},
	"Alexa.SimpleEventSource":             {Life: LifeShort, Once: true},
	// Events about data that the customer deleted.
	"Alexa.DataController": {Instance: Expected},
	// alexa-deviceusage-estimation: no events at all.
	"Alexa.DeviceUsage.Estimation": {note: "the interface has no events: Alexa estimates by the power profile in the discovery"},
}
