package alexa

// payloadShapes are the shapes of the payloads of the table's kinds; a kind that is not
// here may have any object. A comment names the source where it is not the interface's
// page below developer.amazon.com/docs/device-apis, and where sources differ. A member
// that only the schema of 2021 requires is an ought: no page of Amazon's that could be
// read requires it.
var payloadShapes = map[kindName]*shape{
	{"Alexa", "StateReport"}: objectOf(),
	// The schema's currentDeviceMode is not in what could be read of the page.
	{"Alexa", "ErrorResponse"}: chosenBy(map[string]*shape{
		"ENDPOINT_LOW_POWER": objectOf(must("type", aText), must("message", aText), may("percentageState", aNumber)),
		"NO_SUCH_ENDPOINT":   openObjectOf(must("type", aText), must("message", aText)),
		"NOT_SUPPORTED_IN_CURRENT_MODE": objectOf(must("type", aText), must("message", aText),
			ought("currentDeviceMode", word("COLOR", "ASLEEP", "NOT_PROVISIONED", "OTHER"))),
		"VALUE_OUT_OF_RANGE": objectOf(must("type", aText), must("message", aText),
			may("validRange", openObjectOf(may("minimumValue", aNumber), may("maximumValue", aNumber)))),
		"TEMPERATURE_VALUE_OUT_OF_RANGE": objectOf(must("type", aText), must("message", aText),
			may("validRange", openObjectOf(may("minimumValue", temperature(aNumber)), may("maximumValue", temperature(aNumber))))),
	}, objectOf(must("type", errorType()), must("message", aText))),
	{"Alexa.AuthorizationController", "ErrorResponse"}: anyError,
	// Only the schema requires capabilities.
	{"Alexa.AutomationManagement", "GetAlexaAutomationStatus"}: openObjectOf(ought("capabilities",
		listOf(openObjectOf(must("capability", aText), may("instance", aText)), 0))),
	// The schema and Amazon's sample; the page could not be read so far.
	{"Alexa.CameraStreamController", "Response"}: objectOf(
		ought("cameraStreams", listOf(objectOf(
			must("uri", aURI), must("protocol", word("RTSP", "WEBRTC", "HLS")), must("authorizationType", word("BASIC", "DIGEST", "NONE")),
			must("videoCodec", word("H264", "MPEG2", "MJPEG", "JPG")), must("audioCodec", word("G711", "AAC", "NONE")),
			must("resolution", objectOf(must("width", whole(1, 1<<31-1)), must("height", whole(1, 1<<31-1)))),
			may("idleTimeoutSeconds", whole(1, 1<<31-1)), may("expirationTime", aDateTime)), 1)),
		ought("imageUri", aURI)),
	// The message is optional.
	{"Alexa.Commissionable", "ReportCommissioningInformation.ErrorResponse"}: openObjectOf(must("type", aName), may("message", aText)),
	// alexa-cooking-errorresponse: type and message are required.
	{"Alexa.Cooking", "ErrorResponse"}: chosenBy(map[string]*shape{
		"COOK_DURATION_TOO_LONG": objectOf(must("type", aText), must("message", aText), ought("maxCookTime", aText)),
	}, objectOf(must("type", errorType("CHILD_LOCK", "COOK_DURATION_TOO_LONG", "DOOR_CLOSED_TOO_LONG", "DOOR_OPEN", "PREHEAT_REQUIRED",
		"PROBE_REQUIRED", "REMOTE_START_DISABLED", "REMOTE_START_NOT_SUPPORTED", "REMOVE_PROBE")), must("message", aText))),
	{"Alexa.DataController", "ErrorResponse"}: errorOf("DATA_DELETION_NOT_SUPPORTED", "DATA_RETRIEVAL_NOT_SUPPORTED"),
	// it-IT/docs/alexa/device-apis/alexa-deviceusage-meter has the interval. The
	// lists' names are those of the Alexa Connect Kit.
	{"Alexa.DeviceUsage.Meter", "MeasurementsReport"}: openObjectOf(
		seen("electricityIntervals", listOf(intervalShape, 0)), seen("naturalGasIntervals", listOf(intervalShape, 0))).withMembers(1),
	{"Alexa.Discovery", "AddOrUpdateReport"}: objectOf(must("endpoints", listOf(endpointShape, 0))),
	{"Alexa.Discovery", "DeleteReport"}:      openObjectOf(must("endpoints", listOf(openObjectOf(must("endpointId", anEndpointID)), 1))),
	{"Alexa.DoorbellEventSource", "DoorbellPress"}: objectOf(
		// The schema allows all causes but the last two.
		must("cause", objectOf(must("type", &shape{kind: "string", words: causes[:5], closed: true, rare: causes[5:]}))),
		must("timestamp", anInstant)),
	{"Alexa.InventoryUsageSensor", "InventoryConsumed"}:      consumedShape,
	{"Alexa.InventoryLevelUsageSensor", "InventoryConsumed"}: consumedShape,
	// The Alexa Connect Kit has the event and these two fields; their names in JSON
	// have not been seen.
	{"Alexa.InventoryLevelUsageSensor", "InventoryReplaced"}: openObjectOf(seen("newAbsoluteLevel", measurement), seen("replaceDate", aText)),
	{"Alexa.MediaMetadata", "GetMediaMetadata.Response"}: objectOf(must("media", listOf(mediaShape, 1)), may("errors", listOf(objectOf(
		may("status", word("DELETED", "NOT_FOUND", "SUBSCRIPTION_ERROR", "INTERNAL_ERROR")), may("mediaId", aName)), 1))),
	{"Alexa.MediaMetadata", "MediaCreatedOrUpdated"}: objectOf(must("media", mediaShape)),
	{"Alexa.MediaMetadata", "MediaDeleted"}:          objectOf(must("mediaIds", listOf(aMediaID, 1))),
	{"Alexa.RTCSessionController", "AnswerGeneratedForSession"}: objectOf(must("answer",
		openObjectOf(must("format", word("SDP", "sdp", "Sdp")), must("value", aText)))),
	{"Alexa.RTCSessionController", "SessionConnected"}:    objectOf(must("sessionId", aText)),
	{"Alexa.RTCSessionController", "SessionDisconnected"}: objectOf(must("sessionId", aText)),
	{"Alexa.Safety", "ErrorResponse"}:                     errorOf("OBSTACLE_DETECTED", "SAFETY_BEAM_BREACHED"),
	// The schema and Amazon's samples; the page could not be read so far.
	{"Alexa.SceneController", "ActivationStarted"}:   sceneShape,
	{"Alexa.SceneController", "DeactivationStarted"}: sceneShape,
	{"Alexa.SecurityPanelController", "Arm.Response"}: objectOf(
		may("exitDelayInSeconds", whole(0, 255)), may("bypassedEndpoints", listOf(namedEndpoint, 0))),
	// The page requires a message, the schema has none.
	{"Alexa.SecurityPanelController", "ErrorResponse"}: chosenBy(map[string]*shape{
		"BYPASS_NEEDED": objectOf(must("type", aText), asked("message", aText), may("endpointsNeedingBypass", listOf(namedEndpoint, 0))),
	}, objectOf(must("type", errorType("AUTHORIZATION_REQUIRED", "BYPASS_NEEDED", "NOT_READY", "UNAUTHORIZED", "UNCLEARED_ALARM",
		"UNCLEARED_TROUBLE", "NO_ACTIVE_MONITORABLE_DEVICES")), asked("message", aText))),
	{"Alexa.SeekController", "StateReport"}: objectOf(ought("properties", listOf(objectOf(
		must("name", word("positionMilliseconds")), must("value", whole(0, 86_400_000))), 1))),
	{"Alexa.SimpleEventSource", "Event"}: openObjectOf(must("id", aName), must("timestamp", anInstant)),
	// The page has the event, koush/scrypted its fields.
	{"Alexa.SmartVision.ObjectDetectionSensor", "ObjectDetection"}: openObjectOf(ought("events", listOf(openObjectOf(), 1))),
	{"Alexa.SmartVision.ObjectDetectionSensor", "ErrorResponse"}:   anyError,
	{"Alexa.SmartVision.SnapshotProvider", "ErrorResponse"}:        errorOf("DISABLED_BY_USER", "SUBSCRIPTION_REQUIRED"),
	// Type and message are required on the page, and the schema does not require the
	// message; minimumTemperatureDelta is optional, and the schema requires it.
	{"Alexa.ThermostatController", "ErrorResponse"}: chosenBy(map[string]*shape{
		"REQUESTED_SETPOINTS_TOO_CLOSE": objectOf(must("type", aText), asked("message", aText),
			may("minimumTemperatureDelta", temperature(number(-100, 100)))),
	}, objectOf(must("type", errorType("REQUESTED_SETPOINTS_TOO_CLOSE", "THERMOSTAT_IS_OFF", "UNSUPPORTED_THERMOSTAT_MODE",
		"DUAL_SETPOINTS_UNSUPPORTED", "TRIPLE_SETPOINTS_UNSUPPORTED", "UNWILLING_TO_SET_SCHEDULE", "UNWILLING_TO_SET_VALUE")),
		asked("message", aText))),
	{"Alexa.ThermostatController.Configuration", "ErrorResponse"}: anyError,
	{"Alexa.ThermostatController.Schedule", "ErrorResponse"}:      anyError,
	{"Alexa.Video", "ErrorResponse"}:                              anyError,
	{"Alexa.WakeOnLANController", "WakeUp"}:                       objectOf(),
}

