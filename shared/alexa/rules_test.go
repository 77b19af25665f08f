package alexa_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// rule is a way to break one rule: an example in which old becomes new, and
// what is said about it.
type rule struct {
	name, example, old, new string
	path, problem           string
}

const (
	report     = "Alexa.ChangeReport"
	changed0   = "event.payload.change.properties[0]"
	changed1   = "event.payload.change.properties[1]"
	mode       = `"namespace":"Alexa.ThermostatController","name":"thermostatMode","value":"HEAT"`
	schemaRule = "Amazon's message schema of 2021"
	pagesRule  = "developer.amazon.com/docs/"
	useRule    = "seen in use"
	errorTypes = "one of ALREADY_IN_OPERATION, BRIDGE_UNREACHABLE, CLOUD_CONTROL_DISABLED, ENDPOINT_BUSY, ENDPOINT_LOW_POWER, " +
		"ENDPOINT_UNREACHABLE, EXPIRED_AUTHORIZATION_CREDENTIAL, FIRMWARE_OUT_OF_DATE, HARDWARE_MALFUNCTION, INSUFFICIENT_PERMISSIONS, " +
		"INTERNAL_ERROR, INVALID_AUTHORIZATION_CREDENTIAL, INVALID_DIRECTIVE, INVALID_VALUE, NO_SUCH_ENDPOINT, NOT_CALIBRATED, " +
		"NOT_IN_OPERATION, NOT_SUPPORTED_IN_CURRENT_MODE, POWER_LEVEL_NOT_SUPPORTED, RATE_LIMIT_EXCEEDED, TEMPERATURE_VALUE_OUT_OF_RANGE, " +
		"TOO_MANY_FAILED_ATTEMPTS, VALUE_OUT_OF_RANGE"
)

