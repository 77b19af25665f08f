package alexa

import "time"

// kinds is the table of the events that Alexa's documents, its message schema,
// or those who use them, tell enough about.
var kinds = []Kind{
	{Namespace: "Alexa", Name: "ChangeReport", Version: "3", Token: TokenInEndpoint, Answer: None, official: true},
	{Namespace: "Alexa", Name: "StateReport", Version: "3", Token: TokenInEndpoint, Context: Expected, Answer: Required, official: true, payload: objectOf()},
	{Namespace: "Alexa", Name: "Response", Version: "3", Token: TokenInEndpoint, Context: Expected, Answer: Required, official: true},
	{Namespace: "Alexa", Name: "ErrorResponse", Version: "3", Token: TokenInEndpoint, Answer: Expected, Context: None, official: true, payload: errorShape},
	{Namespace: "Alexa", Name: "DeferredResponse", Version: "3", Context: None, official: true,
		Synchronous: "it is the synchronous answer of the skill's Lambda to a directive; the Response follows asynchronously"},

	{Namespace: "Alexa.Authorization", Name: "AcceptGrant.Response", Version: "3", Context: None, official: true, Synchronous: synchronous},
	{Namespace: "Alexa.Authorization", Name: "ErrorResponse", Version: "3", Context: None, official: true, Synchronous: synchronous},
	{Namespace: "Alexa.AutomationManagement", Name: "GetAlexaAutomationStatus", Version: "3", Token: TokenInEndpoint, official: true,
		payload: openObjectOf(must("capabilities", listOf(openObjectOf(must("capability", aText), may("instance", aText)), 0)))},
	{Namespace: "Alexa.CameraStreamController", Name: "Response", Version: "3", Token: TokenInEndpoint, Answer: Required, official: true, payload: cameraShape},
	{Namespace: "Alexa.Cooking", Name: "ErrorResponse", Version: "3", Token: TokenInEndpoint, Answer: Expected, Context: None, official: true,
		payload: chosenBy(map[string]*shape{"COOK_DURATION_TOO_LONG": objectOf(must("type", aText), must("message", aText), must("maxCookTime", aText))},
			objectOf(must("type", word("CHILD_LOCK", "COOK_DURATION_TOO_LONG", "DOOR_CLOSED_TOO_LONG", "DOOR_OPEN", "PREHEAT_REQUIRED",
				"PROBE_REQUIRED", "REMOTE_START_DISABLED", "REMOTE_START_NOT_SUPPORTED", "REMOVE_PROBE")), must("message", aText)))},
	{Namespace: "Alexa.DataController", Name: "DataReport", Version: "1.0", Token: TokenInEndpoint},
	{Namespace: "Alexa.DataController", Name: "ErrorResponse", Version: "1.0", Token: TokenInEndpoint, Answer: Expected, payload: openObjectOf(must("type", aName))},
	{Namespace: "Alexa.DeviceUsage.Meter", Name: "MeasurementsReport", Version: "1.0", Answer: None},

	{Namespace: "Alexa.Discovery", Name: "AddOrUpdateReport", Version: "3", Token: TokenInPayload, Answer: None, Context: None, Life: LifeEndless, official: true, payload: discoveryShape},
	{Namespace: "Alexa.Discovery", Name: "DeleteReport", Version: "3", Token: TokenInPayload, Answer: None, Context: None, Life: LifeEndless,
		payload: openObjectOf(must("endpoints", listOf(openObjectOf(must("endpointId", anEndpointID)), 1)))},
	{Namespace: "Alexa.Discovery", Name: "Discover.Response", Version: "3", Context: None, official: true, Synchronous: synchronous},

	{Namespace: "Alexa.DoorbellEventSource", Name: "DoorbellPress", Version: "3", Token: TokenInEndpoint, Answer: None, Once: true, Life: LifeShort, official: true,
		payload: occurrence(pressCauses), timestamp: time.Second},

	{Namespace: "Alexa.MediaMetadata", Name: "GetMediaMetadata.Response", Version: "3", Token: TokenInPayload, Answer: Required, Retired: "15 March 2023", official: true,
		payload: objectOf(must("media", listOf(mediaShape, 1)), may("errors", listOf(objectOf(
			may("status", word("DELETED", "NOT_FOUND", "SUBSCRIPTION_ERROR", "INTERNAL_ERROR")), may("mediaId", aName)), 1)))},
	{Namespace: "Alexa.MediaMetadata", Name: "MediaCreatedOrUpdated", Version: "3", Token: TokenInEndpoint, Answer: None, Retired: "15 March 2023", official: true,
		payload: objectOf(must("media", mediaShape))},
	{Namespace: "Alexa.MediaMetadata", Name: "MediaDeleted", Version: "3", Token: TokenInPayload, Answer: None, Retired: "15 March 2023", Life: LifeEndless, official: true,
		payload: objectOf(must("mediaIds", listOf(aMediaID, 1)))},

	{Namespace: "Alexa.RTCSessionController", Name: "AnswerGeneratedForSession", Version: "3", Token: TokenInEndpoint, official: true,
		payload: objectOf(must("answer", openObjectOf(must("format", word("SDP", "sdp", "Sdp")), must("value", aText))))},
	{Namespace: "Alexa.RTCSessionController", Name: "SessionConnected", Version: "3", Token: TokenInEndpoint, official: true, payload: objectOf(must("sessionId", aText))},
	{Namespace: "Alexa.RTCSessionController", Name: "SessionDisconnected", Version: "3", Token: TokenInEndpoint, official: true, payload: objectOf(must("sessionId", aText))},

	{Namespace: "Alexa.SceneController", Name: "ActivationStarted", Version: "3", Token: TokenInEndpoint, official: true, payload: occurrence(causes), timestamp: time.Millisecond},
	{Namespace: "Alexa.SceneController", Name: "DeactivationStarted", Version: "3", Token: TokenInEndpoint, official: true, payload: occurrence(causes), timestamp: time.Millisecond},

	{Namespace: "Alexa.SecurityPanelController", Name: "Arm.Response", Version: "3", Token: TokenInEndpoint, Answer: Required, official: true,
		payload: objectOf(may("exitDelayInSeconds", whole(0, 255)), may("bypassedEndpoints", listOf(namedEndpoint, 0)))},
	{Namespace: "Alexa.SecurityPanelController", Name: "ErrorResponse", Version: "3", Token: TokenInEndpoint, Answer: Expected, Context: None, official: true,
		payload: chosenBy(map[string]*shape{"BYPASS_NEEDED": objectOf(must("type", aText), may("message", aText), may("endpointsNeedingBypass", listOf(namedEndpoint, 0)))},
			objectOf(must("type", word("AUTHORIZATION_REQUIRED", "BYPASS_NEEDED", "NOT_READY", "UNAUTHORIZED", "UNCLEARED_ALARM",
				"UNCLEARED_TROUBLE", "NO_ACTIVE_MONITORABLE_DEVICES")), may("message", aText)))},
	{Namespace: "Alexa.SeekController", Name: "StateReport", Version: "3", Token: TokenInEndpoint, Answer: Required, official: true,
		payload: objectOf(must("properties", listOf(objectOf(must("name", word("positionMilliseconds")), must("value", whole(0, 86_400_000))), 1)))},

	{Namespace: "Alexa.SimpleEventSource", Name: "Event", Version: "1.0", Token: TokenInEndpoint, Answer: None, Context: None, Instance: Required, Once: true, Life: LifeShort,
		payload: openObjectOf(must("id", aName), must("timestamp", anInstant)), timestamp: time.Millisecond},

	{Namespace: "Alexa.SmartVision.ObjectDetectionSensor", Name: "ObjectDetection", Version: "1.0", Token: TokenInEndpoint, Answer: None, Once: true,
		payload: openObjectOf(must("events", listOf(openObjectOf(), 1)))},

	{Namespace: "Alexa.ThermostatController", Name: "ErrorResponse", Version: "3", Token: TokenInEndpoint, Answer: Expected, Context: None, official: true,
		payload: chosenBy(map[string]*shape{"REQUESTED_SETPOINTS_TOO_CLOSE": objectOf(must("type", aText), may("message", aText),
			must("minimumTemperatureDelta", temperature(number(-100, 100))))},
			objectOf(must("type", word("REQUESTED_SETPOINTS_TOO_CLOSE", "THERMOSTAT_IS_OFF", "UNSUPPORTED_THERMOSTAT_MODE", "DUAL_SETPOINTS_UNSUPPORTED",
				"TRIPLE_SETPOINTS_UNSUPPORTED", "UNWILLING_TO_SET_SCHEDULE", "UNWILLING_TO_SET_VALUE")), may("message", aText)))},

	{Namespace: "Alexa.WakeOnLANController", Name: "WakeUp", Version: "3", Token: TokenInEndpoint, Answer: Expected, official: true, payload: objectOf()},
}

