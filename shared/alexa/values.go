package alexa

import (
	"maps"
	"slices"
	"strings"
)

// valueShapes are the values of properties, by namespace and name: those in
// Amazon's message schema, https://github.com/alexa/alexa-smarthome/tree/master/validation_schemas,
// with what the interfaces' pages have besides, and some that only the pages
// have. Alexa has more: a property that is not here may have any value. Of the
// schema's, the retired Alexa.EventDetectionSensor is left out, and three of
// Alexa.Cooking that may be written in more than one way.
var valueShapes = map[string]map[string]*shape{
	"Alexa.AutomationManagement": {"automationStatuses": listOf(openObjectOf(
		ought("status", word("AUTOMATED", "NOT_AUTOMATED")), ought("capability", aText), may("instance", aText)), 0)},
	"Alexa.BrightnessController": {"brightness": percent},
	"Alexa.ChannelController": {"channel": objectOf(
		may("number", aText), may("callSign", aText), may("affiliateCallSign", aText), may("uri", aText)).withMembers(1)},
	"Alexa.ColorController": {"color": objectOf(
		must("hue", number(0, 360)), must("saturation", number(0, 1)), must("brightness", number(0, 1)))},
	"Alexa.ColorTemperatureController": {"colorTemperatureInKelvin": whole(1000, 10000).because(
		": what is not Alexa drops after its 202; leave the property out while there is no colour temperature")},
	"Alexa.ContactSensor": {"detectionState": detected},
	"Alexa.Cooking": {
		"cookingTimeInterval": objectOf(may("start", aText), may("end", aText), may("duration", aText)),
		"foodItem": objectOf(ought("foodName", aText), may("foodCategory", foodCategory),
			may("foodQuantity", openObjectOf()), may("foodState", foodState), may("foodThickness", openObjectOf(may("value", aNumber),
				may("unit", word("METER", "KILOMETER", "CENTIMETER", "MILLIMETER", "INCH", "SPAN", "FOOT", "YARD", "MILE"))))),
	},
	"Alexa.Cooking.PresetController": {"presetName": aText},
	"Alexa.Cooking.TimeController":   {"requestedCookTime": aText},
	"Alexa.EndpointHealth": { // 3.1: alexa-endpointhealth; the words are of ckhmer1/node-red-contrib-alexa-virtual-smarthome
		"battery": openObjectOf(may("health", health), may("chargingHealth", health), may("levelPercentage", percent)),
		"connectivity": openObjectOf(must("value", word("OK", "UNREACHABLE")), may("reason", word("WIFI_BAD_PASSWORD", "WIFI_AP_NOT_FOUND",
			"WIFI_ROUTER_UNREACHABLE", "WIFI_AP_CHANNEL_QUALITY_LOW", "INTERNET_UNREACHABLE", "CAPTIVE_PORTAL_CHECK_FAILED", "UNKNOWN"))),
		"networkThroughput": openObjectOf(),
		"radioDiagnostics":  openObjectOf(),
	},
	"Alexa.EqualizerController": {
		"bands": &shape{kind: "array", unique: true,
			items: objectOf(must("name", word("BASS", "MIDRANGE", "TREBLE")),
				may("value", aWhole), may("level", aWhole)).withMembers(2)}, // alexa-equalizercontroller has value, the schema level
		"mode": word("MOVIE", "MUSIC", "NIGHT", "SPORT", "TV"),
	},
	"Alexa.HumiditySensor":       {"relativeHumidity": aNumber}, // of Echo devices, on no page
	"Alexa.InputController":      {"input": aText},
	"Alexa.InventoryLevelSensor": {"level": measurement}, // alexa-inventorylevelsensor
	"Alexa.Launcher": {"target": objectOf(
		may("experience", openObjectOf(may("mode", word("DEFAULT", "VOICE_OPTIMIZED")))), ought("name", aText), ought("identifier", aText))},
	"Alexa.LockController":              {"lockState": word("LOCKED", "UNLOCKED", "JAMMED")},
	"Alexa.ModeController":              {"mode": aText},
	"Alexa.MotionSensor":                {"detectionState": detected},
	"Alexa.Networking.AccessController": {"networkAccess": word("ALLOWED", "BLOCKED")},
	"Alexa.PercentageController":        {"percentage": percent},
	"Alexa.PlaybackStateReporter":       {"playbackState": openObjectOf(must("state", word("PLAYING", "PAUSED", "STOPPED")))},
	"Alexa.PowerController":             {"powerState": onOff},
	"Alexa.PowerLevelController":        {"powerLevel": percent},
	"Alexa.RangeController":             {"rangeValue": aNumber},
	"Alexa.RecordController":            {"RecordingState": recording, "recordingState": recording}, // the schema's, the page's
	"Alexa.SecurityPanelController": {
		"armState":            word("ARMED_AWAY", "ARMED_STAY", "ARMED_NIGHT", "DISARMED"),
		"burglaryAlarm":       alarm,
		"carbonMonoxideAlarm": alarm,
		"fireAlarm":           alarm,
		"waterAlarm":          alarm,
	},
	"Alexa.Speaker":           {"muted": aBoolean, "volume": percent},
	"Alexa.TemperatureSensor": {"temperature": temperature(aNumber)},
	"Alexa.ThermostatController": { // 3.2: alexa-thermostatcontroller
		"adaptiveRecoveryStatus": word("INACTIVE", "PRECOOLING", "PREHEATING"),
		"lowerSetpoint":          temperature(number(-100, 100)),
		"targetSetpoint":         temperature(number(-100, 100)),
		"thermostatMode":         either(thermostatMode, openObjectOf(must("value", thermostatMode))),
		"upperSetpoint":          temperature(number(-100, 100)),
	},
	"Alexa.ThermostatController.HVAC.Components": { // Alexa adds up how long each stage lasted: these reports are a log
		"auxiliaryHeaterOperation": onOff,
		"coolerOperation":          stage,
		"fanOperation":             stage,
		"primaryHeaterOperation":   stage,
	},
	"Alexa.TimeHoldController": {"holdStartTime": wholeSeconds, "holdEndTime": wholeSeconds},
	"Alexa.ToggleController":   {"toggleState": onOff},
}

