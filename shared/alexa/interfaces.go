package alexa

import (
	"maps"
	"slices"
	"strings"
)

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