// refused are what Amazon would refuse. DecodeEvent does too when checks are
// strict, and carries the event otherwise.
var refused = []rule{
	{"synchronous answer", "Alexa.Response", `"name":"Response"`, `"name":"DeferredResponse"`, "event.header.name", "no asynchronous event: it is the synchronous answer of the skill's Lambda to a directive; the Response follows asynchronously"},
	{"answer to AcceptGrant", "Alexa.Response", `"namespace":"Alexa","name":"Response"`, `"namespace":"Alexa.Authorization","name":"AcceptGrant.Response"`, "event.header.name", "no asynchronous event: it is the synchronous answer of the skill's Lambda, and goes nowhere else"},
	{"answer to AcceptGrant, failed", "Alexa.ErrorResponse", `"namespace":"Alexa"`, `"namespace":"Alexa.Authorization"`, "event.header.name", "no asynchronous event: it is the synchronous answer of the skill's Lambda, and goes nowhere else"},
	{"answer to Discover", "Alexa.Response", `"namespace":"Alexa","name":"Response"`, `"namespace":"Alexa.Discovery","name":"Discover.Response"`, "event.header.name", "no asynchronous event: it is the synchronous answer of the skill's Lambda, and goes nowhere else"},
	{"version of a kind in the schema", report, `"name":"ChangeReport"`, `"name":"ChangeReport","payloadVersion":"3.0"`, "event.header.payloadVersion", `must be "3"`},
	{"simple event without instance", "Alexa.SimpleEventSource.Event", `,"instance":"Button.1"`, ``, "event.header.instance",
		"missing: an endpoint may have several of this interface"},
	{"Response to nothing", "Alexa.Response", `,"correlationToken":"dFMb0z-fake-correlation-token"`, ``, "event.header.correlationToken", "missing: it says which directive this answers"},
	{"StateReport to nothing", "Alexa.StateReport", `,"correlationToken":"dFMb0z-fake-correlation-token"`, ``, "event.header.correlationToken", "missing: it says which directive this answers"},
	{"camera's answer to nothing", "Alexa.CameraStreamController.Response", `,"correlationToken":"dFMb0z-fake-correlation-token"`, ``, "event.header.correlationToken", "missing: it says which directive this answers"},
	{"panel's answer to nothing", "Alexa.SecurityPanelController.Arm.Response", `,"correlationToken":"dFMb0z-fake-correlation-token"`, ``, "event.header.correlationToken", "missing: it says which directive this answers"},
	{"seek's answer to nothing", "Alexa.SeekController.StateReport", `,"correlationToken":"dFMb0z-fake-correlation-token"`, ``, "event.header.correlationToken", "missing: it says which directive this answers"},
	{"endpoint id with a backslash", report, `thermostat-1`, `the\\thermostat`, "event.endpoint.endpointId",
		"has a character other than letters, digits, spaces and _ - = # ; : ? @ &"},

	{"no change", report, `"change":`, `"changes":`, "event.payload.change", "missing"},
	{"empty change", report, `"properties":[`, `"properties":[],"more":[`, "event.payload.change.properties", "empty"},
	{"unknown cause", report, `APP_INTERACTION`, `ALEXA_INTERACTION`, "event.payload.change.cause.type", allCauses},
	{"unknown cause, short", "Alexa.ChangeReport.short", `APP_INTERACTION`, `app_interaction`, "cause", allCauses +
		": did you mean APP_INTERACTION?"},
	{"no value", report, `"value":"HEAT",`, ``, "event.payload.change.properties[1].value", "missing"},
	{"null", report, `"HEAT"`, `null`, "event.payload.change.properties[1].value", "null, which counts as missing"},
	{"no instance of a range", "Alexa.StateReport", `"instance":"Fan.Speed",`, ``, "context.properties[1].instance",
		"missing: an endpoint may have several of this interface"},
	{"no time", report, `"timeOfSample":"2026-01-02T03:04:05.678Z"`, `"timeOfSample":"today"`, changed0 + ".timeOfSample", "must be an RFC 3339 time"},
	{"hour of one digit", report, `"timeOfSample":"2026-01-02T03:04:05.678Z"`, `"timeOfSample":"2026-01-02T3:04:05.678Z"`, changed0 + ".timeOfSample", "must be an RFC 3339 time"},
	{"comma in a time", report, `"timeOfSample":"2026-01-02T03:04:05.678Z"`, `"timeOfSample":"2026-01-02T03:04:05,678Z"`, changed0 + ".timeOfSample", "must be an RFC 3339 time"},
	{"zone of a day", report, `"timeOfSample":"2026-01-02T03:04:05.678Z"`, `"timeOfSample":"2026-01-02T03:04:05+24:00"`, changed0 + ".timeOfSample", "must be an RFC 3339 time"},
	{"zone of sixty minutes", report, `"timeOfSample":"2026-01-02T03:04:05.678Z"`, `"timeOfSample":"2026-01-02T03:04:05+01:60"`, changed0 + ".timeOfSample", "must be an RFC 3339 time"},
	{"year of three digits, in UTC", report, `"timeOfSample":"2026-01-02T03:04:05.678Z"`, `"timeOfSample":"1000-01-01T00:00:00+01:00"`, changed0 + ".timeOfSample", "must be a time of the years 1000 to 9999"},
	{"same property twice", report, `"namespace":"Alexa.ThermostatController","name":"thermostatMode","value":"HEAT"`, `"namespace":"Alexa.ThermostatController","name":"targetSetpoint","value":{"value":20,"scale":"CELSIUS"}`, "event.payload.change.properties[1]", "the same property as event.payload.change.properties[0]"},
	{"same property in a StateReport", "Alexa.StateReport", `"namespace":"Alexa.PowerController","name":"powerState","value":"ON"`, `"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"}`, "context.properties[2]", "the same property as context.properties[0]"},

	{"value of another type", report, `"HEAT"`, `1`, "event.payload.change.properties[1].value", "must be a string"},
	{"text for a number", report, `"value":21.5`, `"value":"warm"`, changed0 + ".value.value", "must be a number"},
	{"object for a text", report, `"HEAT"`, `["HEAT"]`, "event.payload.change.properties[1].value", "must be a string"},
	{"number for an object", report, `{"value":19.8,"scale":"CELSIUS"}`, `19.8`, "context.properties[0].value", "must be an object"},
	{"temperature without scale", report, `{"value":19.8,"scale":"CELSIUS"}`, `{"value":19.8}`, "context.properties[0].value.scale",
		"missing, one of FAHRENHEIT, CELSIUS, KELVIN"},
	{"temperature without value", report, `{"value":19.8,"scale":"CELSIUS"}`, `{"scale":"CELSIUS"}`, "context.properties[0].value.value", "missing"},
	{"member of a value twice", report, `{"value":19.8,"scale":"CELSIUS"}`, `{"value":19.8,"value":20,"scale":"CELSIUS"}`, "context.properties[0].value.value", "appears twice"},
	{"text for a list", report, `"namespace":"Alexa.ThermostatController","name":"thermostatMode","value":"HEAT"`, `"namespace":"Alexa.EqualizerController","name":"bands","value":"BASS"`, "event.payload.change.properties[1].value", "must be an array"},
	{"text for yes or no", report, `"namespace":"Alexa.ThermostatController","name":"thermostatMode","value":"HEAT"`, `"namespace":"Alexa.Speaker","name":"muted","value":"true"`, "event.payload.change.properties[1].value", "must be a boolean"},
	{"text for a whole number", report, `"namespace":"Alexa.ThermostatController","name":"thermostatMode","value":"HEAT"`,
		`"namespace":"Alexa.Speaker","name":"volume","value":"7 "`, "event.payload.change.properties[1].value", "must be an integer"},
	{"hold time with a fraction", report, `"namespace":"Alexa.ThermostatController","name":"thermostatMode","value":"HEAT"`, `"namespace":"Alexa.TimeHoldController","name":"holdEndTime","value":"2026-01-02T03:04:05.6Z"`, "event.payload.change.properties[1].value", "must be a time in UTC without a fraction of a second"},
	{"hold time in another zone", report, `"namespace":"Alexa.ThermostatController","name":"thermostatMode","value":"HEAT"`, `"namespace":"Alexa.TimeHoldController","name":"holdEndTime","value":"2026-01-02T03:04:05+01:00"`, "event.payload.change.properties[1].value", "must be a time in UTC with at most three digits of fraction"},

	{"error without type", "Alexa.ErrorResponse", `"type":"ENDPOINT_UNREACHABLE",`, ``, "event.payload.type", "missing, " + errorTypes},
	{"error without message", "Alexa.ErrorResponse", `,"message":"lamp-2 did not answer within 6 seconds"`, ``, "event.payload.message", "missing"},
	{"panel's error without type", "Alexa.SecurityPanelController.ErrorResponse", `"type":"BYPASS_NEEDED",`, ``, "event.payload.type",
		"missing, one of AUTHORIZATION_REQUIRED, BYPASS_NEEDED, NOT_READY, UNAUTHORIZED, UNCLEARED_ALARM, UNCLEARED_TROUBLE, " +
			"NO_ACTIVE_MONITORABLE_DEVICES, " + errorTypes[len("one of "):]},
	{"cooking's error without message", "Alexa.Cooking.ErrorResponse", `,"message":"the door is open"`, ``, "event.payload.message", "missing"},
	{"data error without type", "Alexa.DataController.ErrorResponse", `"type":"DATA_RETRIEVAL_NOT_SUPPORTED",`, ``, "event.payload.type",
		"missing, one of DATA_DELETION_NOT_SUPPORTED, DATA_RETRIEVAL_NOT_SUPPORTED, " + errorTypes[len("one of "):]},
	{"press without cause", "Alexa.DoorbellEventSource.DoorbellPress", `"cause":{"type":"PHYSICAL_INTERACTION"},`, ``, "event.payload.cause", "missing"},
	{"press without time", "Alexa.DoorbellEventSource.DoorbellPress", `,"timestamp":"2026-01-02T03:04:05Z"`, ``, "event.payload.timestamp", "missing"},
	{"press at no time", "Alexa.DoorbellEventSource.DoorbellPress", `2026-01-02T03:04:05Z`, `2026-02-30T03:04:05Z`, "event.payload.timestamp", "must be an RFC 3339 time"},
	{"button without id", "Alexa.SimpleEventSource.Event", `"id":"Button.SinglePush",`, ``, "event.payload.id", "missing"},
	{"button with an empty id", "Alexa.SimpleEventSource.Event", `Button.SinglePush`, ``, "event.payload.id", "empty"},
	{"answer without value", "Alexa.RTCSessionController.AnswerGeneratedForSession", `"format":"SDP","value"`, `"format":"SDP","sdp"`, "event.payload.answer.value", "missing"},
	{"session without id", "Alexa.RTCSessionController.SessionConnected", `"sessionId"`, `"id"`, "event.payload.sessionId", "missing"},
	{"session without id at the end", "Alexa.RTCSessionController.SessionDisconnected", `"sessionId"`, `"id"`, "event.payload.sessionId", "missing"},
	{"delay as text", "Alexa.SecurityPanelController.Arm.Response", `45`, `"soon"`, "event.payload.exitDelayInSeconds", "must be an integer"},

	{"long description", "Alexa.Discovery.AddOrUpdateReport", `Dimmable lamp by Example Lights`, strings.Repeat("ü", 129), "event.payload.endpoints[0].description", "longer than 128 characters"},
	{"no category", "Alexa.Discovery.AddOrUpdateReport", `["LIGHT"]`, `[]`, "event.payload.endpoints[0].displayCategories", "empty"},
	{"id of an added endpoint", "Alexa.Discovery.AddOrUpdateReport", `lamp-1`, `lamp/1`, "event.payload.endpoints[0].endpointId",
		"has a character other than letters, digits, spaces and _ - = # ; : ? @ &"},
	{"capability without interface", "Alexa.Discovery.AddOrUpdateReport", `"interface":"Alexa",`, ``, "event.payload.endpoints[0].capabilities[0].interface", "missing"},
	{"too many capabilities", "Alexa.Discovery.AddOrUpdateReport", `"capabilities":[`, `"capabilities":[` + strings.Repeat(`{"type":"AlexaInterface","interface":"X"},`, 97), "event.payload.endpoints[0].capabilities", "more than 100"},
	{"nothing removed", "Alexa.Discovery.DeleteReport", `"endpoints":[{"endpointId":"lamp-3"},{"endpointId":"lamp-4"}]`, `"endpoints":[]`, "event.payload.endpoints", "empty"},
	{"removed without id", "Alexa.Discovery.DeleteReport", `{"endpointId":"lamp-4"}`, `{}`, "event.payload.endpoints[1].endpointId", "missing"},
}

