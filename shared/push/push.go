// Package push decodes the body of a wrapped Pub/Sub push request
// (https://cloud.google.com/pubsub/docs/push). An Eventarc CloudEvent of type
// google.cloud.pubsub.topic.v1.messagePublished has the same body.
//
// The functions framework decodes it too, but drops the ordering key and the
// delivery attempt.
package push

import (
	"encoding/json"
	"errors"
	"time"
)

// Message is one delivery of one Pub/Sub message.
type Message struct {
	ID           string
	Data         []byte
	Attributes   map[string]string
	PublishTime  time.Time // zero if absent
	OrderingKey  string
	Subscription string
	Attempt      int // 1 for the first delivery; 0 without a dead-letter policy: Pub/Sub does not count then
}

// Errors of Decode.
var (
	errNotJSON     = errors.New("not a Pub/Sub message: not JSON, or a field of the wrong type")
	errNoMessage   = errors.New("not a Pub/Sub message: message: missing")
	errNoMessageID = errors.New("not a Pub/Sub message: message.messageId: missing")
)

// Decode decodes the body of a push request. Its errors name the missing field, and
// may be shown to the sender.
func Decode(body []byte) (Message, error) {
	if m, ok := decodePlain(body); ok {
		return m, nil
	}
	return decodeJSON(body)
}

func decodeJSON(body []byte) (Message, error) {
	var envelope struct {
		Message *struct {
			MessageID   string            `json:"messageId"`
			Data        []byte            `json:"data"`
			Attributes  map[string]string `json:"attributes"`
			PublishTime time.Time         `json:"publishTime"`
			OrderingKey string            `json:"orderingKey"`
		} `json:"message"`
		Subscription    string `json:"subscription"`
		DeliveryAttempt int    `json:"deliveryAttempt"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return Message{}, errNotJSON
	}
	m := envelope.Message
	if m == nil {
		return Message{}, errNoMessage
	}
	if m.MessageID == "" {
		return Message{}, errNoMessageID
	}
	return Message{
		ID: m.MessageID, Data: m.Data, Attributes: m.Attributes, PublishTime: m.PublishTime,
		OrderingKey: m.OrderingKey, Subscription: envelope.Subscription, Attempt: envelope.DeliveryAttempt,
	}, nil
}

// envelope is the wire form that Encode writes.
type envelope struct {
	Message struct {
		Attributes  map[string]string `json:"attributes,omitempty"`
		Data        []byte            `json:"data,omitempty"`
		MessageID   string            `json:"messageId"`
		PublishTime time.Time         `json:"publishTime"`
		OrderingKey string            `json:"orderingKey,omitempty"`
	} `json:"message"`
	Subscription    string `json:"subscription"`
	DeliveryAttempt int    `json:"deliveryAttempt,omitempty"`
}

// Encode returns the body of a push request as Pub/Sub writes it, for the local run
// and for tests.
func Encode(m Message) ([]byte, error) {
	var e envelope
	e.Message.MessageID, e.Message.Data, e.Message.Attributes = m.ID, m.Data, m.Attributes
	e.Message.PublishTime, e.Message.OrderingKey = m.PublishTime, m.OrderingKey
	e.Subscription, e.DeliveryAttempt = m.Subscription, m.Attempt
	return json.Marshal(e)
}
