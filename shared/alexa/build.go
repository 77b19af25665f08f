package alexa

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Builders for the events that a maker's Go services publish most. They set the fields
// that the kind needs; [Event.Device] checks and encodes the event.

// NewProperty returns the state of a property at a time. encoding/json encodes value; a
// json.RawMessage stays as it is. For an interface with several instances per endpoint
// the caller sets Instance.
func NewProperty(namespace, name string, value any, at time.Time) (Property, error) {
	encoded, err := encode(value)
	if err != nil {
		return Property{}, fmt.Errorf("alexa: value of %s.%s: %w", namespace, name, err)
	}
	return Property{Namespace: namespace, Name: name, Value: encoded, TimeOfSample: at, Uncertainty: noUncertainty}, nil
}

// NewConnectivity returns the connectivity property of Alexa.EndpointHealth 3.1 at a
// time: OK for an empty reason, UNREACHABLE for one of Alexa's reasons, for example
// INTERNET_UNREACHABLE.
func NewConnectivity(reason string, at time.Time) Property {
	value := map[string]string{"value": "OK"}
	if reason != "" {
		value = map[string]string{"value": "UNREACHABLE", "reason": reason}
	}
	return healthProperty("connectivity", value, at)
}

// NewBattery returns the battery property of Alexa.EndpointHealth 3.1 at a time. state is
// OK, WARNING or CRITICAL; reasons are Alexa's, for example LOW_CHARGE.
func NewBattery(levelPercentage int, state string, at time.Time, reasons ...string) Property {
	health := map[string]any{"state": state}
	if len(reasons) > 0 {
		health["reasons"] = reasons
	}
	return healthProperty("battery", map[string]any{"health": health, "levelPercentage": levelPercentage}, at)
}

func healthProperty(name string, value any, at time.Time) Property {
	p, _ := NewProperty("Alexa.EndpointHealth", name, value, at) // strings and numbers always encode
	return p
}

// NewInventoryConsumed returns an event for the use of a supply that an instance of
// Alexa.InventoryUsageSensor counts. usage is an object with @type, value and, for volume
// and weight, unit. The event must be counted once and never expires.
func NewInventoryConsumed(userID, endpointID, instance string, usage any, at time.Time) (Event, error) {
	e := newEvent(userID, "Alexa.InventoryUsageSensor", "InventoryConsumed", endpointID)
	e.Header.Instance = instance
	return withPayload(e, map[string]any{"usage": usage, "timeOfSample": FormatTime(at)})
}

// NewChangeReport returns a report of changed properties, with the state of the
// endpoint's others. cause is one of Alexa's, for example PHYSICAL_INTERACTION.
func NewChangeReport(userID, endpointID, cause string, changed, unchanged []Property) Event {
	e := newEvent(userID, "Alexa", "ChangeReport", endpointID)
	e.Change = &Change{Cause: cause, Properties: changed}
	e.Context = &Context{Properties: append([]Property{}, unchanged...)}
	return e
}

// NewAddOrUpdateReport returns a report of new or changed endpoints. encoding/json
// encodes each as an element of payload.endpoints.
func NewAddOrUpdateReport[E any](userID string, endpoints ...E) (Event, error) {
	return withPayload(newEvent(userID, "Alexa.Discovery", "AddOrUpdateReport", ""), map[string]any{"endpoints": endpoints})
}

// NewDeleteReport returns a report of removed endpoints.
func NewDeleteReport(userID string, endpointIDs ...string) Event {
	endpoints := make([]map[string]string, len(endpointIDs))
	for i, id := range endpointIDs {
		endpoints[i] = map[string]string{"endpointId": id}
	}
	return plainPayload(newEvent(userID, "Alexa.Discovery", "DeleteReport", ""), map[string]any{"endpoints": endpoints})
}

// NewDoorbellPress returns an event for the press of a doorbell at a time, in whole
// seconds.
func NewDoorbellPress(userID, endpointID, cause string, at time.Time) Event {
	e := newEvent(userID, "Alexa.DoorbellEventSource", "DoorbellPress", endpointID)
	e.Context = new(Context)
	return plainPayload(e, map[string]any{
		"cause":     map[string]string{"type": cause},
		"timestamp": at.UTC().Format(secondsLayout),
	})
}

// NewResponse returns the asynchronous answer to a directive that succeeded, with the
// endpoint's properties afterwards.
func NewResponse(userID, endpointID, correlationToken string, properties []Property) Event {
	return answer(userID, "Response", endpointID, correlationToken, properties)
}

// NewStateReport returns the asynchronous answer to a ReportState directive.
func NewStateReport(userID, endpointID, correlationToken string, properties []Property) Event {
	return answer(userID, "StateReport", endpointID, correlationToken, properties)
}

// NewErrorResponse returns the asynchronous answer to a directive that failed. kind is
// one of Alexa's, for example ENDPOINT_UNREACHABLE; some kinds need more members in the
// payload, which the caller adds.
func NewErrorResponse(userID, endpointID, correlationToken, kind, message string) Event {
	e := newEvent(userID, "Alexa", "ErrorResponse", endpointID)
	e.Header.CorrelationToken = correlationToken
	return plainPayload(e, map[string]any{"type": kind, "message": message})
}

func answer(userID, name, endpointID, correlationToken string, properties []Property) Event {
	e := newEvent(userID, "Alexa", name, endpointID)
	e.Header.CorrelationToken = correlationToken
	e.Context = &Context{Properties: append([]Property{}, properties...)}
	return e
}

func newEvent(userID, namespace, name, endpointID string) Event {
	e := Event{UserID: userID, Payload: json.RawMessage("{}")}
	e.Header = Header{Namespace: namespace, Name: name, PayloadVersion: KindOf(namespace, name).Version}
	if endpointID != "" {
		e.Endpoint = &Endpoint{ID: endpointID}
	}
	return e
}

func withPayload(e Event, payload any) (Event, error) {
	encoded, err := encode(payload)
	if err != nil {
		return Event{}, fmt.Errorf("alexa: payload of %s: %w", e.Header.Name, err)
	}
	e.Payload = encoded
	return e, nil
}

// encode returns a value as JSON. It does not escape <, > and &: the JSON is never
// embedded in HTML.
func encode(value any) (json.RawMessage, error) {
	if raw, ok := value.(json.RawMessage); ok && json.Valid(raw) {
		return bytes.TrimSpace(bytes.Clone(raw)), nil
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSpace(text.Bytes()), err
}

// plainPayload is withPayload for a payload that always encodes.
func plainPayload(e Event, payload any) Event {
	e.Payload, _ = encode(payload)
	return e
}
