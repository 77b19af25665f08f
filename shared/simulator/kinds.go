package simulator

import (
	"fmt"
	"slices"
	"strings"
)

// place is where an event's body carries the token.
type place int

const (
	anywhere   place = iota // either, for an unknown event
	inEndpoint              // event.endpoint.scope
	inPayload               // event.payload.scope, and no event.endpoint
)

// kind describes one kind of event.
type kind struct {
	version     string   // payloadVersion, any if empty
	place       place    // of the token
	correlated  bool     // it answers a directive, and must have its correlationToken
	synchronous bool     // it is never sent to the gateway
	requires    []string // required fields of the payload
	check       func(event) *wrong
}

// kinds maps namespace and name to the kind. Alexa has more: an unlisted event is checked
// only against the rules for all events.
var kinds = map[string]kind{
	"Alexa/ChangeReport":  {version: "3", place: inEndpoint, check: checkChangeReport},
	"Alexa/Response":      {version: "3", place: inEndpoint, correlated: true},
	"Alexa/StateReport":   {version: "3", place: inEndpoint, correlated: true},
	"Alexa/ErrorResponse": {version: "3", place: inEndpoint, requires: []string{"type", "message"}},

	"Alexa.Discovery/AddOrUpdateReport": {version: "3", place: inPayload, check: checkAddOrUpdateReport},
	"Alexa.Discovery/DeleteReport":      {version: "3", place: inPayload, check: checkDeleteReport},

	"Alexa.DoorbellEventSource/DoorbellPress":       {version: "3", place: inEndpoint, check: checkDoorbellPress},
	"Alexa.SceneController/ActivationStarted":       {version: "3", place: inEndpoint, check: checkScene},
	"Alexa.SceneController/DeactivationStarted":     {version: "3", place: inEndpoint, check: checkScene},
	"Alexa.SimpleEventSource/Event":                 {version: "1.0", place: inEndpoint, requires: []string{"id"}, check: checkSimpleEvent},
	"Alexa.WakeOnLANController/WakeUp":              {version: "3", place: inEndpoint},
	"Alexa.MediaMetadata/MediaDeleted":              {version: "3", place: inPayload, requires: []string{"mediaIds"}},
	"Alexa.MediaMetadata/GetMediaMetadata.Response": {version: "3", place: inPayload},

	"Alexa.RTCSessionController/AnswerGeneratedForSession": {version: "3", place: inEndpoint, requires: []string{"answer"}},
	"Alexa.RTCSessionController/SessionConnected":          {version: "3", place: inEndpoint, requires: []string{"sessionId"}},
	"Alexa.RTCSessionController/SessionDisconnected":       {version: "3", place: inEndpoint, requires: []string{"sessionId"}},

	"Alexa.DataController/DataReport":                   {version: "1.0", place: inEndpoint},
	"Alexa.DeviceUsage.Meter/MeasurementsReport":        {version: "1.0", place: inEndpoint},
	"Alexa.InventoryUsageSensor/InventoryConsumed":      {version: "3", place: inEndpoint, requires: []string{"usage"}, check: checkInventory},
	"Alexa.InventoryLevelUsageSensor/InventoryConsumed": {version: "3", place: inEndpoint, requires: []string{"usage"}, check: checkInventory},
	"Alexa.InventoryLevelUsageSensor/InventoryReplaced": {version: "3", place: inEndpoint, check: checkInventory},

	"Alexa.Commissionable/CommissioningInformationReport": {version: "1.0", place: inEndpoint, correlated: true},

	"Alexa.AuthorizationController/ErrorResponse":                       {version: "1.0", place: inEndpoint, requires: []string{"type"}},
	"Alexa.Commissionable/ReportCommissioningInformation.ErrorResponse": {version: "1.0", place: inEndpoint, requires: []string{"type"}},
	"Alexa.DataController/ErrorResponse":                                {version: "1.0", place: inEndpoint, requires: []string{"type"}},
	"Alexa.SmartVision.ObjectDetectionSensor/ErrorResponse":             {version: "1.0", place: inEndpoint, requires: []string{"type"}},
	"Alexa.SmartVision.SnapshotProvider/ErrorResponse":                  {version: "1.1", place: inEndpoint, requires: []string{"type"}},
	"Alexa.ThermostatController.Schedule/ErrorResponse":                 {version: "3", place: inEndpoint, requires: []string{"type"}},

	"Alexa.Authorization/AcceptGrant.Response": {synchronous: true},
	"Alexa.Discovery/Discover.Response":        {synchronous: true},
}

var causes = []string{"APP_INTERACTION", "PHYSICAL_INTERACTION", "PERIODIC_POLL", "RULE_TRIGGER", "VOICE_INTERACTION",
	"INVALID_CREDENTIALS", "SUBSCRIPTION_EXPIRED"}