var (
	percent   = whole(0, 100)
	onOff     = word("ON", "OFF")
	detected  = word("DETECTED", "NOT_DETECTED")
	alarm     = objectOf(must("value", word("ALARM", "OK")))
	recording = word("RECORDING", "NOT_RECORDING")
	stage     = word("OFF", "STAGE_1", "STAGE_2", "STAGE_3")
	health    = openObjectOf(may("state", word("OK", "WARNING", "CRITICAL")))

	thermostatMode = word("AUTO", "COOL", "CUSTOM", "ECO", "EM_HEAT", "HEAT", "OFF")

	foodCategory = word("BEEF", "BEVERAGE", "CHICKEN", "FISH", "MEAT", "PIZZA", "POPCORN", "PORK", "POTATO", "SHRIMP", "SOUP", "STEAK",
		"TURKEY", "VEGETABLE", "WATER")
	foodState = word("BRINED", "CANNED", "CHILLED", "COLD_SMOKED", "DEFROSTED", "DRIED", "EMULSIFIED", "FREEZE_DRIED", "FRESH", "FROZEN",
		"MELTED", "REFRIGERATED", "ROOM_TEMPERATURE", "SMOKED", "WHIPPED")
)

func temperature(value *shape) *shape {
	return objectOf(must("value", value), must("scale", word("FAHRENHEIT", "CELSIUS", "KELVIN")))
}

// PropertyNames returns the names of the properties that are known of an
// interface, in order: none for one that has no properties, or is not known.
func PropertyNames(namespace string) []string {
	return slices.Sorted(maps.Keys(valueShapes[namespace]))
}

// instanced are the interfaces of which an endpoint may have several, so that a
// property has to say of which one it is.
var instanced = []string{"Alexa.InventoryLevelSensor", "Alexa.ModeController", "Alexa.RangeController", "Alexa.ToggleController"}

