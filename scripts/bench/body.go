package main

import (
	"bytes"
	"fmt"
	"time"

	"github.com/gatepostdev/gatepost/shared/push"
)

// userID is the maker's id of customer i, as long as a UUID.
func userID(i int) string { return fmt.Sprintf("customer-%027d", i) }

// deviceEvent is what a maker publishes: somebody switched a lamp, and it
// says what else it knows.
func deviceEvent(i int, at time.Time) []byte {
	const stamp = "2006-01-02T15:04:05.000Z"
	return fmt.Appendf(nil, `{"userId":%q,"event":{"header":{"namespace":"Alexa","name":"ChangeReport"},"endpoint":{"endpointId":"lamp-1"},`+
		`"payload":{"change":{"cause":{"type":"PHYSICAL_INTERACTION"},"properties":[`+
		`{"namespace":"Alexa.PowerController","name":"powerState","value":"ON","timeOfSample":%q,"uncertaintyInMilliseconds":0}]}}},`+
		`"context":{"properties":[`+
		`{"namespace":"Alexa.BrightnessController","name":"brightness","value":75,"timeOfSample":%[2]q,"uncertaintyInMilliseconds":0},`+
		`{"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"},"timeOfSample":%[2]q,"uncertaintyInMilliseconds":200}]}}`,
		userID(i), at.UTC().Format(stamp))
}

// readyEvent is the body that the gateway gets for such an event, with nothing
// left to do but to post it.
func readyEvent(token string, at time.Time) []byte {
	const stamp = "2006-01-02T15:04:05.000Z"
	return fmt.Appendf(nil, `{"event":{"header":{"namespace":"Alexa","name":"ChangeReport","messageId":"00000000-0000-4000-8000-000000000000","payloadVersion":"3"},`+
		`"endpoint":{"scope":{"type":"BearerToken","token":%q},"endpointId":"lamp-1"},`+
		`"payload":{"change":{"cause":{"type":"PHYSICAL_INTERACTION"},"properties":[`+
		`{"namespace":"Alexa.PowerController","name":"powerState","value":"ON","timeOfSample":%q,"uncertaintyInMilliseconds":0}]}}},`+
		`"context":{"properties":[`+
		`{"namespace":"Alexa.BrightnessController","name":"brightness","value":75,"timeOfSample":%[2]q,"uncertaintyInMilliseconds":0},`+
		`{"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"},"timeOfSample":%[2]q,"uncertaintyInMilliseconds":200}]}}`,
		token, at.UTC().Format(stamp))
}

// noID is the place of a message's id, of as many digits as Pub/Sub's have.
const noID = "0000000000000000"

// envelope is a request whose message id is still to be set. An event that is
// pushed twice under one id is a duplicate, and not sent.
type envelope struct {
	request []byte
	id      int // where it is
}

// pushRequest is the HTTP request with which Pub/Sub pushes an event of
// customer i that was published now.
func pushRequest(host, path string, i int, now time.Time) (envelope, error) {
	body, err := push.Encode(push.Message{
		ID: noID, Data: deviceEvent(i, now), PublishTime: now.UTC(), OrderingKey: userID(i) + "/lamp-1",
		Subscription: "projects/bench/subscriptions/device-events", Attempt: 1,
	})
	if err != nil {
		return envelope{}, err
	}
	request := rawRequest(host, path, "", body)
	return envelope{request, bytes.Index(request, []byte(noID))}, nil
}

// rawRequest writes a POST request as it is on the wire.
func rawRequest(host, path, header string, body []byte) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: CloudPubSub-Google\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path, host, header, len(body), body)
}

// appendTo appends the request of message n.
func (e envelope) appendTo(buffer []byte, n int64) []byte {
	start := len(buffer)
	buffer = append(buffer, e.request...)
	if e.id < 0 {
		return buffer
	}
	for at := start + e.id + len(noID) - 1; n > 0; at-- {
		buffer[at] = byte('0' + n%10)
		n /= 10
	}
	return buffer
}
