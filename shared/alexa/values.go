package alexa

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"time"
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

// instanced are the interfaces with several instances per endpoint, whose properties
// must name theirs.
var instanced = []string{"Alexa.InventoryLevelSensor", "Alexa.ModeController", "Alexa.RangeController", "Alexa.ToggleController"}

// payloadVersions maps Alexa's interfaces to the version of their messages, which is not
// always that of the interface: Alexa.ThermostatController.Schedule is 3.2, and its
// messages have version 3. From
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

// nearInterface returns the suggestion for an unknown interface whose name resembles a
// known one, "" for any other.
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

// eventful are interfaces without properties: they have events, or only an entry in the
// discovery, and a ChangeReport of them has no meaning for Alexa.
var eventful = []string{"Alexa.DeviceUsage.Estimation", "Alexa.DeviceUsage.Meter", "Alexa.InventoryLevelUsageSensor",
	"Alexa.InventoryUsageSensor", "Alexa.SimpleEventSource"}

// unlisted is the date for interfaces that only older copies of Amazon's list have.
const unlisted = "2026, when Amazon's list of interfaces lost it"

// retiredInterface returns the date since which an interface is retired, empty for the
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

// payload decodes the payload of a ChangeReport, and carries any other unchanged except
// for the form of a timestamp.
func (d *decoder) payload(e *Event, kind Kind, raw []byte) error {
	if absent(raw) {
		raw = []byte("{}") // some kinds have no content
	}
	var scope, others, moment []byte
	if err := pick(raw, ignore, member{"scope", &scope}); err != nil {
		return in("event.payload", err)
	}
	if scope != nil {
		if !absent(scope) {
			return wrong("event.payload.scope", leaveOut)
		}
		_ = pick(raw, nil, member{"scope", new([]byte)}, rest(&others))
		raw = objectOfRest(others)
	}
	e.Payload = raw
	if e.IsChangeReport() {
		return d.changeReport(e, raw)
	}
	if kind.moment != "" && pick(raw, ignore, member{kind.moment, &moment}) == nil && moment != nil {
		e.Payload = withTime(raw, moment, kind.finest)
	}
	if kind.payload == nil || d.checks == CheckOff {
		return nil
	}
	d.rule = kind.source()
	if e.Header.Name == "AddOrUpdateReport" {
		d.discovery(e.Payload)
	}
	if kind.Retired != "" { // its page is gone
		d.rule = ruleSchema
		d.lenient++
		defer func() { d.lenient-- }()
	}
	d.enter("event.payload")
	defer d.leave()
	return d.check(kind.payload, e.Payload)
}

// changeReport decodes payload.change, and carries the payload's other members.
func (d *decoder) changeReport(e *Event, raw []byte) error {
	var change, others []byte
	if err := pick(raw, nil, member{"change", &change}, rest(&others)); err != nil {
		return in("event.payload", err)
	}
	c, err := d.change(change)
	if err != nil {
		return d.tolerate(err)
	}
	c.payloadRest = others
	e.Change, e.Payload = c, nil
	if others != nil {
		d.note(warning(ruleSchema, "event.payload", "has more than a change"))
	}
	if c.changeRest != nil {
		d.note(warning(ruleSchema, "event.payload.change", "has more than cause and properties"))
	}
	return nil
}

// withTime returns the payload with the time value, which is a part of it, in Alexa's
// form and no finer than finest. A value that is not a time stays as it is.
func withTime(payload, value []byte, finest time.Duration) []byte {
	t, err := decodeTime("", value)
	if err != nil {
		return payload
	}
	layout := timeLayout
	if finest == time.Second {
		layout = secondsLayout
	}
	asWritten, _ := text(value) // decodeTime has decoded it
	if instantForm(asWritten) == "" && len(asWritten) <= len(layout) {
		return payload
	}
	at := cap(payload) - cap(value) // value begins there
	written := append(make([]byte, 0, len(payload)+8), payload[:at]...)
	written = append(t.UTC().AppendFormat(append(written, '"'), layout), '"')
	return append(written, payload[at+len(value):]...)
}

