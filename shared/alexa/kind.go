package alexa

// oldVersions are the kinds whose payloadVersion is not "3". Sources: the
// pages alexa-simpleeventsource, alexa-datacontroller, alexa-deviceusage-meter
// and alexa-smartvision-objectdetectionsensor under
// https://developer.amazon.com/docs/device-apis/.
var oldVersions = map[string]string{
	"Alexa.SimpleEventSource":                 "1.0",
	"Alexa.DataController":                    "1.0",
	"Alexa.DeviceUsage.Meter":                 "1.0",
	"Alexa.DeviceUsage.Estimation":            "1.0",
	"Alexa.SmartVision.ObjectDetectionSensor": "1.0",
	"Alexa.SmartVision.SnapshotProvider":      "1.0",
}

// defaultVersion is the payloadVersion of an event whose publisher gave none.
func defaultVersion(namespace string) string {
	if v, ok := oldVersions[namespace]; ok {
		return v
	}
	return "3"
}

// tokenInPayload reports whether Amazon wants the token of this kind in
// event.payload.scope; all others have an endpoint that carries it.
func tokenInPayload(namespace, name string) bool {
	switch namespace + "/" + name {
	case "Alexa.Discovery/AddOrUpdateReport", "Alexa.Discovery/DeleteReport",
		"Alexa.MediaMetadata/MediaDeleted", "Alexa.MediaMetadata/GetMediaMetadata.Response":
		return true
	}
	return false
}

// needsEndpoint reports whether a kind is known to be about one endpoint. Of
// kinds nobody here has heard of, an endpoint is neither asked nor refused.
func needsEndpoint(namespace, name string) bool {
	switch namespace + "/" + name {
	case "Alexa/ChangeReport", "Alexa/StateReport", "Alexa/Response", "Alexa/ErrorResponse",
		"Alexa.DoorbellEventSource/DoorbellPress", "Alexa.SimpleEventSource/Event":
		return true
	}
	return false
}

// causes are the values of change.cause.type in Amazon's schema.
var causes = map[string]bool{
	"APP_INTERACTION":      true,
	"INVALID_CREDENTIALS":  true,
	"PERIODIC_POLL":        true,
	"PHYSICAL_INTERACTION": true,
	"RULE_TRIGGER":         true,
	"SUBSCRIPTION_EXPIRED": true,
	"VOICE_INTERACTION":    true,
}