// errorOf returns the shape of an error, as on the interfaces' pages, with the
// interface's own types.
func errorOf(own ...string) *shape {
	return openObjectOf(must("type", errorType(own...)), asked("message", aText))
}

// errorType returns the shape of an error's type: one of the interface's own types, or
// of those that any interface may use, as the pages say.
func errorType(own ...string) *shape {
	return word(append(own, "ALREADY_IN_OPERATION", "BRIDGE_UNREACHABLE", "CLOUD_CONTROL_DISABLED", "ENDPOINT_BUSY", "ENDPOINT_LOW_POWER",
		"ENDPOINT_UNREACHABLE", "EXPIRED_AUTHORIZATION_CREDENTIAL", "FIRMWARE_OUT_OF_DATE", "HARDWARE_MALFUNCTION",
		"INSUFFICIENT_PERMISSIONS", "INTERNAL_ERROR", "INVALID_AUTHORIZATION_CREDENTIAL", "INVALID_DIRECTIVE", "INVALID_VALUE",
		"NO_SUCH_ENDPOINT", "NOT_CALIBRATED", "NOT_IN_OPERATION", "NOT_SUPPORTED_IN_CURRENT_MODE", "POWER_LEVEL_NOT_SUPPORTED",
		"RATE_LIMIT_EXCEEDED", "TEMPERATURE_VALUE_OUT_OF_RANGE", "TOO_MANY_FAILED_ATTEMPTS", "VALUE_OUT_OF_RANGE")...)
}