// objectOfRest returns an object of the members that rest has collected.
func objectOfRest(rest []byte) []byte {
	return append(append([]byte{'{'}, bytes.TrimPrefix(rest, []byte{','})...), '}')
}

// rest has pick collect the other members, as `,"name":value`.
func rest(into *[]byte) member { return member{"", into} }

// change decodes payload.change.
func (d *decoder) change(raw []byte) (*Change, error) {
	const path = "event.payload.change"
	if absent(raw) {
		return nil, breaks(ruleChange, path, "%s", missing(raw))
	}
	var cause, properties, typ, others []byte
	c := new(Change)
	err := pick(raw, nil, member{"cause", &cause}, member{"properties", &properties}, rest(&c.changeRest))
	if err != nil {
		return nil, in(path, err)
	}
	if absent(cause) {
		return nil, breaks(ruleChange, path+".cause", "%s, an object with type, %s", missing(cause), oneOfThese(causes))
	}
	if err := d.tolerate(in(path+".cause", pick(cause, nil, member{"type", &typ}, rest(&others)))); err != nil {
		return nil, err
	}
	if c.Cause, err = d.cause(path+".cause.type", typ); err != nil {
		return nil, err
	}
	if others != nil {
		d.note(warning(ruleSchema, path+".cause", "has more than a type"))
	}
	if others != nil || d.checks != CheckStrict {
		c.cause = cause
	}
	c.Properties, err = d.changed(path+".properties", properties)
	return c, err
}

func (d *decoder) cause(path string, raw []byte) (string, error) {
	cause, err := required(path, raw)
	if field, ok := err.(*FieldError); ok {
		field.Problem += ", " + oneOfThese(causes)
		field.Rule = ruleChange
	}
	if err == nil && !slices.Contains(causes, cause) {
		err = d.tolerate(breaks(ruleChange, path, "%s", oneOfWords(causes, cause)))
	}
	return cause, err
}

// changed decodes the changed properties, of which there must be one at least.
func (d *decoder) changed(path string, raw []byte) ([]Property, error) {
	if absent(raw) {
		return nil, breaks(ruleChange, path, "%s", missing(raw))
	}
	list, err := d.properties(path, raw)
	if err == nil && len(list) == 0 {
		err = d.tolerate(breaks(ruleReporting, path, "empty"))
	}
	return list, err
}

func (d *decoder) context(raw []byte) (*Context, error) {
	var properties []byte
	if err := pick(raw, nil, member{"properties", &properties}); err != nil {
		return nil, in("context", err)
	}
	if absent(properties) {
		return &Context{}, nil
	}
	list, err := d.properties("context.properties", properties)
	return &Context{Properties: list}, err
}

// propertySize is the approximate size of a property with all its members.
const propertySize = 150

// properties decodes an array of properties. It never returns a nil list.
func (d *decoder) properties(path string, raw []byte) ([]Property, error) {
	if raw[0] != '[' {
		return nil, wrong(path, "must be an array")
	}
	list := make([]Property, 0, len(raw)/propertySize+1)
	err := each(raw, func(i int, value []byte) error {
		d.enter(path)
		d.enterItem(i)
		defer func() { d.at = d.at[:len(d.at)-2] }()
		p, err := d.property(value)
		if err != nil {
			if d.unread++; d.unread > mostUnread {
				return wrong(path, "more than %d properties that cannot be read", mostUnread)
			}
			if err := d.tolerate(in(itemPath(path, i), err)); err != nil {
				return err
			}
			p = Property{raw: withDefaults(value, d.published)}
		}
		list = append(list, p)
		if p.raw != nil || d.checks == CheckOff {
			return nil
		}
		return d.state(&p)
	})
	return list, err
}

// mostUnread is how many undecodable properties an event may have. It bounds the event's
// growth: each is sent with defaults that the publisher left out.
const mostUnread = 1000
