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

// ShortLife is how long events of [LifeShort], and answers to directives, live.
const ShortLife = time.Minute

const alertLife = 10 * time.Second

// Kind describes one kind of asynchronous event, see
// https://developer.amazon.com/docs/smarthome/send-events.html and the pages of the
// interfaces. Unknown kinds get the zero Kind with their names: the list is open.
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
	Retired string // the date since which Alexa has retired the kind, empty if it has not
	// Synchronous is why the kind is not an asynchronous event, empty if it is one.
	Synchronous string

	// official: the kind is in Amazon's message schema, so that version and
	// header are certain.
	official bool
	known    bool   // Version is from Amazon's pages, and not a guess
	note     string // a warning about every event of the kind
	payload  *shape // nil: any object
	// moment is the member of the payload that is a time, if there is one. It is
	// converted to Alexa's form, and truncated to finest.
	moment string
	finest time.Duration
}

// KindOf returns the description of a kind of event.
func KindOf(namespace, name string) Kind {
	if i, ok := kindIndex[kindName{namespace, name}]; ok {
		k := kinds[i]
		k.known = true
		return k
	}
	k := interfaceDefaults[namespace]
	k.Namespace, k.Name, k.Retired = namespace, name, retiredInterface(namespace)
	if k.Version, k.known = payloadVersions[namespace]; !k.known {
		k.Version = "3" // the most common
	}
	if isError(name) {
		k.Life, k.Answer = LifeReport, Expected // for errors of every interface
	}
	return k
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

// rule returns the source of the kind's rules.
func (k Kind) rule() string {
	switch source := k.source(); {
	case source != ruleSchema:
		return page(source)
	case k.Namespace == "Alexa":
		return ruleEvents
	}
	return ruleSchema
}

// source returns the interface whose page has the rules about the kind's payload, or the
// schema.
func (k Kind) source() string {
	switch {
	case isError(k.Name):
		return k.Namespace + ".ErrorResponse"
	case k.Namespace == "Alexa", k.Namespace == "Alexa.AutomationManagement":
		return ruleSchema // no page has their payloads
	}
	return k.Namespace
}

// Answers reports whether the event answers a directive, which only the Amazon account
// that sent it expects. A correlationToken in any other kind of event has no meaning.
func (e *Event) Answers() bool {
	return e.Header.CorrelationToken != "" && e.Kind().Answer != None
}

// MaxAge returns how long after it was first published the event is worth sending; zero
// means without limit. reports is the configured time for reports.
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

// causes are the values of cause.type: five from Amazon's pages, and two from its schema.
var causes = []string{"APP_INTERACTION", "PHYSICAL_INTERACTION", "PERIODIC_POLL", "RULE_TRIGGER", "VOICE_INTERACTION",
	"INVALID_CREDENTIALS", "SUBSCRIPTION_EXPIRED"}

// kinds is the table of events that Amazon's documents, its message schema, or other
// skills describe well enough. The comments name the source of a row. A member that only
// the schema of 2021 requires is an ought: no page of Amazon's that could be read
// requires it. Pages are below developer.amazon.com/docs/device-apis unless a comment
// names another place.
var kinds = []Kind{
	{Namespace: "Alexa", Name: "ChangeReport", Version: "3", Token: TokenInEndpoint, Answer: None,
		official: true}, // alexa-changereport
	{Namespace: "Alexa", Name: "StateReport", Version: "3", Token: TokenInEndpoint, Context: Expected, Answer: Required,
		official: true, payload: objectOf()},
	{Namespace: "Alexa", Name: "Response", Version: "3", Token: TokenInEndpoint, Context: Expected, Answer: Required,
		official: true}, // alexa-response
	// alexa-errorresponse: type and message are required. The schema's
	// currentDeviceMode is not in what could be read of the page.
	{Namespace: "Alexa", Name: "ErrorResponse", Version: "3", Token: TokenInEndpoint, Answer: Expected, Context: None,
		official: true, payload: errorShape},
	{Namespace: "Alexa", Name: "DeferredResponse", Version: "3", Context: None, official: true,
		Synchronous: "it is the synchronous answer of the skill's Lambda to a directive; the Response follows asynchronously"},

	{Namespace: "Alexa.Authorization", Name: "AcceptGrant.Response", Version: "3", Context: None, official: true,
		Synchronous: synchronous},
	{Namespace: "Alexa.Authorization", Name: "ErrorResponse", Version: "3", Context: None, official: true,
		Synchronous: synchronous},
	// alexa-authorizationcontroller-errorresponse, version 1.0
	{Namespace: "Alexa.AuthorizationController", Name: "ErrorResponse", Version: "1.0", Token: TokenInEndpoint,
		Answer: Expected, Context: None,
		Retired: unlisted, payload: anyError},
	// The schema has "3", the list of interfaces 1.0, which need not be the version
	// of the payload: another version only causes a warning. Only the schema requires
	// capabilities.
	{Namespace: "Alexa.AutomationManagement", Name: "GetAlexaAutomationStatus", Version: "3", Token: TokenInEndpoint,
		payload: openObjectOf(ought("capabilities", listOf(openObjectOf(must("capability", aText), may("instance", aText)), 0)))},
	// The schema and Amazon's sample; the page could not be read so far.
	{Namespace: "Alexa.CameraStreamController", Name: "Response", Version: "3", Token: TokenInEndpoint, Answer: Required,
		official: true, payload: cameraShape},
	// ja-JP/docs/alexa/device-apis/alexa-commissionable: sent after a discovery.
	// The payload has not been seen.
	{Namespace: "Alexa.Commissionable", Name: "CommissioningInformationReport", Version: "1.0", Token: TokenInEndpoint,
		Answer: Required},
	// alexa-commissionable-errorresponse: the message is optional, and the name
	// has the prefix.
	{Namespace: "Alexa.Commissionable", Name: "ReportCommissioningInformation.ErrorResponse", Version: "1.0",
		Token: TokenInEndpoint, Answer: Expected, Context: None,
		payload: openObjectOf(must("type", aName), may("message", aText))},
	// alexa-cooking-errorresponse: type and message are required.
	{Namespace: "Alexa.Cooking", Name: "ErrorResponse", Version: "3", Token: TokenInEndpoint, Answer: Expected,
		Context: None, official: true,
		payload: chosenBy(map[string]*shape{
			"COOK_DURATION_TOO_LONG": objectOf(must("type", aText), must("message", aText), ought("maxCookTime", aText))},
			objectOf(must("type", errorType("CHILD_LOCK", "COOK_DURATION_TOO_LONG", "DOOR_CLOSED_TOO_LONG", "DOOR_OPEN", "PREHEAT_REQUIRED",
				"PROBE_REQUIRED", "REMOTE_START_DISABLED", "REMOTE_START_NOT_SUPPORTED", "REMOVE_PROBE")), must("message", aText)))},
	// alexa-datacontroller: requested, or sent after the customer deletes data on the
	// device. Declared with an instance [koush/scrypted plugins/alexa].
	{Namespace: "Alexa.DataController", Name: "DataReport", Version: "1.0", Token: TokenInEndpoint, Instance: Expected},
	{Namespace: "Alexa.DataController", Name: "ErrorResponse", Version: "1.0", Token: TokenInEndpoint, Answer: Expected,
		Context: None,
		payload: errorOf("DATA_DELETION_NOT_SUPPORTED", "DATA_RETRIEVAL_NOT_SUPPORTED")},
	// it-IT/docs/alexa/device-apis/alexa-deviceusage-meter has the interval. The
	// lists' names are those of the Alexa Connect Kit. It may answer a
	// ReportMeasurements [ckhmer1/node-red-contrib-alexa-virtual-smarthome].
	{Namespace: "Alexa.DeviceUsage.Meter", Name: "MeasurementsReport", Version: "1.0", Token: TokenInEndpoint,
		Life: LifeFact, Once: true,
		payload: openObjectOf(
			seen("electricityIntervals", listOf(intervalShape, 0)), seen("naturalGasIntervals", listOf(intervalShape, 0))).withMembers(1)},

	// alexa-discovery, alexa-discovery-objects
	{Namespace: "Alexa.Discovery", Name: "AddOrUpdateReport", Version: "3", Token: TokenInPayload, Answer: None,
		Context: None, Life: LifeEndless, official: true, payload: discoveryShape},
	{Namespace: "Alexa.Discovery", Name: "DeleteReport", Version: "3", Token: TokenInPayload, Answer: None, Context: None,
		Life:    LifeEndless,
		payload: openObjectOf(must("endpoints", listOf(openObjectOf(must("endpointId", anEndpointID)), 1)))},
	{Namespace: "Alexa.Discovery", Name: "Discover.Response", Version: "3", Context: None, official: true,
		Synchronous: synchronous},

	// alexa-doorbelleventsource
	{Namespace: "Alexa.DoorbellEventSource", Name: "DoorbellPress", Version: "3", Token: TokenInEndpoint, Answer: None,
		Once: true, Life: LifeShort, official: true,
		payload: objectOf(must("cause", objectOf(must("type", pressCause))), must("timestamp", anInstant)),
		moment:  "timestamp", finest: time.Second},

	// docs/dash/dash-replenishment-lambda-function: the instance is required, and
	// there is no context. A repeated report counts as a second use.
	{Namespace: "Alexa.InventoryUsageSensor", Name: "InventoryConsumed", Version: "3", Token: TokenInEndpoint, Answer: None,
		Context: None, Instance: Required,
		Once: true, Life: LifeFact, payload: consumedShape, moment: "timeOfSample", finest: time.Millisecond},
	{Namespace: "Alexa.InventoryLevelUsageSensor", Name: "InventoryConsumed", Version: "3", Token: TokenInEndpoint,
		Answer: None, Context: None, Instance: Required,
		Once: true, Life: LifeFact, payload: consumedShape, moment: "timeOfSample", finest: time.Millisecond},
	// The Alexa Connect Kit has the event and these two fields; their names in JSON
	// have not been seen.
	{Namespace: "Alexa.InventoryLevelUsageSensor", Name: "InventoryReplaced", Version: "3", Token: TokenInEndpoint,
		Answer: None, Context: None, Instance: Required,
		Once: true, Life: LifeFact, payload: openObjectOf(seen("newAbsoluteLevel", measurement), seen("replaceDate", aText))},

	{Namespace: "Alexa.MediaMetadata", Name: "GetMediaMetadata.Response", Version: "3", Token: TokenInPayload,
		Answer: Required, Retired: "15 March 2023", official: true,
		payload: objectOf(must("media", listOf(mediaShape, 1)), may("errors", listOf(objectOf(
			may("status", word("DELETED", "NOT_FOUND", "SUBSCRIPTION_ERROR", "INTERNAL_ERROR")), may("mediaId", aName)), 1)))},
	{Namespace: "Alexa.MediaMetadata", Name: "MediaCreatedOrUpdated", Version: "3", Token: TokenInEndpoint, Answer: None,
		Retired: "15 March 2023", official: true,
		payload: objectOf(must("media", mediaShape))},
	{Namespace: "Alexa.MediaMetadata", Name: "MediaDeleted", Version: "3", Token: TokenInPayload, Answer: None,
		Retired: "15 March 2023", Life: LifeEndless, official: true,
		payload: objectOf(must("mediaIds", listOf(aMediaID, 1)))},

	// alexa-rtcsessioncontroller
	{Namespace: "Alexa.RTCSessionController", Name: "AnswerGeneratedForSession", Version: "3", Token: TokenInEndpoint,
		official: true,
		payload:  objectOf(must("answer", openObjectOf(must("format", word("SDP", "sdp", "Sdp")), must("value", aText))))},
	{Namespace: "Alexa.RTCSessionController", Name: "SessionConnected", Version: "3", Token: TokenInEndpoint, official: true,
		payload: objectOf(must("sessionId", aText))},
	{Namespace: "Alexa.RTCSessionController", Name: "SessionDisconnected", Version: "3", Token: TokenInEndpoint,
		official: true, payload: objectOf(must("sessionId", aText))},

	// alexa-safety-errorresponse
	{Namespace: "Alexa.Safety", Name: "ErrorResponse", Version: "3", Token: TokenInEndpoint, Answer: Expected, Context: None,
		payload: errorOf("OBSTACLE_DETECTED", "SAFETY_BEAM_BREACHED")},

	// The schema and Amazon's samples; the page could not be read so far.
	{Namespace: "Alexa.SceneController", Name: "ActivationStarted", Version: "3", Token: TokenInEndpoint, official: true,
		payload: sceneShape, moment: "timestamp", finest: time.Millisecond},
	{Namespace: "Alexa.SceneController", Name: "DeactivationStarted", Version: "3", Token: TokenInEndpoint, official: true,
		payload: sceneShape, moment: "timestamp", finest: time.Millisecond},

	{Namespace: "Alexa.SecurityPanelController", Name: "Arm.Response", Version: "3", Token: TokenInEndpoint,
		Answer: Required, official: true,
		payload: objectOf(may("exitDelayInSeconds", whole(0, 255)), may("bypassedEndpoints", listOf(namedEndpoint, 0)))},
	// alexa-securitypanelcontroller-errorresponse requires a message, the schema has none.
	{Namespace: "Alexa.SecurityPanelController", Name: "ErrorResponse", Version: "3", Token: TokenInEndpoint,
		Answer: Expected, Context: None, official: true,
		payload: chosenBy(map[string]*shape{
			"BYPASS_NEEDED": objectOf(must("type", aText), asked("message", aText),
				may("endpointsNeedingBypass", listOf(namedEndpoint, 0)))},
			objectOf(must("type", errorType("AUTHORIZATION_REQUIRED", "BYPASS_NEEDED", "NOT_READY", "UNAUTHORIZED", "UNCLEARED_ALARM",
				"UNCLEARED_TROUBLE", "NO_ACTIVE_MONITORABLE_DEVICES")), asked("message", aText)))},
	// Only in the schema.
	{Namespace: "Alexa.SeekController", Name: "StateReport", Version: "3", Token: TokenInEndpoint, Answer: Required,
		official: true,
		payload: objectOf(ought("properties", listOf(objectOf(
			must("name", word("positionMilliseconds")), must("value", whole(0, 86_400_000))), 1)))},

	// alexa-simpleeventsource
	{Namespace: "Alexa.SimpleEventSource", Name: "Event", Version: "1.0", Token: TokenInEndpoint, Answer: None,
		Context: None, Instance: Required, Once: true, Life: LifeShort,
		payload: openObjectOf(must("id", aName), must("timestamp", anInstant)), moment: "timestamp", finest: time.Millisecond},

	// alexa-smartvision-objectdetectionsensor has the event, koush/scrypted its
	// fields.
	{Namespace: "Alexa.SmartVision.ObjectDetectionSensor", Name: "ObjectDetection", Version: "1.0", Token: TokenInEndpoint,
		Answer: None, Once: true,
		payload: openObjectOf(ought("events", listOf(openObjectOf(), 1)))},
	{Namespace: "Alexa.SmartVision.ObjectDetectionSensor", Name: "ErrorResponse", Version: "1.0", Token: TokenInEndpoint,
		Answer: Expected, Context: None, payload: anyError},
	// alexa-smartvision-snapshotprovider-errorresponse, version 1.1
	{Namespace: "Alexa.SmartVision.SnapshotProvider", Name: "ErrorResponse", Version: "1.1", Token: TokenInEndpoint,
		Answer: Expected, Context: None,
		payload: errorOf("DISABLED_BY_USER", "SUBSCRIPTION_REQUIRED")},

	// alexa-thermostatcontroller-errorresponse: type and message are required, the
	// schema does not require the message; minimumTemperatureDelta is optional, the
	// schema requires it.
	{Namespace: "Alexa.ThermostatController", Name: "ErrorResponse", Version: "3", Token: TokenInEndpoint, Answer: Expected,
		Context: None, official: true,
		payload: chosenBy(map[string]*shape{"REQUESTED_SETPOINTS_TOO_CLOSE": objectOf(must("type", aText), asked("message", aText),
			may("minimumTemperatureDelta", temperature(number(-100, 100))))},
			objectOf(must("type", errorType("REQUESTED_SETPOINTS_TOO_CLOSE", "THERMOSTAT_IS_OFF", "UNSUPPORTED_THERMOSTAT_MODE",
				"DUAL_SETPOINTS_UNSUPPORTED", "TRIPLE_SETPOINTS_UNSUPPORTED", "UNWILLING_TO_SET_SCHEDULE", "UNWILLING_TO_SET_VALUE")),
				asked("message", aText)))},
	// alexa-thermostatcontroller-configuration-errorresponse, -schedule-errorresponse:
	// version "3", though the interface Schedule is 3.2.
	{Namespace: "Alexa.ThermostatController.Configuration", Name: "ErrorResponse", Version: "3", Token: TokenInEndpoint,
		Answer: Expected, Context: None, payload: anyError},
	{Namespace: "Alexa.ThermostatController.Schedule", Name: "ErrorResponse", Version: "3", Token: TokenInEndpoint,
		Answer: Expected, Context: None, payload: anyError},
	// alexa-video-errorresponse
	{Namespace: "Alexa.Video", Name: "ErrorResponse", Version: "3", Token: TokenInEndpoint, Answer: Expected, Context: None,
		payload: anyError},

	{Namespace: "Alexa.WakeOnLANController", Name: "WakeUp", Version: "3", Token: TokenInEndpoint, Answer: Expected,
		official: true, payload: objectOf()},
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

const synchronous = "it is the synchronous answer of the skill's Lambda, and goes nowhere else"

// errorType returns the shape of an error's type: one of the interface's own types, or
// of those that any interface may use, as the pages say.
func errorType(own ...string) *shape { return word(append(own, errorTypes...)...) }

// errorOf returns the shape of an error, as on the interfaces' pages, with the
// interface's own types.
func errorOf(own ...string) *shape {
	return openObjectOf(must("type", errorType(own...)), asked("message", aText))
}

var errorTypes = []string{"ALREADY_IN_OPERATION", "BRIDGE_UNREACHABLE", "CLOUD_CONTROL_DISABLED", "ENDPOINT_BUSY", "ENDPOINT_LOW_POWER",
	"ENDPOINT_UNREACHABLE", "EXPIRED_AUTHORIZATION_CREDENTIAL", "FIRMWARE_OUT_OF_DATE", "HARDWARE_MALFUNCTION", "INSUFFICIENT_PERMISSIONS",
	"INTERNAL_ERROR", "INVALID_AUTHORIZATION_CREDENTIAL", "INVALID_DIRECTIVE", "INVALID_VALUE", "NO_SUCH_ENDPOINT", "NOT_CALIBRATED",
	"NOT_IN_OPERATION", "NOT_SUPPORTED_IN_CURRENT_MODE", "POWER_LEVEL_NOT_SUPPORTED", "RATE_LIMIT_EXCEEDED", "TEMPERATURE_VALUE_OUT_OF_RANGE",
	"TOO_MANY_FAILED_ATTEMPTS", "VALUE_OUT_OF_RANGE"}

var (
	// anyError is an error without a complete list of types.
	anyError = openObjectOf(must("type", aName), asked("message", aText))

	namedEndpoint = objectOf(ought("friendlyName", aText), may("endpointId", aText))

	// The schema allows all causes but the last two for a doorbell press.
	pressCause = &shape{kind: "string", words: causes[:5], closed: true, rare: causes[5:]}
	sceneShape = objectOf(ought("cause", objectOf(must("type", oneOf(causes...)))), ought("timestamp", anInstant))

	// measurement is a supply's level, or an amount used: an object on the pages, a
	// number in the schema.
	measurement = either(chosenBy(map[string]*shape{
		"Volume": objectOf(must("@type", aText), must("value", aNumber), asked("unit", aText)),
		"Weight": objectOf(must("@type", aText), must("value", aNumber), asked("unit", aText)),
	}, objectOf(must("@type", word("Count", "Percentage", "Volume", "Weight")), must("value", aNumber), seen("unit", aText))),
		(&shape{kind: "number"}).because("a number: of today's pages it is an object with @type, value and, for volume and weight, unit"))
	consumedShape = openObjectOf(must("usage", measurement), must("timeOfSample", anInstant))
	intervalShape = openObjectOf(must("usage", aNumber), must("start", aDateTime), must("end", aDateTime))

	errorShape = chosenBy(map[string]*shape{
		"ENDPOINT_LOW_POWER": objectOf(must("type", aText), must("message", aText), may("percentageState", aNumber)),
		"NO_SUCH_ENDPOINT":   openObjectOf(must("type", aText), must("message", aText)),
		"NOT_SUPPORTED_IN_CURRENT_MODE": objectOf(must("type", aText), must("message", aText),
			ought("currentDeviceMode", word("COLOR", "ASLEEP", "NOT_PROVISIONED", "OTHER"))),
		"VALUE_OUT_OF_RANGE": objectOf(must("type", aText), must("message", aText),
			may("validRange", openObjectOf(may("minimumValue", aNumber), may("maximumValue", aNumber)))),
		"TEMPERATURE_VALUE_OUT_OF_RANGE": objectOf(must("type", aText), must("message", aText),
			may("validRange", openObjectOf(may("minimumValue", temperature(aNumber)), may("maximumValue", temperature(aNumber))))),
	}, objectOf(must("type", word(errorTypes...)), must("message", aText)))

	cameraShape = objectOf(
		ought("cameraStreams", listOf(objectOf(
			must("uri", aURI), must("protocol", word("RTSP", "WEBRTC", "HLS")), must("authorizationType", word("BASIC", "DIGEST", "NONE")),
			must("videoCodec", word("H264", "MPEG2", "MJPEG", "JPG")), must("audioCodec", word("G711", "AAC", "NONE")),
			must("resolution", objectOf(must("width", whole(1, 1<<31-1)), must("height", whole(1, 1<<31-1)))),
			may("idleTimeoutSeconds", whole(1, 1<<31-1)), may("expirationTime", aDateTime)), 1)),
		ought("imageUri", aURI))

	mediaShape = objectOf(
		must("id", aMediaID),
		must("cause", word("MOTION_DETECTED", "AUDIO_DETECTED", "PERSON_DETECTED", "APP_INTERACTION", "VOICE_INTERACTION", "RULE_TRIGGER")),
		must("recording", objectOf(may("name", aName), must("startTime", wholeSeconds), must("endTime", wholeSeconds),
			may("videoCodec", word("H264")), may("audioCodec", word("G711", "AAC", "NONE")), must("uri", mediaURI), may("thumbnailUri", mediaURI))))
	mediaURI = objectOf(must("value", aURI), must("expireTime", wholeSeconds))
	aMediaID = &shape{kind: "string", least: 1, most: 256}
)