const synchronous = "it is the synchronous answer of the skill's Lambda, and goes nowhere else"

// occurrence is the payload of an event that says that something happened.
func occurrence(causes []string) *shape {
	return objectOf(must("cause", objectOf(must("type", oneOf(causes...)))), must("timestamp", anInstant))
}

var (
	namedEndpoint = objectOf(must("friendlyName", aText), may("endpointId", aText))

	errorShape = chosenBy(map[string]*shape{
		"ENDPOINT_LOW_POWER":            objectOf(must("type", aText), must("message", aText), may("percentageState", aNumber)),
		"NO_SUCH_ENDPOINT":              openObjectOf(must("type", aText), must("message", aText)),
		"NOT_SUPPORTED_IN_CURRENT_MODE": objectOf(must("type", aText), must("message", aText), must("currentDeviceMode", word("COLOR", "ASLEEP", "NOT_PROVISIONED", "OTHER"))),
		"VALUE_OUT_OF_RANGE": objectOf(must("type", aText), must("message", aText),
			may("validRange", openObjectOf(may("minimumValue", aNumber), may("maximumValue", aNumber)))),
		"TEMPERATURE_VALUE_OUT_OF_RANGE": objectOf(must("type", aText), must("message", aText),
			may("validRange", openObjectOf(may("minimumValue", temperature(aNumber)), may("maximumValue", temperature(aNumber))))),
	}, objectOf(must("type", word("ALREADY_IN_OPERATION", "BRIDGE_UNREACHABLE", "CLOUD_CONTROL_DISABLED", "ENDPOINT_BUSY", "ENDPOINT_LOW_POWER",
		"ENDPOINT_UNREACHABLE", "EXPIRED_AUTHORIZATION_CREDENTIAL", "FIRMWARE_OUT_OF_DATE", "HARDWARE_MALFUNCTION", "INSUFFICIENT_PERMISSIONS",
		"INTERNAL_ERROR", "INVALID_AUTHORIZATION_CREDENTIAL", "INVALID_DIRECTIVE", "INVALID_VALUE", "NO_SUCH_ENDPOINT", "NOT_CALIBRATED",
		"NOT_IN_OPERATION", "NOT_SUPPORTED_IN_CURRENT_MODE", "POWER_LEVEL_NOT_SUPPORTED", "RATE_LIMIT_EXCEEDED", "TEMPERATURE_VALUE_OUT_OF_RANGE",
		"TOO_MANY_FAILED_ATTEMPTS", "VALUE_OUT_OF_RANGE")), must("message", aText)))

	cameraShape = objectOf(
		must("cameraStreams", listOf(objectOf(
			must("uri", aURI), must("protocol", word("RTSP", "WEBRTC")), must("authorizationType", word("BASIC", "DIGEST", "NONE")),
			must("videoCodec", word("H264", "MPEG2", "MJPEG", "JPG")), must("audioCodec", word("G711", "AAC", "NONE")),
			must("resolution", objectOf(must("width", whole(1, 1<<31-1)), must("height", whole(1, 1<<31-1)))),
			may("idleTimeoutSeconds", whole(1, 1<<31-1)), may("expirationTime", aDateTime)), 1)),
		must("imageUri", aURI))

	mediaShape = objectOf(
		must("id", aMediaID),
		must("cause", word("MOTION_DETECTED", "AUDIO_DETECTED", "PERSON_DETECTED", "APP_INTERACTION", "VOICE_INTERACTION", "RULE_TRIGGER")),
		must("recording", objectOf(may("name", aName), must("startTime", wholeSeconds), must("endTime", wholeSeconds),
			may("videoCodec", word("H264")), may("audioCodec", word("G711", "AAC", "NONE")), must("uri", mediaURI), may("thumbnailUri", mediaURI))))
	mediaURI = objectOf(must("value", aURI), must("expireTime", wholeSeconds))
	aMediaID = &shape{kind: "string", least: 1, most: 256}
)