// warned are what Amazon takes, or might take by now.
var warned = []rule{
	{"no connectivity", report, `"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"}`, `"namespace":"Alexa.New","name":"new","value":{"value":"OK"}`, "context.properties", "without the connectivity of Alexa.EndpointHealth"},
	{"no connectivity, short", "Alexa.ChangeReport.short", `"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"}`, `"namespace":"Alexa.New","name":"new","value":{"value":"OK"}`, "unchanged", "without the connectivity of Alexa.EndpointHealth"},
	{"key that no property has", report, `"value":"HEAT"`, `"value":"HEAT","quality":1`, "event.payload.change.properties[1]",
		"has more members than a property has"},
	{"uncertain by less than nothing", report, `"uncertaintyInMilliseconds":60000`, `"uncertaintyInMilliseconds":-1`,
		"context.properties[0].uncertaintyInMilliseconds", "less than 0"},
	{"empty channel", report, `"namespace":"Alexa.ThermostatController","name":"thermostatMode","value":"HEAT"`,
		`"namespace":"Alexa.ChannelController","name":"channel","value":{}`, "event.payload.change.properties[1].value",
		"has fewer than 1 of number, callSign, affiliateCallSign, uri"},
	{"band without level", report, `"namespace":"Alexa.ThermostatController","name":"thermostatMode","value":"HEAT"`,
		`"namespace":"Alexa.EqualizerController","name":"bands","value":[{"name":"BASS"}]`, "event.payload.change.properties[1].value[0]",
		"has fewer than 2 of name, value, level"},
	{"error without the mode it is about", "Alexa.ErrorResponse", `ENDPOINT_UNREACHABLE`, `NOT_SUPPORTED_IN_CURRENT_MODE`,
		"event.payload.currentDeviceMode", "missing, one of COLOR, ASLEEP, NOT_PROVISIONED, OTHER"},
	{"cooking's error without time", "Alexa.Cooking.ErrorResponse", `DOOR_OPEN`, `COOK_DURATION_TOO_LONG`, "event.payload.maxCookTime",
		"missing"},
	{"stream without codec", "Alexa.CameraStreamController.Response", `"videoCodec":"H264",`, ``,
		"event.payload.cameraStreams[0].videoCodec", "missing, one of H264, MPEG2, MJPEG, JPG"},
	{"no picture", "Alexa.CameraStreamController.Response", `,"imageUri":"https://camera-1.example.com/still.jpg"`, ``,
		"event.payload.imageUri", "missing"},
	{"cause that presses no bell", "Alexa.DoorbellEventSource.DoorbellPress", `PHYSICAL_INTERACTION`, `SUBSCRIPTION_EXPIRED`,
		"event.payload.cause.type", "unknown, one of APP_INTERACTION, PHYSICAL_INTERACTION, PERIODIC_POLL, RULE_TRIGGER, VOICE_INTERACTION"},
	{"scene without time", "Alexa.SceneController.ActivationStarted", `,"timestamp":"2026-01-02T03:04:05.678Z"`, ``,
		"event.payload.timestamp", "missing"},
	{"scene for no cause", "Alexa.SceneController.DeactivationStarted", `APP_INTERACTION`, `WHIM`, "event.payload.cause.type",
		allCauses},
	{"window without name", "Alexa.SecurityPanelController.Arm.Response", `"friendlyName":"Bathroom window",`, ``,
		"event.payload.bypassedEndpoints[0].friendlyName", "missing"},
	{"seek without properties", "Alexa.SeekController.StateReport", `"properties":[{"name":"positionMilliseconds","value":1234567}]`,
		`"properties":[]`, "event.payload.properties", "empty"},
	{"nothing seen", "Alexa.SmartVision.ObjectDetectionSensor.ObjectDetection", `"events":[`, `"events":[],"more":[`,
		"event.payload.events", "empty"},
	{"automation of nothing", "Alexa.AutomationManagement.GetAlexaAutomationStatus", `"capability":"Alexa.RangeController",`, ``,
		"event.payload.capabilities[1].capability", "missing"},
	{"endpoint without name", "Alexa.Discovery.AddOrUpdateReport", `"friendlyName":"Kitchen lamp",`, ``,
		"event.payload.endpoints[0].friendlyName", "missing"},
	{"id of a removed endpoint", "Alexa.Discovery.DeleteReport", `lamp-4`, `lamp.4`, "event.payload.endpoints[1].endpointId",
		"has a dot or a letter beyond a-z, of which Amazon's page says nothing"},
	{"more in a cause", report, `{"type":"APP_INTERACTION"}`, `{"type":"APP_INTERACTION","why":1}`, "event.payload.change.cause",
		"has more than a type"},
	{"endpoint id with a dot", report, `thermostat-1`, `thermostat.1`, "event.endpoint.endpointId",
		"has a dot or a letter beyond a-z, of which Amazon's page says nothing"},
	{"number as text", report, `"value":21.5`, `"value":"21.5"`, changed0 + ".value.value", "a number written as text"},
	{"whole number as text", report, mode, `"namespace":"Alexa.Speaker","name":"volume","value":"7"`, changed1 + ".value",
		"a number written as text"},
	{"uncertainty as text", report, `"uncertaintyInMilliseconds":60000`, `"uncertaintyInMilliseconds":"60000"`,
		"context.properties[0].uncertaintyInMilliseconds", "a number written as text"},
	{"no colour temperature", report, mode, `"namespace":"Alexa.ColorTemperatureController","name":"colorTemperatureInKelvin","value":0`,
		changed1 + ".value",
		"not from 1000 to 10000: what is not Alexa drops after its 202; leave the property out while there is no colour temperature"},
	{"level as a number", report, mode, `"namespace":"Alexa.InventoryLevelSensor","name":"level","instance":"Ink","value":7`, changed1 +
		".value",
		"a number: of today's pages it is an object with @type, value and, for volume and weight, unit"},
	{"level's unit beside it", report, mode,
		`"namespace":"Alexa.InventoryLevelSensor","name":"level","instance":"Ink","unit":"LITER","value":{"@type":"Count","value":7}`,
		changed1 + ".unit", "belongs into the value, if anywhere"},
	{"level without its unit", report, mode,
		`"namespace":"Alexa.InventoryLevelSensor","name":"level","instance":"Ink","value":{"@type":"Volume","value":7}`,
		changed1 + ".value.unit", "missing"},
	{"nearly a namespace", report, `"namespace":"Alexa.ThermostatController","name":"thermostatMode"`,
		`"namespace":"Alexa.ThermostaController","name":"thermostatMode"`,
		changed1 + ".namespace", "unknown: did you mean Alexa.ThermostatController?"},
	{"nearly a property", report, `"thermostatMode"`, `"thermostatmode"`, changed1 + ".name", "unknown: did you mean thermostatMode?"},
	{"nearly a kind", "Alexa.DataController.DataReport", `"DataReport"`, `"DataRepot"`, "event.header.name",
		"unknown: did you mean DataReport?"},
	{"nearly a kind's namespace", "Alexa.DataController.DataReport", `"namespace":"Alexa.DataController"`,
		`"namespace":"Alexa.DataControler","payloadVersion":"1.0"`,
		"event.header.namespace", "unknown: did you mean Alexa.DataController?"},
	{"nearly a word", report, `"HEAT"`, `"Heat"`, changed1 + ".value",
		"unknown, one of AUTO, COOL, CUSTOM, ECO, EM_HEAT, HEAT, OFF: did you mean HEAT?"},
	{"nearly a member", report, `{"value":19.8,"scale":"CELSIUS"}`, `{"value":19.8,"scale":"CELSIUS","Scale":1}`,
		"context.properties[0].value.Scale",
		"unknown member: did you mean scale?"},
	{"nearly an interface", "Alexa.Discovery.AddOrUpdateReport", `"interface":"Alexa.PowerController"`, `"interface":"Alexa.PowerControler"`,
		"event.payload.endpoints[0].capabilities[1].interface", "unknown: did you mean Alexa.PowerController?"},
	{"long cookie", "Alexa.Discovery.AddOrUpdateReport", `{"generation":"2"}`, `{"generation":"` + strings.Repeat("x", 5000) + `"}`,
		"event.payload.endpoints[0].cookie", "more than 5000 bytes: Alexa hides the endpoint"},
	{"event of an interface without any", "Alexa.DeviceUsage.Meter.MeasurementsReport", `Alexa.DeviceUsage.Meter`,
		`Alexa.DeviceUsage.Estimation`, "event.header.namespace",
		"the interface has no events: Alexa estimates by the power profile in the discovery"},
	{"nothing measured", "Alexa.DeviceUsage.Meter.MeasurementsReport", `"electricityIntervals":[`, `"electricityIntervals":null,"more":[`,
		"event.payload", "has fewer than 1 of electricityIntervals, naturalGasIntervals"},
	{"nothing measured of either", "Alexa.DeviceUsage.Meter.MeasurementsReport", `"electricityIntervals":[`,
		`"naturalGasIntervals":[],"electricityIntervals":[ ],"more":[`, "event.payload",
		"has fewer than 1 of electricityIntervals, naturalGasIntervals"},
	{"interface without Alexa before it", report, `"namespace":"Alexa.ThermostatController","name":"thermostatMode"`,
		`"namespace":"ThermostatController","name":"thermostatMode"`, "event.payload.change.properties[1].namespace",
		"unknown: did you mean Alexa.ThermostatController?"},
	{"property of an interface that has none", report, `"namespace":"Alexa.ThermostatController","name":"thermostatMode","value":"HEAT"`,
		`"namespace":"Alexa.InventoryLevelUsageSensor","name":"level","value":1`, "event.payload.change.properties[1].namespace",
		"the interface has no properties to report"},
	{"interface's error without message", "Alexa.Safety.ErrorResponse", `,"message":"something stands in the gate"`, ``,
		"event.payload.message", "missing"},
	{"version that sources differ about", "Alexa.AutomationManagement.GetAlexaAutomationStatus", `"name":"GetAlexa`,
		`"payloadVersion":"1.0","name":"GetAlexa`,
		"event.header.payloadVersion", `ought to be "3"`},
	{"more than a change", report, `"payload":{`, `"payload":{"more":1,`, "event.payload", "has more than a change"},
	{"more in a change", report, `"change":{`, `"change":{"more":1,`, "event.payload.change", "has more than cause and properties"},
	{"unknown word", report, `"HEAT"`, `"DRY"`, "event.payload.change.properties[1].value",
		"unknown, one of AUTO, COOL, CUSTOM, ECO, EM_HEAT, HEAT, OFF"},
	{"number out of range", report, `"value":21.5`, `"value":100.5`, changed0 + ".value.value", "not from -100 to 100"},
	{"not whole", report, `"namespace":"Alexa.ThermostatController","name":"thermostatMode","value":"HEAT"`, `"namespace":"Alexa.Speaker","name":"volume","value":7.0`, "event.payload.change.properties[1].value", "not a whole number"},
	{"too loud", report, `"namespace":"Alexa.ThermostatController","name":"thermostatMode","value":"HEAT"`, `"namespace":"Alexa.Speaker","name":"volume","value":101`, "event.payload.change.properties[1].value", "not from 0 to 100"},
	{"member not foreseen", report, `{"value":19.8,"scale":"CELSIUS"}`, `{"value":19.8,"scale":"CELSIUS","source":"wall"}`,
		"context.properties[0].value.source", "unknown member"},
	{"unit not foreseen", report, `"value":"HEAT"`, `"unit":"MODE","value":"HEAT"`, "event.payload.change.properties[1].unit",
		"belongs into the value, if anywhere"},
	{"retired property", report, `"namespace":"Alexa.ThermostatController","name":"thermostatMode","value":"HEAT"`, `"namespace":"Alexa.EventDetectionSensor","name":"enablementMode","value":"ENABLED"`, "event.payload.change.properties[1].namespace", "retired since February 2023"},
	{"new kind of error", "Alexa.ErrorResponse", `ENDPOINT_UNREACHABLE`, `OUT_OF_COFFEE`, "event.payload.type",
		"unknown, " + errorTypes},
	{"payload that ought to be empty", "Alexa.WakeOnLANController.WakeUp", `"payload":{`, `"payload":{"more":1`, "event.payload.more",
		"unknown member"},
	{"stream at no address", "Alexa.CameraStreamController.Response", `rtsp://camera-1.example.com:554/live`, `live`, "event.payload.cameraStreams[0].uri", "must be an absolute URI"},
	{"stream until no time", "Alexa.CameraStreamController.Response", `2026-01-02T04:04:05Z`, `later`, "event.payload.cameraStreams[0].expirationTime", "must be an RFC 3339 time"},
	{"long delay", "Alexa.SecurityPanelController.Arm.Response", `45`, `256`, "event.payload.exitDelayInSeconds", "not from 0 to 255"},

	{"instance of a kind in the schema", report, `"name":"ChangeReport"`, `"name":"ChangeReport","instance":"Fan.1"`,
		"event.header.instance", "not in this kind of event: leave it out"},
	{"context of an error", "Alexa.ErrorResponse", `"userId":"u-1"`, `"context":{"properties":[` + other + `]},"userId":"u-1"`, "context",
		"not in this kind of event: leave it out"},
	{"context of a simple event", "Alexa.SimpleEventSource.Event", `"userId":"u-1"`, `"context":{"properties":[` + other +
		`]},"userId":"u-1"`, "context", "not in this kind of event: leave it out"},
	{"context of a removal", "Alexa.Discovery.DeleteReport", `"userId":"u-1"`, `"context":{"properties":[` + other + `]},"userId":"u-1"`,
		"context", "not in this kind of event: leave it out"},
	{"context of an addition", "Alexa.Discovery.AddOrUpdateReport", `"userId":"u-1"`, `"context":{"properties":[` + other +
		`]},"userId":"u-1"`, "context", "not in this kind of event: leave it out"},
	{"context of an interface's error", "Alexa.Cooking.ErrorResponse", `"userId":"u-1"`, `"context":{"properties":[` + other +
		`]},"userId":"u-1"`, "context", "not in this kind of event: leave it out"},
	{"same property changed and unchanged", report, `"namespace":"Alexa.TemperatureSensor","name":"temperature","value":{"value":19.8,"scale":"CELSIUS"}`, `"namespace":"Alexa.ThermostatController","name":"thermostatMode","value":"OFF"`, "context.properties[0]", "the same property as event.payload.change.properties[1]: only that is sent"},
	{"same property, short", "Alexa.ChangeReport.short", `"namespace":"Alexa.TemperatureSensor","name":"temperature","value":{"value":19.8,"scale":"CELSIUS"}`, `"namespace":"Alexa.ThermostatController","name":"thermostatMode","value":"OFF"`, "unchanged[0]", "the same property as changed[1]: only that is sent"},
	{"error of nothing", "Alexa.ErrorResponse", `,"correlationToken":"dFMb0z-fake-correlation-token"`, ``, "event.header.correlationToken", "missing: it says which directive this answers"},
	{"cooking's error of nothing", "Alexa.Cooking.ErrorResponse", `,"correlationToken":"dFMb0z-fake-correlation-token"`, ``, "event.header.correlationToken", "missing: it says which directive this answers"},
	{"data error of nothing", "Alexa.DataController.ErrorResponse", `,"correlationToken":"dFMb0z-fake-correlation-token"`, ``, "event.header.correlationToken", "missing: it says which directive this answers"},
	{"wake-up for nothing", "Alexa.WakeOnLANController.WakeUp", `,"correlationToken":"dFMb0z-fake-correlation-token"`, ``, "event.header.correlationToken", "missing: it says which directive this answers"},
	{"report with a token", "Alexa.ChangeReport", `"name":"ChangeReport"`, `"name":"ChangeReport","correlationToken":"c"`,
		"event.header.correlationToken", "has no meaning in an event that no directive asked for: leave it out"},
	{"press with a token", "Alexa.DoorbellEventSource.DoorbellPress", `"name":"DoorbellPress"`,
		`"name":"DoorbellPress","correlationToken":"c"`, "event.header.correlationToken",
		"has no meaning in an event that no directive asked for: leave it out"},
	{"addition with a token", "Alexa.Discovery.AddOrUpdateReport", `"name":"AddOrUpdateReport"`,
		`"name":"AddOrUpdateReport","correlationToken":"c"`, "event.header.correlationToken",
		"has no meaning in an event that no directive asked for: leave it out"},
	{"removal with a token", "Alexa.Discovery.DeleteReport", `"name":"DeleteReport"`, `"name":"DeleteReport","correlationToken":"c"`,
		"event.header.correlationToken", "has no meaning in an event that no directive asked for: leave it out"},
	{"button of version 3", "Alexa.SimpleEventSource.Event", `"name":"Event"`, `"name":"Event","payloadVersion":"3"`, "event.header.payloadVersion", `ought to be "1.0"`},
	{"data of version 3", "Alexa.DataController.DataReport", `"name":"DataReport"`, `"name":"DataReport","payloadVersion":"3"`, "event.header.payloadVersion", `ought to be "1.0"`},
	{"sight of version 3", "Alexa.SmartVision.ObjectDetectionSensor.ObjectDetection", `"name":"ObjectDetection"`, `"name":"ObjectDetection","payloadVersion":"3"`, "event.header.payloadVersion", `ought to be "1.0"`},
	{"capability without version", "Alexa.Discovery.AddOrUpdateReport", `"interface":"Alexa.PowerController","version":"3"`, `"interface":"Alexa.PowerController"`, "event.payload.endpoints[0].capabilities[1].version", "missing"},
	{"version of no kind", "Alexa.Discovery.AddOrUpdateReport", `"interface":"Alexa.PowerController","version":"3"`, `"interface":"Alexa.PowerController","version":{}`, "event.payload.endpoints[0].capabilities[1].version", "must be a string"},
	{"reported, so to say", "Alexa.Discovery.AddOrUpdateReport", `"proactivelyReported":true`, `"proactivelyReported":"yes"`,
		"event.payload.endpoints[0].capabilities[1].properties.proactivelyReported",
		"must be one of true, false, \"true\", \"false\", \"True\", \"False\", \"TRUE\", \"FALSE\", 0, 1"},
	{"supported without object", "Alexa.Discovery.AddOrUpdateReport", `[{"name":"powerState"}]`, `["powerState"]`, "event.payload.endpoints[0].capabilities[1].properties.supported[0]", "must be an object"},
	{"supported without name", "Alexa.Discovery.AddOrUpdateReport", `[{"name":"powerState"}]`, `[{}]`, "event.payload.endpoints[0].capabilities[1].properties.supported[0].name", "missing"},
	{"long model", "Alexa.Discovery.AddOrUpdateReport", `EL-100`, strings.Repeat("x", 257), "event.payload.endpoints[0].additionalAttributes.model", "longer than 256 characters"},
	{"cookie of numbers", "Alexa.Discovery.AddOrUpdateReport", `{"generation":"2"}`, `{"generation":2}`, "event.payload.endpoints[0].cookie.generation", "must be a string"},
	{"category with a space", "Alexa.Discovery.AddOrUpdateReport", `"LIGHT"`, `"NIGHT LIGHT"`, "event.payload.endpoints[0].displayCategories[0]", "has a space"},
	{"category twice", "Alexa.Discovery.AddOrUpdateReport", `"LIGHT"`, `"LIGHT","LIGHT"`, "event.payload.endpoints[0].displayCategories[1]", "the same as item 0"},
	{"capability of another type", "Alexa.Discovery.AddOrUpdateReport", `"type":"AlexaInterface"`, `"type":"Foo"`,
		"event.payload.endpoints[0].capabilities[0].type", "unknown, one of AlexaInterface"},
	{"capability twice", "Alexa.Discovery.AddOrUpdateReport", `"capabilities":[`, `"capabilities":[{"type":"AlexaInterface","interface":"Alexa","version":"3"},`, "event.payload.endpoints[0].capabilities[1]", "the same as item 0"},
	{"more than endpoints", "Alexa.Discovery.AddOrUpdateReport", `"payload":{`, `"payload":{"more":1,`, "event.payload.more",
		"unknown member"},
	{"band twice", report, `"namespace":"Alexa.ThermostatController","name":"thermostatMode","value":"HEAT"`, `"namespace":"Alexa.EqualizerController","name":"bands","value":[{"name":"BASS","level":1},{"name":"BASS","level":1}]`, "event.payload.change.properties[1].value[1]", "the same as item 0"},
}