func checkCause(o object, where string) *wrong {
	if !slices.Contains(causes, text(child(o, "cause"), "type")) {
		return malformed("%s.cause.type is none of %s", where, strings.Join(causes, ", "))
	}
	return nil
}

func checkChangeReport(e event) *wrong {
	change := child(e.payload, "change")
	if change == nil {
		return malformed("event.payload.change is missing")
	}
	if w := checkCause(change, "event.payload.change"); w != nil {
		return w
	}
	if len(list(change, "properties")) == 0 {
		return malformed("event.payload.change.properties is missing or empty")
	}
	return checkProperties(change["properties"], "event.payload.change.properties")
}

// checkProperties checks a list of properties.
func checkProperties(raw any, where string) *wrong {
	properties, ok := raw.([]any)
	if !ok {
		return malformed("%s is not an array", where)
	}
	for i, raw := range properties {
		property, _ := raw.(object)
		if w := checkProperty(property, fmt.Sprintf("%s[%d]", where, i)); w != nil {
			return w
		}
	}
	return nil
}

// instanced are the interfaces with several instances per endpoint.
var instanced = []string{"Alexa.InventoryLevelSensor", "Alexa.ModeController", "Alexa.RangeController", "Alexa.ToggleController"}

func checkProperty(p object, where string) *wrong {
	_, isNumber := p["uncertaintyInMilliseconds"].(float64)
	switch {
	case text(p, "namespace") == "" || text(p, "name") == "":
		return malformed("%s.namespace or name is missing", where)
	case p["value"] == nil:
		return unconvertible(where + ".value is missing")
	case !isNumber:
		return malformed("%s.uncertaintyInMilliseconds is not a number", where)
	case slices.Contains(instanced, text(p, "namespace")) && text(p, "instance") == "":
		return malformed("%s.instance is missing", where)
	}
	return checkTime(p["timeOfSample"], where+".timeOfSample")
}

// checkDoorbellPress requires whole seconds: the schema allows no fraction here.
func checkDoorbellPress(e event) *wrong {
	if w := checkCause(e.payload, "event.payload"); w != nil {
		return w
	}
	if strings.Contains(text(e.payload, "timestamp"), ".") {
		return malformed("event.payload.timestamp has a fraction of a second")
	}
	return checkTime(e.payload["timestamp"], "event.payload.timestamp")
}

// checkScene checks the fields that are present: only the schema of 2021 requires them.
func checkScene(e event) *wrong {
	if e.payload["cause"] != nil {
		if w := checkCause(e.payload, "event.payload"); w != nil {
			return w
		}
	}
	if e.payload["timestamp"] == nil {
		return nil
	}
	return checkTime(e.payload["timestamp"], "event.payload.timestamp")
}

func checkInventory(e event) *wrong {
	if text(e.header, "instance") == "" {
		return malformed("event.header.instance is missing")
	}
	if e.payload["timeOfSample"] == nil {
		return nil
	}
	return checkTime(e.payload["timeOfSample"], "event.payload.timeOfSample")
}

func checkSimpleEvent(e event) *wrong {
	if text(e.header, "instance") == "" {
		return malformed("event.header.instance is missing")
	}
	return checkTime(e.payload["timestamp"], "event.payload.timestamp")
}

// maxEndpoints is how many endpoints a request, and a customer, may have.
const maxEndpoints = 300

// checkEndpoints checks payload.endpoints, each also with the given check.
func checkEndpoints(e event, check func(endpoint object, where string) *wrong) *wrong {
	endpoints := list(e.payload, "endpoints")
	switch {
	case len(endpoints) == 0:
		return malformed("event.payload.endpoints is missing or empty")
	case len(endpoints) > maxEndpoints:
		return &wrong{TooLarge, known[TooLarge].description, "more than 300 endpoints"}
	}
	for i, raw := range endpoints {
		endpoint, _ := raw.(object)
		where := fmt.Sprintf("event.payload.endpoints[%d]", i)
		if w := checkEndpointID(endpoint, where); w != nil {
			return w
		}
		if w := check(endpoint, where); w != nil {
			return w
		}
	}
	return nil
}

func checkDeleteReport(e event) *wrong {
	return checkEndpoints(e, func(object, string) *wrong { return nil })
}

func checkAddOrUpdateReport(e event) *wrong {
	return checkEndpoints(e, func(endpoint object, where string) *wrong {
		for _, name := range []string{"manufacturerName", "description"} {
			if t := text(endpoint, name); t == "" || len([]rune(t)) > 128 {
				return malformed("%s.%s is not 1 to 128 characters", where, name)
			}
		}
		if len(list(endpoint, "displayCategories")) == 0 {
			return malformed("%s.displayCategories is missing or empty", where)
		}
		if n := len(list(endpoint, "capabilities")); n == 0 || n > 100 {
			return malformed("%s.capabilities are not 1 to 100", where)
		}
		return nil
	})
}
