// Package sendevent is the function SendEvent: Pub/Sub pushes device events to
// it, and it answers whether the message is done with.
//
// The status is the acknowledgement: 200 means done, anything else makes
// Pub/Sub deliver the message again, later. All of the work is package
// delivery's.
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
	"github.com/gatepostdev/gatepost/shared/host"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

// Limits of the function. A push request holds any message that Pub/Sub takes, of
// 10 MB, in base64: one that is too large for an event is a dead letter, with the
// reason, and not refused a hundred times.
var Limits = host.Limits{Body: 15 << 20, Time: 25 * time.Second}

// Deliverer is the part of [delivery.Deliverer] that the function needs.
type Deliverer interface {
	Deliver(ctx context.Context, m push.Message) []delivery.Result
}

// Function delivers pushed device events.
type Function struct {
	Deliverer Deliverer
	// KeepsDeadLetters says that the deliverer puts events that can never be
	// delivered on a topic of their own, so that they can be acknowledged here.
	KeepsDeadLetters bool
}

// result is one element of the answer's "outcomes".
type result struct {
	GrantID string               `json:"grantId,omitempty"`
	Outcome delivery.OutcomeName `json:"outcome"`
	Code    string               `json:"code,omitempty"`
}

// Handle delivers one message.
func (f *Function) Handle(ctx context.Context, r host.Request) host.Answer {
	m, err := push.Decode(r.Body)
	if err != nil {
		telemetry.Raise(ctx, slog.LevelWarn)
		telemetry.Add(ctx, slog.String(telemetry.Error, err.Error()))
		return host.Fail(http.StatusBadRequest, err.Error())
	}
	results := f.Deliverer.Deliver(ctx, m)
	note(ctx, results)
	return f.answer(results)
}

// answer is the acknowledgement for all grants together: an event that has to
// be sent again to one of them has to be delivered again.
func (f *Function) answer(results []delivery.Result) host.Answer {
	body := struct {
		Outcomes []result `json:"outcomes"`
		Error    string   `json:"error,omitempty"`
	}{Outcomes: make([]result, 0, len(results))}
	status := http.StatusOK
	for _, r := range results {
		if hasNoGrant(r) {
			continue // the list has an outcome for each grant
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
	return host.JSON(status, body)
}

// hasNoGrant reports whether the result is of an event without a grant to go to.
func hasNoGrant(r delivery.Result) bool {
	return r.Name == delivery.NoGrant || r.Name == delivery.Elsewhere
}

// fieldOf tells the publisher which field of the event is wrong. Other errors
// are for the log.
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

// note puts the outcomes into the log line: those of an event for several
// grants as a list, beside the outcome that decided the answer.
func note(ctx context.Context, results []delivery.Result) {
	if len(results) == 0 {
		return
	}
	decisive := results[0]
	for _, r := range results {
		telemetry.Raise(ctx, level(r))
		if r.Decision == delivery.Retry {
			decisive = r
		}
	}
	telemetry.Add(ctx, fields(decisive)...)
	if len(results) > 1 {
		list := make([]map[string]any, len(results))
		for i, r := range results {
			list[i] = make(map[string]any)
			for _, field := range fields(r) {
				list[i][field.Key] = field.Value.Any()
			}
		}
		telemetry.Add(ctx, slog.Any(telemetry.Deliveries, list))
	}
}

// fields are the fields of one result.
func fields(r delivery.Result) []slog.Attr {
	attrs := append(make([]slog.Attr, 0, 10),
		slog.String(telemetry.Outcome, string(r.Name)), slog.String(telemetry.Decision, r.Decision.String()))
	if r.GrantID != "" {
		attrs = append(attrs, slog.String(telemetry.GrantID, r.GrantID))
	}
	if r.Code != "" {
		attrs = append(attrs, slog.String(telemetry.Code, r.Code))
	}
	if r.Region != "" {
		attrs = append(attrs, slog.String(telemetry.Region, string(r.Region)))
	}
	if sent := r.Sent; sent.Tries > 0 {
		attrs = append(attrs, slog.String(telemetry.MessageID, sent.MessageID), slog.Int(telemetry.GatewayTries, sent.Tries),
			slog.Int(telemetry.GatewayStatus, sent.Status))
		if sent.RequestID != "" {
			attrs = append(attrs, slog.String(telemetry.Gateway, sent.RequestID))
		}
	}
	switch {
	case hasNoGrant(r):
		attrs = append(attrs, slog.String(telemetry.Reason, r.Err.Error()))
	case r.Err != nil:
		attrs = append(attrs, slog.String(telemetry.Error, r.Err.Error()))
	}
	return attrs
}

// level is Error for what a person has to look at: a dead letter, and what is
// our own fault and hits every customer alike.
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