// ofTheFormat are the problems that are Gatepost's own format's: it reads times
// that Amazon's schema does not know, and wants to know every field.
var ofTheFormat = []string{"appears twice", "must be an RFC 3339 time"}

// broken is the example of a rule with the rule broken.
func (r rule) broken(t *testing.T) []byte {
	t.Helper()
	whole := example(t, r.example)
	event := strings.Replace(whole, r.old, r.new, 1)
	if event == whole {
		t.Fatalf("the case changes nothing: %q is not in the example", r.old)
	}
	return []byte(event)
}

// held reports whether a fault is the one that breaking the rule makes.
func (r rule) held(f *alexa.FieldError) bool { return f.Path == r.path && f.Problem == r.problem }

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, test := range refused {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			event := test.broken(t)
			_, _, err := alexa.DecodeEvent(event, published, alexa.CheckStrict)
			var field *alexa.FieldError
			if !errors.As(err, &field) {
				t.Fatalf("got %v, want a FieldError", err)
			}
			if !test.held(field) {
				t.Errorf("got  %s: %s\nwant %s: %s", field.Path, field.Problem, test.path, test.problem)
			}
			if field.Warning {
				t.Error("the error is marked as a warning")
			}
			if field.Rule == "" && !slices.Contains(ofTheFormat, field.Problem) {
				t.Errorf("does not say whose rule it is: %s", field)
			}
			isCarried(t, event, test)
		})
	}
}

