package alexa

import (
	"maps"
	"slices"
)

// valueShapes are the shapes of properties' values, by namespace and name. They come
// from Amazon's message schema,
// https://github.com/alexa/alexa-smarthome/tree/master/validation_schemas, and from the
// interfaces' pages. Alexa has more: a property that is not here may have any value. The
// schema's retired Alexa.EventDetectionSensor is left out, and three properties of
// Alexa.Cooking that have more than one form.
var valueShapes = map[string]map[string]*shape{
	"Alexa.AutomationManagement": {"automationStatuses": listOf(openObjectOf(
		ought("status", word("AUTOMATED", "NOT_AUTOMATED")), ought("capability", aText), may("instance", aText)), 0)},
	"Alexa.BrightnessController": {"brightness": percent},
	"Alexa.ChannelController": {"channel": objectOf(
		may("number", aText), may("callSign", aText), may("affiliateCallSign", aText), may("uri", aText)).withMembers(1)},
	"Alexa.ColorController": {"color": objectOf(
		must("hue", number(0, 360)), must("saturation", number(0, 1)), must("brightness", number(0, 1)))},
	"Alexa.ColorTemperatureController": {"colorTemperatureInKelvin": whole(1000, 10000).because(
		": Alexa drops other values after its 202; leave the property out while there is no colour temperature")},
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
	"Alexa.ThermostatController.HVAC.Components": { // Alexa totals how long each stage lasted: these reports are a log
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

// PropertyNames returns the names of an interface's known properties, sorted: none for
// an interface that has none, or is unknown.
func PropertyNames(namespace string) []string {
	return slices.Sorted(maps.Keys(valueShapes[namespace]))
}
