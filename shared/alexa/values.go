package alexa

import (
	"maps"
	"slices"
	"strings"
)

// valueShapes are the values of the properties in Amazon's message schema,
// https://github.com/alexa/alexa-smarthome/tree/master/validation_schemas, by
// namespace and name. Alexa has more: a property that is not here may have any
// value. Some of the schema's are left out: the level of Alexa.InventoryLevelSensor,
// which is a number there and an object in Amazon's pages of today, the retired
// Alexa.EventDetectionSensor, and three of Alexa.Cooking that may be written in
// more than one way.
var valueShapes = map[string]map[string]*shape{
	"Alexa.AutomationManagement": {"automationStatuses": listOf(openObjectOf(
		must("status", word("AUTOMATED", "NOT_AUTOMATED")), must("capability", aText), may("instance", aText)), 0)},
	"Alexa.BrightnessController": {"brightness": percent},
	"Alexa.ChannelController": {"channel": objectOf(
		may("number", aText), may("callSign", aText), may("affiliateCallSign", aText), may("uri", aText)).withMembers(1)},
	"Alexa.ColorController": {"color": objectOf(
		must("hue", number(0, 360)), must("saturation", number(0, 1)), must("brightness", number(0, 1)))},
	"Alexa.ColorTemperatureController": {"colorTemperatureInKelvin": whole(1000, 10000)},
	"Alexa.ContactSensor":              {"detectionState": detected},
	"Alexa.Cooking": {
		"cookingTimeInterval": objectOf(may("start", aText), may("end", aText), may("duration", aText)),
		"foodItem": objectOf(must("foodName", aText), may("foodCategory", foodCategory), may("foodQuantity", openObjectOf()), may("foodState", foodState),
			may("foodThickness", openObjectOf(may("value", aNumber), may("unit", word("METER", "KILOMETER", "CENTIMETER", "MILLIMETER", "INCH", "SPAN", "FOOT", "YARD", "MILE"))))),
	},
	"Alexa.Cooking.PresetController": {"presetName": aText},
	"Alexa.Cooking.TimeController":   {"requestedCookTime": aText},
	"Alexa.EndpointHealth":           {"connectivity": openObjectOf(must("value", word("OK", "UNREACHABLE")))},
	"Alexa.EqualizerController": {
		"bands": &shape{kind: "array", unique: true,
			items: objectOf(must("name", word("BASS", "MIDRANGE", "TREBLE")), may("level", aWhole)).withMembers(2)},
		"mode": word("MOVIE", "MUSIC", "NIGHT", "SPORT", "TV"),
	},
	"Alexa.InputController": {"input": aText},
	"Alexa.Launcher": {"target": objectOf(
		may("experience", openObjectOf(may("mode", word("DEFAULT", "VOICE_OPTIMIZED")))), must("name", aText), must("identifier", aText))},
	"Alexa.LockController":              {"lockState": word("LOCKED", "UNLOCKED", "JAMMED")},
	"Alexa.ModeController":              {"mode": aText},
	"Alexa.MotionSensor":                {"detectionState": detected},
	"Alexa.Networking.AccessController": {"networkAccess": word("ALLOWED", "BLOCKED")},
	"Alexa.PercentageController":        {"percentage": percent},
	"Alexa.PowerController":             {"powerState": onOff},
	"Alexa.PowerLevelController":        {"powerLevel": percent},
	"Alexa.RangeController":             {"rangeValue": aNumber},
	"Alexa.RecordController":            {"RecordingState": word("RECORDING", "NOT_RECORDING")},
	"Alexa.SecurityPanelController": {
		"armState":            word("ARMED_AWAY", "ARMED_STAY", "ARMED_NIGHT", "DISARMED"),
		"burglaryAlarm":       alarm,
		"carbonMonoxideAlarm": alarm,
		"fireAlarm":           alarm,
		"waterAlarm":          alarm,
	},
	"Alexa.Speaker":           {"muted": aBoolean, "volume": percent},
	"Alexa.TemperatureSensor": {"temperature": temperature(aNumber)},
	"Alexa.ThermostatController": {
		"lowerSetpoint":  temperature(number(-100, 100)),
		"targetSetpoint": temperature(number(-100, 100)),
		"thermostatMode": word("AUTO", "COOL", "HEAT", "ECO", "OFF"),
		"upperSetpoint":  temperature(number(-100, 100)),
	},
	"Alexa.TimeHoldController": {"holdStartTime": wholeSeconds, "holdEndTime": wholeSeconds},
	"Alexa.ToggleController":   {"toggleState": onOff},
}

var (
	percent  = whole(0, 100)
	onOff    = word("ON", "OFF")
	detected = word("DETECTED", "NOT_DETECTED")
	alarm    = objectOf(must("value", word("ALARM", "OK")))

	foodCategory = word("BEEF", "BEVERAGE", "CHICKEN", "FISH", "MEAT", "PIZZA", "POPCORN", "PORK", "POTATO", "SHRIMP", "SOUP", "STEAK", "TURKEY",
		"VEGETABLE", "WATER")
	foodState = word("BRINED", "CANNED", "CHILLED", "COLD_SMOKED", "DEFROSTED", "DRIED", "EMULSIFIED", "FREEZE_DRIED", "FRESH", "FROZEN", "MELTED",
		"REFRIGERATED", "ROOM_TEMPERATURE", "SMOKED", "WHIPPED")
)

func temperature(value *shape) *shape {
	return objectOf(must("value", value), must("scale", word("FAHRENHEIT", "CELSIUS", "KELVIN")))
}

// PropertyNames returns the names of the properties that an interface has in
// Amazon's message schema, in order: none for an interface that has no properties,
// or that the schema does not know.
func PropertyNames(namespace string) []string {
	return slices.Sorted(maps.Keys(valueShapes[namespace]))
}

// instanced are the interfaces of which an endpoint may have several, so that a
// property has to say of which one it is.
var instanced = []string{"Alexa.ModeController", "Alexa.RangeController", "Alexa.ToggleController"}

// retiredInterface says since when an interface is no more, empty for the
// others. See https://developer.amazon.com/docs/device-apis/list-of-interfaces.html.
func retiredInterface(namespace string) string {
	switch {
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