// isCarried wants an event that is wrong to be sent as it is when checks are
// not strict, with what is wrong said only if they warn.
func isCarried(t *testing.T, event []byte, broken rule) {
	t.Helper()
	e, warnings, err := alexa.DecodeEvent(event, published, alexa.CheckWarn)
	if err != nil {
		t.Fatalf("CheckWarn: %v", err)
	}
	if !slices.ContainsFunc(warnings, broken.held) {
		t.Errorf("CheckWarn: got %q, want among it\n%s: %s", problems(warnings), broken.path, broken.problem)
	}
	if sent := e.Append(nil, "m-1", sensitive.New("Atza|fake")); !json.Valid(sent) {
		t.Errorf("CheckWarn: sent as %s", sent)
	}
	e, warnings, err = alexa.DecodeEvent(event, published, alexa.CheckOff)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("CheckOff: error %v, warnings %q", err, problems(warnings))
	}
	if sent := e.Append(nil, "m-1", sensitive.New("Atza|fake")); !json.Valid(sent) {
		t.Errorf("CheckOff: sent as %s", sent)
	}
}

func TestWarned(t *testing.T) {
	t.Parallel()
	for _, test := range warned {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			event := test.broken(t)
			_, warnings, err := alexa.DecodeEvent(event, published, alexa.CheckStrict)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{test.path + ": " + test.problem}, problems(warnings)); diff != "" {
				t.Fatalf("warnings (-want +got):\n%s", diff)
			}
			if !warnings[0].Warning {
				t.Error("not marked as a warning")
			}
			if warnings[0].Rule != schemaRule && warnings[0].Rule != useRule && !strings.HasPrefix(warnings[0].Rule, pagesRule) {
				t.Errorf("the rule is %q, and not one of Amazon's", warnings[0].Rule)
			}
			isCarried(t, event, test)
		})
	}
}