var (
	// anyError is an error without a complete list of types.
	anyError = openObjectOf(must("type", aName), asked("message", aText))

	namedEndpoint = objectOf(ought("friendlyName", aText), may("endpointId", aText))

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

	mediaShape = objectOf(
		must("id", aMediaID),
		must("cause", word("MOTION_DETECTED", "AUDIO_DETECTED", "PERSON_DETECTED", "APP_INTERACTION", "VOICE_INTERACTION", "RULE_TRIGGER")),
		must("recording", objectOf(may("name", aName), must("startTime", wholeSeconds), must("endTime", wholeSeconds),
			may("videoCodec", word("H264")), may("audioCodec", word("G711", "AAC", "NONE")), must("uri", mediaURI), may("thumbnailUri", mediaURI))))
	mediaURI = objectOf(must("value", aURI), must("expireTime", wholeSeconds))
	aMediaID = &shape{kind: "string", least: 1, most: 256}
)

// endpointShape is an endpoint of a discovery. It covers only the members of a
// capability that all interfaces share, and most of those leniently: gatepost lint checks
// a whole discovery.
var endpointShape = openObjectOf(
	must("endpointId", anEndpointID),
	must("manufacturerName", aLabel), must("description", aLabel),
	asked("friendlyName", &shape{kind: "string", least: 1, most: 256}), // some interfaces need none
	must("displayCategories", &shape{kind: "array", least: 1, unique: true, items: aCategory}),
	must("capabilities", &shape{kind: "array", least: 1, most: maxCapabilities, unique: true, items: capabilityShape}),
	// The limit is of github.com/openhab/openhab-alexa/pull/540.
	might("cookie", &shape{kind: "object", open: true, others: aText, bytes: 5000, why: ": Alexa hides the endpoint"}),
	might("additionalAttributes", objectOf(may("manufacturer", anAttribute), may("model", anAttribute), may("serialNumber", anAttribute),
		may("firmwareVersion", anAttribute), may("softwareVersion", anAttribute), may("customIdentifier", anAttribute))),
	might("connections", listOf(openObjectOf(must("type", word("TCP_IP", "ZIGBEE", "ZWAVE", "UNKNOWN"))), 0)))

var capabilityShape = openObjectOf(
	must("type", &shape{kind: "string", least: 1, words: []string{"AlexaInterface"}}),
	must("interface", &shape{kind: "string", least: 1, odd: nearInterface}),
	ought("version", aText), might("instance", aText),
	might("properties", openObjectOf(
		may("supported", listOf(objectOf(must("name", aText)), 0)), may("proactivelyReported", aFlag), may("retrievable", aFlag))))

var (
	aLabel      = &shape{kind: "string", least: 1, most: 128}
	anAttribute = &shape{kind: "string", most: 256}
	aCategory   = &shape{kind: "string", least: 1, odd: categoryForm}
	// aFlag is a boolean, which many interfaces allow in all these forms.
	aFlag = &shape{texts: []string{"true", "false", `"true"`, `"false"`, `"True"`, `"False"`, `"TRUE"`, `"FALSE"`, "0", "1"}}
)
