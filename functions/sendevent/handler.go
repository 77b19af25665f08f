// Package sendevent is the function SendEvent: Pub/Sub pushes device events to it,
// and it acknowledges or refuses each message.
//
// The status is the acknowledgement: 200 acknowledges, and Pub/Sub redelivers the
// message after any other status. Package delivery does the work.
package sendevent

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/handler"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/push"
)

// Limits of the function. The body limit admits the largest message of Pub/Sub, 10 MB,
// in base64. A message that is too large for an event is then dead-lettered with the
// reason, instead of being refused and redelivered until its attempts are used up.
var Limits = handler.Limits{Body: 15 << 20, Time: 25 * time.Second}

// Deliverer is the part of [delivery.Deliverer] that the function needs.
type Deliverer interface {
	Deliver(ctx context.Context, m push.Message) []delivery.Result
}

// Function delivers pushed device events.
type Function struct {
	Deliverer Deliverer
	// KeepsDeadLetters is whether the deliverer publishes dead letters to a topic, so
	// that they can be acknowledged here.
	KeepsDeadLetters bool
}

// traceparent is the attribute in which Google's client libraries send the trace of the
// publisher, if the publisher switches OpenTelemetry tracing on. The trace of the push
// request begins at Pub/Sub.
const traceparent = "googclient_traceparent"

// result is one element of the answer's "outcomes".
type result struct {
	GrantID string               `json:"grantId,omitempty"`
	Outcome delivery.OutcomeName `json:"outcome"`
	Code    string               `json:"code,omitempty"`
}

// Handle delivers one message.
func (f *Function) Handle(ctx context.Context, r handler.Request) handler.Answer {
	m, err := push.Decode(r.Body)
	if err != nil {
		logging.Raise(ctx, slog.LevelWarn)
		logging.Add(ctx, slog.String(logging.Error, err.Error()))
		return handler.Fail(http.StatusBadRequest, err.Error())
	}
	r.Follow(ctx, m.Attributes[traceparent])
	results := f.Deliverer.Deliver(ctx, m)
	note(ctx, results)
	return f.answer(results)
}

// answer returns one acknowledgement for all grants: if one of them needs a retry,
// the message is redelivered.
func (f *Function) answer(results []delivery.Result) handler.Answer {
	body := struct {
		Outcomes []result `json:"outcomes"`
		Error    string   `json:"error,omitempty"`
	}{Outcomes: make([]result, 0, len(results))}
	status := http.StatusOK
	for _, r := range results {
		if hasNoGrant(r) {
			continue // "outcomes" has one element for each grant
		}
		body.Outcomes = append(body.Outcomes, result{GrantID: r.GrantID, Outcome: r.Name, Code: r.Code})
		switch {
		case r.Decision == delivery.Retry:
			status = http.StatusServiceUnavailable
		case r.Decision == delivery.DeadLetter && !f.KeepsDeadLetters && status == http.StatusOK:
			status = http.StatusUnprocessableEntity
		}
		if field := fieldOf(r.Err); field != "" {
			body.Error = field
		}
	}
	return handler.JSON(status, body)
}

// hasNoGrant reports whether the result is of an event without a grant to go to.
func hasNoGrant(r delivery.Result) bool {
	return r.Name == delivery.NoGrant || r.Name == delivery.Elsewhere
}

// fieldOf returns the text, for the publisher, of an error about a field of the
// event. For other errors, which belong in the log, it returns "".
func fieldOf(err error) string {
	if err == nil {
		return ""
	}
	var field *alexa.FieldError
	if errors.As(err, &field) || errors.Is(err, delivery.ErrUnknownRegion) {
		return err.Error()
	}
	return ""
}

// note adds the outcome that decided the answer to the log line. For an event with
// several results it adds all of them as a list.
func note(ctx context.Context, results []delivery.Result) {
	if len(results) == 0 {
		return
	}
	decisive := results[0]
	for _, r := range results {
		logging.Raise(ctx, level(r))
		if r.Decision == delivery.Retry {
			decisive = r
		}
	}
	var room [12]slog.Attr // on the stack
	logging.Add(ctx, appendFields(room[:0], decisive)...)
	if len(results) > 1 {
		list := make([]map[string]any, len(results))
		for i, r := range results {
			list[i] = make(map[string]any)
			for _, field := range appendFields(nil, r) {
				list[i][field.Key] = field.Value.Any()
			}
		}
		logging.Add(ctx, slog.Any(logging.Deliveries, list))
	}
}

// appendFields appends the log fields of one result.
func appendFields(attrs []slog.Attr, r delivery.Result) []slog.Attr {
	attrs = append(attrs,
		slog.String(logging.Outcome, string(r.Name)), slog.String(logging.Decision, r.Decision.String()))
	if r.GrantID != "" {
		attrs = append(attrs, slog.String(logging.GrantID, r.GrantID))
	}
	if r.Code != "" {
		attrs = append(attrs, slog.String(logging.Code, r.Code))
	}
	if r.Region != "" {
		attrs = append(attrs, slog.String(logging.Region, string(r.Region)))
	}
	if sent := r.Sent; sent.Tries > 0 {
		attrs = append(attrs, slog.String(logging.MessageID, sent.MessageID), slog.Int(logging.GatewayTries, sent.Tries),
			slog.Int(logging.GatewayStatus, sent.Status), slog.Int64(logging.GatewayMS, sent.Took.Milliseconds()))
		if sent.RequestID != "" {
			attrs = append(attrs, slog.String(logging.Gateway, sent.RequestID))
		}
		if r.Name == delivery.Accepted {
			attrs = append(attrs, slog.Int64(logging.DeliveredMS, sent.Delivered.Milliseconds()))
		}
	}
	switch {
	case hasNoGrant(r):
		attrs = append(attrs, slog.String(logging.Reason, r.Err.Error()))
	case r.Err != nil:
		attrs = append(attrs, slog.String(logging.Error, r.Err.Error()))
	}
	return attrs
}

// level returns Error if a person has to look: for a dead letter, and for a fault of
// the configuration or the brake, which affects every customer.
func level(r delivery.Result) slog.Level {
	switch {
	case r.Decision == delivery.DeadLetter, errors.Is(r.Err, access.ErrBraked), errors.Is(r.Err, lwa.ErrClientRefused):
		return slog.LevelError
	case r.Name == delivery.Unconfirmed:
		return slog.LevelWarn
	case r.Decision == delivery.Ack:
		return slog.LevelInfo
	}
	return slog.LevelWarn
}