func TestStateReportWithoutContext(t *testing.T) {
	t.Parallel()
	event, _, _ := strings.Cut(example(t, "Alexa.StateReport"), `,"context":`)
	_, warnings, err := alexa.DecodeEvent([]byte(event+"}"), published, alexa.CheckStrict)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"context: missing: the state of the endpoint's properties"}, problems(warnings)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// TestFaultsHoldNoValue: whatever is wrong with a value, it may be a secret, and
// what is said names the field only.
func TestFaultsHoldNoValue(t *testing.T) {
	t.Parallel()
	const canary = "canary.of/value"
	for name, data := range examples(t) {
		doc := decodeAny(t, data)
		for _, set := range leaves(doc) {
			old := set(canary)
			event, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = alexa.DecodeEvent(event, published, alexa.CheckStrict)
			_, warnings, _ := alexa.DecodeEvent(event, published, alexa.CheckWarn)
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("%s: %v", name, err)
			}
			if said := strings.Join(problems(warnings), "\n"); strings.Contains(said, canary) {
				t.Errorf("%s: %s", name, said)
			}
			set(old)
		}
	}
}

// leaves returns, for each value in a document that is no object or list, a
// function that replaces it and returns what was there.
func leaves(v any) []func(any) any {
	var list []func(any) any
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if below := leaves(value); below != nil {
				list = append(list, below...)
				continue
			}
			list = append(list, func(to any) (old any) { old, v[name] = v[name], to; return old })
		}
	case []any:
		for i, value := range v {
			if below := leaves(value); below != nil {
				list = append(list, below...)
				continue
			}
			list = append(list, func(to any) (old any) { old, v[i] = v[i], to; return old })
		}
	}
	return list
}

// TestEscapesAreRead: a word is the same word however JSON writes it.
func TestEscapesAreRead(t *testing.T) {
	t.Parallel()
	event := strings.NewReplacer(`"HEAT"`, `"H\u0045AT"`, `"CELSIUS"`, `"\u0043ELSIUS"`, `"APP_INTERACTION"`, `"APP\u005fINTERACTION"`).Replace(example(t, report))
	_, warnings, err := alexa.DecodeEvent([]byte(event), published, alexa.CheckStrict)
	if err != nil || len(warnings) > 0 {
		t.Errorf("error %v, warnings %q", err, problems(warnings))
	}
}