// payloadVersions are Alexa's interfaces with the version of their messages,
// which is not always that of the interface: Alexa.ThermostatController.Schedule
// is 3.2, and its messages are of version 3. From
// https://developer.amazon.com/docs/device-apis/list-of-interfaces.html and the
// interfaces' pages.
var payloadVersions = func() map[string]string {
	versions := make(map[string]string)
	for version, list := range map[string]string{
		"3": `Alexa Alexa.Authorization Alexa.AutomationManagement Alexa.BrightnessController Alexa.CameraStreamController
			Alexa.ChannelController Alexa.ColorController Alexa.ColorTemperatureController Alexa.ContactSensor Alexa.Cooking
			Alexa.Cooking.FoodTemperatureController Alexa.Cooking.FoodTemperatureSensor Alexa.Cooking.PresetController
			Alexa.Cooking.TemperatureController Alexa.Cooking.TemperatureSensor Alexa.Cooking.TimeController Alexa.CustomIntent
			Alexa.Discovery Alexa.DoorbellEventSource Alexa.EndpointHealth Alexa.EqualizerController Alexa.EventDetectionSensor
			Alexa.HumiditySensor Alexa.InputController Alexa.InventoryLevelSensor Alexa.InventoryLevelUsageSensor
			Alexa.InventoryUsageSensor Alexa.KeypadController Alexa.Launcher Alexa.LockController Alexa.MediaMetadata
			Alexa.ModeController Alexa.MotionSensor Alexa.Networking Alexa.Networking.AccessController Alexa.Networking.ConnectedDevice
			Alexa.Networking.HomeNetworkController Alexa.PercentageController Alexa.PlaybackController Alexa.PlaybackStateReporter
			Alexa.PowerController Alexa.PowerLevelController Alexa.RangeController Alexa.RecordController Alexa.RemoteVideoPlayer
			Alexa.RTCSessionController Alexa.Safety Alexa.SceneController Alexa.SecurityPanelController Alexa.SeekController
			Alexa.Speaker Alexa.StepSpeaker Alexa.TemperatureSensor Alexa.ThermostatController Alexa.ThermostatController.Configuration
			Alexa.ThermostatController.Schedule Alexa.TimeHoldController Alexa.ToggleController Alexa.UIController Alexa.Video
			Alexa.VideoRecorder Alexa.WakeOnLANController`,
		"1.0": `Alexa.ApplicationStateReporter Alexa.Audio.PlayQueue Alexa.AuthorizationController Alexa.Automotive.VehicleData
			Alexa.Commissionable Alexa.ConsentManagement.ConsentRequiredReporter Alexa.DataController Alexa.DeviceUsage.Estimation
			Alexa.DeviceUsage.Meter Alexa.ProactiveNotificationSource Alexa.SimpleEventSource Alexa.SmartVision.ObjectDetectionSensor
			Alexa.ThermostatController.HVAC.Components Alexa.UserPreference`,
		"1.1": "Alexa.SecurityPanelController.Alert Alexa.SmartVision.SnapshotProvider",
		"1.7": "Alexa.Camera.LiveViewController",
	} {
		for _, namespace := range strings.Fields(list) {
			versions[namespace] = version
		}
	}
	return versions
}()

var interfaces = slices.Sorted(maps.Keys(payloadVersions))

// nearInterface asks for the interface that one which is not known may be meant
// to be.
func nearInterface(namespace string) string {
	word := Nearest(namespace, interfaces)
	if _, ok := payloadVersions["Alexa."+namespace]; ok {
		word = "Alexa." + namespace
	}
	if word == "" {
		return ""
	}
	return "unknown: did you mean " + word + "?"
}

// eventful are the interfaces without properties: they have events, or what
// discovery says, and a ChangeReport of them says nothing to Alexa.
var eventful = []string{"Alexa.DeviceUsage.Estimation", "Alexa.DeviceUsage.Meter", "Alexa.InventoryLevelUsageSensor",
	"Alexa.InventoryUsageSensor", "Alexa.SimpleEventSource"}

// unlisted are interfaces in older copies of Amazon's list only.
const unlisted = "2026, when Amazon's list of interfaces lost it"

// retiredInterface says since when an interface is no more, empty for the
// others. See https://developer.amazon.com/docs/device-apis/list-of-interfaces.html.
func retiredInterface(namespace string) string {
	switch {
	case namespace == "Alexa.AuthorizationController", namespace == "Alexa.Automotive.VehicleData":
		return unlisted
	case namespace == "Alexa.CustomIntent":
		return "an unknown date" // Amazon's page gives none
	case namespace == "Alexa.EventDetectionSensor":
		return "February 2023"
	case namespace == "Alexa.MediaMetadata":
		return "15 March 2023"
	case namespace == "Alexa.Networking", strings.HasPrefix(namespace, "Alexa.Networking."):
		return "1 April 2024"
	}
	return ""
}
